"""SQL tables of the accounts, and their migrations. Times are ns UTC."""

import hashlib
import json
import secrets
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    select,
)

from center.database.sql import opening, prepare

SESSION_KEY: Final = "sessions"
"""Name of the secret that signs cookies, where the database keeps it (`center.accounts.keys`)."""
_META: Final = MetaData()
_ID: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite assigns row numbers only to INTEGER

# sites: ids separated by blanks, or * for all; always read and written as one value
USERS: Final = Table(
    "users",
    _META,
    Column("id", _ID, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("full_name", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("sites", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("seen_ns", BigInteger, nullable=False),
)
# secrets of cookies and tokens are stored as SHA-256: they are random, so no slow hash is needed
SESSIONS: Final = Table(
    "sessions",
    _META,
    Column("digest", String(64), primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("expires_ns", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("address", String(80), nullable=False),
    Column("agent", String(200), nullable=False),
)
TOKENS: Final = Table(
    "tokens",
    _META,
    Column("id", _ID, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("sites", Text, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=True),
    Column("used_ns", BigInteger, nullable=False),
)
AUDIT: Final = Table(
    "audit",
    _META,
    Column("id", _ID, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("who", String(80), nullable=False),
    Column("address", String(80), nullable=False),
    Column("what", String(40), nullable=False),
    Column("about", String(200), nullable=False),
    Column("detail", Text, nullable=False),
)
AUDIT_CHAIN: Final = Table(
    "audit_chain",
    _META,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
)
SECRETS: Final = Table(
    "secrets", _META, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False)
)
# a gateway's credentials at the broker; revoked ones stay, so that their lines are removed from the broker's files
GATEWAYS: Final = Table(
    "gateways",
    _META,
    Column("site", String(64), primary_key=True),
    Column("gateway", String(64), primary_key=True),
    Column("serial", Integer, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("revoked", Boolean, nullable=False),
)

# attempts to log in by source (an address or a browser) and account; "" for all accounts of a source
GUESSES: Final = Table(
    "login_guesses",
    _META,
    Column("source", String(80), primary_key=True),
    Column("account", String(80), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_ns", BigInteger, nullable=False, index=True),
)
SECOND_FACTORS: Final = Table(
    "second_factors",
    _META,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("secret", String(64), nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
)
RECOVERY_CODES: Final = Table(
    "recovery_codes",
    _META,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), primary_key=True),
)
# what the person is told of
FAILED_LOGINS: Final = Table(
    "failed_logins",
    _META,
    Column("account", String(64), primary_key=True),
    Column("source", String(80), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_ns", BigInteger, nullable=False),
)


NO_ENTRY: Final = hashlib.sha256(b"nhip audit").hexdigest()
"""What the first entry of the trail is linked to, and the head of an empty one."""


def link(before: str, entry: Any) -> str:
    """The digest of an entry of the trail (a row) and of the digest before."""
    values = [entry.id, entry.at_ns, entry.who, entry.address, entry.what, entry.about, entry.detail]
    return hashlib.sha256(f"{before}\n{json.dumps(values)}".encode()).hexdigest()


def _first(connection: Connection) -> None:
    _META.create_all(connection, [USERS, SESSIONS, TOKENS, AUDIT, SECRETS])
    connection.execute(SECRETS.insert().values(name=SESSION_KEY, value=secrets.token_urlsafe(32)))


def _gateways(connection: Connection) -> None:
    _META.create_all(connection, [GATEWAYS])


def _guesses_and_another_key(connection: Connection) -> None:
    """Older backups hold the key of until now, so it counts no more; everybody logs in once again."""
    _META.create_all(connection, [GUESSES, FAILED_LOGINS])
    SESSIONS.drop(connection)
    SESSIONS.create(connection)
    connection.execute(SECRETS.delete().where(SECRETS.c.name == SESSION_KEY))


def _audit_chain(connection: Connection) -> None:
    _META.create_all(connection, [AUDIT_CHAIN])
    digest = NO_ENTRY
    for row in connection.execute(select(AUDIT).order_by(AUDIT.c.id)).all():
        digest = link(digest, row)
        connection.execute(AUDIT_CHAIN.insert().values(id=row.id, digest=digest))


def _second_factors(connection: Connection) -> None:
    _META.create_all(connection, [SECOND_FACTORS, RECOVERY_CODES])


_STEPS: Final = (_first, _gateways, _guesses_and_another_key, _audit_chain, _second_factors)


def open_accounts(url: str) -> Engine:
    """Opens the database and creates or migrates the accounts' tables. Raises `Misconfigured` or `StoreUnavailable`."""
    with opening(url) as engine:
        prepare_accounts(engine)
    return engine


def prepare_accounts(engine: Engine) -> None:
    """Creates or migrates the accounts' tables in an open database. Raises as `open_accounts` does."""
    prepare(engine, "accounts", _STEPS, _META.sorted_tables)
