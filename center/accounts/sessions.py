"""Browser sessions: a random key in a signed cookie, its digest in the database, so that each can be ended."""

import hashlib
import secrets
from typing import Final

from sqlalchemy import Engine, select

from center.accounts.audit import Actor, record
from center.accounts.people import User, user_of
from center.accounts.schema import SESSIONS, USERS
from center.database.sql import reading, writing

LASTS_S: Final = 14 * 86_400


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
        connection.execute(USERS.update().where(USERS.c.id == user.id).values(seen_ns=now_ns))
        record(connection, now_ns, actor, "login", user.name)
    return key


def user_of_session(engine: Engine, now_ns: int, key: str) -> User | None:
    """The account of a session; None if it has expired or the account is disabled."""
    statement = (
        select(USERS)
        .join(SESSIONS, SESSIONS.c.user_id == USERS.c.id)
        .where(SESSIONS.c.digest == digest(key), SESSIONS.c.expires_ns > now_ns, USERS.c.disabled.is_(False))
    )
    with reading(engine) as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else user_of(row)


def close_session(engine: Engine, now_ns: int, actor: Actor, key: str) -> None:
    """Ends one session."""
    with writing(engine) as connection:
        if connection.execute(SESSIONS.delete().where(SESSIONS.c.digest == digest(key))).rowcount:
            record(connection, now_ns, actor, "logout", actor.name)
