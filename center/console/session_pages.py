"""Login, logout and the page of the viewer's own account."""

from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from center.accounts import passwords, people, sessions
from center.accounts.identify import KEY, Accounts, Wait, actor_of
from center.api.access import LOGIN, address_of
from center.api.outside import is_unencrypted, outside
from center.console import frame
from center.console.document import button, document, error_page, field, form, notice
from center.console.draw.markup import el
from center.model.viewer import Viewer
from center.runtime.state import CenterState
from words import duration, say


def add_session_pages(app: FastAPI, center: CenterState, accounts: Accounts) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get(LOGIN, include_in_schema=False)
    async def login_page(request: Request, next: str = "") -> Response:  # noqa: A002  # the URL's word
        if is_unencrypted(request):
            return _unencrypted(request, center)
        if request.state.viewer is not None:
            return RedirectResponse(outside(_inside(next)), 303)
        return _login(request, center, next)

    @app.post(LOGIN, include_in_schema=False)
    async def log_in(request: Request) -> Response:
        if is_unencrypted(request):
            return _unencrypted(request, center)
        fields = await request.form()
        name, password = str(fields.get("name", "")), str(fields.get("password", ""))
        target = _inside(str(fields.get("next", "")))
        outcome = await run_in_threadpool(accounts.log_in, name, password, address_of(request))
        if isinstance(outcome, str):
            request.session.clear()  # no session fixation: a key from before the login is dropped
            request.session[KEY] = outcome
            return RedirectResponse(outside(target), 303)
        lang = frame.language(request, center)
        if isinstance(outcome, Wait):
            message = say("login.wait", lang, duration=duration(round(outcome.s) * 1000, lang))
            return _login(request, center, target, message, name, 429)
        return _login(request, center, target, say("login.wrong", lang), name, 401)

    @app.post("/logout", include_in_schema=False)
    async def log_out(request: Request) -> Response:
        if (key := request.session.get(KEY)) and request.state.viewer:
            actor = actor_of(request, request.state.viewer)
            await run_in_threadpool(sessions.close_session, accounts.engine, accounts.now_ns(), actor, key)
        request.session.clear()
        return RedirectResponse(outside(LOGIN), 303)

    @app.get("/account", include_in_schema=False)
    async def account_page(request: Request) -> Response:
        return _account(request, center)

    @app.post("/account", include_in_schema=False)
    async def change_password(request: Request) -> Response:
        viewer: Viewer = request.state.viewer
        fields = {name: str(value) for name, value in (await request.form()).items()}
        message = await run_in_threadpool(_change, accounts, request, viewer, fields)
        if message:
            return _account(request, center, message, 422)
        key = await run_in_threadpool(accounts.log_in, viewer.name, fields["new"], address_of(request))
        if isinstance(key, str):  # the change ended every session, this one too
            request.session[KEY] = key
        return _account(request, center, "changed")


def _inside(target: str) -> str:
    """Target of the redirect after login, without the root path: only paths of this center (no open redirect). Neither
    another host, nor, by `..`, what the same host shows beside the root path.
    """
    path = unquote(target.partition("?")[0]).replace("\\", "/")
    climbs = {".", ".."} & {segment.strip() for segment in path.split("/")}
    sound = path.startswith("/") and not path.startswith(("//", LOGIN)) and path.isprintable() and not climbs
    return target if sound else "/"


def _unencrypted(request: Request, center: CenterState) -> HTMLResponse:
    """The cookie of a login would not come back without encryption; the password would be read on the way."""
    lang = frame.language(request, center)
    return error_page(center, request, say("login.unencrypted", lang), say("login.unencrypted.help", lang), 403)


def _login(
    request: Request, center: CenterState, target: str, message: str = "", name: str = "", status: int = 200
) -> HTMLResponse:
    lang = frame.language(request, center)
    title = say("login.title", lang)
    content = el(
        "section",
        el("h1", title),
        notice(message, "bad"),
        form(
            outside(LOGIN),
            el("input", type="hidden", name="next", value=_inside(target)),
            field(say("login.name", lang), "name", value=name, autocomplete="username", autocapitalize="none", required="",
                  autofocus=None if name else ""),
            field(say("login.password", lang), "password", "password", autocomplete="current-password", required="",
                  autofocus="" if name else None),
            button(say("login.go", lang)),
        ),
        el("p", say("login.help", lang), cls="faint"),
        cls="panel narrow",
    )  # fmt: skip
    return document(center, None, lang, title, content, status=status)


def _change(accounts: Accounts, request: Request, viewer: Viewer, fields: dict[str, str]) -> str:
    """Changes the password; the code of an error, "" if it was changed."""
    if fields.get("new") != fields.get("again"):
        return "different"
    if not isinstance(accounts.check(viewer.name, fields.get("old", ""), address_of(request)), people.User):
        return "wrong"
    try:
        actor = actor_of(request, viewer)
        people.set_password(accounts.engine, accounts.now_ns(), actor, viewer.name, fields.get("new", ""))
    except passwords.BadPassword as error:
        return error.code
    return ""


def _account(request: Request, center: CenterState, message: str = "", status: int = 200) -> HTMLResponse:
    lang, viewer = frame.language(request, center), request.state.viewer
    title = say("account.title", lang)
    sites = say("accounts.all_sites", lang) if viewer.sites is None else ", ".join(sorted(viewer.sites))
    limits = {"shortest": passwords.SHORTEST, "longest": passwords.LONGEST}
    good = message == "changed"
    text = (
        say("account.changed", lang)
        if good
        else say(f"accounts.bad_password.{message}", lang, **limits)
        if message
        else ""
    )
    new = {"autocomplete": "new-password", "required": "", "minlength": str(passwords.SHORTEST)}
    content = el(
        "section",
        el("h1", viewer.name),
        el("p", el("span", say("account.sites", lang), cls="faint"), " ", sites or say("accounts.no_sites", lang)),
        el("h2", say("account.change", lang)),
        notice(text, "good" if good else "bad"),
        form(
            outside("/account"),
            field(say("account.old", lang), "old", "password", autocomplete="current-password", required=""),
            field(say("account.new", lang), "new", "password", **new),
            field(say("account.again", lang), "again", "password", **new),
            button(say("account.change", lang)),
        ),
        cls="panel narrow",
    )
    return document(center, viewer, lang, title, content, status=status)
