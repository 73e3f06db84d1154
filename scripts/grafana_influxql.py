"""The InfluxQL of the boards: sums, and ratios of sums as `oee/kpi/kpi.py` computes them. Pure.

The server leaves a sum out (null) where no row has the column, and answers null for any expression with a null in it, also under
`fill(0)` if no row of the whole database ever had that column (1.8.10). So each sum is a union: a subquery with zeros, and one more for
each column that is added to it. It answers 0 for x / 0, so each ratio has the condition under which it is defined.
"""

from collections.abc import Sequence
from itertools import zip_longest

STATES = ("running_ms", "minor_stop_ms", "unplanned_stop_ms", "breakdown_ms", "setup_ms", "starved_ms", "blocked_ms",
          "planned_stop_ms", "unknown_ms")  # fmt: skip
_HOUR_MS = 3_600_000
_MINOR = "*$minor"
"""Whether minor stops are performance losses (Nakajima, 1) or availability losses (ISO 22400, 0)."""
_TERMS: dict[str, tuple[str, ...]] = {
    "busy": tuple(f"sum({name})" for name in STATES[:7]),
    "operating": ("sum(running_ms)", f"sum(minor_stop_ms){_MINOR}"),
    "ideal_known": ("sum(running_ideal_known_ms)", f"sum(minor_stop_ideal_known_ms){_MINOR}"),
    "total": ("sum(ideal_total_us)",),
    "judged": ("sum(ideal_judged_us)",),
    "good": ("sum(ideal_good_us)",),
    "unwatched": ("sum(ideal_unwatched_us)",),
    "unwatched_good": ("sum(ideal_unwatched_good_us)",),
    "without_ideal": ("sum(running_ms)", "sum(minor_stop_ms)", "sum(running_ideal_known_ms)*-1",
                      "sum(minor_stop_ideal_known_ms)*-1"),
    "reported_unknown": ("sum(unknown_ms)",),
}  # fmt: skip
"""Sums of scheduled time."""
_RECORDED = tuple(f"sum({name})" for name in STATES)
_MINUTES = "(floor(($__to + 1 + busy * 0) / 60000) - ceil(($__from + busy * 0) / 60000)) * 60000"


def ratio(name: str, group: Sequence[str], where: str, *, by_hour: bool = False) -> str:
    """One of `oee`, `availability`, `performance`, `quality`, or `bounds` (`coverage`, `oee_low`, `oee_high`) of each group, by hour
    if wanted; no row where it is not defined.

    The bounds are those of the schedule if there is a row for every minute; time without any row counts as scheduled and unknown.
    """
    window_ms = str(_HOUR_MS) if by_hour else _MINUTES
    unknown = f"(reported_unknown + {window_ms} - recorded)"
    hidden = f"({unknown} + unwatched / 1000 + abs({unknown} - unwatched / 1000)) / 2"
    availability, performance, quality = "operating / busy", "total / 1000 / ideal_known", "good / judged"
    is_oee_defined = (
        "(busy > 0 AND ideal_known > 0 AND judged > 0) OR (busy > 0 AND operating = 0) OR (ideal_known > 0 AND total = 0) "
        "OR (judged > 0 AND good = 0)"
    )
    bounds = (
        f"(good + unwatched_good) / 1000 / (busy + {unknown}) AS oee_low, "
        f"(good / 1000 + (total - judged) / 1000 + without_ideal + {hidden}) / (busy + {unknown}) AS oee_high, "
        f"busy / (busy + {unknown}) AS coverage"
    )
    columns, defined = {
        "availability": (f"{availability} AS availability", "busy > 0"),
        "performance": (f"{performance} AS performance", "ideal_known > 0"),
        "quality": (f"{quality} AS quality", "judged > 0"),
        "oee": (f"({availability}) * ({performance}) * ({quality}) AS oee", is_oee_defined),
        "bounds": (bounds, "busy > 0 OR reported_unknown > 0"),
    }[name]
    always = {"recorded": _RECORDED} if name == "bounds" else {}
    inner = _union(where, group, _TERMS, always, by_hour=by_hour)
    return f"SELECT {columns} FROM ({inner}) WHERE $timeFilter AND ({defined}){_by(group)}"


def sums(columns: Sequence[str], group: Sequence[str], where: str, *, by_hour: bool = False) -> str:
    """Sums of scheduled time."""
    added = ", ".join(f'sum("{name}") AS "{name}"' for name in columns)
    fill = " fill(none)" if by_hour else ""
    return f'SELECT {added} FROM "nhip"."facts" WHERE {_scheduled(where)} AND $timeFilter{_by(group, by_hour)}{fill}'


def losses(group: Sequence[str], where: str) -> str:
    """Lost scheduled time, and the pieces counted in it."""
    added = 'sum("ms") AS "ms", sum("pieces") AS "pieces"'
    return f'SELECT {added} FROM "nhip"."losses" WHERE {_scheduled(where)} AND $timeFilter{_by(group)}'


def recorded(where: str) -> str:
    """By hour and machine how much of the hour has rows, in and out of shifts."""
    inner = _union(where, ["site", "machine"], {}, {"recorded_ms": _RECORDED}, by_hour=True)
    return f"SELECT recorded_ms / {_HOUR_MS} AS recorded FROM ({inner}) WHERE $timeFilter{_by(['site', 'machine'])}"


def last_rows(where: str) -> str:
    """The time of each machine's last row; a row need not have any one column."""
    each = ", ".join(f'(SELECT "{state}" AS v FROM "nhip"."facts" WHERE {where})' for state in STATES)
    return f"SELECT last(v) AS last FROM {each} WHERE $timeFilter{_by(['site', 'machine'])}"


def marks(where: str) -> str:
    """Up to which envelope each stream is settled; the rows lie at time 0."""
    return f'SELECT last("mark") AS "mark" FROM "books"."marks" WHERE {where}{_by(["site", "gateway", "stream", "writer"])}'


def _union(
    where: str,
    group: Sequence[str],
    scheduled: dict[str, tuple[str, ...]],
    always: dict[str, tuple[str, ...]],
    *,
    by_hour: bool,
) -> str:
    parts = []
    zeros = ", ".join(f"sum(running_ms)*0 AS {name}" for name in (*scheduled, *always))
    for terms, condition in ((scheduled, _scheduled(where)), (always, where)):
        for row in zip_longest(*terms.values()):
            asked = ", ".join(f"{item} AS {name}" for name, item in zip(terms, row, strict=True) if item)
            parts.append(f'(SELECT {asked} FROM "nhip"."facts" WHERE {condition}{_by(group, by_hour)})')
    parts.insert(0, f'(SELECT {zeros} FROM "nhip"."facts" WHERE {where}{_by(group, by_hour)})')
    added = ", ".join(f"sum({name}) AS {name}" for name in (*scheduled, *always))
    return f"SELECT {added} FROM {', '.join(parts)}{_by(group, by_hour)} fill(0)"


def _scheduled(where: str) -> str:
    return f"\"calendar\" = 'scheduled' AND {where}"


def _by(group: Sequence[str], by_hour: bool = False) -> str:
    tags = [*(["time(1h)"] if by_hour else []), *(f'"{tag}"' for tag in group)]
    return f" GROUP BY {', '.join(tags)}" if tags else ""
