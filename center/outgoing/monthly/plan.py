"""The maintenance plan of a site for a viewer, and HTTP for it: tasks, what is due, and what was done."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine
from typing_extensions import TypedDict

from center.api.access import Aiming, Viewing, Writing, address_of
from center.api.parameters import V1, SiteName
from center.api.problems import PROBLEMS
from center.database.filed_tasks import BY, filed_tasks, whole_plan
from center.database.maintenance import (
    DoneTask,
    KeptTask,
    end_task,
    mark_done,
    new_task,
    prepare_maintenance,
    task_of,
    tasks_of,
)
from center.model.times import BadQuestion, known_day
from center.model.viewer import Viewer
from center.queries.question import UnknownSite, require_machines, zone_of
from center.runtime.state import CenterState
from oee.kpi.maintenance import MOST_DAYS, DueState, MaintenanceKind, PlannedTask, Tolerance, due_between
from oee.model.calendars import local_date

RecordChange = Callable[[Connection, str, str, str, KeptTask, dict[str, Any]], None]
"""Enters a change into the audit trail in its own transaction: who, from which address, what, the task, and details."""
BACK: Final = timedelta(days=62)
AHEAD: Final = timedelta(days=31)
"""So far back and ahead due dates are listed."""
MOST_TASKS: Final = 500


class TaskRequest(BaseModel):
    """A task to be added to the plan."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[str, Field(max_length=64, examples=["van-long"])]
    machine: Annotated[str, Field(max_length=64, examples=["press-1"])]
    title: Annotated[str, Field(min_length=1, max_length=200, examples=["Thay dầu thủy lực"])]
    kind: MaintenanceKind = "preventive"
    every_days: Annotated[int, Field(ge=1, le=MOST_DAYS, description="Days from one due date to the next.")]
    first: Annotated[date, Field(description="The first due date.")]
    tolerance: Annotated[
        Tolerance,
        Field(description="In time until the due date, a day more, or a fifth of the interval more (1 to 28 days)."),
    ] = "fifth"


class DoneRequest(BaseModel):
    """That a task was done."""

    model_config = ConfigDict(extra="forbid")

    due: Annotated[date, Field(description="The due date that it was done for.")]
    done: Annotated[date, Field(description="When it was done.")]
    note: Annotated[str, Field(max_length=500)] = ""


class EndRequest(BaseModel):
    """That a task ends."""

    model_config = ConfigDict(extra="forbid")

    last: Annotated[date, Field(description="The last day on which it may be due.")]


class DueAnswer(TypedDict):
    """A due date. state: in_time, late, overdue or open."""

    due: str
    until: str
    done: str | None
    by: str
    note: str
    state: DueState


class TaskAnswer(TypedDict):
    """A task with the due dates of two months back and one ahead."""

    id: str
    machine: str
    title: str
    kind: MaintenanceKind
    every_days: int
    first: str
    last: str | None
    tolerance: Tolerance
    by: str
    filed: Annotated[bool, Field(description="It stands in a site file and is changed there.")]
    dues: list[DueAnswer]


