"""Login and logout."""

import math

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from center.accounts import sessions
from center.accounts.guesses import Wait
from center.accounts.hashing import RETRY_S, Busy
from center.accounts.identify import KEY, Accounts, LoggedIn, SecondWanted, actor_of
from center.api.access import LOGIN
from center.api.outside import is_unencrypted, outside
from center.console import frame
from center.console.document import button, document, error_page, field, form, notice
from center.console.draw.markup import el
from center.console.session.code import await_code
from center.console.session.entering import asker_of, inside_only, logged_in
from center.runtime.state import CenterState
from words import duration, say


def add_login_pages(app: FastAPI, center: CenterState, accounts: Accounts) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get(LOGIN, include_in_schema=False)
    async def login_page(request: Request, next: str = "") -> Response:  # noqa: A002  # the URL's word
        if is_unencrypted(request):
            return _unencrypted(request, center)
        if request.state.viewer is not None:
            return RedirectResponse(outside(inside_only(next)), 303)
        return _login(request, center, next)

    @app.post(LOGIN, include_in_schema=False)
    async def log_in(request: Request) -> Response:
        if is_unencrypted(request):
            return _unencrypted(request, center)
        fields = await request.form()
        name, password = str(fields.get("name", "")), str(fields.get("password", ""))
        target = inside_only(str(fields.get("next", "")))
        lang, again = frame.language(request, center), {"Retry-After": str(RETRY_S)}
        try:
            asker, agent = await asker_of(request, accounts, name), request.headers.get("user-agent", "")
            outcome = await accounts.log_in(name, password, asker, agent)
        except Busy:
            return _login(request, center, target, say("login.busy", lang), name, 503, again)
        if isinstance(outcome, LoggedIn):
            return logged_in(request, accounts, outcome, name, target)
        if isinstance(outcome, SecondWanted):
            return await_code(request, accounts, outcome, target)
        if isinstance(outcome, Wait):
            message = say("login.wait", lang, duration=duration(round(outcome.s) * 1000, lang))
            return _login(request, center, target, message, name, 429, {"Retry-After": str(math.ceil(outcome.s))})
        return _login(request, center, target, say("login.wrong", lang), name, 401)

    @app.post("/logout", include_in_schema=False)
    async def log_out(request: Request) -> Response:
        if (key := request.session.get(KEY)) and request.state.viewer:
            actor = actor_of(request, request.state.viewer)
            await run_in_threadpool(sessions.close_session, accounts.engine, accounts.now_ns(), actor, key)
        request.session.clear()
        return RedirectResponse(outside(LOGIN), 303)


def _unencrypted(request: Request, center: CenterState) -> HTMLResponse:
    """The cookie of a login would not come back without encryption; the password would be read on the way."""
    lang = frame.language(request, center)
    return error_page(center, request, say("login.unencrypted", lang), say("login.unencrypted.help", lang), 403)


def _login(
    request: Request,
    center: CenterState,
    target: str,
    message: str = "",
    name: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    lang = frame.language(request, center)
    title = say("login.title", lang)
    content = el(
        "section",
        el("h1", title),
        notice(message, "bad"),
        form(
            outside(LOGIN),
            el("input", type="hidden", name="next", value=inside_only(target)),
            field(say("login.name", lang), "name", value=name, autocomplete="username", autocapitalize="none", required="",
                  autofocus=None if name else ""),
            field(say("login.password", lang), "password", "password", autocomplete="current-password", required="",
                  autofocus="" if name else None),
            button(say("login.go", lang)),
        ),
        el("p", say("login.help", lang), cls="faint"),
        cls="panel narrow",
    )  # fmt: skip
    page = document(center, None, lang, title, content, status=status)
    page.headers.update(headers or {})
    return page
