"""Orders: what was made for each, without an order in the key of facts. Pure.

An order is declared by people (`order`, from, until) and does not change what a machine did, so it is applied to the
window at query time: facts are additive over any cut of time, and the periods of orders are one. The kernel is the same;
the sums over all periods are those of the window.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from oee.engine.aggregate import aggregate
from oee.engine.window import Window
from oee.model.declarations import Declaration, effective, values_over_time
from oee.model.facts import MS_NS, Facts

_FAR_NS = 2**62


@dataclass(frozen=True)
class OrderPeriod:
    """One order on one machine, [ns]; order "" is none. end_ns: None where it has not ended."""

    order: str
    start_ns: int
    end_ns: int | None


def order_periods(declarations: Iterable[Declaration]) -> tuple[OrderPeriod, ...]:
    """The orders of one machine, one after the other and without gaps from the first on; edges are whole milliseconds."""
    values = values_over_time(effective(declarations), "order", -_FAR_NS)
    rows = [(max(t_ns - t_ns % MS_NS, 0), order.strip()) for t_ns, order in values]
    starts = [rows[0], *(new for old, new in pairwise(rows) if new[1] != old[1])]
    ends: list[int | None] = [t_ns for t_ns, _ in starts[1:]]
    return tuple(OrderPeriod(order, t_ns, end_ns) for (t_ns, order), end_ns in zip(starts, [*ends, None], strict=True))


def facts_by_order(
    window: Window, orders: Iterable[OrderPeriod], start_ns: int, end_ns: int
) -> Iterator[tuple[str, Facts]]:
    """Facts of `[start_ns, end_ns)` of the window, order by order; they add up to the `aggregate` of all of it."""
    for period in orders:
        low, high = max(period.start_ns, start_ns), min(period.end_ns or end_ns, end_ns)
        if low < high:
            yield period.order, aggregate(window, low, high)[0]
