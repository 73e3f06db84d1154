"""The ledger in PostgreSQL (or SQLite): for a store that holds none, and for several processes of one center.

Each process plans on what it knows and writes differences: the row of a stream is locked, what others settled
meanwhile is kept, and what this step settles is added (`streams.merged`). So no process waits for another's store, and
only for milliseconds for a row. What others did comes back from `commit`, `reconcile` and `changes_since`.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, StatementError

from center.contract.ledger import Changes, LedgerSnapshot, QuarantinedPayload, QuarantineSummary, new_generation
from center.contract.store import StoreRefused, StoreUnavailable
from center.contract.streams import StreamKey, lower
from center.database.sql import prepare, reading, writing
from center.ledger import statements
from center.ledger.processes import ProcessLocks
from center.ledger.tables import META, STEPS, TABLES
from wire.marks import Marks
from wire.topics import topics_of

_SKEW_NS: Final = 60_000_000_000
"""How far apart the clocks of two processes may be, plus the longest transaction."""


def _prune(engine: Engine, site: str, gateway: str, most_bytes: int) -> tuple[int, int]:
    with writing(engine) as connection:
        return statements.prune_quarantine(connection, topics_of(site, gateway), most_bytes)


class SqlLedger:
    """A `SharedLedger`. Any thread may call it."""

    def __init__(self, engine: Engine, now_ns: Callable[[], int] = time.time_ns) -> None:
        """Raises `Misconfigured` or `StoreUnavailable`."""
        self._engine, self._now_ns = engine, now_ns
        self.processes = ProcessLocks(engine)
        self.prune = partial(_prune, engine)
        self._generation = ""
        prepare(engine, "ledger", STEPS, TABLES)

    def load(self) -> LedgerSnapshot:
        """By the contract of `Ledger`."""
        with writing(self._engine) as connection:
            generation = statements.read_generation(connection)
            if generation is None:
                made = {"key": "generation", "value": new_generation()}
                connection.execute(statements.insert(connection, META).values(made).on_conflict_do_nothing())
                generation = statements.read_generation(connection)
            statements.delete_old_digests(connection)
            digests: dict[StreamKey, dict[int, bytes]] = {}
            for (key, seq), digest in statements.read_digests(connection).items():
                digests.setdefault(key, {})[seq] = digest
            changes = statements.read_changes(connection, 0)
        self._generation = str(generation)
        owners = {(owner.site, owner.machine): owner for owner in changes.owners}
        return LedgerSnapshot(self._generation, dict(changes.streams), digests, owners, list(changes.sites))

    def commit(self, changes: Changes) -> Changes:
        """By the contract of `Ledger`: what this process planned is merged into what others settled meanwhile."""
        try:
            with writing(self._engine) as connection:
                return self._commit(connection, changes)
        except (StatementError, OverflowError, UnicodeError) as error:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise StoreUnavailable(f"the database does not answer: {error}") from error
            raise StoreRefused(str(error).splitlines()[0][:300]) from error

    def _commit(self, connection: Connection, changes: Changes) -> Changes:
        streams = statements.merge_streams(connection, changes, self._now_ns)
        statements.write_digests(connection, changes.digests)
        owners = statements.write_owners(connection, changes.owners, self._now_ns)
        statements.write_sites(connection, changes.sites, self._now_ns)
        statements.delete_sites(connection, changes.outdated)
        statements.write_quarantine(connection, changes.quarantine)
        statements.delete_quarantined(connection, changes.released)
        generation = ""
        if changes.generation:
            generation = statements.replace_generation(connection, self._generation, changes.generation)
            self._generation = generation
        return Changes(streams, changes.digests, owners, changes.sites, generation=generation)

    def changes_since(self, since_ns: int) -> Changes:
        """By the contract of `SharedLedger`."""
        with reading(self._engine) as connection:
            generation = statements.read_generation(connection)
            changes = statements.read_changes(connection, max(since_ns - _SKEW_NS, 0))
        return Changes(changes.streams, owners=changes.owners, sites=changes.sites, generation=str(generation))

    def reconcile(self, changes: Changes) -> Changes:
        """By the contract of `SharedLedger`."""
        with writing(self._engine) as connection:
            digests = statements.read_digests(connection, changes.digests)
            owners = statements.claim_owners(connection, changes.owners, self._now_ns)
            streams = statements.read_streams(connection, {key for key, _ in digests})
            streams |= statements.claim_minutes(connection, changes, self._now_ns)
        return Changes(streams, digests, owners)

    def lower(self, known: Callable[[], Mapping[StreamKey, Marks]], keys: Iterable[StreamKey]) -> None:
        """By the contract of `SharedLedger`."""
        with writing(self._engine) as connection:
            ordered = sorted(keys, key=statements.stream_order)
            records = {key: statements.lock_stream(connection, key) for key in ordered}
            in_store = known()  # read only now: whatever another process commits is in the store before it is here
            for key, record in records.items():
                lowered = lower(record, in_store.get(key, Marks()))
                statements.write_stream(connection, key, lowered, self._now_ns())

    def quarantined(self, site: str, limit: int) -> tuple[list[QuarantineSummary], int]:
        """By the contract of `Ledger`."""
        with reading(self._engine) as connection:
            return statements.read_quarantine(connection, site, limit)

    def waiting(self, site: str, gateway: str, stream: str) -> list[int]:
        """By the contract of `Ledger`."""
        with reading(self._engine) as connection:
            return statements.read_waiting(connection, topics_of(site, gateway), stream)

    def payload(self, number: int) -> QuarantinedPayload | None:
        """By the contract of `Ledger`."""
        with reading(self._engine) as connection:
            return statements.read_payload(connection, number)

    def overfull(self) -> list[tuple[str, str, int, int]]:
        """Always empty: this ledger does not see rows."""
        return []

    def close(self) -> None:
        """Releases leases and closes the connections."""
        self.processes.close()
        self._engine.dispose()
