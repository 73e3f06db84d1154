"""SQL tables of the ledger, by numbered schema steps."""

import hashlib
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    text,
)
from sqlalchemy.schema import CreateColumn

from center.contract.ledger import QuarantinedPayload
from center.database.sql import Step

_ALL: Final = MetaData()
_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite generates ids for INTEGER columns only


def _counts(*names: str) -> list[Column[Any]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


META: Final = Table(
    "ledger_meta", _ALL, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False)
)
STREAMS: Final = Table(
    "ledger_streams",
    _ALL,
    Column("site", String(64), primary_key=True),
    Column("gateway", String(64), primary_key=True),
    Column("stream", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("mark", BigInteger, nullable=False),
    Column("beyond", Text, nullable=False),
    *_counts("stored", "quarantined", "dropped", "discarded", "duplicates", "conflicts", "seen_ns"),
    Column("changed_ns", BigInteger, nullable=False, index=True),
    Column("first_ns", BigInteger, nullable=False, server_default="0"),
    Column("covers", Text, nullable=False, server_default="[]"),
    Column("held_from", BigInteger, nullable=False, server_default="0"),
)
DIGESTS: Final = Table(
    "ledger_digests",
    _ALL,
    Column("site", String(64), primary_key=True),
    Column("gateway", String(64), primary_key=True),
    Column("stream", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
)
OWNERS: Final = Table(
    "ledger_owners",
    _ALL,
    Column("site", String(64), primary_key=True),
    Column("machine", Text, primary_key=True),
    Column("gateway", String(64), nullable=False),
    Column("first_ns", BigInteger, nullable=False),
    Column("changed_ns", BigInteger, nullable=False),
)
SITES: Final = Table(
    "ledger_sites",
    _ALL,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("site", String(64), nullable=False),
    Column("gateway", String(64), nullable=False),
    Column("config_hash", Text, nullable=False),
    Column("valid_from_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("changed_ns", BigInteger, nullable=False),
    Index("ledger_sites_identity", "site", "gateway", "config_hash", "valid_from_ns", unique=True),
)
QUARANTINE: Final = Table(
    "ledger_quarantine",
    _ALL,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("stream", String(64), nullable=False, server_default=""),
    Index("ledger_quarantine_identity", "topic", "digest", "settled", unique=True),
)


def quarantine_row(entry: QuarantinedPayload) -> dict[str, Any]:
    """An entry as inserted."""
    return {**vars(entry), "digest": hashlib.sha256(entry.payload).digest()}


def _first(connection: Connection) -> None:
    _ALL.create_all(connection)


def _held_streams(connection: Connection) -> None:
    for table, names in ((STREAMS, ("first_ns", "covers", "held_from")), (QUARANTINE, ("stream",))):
        known = {column["name"] for column in inspect(connection).get_columns(table.name)}
        for name in names:
            if name not in known:  # tables that this program creates have them already
                column = CreateColumn(table.c[name]).compile(connection)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column}"))


STEPS: Final[tuple[Step, ...]] = (_first, _held_streams)
TABLES: Final = tuple(_ALL.sorted_tables)
"""The tables after all steps."""
