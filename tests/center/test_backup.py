"""Copies of a center that goes on: whole, of one instant, for administrators, and readable where they are put back."""

import os
import subprocess
import sys
import threading

import duckdb
import httpx
import pytest
from api_plant import T, deliver, fill
from center_plant import envelope, ns, running
from postgres_plant import database_url
from servers import PATIENCE_S

from center.accounts import keys, people, sessions
from center.accounts.audit import Actor
from center.accounts.schema import open_accounts
from center.api.app import create_app
from center.api.upkeep.backup import add_backup
from center.contract.store import Query
from center.model.viewer import EVERYTHING, Viewer
from center.runtime import backup
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS


@pytest.fixture
def center(tmp_path):
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    made = center_state(store, now_ns=lambda: ns("2026-03-02T10:00:20"))
    fill(made)
    yield made
    store.close()


@pytest.fixture
def engine(tmp_path):
    made = open_accounts(f"sqlite:///{tmp_path / 'nhip.accounts.sqlite'}")
    people.add_user(made, 1, Actor("root"), "an", role="admin", password="a long enough secret")
    yield made
    made.dispose()


def pieces(store):
    found = store.facts(Query("van-long", 0, ns("2026-04-01"), by=()))
    return int(found.column("pieces_total").sum())


def stored(store):
    return sum(state.stored for state in store.ledger.load().streams.values() if state.kind == "facts")


def test_a_copy_taken_while_facts_arrive_is_whole_and_of_one_instant(center, engine, tmp_path):
    """Each envelope brings ten pieces: any copy holds a multiple of ten, as many as its own ledger says."""
    before, first, stop, more = pieces(center.store), stored(center.store), threading.Event(), threading.Event()

    def arrive():
        seq = 10
        while not stop.is_set():
            deliver(center, "van-long", "facts", [envelope(seq, running(T + (100 + seq) * MINUTE_NS, 1))])
            more.set()
            seq += 1

    gateway = threading.Thread(target=arrive)
    gateway.start()
    try:
        for number in range(3):
            more.clear()
            assert more.wait(PATIENCE_S)
            backup.copy_part("store", center, engine, tmp_path / f"copy-{number}.duckdb")
    finally:
        stop.set()
        gateway.join()
    counts = []
    for number in range(3):
        restored = open_store({"file": str(tmp_path / f"copy-{number}.duckdb")})
        counts.append(stored(restored))
        assert pieces(restored) - before == (counts[-1] - first) * 10
        restored.close()
    assert first < counts[0] < counts[1] < counts[2]
    with pytest.raises(duckdb.IOException, match="lock"):  # our own lock has survived
        _open_elsewhere(tmp_path / "nhip.duckdb")


def _open_elsewhere(path):
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    if done.returncode:
        raise duckdb.IOException(done.stderr.strip().splitlines()[-1])


async def _get(center, engine, viewer, part):
    async def identify(_connection):
        return viewer

    app = create_app(center, identify)
    add_backup(app, center, engine)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get(f"/api/v1/backup/{part}")


async def test_accounts_come_back_with_their_passwords(center, engine, tmp_path):
    answer = await _get(center, engine, EVERYTHING, "database")
    assert answer.status_code == 200
    assert "nhip.accounts.sqlite" in answer.headers["content-disposition"]
    (tmp_path / "back.sqlite").write_bytes(answer.content)
    again = open_accounts(f"sqlite:///{tmp_path / 'back.sqlite'}")
    assert [item.name for item in people.users(again)] == ["an"]
    again.dispose()
    assert [path.name for path in tmp_path.glob(".*")] == []  # nothing is left beside the files


@pytest.mark.parametrize("part", backup.PARTS)
def test_a_copy_is_its_owner_s(center, engine, tmp_path, part):
    """Hashes of passwords and the key that signs cookies are in it."""
    mask = os.umask(0o022)
    backup.copy_part(part, center, engine, tmp_path / "copy")
    os.umask(mask)
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600


async def test_only_administrators_take_a_copy(center, engine):
    for rights in ({"read"}, {"read", "write"}):
        answer = await _get(center, engine, Viewer("an", frozenset({"van-long"}), frozenset(rights)), "store")
        assert answer.status_code == 403


async def test_what_another_server_keeps_is_said(center, tmp_path):
    elsewhere = open_accounts(database_url("postgresql", tmp_path))
    answer = await _get(center, elsewhere, EVERYTHING, "database")
    elsewhere.dispose()
    assert (answer.status_code, "pg_dump" in answer.json()["detail"]) == (404, True)


def test_a_full_disk_leaves_nothing_behind(center, engine, tmp_path):
    target = tmp_path / "no such folder" / "copy.duckdb"
    with pytest.raises(backup.CannotCopy, match="not copied"):
        backup.copy_part("store", center, engine, target)
    assert pieces(center.store) > 0


def test_a_copy_lets_nobody_in(center, engine, tmp_path):
    """No session is in it, and no key: whoever restores it makes another."""
    user = people.check_password(engine, "an", "a long enough secret")
    session, key = sessions.open_session(engine, 2, Actor("an"), user), keys.signing_key(engine)
    copy = tmp_path / "copy" / "nhip.accounts.sqlite"
    copy.parent.mkdir()
    backup.copy_part("database", center, engine, copy)
    assert sessions.digest(session).encode() not in copy.read_bytes()
    restored = open_accounts(f"sqlite:///{copy}")
    assert people.check_password(restored, "an", "a long enough secret").id == user.id
    assert sessions.user_of_session(restored, 3, session) is None
    assert keys.signing_key(restored) != key
    assert sessions.user_of_session(engine, 3, session).id == user.id
    restored.dispose()


def test_what_holds_factories_data_is_its_owner_s(tmp_path):
    """Also where an older version had made it readable."""
    umask = os.umask(0o022)
    try:
        file = tmp_path / "nhip.duckdb"
        duckdb.connect(str(file)).close()
        assert file.stat().st_mode & 0o077
        open_store({"file": str(file)}).close()
        assert file.stat().st_mode & 0o077 == 0
    finally:
        os.umask(umask)
