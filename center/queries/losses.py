"""Losses of scheduled time, and how much of it is not accounted for."""

from dataclasses import replace
from typing import Any, Final, NotRequired, cast

from typing_extensions import TypedDict

from center.model.times import iso
from center.queries.question import CheckedQuestion, NextPage, Question, WindowAnswer, check
from center.runtime.state import CenterState
from oee.kpi import kpi
from oee.model.facts import FACT_COLUMNS, STATE_COLUMNS
from oee.model.states import CalendarClass, State

_UNKNOWN: Final = State.UNKNOWN.word
_KNOWN_COLUMNS: Final = tuple(name for name in STATE_COLUMNS if name != "unknown_ms")
_GROUPS: Final = ("machine", "shift", "product", "calendar", "state", "reason")


class LossRow(TypedDict):
    start: str
    machine: NotRequired[str | None]
    state: NotRequired[str | None]
    reason: NotRequired[str | None]
    shift: NotRequired[str | None]
    product: NotRequired[str | None]
    calendar: NotRequired[str | None]
    ms: int
    pieces: int


class LossesAnswer(WindowAnswer):
    rows: list[LossRow]
    next: NotRequired[NextPage]


class CoverageRow(TypedDict):
    machine: str
    scheduled_ms: int | None
    known_ms: int
    unknown_ms: int | None
    coverage: float | None


class CoverageAnswer(WindowAnswer):
    rows: list[CoverageRow]
    next: NotRequired[NextPage]


def losses(center: CenterState, question: Question) -> LossesAnswer:
    """Lost scheduled time [ms] and the pieces counted in it, the largest first within a bucket.

    Unknown time is scheduled time that no fact accounts for, wherever that can be computed (bucket `all`, not by
    product, shift or calendar); elsewhere it is what the gateway itself reported as unknown.
    Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`.
    """
    checked = check(center, question, _GROUPS)
    lost = center.store.losses(checked.query("calendar", "state"))
    by = checked.by
    computed = checked.bucket == "all" and not {"product", "shift", "calendar"} & set(by) and "state" in by
    totals: dict[tuple[Any, ...], list[int]] = {}
    for index in range(len(lost)):
        code, state = int(lost.calendar[index]), State(int(lost.state[index])).word
        if ("calendar" not in by and code != CalendarClass.SCHEDULED) or (computed and state == _UNKNOWN):
            continue
        words = {"calendar": CalendarClass(code).word, "state": state}
        key = tuple(words.get(name) or str(getattr(lost, name)[index]) for name in by)
        total = totals.setdefault((int(lost.minute_ns[index]), *key), [0, 0])
        total[0] += int(lost.sums[index, 0])
        total[1] += int(lost.sums[index, 1])
    if computed:
        _add_unknown(checked, totals)
    rows = [
        {"start": iso(key[0], checked.zone), **dict(zip(by, key[1:], strict=True)), "ms": ms, "pieces": pieces}
        for key, (ms, pieces) in sorted(totals.items(), key=lambda item: (item[0][0], -item[1][0], item[0]))
        if ms or pieces
    ]
    return {**checked.window(), "rows": cast("list[LossRow]", rows), "next": None}  # `by` holds column names of the row


def _add_unknown(checked: CheckedQuestion, totals: dict[tuple[Any, ...], list[int]]) -> None:
    for row in _coverage_rows(replace(checked, bucket="all", by=("machine",))):
        if row["unknown_ms"]:
            cells = {"machine": row["machine"], "state": _UNKNOWN, "reason": ""}
            total = totals.setdefault((checked.start_ns, *(cells[name] for name in checked.by)), [0, 0])
            total[0] += row["unknown_ms"]


def coverage(center: CenterState, question: Question) -> CoverageAnswer:
    """By machine how much of the scheduled time is accounted for. Raises `UnknownSite`, `BadQuestion` or `StoreUnavailable`."""
    checked = check(center, replace(question, bucket="all", by=("machine",)))
    return {**checked.window(), "rows": _coverage_rows(checked), "next": None}


def _coverage_rows(checked: CheckedQuestion) -> list[CoverageRow]:
    facts = checked.center.store.facts(checked.query("calendar"))
    sums = {
        str(facts.machine[index]): facts.sums[index]
        for index in range(len(facts))
        if facts.calendar[index] == CalendarClass.SCHEDULED
    }
    rows: list[CoverageRow] = []
    for machine, item in checked.expected.items():
        scheduled_ms = sum(item.scheduled.values()) if item else None
        by_column = dict(zip(FACT_COLUMNS, sums[machine].tolist(), strict=True)) if machine in sums else {}
        known_ms = sum(by_column.get(name, 0) for name in _KNOWN_COLUMNS)
        result = kpi.compute(by_column, scheduled_ms=scheduled_ms)
        rows.append(
            {
                "machine": machine,
                "scheduled_ms": scheduled_ms,
                "known_ms": known_ms,
                "unknown_ms": None if scheduled_ms is None else scheduled_ms - known_ms,
                "coverage": result.values["coverage"],
            }
        )
    return rows
