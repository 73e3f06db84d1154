"""The pages of actions, plain HTML: the list with its total, one action, its form, and its steps."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from center.api.access import Aiming, Viewing, Writing, address_of
from center.api.advice.action_desk import ActionsDesk, RefusedStep
from center.api.advice.action_plans import ActionRequest, BadPlan, ChangeRequest, PlanRequest, possible_controls
from center.api.advice.action_routes import file_response
from center.api.outside import outside
from center.console import frame
from center.console.advice import action_cards as cards
from center.console.advice import action_form
from center.console.document import document, error_page, notice
from center.console.draw.markup import el
from center.console.draw.names import named
from center.database.actions import file_of
from center.model.kept_action import MOST_FILE_BYTES
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.queries import sites as queries
from center.queries.question import UnknownSite, zone_of
from center.runtime.state import CenterState
from oee.advice.gain.metrics import LOSS_STATES
from words import say

_MOST_UPLOAD: Final = 2 * MOST_FILE_BYTES
"""Of a form: a file that is somewhat too large is refused with a page, and what is larger still before it is read."""


class _ActionPages:
    """The pages for one request of a viewer. Raises `UnknownSite` and `StoreUnavailable`, which become pages."""

    def __init__(self, center: CenterState, desk: ActionsDesk, viewer: Viewer, request: Request) -> None:
        self.center, self.desk, self.viewer, self.request = center, desk, viewer, request
        self.lang = frame.language(request, center)

    def listed(self, site: str) -> Response:
        """All actions, and what they brought together."""
        answer = self.desk.listed(self.viewer, site)
        sites = {row["id"]: row["name"] for row in queries.sites(self.center, self.viewer)}
        title = say("action_list.title", self.lang)
        exported = outside(f"/api/v1/actions?format=csv{f'&site={quote(site)}' if site else ''}")
        return document(
            self.center,
            self.viewer,
            self.lang,
            title,
            el(
                "div",
                el("h1", title, cls="title"),
                el("p", say("action_list.note", self.lang), " ", el("a", "CSV", href=exported), cls="soft"),
                cls="opening",
            ),
            cards.total(answer, self.lang),
            cards.listed(answer["rows"], sites, self.lang),
        )

    def one(self, number: str, message: str = "", status: int = 200) -> Response:
        """One action."""
        try:
            row = self.desk.one(self.viewer, number)
        except UnknownSite:
            return self._gone()
        site_name = named(queries.site(self.center, self.viewer, row["site"])["name"], self.lang, row["site"])
        rights = {"write": self.viewer.may("write"), "aim": self.viewer.may("aim")}
        zone = zone_of(self.center, self.viewer, row["site"])
        return document(
            self.center,
            self.viewer,
            self.lang,
            row["what"],
            self._back(),
            notice(message, "bad"),
            cards.page(row, site_name, zone, rights, self.lang),
            status=status,
        )

    def new(self, site: str, machine: str, finding: str) -> Response:
        """The form for a new action, filled by what the finding says."""
        plan = self.desk.proposal(self.viewer, site, machine, finding)
        what = ""
        if finding:
            found = self.desk.finding(self.viewer, finding)
            site = found.site
            what = say(f"advice.{found.record.finding.rule}.countermeasure", self.lang)[:200]
        values = {"site": site, "finding": finding, "what": what} | plan.model_dump(mode="json")
        return self._form(f"{cards.HOME}/new", site, values)

    def create(self, data: FormData) -> Response:
        """Drafts what the form says."""
        fields = action_form.read(data)
        site, finding = (str(data.get(name, "")) for name in ("site", "finding"))
        whole = fields | {"site": site, "finding": finding}

        def make() -> str:
            asked = ActionRequest.model_validate(whole)
            return self.desk.draft(self.viewer, address_of(self.request), asked)["id"]

        return self._made(make, f"{cards.HOME}/new", site, whole)

    def edit(self, number: str) -> Response:
        """The form of a draft, or of a frozen plan."""
        row = self.desk.one(self.viewer, number)
        plan = {name: value for name, value in row["plan"].items() if name in PlanRequest.model_fields}
        words = {name: value for name, value in row.items() if name in ChangeRequest.model_fields}
        values = words | plan | {"machines": row["machines"], "site": row["site"], "finding": row["finding"]}
        return self._form(f"{cards.HOME}/{number}/edit", row["site"], values, frozen=row["state"] != "draft")

    def change(self, number: str, data: FormData) -> Response:
        """Changes a draft, or a frozen plan."""
        row = self.desk.one(self.viewer, number)
        fields, address = action_form.read(data), address_of(self.request)

        def make() -> str:
            if row["state"] == "draft":
                self.desk.edit(self.viewer, address, number, ChangeRequest.of(fields))
            else:
                self.desk.revise(self.viewer, address, number, PlanRequest.model_validate(fields["plan"]))
            return number

        whole = fields | {"site": row["site"], "finding": row["finding"]}
        return self._made(make, f"{cards.HOME}/{number}/edit", row["site"], whole, frozen=row["state"] != "draft")

    def step(self, number: str, make: Callable[[str], object]) -> Response:
        """Makes a step; back to the action's page."""
        try:
            make(address_of(self.request))
        except RefusedStep as error:
            return self.one(number, say(f"action_refused.{error.code}", self.lang), 422)
        except BadPlan as error:
            return self.one(number, " ".join(_bad(error, self.lang)), 422)
        except UnknownSite:
            return self._gone()
        return RedirectResponse(cards.page_of(number), 303)

    def _made(
        self, make: Callable[[], str], action: str, site: str, whole: Mapping[str, Any], *, frozen: bool = False
    ) -> Response:
        try:
            number = make()
        except (BadPlan, RefusedStep, ValidationError, BadQuestion) as error:
            values = {**whole, **whole["plan"]}
            return self._form(action, site, values, frozen=frozen, complaints=_bad(error, self.lang), status=422)
        return RedirectResponse(cards.page_of(number), 303)

    def _form(
        self,
        action: str,
        site: str,
        values: Mapping[str, Any],
        *,
        frozen: bool = False,
        complaints: list[str] | None = None,
        status: int = 200,
    ) -> Response:
        lang = self.lang
        known = {
            row["id"]: named(row["name"], lang, row["id"])
            for row in queries.machines(self.center, self.viewer, site)
            if not row.get("retired")
        }
        free = possible_controls(self.center, site, [name for name in values.get("machines", ()) if name in known])
        names, reasons = _names(self.center, site, list(known), lang)
        title = say("action_form.title" if not frozen else "action_page.revise", lang)
        return document(
            self.center,
            self.viewer,
            lang,
            title,
            self._back(),
            el("div", el("h1", title, cls="title"), cls="opening"),
            action_form.draw(
                action,
                values,
                known,
                {name: known[name] for name in free if name in known},
                names,
                reasons,
                lang,
                frozen=frozen,
                complaints=complaints or (),
            ),
            status=status,
        )

    def _back(self) -> Markup:
        return el("nav", el("a", f"‹ {say('action_list.title', self.lang)}", href=outside(cards.HOME)), cls="crumbs")

    def _gone(self) -> Response:
        title, text = say("action_page.gone", self.lang), say("action_page.gone.help", self.lang)
        return error_page(self.center, self.request, title, text, 404)


