"""Sums of hours and days: they may make an answer faster, never different, whatever comes late and whoever dies."""

import json
import random
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from center_plant import batch, ns, running
from hypothesis import given
from hypothesis import strategies as st

from center.commands.migrate import migrate
from center.contract.store import Query, RolledUp, StoreRefused, StoreUnavailable
from center.stores.duckdb import store as duckdb
from center.stores.duckdb.rollups.plan import slices
from center.stores.fact_tables.schema import SCHEMA_VERSION
from center.stores.rollup_cover import MAX_STALE_SPANS, cover
from config import Misconfigured
from oee.model.facts import HOUR_NS, MINUTE_NS
from oee.model.states import State

ROOT = Path(__file__).parents[2]
DAY_NS = 24 * HOUR_NS
T = ns("2026-03-02T00:00:00")
ALL = Query("van-long", 0, 2**62, "Asia/Ho_Chi_Minh")
ZONES = ("Asia/Ho_Chi_Minh", "Asia/Kolkata", "Europe/Berlin", "Australia/Lord_Howe")
BUCKETS = ("hour", "shift", "day", "week", "month", "all", "minute")


@pytest.fixture
def open_(tmp_path):
    opened = []

    def one(name="nhip", **settings):
        store = duckdb.open_store({"file": str(tmp_path / f"{name}.duckdb")} | settings)
        opened.append(store)
        return store

    yield one
    for store in opened:
        store.close()


def settle(store, now_ns):
    steps = 0
    while store.roll_up(now_ns, leased=True):
        steps += 1
        assert steps < 1000
    return steps


@given(
    st.integers(0, 600),
    st.integers(1, 4000),
    st.lists(st.integers(-2, 80), max_size=60),
    st.sampled_from([1, 3, MAX_STALE_SPANS]),
)
def test_stretches_cover_the_window_once_and_trust_only_whole_fresh_bins(low, length, numbers, most):
    low, high = low * MINUTE_NS, (low + length) * MINUTE_NS
    stale = [number * HOUR_NS for number in numbers]
    found = cover(low, high, HOUR_NS, stale, most)
    assert (found[0].start_ns, found[-1].end_ns) == (low, high)
    assert all(before.end_ns == after.start_ns for before, after in pairwise(found))
    assert sum(not one.rolled_up for one in found) <= most + 2
    for one in found:
        assert one.start_ns < one.end_ns
        if one.rolled_up:
            assert one.start_ns % HOUR_NS == one.end_ns % HOUR_NS == 0
            assert not any(one.start_ns <= start < one.end_ns for start in stale)


@given(
    st.integers(0, 6000),
    st.integers(1, 9000),
    st.lists(st.integers(0, 240), max_size=20),
    st.lists(st.integers(0, 9), max_size=5),
    st.integers(0, 9),
    st.sampled_from([(), ("_hour",), ("_day", "_hour")]),
)
def test_every_minute_of_a_question_is_answered_once(low, length, hours, days, gone, levels):
    """Of minutes that are gone the hours that begin in the window are."""
    gone_ns = gone * DAY_NS
    query = replace(ALL, start_ns=low * MINUTE_NS, end_ns=(low + length) * MINUTE_NS)
    stale_hours = [hour * HOUR_NS for hour in hours if hour * HOUR_NS >= gone_ns]
    stale_days = [day * DAY_NS for day in days]
    found = slices(query, levels, stale_hours, stale_days, gone_ns)
    assert (found[0].start_ns, found[-1].end_ns) == (query.start_ns, query.end_ns)
    assert all(before.end_ns == after.start_ns for before, after in pairwise(found))
    for level, start, end in found:
        if level == "":
            assert start >= gone_ns
        elif end > gone_ns:
            assert start % HOUR_NS == end % HOUR_NS == 0
            assert not any(start <= hour < end for hour in stale_hours)
        if level == "_day":
            assert start % DAY_NS == end % DAY_NS == 0
            assert not any(start <= day < end for day in stale_days)


