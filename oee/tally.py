"""The kernel: a judged timeline and production become facts and losses.

Time is cut at every minute, calendar span and product change; pieces go to the key that holds at their
time. One function for live data, replay and recomputation.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oee.calendars import Spans
from oee.facts import (
    FACT,
    FACT_COLUMNS,
    LOSS_COLUMNS,
    MINUTE_NS,
    MS_NS,
    NO_FACTS,
    NO_LOSSES,
    UNKNOWN_PRODUCT,
    Facts,
    Int64,
    Losses,
    Stop,
    Text,
)
from oee.judge import Setup, scheduled_before
from oee.machine import Machine
from oee.production import Production, Products, ideals_us, spread
from oee.states import CalendarClass, State
from oee.timeline import Timeline, text

_STATES: Final = len(State)
_UNTALLIED: Final = (State.RUNNING, State.UNKNOWN, State.PLANNED_STOP)
"""States whose stretches are not counted as stops."""


@dataclass(frozen=True)
class Whole:
    """Everything that the kernel adds up, over one window."""

    machine: Machine
    line: Timeline
    production: Production
    products: Products
    setups: tuple[Setup, ...]
    spans: Spans
    made_since_setup: int | None
    """Pieces between the last set-up before the window and the window; None: no set-up was seen."""
    blind: tuple[Int64, Int64]
    """Starts and ends of the stretches in which the counter was not known: no performance there."""


def product_keys(machine: Machine, names: Text) -> Text:
    """Products that the machine knows, `?` for all others."""
    known = {name: name if name in machine.products else UNKNOWN_PRODUCT for name in set(names.tolist())}
    return text([known[name] for name in names.tolist()])


def tally(whole: Whole, start_ns: int, end_ns: int) -> tuple[Facts, Losses]:
    """Facts and losses of what lies in `[start_ns, end_ns)` of the window, `n` zero.

    Over a partition of the window the results add up to the window's, exactly.
    """
    if end_ns <= start_ns:
        return NO_FACTS, NO_LOSSES
    cells = _cells(whole, start_ns, end_ns)
    events = _events(whole, start_ns, end_ns)
    return _facts(whole, cells, events), _losses(whole, cells, events)


@dataclass(frozen=True)
class _Cells:
    """Time cut so that nothing changes within: start [ns], length [ms], and what holds."""

    start_ns: Int64
    ms: Int64
    span: Int64
    product: Text
    interval: Int64


def _cells(whole: Whole, start_ns: int, end_ns: int) -> _Cells:
    line, spans = whole.line, whole.spans
    since = [ideal.since_ns for product in whole.machine.products.values() for ideal in product.ideals]
    minutes = np.arange(start_ns - start_ns % MINUTE_NS + MINUTE_NS, end_ns, MINUTE_NS, dtype=np.int64)
    parts = [minutes, line.start_ns, spans.start_ns, whole.products.from_ns, np.array(since, np.int64), *whole.blind]
    edges = np.concatenate([part[(part > start_ns) & (part < end_ns)] for part in parts])
    start = np.concatenate([np.array([start_ns], np.int64), np.unique(edges)])
    end = np.append(start[1:], end_ns)
    return _Cells(
        start,
        end // MS_NS - start // MS_NS,
        np.searchsorted(spans.start_ns, start, "right") - 1,
        product_keys(whole.machine, whole.products.at(start)),
        np.searchsorted(line.start_ns, start, "right") - 1,
    )


@dataclass(frozen=True)
class _Events:
    """Additions that are not time: where they belong, and their columns int64[n, 33]."""

    t_ns: Int64
    span: Int64
    product: Text
    interval: Int64
    sums: Int64


def _events(whole: Whole, start_ns: int, end_ns: int) -> _Events:
    parts = [_watched(whole, start_ns, end_ns), _unwatched(whole, start_ns, end_ns), _stops(whole, start_ns, end_ns)]
    return _Events(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


_Part = tuple[Int64, Int64, Text, Int64, Int64]


def _part(whole: Whole, t_ns: Int64, product: Text, sums: Int64) -> _Part:
    return (
        t_ns,
        np.maximum(np.searchsorted(whole.spans.start_ns, t_ns, "right") - 1, 0),
        product,
        np.maximum(np.searchsorted(whole.line.start_ns, t_ns, "right") - 1, 0),
        sums,
    )


def unwatched(whole: Whole) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Which production events nobody watched: across an outage, or while the state was not known."""
    made = whole.production
    before = np.maximum(np.searchsorted(whole.line.start_ns, made.t_ns - 1, "right") - 1, 0)
    blind = whole.line.state[before] == State.UNKNOWN
    blind &= made.t_ns > whole.line.start_ns[0]
    out: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (made.lost_ns >= 0) | blind
    return out


