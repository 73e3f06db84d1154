"""Orders laid over a window: a partition of it, whatever people say."""

from itertools import pairwise

from driving import as_series
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_machine import T, machine

from oee.engine import step as engine
from oee.engine.aggregate import aggregate
from oee.kpi.orders import facts_by_order, order_periods
from oee.model.declarations import Declaration


def _whole():
    """Some minutes of a machine that runs, stops and counts."""
    rows = {
        "d.run": [(0, True), (100, False), (160, True), (300, False)],
        "d.total": [(t, t // 2) for t in range(0, 300, 3)],
    }
    samples = {tag: as_series([(T + t, value) for t, value in found]) for tag, found in rows.items()}
    until = (T + 400) * 1_000_000_000
    return engine.step(machine(), engine.start(), samples, (), until, until).window


WHOLE = _whole()


times = st.integers(0, 400_000)


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.tuples(times, st.none() | times, st.sampled_from(["A", "B", "C", ""])), max_size=8))
def test_however_orders_are_said_nothing_is_counted_twice(said):
    """Overlapping, open, taken back: the stretches are one after the other, and facts over them add up."""
    ms = 1_000_000
    told = [
        Declaration(
            f"d{n}",
            n,
            "press-1",
            WHOLE.timeline.start_ns[0] + start * ms,
            end and WHOLE.timeline.start_ns[0] + end * ms,
            "order",
            order,
        )
        for n, (start, end, order) in enumerate(said)
    ]
    found = order_periods(told)
    assert all(one.end_ns == two.start_ns and one.order != two.order for one, two in pairwise(found))
    start_ns, end_ns = int(WHOLE.timeline.start_ns[0]), int(WHOLE.timeline.end_ns[-1])
    parts = sum(facts.sums.sum(axis=0) for _, facts in facts_by_order(WHOLE, found, start_ns, end_ns))
    assert (parts == aggregate(WHOLE, start_ns, end_ns)[0].sums.sum(axis=0)).all()
