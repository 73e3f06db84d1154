"""Every format that an outbox, a store or a database ever had is opened, brought up to date and continued.

`formats/` holds what the commit wrote that introduced each (`make_formats.py`): beside the releases, since a format may
have lived between two of them.
"""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import psycopg
import pytest
from postgres_plant import KINDS, database_url

from agent.commands.outbox_summary import summarize
from agent.outbox import declarations
from agent.outbox import envelopes as on_disk
from agent.outbox.recovery import open_outbox
from center.accounts.people import users
from center.accounts.schema import open_accounts
from center.contract.ledger import Changes
from center.contract.store import Query
from center.contract.streams import StreamKey
from center.database import actions, findings
from center.database import declarations as at_center
from center.database.findings import open_findings
from center.database.notices import open_notices
from center.database.sql import open_database
from center.ledger.sql import SqlLedger
from center.stores.duckdb.store import open_store
from config import Misconfigured
from oee.advice.gain import action
from oee.advice.gain.action import ActionRecord, ActionTerms
from oee.advice.gain.plan import Days, GainPlan, digest
from oee.engine import step as engine
from oee.model.declarations import Declaration
from wire.marks import Marks

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
    assert (len(formats("ledger")), len(formats("declarations"))) == (2 * len(KINDS), len(KINDS))
    assert (len(formats("findings")), len(formats("actions"))) == (len(KINDS), len(KINDS))


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


def databases(kind):
    """Each format of these tables, in each kind of database."""
    return [(name, server) for name in formats(kind) if "." not in name for server in KINDS]


def url_of(name, server, folder):
    """A database that holds this format."""
    url = database_url(server, folder)
    if server == "sqlite":
        restored(name, folder / "sqlite.sqlite")
    else:
        with psycopg.connect(url, autocommit=True) as db:
            db.execute((HERE / f"{name}.postgresql.sql").read_text(encoding="utf-8"))
    return url


