"""The result of a replay as one object of plain values, for `--json`."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import words
from replay.drive import ReplayResult
from replay.read.conflicts import Conflict
from replay.read.times import iso
from replay.report.ideals import ideal_times
from replay.report.insights import changeover_pairs, orders, paretos, six_losses, waterfalls
from replay.rows import DEFAULT_BY, length_ms, losses, rows, stop_row


def as_json(
    result: ReplayResult, by: Sequence[str] = DEFAULT_BY, formula: str = "", lang: str = "en"
) -> dict[str, Any]:
    """The object; lists are empty where no sample could be used."""
    zone = ZoneInfo(result.site.timezone)
    window, observed = result.window, result.totals.observations
    chosen = formula or result.site.formula
    bounds: Mapping[str, Any] | None = None
    if window is not None:
        bounds = {"from": iso(window.start_ns, zone), "to": iso(window.end_ns, zone), "ms": length_ms(result)}
    return {
        "site": result.site.site,
        "timezone": result.site.timezone,
        "formula": chosen,
        "window": bounds,
        "samples": result.rows,
        "by": list(by),
        "rows": rows(result, by, formula) if window is not None else [],
        "losses": losses(result),
        "stops": [stop_row(kept, zone) for kept in result.totals.stops()],
        "stops_left_out": result.totals.stops_left_out,
        "waterfall": waterfalls(result, chosen) if window is not None else [],
        "pareto": paretos(result),
        "six_big_losses": six_losses(result, chosen) if window is not None else [],
        "changeovers": {
            "pairs": changeover_pairs(result),
            "unpaired": observed.unpaired,
            "unpaired_ms": observed.unpaired_ms,
            "still_open": observed.still_open,
        },
        "ideal_times": ideal_times(result),
        "orders": orders(result, chosen) if window is not None else [],
        "conflicts": [_conflict(item, lang) for item in result.conflicts],
    }


def _conflict(item: Conflict, lang: str) -> dict[str, Any]:
    """A conflict with its text."""
    return {
        "severity": item.severity,
        "file": item.file,
        "line": item.line,
        "column": item.key,
        "value": item.value,
        "code": item.code,
        "count": item.count,
        "values": dict(item.values),
        "text": words.complaint(item, lang),
    }
