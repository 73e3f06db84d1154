"""What every way in shares: who tries, where a login leads, and the cookies that it leaves."""

from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.responses import RedirectResponse

from center.accounts import browsers
from center.accounts.guesses import Asker
from center.accounts.identify import KEY, Accounts, LoggedIn, cookie_name
from center.accounts.people import name_of
from center.api.access import LOGIN, address_of
from center.api.outside import outside


async def asker_of(request: Request, accounts: Accounts, name: str) -> Asker:
    """Who tries to log in as somebody."""
    kept = request.cookies.get(_browser_cookie(accounts), "")
    return Asker(address_of(request), browsers.browser_of(await accounts.key.current(), kept, name_of(name)))


def logged_in(request: Request, accounts: Accounts, opened: LoggedIn, name: str, target: str) -> RedirectResponse:
    """Leads to the target, or first to what the account has to say; sets the cookies of session and browser."""
    request.session.clear()  # no session fixation: a key from before the login is dropped
    request.session[KEY] = opened.key
    where = f"{outside('/account')}?next={quote(target, safe='')}" if opened.failures else outside(target)
    answer, cookie = RedirectResponse(where, 303), _browser_cookie(accounts)
    kept = browsers.with_account(accounts.key.last, request.cookies.get(cookie, ""), name_of(name))
    path = outside("/").removesuffix("/") or "/"
    answer.set_cookie(cookie, kept, browsers.LASTS_S, path=path, secure=accounts.secure, httponly=True, samesite="lax")
    return answer


def inside_only(target: str) -> str:
    """Target of the redirect after login, without the root path: only paths of this center (no open redirect). Neither
    another host, nor, by `..`, what the same host shows beside the root path.
    """
    path = unquote(target.partition("?")[0]).replace("\\", "/")
    climbs = {".", ".."} & {segment.strip() for segment in path.split("/")}
    sound = path.startswith("/") and not path.startswith(("//", LOGIN)) and path.isprintable() and not climbs
    return target if sound else "/"


def _browser_cookie(accounts: Accounts) -> str:
    return cookie_name(browsers.COOKIE, outside("/"), secure=accounts.secure)
