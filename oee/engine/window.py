"""One window of one machine, computed: timeline, production, products and calendar, ready to be aggregated. Pure.

The same for every caller: nothing here knows what was sent or what is settled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from oee.engine.classify_stops import Setup, classify_stops, first_scheduled, scheduled_before
from oee.engine.counters import Counts
from oee.engine.counting.limits import RunClock
from oee.engine.counting.spans import PERIODS, CountRuns, CycleSpans, OpenSpan, cycle_spans
from oee.engine.production import (
    Production,
    Products,
    apply_entries,
    count_all,
    delay_changes,
    ideals_us,
    judged_where_made,
    per_count,
    production_events,
    products_from,
    run_clock,
    unknown_counter_intervals,
)
from oee.engine.state import EngineState
from oee.engine.timeline import Timeline, debounce, mark_count_gaps, raw, run_starts
from oee.model.calendars import Spans, cut
from oee.model.declarations import entries
from oee.model.facts import MS_NS, UNKNOWN_PRODUCT, Int64, Text, text_column
from oee.model.machine import Machine
from oee.model.samples import EMPTY, Samples, between, latest_at, merged
from oee.model.states import Quality, State


@dataclass(frozen=True)
class Window:
    """Everything that the kernel aggregates, over one window."""

    machine: Machine
    timeline: Timeline
    production: Production
    products: Products
    setups: tuple[Setup, ...]
    spans: Spans
    made_since_setup: int | None
    """Pieces between the last set-up before the window and the window; None: no set-up was seen."""
    counter_unknown: tuple[Int64, Int64]
    """Starts and ends of the stretches in which the counter was not known: no performance there."""
    open_span: OpenSpan | None = None
    """The span of cycles that goes on at the window's beginning."""

    @cached_property
    def names(self) -> list[str]:
        """Keys of the products in the window, `?` for one that the machine does not know. A product's number in this
        list is its code: a year of minutes is computed faster with numbers than with names."""
        return list(dict.fromkeys(product_keys(self.machine, self.products.product).tolist()))

    @cached_property
    def _codes(self) -> Int64:
        number = {name: code for code, name in enumerate(self.names)}
        keys = product_keys(self.machine, self.products.product)
        return np.array([number[name] for name in keys.tolist()], np.int64)

    def product_at(self, t_ns: Int64) -> Int64:
        """Code of the product in effect at each time."""
        if len(self._codes) == 1:
            return np.full(len(t_ns), self._codes[0])
        out: Int64 = self._codes[np.maximum(latest_at(self.products.from_ns, t_ns), 0)]
        return out

    def product_before(self, t_ns: Int64) -> Int64:
        """Code of the product in effect just before each time."""
        return self.product_at(t_ns - 1)

    @cached_property
    def unwatched(self) -> NDArray[np.bool_]:
        """Which production events are unwatched: across an outage, or while the state was not known."""
        made, timeline = self.production, self.timeline
        out: NDArray[np.bool_] = made.lost_ns >= 0
        if (timeline.state == State.UNKNOWN).any():
            before = np.maximum(np.searchsorted(timeline.start_ns, made.t_ns - 1, "right") - 1, 0)
            out |= (timeline.state[before] == State.UNKNOWN) & (made.t_ns > timeline.start_ns[0])
        return out

    @cached_property
    def closed_stops(self) -> tuple[Int64, Int64, NDArray[np.bool_]]:
        """Of the stops that have ended, in order of time: when each first cost scheduled time [ns], the scheduled time that
        it cost [ms], and whether it is a failure."""
        timeline = self.timeline
        counted = np.ones(len(State), np.bool_)
        counted[[State.RUNNING, State.UNKNOWN, State.PLANNED_STOP]] = False
        index = np.flatnonzero(counted[timeline.state] & (timeline.end_ns < timeline.end_ns[-1]))
        start_ns, end_ns = timeline.start_ns[index], timeline.end_ns[index]
        length = (scheduled_before(self.spans, end_ns) - scheduled_before(self.spans, start_ns)) // MS_NS
        return first_scheduled(self.spans, start_ns, end_ns), length, timeline.state[index] == State.BREAKDOWN

    @cached_property
    def count_runs(self) -> CountRuns:
        """Its counts: of one run where the machine ran and was watched between them, and product and pieces per count stayed."""
        made, timeline = self.production, self.timeline
        index = np.flatnonzero(made.cycles > 0)
        t_ns, count = made.t_ns[index], made.cycles[index]
        product, per_count = self.product_before(t_ns), made.total[index] // count
        begins = np.ones(len(t_ns), np.bool_)
        after = np.searchsorted(timeline.start_ns, t_ns[:-1], "right") - 1
        before = np.searchsorted(timeline.start_ns, t_ns[1:], "left") - 1
        begins[1:] = (after != before) | (timeline.state[before] != State.RUNNING) | (made.lost_ns[index[1:]] >= 0)
        for column in (product, per_count):
            begins[1:] |= column[1:] != column[:-1]
        begins[1:] |= t_ns[1:] == t_ns[:-1]
        return CountRuns(t_ns, count, product, per_count, begins)

    @cached_property
    def cycle_spans(self) -> CycleSpans:
        """Its measured cycles; the first may have begun before it."""
        runs, counters = self.count_runs, self.machine.pieces.counters().values()
        t_ns, counts, begins, product = runs.t_ns, runs.counts, runs.begins, runs.product
        if self.open_span and len(t_ns) and t_ns[0] == self.timeline.start_ns[0]:
            t_ns, product = np.append(self.open_span.from_ns, t_ns), np.append(product[0], product)
            counts = np.append(0, counts)
            counts[1] += self.open_span.counts
            begins = np.append(True, begins)
            begins[1] = False
        least_ns = PERIODS * max((counter.period_ns for counter in counters), default=0)
        return cycle_spans(t_ns, counts, begins, product, least_ns)

    @cached_property
    def reasons(self) -> tuple[list[str], Int64]:
        """The reasons in the timeline, and each interval's number among them; most stops have none."""
        reason = self.timeline.reason
        code = np.zeros(len(reason), np.int64)
        with_reason = np.flatnonzero(reason != "")
        names = {"": 0}
        code[with_reason] = [names.setdefault(name, len(names)) for name in reason[with_reason].tolist()]
        return list(names), code

    def ideal_us(self, code: Int64, t_ns: Int64) -> Int64:
        """Ideal time of one piece of each product at each time [us], 0 where none is known."""
        out = np.zeros(len(code), np.int64)
        for number, name in enumerate(self.names):
            product = self.machine.products.get(name)
            if product is None or not product.ideals:
                continue
            us = np.array([0, *(ideal.us for ideal in product.ideals)], np.int64)
            since = np.array([ideal.since_ns for ideal in product.ideals], np.int64)
            of_product = code == number if len(self.names) > 1 else slice(None)
            since_first = len(since) == 1 and len(t_ns) and since[0] <= t_ns.min()
            out[of_product] = us[1] if since_first else us[np.searchsorted(since, t_ns[of_product], "right")]
        return out


