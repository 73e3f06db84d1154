"""The second step of a login: a code of the app, or setting the app up first where the center demands it."""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.accounts import people, second_factor
from center.accounts.audit import Actor
from center.accounts.guesses import Asker, Wait
from center.accounts.identify import Accounts, SecondWanted
from center.api.access import LOGIN, LOGIN_CODE
from center.api.outside import outside
from center.console import frame
from center.console.document import button, document, field, form, notice
from center.console.draw.markup import Child, el
from center.console.session.entering import asker_of, inside_only, logged_in
from center.runtime.state import CenterState
from words import duration, say

_PENDING: Final = "second"
_PENDING_NS: Final = 300_000_000_000
"""So long after the password a code is awaited [ns]."""


def await_code(request: Request, accounts: Accounts, wanted: SecondWanted, target: str) -> RedirectResponse:
    """Remembers in the signed cookie that the password was right, and leads to the second step."""
    request.session.clear()
    request.session[_PENDING] = [wanted.user.id, accounts.now_ns() + _PENDING_NS, target]
    return RedirectResponse(outside(LOGIN_CODE), 303)


def add_code_pages(app: FastAPI, center: CenterState, accounts: Accounts) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get(LOGIN_CODE, include_in_schema=False)
    async def code_page(request: Request) -> Response:
        user = await run_in_threadpool(_pending, accounts, request)
        if user is None:
            return RedirectResponse(outside(LOGIN), 303)
        return await run_in_threadpool(_page, center, accounts, request, user)

    @app.post(LOGIN_CODE, include_in_schema=False)
    async def take_code(request: Request) -> Response:
        user = await run_in_threadpool(_pending, accounts, request)
        if user is None:
            return RedirectResponse(outside(LOGIN), 303)
        fields = await request.form()
        code, secret = str(fields.get("code", "")), str(fields.get("secret", ""))
        asker, agent = await asker_of(request, accounts, user.name), request.headers.get("user-agent", "")
        return await run_in_threadpool(_taken, center, accounts, request, (user, asker, agent), (code, secret))

    def _taken(
        center: CenterState,
        accounts: Accounts,
        request: Request,
        who: tuple[people.User, Asker, str],
        typed: tuple[str, str],
    ) -> Response:
        (user, asker, agent), (code, secret) = who, typed
        lang, codes, right = frame.language(request, center), None, False
        if second_factor.is_set(accounts.engine, user.id):
            outcome = accounts.accepts_code(user, code, asker)
            if isinstance(outcome, Wait):
                text = say("login.wait", lang, duration=duration(round(outcome.s) * 1000, lang))
                return _page(center, accounts, request, user, text, 429)
            right = outcome
        else:
            actor = Actor(user.name, asker.address)
            codes = second_factor.enable(accounts.engine, accounts.now_ns(), actor, user, secret, code)
            right = codes is not None
        if not right:
            return _page(center, accounts, request, user, say("second.wrong", lang), 401, secret)
        target = inside_only(str(request.session[_PENDING][2]))
        answer = logged_in(request, accounts, accounts.opened(user, asker, agent), user.name, target)
        if codes:
            shown = el("section", el("h1", say("second.title", lang)), recovery_codes(codes, lang),
                       el("a", say("account.failed.go_on", lang), href=answer.headers["location"], cls="go"),
                       cls="panel narrow")  # fmt: skip
            page = document(center, None, lang, say("second.title", lang), shown)
            page.raw_headers += [item for item in answer.raw_headers if item[0] == b"set-cookie"]
            return page
        return answer


def _pending(accounts: Accounts, request: Request) -> people.User | None:
    """Who has shown the password a moment ago."""
    pending = request.session.get(_PENDING)
    if not pending or pending[1] < accounts.now_ns():
        return None
    return people.user_by_id(accounts.engine, pending[0])


def _page(
    center: CenterState,
    accounts: Accounts,
    request: Request,
    user: people.User,
    message: str = "",
    status: int = 200,
    secret: str = "",
) -> HTMLResponse:
    lang = frame.language(request, center)
    title = say("second.title", lang)
    has_one = second_factor.is_set(accounts.engine, user.id)
    content = el(
        "section",
        el("h1", title),
        notice(message, "bad"),
        el("p", say("second.ask" if has_one else "second.demanded", lang), cls="faint"),
        form(
            outside(LOGIN_CODE),
            None if has_one else to_scan(second_factor.new_secret(secret), user.name, center.name, lang),
            code_field(lang),
            button(say("login.go", lang)),
        ),
        el("p", say("second.lost", lang), cls="faint") if has_one else None,
        cls="panel narrow",
    )
    return document(center, None, lang, title, content, status=status)


def to_scan(secret: str, account: str, center: str, lang: str) -> Child:
    """What the app scans, and the same to type; it comes back with the form."""
    picture = Markup(second_factor.picture(secret, account, center))  # noqa: S704  # SVG without any text of others
    return el(
        "div",
        el("p", say("second.scan", lang)),
        el("div", picture, cls="qr"),
        el("p", el("code", " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)), tabindex="0")),
        el("input", type="hidden", name="secret", value=secret),
    )


def code_field(lang: str) -> Markup:
    """Where a code is typed."""
    return field(
        say("second.code", lang),
        "code",
        autocomplete="one-time-code",
        autocapitalize="none",
        required="",
        maxlength="20",
    )


def recovery_codes(codes: list[str], lang: str) -> Markup:
    """The recovery codes, shown once."""
    return el(
        "div",
        el("p", say("second.recovery", lang)),
        el("ul", *(el("li", el("code", code)) for code in codes), cls="codes"),
        cls="said good once",
        role="status",
    )
