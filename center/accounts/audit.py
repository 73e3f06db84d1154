"""The trail of changes: who changed what, when and from where. Written in the change's own transaction, never changed."""

import json
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select

from center.accounts.schema import AUDIT
from center.database.sql import reading

MOST_ROWS: Final = 1000


@dataclass(frozen=True)
class Actor:
    """Who changes something. name: of an account, or of who sits at the center's machine; address: "" there."""

    name: str
    address: str = ""


@dataclass(frozen=True)
class Entry:
    """One change. what: a word such as user.added; about: whom or what; detail: what else is worth knowing."""

    id: int
    at_ns: int
    who: str
    address: str
    what: str
    about: str
    detail: dict[str, Any]


def record(connection: Connection, now_ns: int, actor: Actor, what: str, about: str, **detail: Any) -> None:
    """Adds an entry to the transaction."""
    row = {"at_ns": now_ns, "who": actor.name[:80], "address": actor.address[:80], "what": what, "about": about[:200]}
    connection.execute(AUDIT.insert().values(**row, detail=json.dumps(detail, ensure_ascii=False)))


def entries(engine: Engine, before: int | None = None, limit: int = 100) -> tuple[list[Entry], int]:
    """The newest first, of those older than the entry `before`; and how many there are in all."""
    asked = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(min(limit, MOST_ROWS))
    if before is not None:
        asked = asked.where(AUDIT.c.id < before)
    with reading(engine) as connection:
        rows = [Entry(**{**row._mapping, "detail": json.loads(row.detail)}) for row in connection.execute(asked)]  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping
        return rows, connection.scalar(select(func.count()).select_from(AUDIT)) or 0
