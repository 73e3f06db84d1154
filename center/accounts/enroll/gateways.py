"""Enrolled gateways and their secrets, of which only the broker's hash is stored."""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select

from center.accounts.audit import Actor, record
from center.accounts.enroll.mosquitto import hashed
from center.accounts.schema import GATEWAYS
from center.database.sql import reading, writing
from wire.topics import account


@dataclass(frozen=True)
class Enrolled:
    """One secret of a gateway. revoked: no longer valid; the row stays, so that its lines are removed from the files."""

    site: str
    gateway: str
    serial: int
    hash: str
    created_ns: int
    revoked: bool

    @property
    def username(self) -> str:
        """The account at the broker."""
        return account(self.site, self.gateway, self.serial)


class NotEnrolled(LookupError):
    """There is no such gateway, or nothing of it to revoke."""


def enrolled(engine: Engine) -> list[Enrolled]:
    """All secrets ever created."""
    statement = select(GATEWAYS).order_by(GATEWAYS.c.site, GATEWAYS.c.gateway, GATEWAYS.c.serial)
    with reading(engine) as connection:
        return [
            Enrolled(row.site, row.gateway, row.serial, row.hash, row.created_ns, row.revoked)
            for row in connection.execute(statement)
        ]


def enroll(engine: Engine, now_ns: int, actor: Actor, site: str, gateway: str) -> tuple[str, int]:
    """A new secret and its number; earlier ones stay valid until they are revoked. Raises `ValueError` for bad ids."""
    account(site, gateway)
    secret = secrets.token_urlsafe(24)
    with writing(engine) as connection:
        serial = _last(connection, site, gateway) + 1
        row = {"site": site, "gateway": gateway, "serial": serial, "hash": hashed(secret, secrets.token_bytes(12))}
        connection.execute(GATEWAYS.insert().values(**row, created_ns=now_ns, revoked=False))
        record(connection, now_ns, actor, "gateway.enrolled", f"{site}/{gateway}", serial=serial)
    return secret, serial


def revoke(engine: Engine, now_ns: int, actor: Actor, site: str, gateway: str, *, but_newest: bool = False) -> None:
    """Ends the gateway's secrets, or all but the newest. Raises `NotEnrolled` where there is none to end."""
    with writing(engine) as connection:
        condition = (GATEWAYS.c.site == site) & (GATEWAYS.c.gateway == gateway) & GATEWAYS.c.revoked.is_(False)
        if but_newest:
            condition &= GATEWAYS.c.serial < _last(connection, site, gateway)
        if not connection.execute(GATEWAYS.update().where(condition).values(revoked=True)).rowcount:
            raise NotEnrolled(f"{site}/{gateway}")
        what = "gateway.old_revoked" if but_newest else "gateway.revoked"
        record(connection, now_ns, actor, what, f"{site}/{gateway}")


def _last(connection: Connection, site: str, gateway: str) -> int:
    statement = select(func.max(GATEWAYS.c.serial)).where(GATEWAYS.c.site == site, GATEWAYS.c.gateway == gateway)
    return int(connection.scalar(statement) or 0)
