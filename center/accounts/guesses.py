"""Failed logins, kept in the database so that all processes count together, and that the person can be told of them."""

import re
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, select
from sqlalchemy.dialects import postgresql, sqlite

from center.accounts.attempts import FORGET_S, FREE_OF_A_SOURCE, FREE_OF_AN_ACCOUNT, wait_s
from center.accounts.audit import Actor, record
from center.accounts.schema import FAILED_LOGINS, GUESSES, USERS
from center.database.sql import reading, writing
from center.model.sources import source_of

_S_NS: Final = 1_000_000_000
_TOLD_NS: Final = 30 * 86_400 * _S_NS
"""How long a person can read of failures at their account."""
_EVERYTHING: Final = ""
"""Stands for all accounts of a source."""
_MOST_SOURCES: Final = 100
_NO_ACCOUNT: Final = "?"
_TOLD_AT: Final = re.compile("10*")
"""The trail has an entry for the first failure of an hour, the tenth, the hundredth ..."""


@dataclass(frozen=True)
class Wait:
    """Too many failed logins: the next attempt is allowed in `s` seconds."""

    s: float


@dataclass(frozen=True)
class Asker:
    """Who tries to log in. address: of the peer; browser: id of a browser in which this account was logged in before, else
    "".
    """

    address: str
    browser: str = ""

    def counted(self, account: str) -> list[tuple[str, str, int]]:
        """The counts of an attempt, as (source, account, free failures), in the order in which their rows are locked. A
        browser that is known has one of its own: whatever happens at its address concerns it no more.
        """
        if self.browser:
            return [(f"browser {self.browser}", account, FREE_OF_AN_ACCOUNT)]
        source = source_of(self.address)[:_LONGEST_SOURCE]
        return [(source, _EVERYTHING, FREE_OF_A_SOURCE), (source, account, FREE_OF_AN_ACCOUNT)]


_LONGEST_SOURCE: Final = 80


@dataclass(frozen=True)
class FailedLogins:
    """Wrong passwords or codes for one account from one source. last_ns: the time of the last."""

    source: str
    count: int
    last_ns: int


def begin(engine: Engine, now_ns: int, asker: Asker, account: str) -> Wait | None:
    """Counts an attempt as failed before its password is checked, so that many at once are no way around the limits; or
    says how long to wait. Raises `StoreUnavailable`.
    """
    counted, now_s = asker.counted(account), now_ns / _S_NS
    with writing(engine) as connection:
        connection.execute(GUESSES.delete().where(GUESSES.c.last_ns < now_ns - int(FORGET_S * _S_NS)))
        rows = [_locked(connection, now_ns, source, name) for source, name, _free in counted]
        waits = [
            wait_s(row.failures, free, row.last_ns / _S_NS, now_s)
            for row, (_, _, free) in zip(rows, counted, strict=True)
        ]
        if max(waits) > 0:
            return Wait(max(waits))
        for source, name, _free in counted:
            connection.execute(
                GUESSES.update().where(_is(source, name)).values(failures=GUESSES.c.failures + 1, last_ns=now_ns)
            )
    return None


def succeeded(engine: Engine, asker: Asker, account: str) -> None:
    """Clears the failures at the account, and takes this attempt off the source's count. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        for source, name, _free in asker.counted(account):
            if name == _EVERYTHING:
                fewer = GUESSES.update().where(_is(source, name), GUESSES.c.failures > 0)
                connection.execute(fewer.values(failures=GUESSES.c.failures - 1))
            else:
                connection.execute(GUESSES.delete().where(_is(source, name)))


def failed(engine: Engine, now_ns: int, asker: Asker, account: str) -> None:
    """Notes a wrong password or code: for the person, and in the audit trail by account and hour. Names that are no account's
    are counted together, else they could fill both. Raises `StoreUnavailable`.
    """
    source, hour = source_of(asker.address)[:_LONGEST_SOURCE], f"hour {now_ns // (3600 * _S_NS)}"
    with writing(engine) as connection:
        exists = connection.execute(select(USERS.c.id).where(USERS.c.name == account)).first() is not None
        name = account if exists else _NO_ACCOUNT
        if exists:
            connection.execute(FAILED_LOGINS.delete().where(FAILED_LOGINS.c.last_ns < now_ns - _TOLD_NS))
            row = {"account": account, "source": source, "failures": 1, "last_ns": now_ns}
            _upsert(connection, FAILED_LOGINS, row, {"failures": FAILED_LOGINS.c.failures + 1, "last_ns": now_ns})
        _locked(connection, now_ns, hour, name)
        more = GUESSES.update().where(_is(hour, name)).values(failures=GUESSES.c.failures + 1, last_ns=now_ns)
        connection.execute(more)
        count = connection.scalar(select(GUESSES.c.failures).where(_is(hour, name)))
        if _TOLD_AT.fullmatch(str(count)):
            record(connection, now_ns, Actor(name, asker.address), "login.failed", name, failures=count)


def failures_of(engine: Engine, account: str) -> list[FailedLogins]:
    """Failed logins of the last 30 days by source, the newest first, at most a hundred. Raises `StoreUnavailable`."""
    statement = select(FAILED_LOGINS.c.source, FAILED_LOGINS.c.failures, FAILED_LOGINS.c.last_ns).where(
        FAILED_LOGINS.c.account == account
    )
    with reading(engine) as connection:
        rows = connection.execute(statement.order_by(FAILED_LOGINS.c.last_ns.desc()).limit(_MOST_SOURCES))
        return [FailedLogins(*row) for row in rows]


def _locked(connection: Connection, now_ns: int, source: str, account: str) -> Any:
    row = {"source": source, "account": account, "failures": 0, "last_ns": now_ns}
    _upsert(
        connection, GUESSES, row, {"failures": GUESSES.c.failures}
    )  # PostgreSQL locks the row, SQLite has locked all
    return connection.execute(select(GUESSES).where(_is(source, account))).one()


def _is(source: str, account: str) -> ColumnElement[bool]:
    return and_(GUESSES.c.source == source, GUESSES.c.account == account)


def _upsert(connection: Connection, table: Any, row: dict[str, Any], more: dict[str, Any]) -> None:
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table).values(**row)
    connection.execute(insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=more))
