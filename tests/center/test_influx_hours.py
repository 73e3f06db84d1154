"""Hourly sums beside the InfluxDB store: they may make an answer faster, never different."""

import json
import random
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

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
def test_parts_cover_the_window_once_and_take_kept_sums_only_of_whole_clean_hours(low, length, numbers):
    low, high = low * MINUTE_NS, (low + length) * MINUTE_NS
    unclean = [Hour(number * HOUR_NS, 1) for number in sorted(numbers)]
    found = parts(low, high, unclean)
    assert found[0][0] == low
    assert found[-1][1] == high
    assert all(before[1] == after[0] for before, after in zip(found, found[1:], strict=False))
    assert len(found) <= 27
    for start, end, kept in found:
        assert start < end
        if kept:
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
    """Writes and questions in turn, in hours that were added up already, against the embedded store."""
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


def test_a_sum_that_becomes_zero_is_zero_in_what_is_kept_too(store):
    store.write([batch([{"t": T, "cycles": 5, "running_ms": 9}])])
    assert store.facts(ALL).column("cycles").tolist() == [5]
    store.write([batch([{"t": T, "n": 1, "cycles": -5}])])
    found = store.facts(ALL)
    assert (found.column("cycles").tolist(), found.column("running_ms").tolist()) == ([0], [9])


def test_what_arrives_while_hours_are_added_up_is_not_missed(store):
    """Readers add up hours as they ask, while late rows come; the last word is the sum of everything."""
    stop, heard = threading.Event(), []

    def read():
        heard.append(asked := [])
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
    assert all(asked == sorted(asked) for asked in heard)
    assert store.facts(ALL).column("cycles").sum() == 240


def _questions(store):
    """Everything that the server is asked for from now on."""
    questions = []
    real = store._server.ask
    store._server.ask = lambda statements, database="": questions.extend(statements) or real(statements, database)
    return questions


def test_the_latest_hours_are_read_row_by_row_and_older_ones_once(store):
    store.write([batch(running(T, 300))])
    store._now_ns = lambda: T + 5 * HOUR_NS
    query = replace(ALL, end_ns=T + 9 * HOUR_NS)
    questions = _questions(store)
    assert store.facts(query).column("pieces_good").tolist() == [3000]
    questions.clear()
    assert store.facts(query).column("pieces_good").tolist() == [3000]
    (sums,) = [statement for statement in questions if statement.startswith("SELECT sum")]
    assert f"time >= {T + 3 * HOUR_NS} AND time < {T + 5 * HOUR_NS}" in sums


def test_the_file_may_be_lost_foreign_or_taken(tmp_path, caplog):
    settings = influx_settings(tmp_path)
    file = tmp_path / "hours.duckdb"

    def pieces():
        store = open_store(settings)
        try:
            return int(store.facts(ALL).column("pieces_good").sum())
        finally:
            store.close()

    store = open_store(settings)
    store.write([batch(running(T, 300))])
    store.close()
    assert not file.exists()  # who only writes needs none
    assert pieces() == 3000
    assert file.exists()
    file.unlink()
    assert pieces() == 3000
    file.write_text("no database")
    assert pieces() == 3000
    assert "questions will be slow" in caplog.text
    file.unlink()
    other = duckdb.open_store({"file": str(file)})  # tables of another version
    other.close()
    assert pieces() == 3000


def test_another_process_has_the_file(store, tmp_path):
    store.write([batch(running(T, 300))])
    assert store.facts(ALL).column("pieces_good").tolist() == [3000]
    code = (
        "import json, sys; sys.path[:0] = json.loads(sys.argv[2])\n"
        "from center.stores.contract import Query\nfrom center.stores.influxdb import open_store\n"
        "print(open_store(json.loads(sys.argv[1])).facts(Query('van-long', 0, 2**62)).column('pieces_good').tolist())"
    )
    paths = [str(Path(__file__).parents[index]) for index in (2, 0, 1)]
    command = [sys.executable, "-c", code, json.dumps(influx_settings(tmp_path)), json.dumps(paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[3000]", done.stderr
    assert "questions will be slow" in done.stderr


def test_a_server_that_was_emptied_or_restored_is_believed(store, tmp_path):
    """The file still has the sums of what the server no longer has."""
    store.write([batch(running(T, 300))])
    assert store.facts(ALL).column("pieces_good").tolist() == [3000]
    store.close()
    emptied = open_store(influx_settings(tmp_path) | {"database": influx_settings(tmp_path)["database"] + "_emptied"})
    assert len(emptied.facts(ALL)) == 0
    emptied.write([batch(running(T, 60))])
    for _ in range(2):
        assert emptied.facts(ALL).column("pieces_good").tolist() == [600]
        emptied.close()
        emptied = open_store(
            influx_settings(tmp_path) | {"database": influx_settings(tmp_path)["database"] + "_emptied"}
        )
    emptied.close()
