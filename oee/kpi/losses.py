"""Where the time went: from all time to fully productive time, and the six big losses. Pure.

The waterfall takes losses from a total until the next total is left, in ideal-time microseconds and in pieces:

    all_time          - outside, break (or not_scheduled)            = scheduled
    scheduled         - planned_stop                                 = planned_busy    B + U
    planned_busy      - unknown                                      = busy            B
    busy              - breakdown, setup, unplanned_stop, starved,
                        blocked (iso22400: minor_stop too)           = operating
    operating         - minor_stop (nakajima), slow_cycles,
                        without_ideal                                = net_operating   ideal time x pieces
    net_operating     - startup_reject, process_reject, rework,
                        not_judged                                   = fully_productive

Integers throughout, so every total is exactly the one before it less its losses. Two losses are residuals: `unknown`
(scheduled time that no state accounts for) and `slow_cycles` (running time less ideal time), so an ideal time
that is too long makes `slow_cycles` negative. That is shown and flagged, never clamped.

Pieces: stopping loses none (None, as zero); pieces made outside the schedule, unwatched ones and rejects are subtracted
at their row. What could have been made in lost time is not among them: divide by an ideal time for that.

Sources: S. Nakajima, Introduction to TPM (1988) for the six big losses; Vorne Industries, OEE Fast Guide, for the
waterfall and the names in brackets of `BIG_LOSSES`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from oee.kpi.kpi import Terms, terms
from oee.model.facts import Int64
from oee.model.states import CalendarClass

Group = Literal["", "schedule", "availability", "performance", "quality", "unknown"]
Sums = Mapping[str, int] | Int64

TOTALS: Final = (
    "all_time",
    "scheduled",
    "planned_busy",
    "busy",
    "operating",
    "net_operating",
    "fully_productive",
)


@dataclass(frozen=True)
class WaterfallRow:
    """One step. group: "" for a total, else the factor that it reduces (`unknown`: none);
    of: for a loss the total that it is taken from. us: time or ideal time [us]; pieces: None for lost time.
    """

    key: str
    group: Group
    of: str
    us: int
    pieces: int | None = None


@dataclass(frozen=True)
class Waterfall:
    """Rows from the top down, totals and losses.

    running_unscheduled_us: running and minor stops in breaks and outside shifts, which count in no factor [us].
    flags: `more_than_scheduled` (unknown time is negative: more was recorded than planned), `slow_cycles_negative`
      (pieces came faster than their ideal time: it, or the counter, is wrong).
    """

    rows: tuple[WaterfallRow, ...]
    formula: str
    running_unscheduled_us: int
    flags: tuple[str, ...]

    def row(self, key: str) -> WaterfallRow:
        """The row of that key. Raises `KeyError` where the window has none (no calendar)."""
        for row in self.rows:
            if row.key == key:
                return row
        raise KeyError(f"the waterfall has no row {key!r}; it has {', '.join(row.key for row in self.rows)}")


def waterfall(
    sums_by_calendar_class: Mapping[CalendarClass, Sums],
    scheduled_ms: int | None,
    all_ms: int | None,
    formula: str = "nakajima",
    *,
    break_ms: int | None = None,
) -> Waterfall:
    """Where a window's time went.

    sums_by_calendar_class: summed facts of each class, by name or in the order of `FACT_COLUMNS`; absent is zero.
    scheduled_ms, all_ms, break_ms: what the calendar planned, the window's whole length, and its breaks [ms].
      Without `break_ms` breaks and time outside shifts are one row `not_scheduled`; without `all_ms` the rows begin
      with `scheduled`; without `scheduled_ms` (a group by product) with `busy`.
    Raises `ValueError` for a formula set that does not exist.
    """
    parts = {
        kind: terms(sums_by_calendar_class.get(kind, {}), scheduled_ms=None, all_ms=None, formula=formula)
        for kind in CalendarClass
    }
    t = terms(
        sums_by_calendar_class.get(CalendarClass.SCHEDULED, {}),
        scheduled_ms=scheduled_ms,
        all_ms=all_ms,
        formula=formula,
    )
    rows = (*_calendar_rows(t, parts, break_ms), *_availability_rows(t), *_performance_rows(t), *_quality_rows(t))
    unscheduled = (parts[CalendarClass.BREAK], parts[CalendarClass.OUTSIDE])
    lost = {row.key: row.us for row in rows}
    flags = ["more_than_scheduled"] if lost.get("unknown", 0) < 0 else []
    flags += ["slow_cycles_negative"] if lost["slow_cycles"] < 0 else []
    return Waterfall(
        rows,
        t.formula,
        sum(part["running_ms"] + part["minor_stop_ms"] for part in unscheduled) * 1000,
        tuple(flags),
    )


def _seen(t: Terms) -> int:
    """All pieces of this time, watched or not."""
    return t["pieces_total"] + t["pieces_unwatched"]


def _calendar_rows(t: Terms, parts: Mapping[CalendarClass, Terms], break_ms: int | None) -> tuple[WaterfallRow, ...]:
    if t.scheduled_ms is None:
        return ()
    scheduled = _seen(t)
    below = (
        WaterfallRow("scheduled", "", "", t.scheduled_ms * 1000, scheduled),
        WaterfallRow("planned_stop", "schedule", "scheduled", t["planned_stop_ms"] * 1000),
        WaterfallRow("planned_busy", "", "", (t.scheduled_ms - t["planned_stop_ms"]) * 1000, scheduled),
        WaterfallRow("unknown", "unknown", "planned_busy", t.unknown_ms * 1000, t["pieces_unwatched"]),
    )
    if t.all_ms is None:
        return below
    outside, pauses = _seen(parts[CalendarClass.OUTSIDE]), _seen(parts[CalendarClass.BREAK])
    top = WaterfallRow("all_time", "", "", t.all_ms * 1000, scheduled + outside + pauses)
    unscheduled_ms = t.all_ms - t.scheduled_ms
    if break_ms is None:
        return (
            top,
            WaterfallRow("not_scheduled", "schedule", "all_time", unscheduled_ms * 1000, outside + pauses),
            *below,
        )
    return (
        top,
        WaterfallRow("outside", "schedule", "all_time", (unscheduled_ms - break_ms) * 1000, outside),
        WaterfallRow("break", "schedule", "all_time", break_ms * 1000, pauses),
        *below,
    )


def _availability_rows(t: Terms) -> tuple[WaterfallRow, ...]:
    stopped = ["breakdown", "setup", "unplanned_stop", "starved", "blocked"]
    stopped += ["minor_stop"] if t.formula == "iso22400" else []
    return (
        WaterfallRow("busy", "", "", t.busy_ms * 1000, t["pieces_total"]),
        *(WaterfallRow(state, "availability", "busy", t[f"{state}_ms"] * 1000) for state in stopped),
        WaterfallRow("operating", "", "", t.operating_ms * 1000, t["pieces_total"]),
    )


def _performance_rows(t: Terms) -> tuple[WaterfallRow, ...]:
    known_ms = t["running_ideal_known_ms"]
    minor = (WaterfallRow("minor_stop", "performance", "operating", t["minor_stop_ms"] * 1000),)
    return (
        *(minor if t.formula == "nakajima" else ()),
        WaterfallRow("slow_cycles", "performance", "operating", known_ms * 1000 - t["ideal_total_us"]),
        WaterfallRow("without_ideal", "unknown", "operating", (t["running_ms"] - known_ms) * 1000),
        WaterfallRow("net_operating", "", "", t["ideal_total_us"], t["pieces_total"]),
    )


def _quality_rows(t: Terms) -> tuple[WaterfallRow, ...]:
    lost = ("startup_reject", "process_reject", "rework")
    judged_us = t["ideal_good_us"] + sum(t[f"ideal_{cause}_us"] for cause in lost)
    judged = t["pieces_good"] + sum(t[f"pieces_{cause}"] for cause in lost)
    return (
        *(
            WaterfallRow(cause, "quality", "net_operating", t[f"ideal_{cause}_us"], t[f"pieces_{cause}"])
            for cause in lost
        ),
        WaterfallRow(
            "not_judged", "unknown", "net_operating", t["ideal_total_us"] - judged_us, t["pieces_total"] - judged
        ),
        WaterfallRow("fully_productive", "", "", t["ideal_good_us"], t["pieces_good"]),
    )


BIG_LOSSES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("breakdown", ("breakdown", "unplanned_stop", "starved", "blocked")),  # [unplanned stops]
    ("setup", ("setup",)),  # [planned stops]
    ("minor_stop", ("minor_stop",)),  # [small stops]
    ("reduced_speed", ("slow_cycles",)),  # [slow cycles]
    ("process_reject", ("process_reject", "rework")),  # [production rejects]
    ("startup_reject", ("startup_reject",)),  # [startup rejects]
)
"""The six big losses in Nakajima's order, each with the rows of the waterfall that it consists of."""


@dataclass(frozen=True)
class BigLoss:
    """One of the six. number: 1 to 6; parts: the waterfall's rows in it; pieces: None for lost time."""

    number: int
    key: str
    group: Group
    us: int
    pieces: int | None
    parts: tuple[WaterfallRow, ...]


def six_big_losses(fall: Waterfall) -> tuple[BigLoss, ...]:
    """The six big losses of a waterfall, in Nakajima's order; unknown and unjudged time is in none of them.

    Planned stops are schedule losses here; Vorne counts those within the production time as the second big loss.
    """
    losses = []
    for number, (key, names) in enumerate(BIG_LOSSES, 1):
        parts = tuple(fall.row(name) for name in names)
        pieces = [row.pieces for row in parts if row.pieces is not None]
        us = sum(row.us for row in parts)
        losses.append(BigLoss(number, key, parts[0].group, us, sum(pieces) if pieces else None, parts))
    return tuple(losses)
