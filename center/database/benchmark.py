"""The benchmark at the center: who consented, who belongs to a year's tables, the tables, and each site's own figures.

Rows are added and never changed: a table that was published stays, and of consents the last one about a site holds.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    select,
)

from center.database.sql import lock_out_writers, prepare, reading, writing

_META: Final = MetaData()
CONSENTS: Final = Table(
    "benchmark_consents",
    _META,
    Column("id", Integer, primary_key=True),
    Column("site", String(64), nullable=False, index=True),
    Column("given", Boolean, nullable=False),
    Column("by", String(80), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
MEMBERS: Final = Table(
    "benchmark_members",
    _META,
    Column("year", Integer, primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
)
TABLES: Final = Table(
    "benchmark_tables",
    _META,
    Column("quarter", String(7), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("made_ns", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
FIGURES: Final = Table(
    "benchmark_figures",
    _META,
    Column("quarter", String(7), primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("measure", String(32), primary_key=True),
    Column("trade", String(32), nullable=False),
    Column("weight_ms", BigInteger, nullable=False),
    Column("value_u", BigInteger, nullable=False),
    Column("low_u", BigInteger, nullable=True),
    Column("high_u", BigInteger, nullable=True),
    Column("weekly_u", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Consent:
    """What a site's owner said. given: or withdrawn; at_ns: when [ns UTC]."""

    site: str
    given: bool
    by: str
    at_ns: int


@dataclass(frozen=True)
class OwnFigure:
    """A site's own figure, for itself alone. weight_ms: busy time of its machines of the kind [ms]; value_u, low_u, high_u: [millionths
    of the measure's unit], the limits None where there are none; weekly_u: what a unit of the measure comes to in a week
    [millionths of a minute].
    """

    quarter: str
    site: str
    kind: str
    measure: str
    trade: str
    weight_ms: int
    value_u: int
    low_u: int | None
    high_u: int | None
    weekly_u: int


@dataclass(frozen=True)
class PublishedTable:
    """A quarter's table. content: canonical JSON; digest: its SHA-256."""

    quarter: str
    digest: str
    made_ns: int
    content: bytes


class ChangedTable(Exception):
    """What the database holds is not what was published; the text says of which quarter."""


RecordConsent = Callable[[Connection, Consent], None]
"""Enters a consent into the audit trail in its own transaction."""
RecordTable = Callable[[Connection, PublishedTable], None]
"""Enters a table, likewise."""


def _first(connection: Connection) -> None:
    _META.create_all(connection)


_STEPS: Final = (_first,)


def prepare_benchmark(engine: Engine) -> None:
    """Creates or migrates the tables in an open database. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "benchmark", _STEPS, _META.sorted_tables)


def say_consent(engine: Engine, item: Consent, record: RecordConsent) -> None:
    """Gives or withdraws a consent. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        connection.execute(CONSENTS.insert().values(**vars(item)))
        record(connection, item)


def consents(engine: Engine, site: str = "") -> list[Consent]:
    """What was said, the oldest first, of one site or of all. Raises `StoreUnavailable`."""
    columns = [CONSENTS.c[name] for name in Consent.__dataclass_fields__]
    wanted = select(*columns).order_by(CONSENTS.c.id)
    with reading(engine) as connection:
        return [Consent(*row) for row in connection.execute(wanted.where(CONSENTS.c.site == site) if site else wanted)]


def members_of(engine: Engine, year: int) -> dict[str, int]:
    """The sites that belong to a year's tables, and when that was fixed [ns UTC]; empty before. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        rows = connection.execute(select(MEMBERS.c.site, MEMBERS.c.at_ns).where(MEMBERS.c.year == year))
        return {row.site: row.at_ns for row in rows}


def publish(
    engine: Engine,
    table: PublishedTable,
    members: tuple[int, Iterable[str]] | None,
    figures: Sequence[OwnFigure],
    record: RecordTable,
) -> bool:
    """Publishes a quarter's table with every site's own figures; whether it was not there yet. members: year and sites, where
    these are fixed by it. Raises `StoreUnavailable`.
    """
    with writing(engine) as connection:
        lock_out_writers(connection, TABLES)
        if connection.scalar(select(TABLES.c.quarter).where(TABLES.c.quarter == table.quarter)) is not None:
            return False
        connection.execute(TABLES.insert().values(**vars(table)))
        rows = [{"year": members[0], "site": site, "at_ns": table.made_ns} for site in members[1]] if members else []
        if rows:
            connection.execute(MEMBERS.insert(), rows)
        if figures:
            connection.execute(FIGURES.insert(), [vars(item) for item in figures])
        record(connection, table)
    return True


def published(engine: Engine) -> list[str]:
    """The quarters that have a table, the newest first. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        return list(connection.scalars(select(TABLES.c.quarter).order_by(TABLES.c.quarter.desc())))


def table_of_quarter(engine: Engine, quarter: str) -> PublishedTable | None:
    """A quarter's table, None if there is none. Raises `ChangedTable` and `StoreUnavailable`."""
    with reading(engine) as connection:
        row: Any = connection.execute(select(*TABLES.c).where(TABLES.c.quarter == quarter)).first()
    if row is None:
        return None
    if hashlib.sha256(row.content).hexdigest() != row.digest:
        raise ChangedTable(quarter)
    return PublishedTable(row.quarter, row.digest, row.made_ns, bytes(row.content))


def figures_of_site(engine: Engine, site: str, quarter: str) -> list[OwnFigure]:
    """A site's own figures of a quarter, by kind and measure. Raises `StoreUnavailable`."""
    columns = [FIGURES.c[name] for name in OwnFigure.__dataclass_fields__]
    wanted = select(*columns).where(and_(FIGURES.c.site == site, FIGURES.c.quarter == quarter))
    with reading(engine) as connection:
        return [OwnFigure(*row) for row in connection.execute(wanted.order_by(FIGURES.c.kind, FIGURES.c.measure))]
