"""What one window of a plan measured: sums of each business date, or single events, of a machine's columns. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

import numpy as np

from oee.advice.gain.metrics import METRICS
from oee.advice.gain.plan import Days
from oee.advice.grid import Float64
from oee.advice.measures.edges import edge_losses
from oee.advice.measures.repairs import SOON_H, repairs
from oee.advice.trust import trust
from oee.advice.window import MachineWindow
from oee.model.calendars import Calendar, cut
from oee.model.facts import FACT, MINUTE_NS, Int64
from oee.model.states import CalendarClass, State

LEAST_JUDGED: Final = 0.9
LEAST_KNOWN: Final = 0.9
"""Share of a day's minutes in which its power is known."""
EPOCH: Final = date(1970, 1, 1)
_DAY_NS: Final = 86_400 * 10**9
_EDGE_MIN: Final = {"shift_start": 30, "after_break": 30, "shift_end": 20, "before_break": 20}
_OFF: Final = (State.PLANNED_STOP, State.UNKNOWN)
_UNIT: Final = (State.RUNNING, State.MINOR_STOP, State.SETUP)


@dataclass(frozen=True)
class DayRatios:
    """Numerators and denominators by product and business date, each float64[products, days]."""

    products: tuple[str, ...]
    num: Float64
    den: Float64


@dataclass(frozen=True)
class MeasuredEvents:
    """Single events, each [n]: minutes; business date, days since 1970-01-01; group: events are compared within it."""

    minutes: Float64
    day: Int64
    group: tuple[str, ...] = ()


NO_EVENTS: Final = MeasuredEvents(np.zeros(0), np.zeros(0, np.int64))


@dataclass(frozen=True)
class Measured:
    """One window of a machine, or of several together. day: ordinary business dates [days since 1970-01-01], int64[T].

    ratios: of the plan's metric if it is a ratio; oee: the same of the OEE, None where pieces are not judged or have no
    ideal time; events: failures, repairs or changeovers; unit_h: hours of running, minor stops and set-up, float64[T];
    good_min, made_min, running_min, minor_min, busy_min: ideal time of good pieces and of all, running time, minor stops, and B
    [minutes], float64[T];
    pieces: float64[T]. setups: changeovers in it. weeks: of the calendar, less odd days; dropped: odd dates; why_not: keys of
    `advice_trust.<key>`, empty if the numbers can be trusted.
    """

    day: Int64
    ratios: DayRatios | None
    oee: DayRatios | None
    events: MeasuredEvents
    unit_h: Float64
    good_min: Float64
    made_min: Float64
    running_min: Float64
    minor_min: Float64
    busy_min: Float64
    pieces: Float64
    setups: int
    weeks: float
    dropped: int = 0
    why_not: tuple[str, ...] = ()


def span_ns(calendar: Calendar, days: Days) -> tuple[int, int] | None:
    """From the first scheduled instant of these business dates to the last [ns UTC]; None without scheduled time."""
    first, last = ((day - EPOCH).days for day in (days.first, days.last))
    spans = cut(calendar, (first - 2) * _DAY_NS, (last + 3) * _DAY_NS)
    on = (spans.calendar == CalendarClass.SCHEDULED) & (spans.business_date >= first) & (spans.business_date <= last)
    return (int(spans.start_ns[on].min()), int(spans.end_ns[on].max())) if on.any() else None


def worked_days(calendar: Calendar, days: Days) -> int:
    """Business dates with scheduled time among these."""
    first, last = ((day - EPOCH).days for day in (days.first, days.last))
    spans = cut(calendar, (first - 2) * _DAY_NS, (last + 3) * _DAY_NS)
    on = (spans.calendar == CalendarClass.SCHEDULED) & (spans.business_date >= first) & (spans.business_date <= last)
    return len(np.unique(spans.business_date[on]))


