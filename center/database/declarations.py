"""Declarations made at the center about machines, in the SQL database, with the outcome reported by the gateway.

A declaration is numbered for its gateway and never changed: another one replaces it. Its state is `sent` until the
gateway echoes `done`, or `refused` with the reason. Corrected facts follow as deltas.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    func,
    select,
)

from center.database.sql import lock_out_writers, opening, prepare, reading, writing
from oee.model.declarations import Declaration
from wire.declare import MOST, DeclaredRow

_META: Final = MetaData()
DECLARATIONS: Final = Table(
    "declarations",
    _META,
    Column("site", String(64), primary_key=True),
    Column("gateway", String(64), primary_key=True),
    Column("no", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("made_ns", BigInteger, nullable=False),
    Column("machine", String(64), nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("end_ns", BigInteger, nullable=True),
    Column("field", String(16), nullable=False),
    Column("value", String(200), nullable=False),
    Column("who", String(200), nullable=False),
    Column("product", String(64), nullable=False),
    Column("supersedes", String(64), nullable=False),
    Column("state", String(8), nullable=False, index=True),
    Column("why", String(200), nullable=False),
    Column("decided_ns", BigInteger, nullable=False),
)
_FIELDS: Final = tuple(DeclaredRow.model_fields)


def _first(connection: Connection) -> None:
    _META.create_all(connection)


_STEPS: Final = (_first,)


@dataclass(frozen=True)
class DeclarationRecord:
    """A declaration at the center. state: sent, done or refused; why: the gateway's reason to refuse it."""

    site: str
    gateway: str
    row: DeclaredRow
    state: str
    why: str
    decided_ns: int


MOST_OPEN: Final = 60
"""Declarations of one machine that its gateway has not answered yet."""


class TooManyOpen(Exception):
    """The machine's gateway has not answered many declarations yet; the text says how many."""


def open_declarations(url: str) -> Engine:
    """The database with this table in it. Raises `Misconfigured` or `StoreUnavailable`."""
    with opening(url) as engine:
        prepare(engine, "declarations", _STEPS, [DECLARATIONS])
    return engine


def insert_declarations(
    engine: Engine, site: str, gateway: str, items: Sequence[Declaration]
) -> list[DeclarationRecord]:
    """Numbers and stores declarations in one transaction; one that is stored already under its id is returned as it is.

    Raises `TooManyOpen` or `StoreUnavailable`.
    """
    of_gateway = and_(DECLARATIONS.c.site == site, DECLARATIONS.c.gateway == gateway)
    state = {"state": "sent", "why": "", "decided_ns": 0}
    with writing(engine) as connection:
        lock_out_writers(connection, DECLARATIONS)
        is_one_of = DECLARATIONS.c.id.in_([item.id for item in items])
        found = connection.execute(select(DECLARATIONS).where(of_gateway, is_one_of)).mappings()
        records = {row["id"]: _record(row) for row in found}
        _require_room(connection, of_gateway, [item for item in items if item.id not in records])
        no = connection.scalar(select(func.max(DECLARATIONS.c.no)).where(of_gateway)) or 0
        for item in items:
            if item.id not in records:
                no += 1
                row = DeclaredRow(no=no, **vars(item))
                connection.execute(
                    DECLARATIONS.insert().values(site=site, gateway=gateway, **row.model_dump(), **state)
                )
                records[item.id] = DeclarationRecord(site, gateway, row, "sent", "", 0)
    return [records[item.id] for item in items]


def _require_room(connection: Connection, of_gateway: ColumnElement[bool], items: Sequence[Declaration]) -> None:
    """What is sent together is taken together while there is room at all; what takes something back always is. Raises
    `TooManyOpen`.
    """
    for machine in sorted({item.machine for item in items if item.value}):
        waits = and_(of_gateway, DECLARATIONS.c.machine == machine, DECLARATIONS.c.state == "sent")
        waiting = connection.scalar(select(func.count()).select_from(DECLARATIONS).where(waits)) or 0
        if waiting >= MOST_OPEN:
            raise TooManyOpen(
                f"{waiting} declarations of {machine} wait for its gateway; make more when it has answered"
            )


def new_id() -> str:
    """A unique id."""
    return uuid.uuid4().hex


