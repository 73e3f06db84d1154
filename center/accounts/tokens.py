"""Bearer tokens.

API tokens for programs are shown once, stored as a digest, and limited to sites and a scope, until they expire or are
revoked. Local commands authenticate by read access to the key that signs their passes, of which nothing is stored; passes
are taken from the center's own machine only.
"""

import getpass
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Engine, Row, select
from sqlalchemy.exc import IntegrityError

from center.accounts.audit import Actor, record
from center.accounts.keys import signing_key
from center.accounts.people import AccountRefused, sites_of, sites_text
from center.accounts.schema import TOKENS
from center.accounts.sessions import digest
from center.database.sql import reading, writing
from center.model.viewer import EVERYTHING, Right, Viewer

Scope = Literal["read", "write", "watch"]
"""read: query sites; write: that, and enter declarations; watch: the center's own health and metrics."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
PREFIX: Final = "nhip_"
"""Lets secret scanners recognize a token that was published by mistake."""
_RIGHTS: Final[dict[str, frozenset[Right]]] = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),
    "watch": frozenset({"watch"}),
}
_USED_EVERY_NS: Final = 60_000_000_000
_LONGEST_NAME: Final = 64
COMMAND_PREFIX: Final = "command:"
_COMMAND_LASTS_S: Final = 600
_COMMAND_SALT: Final = "nhip command"


@dataclass(frozen=True)
class Token:
    """A token without its secret. sites: None for all; expires_ns: None for never; used_ns: 0 before the first use."""

    id: int
    name: str
    sites: frozenset[str] | None
    scope: Scope
    created_ns: int
    expires_ns: int | None
    used_ns: int


def _token_of(row: Row[Any]) -> Token:
    return Token(row.id, row.name, sites_of(row.sites), row.scope, row.created_ns, row.expires_ns, row.used_ns)


def tokens(engine: Engine) -> list[Token]:
    """All tokens by name, including expired ones."""
    with reading(engine) as connection:
        return [_token_of(row) for row in connection.execute(select(TOKENS).order_by(TOKENS.c.name))]


def add_token(
    engine: Engine, now_ns: int, actor: Actor, name: str, *, sites: Iterable[str] | None, scope: str,
    expires_ns: int | None = None,
) -> str:  # fmt: skip
    """Creates a token and returns its secret, which cannot be read again. Raises `AccountRefused`."""
    name = name.strip()
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise AccountRefused("token_name", name=name[:_LONGEST_NAME])
    if scope not in SCOPES:
        raise AccountRefused("scope", scope=scope[:40], known=", ".join(SCOPES))
    secret, stored_sites = PREFIX + secrets.token_urlsafe(32), sites_text(sites)
    row = {"name": name, "digest": digest(secret), "sites": stored_sites, "scope": scope, "expires_ns": expires_ns}
    try:
        with writing(engine) as connection:
            connection.execute(TOKENS.insert().values(**row, created_ns=now_ns, used_ns=0))
            record(
                connection, now_ns, actor, "token.added", name, sites=stored_sites, scope=scope, expires_ns=expires_ns
            )
    except IntegrityError as error:
        raise AccountRefused("exists", name=name) from error
    return secret


def revoke_token(engine: Engine, now_ns: int, actor: Actor, name: str) -> None:
    """Revokes a token. Raises `AccountRefused`."""
    with writing(engine) as connection:
        if not connection.execute(TOKENS.delete().where(TOKENS.c.name == name)).rowcount:
            raise AccountRefused("no_token", name=name[:_LONGEST_NAME])
        record(connection, now_ns, actor, "token.revoked", name)


def viewer_of_token(engine: Engine, now_ns: int, secret: str) -> Viewer | None:
    """The viewer of a token, None for one that is unknown or expired. Records its use at most once a minute."""
    statement = select(TOKENS).where(TOKENS.c.digest == digest(secret))
    with reading(engine) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None or (row.expires_ns is not None and row.expires_ns <= now_ns):
        return None
    if now_ns - row.used_ns >= _USED_EVERY_NS:
        with writing(engine) as connection:
            connection.execute(TOKENS.update().where(TOKENS.c.id == row.id).values(used_ns=now_ns))
    return Viewer(f"token {row.name}", sites_of(row.sites), _RIGHTS[row.scope])


def pass_for(engine: Engine) -> str:
    """The bearer token of a local command: all rights for ten minutes."""
    return COMMAND_PREFIX + str(URLSafeTimedSerializer(signing_key(engine), _COMMAND_SALT).dumps(at_the_machine().name))


def viewer_of_pass(engine: Engine, secret: str) -> Viewer | None:
    """The viewer of a token with a valid signature that has not expired, else None."""
    try:
        name = URLSafeTimedSerializer(signing_key(engine), _COMMAND_SALT).loads(
            secret.removeprefix(COMMAND_PREFIX), max_age=_COMMAND_LASTS_S
        )
    except BadData:
        return None
    return Viewer(str(name), None, EVERYTHING.rights)


def at_the_machine() -> Actor:
    """The user who runs a local command, for the audit trail."""
    try:
        return Actor(f"{getpass.getuser()} (command)")
    except (KeyError, OSError):  # an account without a name, as in a container
        return Actor("command")