def _some(chance, numbers, count, days=5):
    """Rows of two machines anywhere in some days, with corrections among them."""
    rows, lost = [], []
    for _ in range(count):
        t = T + chance.randrange(days * 1440) * MINUTE_NS
        machine = chance.choice(["máy ép", "b"])
        key = {
            "machine": machine,
            "t": t,
            "date": 20_514 + (t - T) // DAY_NS - chance.choice([0, 0, 1]),
            "shift": chance.choice(["A", "Ca đêm", "-"]),
            "product": chance.choice("12"),
            "calendar": chance.choice([0, 0, 1]),
            "n": numbers.get((machine, t), 0),
        }
        numbers[machine, t] = key["n"] + 1
        rows.append(key | {"running_ms": chance.randrange(-60_000, 60_000), "cycles": chance.randrange(-3, 9)})
        lost.append(key | {"state": State.SETUP, "reason": chance.choice(["", "kẹt"]), "ms": chance.randrange(-9, 9)})
    return rows, lost


def _same(one, other, query):
    for ask in ("facts", "losses"):
        found, truth = getattr(one, ask)(query), getattr(other, ask)(query)
        for name in ("minute_ns", "business_date", "machine", "shift", "product", "calendar"):
            assert getattr(found, name).tolist() == getattr(truth, name).tolist(), (query, name)
        assert (found.sums == truth.sums).all(), query


@pytest.mark.parametrize("seed", range(2))
def test_answers_are_those_of_the_minutes_at_any_moment(open_, seed):
    """Writes, repetitions, late rows, questions, single steps of the job and restarts in any order, beside a store in
    which nothing is ever added up.
    """
    chance, numbers = random.Random(seed), {}
    store, plain = open_(), open_("plain")
    now, written = T + DAY_NS, []
    for seq in range(10):
        made = batch(*_some(chance, numbers, chance.choice([1, 5, 80])), seq=seq)
        written.append(made)
        for one in (store, plain):
            one.write([made, chance.choice(written)])
        for _ in range(chance.choice([0, 0, 1, 3, 50])):
            store.roll_up(now, leased=True)
        if chance.random() < 0.2:
            store.close()
            store = open_()
        now += chance.randrange(24) * HOUR_NS
        low = T + chance.randrange(4 * 1440) * MINUTE_NS
        for start, end in ((T - DAY_NS, T + 9 * DAY_NS), (low, low + chance.randrange(1, 3000) * MINUTE_NS)):
            machines, by = chance.choice([(), ("b",)]), chance.choice([(), ("machine", "shift", "product", "calendar")])
            _same(store, plain, Query("van-long", start, end, "UTC", machines, chance.choice(BUCKETS), by))
            zone = chance.choice(ZONES)
            _same(store, plain, Query("van-long", start, end, zone, machines, "hour", by))
    settle(store, T + 30 * DAY_NS)
    with store.file.reading() as cursor:
        assert cursor.execute(
            "SELECT (SELECT count(*) FROM stale_hours) + (SELECT count(*) FROM stale_days)"
        ).fetchone() == (0,)
        cursor.execute("SELECT 1").fetchall()
    for bucket in BUCKETS[1:]:
        _same(store, plain, replace(ALL, bucket=bucket, by=("machine", "shift")))


def test_whole_days_and_hours_are_read_where_nothing_is_stale(open_):
    """What is asked of a year are days, not half a million minutes: the tables are emptied to see which are read."""
    store = open_()
    store.write([batch(running(T, 3 * 1440))])
    settle(store, T + 30 * DAY_NS)
    with store.file.writing() as cursor:
        cursor.execute("DELETE FROM facts")
        cursor.commit()
    assert store.facts(ALL).column("pieces_good").tolist() == [43_200]
    assert (
        store.facts(replace(ALL, start_ns=T, end_ns=T + 3 * DAY_NS, bucket="hour")).column("pieces_good").sum()
        == 43_200
    )
    with store.file.writing() as cursor:
        cursor.execute("DELETE FROM facts_hour")
        cursor.commit()
    whole = replace(ALL, start_ns=T + 7 * HOUR_NS, end_ns=T + 55 * HOUR_NS)  # two days of UTC
    assert store.facts(whole).column("pieces_good").tolist() == [28_800]
    store.write([batch([{"t": T + 8 * HOUR_NS, "n": 3, "pieces_good": 1}])])
    assert store.facts(whole).column("pieces_good").tolist() == [14_401]  # the stale day is read from what is finer


def test_the_latest_hours_wait_until_they_are_over(open_):
    store = open_()
    store.write([batch(running(T, 180))])
    assert not store.roll_up(T + 2 * HOUR_NS, leased=True)
    settle(store, T + 3 * HOUR_NS + 1)
    with store.file.reading() as cursor:
        assert cursor.execute("SELECT count(*) FROM stale_hours").fetchall() == [(1,)]
        assert cursor.execute("SELECT DISTINCT minute_ns FROM facts_hour ORDER BY 1").fetchall() == [
            (T,),
            (T + HOUR_NS,),
        ]


