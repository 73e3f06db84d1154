"""What people write for monthly reports: objectives beside the targets, and papers that are kept elsewhere.

Rows are added and never changed: the last one about the same thing holds, and one without a value takes it back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Engine, Integer, MetaData, String, Table, select

from center.database.sql import prepare, reading, writing

_META: Final = MetaData()
OBJECTIVES: Final = Table(
    "month_objectives",
    _META,
    Column("id", Integer, primary_key=True),
    Column("site", String(64), nullable=False, index=True),
    Column("machine", String(64), nullable=False),  # "" for all together
    Column("kind", String(16), nullable=False),
    Column("since", String(7), nullable=False),
    Column("value_u", BigInteger, nullable=True),  # NULL: nothing is aimed at any more
    Column("by", String(80), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
REFERENCES: Final = Table(
    "month_references",
    _META,
    Column("id", Integer, primary_key=True),
    Column("site", String(64), nullable=False, index=True),
    Column("topic", String(16), nullable=False),
    Column("title", String(200), nullable=False),
    Column("place", String(200), nullable=False),  # "" together with edition and owner: it is no longer referred to
    Column("edition", String(80), nullable=False),
    Column("owner", String(80), nullable=False),
    Column("by", String(80), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class MonthObjective:
    """What a site aims at from a month on. machine: "" for all together; value_u: [millionths of a second or of 1], None where
    nothing is aimed at any more; at_ns: when it was said [ns UTC].
    """

    site: str
    machine: str
    kind: str
    since: str
    value_u: int | None
    by: str
    at_ns: int


@dataclass(frozen=True)
class MonthReference:
    """A paper that is kept elsewhere. place, edition, owner: all "" where it is no longer referred to."""

    site: str
    topic: str
    title: str
    place: str
    edition: str
    owner: str
    by: str
    at_ns: int


RecordPaper = Callable[[Connection, MonthObjective | MonthReference], None]
"""Enters what was written into the audit trail in its own transaction."""


def _first(connection: Connection) -> None:
    _META.create_all(connection)


_STEPS: Final = (_first,)


def prepare_month_papers(engine: Engine) -> None:
    """Creates or migrates the tables in an open database. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "month_papers", _STEPS, _META.sorted_tables)


def write_paper(engine: Engine, item: MonthObjective | MonthReference, record: RecordPaper) -> None:
    """Writes an objective or a reference. Raises `StoreUnavailable`."""
    table = OBJECTIVES if isinstance(item, MonthObjective) else REFERENCES
    with writing(engine) as connection:
        connection.execute(table.insert().values(**vars(item)))
        record(connection, item)


def objectives_of(engine: Engine, site: str, month: str) -> list[MonthObjective]:
    """Those that hold in a month, by machine and kind: of each the one that began last. Raises `StoreUnavailable`."""
    found: dict[tuple[str, str], MonthObjective] = {}
    for row in _rows(engine, OBJECTIVES, site):
        item = MonthObjective(**row)
        before = found.get((item.machine, item.kind))
        if item.since <= month and (before is None or before.since <= item.since):
            found[item.machine, item.kind] = item
    return [found[key] for key in sorted(found) if found[key].value_u is not None]


def references_of(engine: Engine, site: str) -> list[MonthReference]:
    """Those that hold, by topic and title. Raises `StoreUnavailable`."""
    found = {(row["topic"], row["title"]): MonthReference(**row) for row in _rows(engine, REFERENCES, site)}
    held = [found[key] for key in sorted(found)]
    return [item for item in held if item.place or item.edition or item.owner]


def _rows(engine: Engine, table: Table, site: str) -> Sequence[dict[str, Any]]:
    columns = [column for column in table.c if column.name != "id"]
    with reading(engine) as connection:
        wanted = select(*columns).where(table.c.site == site).order_by(table.c.id)
        return [dict(row) for row in connection.execute(wanted).mappings()]
