"""Every format that an outbox, a store or a database of accounts ever had is opened, brought up to date and continued.

`formats/` holds what the commit wrote that introduced each (`make_formats.py`): beside the releases, since a format may
have lived between two of them.
"""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from agent.commands.outbox_summary import summarize
from agent.outbox import declarations
from agent.outbox import envelopes as on_disk
from agent.outbox.recovery import open_outbox
from center.accounts.people import users
from center.accounts.schema import open_accounts
from center.contract.store import Query
from center.stores.duckdb.store import open_store
from config import Misconfigured
from oee.engine import step as engine

HERE = Path(__file__).parent / "formats"
NOW = 1_800_000_100_000_000_000
BODY = ("facts", {"facts": {"machine": ["m"]}})


def formats(kind):
    return sorted(path.stem for path in HERE.glob(f"{kind}-*.sql"))


def restored(name, path):
    text = (HERE / f"{name}.sql").read_text(encoding="utf-8")
    if name.startswith("store"):
        with duckdb.connect(str(path)) as db:
            db.execute(text)
    else:
        with closing(sqlite3.connect(path)) as db:
            db.executescript(text)
    return path


def test_all_formats_are_here():
    assert (len(formats("outbox")), len(formats("store")), len(formats("accounts"))) == (3, 3, 2)


@pytest.mark.parametrize("name", formats("outbox"))
def test_an_outbox_is_continued(tmp_path, name):
    path = restored(name, tmp_path / "outbox.db")
    before = summarize(path)
    opened = open_outbox(path, NOW)
    assert opened.message == ""
    outbox = opened.outbox
    facts = on_disk.current_stream(outbox.file, "facts")
    assert facts in {stream.stream for stream in before.streams}, "the stream goes on"
    assert all(engine.load(data) == engine.start() for data in outbox.carries().values())
    sealed = outbox.commit([BODY], {"m": engine.dump(engine.start())}, NOW)
    assert [(item.key.stream, item.key.seq) for item in sealed] == [(facts, 2)]
    declared = outbox.within(declarations.all_rows)
    assert [row[0] for row in declared] == ([] if name == "outbox-1" else ["d1"])
    outbox.prune(NOW)
    outbox.close()
    assert summarize(path).waiting == before.waiting + 1 == 3


@pytest.mark.parametrize("name", formats("store"))
def test_a_store_is_continued(tmp_path, name):
    path = restored(name, tmp_path / "nhip.duckdb")
    store = open_store({"file": str(path)})
    query = Query("s", 0, 2**62, bucket="hour")
    assert store.facts(query).column("cycles").sum() == 21
    assert store.losses(query).sums.sum(axis=0).tolist() == [5_000, 2]
    while store.roll_up(NOW, leased=True):
        pass
    (written,) = store.rows("s", 0, 2**62)
    store.write([replace(written, origin=replace(written.origin, stream="b" * 16))])
    for bucket in ("hour", "day", "all"):
        assert store.facts(Query("s", 0, 2**62, bucket=bucket)).column("cycles").sum() == 42
    store.close()
    store = open_store({"file": str(path)})
    assert store.facts(query).column("cycles").sum() == 42
    store.close()


@pytest.mark.parametrize("name", formats("accounts"))
def test_accounts_are_continued(tmp_path, name):
    path = restored(name, tmp_path / "accounts.sqlite")
    engine_ = open_accounts(f"sqlite:///{path}")
    assert [person.name for person in users(engine_)] == ["lan"]
    engine_.dispose()


def test_a_database_whose_tables_are_not_those_of_its_steps_is_refused(tmp_path):
    """The number of steps alone proves nothing: somebody may have changed a table, or another program's steps were run."""
    path = restored("accounts-2-gateways", tmp_path / "accounts.sqlite")
    with closing(sqlite3.connect(path)) as db:
        db.execute("alter table users rename column full_name to whole_name")
    with pytest.raises(Misconfigured, match=r"users\.full_name"):
        open_accounts(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("select whole_name from users").fetchall(), "nothing was changed"
