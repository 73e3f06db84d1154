"""Accounts of people. Every change is written together with its audit entry, in one transaction."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.exc import IntegrityError

from center.accounts import passwords
from center.accounts.audit import Actor, record
from center.accounts.schema import SESSIONS, USERS
from center.database.sql import reading, writing
from center.model.viewer import Right, Viewer
from wire.topics import ID

Role = Literal["admin", "engineer", "owner", "factory"]
"""admin: administrators of the center, all sites; engineer: support engineers, assigned sites; owner: who decides for a factory;
factory: staff of a site.
"""
ROLES: Final[tuple[Role, ...]] = get_args(Role)
ALL_SITES: Final = "*"
_RIGHTS: Final[dict[str, frozenset[Right]]] = {
    "admin": frozenset({"read", "write", "aim", "watch", "admin"}),
    "engineer": frozenset({"read", "write", "aim"}),
    "owner": frozenset({"read", "write", "own"}),
    "factory": frozenset({"read", "write"}),
}
_LONGEST_NAME: Final = 80
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")


class AccountRefused(ValueError):
    """A change that is not allowed. code: selects the message `accounts.refused.<code>`; values: fill its placeholders."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(f"{code} {values}")
        self.code, self.values = code, values


@dataclass(frozen=True)
class User:
    """A person's account. sites: None for all; seen_ns: 0 before the first login."""

    id: int
    name: str
    full_name: str
    role: Role
    sites: frozenset[str] | None
    disabled: bool
    created_ns: int
    seen_ns: int


def name_of(text: str) -> str:
    """A login name as it is kept, of what was typed; not longer than the tables hold."""
    return text.strip().lower()[:_LONGEST_NAME]


def viewer_of(user: User) -> Viewer:
    """What the account may see and do."""
    return Viewer(user.name, user.sites, _RIGHTS[user.role], user.id)


def sites_text(sites: Iterable[str] | None) -> str:
    """A set of sites as stored text. Raises `AccountRefused` for an invalid site id."""
    if sites is None:
        return ALL_SITES
    ids = sorted(set(sites))
    for site in ids:
        if not ID.fullmatch(site):
            raise AccountRefused("site", site=site[:64])
    return " ".join(ids)


def sites_of(text: str) -> frozenset[str] | None:
    """The set of sites in a stored text; None means all."""
    return None if text == ALL_SITES else frozenset(text.split())


def user_of(row: Row[Any]) -> User:
    """A row of the table, without the password hash."""
    return User(
        row.id, row.name, row.full_name, row.role, sites_of(row.sites), row.disabled, row.created_ns, row.seen_ns
    )


def users(engine: Engine) -> list[User]:
    """All accounts by name."""
    with reading(engine) as connection:
        return [user_of(row) for row in connection.execute(select(USERS).order_by(USERS.c.name))]


def has_administrator(engine: Engine) -> bool:
    """Whether there is an enabled administrator."""
    return any(user.role == "admin" and not user.disabled for user in users(engine))


def add_user(
    engine: Engine, now_ns: int, actor: Actor, name: str, *, role: str, sites: Iterable[str] = (), password: str,
    full_name: str = "",
) -> None:  # fmt: skip
    """Creates an account. Raises `AccountRefused` or `BadPassword`."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise AccountRefused("name", name=name[:64])
    stored_sites = _sites_for(role, sites)
    passwords.check_new(password, name)
    password_hash = passwords.hashed(password)  # before the transaction: others need not wait for it
    row = {"name": name, "full_name": full_name.strip()[:200], "role": role, "sites": stored_sites, "disabled": False}
    try:
        with writing(engine) as connection:
            connection.execute(USERS.insert().values(**row, password=password_hash, created_ns=now_ns, seen_ns=0))
            record(connection, now_ns, actor, "user.added", name, role=role, sites=stored_sites)
    except IntegrityError as error:
        raise AccountRefused("exists", name=name) from error


def _sites_for(role: str, sites: Iterable[str]) -> str:
    if role not in ROLES:
        raise AccountRefused("role", role=role[:40], known=", ".join(ROLES))
    return sites_text(None if role == "admin" else sites)


def change_user(engine: Engine, now_ns: int, actor: Actor, name: str, *, role: str, sites: Iterable[str]) -> None:
    """Changes role and sites, effective from the next request. Raises `AccountRefused`."""
    stored_sites = _sites_for(role, sites)
    with writing(engine) as connection:
        user = _user_named(connection, name)
        if role != "admin":
            _require_another_administrator(connection, user)
        connection.execute(USERS.update().where(USERS.c.id == user.id).values(role=role, sites=stored_sites))
        record(connection, now_ns, actor, "user.changed", user.name, role=role, sites=stored_sites)


def disable_user(engine: Engine, now_ns: int, actor: Actor, name: str, *, disabled: bool = True) -> None:
    """Disables an account and ends its sessions, or enables it again. Raises `AccountRefused`."""
    with writing(engine) as connection:
        user = _user_named(connection, name)
        if disabled:
            _require_another_administrator(connection, user)
            connection.execute(SESSIONS.delete().where(SESSIONS.c.user_id == user.id))
        connection.execute(USERS.update().where(USERS.c.id == user.id).values(disabled=disabled))
        record(connection, now_ns, actor, "user.disabled" if disabled else "user.enabled", user.name)


def set_password(engine: Engine, now_ns: int, actor: Actor, name: str, password: str) -> None:
    """Sets a new password; all sessions of the account end. Raises `AccountRefused` or `BadPassword`."""
    passwords.check_new(password, name)
    password_hash = passwords.hashed(password)
    with writing(engine) as connection:
        user = _user_named(connection, name)
        connection.execute(USERS.update().where(USERS.c.id == user.id).values(password=password_hash))
        connection.execute(SESSIONS.delete().where(SESSIONS.c.user_id == user.id))
        record(connection, now_ns, actor, "user.password", user.name)


def check_password(engine: Engine, name: str, password: str) -> User | None:
    """The account, if the password is correct and it is enabled. Takes equally long for a name that does not exist."""
    name, row = name.strip().lower(), None
    if _NAME.fullmatch(name):  # an invalid name may hold characters that the database refuses
        with reading(engine) as connection:
            row = connection.execute(select(USERS).where(USERS.c.name == name)).one_or_none()
    correct = passwords.matches(row.password if row else "", password)
    return user_of(row) if row is not None and correct and not row.disabled else None


def user_named(engine: Engine, name: str) -> User:
    """An account. Raises `AccountRefused`."""
    with reading(engine) as connection:
        return _user_named(connection, name)


def user_by_id(engine: Engine, number: int) -> User | None:
    """An account that is not disabled; None if there is none."""
    with reading(engine) as connection:
        row = connection.execute(select(USERS).where(USERS.c.id == number, USERS.c.disabled.is_(False))).one_or_none()
    return None if row is None else user_of(row)


def _user_named(connection: Connection, name: str) -> User:
    row = connection.execute(select(USERS).where(USERS.c.name == name.strip().lower())).one_or_none()
    if row is None:
        raise AccountRefused("nobody", name=name[:64])
    return user_of(row)


def _require_another_administrator(connection: Connection, user: User) -> None:
    """Without an administrator, only local commands could administer the center."""
    other_administrators = select(USERS.c.id).where(
        USERS.c.role == "admin", USERS.c.disabled.is_(False), USERS.c.id != user.id
    )
    if user.role == "admin" and connection.execute(other_administrators).first() is None:
        raise AccountRefused("last", name=user.name)