def product_keys(machine: Machine, names: Text) -> Text:
    """Products that the machine knows, `?` for all others."""
    keys = {name: name if name in machine.products else UNKNOWN_PRODUCT for name in set(names.tolist())}
    return text_column([keys[name] for name in names.tolist()])


@dataclass(frozen=True)
class Assessment:
    """The result for a window. undebounced: the timeline before debouncing, which also limits what may be settled; clock:
    running time by signals alone; counted: increments of each counter; decided_ns: before it, no later piece can change
    what is a gap between pieces."""

    window: Window
    undebounced: Timeline
    clock: RunClock
    counted: Mapping[str, Counts]
    decided_ns: int


def assess(machine: Machine, state: EngineState, until_ns: int) -> Assessment:
    """Timeline, production and calendar from the settled time to `until_ns`, stops classified."""
    begin_ns = state.settled_ns
    samples = {tag: between(rows, 0, until_ns) for tag, rows in state.rows.items()}
    fresh = {tag: between(rows, begin_ns, until_ns) for tag, rows in samples.items()}
    undebounced = raw(machine, samples, begin_ns, until_ns)
    clock = run_clock(undebounced, state.ran_ns)
    counted, _ = count_all(machine, state.counters, samples, fresh, clock)
    products = products_from(
        machine, samples, state.declarations, state.product, state.known_product, begin_ns, counted
    )
    decided_ns = until_ns
    if machine.gap is not None:
        seen = _references(machine, state, counted, fresh)
        ideal = _ideal_count_ns(machine, products, seen)
        if len(seen):  # without an ideal time the gap that follows the last piece begins with the piece itself
            decided_ns = int(seen[-1]) + (1 if ideal[-1] >= MS_NS else 0)
        by_signals = bool(machine.rules)  # a machine known by its counts alone runs wherever its counter is known
        if by_signals and len(seen):
            starts = run_starts(undebounced)
            seen = merged([seen, starts[starts > seen[0]]])
            ideal = _ideal_count_ns(machine, products, seen)
        undebounced = mark_count_gaps(undebounced, machine.gap, seen, ideal, within_runs=by_signals)
    if machine.product_change == "next_stop":
        products = delay_changes(products, undebounced, state.known_product)
    production = production_events(machine, counted, products, samples)
    timeline = debounce(undebounced, machine.shortest_run_ns, machine.shortest_stop_ns)
    spans = cut(machine.calendar, begin_ns, until_ns)
    counter_unknown = unknown_counter_intervals(machine, samples, begin_ns, until_ns)
    unknown_from, unknown_to = counter_unknown
    lost_ns = int(unknown_from[-1]) if len(unknown_from) and unknown_to[-1] == until_ns else None
    classified = classify_stops(
        machine, timeline, samples, production, products, state.declarations, spans, state.last_piece_ns, lost_ns
    )
    setups = [(setup.start_ns, setup.end_ns) for setup in classified.setups]
    production = judged_where_made(production, spans, setups)
    entries_in_force, _ = entries(state.undivided_entries())
    production = apply_entries(machine, production, products, entries_in_force, until_ns)
    window = Window(
        machine,
        classified.timeline,
        production,
        products,
        classified.setups,
        spans,
        state.made_since_setup,
        counter_unknown,
        state.open_span,
    )
    return Assessment(window, undebounced, clock, counted, decided_ns)


