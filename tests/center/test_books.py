"""What every kind of books must do, and what those do that several processes share."""

import random
from dataclasses import replace

import pytest
from center_plant import STREAM, eventually, ns
from hypothesis import given
from hypothesis import strategies as st
from postgres_plant import KINDS, Postgres, database_url
from sqlalchemy import select

from center.contract import ledger as ledger_contract
from center.contract.ledger import Changes, QuarantinedPayload, SharedLedger
from center.contract.store import StoreRefused, StoreUnavailable
from center.contract.streams import StreamKey, StreamRecord, merged
from center.database.sql import open_database, reading
from center.ledger import statements as books_sql
from center.ledger.cache import KEEP_DIGESTS
from center.ledger.sql import SqlLedger
from center.ledger.tables import DIGESTS
from center.model.sites import Owner, SiteRow
from center.stores.duckdb import ledger_tables as _duckdb_books
from center.stores.duckdb import store as duckdb
from center.stores.duckdb.ledger import DuckLedger
from config import Misconfigured
from wire.marks import Marks, count, is_settled, settle

KEY = StreamKey("van-long", "main", STREAM)
T = ns("2026-03-02T08:00:00")


@pytest.fixture(params=("duckdb", *KINDS))
def opener(request, tmp_path):
    if request.param == "duckdb":
        return lambda: duckdb.open_store({"file": str(tmp_path / "books.duckdb")}).ledger
    url = database_url(request.param, tmp_path)
    return lambda: SqlLedger(open_database(url))


@pytest.fixture(params=KINDS)
def shared(request, tmp_path):
    url, opened = database_url(request.param, tmp_path), []

    def one():
        opened.append(SqlLedger(open_database(url)))
        opened[-1].load()
        return opened[-1]

    one.kind = request.param
    yield one
    for books in opened:
        books.close()


def _quarantined(number, *, settled=True):
    return QuarantinedPayload(
        number, "nhip/v1/van-long/main/facts", "vì sao", str(number).encode() + b"\x00", settled=settled
    )


def test_books_are_there_after_a_restart(opener):
    first = opener()
    generation = first.load().generation
    state = StreamRecord("facts", Marks(7, ((9, 9), (11, 20))), 13, 1, 4, 0, 2, 1, 99)
    changes = Changes(
        {KEY: state},
        {(KEY, 7): b"\x00\xff", (KEY, 9): b"digest"},
        [Owner("van-long", "máy dập 1", "main", 60)],
        [SiteRow("van-long", "main", "h2", 20, '{"tên": 2}'), SiteRow("van-long", "main", "h1", 10, "{}")],
        [_quarantined(5)],
    )
    assert first.commit(changes).streams == {KEY: state}
    first.commit(replace(changes, before={KEY: state}, owners=[Owner("van-long", "máy dập 1", "annex", 60)]))
    first.close()
    second = opener()
    found = second.load()
    assert found.generation == generation
    assert found.streams == {KEY: state}
    assert found.digests == {KEY: {7: b"\x00\xff", 9: b"digest"}}
    assert found.owners == {("van-long", "máy dập 1"): Owner("van-long", "máy dập 1", "annex", 60)}
    assert [row.config_hash for row in found.sites] == ["h1", "h2"]
    rows, total = second.quarantined("", 10)
    assert (rows[0].topic, rows[0].reason, rows[0].size, total) == ("nhip/v1/van-long/main/facts", "vì sao", 2, 1)
    assert second.payload(rows[0].id) == _quarantined(5)
    assert second.payload(rows[0].id + 1) is None
    second.commit(Changes(released=[rows[0].id]))
    assert second.quarantined("", 10) == ([], 0)
    second.commit(Changes(generation="new"))
    assert second.load().generation == "new"
    second.close()


def test_all_or_nothing(opener):
    books = opener()
    books.load()
    bad = QuarantinedPayload(2**70, "topic", "a time that no column holds", b"", settled=True)
    with pytest.raises(StoreRefused):
        books.commit(Changes({KEY: StreamRecord("facts", Marks(1), 1)}, quarantine=[bad]))
    assert books.load().streams == {}
    books.close()


