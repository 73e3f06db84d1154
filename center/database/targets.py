"""Targets that people set at the center: one row for each kind and place, replaced when it is set again."""

from collections.abc import Callable
from datetime import date
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Engine, Float, MetaData, String, Table, and_, delete, select

from center.database.sql import prepare, reading, writing
from center.model.targets import SaidTarget

_META: Final = MetaData()
_PLACE: Final = ("site", "line", "machine", "product", "kind", "since")
# since: ISO date, "" for always; keys hold no NULL, which would not be equal to itself
TARGETS: Final = Table(
    "targets",
    _META,
    Column("site", String(64), primary_key=True),
    Column("line", String(64), primary_key=True),
    Column("machine", String(64), primary_key=True),
    Column("product", String(200), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("since", String(10), primary_key=True),
    Column("value", Float, nullable=False),
    Column("set_by", String(80), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
Record = Callable[[Connection, str, SaidTarget], None]
"""Enters a change (`target.set` or `target.withdrawn`) into the audit trail, in the change's own transaction."""


def _first(connection: Connection) -> None:
    _META.create_all(connection)


def prepare_targets(engine: Engine) -> None:
    """Creates or migrates the table in an open database. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "targets", (_first,), (TARGETS,))


def targets_of(engine: Engine, site: str) -> tuple[SaidTarget, ...]:
    """The site's targets, in the order of their places. Raises `StoreUnavailable`."""
    order = [TARGETS.c[name] for name in _PLACE]
    with reading(engine) as connection:
        rows = connection.execute(select(TARGETS).where(TARGETS.c.site == site).order_by(*order)).mappings().all()
    return tuple(_said(row) for row in rows)


def set_target(engine: Engine, target: SaidTarget, record: Record) -> None:
    """Sets a target, in place of one of the same kind, place and day. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        connection.execute(delete(TARGETS).where(_at(target)))
        row = _key(target) | {"value": target.value, "set_by": target.by[:80], "at_ns": target.at_ns}
        connection.execute(TARGETS.insert().values(**row))
        record(connection, "target.set", target)


def withdraw_target(engine: Engine, target: SaidTarget, record: Record) -> bool:
    """Removes the target of this kind, place and day; False if there is none. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        row = connection.execute(select(TARGETS).where(_at(target))).mappings().first()
        if row is None:
            return False
        connection.execute(delete(TARGETS).where(_at(target)))
        record(connection, "target.withdrawn", _said(row))
    return True


def _key(target: SaidTarget) -> dict[str, str]:
    texts = {name: getattr(target, name) for name in _PLACE if name != "since"}
    return texts | {"since": target.since.isoformat() if target.since else ""}


def _at(target: SaidTarget) -> Any:
    return and_(*(TARGETS.c[name] == value for name, value in _key(target).items()))


def _said(row: Any) -> SaidTarget:
    since = date.fromisoformat(row["since"]) if row["since"] else None
    return SaidTarget(
        row["site"],
        row["line"],
        row["machine"],
        row["product"],
        since,
        row["kind"],
        row["value"],
        row["set_by"],
        row["at_ns"],
    )
