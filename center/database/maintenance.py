"""The maintenance plan of each site, kept at the center: its tasks, and which of their due dates were done.

A task is never edited: it ends, and another begins, so that a past month keeps the plan that held in it.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Column, Connection, Engine, Integer, MetaData, String, Table, select

from center.database.sql import prepare, reading, writing
from oee.kpi.maintenance import MaintenanceKind, PlannedTask, Tolerance

_META: Final = MetaData()
TASKS: Final = Table(
    "maintenance_tasks",
    _META,
    Column("id", String(32), primary_key=True),
    Column("site", String(64), nullable=False, index=True),
    Column("machine", String(64), nullable=False),
    Column("title", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("every_days", Integer, nullable=False),
    Column("first", String(10), nullable=False),
    Column("last", String(10), nullable=False),  # "" for no end
    Column("tolerance", String(8), nullable=False),
    Column("set_by", String(80), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
DONE: Final = Table(
    "maintenance_done",
    _META,
    Column("task", String(32), primary_key=True),
    Column("due", String(10), primary_key=True),
    Column("done", String(10), nullable=False),
    Column("who", String(80), nullable=False),
    Column("note", String(500), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class KeptTask:
    """A task of a site's plan. by, at_ns: who set it and when [ns UTC]."""

    id: str
    site: str
    machine: str
    title: str
    kind: MaintenanceKind
    plan: PlannedTask
    by: str
    at_ns: int


@dataclass(frozen=True)
class DoneTask:
    """What somebody said about a due date of a task: when it was done. at_ns: when they said so."""

    task: str
    due: date
    done: date
    who: str
    note: str
    at_ns: int


RecordTask = Callable[[Connection, str, KeptTask, dict[str, Any]], None]
"""Enters a change into the audit trail in its own transaction: `maintenance.<what>`, the task, and details."""


def _first(connection: Connection) -> None:
    _META.create_all(connection)


_STEPS: Final = (_first,)


def prepare_maintenance(engine: Engine) -> None:
    """Creates or migrates the tables in an open database. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "maintenance", _STEPS, _META.sorted_tables)


def new_task(engine: Engine, task: KeptTask, record: RecordTask) -> KeptTask:
    """Adds a task; its id is made here. Raises `StoreUnavailable`."""
    kept = replace(task, id=secrets.token_hex(8))
    with writing(engine) as connection:
        connection.execute(TASKS.insert().values(**_row(kept)))
        record(connection, "added", kept, {"every_days": kept.plan.every_days, "first": kept.plan.first.isoformat()})
    return kept


def end_task(engine: Engine, number: str, last: date, record: RecordTask) -> KeptTask | None:
    """Ends a task with this day, None if there is no such task. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        task = _one(connection, number)
        if task is None:
            return None
        ended = replace(task, plan=replace(task.plan, last=last))
        connection.execute(TASKS.update().where(TASKS.c.id == number).values(last=last.isoformat()))
        record(connection, "ended", ended, {"last": last.isoformat()})
    return ended


def mark_done(engine: Engine, item: DoneTask, record: RecordTask, filed: KeptTask | None = None) -> KeptTask | None:
    """Says that a due date's task was done, in place of what was said before; None if there is no such task. filed: the task where it stands
    in a site file. Raises `StoreUnavailable`.
    """
    at = (DONE.c.task == item.task, DONE.c.due == item.due.isoformat())
    with writing(engine) as connection:
        task = filed or _one(connection, item.task)
        if task is None:
            return None
        before = connection.scalar(select(DONE.c.done).where(*at))
        connection.execute(DONE.delete().where(*at))
        texts = {"task": item.task, "due": item.due.isoformat(), "done": item.done.isoformat()}
        connection.execute(DONE.insert().values(**texts, who=item.who[:80], note=item.note[:500], at_ns=item.at_ns))
        record(connection, "done", task, texts | {"before": before or "", "note": item.note[:500]})
    return task


def tasks_of(engine: Engine, site: str) -> list[KeptTask]:
    """The site's tasks, by machine and title, those that ended too. Raises `StoreUnavailable`."""
    order = (TASKS.c.machine, TASKS.c.title, TASKS.c.first, TASKS.c.id)
    with reading(engine) as connection:
        return [_kept(row) for row in connection.execute(select(TASKS).where(TASKS.c.site == site).order_by(*order))]


def task_of(engine: Engine, number: str) -> KeptTask | None:
    """The task with this id, None if there is none. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        row = connection.execute(select(TASKS).where(TASKS.c.id == number)).first()
    return None if row is None else _kept(row)


def done_of(engine: Engine, tasks: Sequence[KeptTask]) -> dict[str, dict[date, DoneTask]]:
    """By task and due date what was done. Raises `StoreUnavailable`."""
    out: dict[str, dict[date, DoneTask]] = {}
    with reading(engine) as connection:
        for row in connection.execute(select(DONE).where(DONE.c.task.in_([task.id for task in tasks]))):
            due = date.fromisoformat(row.due)
            item = DoneTask(row.task, due, date.fromisoformat(row.done), row.who, row.note, row.at_ns)
            out.setdefault(row.task, {})[due] = item
    return out


def _one(connection: Connection, number: str) -> KeptTask | None:
    row = connection.execute(select(TASKS).where(TASKS.c.id == number).with_for_update()).first()
    return None if row is None else _kept(row)


def _row(task: KeptTask) -> dict[str, Any]:
    plan = task.plan
    return {
        "id": task.id,
        "site": task.site,
        "machine": task.machine,
        "title": task.title[:200],
        "kind": task.kind,
        "every_days": plan.every_days,
        "first": plan.first.isoformat(),
        "last": plan.last.isoformat() if plan.last else "",
        "tolerance": plan.tolerance,
        "set_by": task.by[:80],
        "at_ns": task.at_ns,
    }


def _kept(row: Any) -> KeptTask:
    last = date.fromisoformat(row.last) if row.last else None
    plan = PlannedTask(row.every_days, date.fromisoformat(row.first), last, cast("Tolerance", row.tolerance))
    kind = cast("MaintenanceKind", row.kind)
    return KeptTask(row.id, row.site, row.machine, row.title, kind, plan, row.set_by, row.at_ns)
