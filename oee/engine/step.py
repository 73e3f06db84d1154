"""The engine: one step of one machine, the same for live data, replay and recomputation. Pure.

A step computes everything from the last settled time on. What becomes settled is chosen so that nothing
later can change it: the last piece before the oldest stop, gap or changeover that has not ended (a stop in which
the product changes reaches back to it). Sums before and after that point are exact parts of the whole, so
however the input is cut into blocks, the sums of everything sent after the last correction are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from oee.engine.aggregate import aggregate, cycle_histograms
from oee.engine.counters import CounterState
from oee.engine.deltas import deltas
from oee.engine.events import pieces_since_setup
from oee.engine.production import Products
from oee.engine.settle import settle
from oee.engine.state import CounterOddity, EngineState, dump, load
from oee.engine.stops import Stops, find_stops, no_stops
from oee.engine.window import Assessment, Window, assess, product_keys
from oee.model.declarations import Declaration, concerns_later, effective
from oee.model.expressions import needed
from oee.model.facts import MS_NS, NO_CYCLES, NO_FACTS, NO_LOSSES, UNKNOWN_PRODUCT, CycleTimes, Facts, Losses
from oee.model.machine import Machine
from oee.model.samples import EMPTY, Samples, Series, between, concat, merged
from oee.model.states import CalendarClass, Quality, State

__all__ = ["EngineState", "MachineSnapshot", "Step", "assess", "dump", "load", "preview", "start", "step"]

_FAR_NS = 2**62
_ODDITIES_KEPT = 50


@dataclass(frozen=True)
class MachineSnapshot:
    """The machine at `until_ns`. pieces: in this shift so far, None without a counter."""

    state: State
    since_ns: int
    reason: str
    product: str
    shift: str
    calendar: CalendarClass
    pieces: int | None


@dataclass(frozen=True)
class Step:
    """The result of a step: the state after it and rows to send (differences, numbered). window: what they were aggregated
    from, since the time settled before; None if nothing was computed."""

    state: EngineState
    facts: Facts
    losses: Losses
    stops: Stops
    live: MachineSnapshot | None
    settled_ns: int
    window: Window | None = None
    cycles: CycleTimes = NO_CYCLES


def start() -> EngineState:
    """The state of a machine without samples."""
    return EngineState()


def _floored(rows: Series) -> Series:
    """Times floored to milliseconds; of rows in the same millisecond the last stays."""
    t_ns = rows.t_ns // MS_NS * MS_NS  # many times faster than a remainder
    if (t_ns == rows.t_ns).all():
        return rows
    last = np.append(t_ns[1:] != t_ns[:-1], True) if len(t_ns) else np.zeros(0, np.bool_)
    return Series(t_ns[last], rows.value[last], rows.quality[last])


def _add_samples(machine: Machine, state: EngineState, samples: Samples) -> EngineState:
    """The state with new rows added to those that wait; rows for settled time are counted and left out."""
    rows = dict(state.rows)
    late = 0
    for tag in sorted(machine.tags() & samples.keys()):
        new = _floored(samples[tag])
        unsettled = between(new, state.settled_ns, _FAR_NS)
        late += len(new) - len(unsettled)
        rows[tag] = concat([rows.get(tag, EMPTY), unsettled])
    return replace(state, rows=rows, late_rows=state.late_rows + late)


def step(
    machine: Machine,
    state: EngineState,
    samples: Samples,
    declarations: Sequence[Declaration],
    until_ns: int,
    send_until_ns: int,
) -> Step:
    """Goes on to `until_ns`, up to which every tag is confirmed or known to be a gap.

    samples: new rows only; rows later than `until_ns` wait. Rows for time already settled are not used (and counted).
    declarations: new ones; one that reaches before the settled time takes effect from there on only, and an entry of
      rejects or rework that does so not at all (the caller recomputes from an earlier state where it wants more).
    send_until_ns: only minutes that start before it are sent, and cycles only of hours that end by then.
    """
    state = _add_samples(machine, state, samples)
    state = replace(state, declarations=effective((*state.declarations, *declarations)))
    until_ns -= until_ns % MS_NS
    begin_ns = state.settled_ns
    if begin_ns == 0:
        first = min((int(rows.t_ns[0]) for rows in state.rows.values() if len(rows)), default=until_ns)
        if first >= until_ns:
            return Step(state, NO_FACTS, NO_LOSSES, no_stops(machine.id), None, 0)
        begin_ns = first
        state = replace(state, settled_ns=first, since_ns=first)
    if until_ns <= max(begin_ns, state.until_ns - 1):
        return Step(state, NO_FACTS, NO_LOSSES, no_stops(machine.id), None, begin_ns)
    assessment = assess(machine, state, until_ns)
    window = assessment.window
    settled = settle(machine, state, assessment, until_ns)
    baseline, (facts, losses, cycles), stops = deltas(
        state.baseline,
        (*aggregate(window, begin_ns, settled[0]), cycle_histograms(window, begin_ns, settled[0])),
        (*aggregate(window, settled[0], until_ns), cycle_histograms(window, settled[0], until_ns)),
        find_stops(window, begin_ns),
        settled[0],
        send_until_ns,
        begin_ns,
    )
    live = _live(machine, state, window, until_ns)
    next_state = _next_state(machine, state, assessment, settled, until_ns)
    next_state = replace(next_state, baseline=baseline, oddities=_oddities(state, assessment))
    return Step(next_state, facts, losses, stops, live, settled[0], window, cycles)


def preview(machine: Machine, state: EngineState, samples: Samples, until_ns: int) -> MachineSnapshot | None:
    """What the machine is doing at `until_ns` as far as is known, for a screen: nothing is settled or sent, and the state
    does not change. Beyond what is confirmed, the last values hold. None before the first sample.
    """
    state = _add_samples(machine, state, samples)
    until_ns -= until_ns % MS_NS
    if state.settled_ns == 0 or until_ns <= max(state.settled_ns, state.until_ns):
        return None
    return _live(machine, state, assess(machine, state, until_ns).window, until_ns)


def _next_state(
    machine: Machine,
    state: EngineState,
    assessment: Assessment,
    settled: tuple[int, dict[str, CounterState]],
    until_ns: int,
) -> EngineState:
    window = assessment.window
    settled_ns, counters = settled
    if settled_ns == state.settled_ns:
        return replace(state, until_ns=until_ns)
    conditions = tuple(rule.when for rule in machine.rules if rule.when)
    rows = {}
    for tag, column in state.rows.items():
        old = needed(conditions, tag, column, settled_ns - 1)
        if tag == machine.product_tag:  # a change that waits for the next stop outlasts a gap
            confirmed = np.flatnonzero((column.quality != Quality.GAP) & (column.t_ns < settled_ns))
            old = merged([old, confirmed[-1:]])
        new = int(np.searchsorted(column.t_ns, settled_ns))
        keep = np.concatenate([old, np.arange(new, len(column))])
        rows[tag] = Series(column.t_ns[keep], column.value[keep], column.quality[keep])
    index = max(int(np.searchsorted(window.timeline.start_ns, settled_ns, "right")) - 1, 0)
    pieces_ns = window.production.t_ns[(window.production.total > 0) & (window.production.t_ns <= settled_ns)]
    shift = _shift_at(window, settled_ns)
    return replace(
        state,
        settled_ns=settled_ns,
        until_ns=until_ns,
        rows=rows,
        counters=counters,
        declarations=_still_needed(state.declarations, settled_ns),
        product=(product := str(window.products.before(np.array([settled_ns], np.int64))[0])),
        known_product=_known_before(state, window.products, settled_ns, product),
        last_piece_ns=int(pieces_ns[-1]) if len(pieces_ns) else state.last_piece_ns,
        made_since_setup=pieces_since_setup(window, settled_ns),
        ran_ns=int(assessment.clock.at(settled_ns)),
        since_ns=state.since_ns if index == 0 else int(window.timeline.start_ns[index]),
        shift=shift,
        shift_pieces=_shift_pieces(state, window, shift, settled_ns),
        open_span=window.cycle_spans.open_at(settled_ns),
    )


def _oddities(state: EngineState, assessment: Assessment) -> tuple[CounterOddity, ...]:
    """The latest oddities, each once: a window tells again what is not settled, and may tell better what it was."""
    found = {(item.t_ns, item.role): item for item in state.oddities}
    for role, counts in assessment.counted.items():
        found |= {(item.t_ns, role): CounterOddity(*item, role) for item in counts.oddities}
    return tuple(found[key] for key in sorted(found))[-_ODDITIES_KEPT:]


def _known_before(state: EngineState, products: Products, t_ns: int, product: str) -> str:
    """The last known product before that time."""
    if product != UNKNOWN_PRODUCT:
        return product
    earlier = products.product[products.from_ns < t_ns].tolist()
    return next((name for name in reversed(earlier) if name != UNKNOWN_PRODUCT), state.known_product)


def _still_needed(declarations: tuple[Declaration, ...], settled_ns: int) -> tuple[Declaration, ...]:
    """Declarations about later time. Of products declared until further notice only the latest in force matters."""
    kept = [item for item in declarations if concerns_later(item, settled_ns)]
    open_products = [
        item for item in kept if item.field == "product" and item.end_ns is None and item.start_ns <= settled_ns
    ]
    return tuple(item for item in kept if item not in open_products[:-1])


def _shift_at(window: Window, t_ns: int) -> tuple[int, str]:
    spans = window.spans
    index = max(int(np.searchsorted(spans.start_ns, t_ns, "right")) - 1, 0)
    return int(spans.business_date[index]), str(spans.shift[index])


def _shift_pieces(state: EngineState, window: Window, shift: tuple[int, str], before_ns: int) -> int:
    """Pieces of this business date and shift before `before_ns`."""
    made, spans = window.production, window.spans
    in_shift = (spans.business_date == shift[0]) & (spans.shift == shift[1])
    first, last = (
        np.searchsorted(made.t_ns, np.minimum(edge[in_shift], before_ns)) for edge in (spans.start_ns, spans.end_ns)
    )
    counted = sum(int(made.total[low:high].sum()) for low, high in zip(first.tolist(), last.tolist(), strict=True))
    return counted + (state.shift_pieces if shift == state.shift else 0)


def _live(machine: Machine, state: EngineState, window: Window, until_ns: int) -> MachineSnapshot:
    timeline, last = window.timeline, len(window.timeline) - 1
    shift = _shift_at(window, until_ns - 1)
    product = product_keys(machine, window.products.at(np.array([until_ns - 1], np.int64)))
    return MachineSnapshot(
        State(int(timeline.state[last])),
        int(timeline.start_ns[last]) if last else state.since_ns,
        str(timeline.reason[last]),
        str(product[0]),
        shift[1],
        CalendarClass(int(window.spans.calendar[-1])),
        _shift_pieces(state, window, shift, until_ns) if machine.pieces.counters() else None,
    )