def _watched(whole: Whole, start_ns: int, end_ns: int) -> _Part:
    made = whole.production
    here = (made.t_ns >= start_ns) & (made.t_ns < end_ns) & ~unwatched(whole)
    index = np.flatnonzero(here)
    t_ns = made.t_ns[index]
    product = product_keys(whole.machine, whole.products.before(t_ns))
    ideal = ideals_us(whole.machine.products, product, t_ns)
    sums = np.zeros((len(index), len(FACT_COLUMNS)), np.int64)
    in_setup = _inside(whole.setups, t_ns)
    startup = ~in_setup & _startup(whole, index)
    total, reject = made.total[index], made.reject[index]
    columns = {
        "pieces_total": total,
        "pieces_judged": np.where(in_setup, total, made.judged[index]),
        "pieces_good": np.where(in_setup, 0, made.good[index]),
        "pieces_rework": np.where(in_setup, 0, made.rework[index]),
        "pieces_startup_reject": np.where(in_setup, total, np.where(startup, reject, 0)),
        "pieces_process_reject": np.where(in_setup | startup, 0, reject),
        "pieces_without_ideal": np.where(in_setup | (ideal == 0), total, 0),
        "cycles": made.cycles[index],
    }
    for name, values in columns.items():
        sums[:, FACT[name]] = values
    for name in ("total", "judged", "good", "rework", "startup_reject", "process_reject"):
        sums[:, FACT[f"ideal_{name}_us"]] = np.where(in_setup, 0, columns[f"pieces_{name}"] * ideal)
    return _part(whole, t_ns, product, sums)


def _inside(setups: tuple[Setup, ...], t_ns: Int64) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    inside = np.zeros(len(t_ns), np.bool_)
    for setup in setups:
        inside |= (t_ns > setup.start_ns) & (t_ns < (setup.end_ns if setup.end_ns is not None else t_ns + 1))
    return inside


