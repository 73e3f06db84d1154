"""Tables of the delivery ledger in a DuckDB file: streams, digests, owners, site bodies, quarantine."""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import duckdb
import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.ledger import (
    KEEP_DIGESTS,
    Changes,
    LedgerSnapshot,
    QuarantinedPayload,
    QuarantineSummary,
    new_generation,
    outdated_digests,
    surplus,
    with_room,
)
from center.contract.streams import StreamKey, StreamRecord
from center.model.complaints import misconfigured
from center.model.sites import Owner, SiteRow
from center.stores.duckdb.cycles import CREATE_CYCLES
from center.stores.duckdb.insert import insert_new, upsert
from center.stores.duckdb.schema import CREATE, UPGRADES
from center.stores.duckdb.values import CREATE_VALUES
from center.stores.fact_tables.columns import object_column
from center.stores.fact_tables.schema import SCHEMA_VERSION
from wire.marks import decode_marks, encode_beyond

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
_STREAM: Final = ("site", "gateway", "stream")


def prepare(cursor: DuckDBPyConnection, path: str) -> None:
    """Creates the tables in an empty file, upgrades a file of an older version, and deletes old digests. Raises
    `Misconfigured` for a file of an unknown version.
    """
    tables = {row[0] for row in cursor.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    if not tables:
        cursor.begin()
        cursor.execute(CREATE)
        cursor.execute(CREATE_VALUES)
        cursor.execute(CREATE_CYCLES)
        cursor.execute("INSERT INTO meta VALUES ('schema', ?), ('generation', ?)", [SCHEMA_VERSION, new_generation()])
        cursor.commit()
        return
    version = _value(cursor, "SELECT value FROM meta WHERE key = 'schema'") if "meta" in tables else None
    while version in UPGRADES:
        cursor.begin()
        cursor.execute(UPGRADES[version])
        version = str(int(version) + 1)
        cursor.execute("UPDATE meta SET value = ? WHERE key = 'schema'", [version])
        cursor.commit()
    if version != SCHEMA_VERSION:
        raise misconfigured("store.file", path, "store_version", found=version or "?", known=SCHEMA_VERSION)
    cursor.execute(CREATE_VALUES)
    cursor.execute(CREATE_CYCLES)
    if missing := _missing_columns(cursor):
        raise misconfigured("store.file", path, "store_tables", missing=", ".join(missing))
    cursor.execute(
        "DELETE FROM digests WHERE (site, gateway, stream, seq) NOT IN (SELECT (site, gateway, stream, seq) FROM digests "  # constants
        f"QUALIFY row_number() OVER (PARTITION BY site, gateway, stream ORDER BY seq DESC) <= {KEEP_DIGESTS})"
    )


def _missing_columns(cursor: DuckDBPyConnection) -> list[str]:
    """Columns, as `table.column`, that this program uses and the file has not."""
    found = set(_columns(cursor))
    return [name for name in _wanted_columns() if name not in found]


@cache
def _wanted_columns() -> tuple[str, ...]:
    with duckdb.connect(":memory:") as fresh:
        fresh.execute(CREATE)
        fresh.execute(CREATE_VALUES)
        fresh.execute(CREATE_CYCLES)
        return _columns(fresh)


def _columns(cursor: DuckDBPyConnection) -> tuple[str, ...]:
    names = "SELECT table_name || '.' || column_name FROM information_schema.columns ORDER BY ALL"
    return tuple(name for (name,) in cursor.execute(names).fetchall())


def write_changes(cursor: DuckDBPyConnection, changes: Changes) -> None:
    """Writes all changes, within the caller's transaction."""
    if changes.generation:
        cursor.execute("UPDATE meta SET value = ? WHERE key = 'generation'", [changes.generation])
    if changes.streams:
        upsert(cursor, "streams", _stream_columns(changes), _STREAM)
    if changes.digests:
        keys = [key for key, _ in changes.digests]
        columns = {name: object_column([getattr(key, name) for key in keys]) for name in _STREAM}
        columns["seq"] = np.array([seq for _, seq in changes.digests], np.int64)
        columns["digest"] = object_column(list(changes.digests.values()))
        insert_new(cursor, "digests", columns, (*_STREAM, "seq"), pruned="seq")
        for key, last in outdated_digests(changes.digests).items():
            cursor.execute(
                "DELETE FROM digests WHERE site = ? AND gateway = ? AND stream = ? AND seq <= ?",
                [key.site, key.gateway, key.stream, last],
            )
    if changes.owners:
        owners = list({(owner.site, owner.machine): owner for owner in changes.owners}.values())
        columns = {
            name: object_column([getattr(owner, name) for owner in owners]) for name in ("site", "machine", "gateway")
        }
        columns["first_ns"] = np.array([owner.first_ns for owner in owners], np.int64)
        upsert(cursor, "owners", columns, ("site", "machine"))
    if changes.sites:
        names = ("site", "gateway", "config_hash", "body")
        columns = {name: object_column([getattr(row, name) for row in changes.sites]) for name in names}
        columns["valid_from_ns"] = np.array([row.valid_from_ns for row in changes.sites], np.int64)
        insert_new(cursor, "sites", columns, ("site", "gateway", "config_hash", "valid_from_ns"))
    if changes.outdated:
        cursor.executemany(
            "DELETE FROM sites WHERE site = ? AND gateway = ? AND config_hash = ? AND valid_from_ns = ?",
            [[row.site, row.gateway, row.config_hash, row.valid_from_ns] for row in changes.outdated],
        )
    if changes.quarantine:
        _quarantine(cursor, changes.quarantine)
    if changes.released:
        cursor.executemany("DELETE FROM quarantine WHERE id = ?", [[number] for number in changes.released])


def _stream_columns(changes: Changes) -> dict[str, Any]:
    keys, states = list(changes.streams), list(changes.streams.values())
    columns = {name: object_column([getattr(key, name) for key in keys]) for name in _STREAM}
    columns["kind"] = object_column([state.kind for state in states])
    columns["mark"] = np.array([state.marks.mark for state in states], np.int64)
    columns["beyond"] = object_column([encode_beyond(state.marks) for state in states])
    columns["covers"] = object_column([encode_beyond(state.covers) for state in states])
    return columns | {name: np.array([getattr(state, name) for state in states], np.int64) for name in _COUNTS}


def _quarantine(cursor: DuckDBPyConnection, entries: Sequence[QuarantinedPayload]) -> None:
    """Inserts entries; the same payload on the same topic is kept once, however often it arrives."""
    unsettled = "SELECT count(*) FROM quarantine WHERE NOT settled AND starts_with(topic, $topic)"
    accepted = with_room(entries, lambda prefix: int(_value(cursor, unsettled, {"topic": prefix})))
    if not accepted:
        return
    columns = {
        "at_ns": np.array([entry.at_ns for entry in accepted], np.int64),
        "topic": object_column([entry.topic for entry in accepted]),
        "reason": object_column([entry.reason for entry in accepted]),
        "payload": object_column([entry.payload for entry in accepted]),
        "digest": object_column([hashlib.sha256(entry.payload).digest() for entry in accepted]),
        "settled": np.array([entry.settled for entry in accepted], np.bool_),
        "stream": object_column([entry.stream for entry in accepted]),
    }
    insert_new(cursor, "quarantine", columns, ("topic", "digest", "settled"))


def read_snapshot(cursor: DuckDBPyConnection) -> LedgerSnapshot:
    """Everything but the quarantine."""
    streams = {}
    for row in cursor.execute(
        f"SELECT site, gateway, stream, kind, mark, beyond, covers, {', '.join(_COUNTS)} FROM streams"
    ).fetchall():  # constants
        counts = dict(zip(_COUNTS, row[7:], strict=True))
        covers = decode_marks(0, row[6])
        streams[StreamKey(*row[:3])] = StreamRecord(row[3], decode_marks(row[4], row[5]), covers=covers, **counts)
    digests: dict[StreamKey, dict[int, bytes]] = {}
    for site, gateway, stream, seq, digest in cursor.execute(
        "SELECT site, gateway, stream, seq, digest FROM digests ORDER BY seq"
    ).fetchall():
        digests.setdefault(StreamKey(site, gateway, stream), {})[seq] = digest
    owners = [Owner(*row) for row in cursor.execute("SELECT site, machine, gateway, first_ns FROM owners").fetchall()]
    sites = cursor.execute(
        "SELECT site, gateway, config_hash, valid_from_ns, body FROM sites ORDER BY valid_from_ns, rowid"
    ).fetchall()
    return LedgerSnapshot(
        _value(cursor, "SELECT value FROM meta WHERE key = 'generation'"),
        streams,
        digests,
        {(owner.site, owner.machine): owner for owner in owners},
        [SiteRow(*row) for row in sites],
    )


def read_quarantine(cursor: DuckDBPyConnection, site: str, limit: int) -> tuple[list[QuarantineSummary], int]:
    """The newest entries first, and how many there are; site "" for all."""
    where = "WHERE starts_with(topic, $topic)"
    prefix = f"nhip/v1/{site}/" if site else ""
    rows = cursor.execute(
        f"SELECT id, at_ns, topic, reason, octet_length(payload), settled, stream FROM quarantine {where} "  # constants
        "ORDER BY id DESC LIMIT $limit",
        {"topic": prefix, "limit": limit},
    ).fetchall()
    total = int(_value(cursor, f"SELECT count(*) FROM quarantine {where}", {"topic": prefix}))
    return [QuarantineSummary(*row) for row in rows], total


def read_waiting(cursor: DuckDBPyConnection, prefix: str, stream: str) -> list[int]:
    """The ids of settled entries of a stream, the oldest first. prefix: of its topics."""
    rows = cursor.execute(
        "SELECT id FROM quarantine WHERE settled AND stream = ? AND starts_with(topic, ?) ORDER BY id", [stream, prefix]
    ).fetchall()
    return [number for (number,) in rows]


def prune_quarantine(cursor: DuckDBPyConnection, prefix: str, most_bytes: int) -> tuple[int, int]:
    """Deletes the oldest entries until at most so many bytes are left; returns these, and how many entries were deleted.
    prefix: of their topics.
    """
    sizes = cursor.execute(
        "SELECT id, octet_length(payload) FROM quarantine WHERE starts_with(topic, ?) ORDER BY at_ns, id", [prefix]
    ).fetchall()
    left, gone = surplus(sizes, most_bytes)
    if gone:
        cursor.execute("DELETE FROM quarantine WHERE id IN (SELECT unnest(?))", [gone])
    return left, len(gone)


def read_payload(cursor: DuckDBPyConnection, number: int) -> QuarantinedPayload | None:
    """One entry with its content."""
    rows = cursor.execute(
        "SELECT at_ns, topic, reason, payload, settled, stream FROM quarantine WHERE id = ?", [number]
    ).fetchall()
    return QuarantinedPayload(*rows[0]) if rows else None


def _value(cursor: DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None = None) -> Any:
    """The first column of the first row. All rows are fetched: DuckDB keeps a half-read answer open."""
    rows = cursor.execute(sql, parameters or {}).fetchall()
    return rows[0][0] if rows else None
