"""Classification of stops: declared reasons, reasons from the PLC, set-ups, minor stops. Pure.

The order is fixed: declarations; the reason tag; set-ups; faults; and last, minor stops. A stop is classified by its whole length
and only then cut to shifts and minutes, so the same history gives the same states for any window.

A set-up lasts from the last piece of the old product to the first good piece of the new (the first piece where
quality is not known). Where nobody could see that piece, because its counter was not known, the set-up ends when the
machine runs. Intervals inside it that have an alarm or a reason keep their class.

A declaration without an end holds until the standstill ends in which it begins: until the machine runs, or leaves the
schedule, which only suspends a breakdown.

An unplanned stop without a reason that touches a breakdown which the machine itself told (a fault signal, a code) is part of
it: it waits for the repair, or for somebody to come. It belongs to the breakdown before it, else to the one after it. Time
outside the schedule is never part of it and keeps apart what lies on both sides.

Any other unplanned stop without a reason is minor while its scheduled time does not exceed the limit (inclusive): a break
suspends it, time outside the schedule ends it (and only suspends a breakdown).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from oee.engine.production import Production, Products, product_key
from oee.engine.timeline import Timeline, merge, split, take, within
from oee.model.calendars import Spans
from oee.model.declarations import CLASSIFYING, Declaration
from oee.model.facts import Text
from oee.model.machine import Machine
from oee.model.samples import EMPTY, Int64, Samples, latest_at, merged
from oee.model.states import STATE_BY_WORD, CalendarClass, Quality, State

_SET_UP_OVER = (State.RUNNING, State.UNPLANNED_STOP, State.STARVED, State.BLOCKED, State.SETUP, State.MINOR_STOP)


@dataclass(frozen=True)
class Setup:
    """A changeover. end_ns: None while no good piece of the new product has come; may_change: a counter that is not known
    may yet turn out not to have moved, and the set-up not to have ended.
    """

    start_ns: int
    end_ns: int | None
    product: str
    to_product: str
    may_change: bool = False


@dataclass(frozen=True)
class ClassifiedStops:
    """The final timeline (stops cut where the schedule ends them) and the set-ups in it."""

    timeline: Timeline
    setups: tuple[Setup, ...]


def classify_stops(
    machine: Machine,
    timeline: Timeline,
    samples: Samples,
    production: Production,
    products: Products,
    declarations: Sequence[Declaration],
    spans: Spans,
    last_piece_ns: int,
    counter_lost_ns: int | None = None,
) -> ClassifiedStops:
    """The timeline with every stop classified.

    timeline: after debouncing; spans: the same window cut by the calendar; last_piece_ns: last piece before the window;
    counter_lost_ns: since when the counter has not been known, None if it is.
    """
    timeline = _declared(machine, timeline, declarations, spans)
    if machine.reason_tag:
        timeline = merge(_reasons_from_tag(machine, timeline, samples))
    setups = find_setups(machine, timeline, production, products, declarations, last_piece_ns, counter_lost_ns)
    timeline = _mark_setups(timeline, setups)
    return ClassifiedStops(_minor(machine, _ended_by_schedule(timeline, spans), spans), setups)


def _declared(machine: Machine, timeline: Timeline, declarations: Iterable[Declaration], spans: Spans) -> Timeline:
    stated = [item for item in declarations if item.field in CLASSIFYING and (item.value or item.field != "state")]
    if not stated:
        return timeline
    begin, finish = int(timeline.start_ns[0]), int(timeline.end_ns[-1])
    ends = [_end(machine, timeline, item, spans) if item.end_ns is None else item.end_ns for item in stated]
    windows = [(max(item.start_ns, begin), min(end_ns, finish)) for item, end_ns in zip(stated, ends, strict=True)]
    timeline = split(timeline, np.array(windows, np.int64).ravel())
    state, reason, by = timeline.state.copy(), timeline.reason.copy(), timeline.by.copy()
    for declaration, (start_ns, end_ns) in zip(stated, windows, strict=True):
        if start_ns >= end_ns:
            continue
        low, high = np.searchsorted(timeline.start_ns, [start_ns, end_ns])
        in_window = np.zeros(len(timeline), np.bool_)
        in_window[low:high] = True
        declared = _declared_state(machine, declaration)
        if declaration.field == "state":
            hit = in_window & (state == State.UNKNOWN)
        else:
            hit = in_window & (state != State.RUNNING) & (state != State.UNKNOWN)
            reason[hit] = declaration.value
        if declared is not None:
            state[hit] = declared
        by[hit] = declaration.who
    return merge(Timeline(timeline.start_ns, timeline.end_ns, state, reason, by))


def _end(machine: Machine, timeline: Timeline, declaration: Declaration, spans: Spans) -> int:
    """Where a declaration without an end ends [ns]; its start if it begins in no standstill of this window."""
    start_ns = declaration.start_ns
    if not timeline.start_ns[0] <= start_ns < timeline.end_ns[-1]:
        return start_ns
    index = int(np.searchsorted(timeline.start_ns, start_ns, "right")) - 1
    runs = np.flatnonzero(timeline.state[index:] == State.RUNNING)
    end_ns = int(timeline.start_ns[index + runs[0]]) if len(runs) else int(timeline.end_ns[-1])
    if _declared_state(machine, declaration) != State.BREAKDOWN:
        outside = spans.start_ns[(spans.calendar == CalendarClass.OUTSIDE) & (spans.end_ns > start_ns)]
        end_ns = min(end_ns, max(int(outside[0]), start_ns)) if len(outside) else end_ns
    return end_ns


def _declared_state(machine: Machine, declaration: Declaration) -> State | None:
    """What it makes of a stop; None if it leaves the state as it is."""
    if declaration.field == "planned_stop":
        return State.PLANNED_STOP
    if not declaration.value:
        return None
    if declaration.field == "state":
        return STATE_BY_WORD[declaration.value]
    return machine.reason_states.get(declaration.value, State.UNPLANNED_STOP)


def _reasons_from_tag(machine: Machine, timeline: Timeline, samples: Samples) -> Timeline:
    """Each stop without a reason takes the first mapped value that the tag had while it lasted."""
    column = samples.get(machine.reason_tag, EMPTY)
    t_ns, values, good = column.t_ns, column.value, column.quality <= Quality.UNCERTAIN
    differs = np.append(True, (values[1:] != values[:-1]) | (good[1:] != good[:-1])) if len(values) else good
    t_ns, values, good = t_ns[differs], values[differs], good[differs]
    names = [
        machine.reason_map.get(product_key(value.item() if isinstance(value, np.generic) else value), "")
        if confirmed
        else ""  # an unconfirmed code names no stop
        for value, confirmed in zip(values, good.tolist(), strict=True)
    ]
    named = np.array([bool(name) for name in names], np.bool_)
    if not named.any():
        return timeline
    position = np.where(named, np.arange(len(named)), len(named))
    next_named = np.append(np.minimum.accumulate(position[::-1])[::-1], len(named))
    stopped = (timeline.state != State.RUNNING) & (timeline.state != State.UNKNOWN) & (timeline.reason == "")
    first = next_named[np.maximum(np.searchsorted(t_ns, timeline.start_ns, "right") - 1, 0)]
    hit = stopped & (first < len(named)) & (np.append(t_ns, np.iinfo(np.int64).max)[first] < timeline.end_ns)
    state, reason = timeline.state.copy(), timeline.reason.copy()
    for index in np.flatnonzero(hit).tolist():
        reason[index] = names[first[index]]
        if state[index] == State.UNPLANNED_STOP:
            state[index] = machine.reason_states.get(reason[index], State.UNPLANNED_STOP)
    return replace(timeline, state=state, reason=reason)


def find_setups(
    machine: Machine,
    timeline: Timeline,
    production: Production,
    products: Products,
    declarations: Iterable[Declaration],
    last_piece_ns: int,
    counter_lost_ns: int | None = None,
) -> tuple[Setup, ...]:
    """The changeovers: product changes during a stop, and those that people declared."""
    changes = [(t_ns, t_ns, False) for t_ns in products.changed.tolist()]
    changes += [
        (declaration.start_ns, declaration.end_ns if declaration.end_ns is not None else declaration.start_ns, True)
        for declaration in declarations
        if declaration.field == "changeover" and timeline.start_ns[0] <= declaration.start_ns < timeline.end_ns[-1]
    ]
    if not changes:
        return ()
    counted = production.total > 0
    counted_ns = production.t_ns[counted]
    judged = not {"good", "reject", "rework"}.isdisjoint(machine.pieces.counters())  # whatever this window has seen
    good = production.good if judged else production.total
    setups: list[Setup] = []
    for change_ns, not_before_ns, declared in sorted(changes):
        chain = _chain(timeline, change_ns)
        if chain is None and not declared:
            continue
        start_ns, end_ns = chain or (change_ns, not_before_ns)
        before = int(np.searchsorted(counted_ns, change_ns, "right")) - 1
        if before >= 0:
            start_ns = int(counted_ns[before])
        elif last_piece_ns:
            start_ns = int(timeline.start_ns[0])
        finish = _first_good(production, good, max(change_ns, not_before_ns - 1))
        may_change = False
        if not machine.pieces.counters():
            finish = end_ns if end_ns < timeline.end_ns[-1] else None  # the stop itself is the set-up
        elif finish is not None:
            lost_ns = _lost_before(production, finish)
            if lost_ns is not None:  # the piece was made at an unknown time of the outage
                running_ns = _runs_from(timeline, max(end_ns, not_before_ns, lost_ns))
                finish = min(finish, running_ns) if running_ns is not None else finish
        elif counter_lost_ns is not None:
            finish = _runs_from(timeline, max(end_ns, not_before_ns, counter_lost_ns))
            may_change = finish is not None
        at = np.array([change_ns], np.int64)  # the poll that saw the last old piece may already show the new product
        old, new = products.before(at)[0], products.at(at)[0]
        setups.append(Setup(start_ns, finish, str(old), str(new), may_change))
    return tuple(setups)


def _lost_before(production: Production, t_ns: int) -> int | None:
    """Since when nobody had watched the counters that moved at that time; None if all were watched."""
    low, high = np.searchsorted(production.t_ns, [t_ns, t_ns + 1])
    lost = production.lost_ns[low:high]
    return int(lost[lost >= 0].min()) if (lost >= 0).any() else None


def _runs_from(timeline: Timeline, t_ns: int) -> int | None:
    """The first time at or after `t_ns` at which the machine runs."""
    index = np.flatnonzero((timeline.state == State.RUNNING) & (timeline.end_ns > t_ns))
    return max(int(timeline.start_ns[index[0]]), t_ns) if len(index) else None


def _first_good(production: Production, good: Int64, after_ns: int) -> int | None:
    """When the good pieces counted since `after_ns` first amount to one; None if they never do. A reject that comes before
    any piece is about an earlier one.
    """
    first = int(np.searchsorted(production.t_ns, after_ns, "right"))
    t_ns, good, total = production.t_ns[first:], good[first:], production.total[first:]
    good_so_far = np.where((total.cumsum() == 0) & (good < 0), 0, good).cumsum()
    last_of_poll = np.append(t_ns[1:] != t_ns[:-1], True)  # pieces and rejects of one poll belong together
    enough = np.flatnonzero((good_so_far >= 1) & last_of_poll[: len(t_ns)])
    return int(t_ns[enough[0]]) if len(enough) else None


def _chain(timeline: Timeline, t_ns: int) -> tuple[int, int] | None:
    """Start and end of the uninterrupted standstill that contains this time or ends at it; None while the machine runs."""
    index = max(int(np.searchsorted(timeline.start_ns, t_ns, "right")) - 1, 0)
    if timeline.state[index] == State.RUNNING:
        if timeline.start_ns[index] != t_ns or index == 0:
            return None
        index -= 1
    first = last = index
    while first > 0 and timeline.state[first - 1] != State.RUNNING:
        first -= 1
    while last + 1 < len(timeline) and timeline.state[last + 1] != State.RUNNING:
        last += 1
    return int(timeline.start_ns[first]), int(timeline.end_ns[last])


def _mark_setups(timeline: Timeline, setups: tuple[Setup, ...]) -> Timeline:
    if not setups:
        return timeline
    begin, finish = timeline.start_ns[0], timeline.end_ns[-1]
    starts = np.maximum(np.array([setup.start_ns for setup in setups], np.int64), begin)
    ends = np.array([finish if setup.end_ns is None else setup.end_ns for setup in setups], np.int64)
    timeline = split(timeline, np.concatenate([starts, ends]))
    hit = within(timeline, starts, ends) & (timeline.reason == "") & _any_of(timeline.state, _SET_UP_OVER)
    hit &= _by_machine(timeline.by)
    state, by = timeline.state.copy(), timeline.by.copy()
    by[hit & (state != State.SETUP)] = "product"
    state[hit] = State.SETUP
    timeline = merge(Timeline(timeline.start_ns, timeline.end_ns, state, timeline.reason, by))
    joints = np.intersect1d(
        merged([starts]), merged([ends]), assume_unique=True
    )  # touching in one good piece, they stay two
    before, after = (
        np.maximum(np.searchsorted(timeline.start_ns, t_ns, "right") - 1, 0) for t_ns in (joints - 1, joints)
    )
    return split(timeline, joints[(timeline.state[before] == State.SETUP) & (timeline.state[after] == State.SETUP)])


def _any_of(state: NDArray[np.uint8], wanted: Sequence[State]) -> NDArray[np.bool_]:
    table = np.zeros(len(State), np.bool_)
    table[list(wanted)] = True
    return table[state]


def _by_machine(by: Text) -> NDArray[np.bool_]:
    out: NDArray[np.bool_] = (by == "plc") | (by == "count") | (by == "product")
    return out


def scheduled_before(spans: Spans, t_ns: Int64) -> Int64:
    """Scheduled time of the window before each time [ns]."""
    wanted = spans.calendar == CalendarClass.SCHEDULED
    length = np.where(wanted, spans.end_ns - spans.start_ns, 0)
    before = np.append(0, length.cumsum())[:-1]
    index = np.maximum(latest_at(spans.start_ns, t_ns), 0)
    inside = np.clip(t_ns - spans.start_ns[index], 0, length[index])  # 0 where the span is not scheduled
    out: Int64 = before[index] + inside
    return out


def first_scheduled(spans: Spans, start_ns: Int64, end_ns: Int64) -> Int64:
    """The first scheduled instant of each interval, or its start where it has none."""
    wanted = np.flatnonzero(spans.calendar == CalendarClass.SCHEDULED)
    if not len(wanted):
        return start_ns
    following = latest_at(spans.end_ns[wanted], start_ns) + 1
    first = spans.start_ns[wanted][np.minimum(following, len(wanted) - 1)]
    later = np.maximum(first, start_ns)
    out: Int64 = np.where((following < len(wanted)) & (later < end_ns), later, start_ns)
    return out


def _ended_by_schedule(timeline: Timeline, spans: Spans) -> Timeline:
    """The timeline cut where the schedule ends stops, and what touches a fault joined with it."""
    outside = spans.calendar == CalendarClass.OUTSIDE
    edges = np.concatenate([spans.start_ns[outside], spans.end_ns[outside]])
    cut = split(timeline, edges) if len(edges) else timeline
    cut = _with_faults(cut, spans, outside)
    spans_edges = _any_of(cut.state, (State.BREAKDOWN, State.RUNNING))
    equal = np.flatnonzero((cut.state[1:] == cut.state[:-1]) & spans_edges[1:]) + 1
    equal = equal[cut.reason[equal] == cut.reason[equal - 1]]
    if not len(equal):
        return cut
    keep = np.ones(len(cut), np.bool_)
    keep[equal] = False
    return take(cut, keep, int(timeline.end_ns[-1]))


def _with_faults(timeline: Timeline, spans: Spans, outside: NDArray[np.bool_]) -> Timeline:
    """outside: which spans lie outside the schedule; no interval lies on both sides of it."""
    told = np.flatnonzero(timeline.state == State.BREAKDOWN)
    told = told[_by_machine(timeline.by[told])]
    follows = np.zeros(len(timeline) + 1, np.bool_)
    follows[told + 1] = True
    near = merged([told - 1, told + 1])
    near = near[(near >= 0) & (near < len(timeline))]
    near = near[timeline.state[near] == State.UNPLANNED_STOP]
    near = near[(timeline.reason[near] == "") & _by_machine(timeline.by[near])]
    of_span = np.searchsorted(spans.start_ns, timeline.start_ns[near], "right") - 1
    hit = near[~outside[np.maximum(of_span, 0)]]
    if not len(hit):
        return timeline
    fault = np.where(follows[hit], hit - 1, hit + 1)
    state, reason, by = timeline.state.copy(), timeline.reason.copy(), timeline.by.copy()
    state[hit], reason[hit], by[hit] = State.BREAKDOWN, reason[fault], by[fault]
    return Timeline(timeline.start_ns, timeline.end_ns, state, reason, by)


def _minor(machine: Machine, timeline: Timeline, spans: Spans) -> Timeline:
    stops = np.flatnonzero(timeline.state == State.UNPLANNED_STOP)
    stops = stops[timeline.reason[stops] == ""]
    length = scheduled_before(spans, timeline.end_ns[stops]) - scheduled_before(spans, timeline.start_ns[stops])
    state = timeline.state.copy()
    state[stops[length <= machine.minor_stop_at_most_ns]] = State.MINOR_STOP
    return Timeline(timeline.start_ns, timeline.end_ns, state, timeline.reason, timeline.by)