def _bad(error: Exception, lang: str) -> list[str]:
    if isinstance(error, BadPlan):
        return [say(f"action_plan.bad.{code}", lang) for code in error.codes]
    if isinstance(error, RefusedStep):
        return [say(f"action_refused.{error.code}", lang)]
    if isinstance(error, ValidationError):
        places = dict.fromkeys(
            str(item["loc"][-1 if isinstance(item["loc"][-1], str) else -2]) for item in error.errors()
        )
        return [say("action_form.bad", lang, fields=", ".join(_label(name, lang) for name in places))]
    return [say("action_form.bad", lang, fields=say("action_form.what", lang))]


def _names(center: CenterState, site: str, machines: list[str], lang: str) -> tuple[dict[str, str], list[str]]:
    """Names of products and reasons, and reasons as parts of a loss."""
    names: dict[str, str] = {}
    reasons: dict[str, None] = {}
    for machine in machines:
        body = center.ledger_cache.sites.body_of(site, machine)
        if body is not None:
            names |= {key: named(item.name, lang, key) for key, item in body.products.items()}
            names |= {key: named(item.name, lang, key) for key, item in body.reasons.items()}
            reasons |= {f"{item.state}/{key}": None for key, item in body.reasons.items() if item.state in LOSS_STATES}
    return names, list(reasons)


def _label(name: str, lang: str) -> str:
    known = {
        "what": "what",
        "owner": "owner",
        "cost": "cost",
        "machines": "machines",
        "controls": "controls",
        "expected_min": "expected",
        "settle_days": "settle",
        "metric": "metric",
    }
    window = name.partition("_")[0]
    return say(f"action_form.{known.get(name, window if window in ('before', 'work', 'after') else 'windows')}", lang)


