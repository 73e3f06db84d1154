"""The page of a site's maintenance plan: what is due, to say that it was done, and to add and end tasks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from center.api.access import Forbidden, Viewing, Writing, address_of
from center.api.outside import outside
from center.console.document import button, choice, document, field, form, hidden, notice
from center.console.draw.markup import Child, el
from center.console.draw.names import machine_page, maintenance_page, months_page, named
from center.model.times import BadQuestion
from center.outgoing.monthly.plan import DoneRequest, DueAnswer, PlanDesk, TaskAnswer, TaskRequest
from center.outgoing.page_request import SitePageRequest
from center.queries import sites as queries
from center.queries.question import zone_of
from oee.kpi.maintenance import KINDS, TOLERANCES
from oee.model.calendars import local_date
from words import day_text, number, say


def add_plan_pages(app: FastAPI, desk: PlanDesk) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get("/maintenance/{site}", include_in_schema=False)
    def show(request: Request, viewer: Viewing, site: str) -> Response:
        return _Plan(request, desk, viewer, site).page()

    @app.post("/maintenance/{site}", include_in_schema=False)
    async def change(request: Request, viewer: Writing, site: str) -> Response:
        fields = {name: str(value) for name, value in (await request.form()).items()}
        return await run_in_threadpool(_Plan(request, desk, viewer, site).change, fields)


@dataclass(frozen=True)
class _Plan(SitePageRequest[PlanDesk]):
    """One request of a viewer about one site's plan. Raises `UnknownSite` and `StoreUnavailable`, which become pages."""

    WORDS = "maintenance."

    def change(self, fields: Mapping[str, str]) -> Response:
        """Does what the form says; only the center's people add and end tasks."""
        act, address = fields.get("act", ""), address_of(self.request)
        if act != "done" and not self.viewer.may("aim"):
            raise Forbidden("this needs the right 'aim': the center's engineers and administrators make the plan")
        try:
            if act == "done":
                asked = DoneRequest.model_validate({key: fields.get(key, "") for key in ("due", "done", "note")})
                self.desk.done(self.viewer, address, fields.get("task", ""), asked)
            elif act == "end":
                self.desk.end(self.viewer, address, fields.get("task", ""), date.fromisoformat(fields.get("last", "")))
            else:
                names = ("machine", "title", "kind", "every_days", "first", "tolerance")
                made = TaskRequest.model_validate({"site": self.site} | {key: fields.get(key, "") for key in names})
                self.desk.add(self.viewer, address, made)
        except ValidationError as error:
            first = error.errors()[0]
            detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            return self.page(notice(self.tell("not_saved", detail=detail), "bad"), 422)
        except (BadQuestion, ValueError) as error:
            return self.page(notice(self.tell("not_saved", detail=error), "bad"), 422)
        return self.page(notice(self.tell(f"saved.{act if act in ('done', 'end') else 'add'}"), "good"))

    def page(self, message: Child = None, status: int = 200) -> HTMLResponse:
        """The page. message: about the last change."""
        center, lang = self.desk.center, self.lang
        site = named(queries.site(center, self.viewer, self.site)["name"], lang, self.site)
        machines = [row for row in queries.machines(center, self.viewer, self.site) if not row.get("retired")]
        names = {row["id"]: named(row["name"], lang, row["id"]) for row in machines}
        tasks = self.desk.listed(self.viewer, self.site)
        title = self.tell("of_site", site=site)
        crumbs = el(
            "nav", el("a", say("console.fleet", lang), href=outside("/")), el("span", "›"), el("span", site),
            el("a", say("months.link", lang), href=months_page(self.site), cls="aside"), cls="crumbs",
        )  # fmt: skip
        rows = [self._task(task, names) for task in tasks]
        listed = el("ul", *rows, cls="rows plan") if rows else el("p", self.tell("none"), cls="empty")
        head = el("div", el("h1", title), cls="admin-head")
        new = self._new(names) if self.viewer.may("aim") else el("p", self.tell("only_center"), cls="soft")
        note = el("p", self.tell("note"), cls="soft")
        return document(center, self.viewer, lang, title, crumbs, head, message, note, listed, new, status=status)

    def _today(self) -> date:
        return local_date(zone_of(self.desk.center, self.viewer, self.site), self.desk.center.now_ns())

    def _day(self, text: str) -> str:
        return day_text(date.fromisoformat(text), self.lang)

    def _task(self, task: TaskAnswer, names: Mapping[str, str]) -> Markup:
        machine = el("a", names.get(task["machine"], task["machine"]), href=machine_page(self.site, task["machine"]))
        told = say("monthly.every", self.lang, n=number(task["every_days"], self.lang))
        kind = say(f"monthly.kind.{task['kind']}", self.lang)
        ends = (
            self.tell("ends", day=self._day(task["last"]))
            if task["last"]
            else self.tell("filed")
            if task["filed"]
            else ""
        )
        head = el(
            "div", el("b", task["title"]), el("span", machine, f" · {kind} · {told} {ends}", cls="soft"), cls="who"
        )
        dues = el("ul", *(self._due(task, due) for due in task["dues"]), cls="dues")
        return el(
            "li",
            head,
            dues,
            self._end(task) if self.viewer.may("aim") and not task["last"] and not task["filed"] else None,
        )

    def _due(self, task: TaskAnswer, due: DueAnswer) -> Markup:
        state = el("span", say(f"monthly.due.{due['state']}", self.lang), cls=f"plate due-{due['state']}")
        when = self.tell("due", due=self._day(due["due"]), until=self._day(due["until"]))
        if due["done"]:
            said = self.tell("done", day=self._day(due["done"]), who=due["by"])
            return el("li", state, el("span", when), el("span", f"{said} {due['note']}".strip(), cls="soft"))
        if not self.viewer.may("write") or date.fromisoformat(due["due"]) > self._today():
            return el("li", state, el("span", when))
        today = self._today().isoformat()
        sent = form(
            maintenance_page(self.site),
            hidden({"act": "done", "task": task["id"], "due": due["due"]}),
            el("input", type="date", name="done", value=today, max=today, aria_label=self.tell("done_on"), required=""),
            el(
                "input", name="note", maxlength="500", placeholder=self.tell("note_on"), aria_label=self.tell("note_on")
            ),
            button(self.tell("say_done"), "quiet"),
            cls="say-done",
        )
        return el("li", state, el("span", when), sent)

    def _end(self, task: TaskAnswer) -> Markup:
        ending = hidden({"act": "end", "task": task["id"], "last": self._today().isoformat()})
        return form(maintenance_page(self.site), ending, button(self.tell("end"), "quiet danger"), cls="")

    def _new(self, names: Mapping[str, str]) -> Markup:
        def options(prefix: str, keys: Any) -> list[tuple[str, str]]:
            return [(key, say(f"{prefix}.{key}", self.lang)) for key in keys]

        return form(
            maintenance_page(self.site),
            hidden({"act": "add"}),
            choice(say("monthly.head.machine", self.lang), "machine", sorted(names.items())),
            field(say("monthly.head.task", self.lang), "title", required="", maxlength="200"),
            choice(say("monthly.head.kind", self.lang), "kind", options("monthly.kind", KINDS)),
            field(self.tell("every"), "every_days", "number", "30", min="1", max="3660", required=""),
            field(self.tell("first"), "first", "date", self._today().isoformat(), required=""),
            choice(self.tell("tolerance"), "tolerance", options("maintenance.tolerance", TOLERANCES)),
            button(self.tell("add")),
            cls="form fold add",
        )
