"""What the embedded store promises beyond the contract: one file for facts and books, one owner, one transaction."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest
from center_plant import STREAM, batch, ns, running
from servers import PATIENCE_S, eventually

from center.contract import ledger as ledger_contract
from center.contract.ledger import Changes, QuarantinedPayload
from center.contract.store import Query, StoreRefused, StoreUnavailable
from center.contract.streams import StreamKey, StreamRecord
from center.model.sites import Owner, SiteRow
from center.stores.duckdb import ledger_tables as _duckdb_books
from center.stores.duckdb.store import open_store
from config import Misconfigured
from oee.model.facts import MINUTE_NS
from wire.marks import Marks

ROOT = Path(__file__).parents[2]
KEY = StreamKey("van-long", "main", STREAM)
ALL = Query("van-long", 0, 2**62)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dữ liệu" / "nhip.duckdb"


@pytest.fixture
def store(path):
    opened = open_store({"file": str(path)})
    yield opened
    opened.close()


def _run(code, *arguments):
    paths = [str(Path(__file__).parents[index]) for index in (2, 0, 1)]
    code = f"import sys; sys.path[:0] = {paths!r}\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def test_books_are_there_after_a_restart(path):
    first = open_store({"file": str(path)})
    generation = first.ledger.load().generation
    state = StreamRecord("facts", Marks(7, ((9, 9), (11, 20))), 3, 1, 4, 0, 2, 1, 99)
    changes = Changes(
        {KEY: state},
        {(KEY, 7): b"\x00\xff", (KEY, 9): b"digest"},
        [Owner("van-long", "máy dập 1", "main", 60)],
        [SiteRow("van-long", "main", "h2", 20, '{"tên": 2}'), SiteRow("van-long", "main", "h1", 10, "{}")],
        [QuarantinedPayload(5, "nhip/v1/van-long/main/facts", "vì sao", b"\x00\x01", settled=True)],
    )
    first.commit([batch(running(ns("2026-03-02T08:00:00"), 1))], changes)
    first.commit([], Changes({KEY: state}, owners=[Owner("van-long", "máy dập 1", "annex", 60)]))
    first.close()
    second = open_store({"file": str(path)})
    found = second.ledger.load()
    assert found.generation == generation
    assert found.streams == {KEY: state}
    assert found.digests == {KEY: {7: b"\x00\xff", 9: b"digest"}}
    assert found.owners == {("van-long", "máy dập 1"): Owner("van-long", "máy dập 1", "annex", 60)}
    assert [row.config_hash for row in found.sites] == ["h1", "h2"]
    rows, count = second.ledger.quarantined("", 10)
    assert (rows[0].topic, rows[0].reason, rows[0].size, count) == ("nhip/v1/van-long/main/facts", "vì sao", 2, 1)
    assert second.ledger.payload(rows[0].id).payload == b"\x00\x01"
    second.commit([], Changes(generation="new"))
    assert second.ledger.load().generation == "new"
    second.close()


def test_a_second_process_is_refused_with_a_reason(store, path):
    result = _run(
        "from center.stores.duckdb.store import open_store\nfrom config import Misconfigured\n"
        "try:\n    open_store({'file': sys.argv[1]})\n"
        "except Misconfigured as error:\n    print(error.complaints[0].code, error)",
        path,
    )
    assert "store_in_use" in result.stdout, result.stderr
    assert str(path) in result.stdout


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"file": "/proc/no/such/nhip.duckdb"}, "store_cannot_open"),
        ({"memory_limit": "a lot"}, "bad_memory_limit"),
        ({"size": 3}, "unknown_key"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, code):
    with pytest.raises(Misconfigured) as caught:
        open_store(settings)
    assert caught.value.complaints[0].code == code


def test_a_file_of_another_kind_or_version_is_refused(tmp_path):
    (tmp_path / "text").write_text("this is no database, " * 100)
    with pytest.raises(Misconfigured, match="store_cannot_open"):
        open_store({"file": str(tmp_path / "text")})
    duckdb.connect(str(tmp_path / "foreign")).execute("CREATE TABLE t (x INTEGER)").close()
    with pytest.raises(Misconfigured, match="store_version"):
        open_store({"file": str(tmp_path / "foreign")})


def test_facts_and_marks_commit_together_or_not_at_all(store):
    t = ns("2026-03-02T08:00:00")
    bad = QuarantinedPayload(2**70, "topic", "a time that no column holds", b"", settled=True)
    with pytest.raises(StoreRefused):
        store.commit([batch(running(t, 5))], Changes({KEY: StreamRecord("facts", Marks(1))}, quarantine=[bad]))
    assert len(store.facts(ALL)) == 0
    assert store.ledger.load().streams == {}
    store.commit([batch(running(t, 5))], Changes({KEY: StreamRecord("facts", Marks(1))}))
    assert store.facts(ALL).column("pieces_good").tolist() == [50]


def test_tables_that_changed_are_no_fault_of_what_is_stored(store, path):
    """What comes meanwhile is not refused for good, and a start says which columns are missing."""
    t = ns("2026-03-02T08:00:00")
    with store.file.writing() as cursor:
        cursor.execute("ALTER TABLE facts RENAME COLUMN shift TO turn")
        cursor.commit()
    with pytest.raises(StoreUnavailable, match="shift"):
        store.write([batch(running(t, 5))])
    store.close()
    with pytest.raises(Misconfigured, match=r"facts\.shift"):
        open_store({"file": str(path)})
    with duckdb.connect(str(path)) as connection:
        connection.execute("ALTER TABLE facts RENAME COLUMN turn TO shift")
    again = open_store({"file": str(path)})
    again.write([batch(running(t, 5))])
    assert again.facts(ALL).column("pieces_good").tolist() == [50]
    again.close()


_FULL = """
import resource, signal
from center_plant import batch, running
from center.contract.store import Query, StoreUnavailable
from center.stores.duckdb.store import open_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store({"file": sys.argv[1]})
everything = Query("van-long", 0, 2**62)
good, away = 0, 0
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
for seq in range(1, 400):
    rows = running(seq * 3_600_000_000_000, 60)
    try:
        store.write([batch(rows, seq=seq)])
        good += 1
    except StoreUnavailable:
        away += 1
        if away == 1:
            first = seq
        if away > 3:
            break
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
kept = int(store.facts(everything).column("pieces_good").sum())
store.write([batch(running(first * 3_600_000_000_000, 60), seq=first)])
after = int(store.facts(everything).column("pieces_good").sum())
store.close()
store = open_store({"file": sys.argv[1]})
reopened = int(store.facts(everything).column("pieces_good").sum())
print(good, away, kept, after, reopened)
"""


def test_a_full_disk_is_said_loses_nothing_and_passes(path):
    """A file-size limit stands in for a full disk: writing fails with an error of the operating system."""
    result = _run(_FULL, path)
    assert result.returncode == 0, result.stderr
    good, away, kept, after, reopened = map(int, result.stdout.split())
    assert away == 4
    assert good > 0
    assert kept == good * 600
    assert after == reopened == kept + 600


def test_more_time_than_a_minute_has_is_flagged_until_it_is_corrected(store):
    t = ns("2026-03-02T08:00:00")
    store.write([batch(running(t, 3), stream="0" * 16)])
    assert store.ledger.overfull() == []
    store.write([batch([{"t": t + MINUTE_NS, "breakdown_ms": 500}], stream="1" * 16)])
    assert store.ledger.overfull() == [("van-long", "press-1", t + MINUTE_NS, 60_500)]
    store.write([batch([{"t": t + MINUTE_NS, "running_ms": -500, "n": 1}], stream="0" * 16)])
    assert store.ledger.overfull() == []


def test_a_copy_of_the_file_is_a_backup(store, path, tmp_path):
    store.commit([batch(running(MINUTE_NS, 5))], Changes({KEY: StreamRecord("facts", Marks(1))}))
    store.close()
    shutil.copy(path, tmp_path / "backup")
    copy = open_store({"file": str(tmp_path / "backup")})
    assert copy.ledger.load().streams[KEY].marks == Marks(1)
    copy.close()
    with pytest.raises(StoreUnavailable):
        store.facts(ALL)
    with pytest.raises(StoreUnavailable):
        store.write([])


def test_the_quarantine_is_bounded_for_what_anybody_can_send(store, monkeypatch):
    monkeypatch.setattr(ledger_contract, "KEEP_UNSETTLED", 3)

    def entry(number, settled):
        return QuarantinedPayload(number, "nhip/v1/van-long/main/facts", "?", str(number).encode(), settled)

    for number in range(10):
        store.commit([], Changes(quarantine=[entry(number, settled=False), entry(number, settled=True)] * 2))
    rows, count = store.ledger.quarantined("", 100)
    assert count == len(rows) == 13
    assert sum(row.settled for row in rows) == 10
    assert store.ledger.quarantined("van-lon", 100) == ([], 0)


def test_old_digests_are_forgotten_at_the_start(path, monkeypatch):
    monkeypatch.setattr(_duckdb_books, "KEEP_DIGESTS", 5)
    store = open_store({"file": str(path)})
    store.commit([], Changes(digests={(KEY, seq): b"x" for seq in range(1, 21)}))
    store.close()
    store = open_store({"file": str(path)})
    assert sorted(store.ledger.load().digests[KEY]) == [16, 17, 18, 19, 20]
    store.close()


def test_nothing_is_fetched_from_a_network(store):
    with store.file.reading() as cursor:
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions", "enable_external_access"):
            assert cursor.execute(f"SELECT current_setting('{setting}')").fetchall() == [(False,)]
    assert json.dumps(store.ledger.load().generation)


def test_a_store_is_closed_while_somebody_reads(tmp_path):
    """As at the end of a center whose night of advice is under way: the read ends with an error, and the file is whole."""
    store = open_store({"file": str(tmp_path / "x.duckdb")})
    cursors, ends = [], []

    def read():
        try:
            with store.file.reading() as cursor:
                cursors.append(cursor)
                cursor.execute("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b").fetchall()
        except (StoreUnavailable, duckdb.Error) as error:
            ends.append(error)

    reader = threading.Thread(target=read)
    reader.start()

    def is_busy():
        try:
            return cursors and cursors[0].fetchall() is None  # nothing to fetch yet
        except duckdb.ResourceInUseException:
            return True
        except duckdb.Error:
            return False

    eventually(is_busy)
    store.close()
    reader.join(PATIENCE_S)
    assert len(ends) == 1
    assert not (tmp_path / "x.duckdb.wal").exists()
