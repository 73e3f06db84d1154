"""On the account's page: the second factor, and where one is logged in."""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.accounts import people, second_factor, sessions
from center.accounts.guesses import Asker
from center.accounts.identify import KEY, Accounts, actor_of
from center.accounts.texts import time_text
from center.api.access import address_of
from center.api.outside import outside
from center.console import frame
from center.console.document import button, document, form, notice
from center.console.draw.markup import Child, el
from center.console.session.code import code_field, recovery_codes, to_scan
from center.runtime.state import CenterState
from words import say

_SECOND: Final = "/account/second-factor"
_SESSIONS: Final = "/account/sessions"


def add_safety_pages(app: FastAPI, center: CenterState, accounts: Accounts) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get(_SECOND, include_in_schema=False)
    def show_second(request: Request) -> Response:
        return _page(center, accounts, request)

    @app.post(_SECOND, include_in_schema=False)
    async def set_second(request: Request) -> Response:
        fields = {name: str(value) for name, value in (await request.form()).items()}
        return await run_in_threadpool(_changed, center, accounts, request, fields)

    @app.post(_SESSIONS, include_in_schema=False)
    async def end_sessions(request: Request) -> Response:
        only = str((await request.form()).get("session", ""))
        await run_in_threadpool(_end, accounts, request, only)
        return RedirectResponse(outside("/account"), 303)


def _user(accounts: Accounts, request: Request) -> people.User:
    return people.user_named(accounts.engine, request.state.viewer.name)


def _end(accounts: Accounts, request: Request, only: str) -> None:
    """Ends one session of the viewer, or with "" all but this one."""
    actor, but = actor_of(request, request.state.viewer), "" if only else str(request.session.get(KEY, ""))
    sessions.end_sessions(accounts.engine, accounts.now_ns(), actor, _user(accounts, request), only=only, but=but)


def safety(accounts: Accounts, request: Request, lang: str) -> Child:
    """The account's second factor and its sessions."""
    user = _user(accounts, request)
    since_ns = second_factor.since_of(accounts.engine).get(user.id)
    has_one = say("second.on", lang, when=time_text(since_ns, lang)) if since_ns else say("second.off", lang)
    here = str(request.session.get(KEY, ""))
    rows = sessions.sessions_of(accounts.engine, accounts.now_ns(), user.id, here)
    return el(
        "div",
        el("h2", say("second.title", lang)),
        el("p", has_one, " ", el("a", say("second.change", lang), href=outside(_SECOND), cls="quiet")),
        el("h2", say("sessions.title", lang)),
        el("ul", *(_session(row, lang) for row in rows), cls="sessions"),
        form(outside(_SESSIONS), button(say("sessions.end_others", lang), "quiet danger"), cls="")
        if len(rows) > 1
        else None,
        cls="form",
    )


def _session(row: sessions.SessionRow, lang: str) -> Markup:
    ending = form(
        outside(_SESSIONS),
        el("input", type="hidden", name="session", value=row.id),
        button(say("sessions.end", lang), "quiet"),
        cls="",
    )
    return el(
        "li",
        el(
            "div",
            el("b", say("sessions.this", lang) if row.is_this else row.address),
            el("div", say("sessions.since", lang, when=time_text(row.created_ns, lang)), cls="faint"),
            el("div", row.agent, cls="faint"),
        ),
        None if row.is_this else ending,
    )


def _changed(center: CenterState, accounts: Accounts, request: Request, fields: dict[str, str]) -> HTMLResponse:
    """Sets the second factor, or takes it away; both only with a code of it."""
    user, actor, lang = (
        _user(accounts, request),
        actor_of(request, request.state.viewer),
        frame.language(request, center),
    )
    code, secret = fields.get("code", ""), fields.get("secret", "")
    if second_factor.is_set(accounts.engine, user.id):
        if accounts.accepts_code(user, code, Asker(address_of(request))) is not True:
            return _page(center, accounts, request, say("second.wrong", lang), 422)
        second_factor.reset(accounts.engine, accounts.now_ns(), actor, user.name)
        opened = accounts.opened(user, Asker(address_of(request)), request.headers.get("user-agent", ""))
        request.session[KEY] = opened.key
        return _page(center, accounts, request)
    codes = second_factor.enable(accounts.engine, accounts.now_ns(), actor, user, secret, code)
    if codes is None:
        return _page(center, accounts, request, say("second.wrong", lang), 422, secret)
    return _page(center, accounts, request, codes=codes)


def _page(
    center: CenterState,
    accounts: Accounts,
    request: Request,
    message: str = "",
    status: int = 200,
    secret: str = "",
    codes: list[str] | None = None,
) -> HTMLResponse:
    lang, viewer, user = frame.language(request, center), request.state.viewer, _user(accounts, request)
    has_one, title = second_factor.is_set(accounts.engine, user.id), say("second.title", lang)
    left = second_factor.recovery_left(accounts.engine, user.id)
    content = el(
        "section",
        el("h1", title),
        notice(message, "bad"),
        recovery_codes(codes, lang) if codes else None,
        el("p", say("second.help", lang), cls="faint"),
        el("p", say("second.left", lang, count=left)) if has_one else None,
        form(
            outside(_SECOND),
            None if has_one else to_scan(second_factor.new_secret(secret), user.name, center.name, lang),
            code_field(lang),
            button(say("second.remove" if has_one else "second.set", lang), "quiet danger" if has_one else "go"),
        ),
        el("a", say("account.title", lang), href=outside("/account"), cls="quiet"),
        cls="panel narrow",
    )
    return document(center, viewer, lang, title, content, status=status)
