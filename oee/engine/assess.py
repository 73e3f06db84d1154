"""One window of one machine, worked out: timeline, production and calendar, judged. The same for every caller; nothing
here knows what was sent or what is settled.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from oee.engine.classify_stops import judge
from oee.engine.counters import Counts
from oee.engine.production import (
    Products,
    blind,
    count_all,
    delay_changes,
    enter,
    ideals_us,
    per_count,
    pieces,
    products_from,
)
from oee.engine.state import EngineState
from oee.engine.timeline import Timeline, debounce, lay_gaps, raw
from oee.engine.window import Whole, product_keys
from oee.model.calendars import cut
from oee.model.declarations import entries
from oee.model.facts import MS_NS
from oee.model.machine import Machine
from oee.model.samples import EMPTY, Int64, Samples, between
from oee.model.states import Quality


@dataclass(frozen=True)
class Assessment:
    """What a window comes to. bare: the timeline before debouncing, which decides what may be settled; decided_ns: what
    lies before it can be no gap between pieces any more."""

    whole: Whole
    bare: Timeline
    counted: Mapping[str, Counts]
    decided_ns: int


def assess(machine: Machine, state: EngineState, until_ns: int) -> Assessment:
    """Timeline, production and calendar from the settled time to `until_ns`, judged."""
    begin_ns = state.settled_ns
    samples = {tag: between(rows, 0, until_ns) for tag, rows in state.rows.items()}
    fresh = {tag: between(rows, begin_ns, until_ns) for tag, rows in samples.items()}
    products = products_from(machine, samples, state.declarations, state.product, state.known_product, begin_ns)
    bare = raw(machine, samples, begin_ns, until_ns)
    counted, _ = count_all(machine.pieces, state.counters, fresh)
    decided_ns = until_ns
    if machine.gap is not None:
        seen, ideal = _references(machine, state, counted, fresh, products)
        bare = lay_gaps(bare, machine.gap, seen, ideal)
        if len(seen):  # without an ideal time the gap that follows the last piece begins with the piece itself
            decided_ns = int(seen[-1]) + (1 if ideal[-1] >= MS_NS else 0)
    if machine.product_change == "next_stop":
        products = delay_changes(products, bare, state.known_product)
    production = pieces(machine, counted, products, samples)
    line = debounce(bare, machine.shortest_run_ns, machine.shortest_stop_ns)
    spans = cut(machine.calendar, begin_ns, until_ns)
    judged = judge(machine, line, samples, production, products, state.declarations, spans, state.last_piece_ns)
    said, _ = entries(item for item in state.declarations if item.start_ns >= begin_ns)
    production = enter(machine, production, products, said, until_ns)
    unseen = blind(machine, samples, begin_ns, until_ns)
    whole = Whole(machine, judged.line, production, products, judged.setups, spans, state.made_since_setup, unseen)
    return Assessment(whole, bare, counted, decided_ns)


def _references(
    machine: Machine, state: EngineState, counted: Mapping[str, Counts], fresh: Samples, products: Products
) -> tuple[Int64, Int64]:
    """Times from which a gap is measured (each piece; before the first, when one could first have been seen), and the
    ideal time of one count at each [ns].
    """
    roles = ("total",) if "total" in counted else tuple(counted)
    seen = np.unique(np.concatenate([np.empty(0, np.int64), *(counted[role].t_ns for role in roles)]))
    if not len(seen) or seen[0] > state.settled_ns:
        first = state.last_piece_ns or _first_known(machine, fresh)
        if first:
            seen = np.append(first, seen[seen > first])
    names = products.at(seen)
    ideal_us = ideals_us(machine.products, product_keys(machine, names), seen)
    return seen, ideal_us * per_count(machine, names) * 1000


def _first_known(machine: Machine, fresh: Samples) -> int:
    """When all counters that it takes to see a piece were first known; 0 if one never is."""
    rows = [fresh.get(counter.tag, EMPTY) for counter in machine.pieces.needed()]
    known = [item.t_ns[item.quality <= Quality.UNCERTAIN] for item in rows]
    return max((int(times[0]) if len(times) else 0 for times in known), default=0) if all(map(len, known)) else 0