def add_action_pages(app: FastAPI, center: CenterState, desk: ActionsDesk) -> None:
    """The routes; they return pages, so the API's description leaves them out. `add_error_pages` answers where they raise."""
    frame.link_in_header(cards.HOME, "action_list.title")

    def pages(viewer: Viewer, request: Request) -> _ActionPages:
        return _ActionPages(center, desk, viewer, request)

    @app.get(cards.HOME, include_in_schema=False)
    def listed(viewer: Viewing, request: Request, site: str = "") -> Response:
        return pages(viewer, request).listed(site)

    @app.get(f"{cards.HOME}/new", include_in_schema=False)
    def new(viewer: Aiming, request: Request, site: str = "", machine: str = "", finding: str = "") -> Response:
        return pages(viewer, request).new(site, machine, finding)

    @app.post(f"{cards.HOME}/new", include_in_schema=False)
    async def create(viewer: Aiming, request: Request) -> Response:
        return await run_in_threadpool(pages(viewer, request).create, await request.form())

    @app.get(f"{cards.HOME}/{{action}}", include_in_schema=False)
    def one(viewer: Viewing, request: Request, action: str) -> Response:
        return pages(viewer, request).one(action)

    @app.get(f"{cards.HOME}/{{action}}/edit", include_in_schema=False)
    def edit(viewer: Aiming, request: Request, action: str) -> Response:
        return pages(viewer, request).edit(action)

    @app.post(f"{cards.HOME}/{{action}}/edit", include_in_schema=False)
    async def change(viewer: Aiming, request: Request, action: str) -> Response:
        return await run_in_threadpool(pages(viewer, request).change, action, await request.form())

    @app.post(f"{cards.HOME}/{{action}}/register", include_in_schema=False)
    def register(viewer: Aiming, request: Request, action: str) -> Response:
        return pages(viewer, request).step(action, lambda address: desk.register(viewer, address, action))

    @app.post(f"{cards.HOME}/{{action}}/standardise", include_in_schema=False)
    async def standardise(viewer: Aiming, request: Request, action: str) -> Response:
        text = str((await request.form()).get("text", ""))
        make = lambda address: desk.note(viewer, address, action, "standardise", text)  # noqa: E731
        return await run_in_threadpool(pages(viewer, request).step, action, make)

    @app.post(f"{cards.HOME}/{{action}}/give_up", include_in_schema=False)
    async def give_up(viewer: Aiming, request: Request, action: str) -> Response:
        text = str((await request.form()).get("text", ""))
        make = lambda address: desk.note(viewer, address, action, "give_up", text)  # noqa: E731
        return await run_in_threadpool(pages(viewer, request).step, action, make)

    @app.post(f"{cards.HOME}/{{action}}/comment", include_in_schema=False)
    async def comment(viewer: Writing, request: Request, action: str) -> Response:
        text = str((await request.form()).get("text", ""))
        make = lambda address: desk.note(viewer, address, action, "comment", text)  # noqa: E731
        return await run_in_threadpool(pages(viewer, request).step, action, make)

    @app.post(
        f"{cards.HOME}/{{action}}/files", include_in_schema=False, openapi_extra={"x-most-bytes": _MOST_UPLOAD + 65_536}
    )
    async def upload(viewer: Writing, request: Request, action: str) -> Response:
        at = pages(viewer, request)
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > _MOST_UPLOAD:  # refused before it is read
            return await run_in_threadpool(at.one, action, say("action_refused.file_size", at.lang), 413)
        file = (await request.form(max_files=1, max_fields=5)).get("file")
        name = file.filename or "file" if isinstance(file, UploadFile) else "file"
        content = await file.read() if isinstance(file, UploadFile) else b""
        make = lambda address: desk.file(viewer, address, action, name, content)  # noqa: E731
        return await run_in_threadpool(at.step, action, make)

    @app.get(f"{cards.HOME}/{{action}}/files/{{file}}", include_in_schema=False)
    def download(viewer: Viewing, request: Request, action: str, file: str) -> Response:
        at = pages(viewer, request)
        found = file_of(desk.engine, desk.kept(viewer, action).id, file)
        if found is None:
            return error_page(
                center, request, say("action_page.gone", at.lang), say("action_page.gone.help", at.lang), 404
            )
        return file_response(*found)
