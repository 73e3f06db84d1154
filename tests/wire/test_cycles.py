"""Histograms of cycle times in the content of `facts` envelopes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.compute.delta import Delta, split
from agent.outbox.packing import bodies
from oee.model.cycle_bins import bin_of, centre_ms, folded, unfolded
from oee.model.facts import CYCLE_BINS, HOUR_NS, MS_NS, NO_FACTS, NO_LOSSES, CycleTimes, make_table
from wire.bodies import MOST_BINS, facts_body, read_rows
from wire.envelope import Unsound


@st.composite
def tables(draw):
    keys, sums = [], []
    for number in range(draw(st.integers(0, 5))):
        hour_ns = draw(st.integers(400_000, 500_000)) * HOUR_NS
        keys.append((f"m-{number % 2}", hour_ns, draw(st.integers(0, 2)), 20_000, draw(st.sampled_from("AB-")), "1"))
        bins = draw(st.dictionaries(st.integers(0, CYCLE_BINS - 1), st.integers(-(10**6), 10**6), min_size=1))
        row = np.zeros(CYCLE_BINS, np.int64)
        row[list(bins)] = list(bins.values())
        sums.append(row if row.any() else row + 1)
    return make_table(CycleTimes, keys, np.array(sums, np.int64), np.arange(len(keys)))


def as_rows(table):
    keys = zip(table.machine, table.minute_ns, table.calendar, table.business_date, table.shift, table.product, table.n)
    return [(key, tuple(row)) for key, row in zip(keys, table.sums.tolist(), strict=True)]


@given(tables())
def test_what_is_sent_is_read(table):
    body = json.loads(json.dumps(facts_body(NO_FACTS, NO_LOSSES, [], table)))
    read = read_rows(body).cycles
    assert as_rows(folded(read)) == as_rows(table)
    assert as_rows(folded(unfolded(table))) == as_rows(table)


@given(tables(), st.integers(1, 50))
def test_a_correction_of_many_hours_is_divided_between_hours(table, most):
    offer = Delta("m-0", cycles=table)
    parts = split(offer, most)
    assert sum(map(len, parts)) == len(offer) == np.count_nonzero(table.sums)
    largest = max((np.count_nonzero(row) for row in table.sums), default=0) * len(table)
    assert all(len(part) <= most + largest for part in parts)
    hours = [hour for part in parts for hour in set(part.cycles.minute_ns.tolist())]
    assert len(hours) == len(set(hours))
    told = [row for body in bodies(parts) for row in as_rows(folded(read_rows(body).cycles))]
    assert sorted(told, key=str) == sorted(as_rows(table), key=str)


def test_an_older_center_is_sent_none():
    table = make_table(CycleTimes, [("m", 0, 0, 0, "A", "1")], np.ones((1, CYCLE_BINS), np.int64))
    assert [*bodies([Delta("m", cycles=table)], histograms=False)] == []
    assert [list(body) for body in bodies([Delta("m", cycles=table)])] == [["cycles"]]


PLAIN = {
    "machine": ["m"],
    "hour": [490_000],
    "n": [0],
    "calendar": ["scheduled"],
    "date": [20_000],
    "shift": ["A"],
    "product": ["1"],
    "bins": [[300, 1, 4]],
    "cycles": [[7, 20, 1]],
}


@pytest.mark.parametrize(
    "more",
    [
        {"bins": [[300, 0, 4]]},
        {"bins": [[300, -1, 4]]},
        {"bins": [[-1, 2, 4]]},
        {"bins": [[300, 1, 4000]]},
        {"bins": [[300, 1, 2**63]]},
        {"bins": [[300, 1, 2**62]]},
        {"bins": [[300, 1]]},
        {"bins": []},
        {"cycles": [[7, 20, 2**63]]},
        {"cycles": [[7, 20, 1.5]]},
        {"hour": [2**60]},
        {"hour": [490_000, 490_001]},
        {"date": [2**40]},
        {"calendar": ["holiday"]},
        {"n": [2**64]},
        {"weather": ["fine"]},
        {"bins": [[0] + [1] * 700] * 200, "cycles": [[1] * 701] * 200}
        | {name: PLAIN[name] * 200 for name in ("machine", "hour", "n", "calendar", "date", "shift", "product")},
    ],
    ids=lambda more: str(more)[:40],
)
def test_what_no_gateway_can_mean_is_refused(more):
    assert len(read_rows({"cycles": PLAIN}).cycles) == 3
    assert MOST_BINS < 200 * 701
    with pytest.raises(Unsound):
        read_rows({"cycles": PLAIN | more})


def test_a_time_lies_within_its_bin():
    times = np.array([1, 1.5, 10, 999.9, 12_340, 3_600_000, 10**8])
    bins = bin_of((times * MS_NS).astype(np.int64))
    assert bins.tolist() == [0, 18, 106, 318, 434, 696, CYCLE_BINS - 1]
    inside = bins < CYCLE_BINS - 1
    assert (np.abs(np.log2(times / centre_ms(bins)))[inside] <= 1 / 64 + 1e-9).all()