@dataclass(frozen=True)
class PlanDesk:
    """Found in the application's state. All methods raise `UnknownSite` also for what the viewer may not see, `BadQuestion`, and
    `StoreUnavailable`.
    """

    center: CenterState
    engine: Engine
    record: RecordChange
    notices: Engine | None = None

    def listed(self, viewer: Viewer, site: str) -> list[TaskAnswer]:
        """The tasks that may still be due, by machine."""
        today = self._today(viewer, site)
        every, done = self._plan(viewer, site)
        tasks = [task for task in every if task.plan.last is None or task.plan.last >= today - BACK]
        return [_answer(task, done.get(task.id, {}), today) for task in tasks]

    def add(self, viewer: Viewer, address: str, asked: TaskRequest) -> KeptTask:
        """A new task."""
        zone_of(self.center, viewer, asked.site)
        require_machines(self.center, asked.site, (asked.machine,))
        known_day("first", asked.first)
        if len(tasks_of(self.engine, asked.site)) >= MOST_TASKS:
            raise BadQuestion(
                f"site: {asked.site!r} has {MOST_TASKS} tasks, those that ended included; that is all it may have"
            )
        plan = PlannedTask(asked.every_days, asked.first, None, asked.tolerance)
        title = " ".join(asked.title.split())
        if not title:
            raise BadQuestion("title: a task needs a name; write for example Thay dầu thủy lực")
        task = KeptTask("", asked.site, asked.machine, title, asked.kind, plan, viewer.name, self.center.now_ns())
        return new_task(self.engine, task, partial(self._enter, viewer, address))

    def end(self, viewer: Viewer, address: str, number: str, last: date) -> None:
        """A task is due no more after this day."""
        task = self._task(viewer, number)
        known_day("last", last)
        if task.by == BY:
            raise BadQuestion("task: it stands in a site file; change or remove it there")
        if last < task.plan.first - timedelta(days=1):
            raise BadQuestion(f"last: {last.isoformat()} is before the task begins, {task.plan.first.isoformat()}")
        end_task(self.engine, number, last, partial(self._enter, viewer, address))

    def done(self, viewer: Viewer, address: str, number: str, asked: DoneRequest) -> None:
        """A task was done."""
        task = self._task(viewer, number)
        today = self._today(viewer, task.site)
        if asked.done > today:
            raise BadQuestion(f"done: {asked.done.isoformat()} has not come yet")
        if not due_between(task.plan, asked.due, asked.due, {}):
            raise BadQuestion(
                f"due: {asked.due.isoformat()} is no due date of this task; GET {V1}/maintenance lists them"
            )
        earliest = asked.due - timedelta(days=task.plan.every_days)
        if asked.done <= earliest:
            raise BadQuestion(
                f"done: {asked.done.isoformat()} is no later than the due date before, {earliest.isoformat()}"
            )
        note = " ".join(asked.note.split())
        item = DoneTask(number, asked.due, asked.done, viewer.name, note, self.center.now_ns())
        filed = task if task.by == BY else None
        mark_done(self.engine, item, partial(self._enter, viewer, address), filed)

    def _today(self, viewer: Viewer, site: str) -> date:
        return local_date(zone_of(self.center, viewer, site), self.center.now_ns())

    def _task(self, viewer: Viewer, number: str) -> KeptTask:
        task = task_of(self.engine, number)
        if task is not None and viewer.sees(task.site):
            return task
        sites = self.center.ledger_cache.sites
        for site in viewer.seen(sites.ids()) if number.startswith("f") else ():
            for item in filed_tasks(sites, site, zone_of(self.center, viewer, site)):
                if item.task.id == number:
                    return item.task
        raise UnknownSite(f"there is no task {number[:64]!r}; GET {V1}/maintenance lists them")

    def _plan(self, viewer: Viewer, site: str) -> tuple[list[KeptTask], dict[str, dict[date, DoneTask]]]:
        zone = zone_of(self.center, viewer, site)
        return whole_plan(self.center.ledger_cache.sites, self.engine, self.notices, site, zone)

    def _enter(
        self, viewer: Viewer, address: str, connection: Connection, what: str, task: KeptTask, detail: dict[str, Any]
    ) -> None:
        self.record(connection, viewer.name, address, what, task, detail)


def _answer(task: KeptTask, done: dict[date, DoneTask], today: date) -> TaskAnswer:
    dates = {due: item.done for due, item in done.items()}
    dues: list[DueAnswer] = []
    for due in due_between(task.plan, today - BACK, today + AHEAD, dates):
        said = done.get(due.due)
        dues.append(
            {
                "due": due.due.isoformat(),
                "until": due.until.isoformat(),
                "done": due.done.isoformat() if due.done else None,
                "by": said.who if said else "",
                "note": said.note if said else "",
                "state": due.state(today),
            }
        )
    return {
        "id": task.id,
        "machine": task.machine,
        "title": task.title,
        "kind": task.kind,
        "every_days": task.plan.every_days,
        "first": task.plan.first.isoformat(),
        "last": task.plan.last.isoformat() if task.plan.last else None,
        "tolerance": task.plan.tolerance,
        "by": task.by,
        "filed": task.by == BY,
        "dues": dues,
    }


def add_maintenance(app: FastAPI, desk: PlanDesk) -> None:
    """The routes; pages find the desk in the application's state."""
    prepare_maintenance(desk.engine)
    app.state.maintenance = desk

    @app.get(f"{V1}/maintenance", responses=PROBLEMS)
    def maintenance(viewer: Viewing, site: SiteName) -> list[TaskAnswer]:
        """The maintenance plan of a site, with what was due lately, what is due soon, and what was done."""
        return desk.listed(viewer, site)

    @app.post(f"{V1}/maintenance", responses=PROBLEMS)
    def add_task(viewer: Aiming, request: Request, asked: TaskRequest) -> list[TaskAnswer]:
        """Adds a task to the plan. A task is never edited: end it, and add another."""
        desk.add(viewer, address_of(request), asked)
        return desk.listed(viewer, asked.site)

    @app.post(f"{V1}/maintenance/{{task}}/done", responses=PROBLEMS)
    def task_done(viewer: Writing, request: Request, task: str, asked: DoneRequest) -> dict[str, str]:
        """Says that a task was done, in place of what was said before about the same due date."""
        desk.done(viewer, address_of(request), task, asked)
        return {"task": task, "due": asked.due.isoformat(), "done": asked.done.isoformat()}

    @app.post(f"{V1}/maintenance/{{task}}/end", responses=PROBLEMS)
    def task_ends(viewer: Aiming, request: Request, task: str, asked: EndRequest) -> dict[str, str]:
        """Ends a task: it is due no more after a day."""
        desk.end(viewer, address_of(request), task, asked.last)
        return {"task": task, "last": asked.last.isoformat()}
