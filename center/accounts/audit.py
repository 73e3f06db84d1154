"""Audit trail: who changed what, when and from where. Written in the change's own transaction, never modified.

Entries are a chain: each has the digest of itself and of the digest before, so that whoever changes or removes one has to
change all that follow. Who can write the whole database can do that too: then the last digest is another than the one that
a backup's manifest holds.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select, text

from center.accounts.schema import AUDIT, AUDIT_CHAIN, NO_ENTRY, link
from center.database.sql import reading, writing
from center.model.alerts.alert import AlertRecord
from center.model.targets import SaidTarget

MOST_ROWS: Final = 1000
_LOCK: Final = 0x6E686175  # "nhau": held while an entry is linked, since each needs the digest of the one before


@dataclass(frozen=True)
class Actor:
    """Who makes a change. name: of an account, or of the user of a local command; address: "" for local commands."""

    name: str
    address: str = ""


@dataclass(frozen=True)
class AuditEntry:
    """One change. what: event such as user.added; about: the account or token concerned; detail: further values."""

    id: int
    at_ns: int
    who: str
    address: str
    what: str
    about: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class ChainCheck:
    """What a check of the chain found. broken: id of the first entry that is not as it was written, or is missing; None if
    all are; head: the last digest; has_head: whether the digest that was asked for is among them.
    """

    entries: int
    head: str
    broken: int | None = None
    has_head: bool = True


def record(connection: Connection, now_ns: int, actor: Actor, what: str, about: str, **detail: Any) -> None:
    """Adds an entry to the transaction. Other processes that add one wait until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite's transactions lock the file
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    row = {"at_ns": now_ns, "who": actor.name[:80], "address": actor.address[:80], "what": what, "about": about[:200]}
    added = connection.execute(
        AUDIT.insert().values(**row, detail=json.dumps(detail, ensure_ascii=False)).returning(*AUDIT.c)
    ).one()
    before = connection.scalar(select(AUDIT_CHAIN.c.digest).order_by(AUDIT_CHAIN.c.id.desc()).limit(1))
    connection.execute(AUDIT_CHAIN.insert().values(id=added.id, digest=link(before or NO_ENTRY, added)))


def head(engine: Engine) -> str:
    """The digest of the last entry, which covers all before; of an empty trail the one that the first will be linked to. Raises
    `StoreUnavailable`.
    """
    with reading(engine) as connection:
        return connection.scalar(select(AUDIT_CHAIN.c.digest).order_by(AUDIT_CHAIN.c.id.desc()).limit(1)) or NO_ENTRY


def verify(engine: Engine, head: str = "") -> ChainCheck:
    """Checks every entry. head: a digest that must be in the chain, as a backup's manifest names it; "" for none. Raises
    `StoreUnavailable`.
    """
    with reading(engine) as connection:
        lost = select(func.min(AUDIT_CHAIN.c.id)).where(AUDIT_CHAIN.c.id.not_in(select(AUDIT.c.id)))
        removed = connection.scalar(lost)
        digest, count, has_head = NO_ENTRY, 0, head in ("", NO_ENTRY)
        for row in _all_entries(connection):
            digest = link(digest, row)
            if row.digest != digest or (removed is not None and removed < row.id):
                broken = row.id if removed is None else min(row.id, removed)
                return ChainCheck(count, digest, broken, has_head)
            count, has_head = count + 1, has_head or digest == head
    return ChainCheck(count, digest, removed, has_head)


def _all_entries(connection: Connection) -> Iterator[Any]:
    """Entries with their digests, the oldest first, some at a time."""
    linked = select(*AUDIT.c, AUDIT_CHAIN.c.digest).join(AUDIT_CHAIN, AUDIT_CHAIN.c.id == AUDIT.c.id, isouter=True)
    last = 0
    while rows := connection.execute(linked.where(AUDIT.c.id > last).order_by(AUDIT.c.id).limit(MOST_ROWS)).all():
        yield from rows
        last = rows[-1].id


def record_deletion(engine: Engine, now_ns: int, actor: Actor, site: str, machine: str) -> None:
    """Adds the entry that a machine's rows are deleted, in a transaction of its own. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        record(connection, now_ns, actor, "machine.deleted", f"{site}/{machine}")


def record_decision(engine: Engine, now_ns: int, actor: Actor, act: str, about: str, stream: str = "") -> None:
    """Adds the entry that somebody decided about a second box, in a transaction of its own. act: accept or discard; about:
    site/gateway; stream: "" for all. Raises `StoreUnavailable`.
    """
    with writing(engine) as connection:
        record(connection, now_ns, actor, f"boxes.{act}", about, stream=stream)


def record_target(connection: Connection, who: str, address: str, what: str, target: SaidTarget) -> None:
    """Adds the entry that a target was set or withdrawn to the change's transaction."""
    place = "/".join(part for part in (target.site, target.line, target.machine) if part)
    since = target.since.isoformat() if target.since else ""
    detail = {"kind": target.kind, "value": target.value, "product": target.product, "since": since}
    record(connection, target.at_ns, Actor(who, address), what, place, **detail)


def record_taken(connection: Connection, who: str, address: str, alert: AlertRecord) -> None:
    """Adds the entry that somebody took an alert on to the change's transaction."""
    about = "/".join(part for part in (alert.key.site, alert.key.machine or alert.key.gateway) if part)
    record(
        connection,
        alert.acknowledged_ns,
        Actor(who, address),
        "alert.taken",
        about,
        alert=f"{alert.key.kind} {alert.id}",
    )


def entries(engine: Engine, before: int | None = None, limit: int = 100) -> tuple[list[AuditEntry], int]:
    """The newest first, of those older than the entry with id `before`; and the number of all entries."""
    statement = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(min(limit, MOST_ROWS))
    if before is not None:
        statement = statement.where(AUDIT.c.id < before)
    with reading(engine) as connection:
        mappings = connection.execute(statement).mappings()
        rows = [AuditEntry(**{**row, "detail": json.loads(row["detail"])}) for row in mappings]
        return rows, connection.scalar(select(func.count()).select_from(AUDIT)) or 0