def measure(
    window: MachineWindow,
    metric: str,
    part: str,
    *,
    holes: int = 0,
    open_findings: frozenset[str] = frozenset(),
) -> Measured:
    """The sums that a plan needs of one window. holes, open_findings: as in `trust`. Where a product is made faster than its ideal
    time allows, nothing is said that rests on ideal times.
    """
    table = _Table(window)
    why = tuple(key for key in trust(window, holes=holes, open_findings=open_findings).why_not if key != "too_short")
    total, judged, good = (table.of(name) for name in ("ideal_total_us", "ideal_judged_us", "ideal_good_us"))
    busy_ms, running_ms = table.busy(), table.of("running_ms")
    is_judged = not window.distrusted and total.sum() > 0 and judged.sum() >= LEAST_JUDGED * total.sum()
    oee = DayRatios(table.products, good / 6e7, busy_ms / 6e4) if is_judged else None
    return Measured(
        table.day,
        _ratios(table, window, metric, part, oee),
        oee,
        _events(window, metric, part),
        table.unit_h(),
        good.sum(axis=0) / 6e7,
        total.sum(axis=0) / 6e7,
        running_ms.sum(axis=0) / 6e4,
        table.of("minor_stop_ms").sum(axis=0) / 6e4,
        busy_ms.sum(axis=0) / 6e4,
        table.of("pieces_total").sum(axis=0),
        len(window.setups.changeovers),
        window.weeks,
        len(window.dropped),
        why,
    )


class _Table:
    """Sums of a window's facts by product and ordinary business date."""

    def __init__(self, window: MachineWindow) -> None:
        facts = window.facts
        self.day: Int64 = np.unique(facts.business_date).astype(np.int64)
        self.products = tuple(sorted(set(facts.product.tolist())))
        self._place = {name: index for index, name in enumerate(self.products)}
        product = np.array([self._place[name] for name in facts.product.tolist()], np.int64)
        shape = (len(self.products), len(self.day))
        self._cell = product * shape[1] + np.searchsorted(self.day, facts.business_date)
        self._sums, self._shape = facts.sums, shape

    def place(self, product: str) -> int:
        """The row of a product; the first for one that none of these days has."""
        return self._place.get(product, 0)

    def of(self, name: str) -> Float64:
        """One column, float64[products, days]."""
        sums = np.bincount(self._cell, self._sums[:, FACT[name]], self._shape[0] * self._shape[1])
        return sums.reshape(self._shape).astype(np.float64)

    def busy(self) -> Float64:
        """B [ms]."""
        out: Float64 = np.sum([self.of(f"{state.word}_ms") for state in State if state not in _OFF], axis=0)
        return out

    def unit_h(self) -> Float64:
        """Unit time [h], float64[days]."""
        out: Float64 = np.sum([self.of(f"{state.word}_ms") for state in _UNIT], axis=(0, 1)) / 3.6e6
        return out

    def one(self, num: Float64, den: Float64) -> DayRatios:
        """A ratio that no product has, float64[days] each."""
        return DayRatios(("",), num[None, :], den[None, :])


def _ratios(table: _Table, window: MachineWindow, metric: str, part: str, oee: DayRatios | None) -> DayRatios | None:
    if METRICS[metric].kind != "ratio":
        return None
    if metric == "oee":
        return oee
    if metric == "edge":
        return _edges(table, window, part)
    if metric == "energy":
        return _energy(table, window)
    if metric == "loss":
        state, _, reason = part.partition("/")
        lost = _of_reason(table, window, state, reason) if reason else table.of(f"{state}_ms")
        return DayRatios(table.products, lost / 6e4, table.busy() / 6e4)
    running, minor = table.of("running_ms"), table.of("minor_stop_ms")
    if metric == "operating":
        return DayRatios(table.products, (running + minor) / 6e4, table.busy() / 6e4)
    if metric == "minor":
        return DayRatios(table.products, minor / 6e4, (running + minor) / 6e4)
    if metric == "speed":
        if window.distrusted:
            return None
        return DayRatios(table.products, table.of("ideal_total_us") / 6e7, table.of("running_ideal_known_ms") / 6e4)
    judged = table.of("ideal_judged_us") / 6e7
    return DayRatios(table.products, judged - table.of("ideal_good_us") / 6e7, judged)


