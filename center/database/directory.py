"""The directory of firms: who makes what on which machines, and which certificates they declare.

A firm with a site is its owner's entry; one without is kept by the center's people, by its code (the tax number).
"""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Connection, Engine, MetaData, String, Table, Text, select

from center.database.sql import lock_out_writers, prepare, reading, writing

_META: Final = MetaData()
FIRMS: Final = Table(
    "directory_firms",
    _META,
    Column("id", String(16), primary_key=True),
    Column("site", String(64), nullable=False, index=True),  # "" for a firm that is not connected
    Column("code", String(20), nullable=False),
    Column("name", String(200), nullable=False),
    Column("trade", String(32), nullable=False),
    Column("place", String(120), nullable=False),
    Column("kinds", Text, nullable=False),
    Column("products", Text, nullable=False),
    Column("certificates", Text, nullable=False),
    Column("shown", Boolean, nullable=False),
    Column("by", String(80), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class FirmCertificate:
    """A certificate that a firm declares. until: as 2027-01-31, "" where it does not say."""

    name: str
    number: str
    until: str


@dataclass(frozen=True)
class Firm:
    """A firm. site: of the one that is connected, ""; code: tax number; kinds: of machines; shown: everybody with an account may see it;
    by, at_ns: who changed it last and when [ns UTC].
    """

    id: str
    site: str
    code: str
    name: str
    trade: str
    place: str
    kinds: tuple[str, ...]
    products: tuple[str, ...]
    certificates: tuple[FirmCertificate, ...]
    shown: bool
    by: str
    at_ns: int


RecordFirm = Callable[[Connection, str, Firm], None]
"""Enters a change into the audit trail in its own transaction: `set` or `removed`, and the firm."""
RecordImport = Callable[[Connection, int, int], None]
"""Enters an import, likewise: how many firms are new, and how many were changed."""


def _first(connection: Connection) -> None:
    _META.create_all(connection)


_STEPS: Final = (_first,)


def prepare_directory(engine: Engine) -> None:
    """Creates or migrates the table in an open database. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "directory", _STEPS, _META.sorted_tables)


def firms(engine: Engine) -> list[Firm]:
    """All of them, by name. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        rows = connection.execute(select(FIRMS).order_by(FIRMS.c.name, FIRMS.c.id)).mappings()
        return [_firm(row) for row in rows]


def put_firm(engine: Engine, firm: Firm, record: RecordFirm) -> Firm:
    """Sets a firm: a site's entry in place of the one before, another by its code. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        lock_out_writers(connection, FIRMS)
        kept, _ = _put(connection, firm)
        record(connection, "set", kept)
    return kept


def put_firms(engine: Engine, found: Sequence[Firm], record: RecordImport) -> tuple[int, int]:
    """Sets many in one transaction: how many are new, and how many changed. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        lock_out_writers(connection, FIRMS)
        news = [_put(connection, firm)[1] for firm in found]
        record(connection, sum(news), len(news) - sum(news))
    return sum(news), len(news) - sum(news)


def remove_firm(engine: Engine, firm: Firm, record: RecordFirm) -> None:
    """Removes an entry. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        connection.execute(FIRMS.delete().where(FIRMS.c.id == firm.id))
        record(connection, "removed", firm)


def _put(connection: Connection, firm: Firm) -> tuple[Firm, bool]:
    same = FIRMS.c.site == firm.site if firm.site else (FIRMS.c.site == "") & (FIRMS.c.code == firm.code)
    before = connection.scalar(select(FIRMS.c.id).where(same))
    kept = replace(firm, id=before or secrets.token_hex(8))
    connection.execute(FIRMS.delete().where(FIRMS.c.id == kept.id))
    connection.execute(FIRMS.insert().values(**_row(kept)))
    return kept, before is None


def _row(firm: Firm) -> dict[str, Any]:
    listed = {name: json.dumps(list(getattr(firm, name)), ensure_ascii=False) for name in ("kinds", "products")}
    certificates = json.dumps([asdict(item) for item in firm.certificates], ensure_ascii=False)
    return {**vars(firm), **listed, "certificates": certificates}


def _firm(row: Any) -> Firm:
    listed = {name: tuple(json.loads(row[name])) for name in ("kinds", "products")}
    certificates = tuple(FirmCertificate(**item) for item in json.loads(row["certificates"]))
    return Firm(**{**row, **listed, "certificates": certificates})
