"""The administration pages: people, tokens, audit trail."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from center.accounts import audit, passwords, people, second_factor, sessions, tokens
from center.accounts.audit import Actor
from center.accounts.identify import Accounts, actor_of
from center.api.access import Administering
from center.api.upkeep.machines import MachineDeletion
from center.console import frame
from center.console.admin import lists as admin_lists
from center.console.document import document, notice
from center.console.draw.markup import Child, el
from center.contract.store import StoreRefused, StoreUnavailable
from center.ingest.settle import StillNamed
from center.queries import sites as queries
from center.runtime.state import CenterState
from words import say

_DAY_NS: Final = 86_400_000_000_000
_LONGEST_DAYS: Final = 3650
_ROWS: Final = 100
Work = Callable[[Actor, FormData, str], Child]
"""A change: takes the actor, the form's fields and the language; returns the message to show."""


def add_admin_pages(app: FastAPI, center: CenterState, accounts: Accounts) -> None:
    """The routes; all require the right to administer. They return pages, so the API's description leaves them out."""
    engine = accounts.engine

    def page(request: Request, on: str, message: Child, *content: Child, status: int = 200) -> HTMLResponse:
        lang = frame.language(request, center)
        title = say("admin.title", lang)
        head = el("div", el("h1", title), admin_lists.tabs(on, lang), cls="admin-head")
        return document(center, request.state.viewer, lang, title, head, message, *content, status=status)

    def users_page(request: Request, message: Child = None, status: int = 200) -> HTMLResponse:
        lang, site_ids = frame.language(request, center), center.ledger_cache.sites.ids()
        parts = (admin_lists.new_person(site_ids, lang), admin_lists.people_list(people.users(engine), site_ids, lang))
        return page(request, admin_lists.USERS, message, *parts, status=status)

    def tokens_page(request: Request, message: Child = None, status: int = 200) -> HTMLResponse:
        lang, site_ids = frame.language(request, center), center.ledger_cache.sites.ids()
        rows = admin_lists.token_list(tokens.tokens(engine), accounts.now_ns(), lang)
        return page(request, admin_lists.TOKENS, message, admin_lists.new_token(site_ids, lang), rows, status=status)

    async def changed(request: Request, show: Callable[..., HTMLResponse], work: Work) -> Response:
        lang, fields = frame.language(request, center), await request.form()
        try:
            message = await run_in_threadpool(work, actor_of(request, request.state.viewer), fields, lang)
        except people.AccountRefused as error:
            text = say(f"accounts.refused.{error.code}", lang, **error.values)
            return await run_in_threadpool(show, request, notice(text, "bad"), 422)
        return await run_in_threadpool(show, request, message)

    @app.get(admin_lists.USERS, include_in_schema=False)
    def show_users(_viewer: Administering, request: Request) -> Response:
        return users_page(request)

    @app.post("/admin/users", include_in_schema=False)
    async def add_user(_viewer: Administering, request: Request) -> Response:
        return await changed(request, users_page, lambda *change: _add_user(accounts, *change))

    @app.post("/admin/users/{name}/{what}", include_in_schema=False)
    async def change_user(_viewer: Administering, request: Request, name: str, what: str) -> Response:
        return await changed(request, users_page, lambda *change: _change_user(accounts, name, what, *change))

    @app.get(admin_lists.TOKENS, include_in_schema=False)
    def show_tokens(_viewer: Administering, request: Request) -> Response:
        return tokens_page(request)

    @app.post(admin_lists.TOKENS, include_in_schema=False)
    async def add_token(_viewer: Administering, request: Request) -> Response:
        return await changed(request, tokens_page, lambda *change: _add_token(accounts, *change))

    @app.post("/admin/tokens/{name:path}/revoke", include_in_schema=False)
    async def revoke(_viewer: Administering, request: Request, name: str) -> Response:
        def work(actor: Actor, _fields: FormData, lang: str) -> Child:
            tokens.revoke_token(engine, accounts.now_ns(), actor, name)
            return notice(say("admin.done", lang), "good")

        return await changed(request, tokens_page, work)

    def machines_page(request: Request, message: Child = None, status: int = 200) -> HTMLResponse:
        lang, viewer = frame.language(request, center), request.state.viewer
        rows = [row for site in queries.sites(center, viewer) for row in queries.machines(center, viewer, site["id"])]
        shown = admin_lists.retired_list([row for row in rows if row.get("retired")], lang)
        return page(request, admin_lists.MACHINES, message, shown, status=status)

    @app.get(admin_lists.MACHINES, include_in_schema=False)
    def show_machines(_viewer: Administering, request: Request) -> Response:
        return machines_page(request)

    @app.post(admin_lists.MACHINES, include_in_schema=False)
    async def delete_machine(_viewer: Administering, request: Request) -> Response:
        lang, fields = frame.language(request, center), await request.form()
        actor = actor_of(request, request.state.viewer)
        message, status = await run_in_threadpool(_delete_machine, app.state.machine_deletion, actor, fields, lang)
        return await run_in_threadpool(machines_page, request, message, status)

    @app.get(admin_lists.AUDIT, include_in_schema=False)
    def show_audit(_viewer: Administering, request: Request, before: int | None = None) -> Response:
        rows, count = audit.entries(engine, before, _ROWS)
        lang, head = frame.language(request, center), audit.head(engine)
        return page(request, admin_lists.AUDIT, None, admin_lists.trail(rows, count, head, lang))


