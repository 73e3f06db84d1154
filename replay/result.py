"""Everything that a replay came to as one object of plain values."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import words
from replay.drive import Outcome
from replay.ideals import ideal_times
from replay.read.conflicts import Conflict
from replay.read.times import iso
from replay.report.insights import changeover_pairs, orders, paretos, six_losses, waterfalls
from replay.rows import DEFAULT_BY, length_ms, losses, rows, stop_row


def as_json(outcome: Outcome, by: Sequence[str] = DEFAULT_BY, formula: str = "", lang: str = "en") -> dict[str, Any]:
    """The object; lists are empty where no sample could be used."""
    zone = ZoneInfo(outcome.site.timezone)
    window, gathered = outcome.window, outcome.totals.gathered
    chosen = formula or outcome.site.formula
    told: Mapping[str, Any] | None = None
    if window is not None:
        told = {"from": iso(window.start_ns, zone), "to": iso(window.end_ns, zone), "ms": length_ms(outcome)}
    return {
        "site": outcome.site.site,
        "timezone": outcome.site.timezone,
        "formula": chosen,
        "window": told,
        "samples": outcome.rows,
        "by": list(by),
        "rows": rows(outcome, by, formula) if window is not None else [],
        "losses": losses(outcome),
        "stops": [stop_row(kept, zone) for kept in outcome.totals.stops()],
        "stops_left_out": outcome.totals.stops_left_out,
        "waterfall": waterfalls(outcome, chosen) if window is not None else [],
        "pareto": paretos(outcome),
        "six_big_losses": six_losses(outcome, chosen) if window is not None else [],
        "changeovers": {
            "pairs": changeover_pairs(outcome),
            "unpaired": gathered.unpaired,
            "unpaired_ms": gathered.unpaired_ms,
            "still_open": gathered.still_open,
        },
        "ideal_times": ideal_times(outcome),
        "orders": orders(outcome, chosen) if window is not None else [],
        "conflicts": [_conflict(item, lang) for item in outcome.conflicts],
    }


def _conflict(item: Conflict, lang: str) -> dict[str, Any]:
    """A conflict with its sentence."""
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
