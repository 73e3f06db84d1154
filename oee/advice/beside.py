"""What a rule may want to know beside a machine's own facts and stops: its signals, its line, its site, its power. Pure.

Nothing of it is needed to make a window. What a gateway does not tell, or a store does not keep, is left out here, and the
rules that need it stay silent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo
from typing import Final

import numpy as np

from oee.advice.grid import Bool, Float64
from oee.model.facts import HOUR_NS, MINUTE_NS, Facts, Int64
from oee.model.states import CalendarClass, State

_EPOCH: Final = date(1970, 1, 1)
DAY_NS: Final = 24 * HOUR_NS
WAITING: Final = (State.STARVED.word, State.BLOCKED.word)
"""States that every station of a line must be able to show, so that they can be compared."""


@dataclass(frozen=True)
class LineDays:
    """A serial line by days. stations: machines in the order of the flow; constraint: what the site file names, "" for none;
    day: int64[d], local days since 1970-01-01; busy_min (scheduled less planned stops), starved_min, blocked_min:
    float64[stations, d].
    """

    line: str
    stations: tuple[str, ...]
    constraint: str
    day: Int64
    busy_min: Float64
    starved_min: Float64
    blocked_min: Float64

    @property
    def waiting_min(self) -> Float64:
        """float64[stations, d]."""
        return self.starved_min + self.blocked_min


def line_days(line: str, stations: tuple[str, ...], constraint: str, facts: Facts, zone: tzinfo) -> LineDays | None:
    """The local days of a line from facts of its machines, by the hour or finer; None if one of them has none."""
    planned = facts.calendar == CalendarClass.SCHEDULED
    hours, at = np.unique(facts.minute_ns // HOUR_NS, return_inverse=True)
    local = [datetime.fromtimestamp(hour * 3600, zone).date() for hour in hours.tolist()]
    day = np.array([(item - _EPOCH).days for item in local], np.int64)[at]
    days = np.unique(day[planned])
    states = facts.sums[:, : len(State)]
    busy = states.sum(axis=1) - states[:, State.PLANNED_STOP] - states[:, State.UNKNOWN]

    def by_day(values: Int64) -> Float64:
        mine = [planned & (facts.machine == station) for station in stations]
        rows = [np.bincount(np.searchsorted(days, day[of]), values[of] / 6e4, len(days)) for of in mine]
        return np.array(rows, np.float64)

    busy_min = by_day(busy)
    if not len(days) or not (busy_min.sum(axis=1) > 0).all():
        return None
    return LineDays(
        line, stations, constraint, days, busy_min, by_day(states[:, State.STARVED]), by_day(states[:, State.BLOCKED])
    )


def compares(shown: Iterable[Sequence[str]]) -> bool:
    """Whether all stations show both kinds of waiting. shown: of each the words of the states that its signals can show."""
    return all(set(WAITING) <= set(states) for states in shown)


@dataclass(frozen=True)
class MachineMinutes:
    """Whether one machine ran in each minute of a window, and where its stops began. running, began: bool[m]; stop_at,
    stop_min: minute and length [scheduled minutes] of each of these stops. Only scheduled time.
    """

    machine: str
    running: Bool
    began: Bool
    stop_at: Int64
    stop_min: Float64


def aligned(item: MachineMinutes, minutes: int) -> MachineMinutes:
    """The same over a window of so many minutes that ends at the same time: cut, or without anything at its beginning."""
    more = minutes - len(item.running)
    if more == 0:
        return item
    kept = item.stop_at + more >= 0
    running, began = (
        np.concatenate([np.zeros(max(more, 0), np.bool_), column[max(-more, 0) :]])
        for column in (item.running, item.began)
    )
    return MachineMinutes(item.machine, running, began, item.stop_at[kept] + more, item.stop_min[kept])


@dataclass(frozen=True)
class Beside:
    """quality: who tells rejects, `plc`, `operator` or `none`, "" if nobody said; power_kw: float64[m], by the minute of the
    window, not a number where it is unknown; tariff_per_kwh [VND]; line: None unless it is serial, its order is known and all
    stations show when they wait; site: the machines of the site, for the one machine that speaks for it; oddities: days
    on which a counter did what counters do not, as (kind, days since 1970-01-01, how often).
    """

    quality: str = ""
    power_kw: Float64 | None = None
    tariff_per_kwh: float | None = None
    line: LineDays | None = None
    site: tuple[MachineMinutes, ...] = ()
    oddities: tuple[tuple[str, int, int], ...] = ()


NOTHING: Final = Beside()


def part_of_beside(beside: Beside, start_ns: int, low: int, high: int) -> Beside:
    """What belongs to minutes `[low, high)` of a window that begins at `start_ns`. Sites are judged over whole windows only."""
    line = beside.line
    if line is not None:
        begin, end = ((start_ns + row * MINUTE_NS) // DAY_NS for row in (low, high))
        rows = (line.day > begin) & (line.day <= end)
        line = replace(
            line,
            day=line.day[rows],
            **{name: getattr(line, name)[:, rows] for name in ("busy_min", "starved_min", "blocked_min")},
        )
    power = None if beside.power_kw is None else beside.power_kw[low:high]
    return replace(beside, power_kw=power, line=line, site=())


def mean_by_minute(t_ns: Int64, value: Float64, start_ns: int, minutes: int, most_ns: int = 25 * HOUR_NS) -> Float64:
    """Means of a value that holds until it changes, float64[minutes]; not a number where less than half of a minute is known.

    t_ns: in order; value: not a number from where it is unknown; most_ns: a value holds no longer [ns].
    """
    if not len(t_ns):
        return np.full(minutes, np.nan)
    until = np.minimum(np.append(t_ns[1:], start_ns + minutes * MINUTE_NS), t_ns + most_ns)
    until = np.maximum(until, t_ns)
    known = np.isfinite(value)
    edges = (np.stack([t_ns, until], axis=1).ravel() - start_ns).astype(np.float64)
    at = np.arange(minutes + 1) * float(MINUTE_NS)
    length = np.where(known, (until - t_ns).astype(np.float64), 0.0)
    sums = []
    for weights in (length, length * np.where(known, value, 0.0)):
        passed = np.repeat(np.cumsum(np.append(0.0, weights)), 2)[1:-1]
        sums.append(np.diff(np.interp(at, edges, passed)))
    out: Float64 = np.full(minutes, np.nan)
    enough = sums[0] >= MINUTE_NS / 2
    out[enough] = sums[1][enough] / sums[0][enough]
    return out