def _energy(table: _Table, window: MachineWindow) -> DayRatios | None:
    """KWh by good pieces. What a machine draws while it makes nothing belongs to the product before, and to the business date that
    comes next. A day of which less than `LEAST_KNOWN` is known is left out; what is unknown of others is taken to be as the rest. None without
    power, or where pieces are not judged.
    """
    power = window.beside.power_kw
    judged, total = table.of("pieces_judged"), table.of("pieces_total")
    if power is None or not total.sum() > 0 or judged.sum() < LEAST_JUDGED * total.sum():
        return None
    date_of = _dates(window, window.start_ns + np.arange(len(power)) * MINUTE_NS)
    last = np.maximum.accumulate(np.where(window.product >= 0, np.arange(len(power)), -1))
    product = window.product[np.where(last >= 0, last, np.flatnonzero(window.product >= 0)[0])]
    rows = np.array([table.place(name) for name in window.products], np.int64)
    on = np.isin(date_of, table.day)
    known = np.isfinite(power)
    day = np.searchsorted(table.day, date_of[on])
    share = np.bincount(day, known[on], len(table.day)) / np.maximum(np.bincount(day, minlength=len(table.day)), 1)
    cell = rows[product[on]] * len(table.day) + day
    drawn = np.bincount(cell, np.where(known, power, 0.0)[on] / 60, judged.size).reshape(judged.shape)
    enough = share >= LEAST_KNOWN
    rejects = (table.of(f"pieces_{name}") for name in ("rework", "startup_reject", "process_reject"))
    good = np.maximum(judged - sum(rejects), 0.0)
    return DayRatios(table.products, drawn * enough / np.where(enough, share, 1.0), good * enough)


def _edges(table: _Table, window: MachineWindow, part: str) -> DayRatios:
    at_start, of_shift = part in ("shift_start", "after_break"), part in ("shift_start", "shift_end")
    losses = edge_losses(window, _EDGE_MIN[part], at_start=at_start, of_shift=of_shift)
    days = _dates(window, losses.at_ns)
    inside = np.isin(days, table.day)
    at = np.searchsorted(table.day, days[inside])
    lost = np.bincount(at, losses.lost_min[inside], len(table.day)).astype(np.float64)
    return table.one(lost, np.bincount(at, minlength=len(table.day)).astype(np.float64))


def _of_reason(table: _Table, window: MachineWindow, state: str, reason: str) -> Float64:
    """Scheduled time of stops with this reason [ms], on the business date on which each began."""
    stops = window.stops
    code = next(item for item in State if item.word == state)
    days = _dates(window, stops.start_ns)
    wanted = (stops.state == code) & (stops.reason == reason) & np.isin(days, table.day)
    length = window.scheduled_min(stops.start_ns[wanted], stops.end_ns[wanted]) * 6e4
    out = np.zeros((len(table.products), len(table.day)))
    names = {name: index for index, name in enumerate(table.products)}
    rows = [names.get(name, 0) for name in stops.product[wanted].tolist()]
    np.add.at(out, (rows, np.searchsorted(table.day, days[wanted])), length)
    return out


def _dates(window: MachineWindow, t_ns: Int64) -> Int64:
    """The business date of the stretch that each instant lies in or before, -1 after the last."""
    stretches = window.stretches
    at = np.searchsorted(stretches.end_ns, t_ns, side="right")
    dates = np.append(stretches.date.astype(np.int64), -1)
    out: Int64 = dates[at]
    return out