def _startup(whole: Whole, index: Int64) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Whether the events lie among the first `startup_pieces` pieces after a set-up."""
    limit = whole.machine.startup_pieces
    if not limit:
        return np.zeros(len(index), np.bool_)
    made = whole.production
    total = made.total.cumsum()
    ends = np.array(sorted(item.end_ns for item in whole.setups if item.end_ns is not None), np.int64)
    first_after = np.searchsorted(made.t_ns, ends, "left")  # the first good piece is one of them
    base = np.concatenate([[0], total])[first_after]
    which = np.searchsorted(ends, made.t_ns[index], "right") - 1
    earlier = whole.made_since_setup
    since = np.where(
        which >= 0,
        total[index] - (base[np.maximum(which, 0)] if len(base) else 0),
        total[index] + earlier if earlier is not None else limit + 1,
    )
    out: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = since <= limit
    return out


def pieces_since_setup(whole: Whole, end_ns: int) -> int | None:
    """Pieces between the last set-up and `end_ns`, for the carry."""
    made = whole.production
    ends = [item.end_ns for item in whole.setups if item.end_ns is not None and item.end_ns <= end_ns]
    before = made.t_ns < end_ns
    if ends:
        return int(made.total[before & (made.t_ns >= max(ends))].sum())
    if whole.made_since_setup is None:
        return None
    return whole.made_since_setup + int(made.total[before].sum())


def _unwatched(whole: Whole, start_ns: int, end_ns: int) -> _Part:
    """Pieces of an outage, laid evenly over its scheduled time (else over all of it)."""
    made = whole.production
    times: list[Int64] = []
    products: list[Text] = []
    rows: list[Int64] = []
    for index in np.flatnonzero(unwatched(whole)).tolist():
        t_ns, lost_ns = int(made.t_ns[index]), int(made.lost_ns[index])
        lost_ns = max(lost_ns, int(whole.line.start_ns[0])) if lost_ns >= 0 else t_ns
        at, weights = _outage_cells(whole, lost_ns, t_ns)
        name = product_keys(whole.machine, whole.products.before(np.array([t_ns], np.int64)))
        mine = (at >= start_ns) & (at < end_ns)
        if not mine.any():
            continue
        names = text(str(name[0]), len(at))
        ideal = ideals_us(whole.machine.products, names, at)
        sums = np.zeros((len(at), len(FACT_COLUMNS)), np.int64)
        for column, amount in (("unwatched", int(made.total[index])), ("unwatched_good", int(made.good[index]))):
            number = spread(amount, weights)
            sums[:, FACT[f"pieces_{column}"]] = number
            sums[:, FACT[f"ideal_{column}_us"]] = number * ideal
        times.append(at[mine])
        products.append(names[mine])
        rows.append(sums[mine])
    if not times:
        return _part(whole, np.empty(0, np.int64), text([]), np.zeros((0, len(FACT_COLUMNS)), np.int64))
    return _part(whole, np.concatenate(times), np.concatenate(products), np.concatenate(rows))


def _outage_cells(whole: Whole, lost_ns: int, back_ns: int) -> tuple[Int64, Int64]:
    """Minutes and spans of an outage: where each begins, and its weight [ms]."""
    if back_ns <= lost_ns:
        return np.array([back_ns], np.int64), np.array([1], np.int64)
    minutes = np.arange(lost_ns - lost_ns % MINUTE_NS + MINUTE_NS, back_ns, MINUTE_NS, dtype=np.int64)
    spans = whole.spans.start_ns[(whole.spans.start_ns > lost_ns) & (whole.spans.start_ns < back_ns)]
    start = np.unique(np.concatenate([np.array([lost_ns], np.int64), minutes, spans]))
    length = np.append(start[1:], back_ns) // MS_NS - start // MS_NS
    span = np.maximum(np.searchsorted(whole.spans.start_ns, start, "right") - 1, 0)
    wanted = np.where(whole.spans.calendar[span] == CalendarClass.SCHEDULED, length, 0)
    return start, wanted if wanted.any() else length


def _stops(whole: Whole, start_ns: int, end_ns: int) -> _Part:
    """Closed stops and failures, booked where they started to cost scheduled time."""
    line, spans = whole.line, whole.spans
    counted = ~np.isin(line.state, [int(state) for state in _UNTALLIED])
    counted &= line.end_ns < line.end_ns[-1]
    index = np.flatnonzero(counted)
    length = (scheduled_before(spans, line.end_ns[index]) - scheduled_before(spans, line.start_ns[index])) // MS_NS
    booked = _first_scheduled(spans, line.start_ns[index], line.end_ns[index])
    here = (booked >= start_ns) & (booked < end_ns)
    index, booked, length = index[here], booked[here], length[here]
    sums = np.zeros((len(index), len(FACT_COLUMNS)), np.int64)
    failed = line.state[index] == State.BREAKDOWN
    sums[:, FACT["stops"]], sums[:, FACT["stops_ms"]] = 1, length
    sums[:, FACT["failures"]], sums[:, FACT["failures_ms"]] = failed, np.where(failed, length, 0)
    return _part(whole, booked, product_keys(whole.machine, whole.products.at(booked)), sums)


def _first_scheduled(spans: Spans, start_ns: Int64, end_ns: Int64) -> Int64:
    """The first scheduled instant of each interval, or its start where it has none."""
    wanted = np.flatnonzero(spans.calendar == CalendarClass.SCHEDULED)
    if not len(wanted):
        return start_ns
    following = np.searchsorted(spans.end_ns[wanted], start_ns, "right")
    first = spans.start_ns[wanted][np.minimum(following, len(wanted) - 1)]
    later = np.maximum(first, start_ns)
    out: Int64 = np.where((following < len(wanted)) & (later < end_ns), later, start_ns)
    return out


def _group(minute: Int64, span: Int64, product: Text, more: Int64 | None = None) -> tuple[Int64, Int64, Int64]:
    """Rows of equal (minute, span, product, more): for each group its first row, and each row's group."""
    names = {name: number for number, name in enumerate(dict.fromkeys(product.tolist()))}
    code = np.array([names[name] for name in product.tolist()], np.int64)
    base = (minute - minute.min(initial=0)) // MINUTE_NS if len(minute) else minute
    base = base - base.min(initial=0)
    key = (base * (int(span.max(initial=0)) + 1) + span) * (len(names) + 1) + code
    if more is not None:
        key = key * (int(more.max(initial=0)) + 1) + more
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return first, group, key


