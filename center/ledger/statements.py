"""SQL statements of the ledger, each on the caller's connection and within its transaction.

PostgreSQL and SQLite run the same statements. `changed_ns` [ns UTC] is the writing process's time; other processes read
by it what has changed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, case, delete, func, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from center.contract.ledger import (
    KEEP_DIGESTS,
    Changes,
    QuarantinedPayload,
    QuarantineSummary,
    outdated_digests,
    surplus,
    with_room,
)
from center.contract.streams import StreamKey, StreamRecord, merged
from center.ledger import tables as t
from center.model.sites import FORGOTTEN_NS, Owner, SiteRow
from wire.marks import decode_marks, encode_beyond, union

Clock = Callable[[], int]
"""The time [ns UTC]; read once a lock is held, not before waiting for it."""
_AT_ONCE: Final = 1000
_COUNTS: Final = (
    "stored",
    "quarantined",
    "dropped",
    "discarded",
    "duplicates",
    "conflicts",
    "seen_ns",
    "first_ns",
    "held_from",
)


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT that supports ON CONFLICT, which has the same syntax in both databases."""
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)


def stream_order(key: StreamKey) -> tuple[str, str, str]:
    """One order in which every process locks streams, so that no two wait for each other."""
    return key.site, key.gateway, key.stream


def _is(key: StreamKey, table: Table = t.STREAMS) -> tuple[Any, ...]:
    return table.c.site == key.site, table.c.gateway == key.gateway, table.c.stream == key.stream


# generation


def read_generation(connection: Connection) -> str | None:
    """The ledger's generation, None if it has none yet."""
    return connection.scalar(select(t.META.c.value).where(t.META.c.key == "generation"))


def replace_generation(connection: Connection, known: str, new: str) -> str:
    """Sets the new generation unless another process did so first; returns the one in force. known: the generation
    that this process knew.
    """
    row = update(t.META).where(t.META.c.key == "generation", t.META.c.value.in_([known, ""]))
    connection.execute(row.values(value=new))
    return str(read_generation(connection))


# streams and digests


def _record(row: Row[Any]) -> tuple[StreamKey, StreamRecord]:
    counts = {name: getattr(row, name) for name in _COUNTS}
    marks = decode_marks(row.mark, row.beyond)
    record = StreamRecord(row.kind, marks, covers=decode_marks(0, row.covers), **counts)
    return StreamKey(row.site, row.gateway, row.stream), record


def _stream_row(key: StreamKey, record: StreamRecord, changed_ns: int) -> dict[str, Any]:
    counts = {name: getattr(record, name) for name in _COUNTS}
    marks = {
        "mark": record.marks.mark,
        "beyond": encode_beyond(record.marks),
        "covers": encode_beyond(record.covers),
    }
    return {**vars(key), "kind": record.kind, **marks, **counts, "changed_ns": changed_ns}


def read_streams(connection: Connection, keys: Iterable[StreamKey]) -> dict[StreamKey, StreamRecord]:
    """The records of these streams."""
    columns = tuple_(t.STREAMS.c.site, t.STREAMS.c.gateway, t.STREAMS.c.stream)
    wanted = [stream_order(key) for key in keys]
    return dict(map(_record, connection.execute(select(t.STREAMS).where(columns.in_(wanted))))) if wanted else {}


def lock_stream(connection: Connection, key: StreamKey) -> StreamRecord:
    """The stream's record, which nobody can change until this transaction ends."""
    return _record(connection.execute(select(t.STREAMS).where(*_is(key)).with_for_update()).one())[1]


def write_stream(connection: Connection, key: StreamKey, record: StreamRecord, changed_ns: int) -> None:
    """Replaces the stream's record."""
    connection.execute(update(t.STREAMS).where(*_is(key)).values(_stream_row(key, record, changed_ns)))


def merge_streams(connection: Connection, changes: Changes, now_ns: Clock) -> dict[StreamKey, StreamRecord]:
    """Adds what this step settled to what other processes have settled meanwhile; returns the resulting records."""
    out = {}
    for key in sorted(changes.streams, key=stream_order):
        after = changes.streams[key]
        before = changes.before.get(key, StreamRecord(after.kind))
        empty = _stream_row(key, StreamRecord(after.kind), now_ns())
        connection.execute(insert(connection, t.STREAMS).values(empty).on_conflict_do_nothing())
        truth = lock_stream(connection, key)
        out[key] = merged(truth, before, after) if truth.kind == after.kind else truth
        write_stream(connection, key, out[key], now_ns())
    return out


