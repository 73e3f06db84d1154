"""Notices of gateways: calls for help with their steps, notes, counts by cause. Rows are immutable and added up by readers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Engine, MetaData, String, Table, and_, select

from center.database.sql import lock_out_writers, opening, prepare, reading, writing
from wire.bodies import MOST_NOTICES, Notice

_META: Final = MetaData()
_SIZES: Final = {"id": 64, "machine": 64, "kind": 16, "about": 64, "text": 200, "of": 64, "by": 64}
NOTICES: Final = Table(
    "notices",
    _META,
    Column("site", String(64), primary_key=True),
    Column("gateway", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("at_ns", BigInteger, nullable=False, index=True),
    Column("machine", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("about", String(64), nullable=False),
    Column("text", String(200), nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("of", String(64), nullable=False),
    Column("by", String(64), nullable=False),
)


@dataclass(frozen=True)
class NoticeRecord:
    """A notice and the gateway that sent it."""

    site: str
    gateway: str
    notice: Notice


def _first(connection: Connection) -> None:
    _META.create_all(connection)


def open_notices(url: str) -> Engine:
    """The database with this table in it. Raises `Misconfigured` or `StoreUnavailable`."""
    with opening(url) as engine:
        prepare(engine, "notices", (_first,), [NOTICES])
    return engine


def store_notices(engine: Engine, site: str, gateway: str, notices: Iterable[Notice]) -> list[str]:
    """Stores those that are not there yet; returns the ids of all that are. Raises `StoreUnavailable`."""
    rows = {item.id: _row(site, gateway, item) for item in list(notices)[:MOST_NOTICES]}
    of_gateway = and_(NOTICES.c.site == site, NOTICES.c.gateway == gateway)
    with writing(engine) as connection:
        lock_out_writers(connection, NOTICES)
        ids = [row["id"] for row in rows.values()]
        known = set(connection.scalars(select(NOTICES.c.id).where(of_gateway, NOTICES.c.id.in_(ids))))
        new = {row["id"]: row for row in rows.values() if row["id"] not in known}
        if new:
            connection.execute(NOTICES.insert(), list(new.values()))
    return list(rows)


def _row(site: str, gateway: str, item: Notice) -> dict[str, Any]:
    texts = {name: _storable(getattr(item, name))[:size] for name, size in _SIZES.items()}
    count = min(max(item.count, -(10**9)), 10**9)
    return {"site": site, "gateway": gateway, "at_ns": item.at_ns, "count": count, **texts}


def _storable(text: str) -> str:
    """No NUL, which PostgreSQL does not store, and no half of a surrogate pair, which no store does."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def listed(
    engine: Engine, sites: Sequence[str], *, machine: str = "", kinds: Sequence[str] = (), since_ns: int = 0, limit: int
) -> list[NoticeRecord]:
    """Notices of these sites, the newest first. kinds: only these, without any all. Raises `StoreUnavailable`."""
    wanted = [NOTICES.c.site.in_(sites), NOTICES.c.at_ns >= since_ns]
    wanted += [NOTICES.c.machine == machine] if machine else []
    wanted += [NOTICES.c.kind.in_(kinds)] if kinds else []
    order = (NOTICES.c.at_ns.desc(), NOTICES.c.id.desc())
    with reading(engine) as connection:
        rows = connection.execute(select(NOTICES).where(*wanted).order_by(*order).limit(limit)).mappings().all()
    return [
        NoticeRecord(row["site"], row["gateway"], Notice(**{name: row[name] for name in Notice.model_fields}))
        for row in rows
    ]
