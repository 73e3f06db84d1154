"""Capability statements that owners of factories had made: for whom, until when, what they say, and who opened them.

The secret of a link is not kept, only its digest. A statement is never changed: it is revoked, and another is made.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    select,
)

from center.database.sql import prepare, reading, writing

_META: Final = MetaData()
STATEMENTS: Final = Table(
    "statements",
    _META,
    Column("id", String(16), primary_key=True),
    Column("site", String(64), nullable=False, index=True),
    Column("secret", String(64), nullable=False, unique=True),  # SHA-256 of the link's secret
    Column("recipient", String(120), nullable=False),
    Column("purpose", String(300), nullable=False),
    Column("ends_ns", BigInteger, nullable=False),
    Column("made_ns", BigInteger, nullable=False),
    Column("made_by", String(80), nullable=False),
    Column("revoked_ns", BigInteger, nullable=False),  # 0: it is not
    Column("revoked_by", String(80), nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("content", LargeBinary, nullable=False),
)
FILES: Final = Table(
    "statement_files",
    _META,
    Column("statement", String(16), primary_key=True),
    Column("lang", String(8), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
)
OPENINGS: Final = Table(
    "statement_openings",
    _META,
    Column("id", Integer, primary_key=True),
    Column("statement", String(16), nullable=False, index=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("what", String(16), nullable=False),
    Column("address", String(80), nullable=False),
)
MOST_OPENINGS: Final = 5000
"""Of one statement: who has the link may not fill the database."""


@dataclass(frozen=True)
class Statement:
    """A statement without what it says. ends_ns: from then on the link is dead [ns UTC]; revoked_ns: 0 where it is not; digest: SHA-256 of
    its content.
    """

    id: str
    site: str
    recipient: str
    purpose: str
    ends_ns: int
    made_ns: int
    made_by: str
    revoked_ns: int
    revoked_by: str
    digest: str

    def state(self, now_ns: int) -> str:
        """valid, revoked or expired."""
        return "revoked" if self.revoked_ns else "expired" if now_ns >= self.ends_ns else "valid"


@dataclass(frozen=True)
class Opening:
    """Somebody opened a statement. what: page, pdf, or check (its state alone)."""

    statement: str
    at_ns: int
    what: str
    address: str


class ChangedStatement(Exception):
    """What the database holds is not what was made; the text says of which statement."""


RecordStatement = Callable[[Connection, Statement], None]
"""Enters a statement, or that it was revoked, into the audit trail in its own transaction."""


def _first(connection: Connection) -> None:
    _META.create_all(connection)


_STEPS: Final = (_first,)
_HEAD: Final = tuple(STATEMENTS.c[name] for name in Statement.__dataclass_fields__)


def prepare_statements(engine: Engine) -> None:
    """Creates or migrates the tables in an open database. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "statements", _STEPS, _META.sorted_tables)


def new_number() -> str:
    """A statement's number."""
    return secrets.token_hex(8)


def new_secret() -> str:
    """The secret of a link."""
    return secrets.token_urlsafe(32)


def _of_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def add_statement(
    engine: Engine, item: Statement, secret: str, content: bytes, files: Mapping[str, bytes], record: RecordStatement
) -> None:
    """Keeps a statement. files: by language. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        connection.execute(STATEMENTS.insert().values(**vars(item), secret=_of_secret(secret), content=content))
        for lang, file in files.items():
            digest = hashlib.sha256(file).hexdigest()
            connection.execute(FILES.insert().values(statement=item.id, lang=lang, digest=digest, content=file))
        record(connection, item)


def revoke(engine: Engine, number: str, by: str, at_ns: int, record: RecordStatement) -> bool:
    """Revokes a statement; whether it was not revoked already. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        row = connection.execute(select(*_HEAD).where(STATEMENTS.c.id == number).with_for_update()).first()
        if row is None or row.revoked_ns:
            return False
        item = replace(Statement(*row), revoked_ns=at_ns, revoked_by=by)
        connection.execute(STATEMENTS.update().where(STATEMENTS.c.id == number).values(revoked_ns=at_ns, revoked_by=by))
        record(connection, item)
    return True


def statements_of(engine: Engine, site: str) -> list[Statement]:
    """Those of a site, the newest first. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        rows = connection.execute(select(*_HEAD).where(STATEMENTS.c.site == site).order_by(STATEMENTS.c.made_ns.desc()))
        return [Statement(*row) for row in rows]


def statement_by(engine: Engine, *, number: str = "", secret: str = "", digest: str = "") -> Statement | None:
    """The statement with this number, secret or digest; None if there is none. Raises `StoreUnavailable`."""
    if number:
        wanted = STATEMENTS.c.id == number
    else:
        wanted = STATEMENTS.c.secret == _of_secret(secret) if secret else STATEMENTS.c.digest == digest
    with reading(engine) as connection:
        row = connection.execute(select(*_HEAD).where(wanted)).first()
    return None if row is None else Statement(*row)


def content_of_statement(engine: Engine, item: Statement) -> bytes:
    """What it says, as canonical JSON. Raises `ChangedStatement` and `StoreUnavailable`."""
    with reading(engine) as connection:
        content: Any = connection.scalar(select(STATEMENTS.c.content).where(STATEMENTS.c.id == item.id))
    if content is None or hashlib.sha256(content).hexdigest() != item.digest:
        raise ChangedStatement(item.id)
    return bytes(content)


def file_of_statement(engine: Engine, item: Statement, lang: str) -> bytes:
    """Its PDF in a language. Raises `ChangedStatement` and `StoreUnavailable`."""
    wanted = select(FILES.c.digest, FILES.c.content).where(FILES.c.statement == item.id, FILES.c.lang == lang)
    with reading(engine) as connection:
        row = connection.execute(wanted).first()
    if row is None or hashlib.sha256(row.content).hexdigest() != row.digest:
        raise ChangedStatement(f"{item.id}, PDF {lang}")
    return bytes(row.content)


def opened(engine: Engine, item: Opening) -> None:
    """Notes that somebody opened it, up to `MOST_OPENINGS` times. Raises `StoreUnavailable`."""
    count = select(func.count()).select_from(OPENINGS).where(OPENINGS.c.statement == item.statement)
    with writing(engine) as connection:
        if (connection.scalar(count) or 0) < MOST_OPENINGS:
            connection.execute(OPENINGS.insert().values(**vars(item)))


def openings_of(engine: Engine, number: str) -> list[Opening]:
    """Who opened it, the last first. Raises `StoreUnavailable`."""
    columns = [OPENINGS.c[name] for name in Opening.__dataclass_fields__]
    with reading(engine) as connection:
        rows = connection.execute(select(*columns).where(OPENINGS.c.statement == number).order_by(OPENINGS.c.id.desc()))
        return [Opening(*row) for row in rows]