def claim_minutes(connection: Connection, changes: Changes, now_ns: Clock) -> dict[StreamKey, StreamRecord]:
    """Enters the minutes that this step's streams cover, before their facts are stored; returns the other streams of the
    same gateways, if they have any.
    """
    out: dict[StreamKey, StreamRecord] = {}
    growing = [key for key in sorted(changes.streams, key=stream_order) if _grows(changes, key)]
    for key in growing:
        of_gateway = (t.STREAMS.c.site == key.site, t.STREAMS.c.gateway == key.gateway, t.STREAMS.c.kind == "facts")
        others = select(t.STREAMS).where(*of_gateway, t.STREAMS.c.stream != key.stream).order_by(t.STREAMS.c.stream)
        if not connection.execute(others).first():
            continue
        empty = _stream_row(key, StreamRecord(changes.streams[key].kind), now_ns())
        connection.execute(insert(connection, t.STREAMS).values(empty).on_conflict_do_nothing())
        locked = select(t.STREAMS).where(*of_gateway).order_by(t.STREAMS.c.stream).with_for_update()
        records = dict(map(_record, connection.execute(locked)))
        own = records.pop(key)
        out |= records
        covers = union(own.covers, changes.streams[key].covers)
        write_stream(connection, key, replace(own, covers=covers), now_ns())
    return out


def _grows(changes: Changes, key: StreamKey) -> bool:
    after = changes.streams[key]
    return after.covers != changes.before.get(key, StreamRecord(after.kind)).covers


def read_digests(
    connection: Connection, seqs: Iterable[tuple[StreamKey, int]] | None = None
) -> dict[tuple[StreamKey, int], bytes]:
    """The digests kept of these seqs, or of all, ascending."""
    statement = select(t.DIGESTS).order_by(t.DIGESTS.c.seq)
    if seqs is not None:
        rows = [(*stream_order(key), seq) for key, seq in seqs]
        if not rows:
            return {}
        columns = tuple_(t.DIGESTS.c.site, t.DIGESTS.c.gateway, t.DIGESTS.c.stream, t.DIGESTS.c.seq)
        statement = statement.where(columns.in_(rows))
    result = connection.execute(statement)
    return {(StreamKey(row.site, row.gateway, row.stream), row.seq): bytes(row.digest) for row in result}


def write_digests(connection: Connection, digests: Mapping[tuple[StreamKey, int], bytes]) -> None:
    """Inserts digests, and from time to time deletes old ones of the same streams."""
    if not digests:
        return
    rows = [{**vars(key), "seq": seq, "digest": digest} for (key, seq), digest in digests.items()]
    connection.execute(insert(connection, t.DIGESTS).on_conflict_do_nothing(), rows)
    for key, last in outdated_digests(digests).items():
        connection.execute(delete(t.DIGESTS).where(*_is(key, t.DIGESTS), t.DIGESTS.c.seq <= last))


def delete_old_digests(connection: Connection) -> None:
    """Deletes all but the last `KEEP_DIGESTS` of each stream."""
    identity = (t.DIGESTS.c.site, t.DIGESTS.c.gateway, t.DIGESTS.c.stream)
    newest = select(*identity, func.max(t.DIGESTS.c.seq).label("last")).group_by(*identity).subquery()
    same = [t.DIGESTS.c[name] == newest.c[name] for name in ("site", "gateway", "stream")]
    too_old = select(newest.c.last).where(*same, t.DIGESTS.c.seq <= newest.c.last - KEEP_DIGESTS)
    connection.execute(delete(t.DIGESTS).where(too_old.exists()))


# owners and site bodies


def read_changes(connection: Connection, since_ns: int) -> Changes:
    """Streams, owners and site bodies that changed since then."""
    streams = connection.execute(select(t.STREAMS).where(t.STREAMS.c.changed_ns >= since_ns))
    owners = select(t.OWNERS).where(t.OWNERS.c.changed_ns >= since_ns)
    sites = select(t.SITES).where(t.SITES.c.changed_ns >= since_ns).order_by(t.SITES.c.valid_from_ns, t.SITES.c.id)
    return Changes(
        dict(map(_record, streams)),
        owners=[Owner(row.site, row.machine, row.gateway, row.first_ns) for row in connection.execute(owners)],
        sites=[
            SiteRow(row.site, row.gateway, row.config_hash, row.valid_from_ns, row.body)
            for row in connection.execute(sites)
        ],
    )


def claim_owners(connection: Connection, owners: Sequence[Owner], now_ns: Clock) -> list[Owner]:
    """Enters owners of machines that have none; returns the owners of machines that another gateway claimed first."""
    if not owners:
        return []
    rows = [vars(owner) | {"changed_ns": now_ns()} for owner in sorted(owners, key=_by_machine)]
    connection.execute(insert(connection, t.OWNERS).on_conflict_do_nothing(), rows)
    columns = tuple_(t.OWNERS.c.site, t.OWNERS.c.machine)
    claimed = {_by_machine(owner): owner.gateway for owner in owners}
    holders = connection.execute(select(t.OWNERS).where(columns.in_(list(claimed))))
    return [
        Owner(row.site, row.machine, row.gateway, row.first_ns)
        for row in holders
        if row.gateway != claimed[row.site, row.machine]
    ]