def _delete_machine(deletion: MachineDeletion, actor: Actor, fields: FormData, lang: str) -> tuple[Child, int]:
    """The message to show, and the status of the page."""
    site, machine, confirmed = (str(fields.get(name, "")) for name in ("site", "machine", "confirm"))
    if confirmed.strip() != machine:
        return notice(say("admin.not_confirmed", lang, id=machine), "bad"), 422
    try:
        deletion(actor.name, actor.address, site, machine)
    except LookupError:
        return notice(say("console.unknown_machine", lang, machine=machine), "bad"), 404
    except StillNamed:
        return notice(say("admin.still_named", lang, id=machine), "bad"), 409
    except (StoreRefused, StoreUnavailable, TimeoutError) as error:
        return notice(say("admin.not_deleted", lang, id=machine, detail=error), "bad"), 503
    return notice(say("admin.deleted", lang, id=machine), "good"), 200


def _sites(fields: FormData) -> list[str]:
    chosen = [str(site) for site in fields.getlist("site")]
    return [*chosen, *str(fields.get("other_sites", "")).replace(",", " ").split()]


def _add_user(accounts: Accounts, actor: Actor, fields: FormData, lang: str) -> Markup:
    name, password = str(fields.get("name", "")).strip().lower(), passwords.generate()
    profile: dict[str, Any] = {"role": str(fields.get("role", "")), "full_name": str(fields.get("full_name", ""))}
    people.add_user(accounts.engine, accounts.now_ns(), actor, name, sites=_sites(fields), password=password, **profile)
    return admin_lists.once(say("admin.once.password", lang, name=name), password)


def _change_user(accounts: Accounts, name: str, what: str, actor: Actor, fields: FormData, lang: str) -> Child:
    common = (accounts.engine, accounts.now_ns(), actor, name)
    if what == "password":
        password = passwords.generate()
        people.set_password(*common, password)
        return admin_lists.once(say("admin.once.password", lang, name=name), password)
    if what == "change":
        people.change_user(*common, role=str(fields.get("role", "")), sites=_sites(fields))
    elif what == "sessions":
        sessions.end_sessions(*common[:3], people.user_named(accounts.engine, name))
    elif what == "second-factor":
        second_factor.reset(*common)
    elif what in ("disable", "enable"):
        people.disable_user(*common, disabled=what == "disable")
    else:
        raise people.AccountRefused("nobody", name=what[:64])
    return notice(say("admin.done", lang), "good")


def _add_token(accounts: Accounts, actor: Actor, fields: FormData, lang: str) -> Markup:
    name, days, now_ns = str(fields.get("name", "")).strip(), str(fields.get("days", "")).strip(), accounts.now_ns()
    if days and not (days.isdecimal() and 1 <= int(days) <= _LONGEST_DAYS):
        raise people.AccountRefused("days")
    secret = tokens.add_token(
        accounts.engine,
        now_ns,
        actor,
        name,
        sites=None if fields.get("all_sites") else _sites(fields),
        scope=str(fields.get("scope", "")),
        expires_ns=now_ns + int(days) * _DAY_NS if days else None,
    )
    return admin_lists.once(say("admin.once.token", lang, name=name), secret)
