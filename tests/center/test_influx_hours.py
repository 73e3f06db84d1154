"""Hourly sums beside the InfluxDB store: they may make an answer faster, never different."""

import json
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from center_plant import batch, ns, running
from influx_plant import influx_settings, lose_books, set_retention
from servers import PATIENCE_S

from center.commands.migrate import migrate
from center.contract.store import Query
from center.stores.duckdb import store as duckdb
from center.stores.influxdb.store import open_store
from config import Misconfigured
from oee.model.facts import HOUR_NS, MINUTE_NS
from oee.model.states import State

T = ns("2026-03-02T00:00:00")
ALL = Query("van-long", 0, 2**62, "Asia/Ho_Chi_Minh")


@pytest.fixture
def store(tmp_path):
    opened = open_store(influx_settings(tmp_path))
    yield opened
    opened.close()


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
    real = store.database.server.ask
    store.database.server.ask = lambda statements, *where: questions.extend(statements) or real(statements, *where)
    return questions


def test_the_latest_hours_are_read_row_by_row_and_older_ones_once(store):
    store.write([batch(running(T, 300))])
    store.hours._now_ns = lambda: T + 5 * HOUR_NS
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
        "from center.contract.store import Query\nfrom center.stores.influxdb.store import open_store\n"
        "print(open_store(json.loads(sys.argv[1])).facts(Query('van-long', 0, 2**62)).column('pieces_good').tolist())"
    )
    paths = [str(Path(__file__).parents[index]) for index in (2, 0, 1)]
    command = [sys.executable, "-c", code, json.dumps(influx_settings(tmp_path)), json.dumps(paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
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


def test_hours_that_pass_are_added_up_before_anybody_asks(store):
    now = T + 30 * HOUR_NS
    store.write([batch(running(T, 600))])
    assert not store.roll_up(now, leased=False, answers=False)
    store.hours._now_ns = lambda: now
    while store.roll_up(now, leased=False):
        pass
    questions = _questions(store)
    assert store.facts(replace(ALL, end_ns=now, bucket="all")).column("pieces_good").tolist() == [6000]
    sums = [statement for statement in questions if statement.startswith("SELECT sum")]
    assert all(f"time >= {T} " not in statement for statement in sums)


# what was lost or changed by hand


def _all_rolled_up(store, now):
    store.hours._now_ns = lambda: now
    while store.roll_up(now, leased=True):
        pass


def test_hours_that_lost_their_numbers_are_not_empty(store, tmp_path):
    """Whoever drops the policy `books`, or only the list of hours, leaves rows of which nothing says that they are there."""
    now = T + 60 * HOUR_NS
    for lose in (lose_books, _lose_hours):
        store.write([batch(running(T, 600)), batch(running(T + 30 * HOUR_NS, 60))])
        _all_rolled_up(store, now)
        store.close()
        (tmp_path / "hours.duckdb").unlink(missing_ok=True)
        store = open_store(influx_settings(tmp_path))
        lose(store)
        store.close()
        store = open_store(influx_settings(tmp_path))
        store.hours._now_ns = lambda: now
        query = replace(ALL, end_ns=now, bucket="hour")
        assert store.facts(query).column("pieces_good").tolist() == [600] * 10 + [600]
        store.write([batch(running(T, 1, n=1))])  # a late row gives its own hour a number, and no other
        assert store.facts(query).column("pieces_good").sum() == 6610
        _all_rolled_up(store, now)
        questions = _questions(store)
        assert store.facts(query).column("pieces_good").sum() == 6610
        assert not [item for item in questions if item.startswith("SELECT sum")], "they are cached again"
        _drop(store, "facts")
    store.close()


def _lose_hours(store):
    store.database.server.ask(['DROP MEASUREMENT "hours"'], store.database.name)


def test_rows_deleted_by_hand_are_gone_from_every_sum_after_a_recount(store):
    now = T + 60 * HOUR_NS
    store.write([batch(running(T, 600, machine=name)) for name in ("a", "b")])
    _all_rolled_up(store, now)
    query = replace(ALL, end_ns=now, bucket="hour", by=("machine",))
    assert store.facts(query).column("pieces_good").sum() == 12_000
    store.database.server.ask(["DELETE FROM facts WHERE machine = 'a'"], store.database.name)
    assert store.hours.recount("van-long", 0, 2**62) == 10
    for bucket in ("hour", "day", "all", "minute"):
        found = store.facts(replace(query, bucket=bucket))
        assert (set(found.machine.tolist()), found.column("pieces_good").sum()) == ({"b"}, 6000)
    assert store.hours.recount("van-long", T, T + HOUR_NS) == 1
    assert store.hours.recount("nobody", 0, 2**62) == 0


# rows that are not kept for ever


def _drop(store, *measurements):
    """What retention does: rows are gone, whatever lies in the other policy stays."""
    for measurement in measurements:
        store.database.server.ask([f'DROP MEASUREMENT "{measurement}"'], store.database.name)


def test_sums_of_hours_outlive_the_rows(tmp_path):
    now = time.time_ns() // (24 * HOUR_NS) * 24 * HOUR_NS
    start = now - 50 * 24 * HOUR_NS
    settings = influx_settings(tmp_path, retention="60d")
    store, plain = open_store(settings), duckdb.open_store({"file": str(tmp_path / "plain.duckdb")})
    chance, numbers = random.Random(7), {}
    for seq in range(4):
        rows, lost = _random(chance, numbers, 60)
        for row in (*rows, *lost):
            row["t"] += start - T
            row["date"] = row["t"] // (24 * HOUR_NS)
        for one in (store, plain):
            one.write([batch(rows, lost, seq=seq)])
        if seq == 1:
            assert store.roll_up(now, leased=True)  # some are added up before the last corrections
    zeroed = {"t": start, "machine": "a", "date": start // (24 * HOUR_NS), "n": 99}
    for one in (store, plain):
        one.write([batch([zeroed | {"cycles": 4}], stream="b" * 16)])
    store.hours._rolled_up_ns = 0
    while store.roll_up(now, leased=True):
        pass
    for one in (store, plain):
        one.write([batch([zeroed | {"n": 98, "cycles": -4}], stream="b" * 16)])
    store.hours._rolled_up_ns = 0
    while store.roll_up(now, leased=True):
        pass
    _drop(store, "facts", "losses")
    store.hours._now_ns = lambda: now + 20 * 24 * HOUR_NS
    window = (start, start + 73 * HOUR_NS)
    for cached in (True, False):
        if not cached:  # a center whose file of sums is lost, and one that has none
            store.close()
            (tmp_path / "hours.duckdb").unlink()
            store = open_store(settings | {"cache": "/proc/no/such/file"})
            store.hours._now_ns = lambda: now + 20 * 24 * HOUR_NS
        for bucket in ("hour", "shift", "day", "month", "all"):
            query = Query("van-long", *window, ALL.zone, (), bucket, ("machine", "shift"))
            assert (store.facts(query).sums == plain.facts(query).sums).all()
            assert store.facts(query).minute_ns.tolist() == plain.facts(query).minute_ns.tolist()
            assert (store.losses(query).sums == plain.losses(query).sums).all()
    target = duckdb.open_store({"file": str(tmp_path / "target.duckdb")})
    for _ in range(2):
        assert migrate(store, target, plain.ledger, None, lambda *_: None).differences == []
    query = Query("van-long", *window, ALL.zone, (), "day", ("machine", "shift"))
    assert (target.facts(query).sums == plain.facts(query).sums).all()
    for one in (store, plain, target):
        one.close()


def test_a_server_that_deletes_too_soon_is_refused(tmp_path):
    store = open_store(influx_settings(tmp_path))
    set_retention(store, 30 * 86_400)
    store.close()
    with pytest.raises(Misconfigured, match="short_retention"):
        open_store(influx_settings(tmp_path))
