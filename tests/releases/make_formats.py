"""Writes `formats/`: one small file, as SQL, of every format that an outbox, a store or a database ever had.

    python tests/releases/make_formats.py

Runs the commit that introduced each format, in a worktree of its own, and dumps what it wrote. A format is a set of
tables: `git log -G "create table|CREATE TABLE|Column\\(" -- '*.py'` finds the commits.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT)]

from postgres_plant import postgres  # noqa: E402  # its folder first

OUTBOX = """
import sys
from pathlib import Path
from agent.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]))
try:
    from oee import engine
    states = {"m": engine.dump(engine.start())}
except (ImportError, AttributeError):  # there was no engine yet
    states = {}
body = {"facts": {"machine": ["m"], "minute": [30000000], "n": [0], "calendar": ["scheduled"], "date": [20833],
                  "shift": ["A"], "product": ["1"], "running_ms": [60000], "cycles": [7]}}
outbox.commit([("facts", body), ("site", {"name": "Vân Long"})], states, 1800000000000000000, {"author": "s/g"})
outbox.close()
"""
DECLARED = """
from agent import declared
from oee.declarations import Declaration
outbox = Outbox(Path(sys.argv[1]))
outbox.within(lambda db: declared.add(db, [Declaration("d1", 1, "m", 5, 9, "reason", "die-jam", "Lan")], "gateway"))
outbox.within(lambda db: declared.ask_recompute(db, ["m"], 5, 1800000000000000000))
outbox.close()
"""
STORE = """
import sys
import numpy as np
from center.stores.contract import *
import center.stores.contract as contract
from center.stores.duckdb import DuckStore, open_store
from oee.facts import FACT, FACT_COLUMNS, make_facts, make_losses
MINUTE = 60_000_000_000
sums = np.zeros((3, len(FACT_COLUMNS)), np.int64)
sums[:, FACT["running_ms"]], sums[:, FACT["cycles"]] = 60_000, 7
keys = [("m", 1_772_400_000_000_000_000 // MINUTE * MINUTE + i * MINUTE, 0, 20_514, "A", "1") for i in range(3)]
facts = make_facts(keys, sums, np.zeros(3, np.int64))
losses = make_losses([(*keys[0], 3, "die-jam")], np.array([[5_000, 2]], np.int64), np.zeros(1, np.int64))
try:
    store = open_store({"file": sys.argv[1]})
except (TypeError, AttributeError):  # it took an object
    from types import SimpleNamespace
    store = open_store(SimpleNamespace(file=sys.argv[1], memory_limit="256MB"))
origin = contract.Origin("s", "g", "00000000000000aa")
store.write([contract.Batch(origin, 1, facts, losses, [])])
store.close()
"""
ACCOUNTS = """
import sys
from center.accounts.schema import open_accounts
from center.accounts.people import add_user
from center.accounts.audit import Actor
engine = open_accounts(f"sqlite:///{sys.argv[1]}")
try:
    actor = Actor("root", "")
except TypeError:
    actor = Actor("root")
add_user(engine, 5, actor, "lan", role="admin", sites=["*"], password="a good password 1")
engine.dispose()
"""
LEDGER = """
import sys
try:
    from center.contract.ledger import Changes, QuarantinedPayload
    from center.contract.streams import StreamKey, StreamRecord
    from center.database.sql import open_database
    from center.ledger.sql import SqlLedger
    from center.model.sites import Owner, SiteRow
    from wire.marks import Marks
    before = ()
except ImportError:  # the first names
    from center.books import Changes, Owner, SiteRow
    from center.books import Quarantined as QuarantinedPayload
    from center.books_sql import SqlBooks as SqlLedger
    from center.ledger import Marks, StreamKey
    from center.ledger import StreamState as StreamRecord
    from center.sql import open_database
    before = ([],)
engine = open_database(sys.argv[1])
ledger = SqlLedger(engine, lambda: 1_800_000_000_000_000_000)
ledger.remember() if before else ledger.load()
key = StreamKey("s", "g", "00000000000000aa")
changes = Changes(
    {key: StreamRecord("facts", Marks(7, ((9, 9),)), stored=8, seen_ns=5)},
    {(key, 9): b"12345678"},
    [Owner("s", "m", "g", 1)],
    [SiteRow("s", "g", "hash", 1, '{"machines": {}}')],
    [QuarantinedPayload(1, "nhip/v1/s/g/facts", "unreadable", b"noise", True)],
)
ledger.commit(*before, changes)
ledger.close()
engine.dispose()
"""
DECLARATIONS = """
import sys
from center.declarations import add, open_declarations
from oee.declarations import Declaration
engine = open_declarations(sys.argv[1])
add(engine, "s", "g", Declaration("d1", 1, "m", 5, 9, "reason", "die-jam", "Lan"))
engine.dispose()
"""
FINDINGS = """
import sys
from center.database.findings import advance, open_findings
from oee.advice.finding import Finding, FindingEvidence, Gain
from oee.advice.life import FindingRecord
engine = open_findings(sys.argv[1])
proof = FindingEvidence(1, 2, (20500,), 3, {"lost_min": (1.5, 2.5)}, ("stop-1",))
gain = Gain(20.0, 90.0)
losses = frozenset({"unplanned_stop"})
item = Finding("slow_start", 1, "m", ("shift_start",), True, 0.001, {"lost_min": 2.0}, gain, losses, proof)
advance(engine, 7, "s", "m", lambda _: [FindingRecord(item, "open", 3, 4, 5, gain, gain)])
engine.dispose()
"""
ACTIONS = """
import sys
from datetime import date
from center.database.actions import add_file, comment, new_action, new_file, prepare_actions
from center.database.findings import open_findings
from oee.advice.gain.action import ActionRecord, ActionTerms, registered
from oee.advice.gain.detectable import Detectable
from oee.advice.gain.plan import Days, GainPlan
engine = open_findings(sys.argv[1])
prepare_actions(engine)
days = [Days(date(2026, k, 1), date(2026, k, 28)) for k in (1, 2, 3)]
plan = GainPlan("s", ("m",), "oee", "", *days, controls=("n",), expected_min=70.0)
told = Detectable(0.02, 90.0, 0.6, 0.03, (24, 24), None, 48, 1)
record = registered(ActionRecord(ActionTerms("Bôi trơn", "Lan", cost=5.0), plan), told, "minh", 5)
item = new_action(engine, "s", record, "minh", 5, lambda *_: None)
comment(engine, item, "đã đặt hàng", "mai", 6, lambda *_: None)
file = new_file("a.pdf", "application/pdf", b"%PDF-", "mai", 7)
add_file(engine, item, file, b"%PDF-", lambda *_: None, most=12, most_site_bytes=99)
engine.dispose()
"""
FORMATS = {
    "outbox-1": ("d325d0d", OUTBOX),
    "outbox-2-declarations": ("37e0692", OUTBOX + DECLARED),
    "outbox-3-tags": ("bef4c4a", OUTBOX + DECLARED),
    "store-1": ("da5c551", STORE),
    "store-2-sums": ("167de70", STORE),
    "store-2-values": ("935a4e3", STORE),
    "accounts-1": ("b050520", ACCOUNTS),
    "accounts-2-gateways": ("322411a", ACCOUNTS),
    "ledger-1": ("d64e173", LEDGER),
    "ledger-2-held": ("ec43914", LEDGER),
    "declarations-1": ("593377c", DECLARATIONS),
    "findings-1": ("718d458", FINDINGS),
    "actions-1": ("8a73745", ACTIONS),
}
SQL = ("ledger", "declarations", "findings", "actions")
"""In SQLite and in PostgreSQL: `name.sql` and `name.postgresql.sql`."""


def _duckdb_dump(path):
    import duckdb

    with duckdb.connect(str(path)) as db:
        lines = [row[0] for row in db.execute("SELECT sql FROM duckdb_sequences()").fetchall()]
        for name, sql in db.execute("SELECT table_name, sql FROM duckdb_tables() ORDER BY table_name").fetchall():
            lines.append(sql)
            columns = [row[0] for row in db.execute(f"DESCRIBE {name}").fetchall()]
            rows = db.execute(f"SELECT * FROM {name}").fetchall()
            start = f"INSERT INTO {name} ({', '.join(columns)}) VALUES"
            lines += [f"{start} ({', '.join(map(_literal, row))});" for row in rows]
    return "\n".join(lines) + "\n"


def _literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
    return repr(value) if isinstance(value, (int, float, bool)) else "'" + str(value).replace("'", "''") + "'"


def _sqlite_dump(path):
    with sqlite3.connect(path) as db:
        return "\n".join(db.iterdump()) + "\n"


def _postgres_dump(url):
    dump = subprocess.run(["pg_dump", "--inserts", "--no-owner", url], check=True, capture_output=True, text=True)
    lines = (line for line in dump.stdout.splitlines() if line and not line.startswith(("--", "\\", "SET ")))
    return "\n".join(lines) + "\n"


def make(name, commit, code):
    with tempfile.TemporaryDirectory() as folder:
        tree, file = Path(folder) / "tree", Path(folder) / "file"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", tree, commit], cwd=ROOT, check=True)
        try:
            environment = {**os.environ, "PYTHONPATH": str(tree)}
            sql = name.startswith(SQL)
            urls = [f"sqlite:///{file}", postgres().database()] if sql else [file]
            for url in urls:
                subprocess.run([sys.executable, "-c", code, url], cwd=tree, env=environment, check=True)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
        text = _duckdb_dump(file) if name.startswith("store") else _sqlite_dump(file)
    (HERE / "formats" / f"{name}.sql").write_text(text, encoding="utf-8")
    if sql:
        (HERE / "formats" / f"{name}.postgresql.sql").write_text(_postgres_dump(urls[1]), encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or FORMATS:
        make(name, *FORMATS[name])
        print(name)