_JOB = """
import sys, threading
sys.path[:0] = [{root!r}, {here!r}, {here!r} + "/.."]
from center_plant import batch, running
from center.stores.duckdb.store import open_store
store = open_store({{"file": sys.argv[1]}})
HOUR = 3_600_000_000_000
first = int(sys.argv[2])
def job():
    while True:
        store.roll_up(2**62, leased=True)
threading.Thread(target=job, daemon=True).start()
for seq in range(first, 100000):
    hours = [(seq * 7 + k * 13) % 60 for k in range(3)]
    rows = [row | {{"n": seq}} for hour in hours for row in running((hour + 480_000) * HOUR, 2)]
    store.write([batch(rows, seq=seq)])
    print(seq, flush=True)
"""


def test_killed_between_any_two_steps_no_sum_is_wrong(tmp_path):
    """kill -9 of a process that writes into old hours while it adds them up, again and again."""
    file, code, last = tmp_path / "nhip.duckdb", _JOB.format(root=str(ROOT), here=str(Path(__file__).parent)), 0
    for round_ in range(4):
        command = [sys.executable, "-c", code, str(file), str(last + 1)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        for line in process.stdout:
            last = int(line)
            if last >= 12 * (round_ + 1) + round_:
                process.send_signal(signal.SIGKILL)
                break
        rest = process.stdout.read().split()
        last = int(rest[-1]) if rest else last
        process.wait()
        process.stdout.close()
    store = duckdb.open_store({"file": str(file)})
    rows = store.facts(replace(ALL, bucket="minute")).column("pieces_good").sum()
    assert rows >= last * 3 * 20
    for bucket in ("hour", "day", "all"):
        assert store.facts(replace(ALL, bucket=bucket)).column("pieces_good").sum() == rows
    settle(store, 2**61)
    for bucket in ("hour", "day", "all"):
        assert store.facts(replace(ALL, bucket=bucket)).column("pieces_good").sum() == rows
    store.close()


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path, open_):
    file = tmp_path / "nhip.duckdb"
    store = open_()
    store.write([batch(running(T, 200))])
    settle(store, T + 30 * DAY_NS)
    with store.file.writing() as cursor:
        for table in ("facts_hour", "facts_day", "losses_hour", "losses_day", "stale_hours", "stale_days"):
            cursor.execute(f"DROP TABLE {table}")
        cursor.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
        cursor.commit()
    store.close()
    store = duckdb.open_store({"file": str(file)})
    assert store.facts(ALL).column("pieces_good").tolist() == [2000]
    assert settle(store, T + 30 * DAY_NS)
    assert store.facts(ALL).column("pieces_good").tolist() == [2000]
    with store.file.reading() as cursor:
        assert cursor.execute("SELECT value FROM meta WHERE key = 'schema'").fetchall() == [(SCHEMA_VERSION,)]
    store.close()


# minute rows that are not kept for ever


def test_sums_outlive_minutes_and_nothing_can_spoil_them(open_):
    store, plain = open_(retention="60d"), open_("plain")
    for day in range(4):
        for one in (store, plain):
            one.write([batch(running(T + day * DAY_NS, 600), [{"t": T + day * DAY_NS, "state": State.SETUP, "ms": 5}])])
    now = T + 62 * DAY_NS + HOUR_NS
    settle(store, now)
    gone = (now - 60 * DAY_NS) // DAY_NS * DAY_NS
    with store.file.reading() as cursor:
        assert cursor.execute("SELECT min(minute_ns) >= ? FROM facts", [gone]).fetchall() == [(True,)]
    for query in (
        replace(ALL, bucket="day", by=("machine", "shift")),
        replace(ALL, bucket="month"),
        replace(ALL, start_ns=T + 3 * HOUR_NS, end_ns=T + 3 * DAY_NS, bucket="hour"),
        replace(ALL, start_ns=T + 3 * HOUR_NS, end_ns=T + 3 * DAY_NS, bucket="shift"),
    ):
        _same(store, plain, query)
    with pytest.raises(StoreRefused, match="closed"):
        store.write([batch(running(T, 1, n=9))])
    store.write([batch(running(gone, 1, n=9))])
    plain.write([batch(running(gone, 1, n=9))])
    _same(store, plain, replace(ALL, bucket="day"))
    settle(store, now)
    store.close()
    store = open_(retention="60d")
    _same(store, plain, replace(ALL, bucket="day"))
    with pytest.raises(StoreRefused, match="closed"):
        store.write([batch(running(T, 1, n=9))])