def _references(machine: Machine, state: EngineState, counted: Mapping[str, Counts], fresh: Samples) -> Int64:
    """Times from which a gap is measured: each piece; before the first, when one could first have been seen."""
    roles = ("total",) if "total" in counted else tuple(counted)
    seen = merged([np.empty(0, np.int64), *(counted[role].t_ns for role in roles)])
    if not len(seen) or seen[0] > state.settled_ns:
        first = state.last_piece_ns or _first_known(machine, fresh)
        if first:
            seen = np.append(first, seen[seen > first])
    return seen


def _ideal_count_ns(machine: Machine, products: Products, t_ns: Int64) -> Int64:
    """Ideal time of one count at each time [ns], 0 where none is known."""
    names = products.at(t_ns)
    ideal_us = ideals_us(machine.products, product_keys(machine, names), t_ns)
    return ideal_us * per_count(machine, names) * 1000


def _first_known(machine: Machine, fresh: Samples) -> int:
    """When all counters that it takes to see a piece were first known; 0 if one never is."""
    columns = [fresh.get(counter.tag, EMPTY) for counter in machine.pieces.needed()]
    known_ns = [column.t_ns[column.quality <= Quality.UNCERTAIN] for column in columns]
    return max((int(times[0]) if len(times) else 0 for times in known_ns), default=0) if all(map(len, known_ns)) else 0