def unanswered(engine: Engine, site: str, gateway: str) -> list[DeclaredRow]:
    """The oldest declarations without an echo, as many as one message holds. Raises `StoreUnavailable`."""
    of_gateway = and_(DECLARATIONS.c.site == site, DECLARATIONS.c.gateway == gateway, DECLARATIONS.c.state == "sent")
    with reading(engine) as connection:
        rows = (
            connection.execute(select(DECLARATIONS).where(of_gateway).order_by(DECLARATIONS.c.no).limit(MOST))
            .mappings()
            .all()
        )
    return [_row(row) for row in rows]


def waiting_gateways(engine: Engine) -> list[tuple[str, str]]:
    """The gateways that owe an echo. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(DECLARATIONS.c.site, DECLARATIONS.c.gateway).where(DECLARATIONS.c.state == "sent").distinct()
        ).all()
    return sorted((site, gateway) for site, gateway in rows)


def record_outcomes(engine: Engine, site: str, gateway: str, outcomes: Mapping[str, str], now_ns: int) -> int:
    """Stores a gateway's echoes (id to "" or the reason for a refusal); returns how many were new. Raises
    `StoreUnavailable`.
    """
    count = 0
    with writing(engine) as connection:
        for declaration, why in outcomes.items():
            of_gateway = and_(
                DECLARATIONS.c.id == declaration,
                DECLARATIONS.c.site == site,
                DECLARATIONS.c.gateway == gateway,
                DECLARATIONS.c.state == "sent",
            )
            reason = why.replace("\0", "")[:200]  # PostgreSQL stores no NUL in a text
            outcome = {"state": "refused" if why else "done", "why": reason, "decided_ns": now_ns}
            count += connection.execute(DECLARATIONS.update().where(of_gateway).values(**outcome)).rowcount
    return count


def listed(engine: Engine, sites: Sequence[str], machine: str, limit: int) -> list[DeclarationRecord]:
    """Declarations of these sites, the newest first. Raises `StoreUnavailable`."""
    wanted: ColumnElement[bool] = DECLARATIONS.c.site.in_(sites)
    if machine:
        wanted = and_(wanted, DECLARATIONS.c.machine == machine)
    with reading(engine) as connection:
        order = (DECLARATIONS.c.made_ns.desc(), DECLARATIONS.c.no.desc())
        rows = connection.execute(select(DECLARATIONS).where(wanted).order_by(*order).limit(limit)).mappings().all()
    return [_record(row) for row in rows]


def of_form(engine: Engine, site: str, machine: str, key: str) -> list[DeclarationRecord]:
    """Declarations about a machine whose ids begin with the key of one form, in their order. Raises `StoreUnavailable`."""
    wanted = and_(
        DECLARATIONS.c.site == site,
        DECLARATIONS.c.machine == machine,
        DECLARATIONS.c.id.startswith(key, autoescape=True),
    )
    with reading(engine) as connection:
        rows = connection.execute(select(DECLARATIONS).where(wanted).order_by(DECLARATIONS.c.no)).mappings().all()
    return [_record(row) for row in rows]


def declared_since(
    engine: Engine, site: str, since_ns: int, first_ns: int, end_ns: int, limit: int
) -> list[DeclarationRecord]:
    """What was declared after `since_ns` about `[first_ns, end_ns)` and done, the oldest first. Raises `StoreUnavailable`."""
    wanted = and_(
        DECLARATIONS.c.site == site,
        DECLARATIONS.c.made_ns > since_ns,
        DECLARATIONS.c.start_ns >= first_ns,
        DECLARATIONS.c.start_ns < end_ns,
        DECLARATIONS.c.state == "done",
    )
    order = (DECLARATIONS.c.made_ns, DECLARATIONS.c.no)
    with reading(engine) as connection:
        rows = connection.execute(select(DECLARATIONS).where(wanted).order_by(*order).limit(limit)).mappings().all()
    return [_record(row) for row in rows]


def _record(row: Any) -> DeclarationRecord:
    return DeclarationRecord(row["site"], row["gateway"], _row(row), row["state"], row["why"], row["decided_ns"])


def _row(row: Any) -> DeclaredRow:
    return DeclaredRow(**{name: row[name] for name in _FIELDS})
