"""Browser sessions: a random key in a signed cookie, its digest in the database, so that each can be ended."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, and_, or_, select

from center.accounts.audit import Actor, record
from center.accounts.people import User, user_of
from center.accounts.schema import SECOND_FACTORS, SESSIONS, USERS
from center.database.sql import reading, writing

LASTS_S: Final = 14 * 86_400
MOST_OF_AN_ACCOUNT: Final = 100
"""Beyond them the oldest ends: a program that logs in with each request would leave one each time, for two weeks."""
TWO_FACTORS: Final = ("admin", "engineer")
"""Roles of which a center may demand a second factor: they see more than one factory."""


@dataclass(frozen=True)
class SessionRow:
    """A session as its owner sees it. id: names it, and opens nothing; agent: what the browser said of itself."""

    id: str
    created_ns: int
    address: str
    agent: str
    is_this: bool


def digest(secret: str) -> str:
    """The digest that is stored of a random secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def open_session(engine: Engine, now_ns: int, actor: Actor, user: User, agent: str = "") -> str:
    """Opens a session and returns its key; expired sessions are deleted. agent: what the browser says of itself."""
    key = secrets.token_urlsafe(32)
    with writing(engine) as connection:
        connection.execute(SESSIONS.delete().where(SESSIONS.c.expires_ns <= now_ns))
        row = {"digest": digest(key), "user_id": user.id, "expires_ns": now_ns + LASTS_S * 1_000_000_000,
               "created_ns": now_ns, "address": actor.address[:80], "agent": agent[:200]}  # fmt: skip
        connection.execute(SESSIONS.insert().values(**row))
        newest = select(SESSIONS.c.digest).where(SESSIONS.c.user_id == user.id)
        newest = newest.order_by(SESSIONS.c.created_ns.desc()).limit(MOST_OF_AN_ACCOUNT)
        connection.execute(SESSIONS.delete().where(SESSIONS.c.user_id == user.id, SESSIONS.c.digest.not_in(newest)))
        connection.execute(USERS.update().where(USERS.c.id == user.id).values(seen_ns=now_ns))
        record(connection, now_ns, actor, "login", user.name)
    return key


def user_of_session(engine: Engine, now_ns: int, key: str, *, two_factors: bool = False) -> User | None:
    """The account of a session; None if it has expired or the account is disabled. two_factors: also if it lacks the second
    factor that its role demands.
    """
    statement = (
        select(USERS)
        .join(SESSIONS, SESSIONS.c.user_id == USERS.c.id)
        .where(SESSIONS.c.digest == digest(key), SESSIONS.c.expires_ns > now_ns, USERS.c.disabled.is_(False))
    )
    if two_factors:
        has_one = USERS.c.id.in_(select(SECOND_FACTORS.c.user_id))
        statement = statement.where(or_(USERS.c.role.not_in(TWO_FACTORS), has_one))
    with reading(engine) as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else user_of(row)


def close_session(engine: Engine, now_ns: int, actor: Actor, key: str) -> None:
    """Ends one session."""
    with writing(engine) as connection:
        if connection.execute(SESSIONS.delete().where(SESSIONS.c.digest == digest(key))).rowcount:
            record(connection, now_ns, actor, "logout", actor.name)


def sessions_of(engine: Engine, now_ns: int, user_id: int, key: str) -> list[SessionRow]:
    """Where an account is logged in, the newest first. key: of the session that asks."""
    open_now = and_(SESSIONS.c.user_id == user_id, SESSIONS.c.expires_ns > now_ns)
    with reading(engine) as connection:
        rows = connection.execute(select(SESSIONS).where(open_now).order_by(SESSIONS.c.created_ns.desc()))
        return [
            SessionRow(row.digest, row.created_ns, row.address, row.agent, row.digest == digest(key)) for row in rows
        ]


def end_sessions(engine: Engine, now_ns: int, actor: Actor, user: User, *, only: str = "", but: str = "") -> int:
    """Ends sessions of an account, and returns how many. only: id of the one that ends; but: key of the one that stays; ""
    for all.
    """
    ending = SESSIONS.delete().where(SESSIONS.c.user_id == user.id)
    if only:
        ending = ending.where(SESSIONS.c.digest == only)
    if but:
        ending = ending.where(SESSIONS.c.digest != digest(but))
    with writing(engine) as connection:
        count = connection.execute(ending).rowcount
        if count:
            record(connection, now_ns, actor, "sessions.ended", user.name, sessions=count)
    return count
