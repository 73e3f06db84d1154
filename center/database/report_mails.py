"""Which reports were sent to whom: a row for each mail, so that each is sent once whatever happens in between."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Engine, Integer, MetaData, String, Table, Text, and_, select

from center.database.sql import prepare, reading, writing

WAITING, SENT, REFUSED, GIVEN_UP = "waiting", "sent", "refused", "given_up"
_META: Final = MetaData()
_KEY: Final = ("site", "line", "each", "day", "shift", "recipient")
# day: ISO date; shift: "" for a day
MAILS: Final = Table(
    "report_mails",
    _META,
    Column("site", String(64), primary_key=True),
    Column("line", String(64), primary_key=True),
    Column("each", String(8), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("shift", String(64), primary_key=True),
    Column("recipient", String(255), primary_key=True),
    Column("state", String(16), nullable=False, index=True),
    Column("due_ns", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_ns", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
)
# since when reports of this kind are sent to somebody: earlier ones are not sent afterwards
SUBSCRIPTIONS: Final = Table(
    "report_subscriptions",
    _META,
    Column("site", String(64), primary_key=True),
    Column("line", String(64), primary_key=True),
    Column("each", String(8), primary_key=True),
    Column("recipient", String(255), primary_key=True),
    Column("since_ns", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Subscription:
    """Reports of a site or line that somebody gets, for each shift or day."""

    site: str
    line: str
    each: str
    recipient: str


@dataclass(frozen=True)
class ReportMail:
    """A mail. shift: "" for a day; due_ns: when it was to be sent; tries: how often that failed; next_ns: when it is tried
    again; at_ns: of the last change; why: what the server said [ns UTC].
    """

    to: Subscription
    day: date
    shift: str
    state: str = WAITING
    due_ns: int = 0
    tries: int = 0
    next_ns: int = 0
    at_ns: int = 0
    why: str = ""


def _first(connection: Connection) -> None:
    _META.create_all(connection)


def prepare_report_mails(engine: Engine) -> None:
    """Creates or migrates the tables in an open database. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "report_mails", (_first,), (MAILS, SUBSCRIPTIONS))


def since_of(engine: Engine, wanted: Iterable[Subscription], now_ns: int) -> dict[Subscription, int]:
    """Since when each is sent; those that are new begin now. Raises `StoreUnavailable`."""
    out = {}
    with writing(engine) as connection:
        rows = connection.execute(select(SUBSCRIPTIONS)).mappings().all()
        known = {Subscription(row["site"], row["line"], row["each"], row["recipient"]): row["since_ns"] for row in rows}
        for item in dict.fromkeys(wanted):
            if item not in known:
                connection.execute(SUBSCRIPTIONS.insert().values(**vars(item), since_ns=now_ns))
            out[item] = int(known.get(item, now_ns))
    return out


def enqueue(engine: Engine, mails: Sequence[ReportMail]) -> int:
    """Adds those that are not there yet; returns how many were added. Raises `StoreUnavailable`."""
    added = 0
    with writing(engine) as connection:
        for mail in mails:
            if connection.execute(select(MAILS.c.state).where(_at(mail))).first() is None:
                connection.execute(MAILS.insert().values(**_row(mail)))
                added += 1
    return added


def waiting(engine: Engine) -> list[ReportMail]:
    """Mails that are still to be sent, the oldest first. Raises `StoreUnavailable`."""
    statement = select(MAILS).where(MAILS.c.state == WAITING).order_by(MAILS.c.due_ns, MAILS.c.recipient)
    with reading(engine) as connection:
        return [_mail(row) for row in connection.execute(statement).mappings()]


def save(engine: Engine, mail: ReportMail) -> None:
    """Stores what became of a mail. Raises `StoreUnavailable`."""
    with writing(engine) as connection:
        connection.execute(MAILS.update().where(_at(mail)).values(**_row(mail)))


def latest(engine: Engine, site: str, limit: int = 20) -> list[ReportMail]:
    """A site's mails, the newest first. Raises `StoreUnavailable`."""
    statement = select(MAILS).where(MAILS.c.site == site).order_by(MAILS.c.due_ns.desc(), MAILS.c.recipient)
    with reading(engine) as connection:
        return [_mail(row) for row in connection.execute(statement.limit(limit)).mappings()]


def _row(mail: ReportMail) -> dict[str, Any]:
    values = {name: getattr(mail, name) for name in ("shift", "state", "due_ns", "tries", "next_ns", "at_ns", "why")}
    return {**vars(mail.to), "day": mail.day.isoformat(), **values}


def _at(mail: ReportMail) -> Any:
    row = _row(mail)
    return and_(*(MAILS.c[name] == row[name] for name in _KEY))


def _mail(row: Any) -> ReportMail:
    to = Subscription(row["site"], row["line"], row["each"], row["recipient"])
    values = (row[name] for name in ("shift", "state", "due_ns", "tries", "next_ns", "at_ns", "why"))
    return ReportMail(to, date.fromisoformat(row["day"]), *values)
