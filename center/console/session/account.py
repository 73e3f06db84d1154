"""The page of the viewer's own account: the password, and who tried to guess it."""

from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.accounts import guesses, passwords, people
from center.accounts.guesses import FailedLogins
from center.accounts.hashing import Busy
from center.accounts.identify import KEY, Accounts, actor_of
from center.accounts.texts import time_text
from center.api.outside import outside
from center.console import frame
from center.console.document import button, document, field, form, notice
from center.console.draw.markup import el
from center.console.session.entering import asker_of, inside_only
from center.console.session.safety import safety
from center.model.viewer import Viewer
from center.runtime.state import CenterState
from words import say


def add_account_pages(app: FastAPI, center: CenterState, accounts: Accounts) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    async def shown(request: Request, message: str = "", status: int = 200, target: str = "") -> HTMLResponse:
        return await run_in_threadpool(_account, request, center, accounts, message, status, target)

    @app.get("/account", include_in_schema=False)
    async def account_page(request: Request, next: str = "") -> Response:  # noqa: A002  # the URL's word
        return await shown(request, target=inside_only(next) if next else "")

    @app.post("/account", include_in_schema=False)
    async def change_password(request: Request) -> Response:
        viewer: Viewer = request.state.viewer
        fields = {name: str(value) for name, value in (await request.form()).items()}
        try:
            message = await _change(accounts, request, viewer, fields)
            if message:
                return await shown(request, message, 422)
            asker = await asker_of(request, accounts, viewer.name)
            user = await run_in_threadpool(people.user_named, accounts.engine, viewer.name)
            opened = await run_in_threadpool(accounts.opened, user, asker, request.headers.get("user-agent", ""))
        except Busy:
            return await shown(request, "busy", 503)
        request.session[KEY] = opened.key  # the change ended every session, this one too
        return await shown(request, "changed")


async def _change(accounts: Accounts, request: Request, viewer: Viewer, fields: dict[str, str]) -> str:
    """Changes the password; the code of an error, "" if it was changed. Raises `Busy`."""
    if fields.get("new") != fields.get("again"):
        return "different"
    asker = await asker_of(request, accounts, viewer.name)
    if not isinstance(await accounts.check(viewer.name, fields.get("old", ""), asker), people.User):
        return "wrong"
    try:
        change = (accounts.engine, accounts.now_ns(), actor_of(request, viewer), viewer.name, fields.get("new", ""))
        await run_in_threadpool(people.set_password, *change)
    except passwords.BadPassword as error:
        return error.code
    return ""


def _account(
    request: Request,
    center: CenterState,
    accounts: Accounts,
    message: str,
    status: int,
    target: str,
) -> HTMLResponse:
    lang, viewer = frame.language(request, center), request.state.viewer
    failures = guesses.failures_of(accounts.engine, viewer.name)
    title = say("account.title", lang)
    user = people.user_named(accounts.engine, viewer.name)
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
        el("p", el("span", say("admin.role", lang), cls="faint"), " ", say(f"accounts.role.{user.role}", lang)),
        el("p", el("span", say("account.sites", lang), cls="faint"), " ", sites or say("accounts.no_sites", lang)),
        _failures(failures, target, lang) if failures else None,
        el("h2", say("account.change", lang)),
        notice(text, "good" if good else "bad"),
        form(
            outside("/account"),
            field(say("account.old", lang), "old", "password", autocomplete="current-password", required=""),
            field(say("account.new", lang), "new", "password", **new),
            field(say("account.again", lang), "again", "password", **new),
            button(say("account.change", lang)),
        ),
        safety(accounts, request, lang),
        cls="panel narrow",
    )
    return document(center, viewer, lang, title, content, status=status)


def _failures(failures: Sequence[FailedLogins], target: str, lang: str) -> Markup:
    """Who tried to log in as the viewer, and in vain. target: where the login led, "" if it is over."""
    rows = (
        el(
            "li",
            el("b", say("account.failed.count", lang, count=row.count)),
            el("span", say("account.failed.last", lang, when=time_text(row.last_ns, lang), source=row.source)),
        )
        for row in failures
    )
    go_on = el("a", say("account.failed.go_on", lang), href=outside(target), cls="go") if target else None
    return el(
        "div",
        el("h2", say("account.failed", lang)),
        el("p", say("account.failed.help", lang), cls="bad" if target else "faint"),
        el("ul", *rows, cls="rows failed"),
        go_on,
    )