def altered(url, statement):
    """Executes a statement behind the program's back."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
            db.execute(statement)
    else:
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(statement)


@pytest.mark.parametrize(("name", "server"), databases("ledger"))
def test_a_ledger_is_continued(tmp_path, name, server):
    """What was settled stays settled, and a stream of the first format can be held for a decision as any other."""
    url = url_of(name, server, tmp_path)
    for _ in range(2):  # the second time there is nothing left to bring up to date
        database = open_database(url)
        ledger = SqlLedger(database, lambda: NOW)
        known = ledger.load()
        key = StreamKey("s", "g", "0" * 14 + "aa")
        state = known.streams[key]
        assert (state.marks, state.stored) == (Marks(7, ((9, 9),)), 8)
        assert known.digests[key] == {9: b"12345678"}
        assert [(owner.machine, owner.gateway) for owner in known.owners.values()] == [("m", "g")]
        assert [row.config_hash for row in known.sites] == ["hash"]
        entries, total = ledger.quarantined("s", 9)
        assert (total, entries[0].reason, ledger.payload(entries[0].id).payload) == (1, "unreadable", b"noise")
        held = replace(state, held_from=29, covers=Marks(0, ((30, 40),)), first_ns=max(state.first_ns, 1))
        ledger.commit(Changes({key: held}, before={key: state}))
        ledger.close()
        database.dispose()
    database = open_database(url)
    ledger = SqlLedger(database, lambda: NOW)
    assert ledger.load().streams[key] == held
    ledger.close()
    database.dispose()


@pytest.mark.parametrize(("name", "server"), databases("declarations"))
def test_declarations_are_continued(tmp_path, name, server):
    database = at_center.open_declarations(url_of(name, server, tmp_path))
    (row,) = at_center.unanswered(database, "s", "g")
    assert (row.no, row.declaration().value, row.who) == (1, "die-jam", "Lan")
    (more,) = at_center.insert_declarations(
        database, "s", "g", [Declaration("d2", 2, "m", 5, 9, "reason", "", "Lan", "", "d1")]
    )
    assert more.row.no == 2
    assert at_center.record_outcomes(database, "s", "g", {"d1": "", "d2": "too_old"}, 7) == 2
    assert [item.state for item in at_center.listed(database, ["s"], "", 9)] == ["refused", "done"]
    database.dispose()


@pytest.mark.parametrize(("name", "server"), databases("findings"))
def test_findings_are_continued(tmp_path, name, server):
    """A finding that an older program confirmed may have an action now."""
    database = open_findings(url_of(name, server, tmp_path))
    actions.prepare_actions(database)
    (found,) = findings.kept_findings(database, ["s"])
    assert (found.record.stage, found.record.action, found.record.told.high_min) == ("open", "", 90.0)
    plan = GainPlan("s", ("m",), "edge", "shift_start", *(Days(date(2026, k, 1), date(2026, k, 28)) for k in (1, 2, 3)))
    record = ActionRecord(ActionTerms("Bôi trơn", "Lan"), plan, finding=found.id)
    item = actions.new_action(database, "s", record, "minh", 8, lambda *_: None)
    after = findings.kept_finding(database, found.id)
    assert (after.record.stage, after.record.action) == ("in_action", item.id)
    database.dispose()


@pytest.mark.parametrize(("name", "server"), databases("actions"))
def test_actions_are_continued(tmp_path, name, server):
    """What was frozen keeps its digest."""
    database = open_findings(url_of(name, server, tmp_path))
    actions.prepare_actions(database)
    (item,) = actions.kept_actions(database, ["s"])
    assert (item.record.stage, item.record.terms.cost, item.record.told.enough) == ("registered", 5.0, None)
    assert item.record.registered[0].digest == digest(item.record.plan)
    assert [note.text for note in actions.notes_of(database, item.id)] == ["", "đã đặt hàng", "a.pdf"]
    (file,) = actions.files_of(database, item.id)
    assert actions.file_of(database, item.id, file.id)[1] == b"%PDF-"
    give_up = partial(action.given_up, note="x")
    done = actions.change_action(database, item.id, give_up, "given_up", "x", "minh", 9, lambda *_: None)
    assert actions.kept_action(database, item.id) == done
    database.dispose()


def _open_actions(url):
    database = open_findings(url)
    actions.prepare_actions(database)


OPENERS = {
    "actions": _open_actions,
    "findings": open_findings,
    "declarations": at_center.open_declarations,
    "ledger": lambda url: SqlLedger(open_database(url)),
    "notices": open_notices,
}
CHANGED = {
    "actions": "action_notes.who",
    "findings": "findings.rule",
    "declarations": "declarations.why",
    "ledger": "ledger_streams.covers",
    "notices": "notices.about",
}


@pytest.mark.parametrize("server", KINDS)
@pytest.mark.parametrize("part", OPENERS)
def test_tables_that_are_not_those_of_the_program_are_refused_with_the_cure(tmp_path, part, server):
    url = database_url(server, tmp_path)
    OPENERS[part](url)
    table, column = CHANGED[part].split(".")
    altered(url, f"alter table {table} rename column {column} to other")
    with pytest.raises(Misconfigured, match=rf"{table}\.{column}") as caught:
        OPENERS[part](url)
    assert caught.value.complaints[0].code == "database_tables"
    altered(url, f"alter table {table} rename column other to {column}")
    OPENERS[part](url)


@pytest.mark.parametrize("server", KINDS)
@pytest.mark.parametrize("part", OPENERS)
def test_what_a_newer_program_wrote_is_refused_with_the_cure(tmp_path, part, server):
    url = database_url(server, tmp_path)
    OPENERS[part](url)
    altered(url, f"update nhip_schema set version = version + 1 where part = '{part}'")
    with pytest.raises(Misconfigured) as caught:
        OPENERS[part](url)
    assert caught.value.complaints[0].code == "database_version"
