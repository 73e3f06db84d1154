"""Hourly roll-ups of the InfluxDB store: they may make a sum faster, never different."""

import random
import threading
from dataclasses import replace

import numpy as np
import pytest
from center_plant import batch, ns, running
from hypothesis import given
from hypothesis import strategies as st
from influx_plant import influx_settings

from center.buckets import HOUR_NS
from center.stores import duckdb
from center.stores._influx_hours import Hour, parts, runs
from center.stores.contract import Query
from center.stores.influxdb import open_store
from oee.facts import MINUTE_NS
from oee.states import State

T = ns("2026-03-02T00:00:00")
ALL = Query("van-long", 0, 2**62, "Asia/Ho_Chi_Minh")


@pytest.fixture
def store(tmp_path):
    opened = open_store(influx_settings(tmp_path))
    yield opened
    opened.close()


@given(st.integers(0, 600), st.integers(1, 3000), st.lists(st.integers(0, 60), max_size=40, unique=True))
def test_parts_cover_the_window_once_and_take_roll_ups_only_of_whole_clean_hours(low, length, numbers):
    low, high = low * MINUTE_NS, (low + length) * MINUTE_NS
    unclean = [Hour(number * HOUR_NS, 1, 0) for number in sorted(numbers)]
    found = parts(low, high, unclean)
    assert found[0][0] == low
    assert found[-1][1] == high
    assert all(before[1] == after[0] for before, after in zip(found, found[1:], strict=False))
    assert len(found) <= 27
    for start, end, rolled in found:
        assert start < end
        if rolled:
            assert start % HOUR_NS == end % HOUR_NS == 0
            assert not any(start <= hour.start_ns < end for hour in unclean)
    assert all(len(run) <= 24 for run in runs(unclean))


def _random(chance, numbers, count):
    rows, lost = [], []
    for _ in range(count):
        t = T + chance.randrange(72 * 60) * MINUTE_NS
        machine = chance.choice(["a", "b"])
        date = 20_514 + (t - T) // (24 * HOUR_NS)
        key = {
            "machine": machine,
            "t": t,
            "date": date,
            "shift": chance.choice("AB"),
            "n": numbers.get((machine, t), 0),
        }
        numbers[machine, t] = key["n"] + 1
        rows.append(key | {"running_ms": chance.choice([0, 60_000, -60_000]), "cycles": chance.randrange(-3, 9)})
        lost.append(key | {"state": State.SETUP, "reason": chance.choice(["", "x"]), "ms": chance.randrange(-9, 9)})
    return rows, lost


def test_late_rows_and_corrections_are_in_every_answer(store, tmp_path):
    """Writes and questions in turn, in hours that were rolled up already, against the embedded store."""
    other = duckdb.open_store({"file": str(tmp_path / "f.duckdb")})
    chance, numbers = random.Random(5), {}
    for seq in range(12):
        made = batch(*_random(chance, numbers, chance.choice([1, 5, 60])), seq=seq)
        for which in (store, other):
            which.write([made])
        low = T + chance.randrange(40 * 60) * MINUTE_NS
        for query in (
            replace(ALL, bucket=chance.choice(["hour", "shift", "day", "month", "all"])),
            Query("van-long", low, low + chance.randrange(1, 1800) * MINUTE_NS, "Asia/Kolkata", bucket="hour"),
            Query("van-long", low, low + chance.randrange(1, 1800) * MINUTE_NS, ALL.zone, ("a",), "hour", ("shift",)),
        ):
            found, truth = store.facts(query), other.facts(query)
            assert found.minute_ns.tolist() == truth.minute_ns.tolist()
            assert (found.sums == truth.sums).all()
            found, truth = store.losses(query), other.losses(query)
            assert (found.sums == truth.sums).all()
    other.close()


def test_a_sum_that_becomes_zero_is_zero_in_the_roll_up_too(store):
    store.write([batch([{"t": T, "cycles": 5, "running_ms": 9}])])
    assert store.facts(ALL).column("cycles").tolist() == [5]
    store.write([batch([{"t": T, "n": 1, "cycles": -5}])])
    found = store.facts(ALL)
    assert (found.column("cycles").tolist(), found.column("running_ms").tolist()) == ([0], [9])


def test_what_arrives_while_hours_are_rolled_up_is_not_missed(store):
    """Readers roll up as they ask, while late rows come; the last word is the sum of everything."""
    stop, asked = threading.Event(), []

    def read():
        while not stop.is_set():
            asked.append(int(store.facts(ALL).column("cycles").sum()))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(80):
        store.write([batch([{"t": T + hour * HOUR_NS, "n": n, "cycles": 1} for hour in range(3)], seq=n)])
        if n % 10 == 0:
            assert store.facts(ALL).column("cycles").sum() == 3 * (n + 1)  # what was written is there at once
    stop.set()
    for reader in readers:
        reader.join()
    assert asked == sorted(asked)
    assert store.facts(ALL).column("cycles").sum() == 240


def test_the_latest_hours_are_read_row_by_row_and_older_ones_from_the_roll_up(tmp_path):
    store = open_store(influx_settings(tmp_path))
    store.write([batch(running(T, 300))])
    questions = []
    real = store._server.ask
    store._server.ask = lambda statements, database="": questions.append(statements) or real(statements, database)
    store._now_ns = lambda: T + 5 * HOUR_NS
    for _ in range(2):
        questions.clear()
        assert store.facts(replace(ALL, end_ns=T + 9 * HOUR_NS)).column("pieces_good").tolist() == [3000]
    (sums,) = [asked for asked in questions if asked[0].startswith("SELECT sum")]
    assert ['"facts_1h"' in statement for statement in sums] == [True, False, True]
    assert np.diff([int(s.split("time >= ")[1].split()[0]) for s in sums]).min() > 0
    store.close()


def test_an_hour_that_its_retention_no_longer_takes_is_read_row_by_row(store):
    from center.books import StoreRefused

    store.write([batch(running(T, 60))])
    real = store._server.write

    def refuse(bucket, lines):
        if any(line.startswith("facts_1h") for line in lines):
            raise StoreRefused("beyond retention policy")
        real(bucket, lines)

    store._server.write = refuse
    assert store.facts(ALL).column("pieces_good").tolist() == [600]
