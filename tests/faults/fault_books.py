"""Reading a center's file when the center has ended, key by key."""

from dataclasses import dataclass, field

from fault_history import END_NS, FIRST_NS, batches, write_files

from center.contract.store import Query, StopQuery
from center.stores.duckdb.store import open_store
from oee.model.facts import FACT_COLUMNS, KEY_COLUMNS, LOSS_KEY_COLUMNS

DAY_NS = 86_400_000_000_000


@dataclass
class Books:
    """facts, losses: key to sums; stops: rows; repeated: identities that stand more than once in the file."""

    facts: dict
    losses: dict
    stops: list
    repeated: int
    overfull: int
    quarantine: list = field(default_factory=list)

    def same_numbers(self, other):
        return (self.facts, self.losses, self.stops) == (other.facts, other.losses, other.stops)

    def total(self, name):
        return sum(row[FACT_COLUMNS.index(name)] for row in self.facts.values())


def _rows(table, keys):
    columns = [getattr(table, name).tolist() for name in keys]
    found = {key: tuple(row) for key, row in zip(zip(*columns), table.sums.tolist()) if any(row)}
    assert len(found) <= len(table)
    return found


def read(store):
    """Everything in an open store."""
    whole = {"start_ns": FIRST_NS - DAY_NS, "end_ns": END_NS + DAY_NS, "bucket": "minute"}
    by = ("machine", "shift", "product", "calendar")
    facts = store.facts(Query("test", by=by, **whole))
    losses = store.losses(Query("test", by=(*by, "state", "reason"), **whole))
    stops = store.stops(StopQuery("test", FIRST_NS - DAY_NS, END_NS + DAY_NS)).stops
    with store.file.reading() as cursor:
        (repeated,) = cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM facts GROUP BY site, stream, machine, minute_ns, n HAVING count(*) > 1)"
        ).fetchone()
    rows, _ = store.ledger.quarantined("", 10_000)
    return Books(
        _rows(facts, KEY_COLUMNS), _rows(losses, LOSS_KEY_COLUMNS), stops, repeated, len(store.ledger.overfull()), rows
    )


def read_file(path):
    store = open_store({"file": str(path)})
    try:
        return read(store)
    finally:
        store.close()


def expected(folder, *parts):
    """The books after nothing but these undisturbed runs, each (first, last) of the recorded files."""
    store = open_store({"file": str(folder / "expected.duckdb")})
    try:
        for number, (first, last) in enumerate(parts):
            files = write_files(folder / f"expected-{number}", first, last)
            store.write(batches(files, stream=f"{number:016x}", files=last - first))
        return read(store)
    finally:
        store.close()
