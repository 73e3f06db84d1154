"""The books in PostgreSQL (or SQLite): for a store that keeps none, and for several processes on one center.

Every process plans on what it knew and writes differences: a stream's row is locked, what was settled meanwhile by
others is kept, and what this step settles is added (`ledger.merged`). So no process waits for another's store, only,
for milliseconds, for its row. What the others did comes back from `commit`, `look` and `news`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, Table, case, delete, func, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, StatementError

from center.contract.ledger import Changes, LedgerSnapshot, QuarantinedPayload, QuarantineSummary
from center.contract.store import RowBatch, StoreRefused, StoreUnavailable
from center.contract.streams import StreamKey, StreamRecord, lower, merged
from center.database.sql import prepare, reading, writing
from center.ledger import tables as t
from center.ledger.cache import KEEP_DIGESTS, new_generation, outdated
from center.ledger.process_locks import ProcessLocks
from center.model.complaints import misconfigured
from center.model.sites import Owner, SiteRow
from wire.marks import Marks, decode_marks, encode_beyond

KEEP_UNSETTLED: Final = 10_000
"""As in the embedded store: payloads without a sound header, which anybody with an account can make at will."""
_COUNTS: Final = ("stored", "quarantined", "dropped", "discarded", "duplicates", "conflicts", "seen_ns")
_SKEW_NS: Final = 60_000_000_000
"""How far the clocks of two processes may be apart, and how long a transaction may take."""


class SqlLedger:
    """Books that several processes may share. Any thread may call."""

    def __init__(self, engine: Engine, now_ns: Callable[[], int] = time.time_ns) -> None:
        """Raises `Misconfigured` or `StoreUnavailable`."""
        self._engine, self._now_ns = engine, now_ns
        self._server = engine.dialect.name == "postgresql"
        self._held = ProcessLocks(engine)
        self._generation = ""
        prepare(engine, "ledger", t.STEPS)

    def remember(self) -> LedgerSnapshot:
        """By the contract of `Books`."""
        with writing(self._engine) as connection:
            generation = connection.scalar(select(t.META.c.value).where(t.META.c.key == "generation"))
            if generation is None:
                made = {"key": "generation", "value": new_generation()}
                connection.execute(self._insert(t.META).values(made).on_conflict_do_nothing())
                generation = connection.scalar(select(t.META.c.value).where(t.META.c.key == "generation"))
            self._forget_digests(connection)
            digests: dict[StreamKey, dict[int, bytes]] = {}
            for site, gateway, stream, seq, digest in connection.execute(select(t.DIGESTS).order_by(t.DIGESTS.c.seq)):
                digests.setdefault(StreamKey(site, gateway, stream), {})[seq] = bytes(digest)
            found = self._found(connection, 0)
        self._generation = str(generation)
        owners = {(owner.site, owner.machine): owner for owner in found.owners}
        return LedgerSnapshot(self._generation, dict(found.streams), digests, owners, list(found.sites))

    def _forget_digests(self, connection: Connection) -> None:
        last = select(
            t.DIGESTS.c.site, t.DIGESTS.c.gateway, t.DIGESTS.c.stream, func.max(t.DIGESTS.c.seq).label("last")
        )
        newest = last.group_by(t.DIGESTS.c.site, t.DIGESTS.c.gateway, t.DIGESTS.c.stream).subquery()
        same = [t.DIGESTS.c[name] == newest.c[name] for name in ("site", "gateway", "stream")]
        too_old = select(newest.c.last).where(*same, t.DIGESTS.c.seq <= newest.c.last - KEEP_DIGESTS)
        connection.execute(delete(t.DIGESTS).where(too_old.exists()))

    def _found(self, connection: Connection, since_ns: int) -> Changes:
        """Streams, owners and site bodies that changed since then."""
        rows = connection.execute(select(t.STREAMS).where(t.STREAMS.c.changed_ns >= since_ns))
        owners = select(t.OWNERS).where(t.OWNERS.c.changed_ns >= since_ns)
        sites = select(t.SITES).where(t.SITES.c.changed_ns >= since_ns).order_by(t.SITES.c.valid_from_ns, t.SITES.c.id)
        return Changes(
            dict(map(_state, rows)),
            owners=[Owner(row.site, row.machine, row.gateway, row.first_ns) for row in connection.execute(owners)],
            sites=[
                SiteRow(row.site, row.gateway, row.config_hash, row.valid_from_ns, row.body)
                for row in connection.execute(sites)
            ],
        )

    def news(self, since_ns: int) -> Changes:
        """By the contract of `Shared`."""
        with reading(self._engine) as connection:
            generation = connection.scalar(select(t.META.c.value).where(t.META.c.key == "generation"))
            found = self._found(connection, max(since_ns - _SKEW_NS, 0))
        return Changes(found.streams, owners=found.owners, sites=found.sites, generation=str(generation))

    def look(self, changes: Changes) -> Changes:
        """By the contract of `Shared`."""
        seqs = [(key.site, key.gateway, key.stream, seq) for key, seq in changes.digests]
        with writing(self._engine) as connection:
            known = self._digests(connection, seqs)
            owners = self._claim(connection, changes.owners)
            twice = {key for key, _ in known}
            states = {}
            if twice:
                columns = tuple_(t.STREAMS.c.site, t.STREAMS.c.gateway, t.STREAMS.c.stream)
                found = connection.execute(
                    select(t.STREAMS).where(columns.in_([(key.site, key.gateway, key.stream) for key in twice]))
                )
                states = dict(map(_state, found))
        return Changes(states, known, owners)

    def _digests(self, connection: Connection, seqs: Sequence[tuple[Any, ...]]) -> dict[tuple[StreamKey, int], bytes]:
        if not seqs:
            return {}
        columns = tuple_(t.DIGESTS.c.site, t.DIGESTS.c.gateway, t.DIGESTS.c.stream, t.DIGESTS.c.seq)
        rows = connection.execute(select(t.DIGESTS).where(columns.in_(seqs)))
        return {(StreamKey(row.site, row.gateway, row.stream), row.seq): bytes(row.digest) for row in rows}

    def _claim(self, connection: Connection, owners: Sequence[Owner]) -> list[Owner]:
        """Enters owners of machines that had none; returns those that another gateway was quicker with."""
        if not owners:
            return []
        rows = [self._owner_row(owner) for owner in sorted(owners, key=lambda owner: (owner.site, owner.machine))]
        connection.execute(self._insert(t.OWNERS).on_conflict_do_nothing(), rows)
        columns = tuple_(t.OWNERS.c.site, t.OWNERS.c.machine)
        named = {(owner.site, owner.machine): owner.gateway for owner in owners}
        found = connection.execute(select(t.OWNERS).where(columns.in_(list(named))))
        return [
            Owner(row.site, row.machine, row.gateway, row.first_ns)
            for row in found
            if row.gateway != named[row.site, row.machine]
        ]

    def _owner_row(self, owner: Owner) -> dict[str, Any]:
        return {
            "site": owner.site,
            "machine": owner.machine,
            "gateway": owner.gateway,
            "first_ns": owner.first_ns,
            "changed_ns": self._now_ns(),
        }

    def commit(self, batches: Sequence[RowBatch], changes: Changes) -> Changes:  # noqa: ARG002  # facts lie elsewhere
        """By the contract of `Books`: what this process planned is merged into what others settled meanwhile."""
        try:
            with writing(self._engine) as connection:
                return self._commit(connection, changes)
        except (StatementError, OverflowError, UnicodeError) as error:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise StoreUnavailable(f"the database does not answer: {error}") from error
            raise StoreRefused(str(error).splitlines()[0][:300]) from error

    def _commit(self, connection: Connection, changes: Changes) -> Changes:
        streams = self._merge(connection, changes)
        if changes.digests:
            rows = [{**vars(key), "seq": seq, "digest": digest} for (key, seq), digest in changes.digests.items()]
            connection.execute(self._insert(t.DIGESTS).on_conflict_do_nothing(), rows)
            for key, last in outdated(changes.digests).items():
                connection.execute(delete(t.DIGESTS).where(*_is(key, t.DIGESTS), t.DIGESTS.c.seq <= last))
        owners = self._learn_owners(connection, changes.owners)
        if changes.sites:
            rows = [{**vars(row), "changed_ns": self._now_ns()} for row in changes.sites]
            connection.execute(self._insert(t.SITES).on_conflict_do_nothing(), rows)
        if changes.quarantine:
            self._quarantine(connection, changes.quarantine)
        if changes.released:
            connection.execute(delete(t.QUARANTINE).where(t.QUARANTINE.c.id.in_(list(changes.released))))
        generation = self._renew(connection, changes.generation) if changes.generation else ""
        return Changes(streams, changes.digests, owners, changes.sites, generation=generation)

    def _merge(self, connection: Connection, changes: Changes) -> dict[StreamKey, StreamRecord]:
        out = {}
        for key in sorted(changes.streams, key=_order):  # one order for everybody, so that no two wait for each other
            after = changes.streams[key]
            before = changes.before.get(key, StreamRecord(after.kind))
            empty = self._stream_row(key, StreamRecord(after.kind))
            connection.execute(self._insert(t.STREAMS).values(empty).on_conflict_do_nothing())
            truth = self._locked(connection, key)
            out[key] = merged(truth, before, after) if truth.kind == after.kind else truth
            self._write_stream(connection, key, out[key])
        return out

    def _locked(self, connection: Connection, key: StreamKey) -> StreamRecord:
        """The stream as it is, and as it stays until this transaction ends."""
        return _state(connection.execute(select(t.STREAMS).where(*_is(key)).with_for_update()).one())[1]

    def _write_stream(self, connection: Connection, key: StreamKey, state: StreamRecord) -> None:
        connection.execute(update(t.STREAMS).where(*_is(key)).values(self._stream_row(key, state)))

    def _stream_row(self, key: StreamKey, state: StreamRecord) -> dict[str, Any]:
        counts = {name: getattr(state, name) for name in _COUNTS}
        marks = {"mark": state.marks.mark, "beyond": encode_beyond(state.marks)}
        return {**vars(key), "kind": state.kind, **marks, **counts, "changed_ns": self._now_ns()}

    def _learn_owners(self, connection: Connection, owners: Iterable[Owner]) -> list[Owner]:
        """Enters them; of what several processes took as a machine's first minute the earliest stands."""
        out = []
        for owner in sorted(owners, key=lambda owner: (owner.site, owner.machine)):
            row = self._owner_row(owner)
            statement = self._insert(t.OWNERS).values(row)
            new, old = statement.excluded.first_ns, t.OWNERS.c.first_ns
            earliest = case((old == 0, new), (new == 0, old), (new < old, new), else_=old)
            changed = {"gateway": row["gateway"], "first_ns": earliest, "changed_ns": row["changed_ns"]}
            upsert = statement.on_conflict_do_update(index_elements=["site", "machine"], set_=changed)
            first_ns = connection.scalar(upsert.returning(t.OWNERS.c.first_ns))
            out.append(replace(owner, first_ns=int(first_ns or 0)))
        return out

    def _quarantine(self, connection: Connection, entries: Sequence[QuarantinedPayload]) -> None:
        """The same payload on the same topic is kept once, however often it comes."""
        count = select(func.count()).select_from(t.QUARANTINE).where(~t.QUARANTINE.c.settled)
        room = max(KEEP_UNSETTLED - int(connection.scalar(count) or 0), 0)
        unsettled = [entry for entry in entries if not entry.settled][:room]
        rows = [t.quarantine_row(entry) for entry in [*(entry for entry in entries if entry.settled), *unsettled]]
        if rows:
            connection.execute(self._insert(t.QUARANTINE).on_conflict_do_nothing(), rows)

    def _renew(self, connection: Connection, generation: str) -> str:
        """The new generation, unless another process was quicker: then what it made."""
        connection.execute(
            update(t.META)
            .where(t.META.c.key == "generation", t.META.c.value.in_([self._generation, ""]))
            .values(value=generation)
        )
        self._generation = str(connection.scalar(select(t.META.c.value).where(t.META.c.key == "generation")))
        return self._generation

    def lower(self, known: Callable[[], Mapping[StreamKey, Marks]], keys: Iterable[StreamKey]) -> None:
        """By the contract of `Shared`."""
        with writing(self._engine) as connection:
            states = {key: self._locked(connection, key) for key in sorted(keys, key=_order)}
            there = known()  # now: what others commit is in the store before it is here
            for key, state in states.items():
                self._write_stream(connection, key, lower(state, there.get(key, Marks())))

    def quarantined(self, site: str, limit: int) -> tuple[list[QuarantineSummary], int]:
        """By the contract of `Books`."""
        c = t.QUARANTINE.c
        mine = c.topic.startswith(f"nhip/v1/{site}/", autoescape=True) if site else text("1 = 1")
        wanted = select(c.id, c.at_ns, c.topic, c.reason, func.length(c.payload), c.settled)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.where(mine).order_by(c.id.desc()).limit(limit)).all()
            total = connection.scalar(select(func.count()).select_from(t.QUARANTINE).where(mine))
        return [QuarantineSummary(*row) for row in rows], int(total or 0)

    def payload(self, number: int) -> QuarantinedPayload | None:
        """By the contract of `Books`."""
        c = t.QUARANTINE.c
        with reading(self._engine) as connection:
            found = select(c.at_ns, c.topic, c.reason, c.payload, c.settled).where(c.id == number)
            row = connection.execute(found).one_or_none()
        return QuarantinedPayload(row[0], row[1], row[2], bytes(row[3]), bool(row[4])) if row else None

    def overfull(self) -> list[tuple[str, str, int, int]]:
        """Nothing: these books do not see facts."""
        return []

    def join(self, *, alone: bool) -> None:
        """By the contract of `Shared`. Raises `Misconfigured` or `StoreUnavailable`."""
        if not self._held.join(alone=alone):
            raise misconfigured("role", "all" if alone else "ingest, console", "role_taken")

    def lease(self, job: str) -> bool:
        """By the contract of `Leasing`."""
        return self._held.lease(job)

    def number(self) -> str:
        """By the contract of `Shared`. Raises `StoreUnavailable` if all are taken."""
        return self._held.number()

    def close(self) -> None:
        """Gives leases back and closes the connections."""
        self._held.close()
        self._engine.dispose()

    def _insert(self, table: Any) -> Any:
        """An insertion that may say what a conflict does, which the two databases spell alike."""
        return (postgresql.insert if self._server else sqlite.insert)(table)


def _order(key: StreamKey) -> tuple[str, str, str]:
    return key.site, key.gateway, key.stream


def _is(key: StreamKey, table: Table = t.STREAMS) -> tuple[Any, ...]:
    return table.c.site == key.site, table.c.gateway == key.gateway, table.c.stream == key.stream


def _state(row: Row[Any]) -> tuple[StreamKey, StreamRecord]:
    counts = {name: getattr(row, name) for name in _COUNTS}
    return StreamKey(row.site, row.gateway, row.stream), StreamRecord(
        row.kind, decode_marks(row.mark, row.beyond), **counts
    )