def test_the_quarantine_is_bounded_for_what_anybody_can_send(opener, monkeypatch):
    monkeypatch.setattr(ledger_contract, "KEEP_UNSETTLED", 3)
    books = opener()
    for number in range(10):
        books.commit(Changes(quarantine=[_quarantined(number, settled=False), _quarantined(number)] * 2))
    rows, total = books.quarantined("", 100)
    assert total == len(rows) == 13
    assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)
    assert books.quarantined("van-lon", 100) == ([], 0)
    assert books.quarantined("van_long", 100) == ([], 0)
    books.close()


def test_old_digests_are_forgotten_at_the_start(opener, monkeypatch):
    for module in (_duckdb_books, books_sql):
        monkeypatch.setattr(module, "KEEP_DIGESTS", 5)
    books = opener()
    books.load()
    books.commit(Changes(digests={(KEY, seq): b"x" for seq in range(1, 21)}))
    books.close()
    books = opener()
    assert sorted(books.load().digests[KEY]) == [16, 17, 18, 19, 20]
    books.close()


def test_old_digests_are_forgotten_while_a_center_runs(opener):
    """Months pass between two starts; what a stream keeps does not grow with them."""
    books, other = opener(), StreamKey("van-long", "annex", STREAM)
    books.load()
    for start in range(1, 4 * KEEP_DIGESTS, 500):
        books.commit(Changes(digests={(KEY, seq): b"x" for seq in range(start, start + 500)} | {(other, 1): b"y"}))
    held = books.load().digests if isinstance(books, DuckLedger) else _held(books)
    assert len(held[KEY]) < 2 * KEEP_DIGESTS + 500
    assert max(held[KEY]) > 4 * KEEP_DIGESTS
    assert len(held[other]) == 1
    books.close()


def _held(books):
    """What is in the table; `load` tidies it."""
    held = {}
    with reading(books._engine) as connection:
        for row in connection.execute(select(DIGESTS)):
            held.setdefault(StreamKey(row.site, row.gateway, row.stream), []).append(row.seq)
    return held


# several processes

STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 25), st.booleans()), max_size=30)


@given(STEPS)
def test_however_processes_interleave_every_seq_is_settled_once(steps):
    """Each step settles one seq on what its process last saw; a process sees the truth only when it has written."""
    truth = StreamRecord("facts")
    views = [truth] * 3
    told = set()
    for who, seq, quarantined in steps:
        before = views[who]
        if is_settled(before.marks, seq):
            after = replace(before, duplicates=before.duplicates + 1)
        else:
            name = "quarantined" if quarantined else "stored"
            marks = settle(before.marks, [(seq, seq)])
            after = replace(before, marks=marks, **{name: getattr(before, name) + 1})
        told.add(seq)
        truth = views[who] = merged(truth, before, after)
    assert {seq for seq in range(1, 30) if is_settled(truth.marks, seq)} == told
    assert truth.stored + truth.quarantined == count(truth.marks) == len(told)
    assert min(truth.stored, truth.quarantined) >= 0
    assert truth.duplicates == len(steps) - len(told)


def test_what_two_processes_settle_of_one_stream_is_settled(shared):
    one, other, chance = shared(), shared(), random.Random(1)
    views = {books: StreamRecord("facts") for books in (one, other)}
    seqs = [seq for seq in range(1, 41) for _ in range(2)]
    chance.shuffle(seqs)
    for seq in seqs:
        books = chance.choice([one, other])
        before = views[books]
        if is_settled(before.marks, seq):
            continue
        after = replace(before, marks=settle(before.marks, [(seq, seq)]), stored=before.stored + 1)
        changes = Changes({KEY: after}, {(KEY, seq): b"d%d" % seq}, before={KEY: before})
        views[books] = books.commit(changes).streams[KEY]
    found = shared().load()
    assert (found.streams[KEY].marks, found.streams[KEY].stored) == (Marks(40), 40)
    assert len(found.digests[KEY]) == 40


