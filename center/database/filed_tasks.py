"""The maintenance plan that site files say, as tasks of the center, and what was said at the gateways to be done.

A task of a site file is never edited either: where a new file says something else of it, it ends the day before, and another begins. So a
past month keeps the plan that held in it. Due dates lie on the grid of the file's first one, from the day on which the file came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from hashlib import sha256
from typing import Final, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from center.database.maintenance import DoneTask, KeptTask, done_of, tasks_of
from center.database.notices import NoticeRecord, listed
from center.model.site_revisions import Revision
from center.model.sites import Sites
from oee.kpi.maintenance import KINDS, TOLERANCES, MaintenanceKind, PlannedTask, Tolerance
from oee.model.calendars import local_date
from wire.site import SiteTask

KIND: Final = "maintained"
"""Of notices that say that a task was done: about, the task's key; of, its due date."""
BY: Final = "site file"
_DAY: Final = timedelta(days=1)
_MOST_NOTICES: Final = 20_000


@dataclass(frozen=True)
class FiledTask:
    """A task with the gateway and the key under which its file has it."""

    gateway: str
    key: str
    task: KeptTask


def filed_tasks(sites: Sites, site: str, zone: ZoneInfo) -> list[FiledTask]:
    """Every task that a site file of any gateway ever said, those that ended too."""
    return [
        item
        for gateway in sites.gateways(site)
        for item in _of_gateway(site, gateway, sites.revisions(site, gateway), zone)
    ]


def _of_gateway(site: str, gateway: str, revisions: Sequence[Revision], zone: ZoneInfo) -> list[FiledTask]:
    running: dict[str, tuple[SiteTask, FiledTask]] = {}
    ended: list[FiledTask] = []
    for revision in revisions:
        day, said = local_date(zone, revision.valid_from_ns), revision.body.maintenance
        for key in [key for key, (before, _) in running.items() if said.get(key) != before]:
            _, item = running.pop(key)
            task = item.task
            ended.append(replace(item, task=replace(task, plan=replace(task.plan, last=day - _DAY))))
        for key, told in said.items():
            if key not in running and told.kind in KINDS and told.tolerance in TOLERANCES:
                running[key] = (
                    told,
                    FiledTask(gateway, key, _task(site, gateway, key, told, day, revision.valid_from_ns)),
                )
    return [*ended, *(item for _, item in running.values())]


def _task(site: str, gateway: str, key: str, told: SiteTask, day: date, at_ns: int) -> KeptTask:
    behind = max((day - told.first).days, 0)
    first = told.first + timedelta(days=-(-behind // told.every_days) * told.every_days)
    number = "f" + sha256(f"{site}/{gateway}/{key}/{told.model_dump_json()}/{day}".encode()).hexdigest()[:15]
    title = told.name.get("vi") or next(iter(told.name.values()), key)
    plan = PlannedTask(told.every_days, first, None, cast("Tolerance", told.tolerance))
    return KeptTask(number, site, told.machine, title, cast("MaintenanceKind", told.kind), plan, BY, at_ns)


def whole_plan(
    sites: Sites, engine: Engine, notices: Engine | None, site: str, zone: ZoneInfo
) -> tuple[list[KeptTask], dict[str, dict[date, DoneTask]]]:
    """The tasks of the center and of site files, by machine and title, and by task and due date what was done. Raises
    `StoreUnavailable`.
    """
    filed = filed_tasks(sites, site, zone)
    tasks = sorted([*tasks_of(engine, site), *(item.task for item in filed)], key=_order)
    done = done_of(engine, tasks)
    if not filed or notices is None:
        return tasks, done
    rows = listed(notices, [site], kinds=(KIND, "take_back"), limit=_MOST_NOTICES)
    return tasks, merged(told_done(filed, rows, zone), done)


def _order(task: KeptTask) -> tuple[str, str, date, str]:
    return task.machine, task.title, task.plan.first, task.id


def told_done(
    tasks: Iterable[FiledTask], notices: Iterable[NoticeRecord], zone: ZoneInfo
) -> dict[str, dict[date, DoneTask]]:
    """By task and due date what was said at the gateways. notices: of kind `KIND` and of those that take one back, in any order."""
    rows = list(notices)
    wrong = {row.notice.of for row in rows if row.notice.kind == "take_back"}
    by_key: dict[tuple[str, str, str], list[KeptTask]] = {}
    for item in tasks:
        by_key.setdefault((item.gateway, item.key, item.task.machine), []).append(item.task)
    out: dict[str, dict[date, DoneTask]] = {}
    for row in sorted(rows, key=lambda row: row.notice.at_ns):
        notice = row.notice
        if notice.kind != KIND or notice.id in wrong:
            continue
        try:
            due = date.fromisoformat(notice.of)
        except ValueError:
            continue  # a gateway of a later version may say it otherwise
        for task in by_key.get((row.gateway, notice.about, notice.machine), ()):
            if is_due(task.plan, due):
                done = DoneTask(task.id, due, local_date(zone, notice.at_ns), notice.by, notice.text, notice.at_ns)
                out.setdefault(task.id, {})[due] = done
    return out


def is_due(plan: PlannedTask, due: date) -> bool:
    """Whether the plan has this due date."""
    ends = plan.last is None or due <= plan.last
    return due >= plan.first and ends and (due - plan.first).days % plan.every_days == 0


def merged(
    one: dict[str, dict[date, DoneTask]], two: dict[str, dict[date, DoneTask]]
) -> dict[str, dict[date, DoneTask]]:
    """What was said last of each due date."""
    out = {task: dict(items) for task, items in one.items()}
    for task, items in two.items():
        kept = out.setdefault(task, {})
        for due, item in items.items():
            if due not in kept or kept[due].at_ns <= item.at_ns:
                kept[due] = item
    return out
