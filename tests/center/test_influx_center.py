"""A whole center on InfluxDB: books beside the store, quarantine of what it refuses, and copies between stores."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from center_plant import STREAM, Gateway, envelope, eventually, mosquitto, ns, running
from hypothesis import given
from hypothesis import strategies as st
from influx_plant import influx_settings
from servers import PATIENCE_S

from center.contract.ledger import Changes, QuarantinedPayload
from center.contract.store import Query
from center.contract.streams import StreamKey, StreamRecord, lower
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.model.sites import Owner
from center.runtime.opening import open_center
from center.runtime.state import center_state
from center.stores.duckdb import store as duckdb
from center.stores.influxdb import store as influxdb
from config import parse_center
from oee.model.facts import MINUTE_NS, Stop
from oee.model.states import State
from wire.marks import Marks, count, intersection, is_settled, settle

ROOT = Path(__file__).parents[2]
T = ns("2026-03-02T08:00:00")
KEY = StreamKey("van-long", "main", STREAM)
ALL = Query("van-long", 0, 2**62)
RANGES = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 6)).map(lambda pair: (pair[0], sum(pair))), max_size=6)


@given(RANGES, RANGES)
def test_what_both_have_settled_is_what_each_has(one, other):
    a, b = settle(Marks(), one), settle(Marks(), other)
    found = intersection(a, b)
    assert found == settle(found, [])
    for seq in range(1, 40):
        assert is_settled(found, seq) == (is_settled(a, seq) and is_settled(b, seq))


@given(RANGES, RANGES, st.integers(0, 5))
def test_counts_still_add_up_after_lowering(one, other, quarantined):
    marks = settle(Marks(), one)
    quarantined = min(quarantined, count(marks))
    state = StreamRecord("facts", marks, count(marks) - quarantined, quarantined)
    low = lower(state, settle(Marks(), other))
    assert low.stored + low.quarantined + low.dropped + low.discarded == count(low.marks)
    assert min(low.stored, low.quarantined, low.dropped, low.discarded) >= 0


class Center:
    """Store, books and ingest, which can be stopped and started again."""

    def __init__(self, folder, port, **settings):
        self.folder, self.port, self.settings = folder, port, influx_settings(folder, **settings)
        self.start()

    def start(self):
        store = json.dumps({"kind": "influxdb", "books": str(self.folder / "books.duckdb")} | self.settings)
        self.center = open_center(parse_center(f"broker: mqtt://127.0.0.1:{self.port}\nstore: {store}\n"))
        self.ingest = Ingest(self.center, BrokerSettings("127.0.0.1", self.port))
        self.ingest.start()
        eventually(lambda: self.center.health.condition("broker") == "ok")

    def stop(self):
        self.ingest.stop()
        self.center.store.close()
        self.center.ledger.close()

    def pieces(self):
        return int(self.center.store.facts(ALL).column("pieces_good").sum())


@pytest.fixture
def port(tmp_path):
    with mosquitto(tmp_path) as number:
        yield number


def test_facts_are_stored_once_and_marks_follow_them(tmp_path, port):
    center = Center(tmp_path, port)
    gateway = Gateway(port)
    sent = [envelope(seq, running(T + seq * 10 * MINUTE_NS, 10)) for seq in range(1, 6)]
    gateway.send(*sent, *sent)
    eventually(lambda: gateway.mark() == 5)
    assert center.pieces() == 500
    assert center.center.store.marks.load() == {KEY: Marks(5)}
    center.stop()
    center.start()
    assert center.center.ledger_cache.streams[KEY].marks == Marks(5)
    gateway.close()
    center.stop()


def test_a_store_that_was_restored_from_an_older_copy_gets_everything_again(tmp_path, port):
    """An older copy of the store: marks and rows of the first envelopes only, while the books know more."""
    center = Center(tmp_path, port)
    gateway = Gateway(port)
    sent = [envelope(seq, running(T + seq * 10 * MINUTE_NS, 10)) for seq in range(1, 6)]
    gateway.send(*sent)
    eventually(lambda: gateway.mark() == 5)
    center.stop()
    center.settings = center.settings | {"database": center.settings["database"] + "_restored"}
    older = influxdb.open_store(center.settings)
    older.marks.save({KEY: Marks(2)})
    older.close()
    center.start()
    assert center.center.ledger_cache.streams[KEY].marks == Marks(2)
    assert center.center.ledger_cache.streams[KEY].stored == 2
    gateway.send(*sent)
    eventually(lambda: center.pieces() == 300)
    eventually(lambda: center.center.store.marks.load() == {KEY: Marks(5)})
    gateway.close()
    center.stop()


def test_books_that_were_restored_from_an_older_copy_double_nothing(tmp_path, port):
    center = Center(tmp_path, port)
    gateway = Gateway(port)
    sent = [envelope(seq, running(T + seq * 10 * MINUTE_NS, 10)) for seq in range(1, 6)]
    gateway.send(*sent[:2])
    eventually(lambda: gateway.mark() == 2)
    center.stop()
    shutil.copy(tmp_path / "books.duckdb", tmp_path / "older")
    center.start()
    gateway.send(*sent[2:])
    eventually(lambda: gateway.mark() == 5)
    center.stop()
    shutil.copy(tmp_path / "older", tmp_path / "books.duckdb")
    center.start()
    assert center.center.ledger_cache.streams[KEY].marks == Marks(2)
    gateway.send(*sent)
    eventually(lambda: center.center.ledger_cache.streams[KEY].marks == Marks(5))
    assert center.pieces() == 500
    gateway.close()
    center.stop()


def test_an_envelope_with_a_row_of_a_closed_minute_is_quarantined_and_blocks_nothing(tmp_path, port):
    center = Center(tmp_path, port, retention="104w")
    gateway = Gateway(port)
    now = time.time_ns() // MINUTE_NS * MINUTE_NS
    old = running(now - 900 * 1440 * MINUTE_NS, 1, n=7)
    good = [envelope(seq, running(now - seq * 10 * MINUTE_NS, 10)) for seq in (1, 3)]
    mixed = envelope(2, [*running(now - 20 * MINUTE_NS, 10), *old])
    gateway.send(good[0], mixed, good[1])
    eventually(lambda: gateway.mark() == 3)
    assert center.pieces() == 300  # the nineteen sound rows of the mixed one stand
    (row,), _ = center.center.ledger.quarantined("", 10)
    assert row.reason.startswith("closed: 1 of 11 rows are of minutes before")
    state = center.center.ledger_cache.streams[KEY]
    assert (state.stored, state.quarantined) == (2, 1)
    assert center.center.store.marks.load() == {KEY: Marks(3)}
    gateway.close()
    center.stop()


# copies


def _yaml(folder, name, store):
    path = folder / f"{name}.yaml"
    path.write_text(f"broker: mqtt://127.0.0.1:1\nstore: {json.dumps(store)}\n", encoding="utf-8")
    return path


def _filled(folder):
    store = duckdb.open_store({"file": str(folder / "from.duckdb")})
    day = 1440 * MINUTE_NS
    from center_plant import batch

    late = ns("2026-05-01T03:00:00")
    batches = [
        batch(running(T, 200, machine="máy ép số 2"), stream="0" * 16),
        batch(running(T + 40 * day, 50), [{"t": T, "state": State.SETUP, "reason": "đổi khuôn", "ms": 9}], seq=2),
        batch([{"t": T, "n": 5, "pieces_good": -3, "running_ms": 9}], stops=[
            Stop("press-1", "1", T, None, State.SETUP, "", "plc", "1", "2", 0),
            Stop("press-1", "1", T, T + 5, State.SETUP, "vì sao", "plc", "1", "2", 1),
        ]),
        batch(running(late, 30), site="dệt-kim"),
    ]  # fmt: skip
    changes = Changes(
        {KEY: StreamRecord("facts", Marks(7, ((9, 9),)), 8, seen_ns=5)},
        {(KEY, 7): b"\x00digest"},
        [Owner("van-long", "press-1", "main", T)],
        quarantine=[QuarantinedPayload(1, "nhip/v1/van-long/main/facts", "vì sao", b"\x00\x01", settled=True)],
    )
    store.commit(batches, changes)
    generation = store.ledger.load().generation
    store.close()
    return generation


def _nhip(*arguments):
    command = [sys.executable, str(ROOT / "nhip.py"), "migrate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S, check=False)


def test_a_center_moves_to_influxdb_and_back(tmp_path):
    generation = _filled(tmp_path)
    first = _yaml(tmp_path, "first", {"kind": "duckdb", "file": str(tmp_path / "from.duckdb")})
    influx = influx_settings(tmp_path) | {"kind": "influxdb", "books": str(tmp_path / "books.duckdb")}
    second = _yaml(tmp_path, "second", influx)
    third = _yaml(tmp_path, "third", {"kind": "duckdb", "file": str(tmp_path / "to.duckdb")})
    there = _nhip("--from", first, "--to", second, "--json")
    assert there.returncode == 0, there.stderr
    copied = json.loads(there.stdout)
    assert (copied["facts"], copied["losses"], copied["stops"], copied["differences"]) == (281, 1, 2, [])
    again = _nhip("--from", first, "--to", second, "--lang", "en")
    assert again.returncode == 1
    assert "already know streams" in again.stderr
    back = _nhip("--from", second, "--to", third, "--lang", "vi")
    assert back.returncode == 0, back.stderr
    assert "281" in back.stdout
    assert "Mọi tổng đều bằng nhau" in back.stdout
    store = duckdb.open_store({"file": str(tmp_path / "to.duckdb")})
    found = store.ledger.load()
    assert found.generation == generation
    assert found.streams[KEY].marks == Marks(7, ((9, 9),))
    assert found.digests == {KEY: {7: b"\x00digest"}}
    rows, _ = store.ledger.quarantined("", 9)
    assert store.ledger.payload(rows[0].id).payload == b"\x00\x01"
    assert center_state(store).ledger_cache.streams[KEY].stored == 8
    store.close()
    moved = open_center(parse_center(second.read_text(encoding="utf-8")))
    assert moved.ledger_cache.streams[KEY].marks == Marks(7, ((9, 9),))
    moved.store.close()
    moved.ledger.close()


def test_a_copy_that_is_not_equal_is_said_and_leaves_the_books(tmp_path):
    _filled(tmp_path)
    influx = influx_settings(tmp_path)
    store = influxdb.open_store(influx)
    from center_plant import batch

    store.write([batch(running(T, 3), stream="f" * 16)])  # rows of somebody else
    store.close()
    first = _yaml(tmp_path, "first", {"kind": "duckdb", "file": str(tmp_path / "from.duckdb")})
    second = _yaml(tmp_path, "second", influx | {"kind": "influxdb", "books": str(tmp_path / "books.duckdb")})
    done = _nhip("--from", first, "--to", second, "--lang", "en")
    assert done.returncode == 1
    assert "not equal" in done.stdout
    assert "press-1" in done.stdout
    books = duckdb.open_store({"file": str(tmp_path / "books.duckdb")})
    assert books.ledger.load().streams == {}
    books.close()


def test_a_copy_onto_itself_is_refused(tmp_path):
    first = _yaml(tmp_path, "first", {"kind": "duckdb", "file": str(tmp_path / "from.duckdb")})
    done = _nhip("--from", first, "--to", first, "--lang", "en")
    assert done.returncode == 1
    assert "same store" in done.stderr