def test_what_others_did_is_seen_before_anything_is_stored(shared):
    one, other = shared(), shared()
    assert isinstance(one, SharedLedger)
    state = StreamRecord("facts", Marks(1), 1)
    claim = Owner("van-long", "press-1", "main")
    step = Changes({KEY: state}, {(KEY, 1): b"digest"}, [claim])
    assert one.reconcile(step) == Changes(owners=[])
    one.commit(step)
    found = other.reconcile(Changes({KEY: state}, {(KEY, 1): b"another"}, [replace(claim, gateway="annex")]))
    assert found.digests == {(KEY, 1): b"digest"}
    assert found.streams == {KEY: state}
    assert found.owners == [claim]
    news = other.changes_since(0)
    assert (dict(news.streams), list(news.owners)) == ({KEY: state}, [claim])
    assert news.generation == one.load().generation


def test_a_machine_s_first_minute_is_the_earliest_that_anybody_took(shared):
    """Those who take a new gateway's backlog side by side each know a part of it."""
    one, other = shared(), shared()
    claim = Owner("van-long", "press-1", "main")
    for books, first_ns, known_ns in (
        (one, 0, 0),
        (other, 300, 300),
        (one, 100, 100),
        (other, 200, 100),
        (one, 0, 100),
    ):
        (kept,) = books.commit(Changes(owners=[replace(claim, first_ns=first_ns)])).owners
        assert kept.first_ns == known_ns
    assert one.load().owners["van-long", "press-1"].first_ns == 100


def test_only_one_makes_a_new_generation(shared):
    one, other = shared(), shared()
    assert one.commit(Changes(generation="first")).generation == "first"
    assert other.commit(Changes(generation="second")).generation == "first"
    assert shared().load().generation == "first"
    assert other.commit(Changes(generation="second")).generation == "second"


def test_books_are_lowered_to_what_the_store_knows(shared):
    books = shared()
    books.commit(Changes({KEY: StreamRecord("facts", Marks(5, ((7, 8),)), 7)}))
    books.lower(lambda: {KEY: Marks(2, ((8, 8),))}, [KEY])
    state = books.load().streams[KEY]
    assert (state.marks, state.stored) == (Marks(2, ((8, 8),)), 3)


def _joins(books, *, alone):
    try:
        books.processes.join(alone=alone)
    except Misconfigured:
        return False
    return True


def test_leases_numbers_and_parts_belong_to_one_process_at_a_time(shared):
    one, other = shared(), shared()
    if shared.kind == "sqlite":
        assert one.processes.lease("sums")
        assert one.processes.number() == ""
        one.processes.join(alone=True)
        return
    assert one.processes.lease("sums")
    assert one.processes.lease("sums")
    assert not other.processes.lease("sums")
    assert (one.processes.number(), other.processes.number()) == ("0", "1")
    one.processes.join(alone=False)
    other.processes.join(alone=False)
    with pytest.raises(Misconfigured, match="role_taken"):
        shared().processes.join(alone=True)
    one.close()
    eventually(lambda: other.processes.lease("sums"))  # the server notices a moment later that somebody is gone
    third = shared()
    assert third.processes.number() == "0"
    other.close()
    third.close()
    lonely = shared()
    eventually(lambda: _joins(lonely, alone=True))
    with pytest.raises(Misconfigured, match="role_taken"):
        shared().processes.join(alone=False)


def test_a_database_that_is_away_is_said_and_what_was_held_is_taken_back():
    server = Postgres()
    try:
        server.start()
        url = server.database()
        books = SqlLedger(open_database(url))
        books.load()
        assert books.processes.lease("sums")
        assert books.processes.number() == "0"
        state = StreamRecord("facts", Marks(1), 1)
        books.commit(Changes({KEY: state}))
        server.kill()
        for work in (
            lambda: books.commit(Changes({KEY: state})),
            lambda: books.processes.lease("sums"),
            lambda: books.changes_since(0),
        ):
            with pytest.raises(StoreUnavailable):
                work()
        server.start()
        assert books.processes.lease("sums")
        other = SqlLedger(open_database(url))
        assert other.load().streams == {KEY: state}
        assert not other.processes.lease("sums")
        assert other.processes.number() == "1"
        books.close()
        other.close()
    finally:
        server.remove()