def write_owners(connection: Connection, owners: Iterable[Owner], now_ns: Clock) -> list[Owner]:
    """Enters or replaces owners. Of the first minutes that several processes saw of a machine the earliest is kept; a
    machine that is forgotten has none until there is one again."""
    out = []
    for owner in sorted(owners, key=_by_machine):
        changed_ns = now_ns()
        statement = insert(connection, t.OWNERS).values(vars(owner) | {"changed_ns": changed_ns})
        new, old = statement.excluded.first_ns, t.OWNERS.c.first_ns
        no_more, again = new == FORGOTTEN_NS, (old == FORGOTTEN_NS) & (new > 0)
        earliest = case((no_more | again, new), (old == 0, new), (new == 0, old), (new < old, new), else_=old)
        changed = {"gateway": owner.gateway, "first_ns": earliest, "changed_ns": changed_ns}
        upsert = statement.on_conflict_do_update(index_elements=["site", "machine"], set_=changed)
        first_ns = connection.scalar(upsert.returning(t.OWNERS.c.first_ns))
        out.append(replace(owner, first_ns=int(first_ns or 0)))
    return out


def _by_machine(owner: Owner) -> tuple[str, str]:
    return owner.site, owner.machine


def write_sites(connection: Connection, sites: Sequence[SiteRow], now_ns: Clock) -> None:
    """Inserts site bodies that are not there yet."""
    if sites:
        rows = [{**vars(row), "changed_ns": now_ns()} for row in sites]
        connection.execute(insert(connection, t.SITES).on_conflict_do_nothing(), rows)


def delete_sites(connection: Connection, sites: Iterable[SiteRow]) -> None:
    """Deletes site bodies."""
    for row in sites:
        connection.execute(
            delete(t.SITES).where(
                t.SITES.c.site == row.site,
                t.SITES.c.gateway == row.gateway,
                t.SITES.c.config_hash == row.config_hash,
                t.SITES.c.valid_from_ns == row.valid_from_ns,
            )
        )


# quarantine


def write_quarantine(connection: Connection, entries: Sequence[QuarantinedPayload]) -> None:
    """Inserts entries; the same payload on the same topic is kept once, however often it arrives."""
    if not entries:
        return

    def unsettled(prefix: str) -> int:
        on_topic = t.QUARANTINE.c.topic.startswith(prefix, autoescape=True)
        count = select(func.count()).select_from(t.QUARANTINE).where(~t.QUARANTINE.c.settled, on_topic)
        return int(connection.scalar(count) or 0)

    rows = [t.quarantine_row(entry) for entry in with_room(entries, unsettled)]
    if rows:
        connection.execute(insert(connection, t.QUARANTINE).on_conflict_do_nothing(), rows)


def prune_quarantine(connection: Connection, prefix: str, most_bytes: int) -> tuple[int, int]:
    """Deletes the oldest entries until at most so many bytes are left; returns these, and how many entries were deleted.
    prefix: of their topics.
    """
    c = t.QUARANTINE.c
    of_gateway = c.topic.startswith(prefix, autoescape=True)
    rows = connection.execute(select(c.id, func.length(c.payload)).where(of_gateway).order_by(c.at_ns, c.id)).all()
    left, gone = surplus([(int(row[0]), int(row[1])) for row in rows], most_bytes)
    for first in range(0, len(gone), _AT_ONCE):
        delete_quarantined(connection, gone[first : first + _AT_ONCE])
    return left, len(gone)


def delete_quarantined(connection: Connection, ids: Sequence[int]) -> None:
    """Deletes entries."""
    if ids:
        connection.execute(delete(t.QUARANTINE).where(t.QUARANTINE.c.id.in_(list(ids))))


def read_quarantine(connection: Connection, site: str, limit: int) -> tuple[list[QuarantineSummary], int]:
    """The newest entries first, and how many there are; site "" for all."""
    c = t.QUARANTINE.c
    of_site = c.topic.startswith(f"nhip/v1/{site}/", autoescape=True) if site else text("1 = 1")
    wanted = select(c.id, c.at_ns, c.topic, c.reason, func.length(c.payload), c.settled, c.stream)
    rows = connection.execute(wanted.where(of_site).order_by(c.id.desc()).limit(limit)).all()
    total = connection.scalar(select(func.count()).select_from(t.QUARANTINE).where(of_site))
    return [QuarantineSummary(*row) for row in rows], int(total or 0)


def read_waiting(connection: Connection, prefix: str, stream: str) -> list[int]:
    """The ids of settled entries of a stream, the oldest first. prefix: of its topics."""
    c = t.QUARANTINE.c
    of_stream = (c.settled, c.stream == stream, c.topic.startswith(prefix, autoescape=True))
    return list(connection.scalars(select(c.id).where(*of_stream).order_by(c.id)))


def read_payload(connection: Connection, number: int) -> QuarantinedPayload | None:
    """One entry with its content."""
    c = t.QUARANTINE.c
    statement = select(c.at_ns, c.topic, c.reason, c.payload, c.settled, c.stream).where(c.id == number)
    row = connection.execute(statement).one_or_none()
    return QuarantinedPayload(row[0], row[1], row[2], bytes(row[3]), bool(row[4]), row[5]) if row else None