def _events(window: MachineWindow, metric: str, part: str) -> MeasuredEvents:
    if metric == "setup":
        return _changeovers(window, part)
    if metric not in ("failures", "repair"):
        return NO_EVENTS
    found = repairs(window)
    days = _dates(window, found.start_ns)
    kept = ~np.isin(days, window.dropped)
    if metric == "failures":  # repeats are one failure that was not truly repaired
        first = np.ones(len(found), np.bool_)
        first[1:] = np.diff(found.at_h) > SOON_H
        kept &= first
    return MeasuredEvents(found.repair_min[kept], days[kept], ("",) * int(kept.sum()))


def _changeovers(window: MachineWindow, part: str) -> MeasuredEvents:
    done = [item for item in window.setups.changeovers if item.setup_ms > 0]
    days = _dates(window, np.array([item.start_ns for item in done], np.int64))
    odd = set(window.dropped)
    rows = [
        (item.setup_ms / 6e4, day, f"{item.product}→{item.to_product}")
        for item, day in zip(done, days.tolist(), strict=True)
        if day not in odd and part in ("", f"{item.product}→{item.to_product}")
    ]
    return MeasuredEvents(
        np.array([row[0] for row in rows], np.float64),
        np.array([row[1] for row in rows], np.int64),
        tuple(row[2] for row in rows),
    )


def together(parts: Sequence[Measured]) -> Measured:
    """Several machines as one: sums by product and date, events one after another."""
    if len(parts) == 1:
        return parts[0]
    day: Int64 = np.unique(np.concatenate([part.day for part in parts]))

    def added(columns: Iterable[Float64]) -> Float64:
        out = np.zeros(len(day))
        for part, column in zip(parts, columns, strict=True):
            out[np.searchsorted(day, part.day)] += column
        return out

    return Measured(
        day,
        _added_ratios(day, parts, [part.ratios for part in parts]),
        _added_ratios(day, parts, [part.oee for part in parts]),
        MeasuredEvents(
            np.concatenate([part.events.minutes for part in parts]),
            np.concatenate([part.events.day for part in parts]),
            tuple(f"{k}:{group}" for k, part in enumerate(parts) for group in part.events.group),
        ),
        added(part.unit_h for part in parts),
        added(part.good_min for part in parts),
        added(part.made_min for part in parts),
        added(part.running_min for part in parts),
        added(part.minor_min for part in parts),
        added(part.busy_min for part in parts),
        added(part.pieces for part in parts),
        sum(part.setups for part in parts),
        max(part.weeks for part in parts),
        max(part.dropped for part in parts),
        tuple(dict.fromkeys(key for part in parts for key in part.why_not)),
    )


def before_it_began(item: Measured) -> Measured:
    """A window of which no day is over."""
    none = {name: getattr(item, name)[:0] for name in _DAILY}
    ratios = item.ratios and replace(item.ratios, num=item.ratios.num[:, :0], den=item.ratios.den[:, :0])
    return replace(item, **none, ratios=ratios, oee=None, events=NO_EVENTS, setups=0, weeks=0.0, dropped=0)


_DAILY: Final = ("day", "unit_h", "good_min", "made_min", "running_min", "minor_min", "busy_min", "pieces")


def _added_ratios(day: Int64, parts: Sequence[Measured], found: Sequence[DayRatios | None]) -> DayRatios | None:
    if any(item is None for item in found):
        return None
    products = tuple(sorted({name for item in found if item for name in item.products}))
    num, den = np.zeros((2, len(products), len(day)))
    for part, item in zip(parts, found, strict=True):
        if item:
            rows = np.array([products.index(name) for name in item.products], np.int64)
            at = np.ix_(rows, np.searchsorted(day, part.day))
            num[at] += item.num
            den[at] += item.den
    return DayRatios(products, num, den)


@dataclass(frozen=True)
class MeasuredPair:
    """Both windows of the machines of a plan, and those of each control by name."""

    before: Measured
    after: Measured
    controls: dict[str, tuple[Measured, Measured]] = field(default_factory=dict)
