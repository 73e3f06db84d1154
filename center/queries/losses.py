"""Where scheduled time went, and how much of it nobody accounts for."""

from collections.abc import Sequence
from typing import Any, Final

from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.scope import Scope, scope
from center.runtime.state import CenterState
from oee.kpi import kpi
from oee.model.facts import FACT_COLUMNS, STATE_COLUMNS
from oee.model.states import CalendarClass, State

_UNKNOWN: Final = State.UNKNOWN.word
_KNOWN_COLUMNS: Final = tuple(name for name in STATE_COLUMNS if name != "unknown_ms")


def losses(
    center: CenterState,
    viewer: Viewer,
    site: str,
    machines: Sequence[str] = (),
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    by: Sequence[str] = ("machine", "state", "reason"),
    bucket: str = "all",
) -> dict[str, Any]:
    """Lost scheduled time and the pieces counted in it, the largest first within a bucket.

    Unknown time is what the calendar planned and nobody accounts for, wherever that can be told (bucket `all`, not
    by product or shift); elsewhere it is what the gateway itself knew to be missing.
    """
    groups = ("machine", "shift", "product", "calendar", "state", "reason")
    asked = scope(center, viewer, site, machines, start_ns=start_ns, end_ns=end_ns, bucket=bucket, by=by, groups=groups)
    lost = center.store.losses(asked.query("calendar", "state"))
    told = bucket == "all" and not {"product", "shift", "calendar"} & set(asked.by) and "state" in asked.by
    added: dict[tuple[Any, ...], list[int]] = {}
    for index in range(len(lost)):
        code, state = int(lost.calendar[index]), State(int(lost.state[index])).word
        if ("calendar" not in asked.by and code != CalendarClass.SCHEDULED) or (told and state == _UNKNOWN):
            continue
        cells = {"calendar": CalendarClass(code).word, "state": state}
        key = tuple(cells.get(name) or str(getattr(lost, name)[index]) for name in asked.by)
        total = added.setdefault((int(lost.minute_ns[index]), *key), [0, 0])
        total[0] += int(lost.sums[index, 0])
        total[1] += int(lost.sums[index, 1])
    if told:
        _add_unknown(asked, added)
    rows = [
        {"start": iso(key[0], asked.zone), **dict(zip(asked.by, key[1:], strict=True)), "ms": ms, "pieces": pieces}
        for key, (ms, pieces) in sorted(added.items(), key=lambda item: (item[0][0], -item[1][0], item[0]))
        if ms or pieces
    ]
    return asked.window() | {"rows": rows}


def _add_unknown(asked: Scope, added: dict[tuple[Any, ...], list[int]]) -> None:
    for row in _coverage_rows(asked):
        if row["unknown_ms"]:
            cells = {"machine": row["machine"], "state": _UNKNOWN, "reason": ""}
            total = added.setdefault((asked.start_ns, *(cells[name] for name in asked.by)), [0, 0])
            total[0] += row["unknown_ms"]


def coverage(
    center: CenterState,
    viewer: Viewer,
    site: str,
    machines: Sequence[str] = (),
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> dict[str, Any]:
    """By machine how much of the scheduled time is accounted for."""
    asked = scope(center, viewer, site, machines, start_ns=start_ns, end_ns=end_ns)
    return asked.window() | {"rows": _coverage_rows(asked)}


def _coverage_rows(asked: Scope) -> list[dict[str, Any]]:
    query = scope(asked.center, asked.viewer, asked.site, asked.machines, start_ns=asked.start_ns, end_ns=asked.end_ns)
    facts = asked.center.store.facts(query.query("calendar"))
    sums = {
        str(facts.machine[index]): facts.sums[index]
        for index in range(len(facts))
        if facts.calendar[index] == CalendarClass.SCHEDULED
    }
    rows = []
    for machine, item in query.expected.items():
        scheduled_ms = sum(item.scheduled.values()) if item else None
        named = dict(zip(FACT_COLUMNS, sums[machine].tolist(), strict=True)) if machine in sums else {}
        known_ms = sum(named.get(name, 0) for name in _KNOWN_COLUMNS)
        result = kpi.compute(named, scheduled_ms=scheduled_ms)
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