@pytest.mark.parametrize(("text", "code"), [("48d", "short_retention"), ("1h", "short_retention"), ("soon", "invalid")])
def test_minutes_cannot_be_kept_shorter_than_gateways_may_send(tmp_path, text, code):
    with pytest.raises(Misconfigured) as caught:
        duckdb.open_store({"file": str(tmp_path / "f.duckdb"), "retention": text})
    assert caught.value.complaints[0].code == code
    assert not (tmp_path / "f.duckdb").exists()


def test_a_closed_store_says_that_it_is_away(open_):
    store = open_()
    assert isinstance(store, RolledUp)
    store.close()
    with pytest.raises(StoreUnavailable):
        store.roll_up(T, leased=True)
    assert json.dumps(store.retention_ns) == "0"


def test_hours_whose_minutes_are_gone_are_copied_as_sums(open_):
    store, target = open_(retention="60d"), open_("target")
    for day in range(4):
        store.write([batch(running(T + day * DAY_NS, 600), [{"t": T + day * DAY_NS, "state": State.SETUP, "ms": 5}])])
    settle(store, T + 62 * DAY_NS)
    for _ in range(2):  # begun again, it changes nothing
        copied = migrate(store, target, store.ledger, None, lambda *_: None)
        assert copied.differences == []
    assert copied.facts < 4 * 600
    for query in (
        replace(ALL, bucket="day", by=("machine", "shift")),
        replace(ALL, start_ns=T, end_ns=T + 9 * DAY_NS, bucket="hour"),
    ):
        _same(store, target, query)
    assert target.ledger.overfull() == []


POISON = {"ideal_total_us": 10**14}


def poisoned(site, start_ns, rows=93_000):
    """Rows whose sum no column of 64 bits holds, though each is small enough: made by hand, since no envelope may hold them."""
    keys = [{"t": start_ns + at % 60 * MINUTE_NS, "n": at // 60} | POISON for at in range(rows)]
    return batch(keys, site=site)


def test_an_hour_that_no_sum_holds_is_set_aside_and_all_others_are_added_up(open_):
    """Also after a restart, and when its days and minutes are due."""
    store = open_(retention="365d")
    store.write([poisoned("bad", T), batch(running(T, 60)), batch(running(T + 26 * HOUR_NS, 60))])
    now_ns = T + 80 * HOUR_NS
    settle(store, now_ns)
    assert list(store.aside) == [("bad", T)]
    assert "INT" in store.aside["bad", T]
    with store.file.reading() as cursor:
        assert cursor.execute("SELECT site FROM stale_hours").fetchall() == [("bad",)]
        assert cursor.execute("SELECT count(*) FROM facts_day WHERE site = 'van-long'").fetchall() == [(2,)]
    read = [store.facts(replace(ALL, site="bad", bucket=bucket)) for bucket in BUCKETS if bucket != "minute"]
    assert {int(found.column("ideal_total_us").max()) for found in read} == {2**60}
    store.close()
    store = open_(retention="365d")
    store.write([batch(running(T + 30 * HOUR_NS, 60), seq=2)])
    settle(store, now_ns)
    assert list(store.aside) == [("bad", T)]
    assert store.facts(ALL).column("running_ms").sum() == 180 * 60_000
    settle(store, now_ns + 400 * DAY_NS)
    assert not store.aside
    assert store.facts(replace(ALL, site="bad")).column("ideal_total_us").tolist() == [2**60]
    assert store.facts(ALL).column("running_ms").sum() == 180 * 60_000


def test_an_hour_that_was_set_aside_is_added_up_once_its_rows_are_sound(open_):
    store = open_()
    store.write([poisoned("bad", T)])
    settle(store, T + 80 * HOUR_NS)
    assert store.aside
    store.forget_machine("bad", "press-1")
    store.hours.recount("bad", T, T + HOUR_NS)
    store.write([batch(running(T, 60, "press-2"), site="bad", seq=2)])
    assert not store.aside
    settle(store, T + 80 * HOUR_NS)
    with store.file.reading() as cursor:
        assert not cursor.execute("SELECT site FROM stale_hours UNION ALL SELECT site FROM stale_days").fetchall()
