"""Monthly reports that were issued: their canonical sums, their files, and who signed them.

Rows are added and never changed: what is wrong is issued again as the next revision. Each row's digest is in the audit trail, so
that whoever changes one in the database is found out.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    func,
    select,
)

from center.database.sql import lock_out_writers, prepare, reading, writing

_META: Final = MetaData()
ISSUES: Final = Table(
    "month_issues",
    _META,
    Column("site", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("made_ns", BigInteger, nullable=False),
    Column("made_by", String(80), nullable=False),
    Column("why", String(500), nullable=False),
    Column("content", LargeBinary, nullable=False),
)
FILES: Final = Table(
    "month_files",
    _META,
    Column("site", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("lang", String(8), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
)
SIGNATURES: Final = Table(
    "month_signatures",
    _META,
    Column("site", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("meaning", String(16), primary_key=True),
    Column("who", String(80), nullable=False),
    Column("position", String(80), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)


@dataclass(frozen=True)
class IssuedMonth:
    """A month as it was issued. digest: SHA-256 of its content; made_ns: when [ns UTC]; why: what a revision was made for."""

    site: str
    month: str
    revision: int
    digest: str
    made_ns: int
    made_by: str
    why: str


@dataclass(frozen=True)
class MonthSignature:
    """A signature in the console. meaning: prepared, reviewed or approved; position: of who signs; digest: of what was signed."""

    meaning: str
    who: str
    position: str
    at_ns: int
    digest: str


class IssuedMeanwhile(ValueError):
    """Somebody has issued this revision of the month already."""


class SignedAlready(ValueError):
    """Somebody has signed this issue in this meaning already."""


class ChangedIssue(Exception):
    """What the database holds is not what was issued: somebody changed it. The text says of which issue."""


Record = Callable[[Connection, IssuedMonth], None]
"""Enters an issue into the audit trail in its own transaction."""
RecordSignature = Callable[[Connection, IssuedMonth, MonthSignature], None]
"""Enters a signature, likewise."""


def _first(connection: Connection) -> None:
    _META.create_all(connection)


_STEPS: Final = (_first,)
_HEAD: Final = tuple(ISSUES.c[name] for name in IssuedMonth.__dataclass_fields__)


def prepare_month_issues(engine: Engine) -> None:
    """Creates or migrates the tables in an open database. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "month_issues", _STEPS, _META.sorted_tables)


def add_issue(engine: Engine, item: IssuedMonth, content: bytes, files: Mapping[str, bytes], record: Record) -> None:
    """Issues a month. files: by language. Raises `IssuedMeanwhile` unless it is the next revision, and `StoreUnavailable`."""
    of_month = and_(ISSUES.c.site == item.site, ISSUES.c.month == item.month)
    with writing(engine) as connection:
        lock_out_writers(connection, ISSUES)
        last = connection.scalar(select(func.max(ISSUES.c.revision)).where(of_month)) or 0
        if item.revision != last + 1:
            raise IssuedMeanwhile(f"revision {last} of {item.month} is the last; {item.revision} is not the next")
        connection.execute(ISSUES.insert().values(**vars(item), content=content))
        for lang, file in files.items():
            digest = hashlib.sha256(file).hexdigest()
            connection.execute(FILES.insert().values(**_key(item), lang=lang, digest=digest, content=file))
        record(connection, item)


def issues_of(engine: Engine, site: str) -> list[IssuedMonth]:
    """Every issue of a site, the newest month first, of each the newest revision. Raises `StoreUnavailable`."""
    order = (ISSUES.c.month.desc(), ISSUES.c.revision.desc())
    with reading(engine) as connection:
        rows = connection.execute(select(*_HEAD).where(ISSUES.c.site == site).order_by(*order))
        return [IssuedMonth(*row) for row in rows]


def content_of_issue(engine: Engine, item: IssuedMonth) -> bytes:
    """The canonical sums of an issue. Raises `ChangedIssue` and `StoreUnavailable`."""
    with reading(engine) as connection:
        content = connection.scalar(select(ISSUES.c.content).where(_at(ISSUES, item)))
    if content is None or hashlib.sha256(content).hexdigest() != item.digest:
        raise ChangedIssue(f"{item.site} {item.month}, revision {item.revision}")
    return bytes(content)


def file_of_issue(engine: Engine, item: IssuedMonth, lang: str) -> bytes | None:
    """The PDF of an issue in a language, None if there is none. Raises `ChangedIssue` and `StoreUnavailable`."""
    wanted = select(FILES.c.digest, FILES.c.content).where(_at(FILES, item), FILES.c.lang == lang)
    with reading(engine) as connection:
        row = connection.execute(wanted).first()
    if row is not None and hashlib.sha256(row.content).hexdigest() != row.digest:
        raise ChangedIssue(f"{item.site} {item.month}, revision {item.revision}, PDF {lang}")
    return None if row is None else bytes(row.content)


def add_signature(engine: Engine, item: IssuedMonth, signed: MonthSignature, record: RecordSignature) -> None:
    """Signs an issue. Raises `SignedAlready` and `StoreUnavailable`."""
    with writing(engine) as connection:
        lock_out_writers(connection, SIGNATURES)
        there = select(SIGNATURES.c.who).where(_at(SIGNATURES, item), SIGNATURES.c.meaning == signed.meaning)
        if connection.scalar(there) is not None:
            raise SignedAlready(signed.meaning)
        connection.execute(SIGNATURES.insert().values(**_key(item), **vars(signed)))
        record(connection, item, signed)


def signatures_of(engine: Engine, item: IssuedMonth) -> list[MonthSignature]:
    """Who signed an issue, the first first. Raises `StoreUnavailable`."""
    columns = [SIGNATURES.c[name] for name in MonthSignature.__dataclass_fields__]
    wanted = select(*columns).where(_at(SIGNATURES, item)).order_by(SIGNATURES.c.at_ns, SIGNATURES.c.meaning)
    with reading(engine) as connection:
        return [MonthSignature(*row) for row in connection.execute(wanted)]


def _at(table: Table, item: IssuedMonth) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in _key(item).items()))


def _key(item: IssuedMonth) -> dict[str, Any]:
    return {"site": item.site, "month": item.month, "revision": item.revision}


def newest(issues: list[IssuedMonth]) -> dict[str, IssuedMonth]:
    """By month the last revision."""
    out: dict[str, IssuedMonth] = {}
    for item in issues:
        if item.month not in out or item.revision > out[item.month].revision:
            out[item.month] = item
    return out


def plain_issue(item: IssuedMonth) -> dict[str, Any]:
    """An issue as the audit trail keeps it."""
    return {"month": item.month, "revision": item.revision, "digest": item.digest, "why": item.why}