def _facts(whole: Whole, cells: _Cells, events: _Events) -> Facts:
    line, spans = whole.line, whole.spans
    minute = np.concatenate([cells.start_ns, events.t_ns])
    minute -= minute % MINUTE_NS
    span = np.concatenate([cells.span, events.span])
    product = np.concatenate([cells.product, events.product])
    first, group, _ = _group(minute, span, product)
    sums = np.zeros((len(first), len(FACT_COLUMNS)), np.int64)
    mine = group[: len(cells.ms)]
    state = line.state[cells.interval].astype(np.int64)
    by_state = np.bincount(mine * _STATES + state, weights=cells.ms, minlength=len(first) * _STATES)
    sums[:, :_STATES] = by_state.reshape(-1, _STATES).astype(np.int64)
    known = ideals_us(whole.machine.products, cells.product, cells.start_ns) > 0
    known &= np.searchsorted(whole.blind[0], cells.start_ns, "right") == np.searchsorted(
        whole.blind[1], cells.start_ns, "right"
    )
    for name, wanted in (("running", State.RUNNING), ("minor_stop", State.MINOR_STOP)):
        part = known & (state == wanted)
        weights = np.bincount(mine[part], weights=cells.ms[part], minlength=len(first))
        sums[:, FACT[f"{name}_ideal_known_ms"]] = weights.astype(np.int64)
    np.add.at(sums, group[len(cells.ms) :], events.sums)
    full = sums.any(axis=1)
    first, sums = first[full], sums[full]
    return Facts(
        text(whole.machine.id, len(first)),
        minute[first],
        spans.calendar[span[first]],
        spans.business_date[span[first]],
        spans.shift[span[first]],
        product[first],
        sums,
        np.zeros(len(first), np.int64),
    )


def _losses(whole: Whole, cells: _Cells, events: _Events) -> Losses:
    """Time by state and reason, and the pieces counted meanwhile."""
    line, spans = whole.line, whole.spans
    interval = np.concatenate([cells.interval, events.interval])
    made = events.sums[:, FACT["pieces_total"]]
    ms = np.concatenate([cells.ms, np.zeros(len(made), np.int64)])
    pieces = np.concatenate([np.zeros(len(cells.ms), np.int64), made])
    lost = (line.state[interval] != State.RUNNING) & ((ms != 0) | (pieces != 0))
    interval, ms, pieces = interval[lost], ms[lost], pieces[lost]
    minute = np.concatenate([cells.start_ns, events.t_ns])[lost]
    minute -= minute % MINUTE_NS
    span = np.concatenate([cells.span, events.span])[lost]
    product = np.concatenate([cells.product, events.product])[lost]
    reasons = {name: number for number, name in enumerate(dict.fromkeys(line.reason.tolist()))}
    code = np.array([reasons[name] for name in line.reason.tolist()], np.int64)
    what = line.state[interval].astype(np.int64) * (len(reasons) + 1) + code[interval]
    first, group, _ = _group(minute, span, product, what)
    sums = np.zeros((len(first), len(LOSS_COLUMNS)), np.int64)
    sums[:, 0] = np.bincount(group, weights=ms, minlength=len(first)).astype(np.int64) if len(first) else 0
    np.add.at(sums[:, 1], group, pieces)
    return Losses(
        text(whole.machine.id, len(first)),
        minute[first],
        spans.calendar[span[first]],
        spans.business_date[span[first]],
        spans.shift[span[first]],
        product[first],
        line.state[interval[first]],
        line.reason[interval[first]],
        sums,
        np.zeros(len(first), np.int64),
    )


def stop_rows(whole: Whole, from_ns: int) -> list[Stop]:
    """Every stretch without running that starts at `from_ns` or later, revision 0; the last may be open."""
    line = whole.line
    index = np.flatnonzero((line.state != State.RUNNING) & (line.start_ns >= from_ns))
    at = product_keys(whole.machine, whole.products.at(line.start_ns[index]))
    setups = {
        item.start_ns: tuple(product_keys(whole.machine, text([item.product, item.to_product])).tolist())
        for item in whole.setups
    }
    rows = []
    for held, i in zip(at.tolist(), index.tolist(), strict=True):
        start_ns, state = int(line.start_ns[i]), State(int(line.state[i]))
        product, to_product = setups.get(start_ns, (held, "")) if state is State.SETUP else (held, "")
        end_ns = None if i == len(line) - 1 else int(line.end_ns[i])
        identity = (whole.machine.id, str(start_ns // MS_NS), start_ns, end_ns)
        rows.append(Stop(*identity, state, str(line.reason[i]), str(line.by[i]), product, to_product, 0))
    return rows
