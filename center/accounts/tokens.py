"""Tokens for programs: shown once, kept as a digest, for some sites and one purpose, until they expire or are revoked."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from sqlalchemy import Engine, Row, select
from sqlalchemy.exc import IntegrityError

from center.accounts.audit import Actor, record
from center.accounts.people import Refused, sites_of, sites_text
from center.accounts.schema import TOKENS
from center.accounts.sessions import digest
from center.database.sql import reading, writing
from center.model.viewer import Right, Viewer

Scope = Literal["read", "write", "watch"]
"""read: ask about sites; write: that, and enter what people know; watch: the center's own health and metrics."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
PREFIX: Final = "nhip_"
"""So that a token that was published by mistake is found by who searches for such things."""
_RIGHTS: Final[dict[str, frozenset[Right]]] = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),
    "watch": frozenset({"watch"}),
}
_USED_EVERY_NS: Final = 60_000_000_000
_LONGEST_NAME: Final = 64


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
    """All tokens by name, those that have expired too."""
    with reading(engine) as connection:
        return [_token_of(row) for row in connection.execute(select(TOKENS).order_by(TOKENS.c.name))]


def add_token(
    engine: Engine, now_ns: int, actor: Actor, name: str, *, sites: Iterable[str] | None, scope: str,
    expires_ns: int | None = None,
) -> str:  # fmt: skip
    """A new token; what is returned is shown to nobody again. Raises `Refused`."""
    name = name.strip()
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise Refused("token_name", name=name[:_LONGEST_NAME])
    if scope not in SCOPES:
        raise Refused("scope", scope=scope[:40], known=", ".join(SCOPES))
    secret, kept = PREFIX + secrets.token_urlsafe(32), sites_text(sites)
    row = {"name": name, "digest": digest(secret), "sites": kept, "scope": scope, "expires_ns": expires_ns}
    try:
        with writing(engine) as connection:
            connection.execute(TOKENS.insert().values(**row, created_ns=now_ns, used_ns=0))
            record(connection, now_ns, actor, "token.added", name, sites=kept, scope=scope, expires_ns=expires_ns)
    except IntegrityError as error:
        raise Refused("exists", name=name) from error
    return secret


def revoke_token(engine: Engine, now_ns: int, actor: Actor, name: str) -> None:
    """Ends a token. Raises `Refused`."""
    with writing(engine) as connection:
        if not connection.execute(TOKENS.delete().where(TOKENS.c.name == name)).rowcount:
            raise Refused("no_token", name=name[:_LONGEST_NAME])
        record(connection, now_ns, actor, "token.revoked", name)


def viewer_of_token(engine: Engine, now_ns: int, secret: str) -> Viewer | None:
    """What the token may see and do, None for one that is unknown or over. Notes its use once a minute."""
    asked = select(TOKENS).where(TOKENS.c.digest == digest(secret))
    with reading(engine) as connection:
        row = connection.execute(asked).one_or_none()
    if row is None or (row.expires_ns is not None and row.expires_ns <= now_ns):
        return None
    if now_ns - row.used_ns >= _USED_EVERY_NS:
        with writing(engine) as connection:
            connection.execute(TOKENS.update().where(TOKENS.c.id == row.id).values(used_ns=now_ns))
    return Viewer(f"token {row.name}", sites_of(row.sites), _RIGHTS[row.scope])
