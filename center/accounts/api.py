"""HTTP for administrators: accounts, tokens and the audit trail, read only."""

from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Query
from pydantic import Field
from sqlalchemy import Engine
from typing_extensions import TypedDict

from center.accounts import audit, people, tokens
from center.api.access import Administering
from center.api.problems import Problem
from center.model.times import iso

_V1: Final = "/api/v1"
_UTC: Final = ZoneInfo("UTC")
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {status: {"model": Problem} for status in (401, 403, 503)}
Sites = Annotated[list[str] | None, Field(description="Ids of sites; null for all.")]


class UserAnswer(TypedDict):
    """A person's account."""

    name: str
    full_name: str
    role: people.Role
    sites: Sites
    disabled: bool
    created: str
    seen: Annotated[str | None, Field(description="The last login.")]


class TokenAnswer(TypedDict):
    """A token of a program, without its secret."""

    name: str
    sites: Sites
    scope: tokens.Scope
    created: str
    expires: str | None
    used: Annotated[str | None, Field(description="The last use, to the minute.")]


class ChangeRow(TypedDict):
    """One change: who made it, when, from where, what, and to whom or what."""

    id: int
    at: str
    who: str
    address: str
    what: str
    about: str
    detail: dict[str, Any]


class TrailAnswer(TypedDict):
    """Changes, the newest first; count is of all, and head the digest of the last entry, which covers all of them."""

    rows: list[ChangeRow]
    count: int
    head: str


def add_accounts(app: FastAPI, engine: Engine) -> None:
    """The routes."""

    @app.get(f"{_V1}/users", responses=_PROBLEMS)
    def users(_viewer: Administering) -> list[UserAnswer]:
        """People and what they may see."""
        return [user_row(row) for row in people.users(engine)]

    @app.get(f"{_V1}/tokens", responses=_PROBLEMS)
    def list_tokens(_viewer: Administering) -> list[TokenAnswer]:
        """Tokens of programs."""
        return [token_row(row) for row in tokens.tokens(engine)]

    @app.get(f"{_V1}/audit", response_model=TrailAnswer, responses=_PROBLEMS)
    def trail(
        _viewer: Administering,
        before: Annotated[int | None, Query(description="Only entries older than the one of this id.")] = None,
        limit: Annotated[int, Query(ge=1, le=audit.MOST_ROWS, description="At most so many rows.")] = 100,
    ) -> Any:
        """Every change to accounts, tokens and enrolment."""
        rows, count = audit.entries(engine, before, limit)
        return {"rows": [change_row(row) for row in rows], "count": count, "head": audit.head(engine)}


def _sites(sites: frozenset[str] | None) -> list[str] | None:
    return None if sites is None else sorted(sites)


def _moment(t_ns: int | None) -> str | None:
    return iso(t_ns, _UTC) if t_ns else None


def user_row(user: people.User) -> UserAnswer:
    """An account as API and commands show it."""
    return {
        "name": user.name,
        "full_name": user.full_name,
        "role": user.role,
        "disabled": user.disabled,
        "sites": _sites(user.sites),
        "created": iso(user.created_ns, _UTC),
        "seen": _moment(user.seen_ns),
    }


def token_row(token: tokens.Token) -> TokenAnswer:
    """A token as API and commands show it."""
    return {
        "name": token.name,
        "scope": token.scope,
        "sites": _sites(token.sites),
        "created": iso(token.created_ns, _UTC),
        "expires": _moment(token.expires_ns),
        "used": _moment(token.used_ns),
    }


def change_row(entry: audit.AuditEntry) -> dict[str, Any]:
    """A change as API and commands show it."""
    return {**vars(entry), "at": iso(entry.at_ns, _UTC)}
