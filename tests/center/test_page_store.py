"""What a machine's page reads once, by bucket, and takes for the whole window."""

from itertools import count
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from center.console.machine.numbers import whole_window
from center.contract.store import Origin, Query, RowBatch
from center.model.buckets import Bucket
from center.stores.duckdb.store import open_store
from oee.model.facts import FACT_COLUMNS, MINUTE_NS, NO_LOSSES, Facts
from oee.model.states import CalendarClass

ZONE = "Asia/Ho_Chi_Minh"
FIRST_MIN, MINUTES = 1_772_323_200 // 60, 45 * 1440
SHIFTS = ("-", "A", "B")


def table(chance, rows=400) -> Facts:
    def texts(names):
        out = np.empty(rows, object)
        out[:] = [names[index] for index in chance.integers(0, len(names), rows)]
        return out

    minute = np.sort(chance.choice(MINUTES, rows, replace=False)) + FIRST_MIN
    return Facts(
        machine=texts(["press-1"]),
        minute_ns=minute * MINUTE_NS,
        calendar=chance.choice([kind.value for kind in CalendarClass], rows).astype(np.uint8),
        business_date=((minute + 60) // 1440).astype(np.int32),
        shift=texts(SHIFTS),
        product=texts(["1", "2"]),
        sums=chance.integers(-5, 60_000, (rows, len(FACT_COLUMNS))),
        n=np.zeros(rows, np.int64),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = open_store({"file": str(tmp_path_factory.mktemp("page") / "facts.duckdb")})
    origin = Origin("van-long", "main", "00000000000000aa")
    opened.write([RowBatch(origin, 1, table(np.random.default_rng(7)), NO_LOSSES, ())])
    numbers = count(1)
    while opened.roll_up((FIRST_MIN + MINUTES + next(numbers)) * MINUTE_NS, leased=True):
        pass
    yield opened
    opened.close()


@settings(max_examples=40, deadline=None)
@given(
    bucket=st.sampled_from([name for name in get_args(Bucket) if name != "all"]),
    window=st.tuples(st.integers(0, MINUTES), st.integers(0, MINUTES)).map(sorted),
    by=st.sampled_from(
        [("machine", "calendar"), ("machine",), ("calendar", "product"), ("machine", "shift", "calendar")]
    ),
)
def test_a_window_is_the_sum_of_its_buckets(store, bucket, window, by):
    start_ns, end_ns = ((FIRST_MIN + minute) * MINUTE_NS for minute in window)
    asked = Query("van-long", start_ns, end_ns, ZONE, ("press-1",), "all", by)
    by_bucket = Query(
        "van-long", start_ns, end_ns, ZONE, ("press-1",), bucket, ("shift", *by) if bucket == "shift" else by
    )
    whole, read = store.facts(asked), whole_window(store.facts(by_bucket), asked)
    for name in (*Facts.KEYS, "n"):
        if len(whole):
            assert getattr(read, name).tolist() == getattr(whole, name).tolist(), name
    assert read.sums.tolist() == whole.sums.tolist()
