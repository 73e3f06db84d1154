"""The second factor of people: codes of an app (TOTP, RFC 6238), and ten recovery codes for when it is lost.

A code opens one login: the step of the last accepted one is kept in the database, so a second process refuses it too.
"""

import re
import secrets
from typing import Final

import pyotp
import segno
from sqlalchemy import Engine, func, select

from center.accounts.audit import Actor, record
from center.accounts.people import AccountRefused, User
from center.accounts.schema import RECOVERY_CODES, SECOND_FACTORS, SESSIONS, USERS
from center.accounts.sessions import digest
from center.database.sql import reading, writing

RECOVERY: Final = 10
_STEP_S: Final = 30
_AROUND: Final = (0, -1, 1)
"""Steps besides the present one: a telephone's clock may be half a minute wrong."""
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_LONGEST: Final = 40
_SECRET: Final = re.compile("[A-Z2-7]{32}")


def new_secret(known: str = "") -> str:
    """A random secret, not yet anybody's; or the one that came back with a form, if it is one."""
    return known if _SECRET.fullmatch(known) else pyotp.random_base32()


def picture(secret: str, account: str, center: str) -> str:
    """What the app scans, as SVG. center: its name, which the app shows."""
    address = pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=f"Nhịp {center}".strip())
    return segno.make(address, micro=False).svg_inline(scale=4, border=4, light="white", dark="black")


def since_of(engine: Engine) -> dict[int, int]:
    """Ids of the accounts that have a second factor, and since when [ns]."""
    with reading(engine) as connection:
        return {row.user_id: row.since_ns for row in connection.execute(select(SECOND_FACTORS))}


def is_set(engine: Engine, user_id: int) -> bool:
    """Whether an account has one."""
    with reading(engine) as connection:
        found = select(SECOND_FACTORS.c.user_id).where(SECOND_FACTORS.c.user_id == user_id)
        return connection.execute(found).first() is not None


def recovery_left(engine: Engine, user_id: int) -> int:
    """How many recovery codes are unused."""
    with reading(engine) as connection:
        count = select(func.count()).select_from(RECOVERY_CODES).where(RECOVERY_CODES.c.user_id == user_id)
        return connection.scalar(count) or 0


def enable(engine: Engine, now_ns: int, actor: Actor, user: User, secret: str, code: str) -> list[str] | None:
    """Sets the second factor, if the code shows that the app has the secret; returns the recovery codes, which cannot be read
    again. None for a wrong code.
    """
    step = _step_of(secret, code, now_ns) if _SECRET.fullmatch(secret) else None
    if step is None:
        return None
    codes = ["-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(2)) for _ in range(RECOVERY)]
    with writing(engine) as connection:
        connection.execute(SECOND_FACTORS.delete().where(SECOND_FACTORS.c.user_id == user.id))
        connection.execute(RECOVERY_CODES.delete().where(RECOVERY_CODES.c.user_id == user.id))
        row = {"user_id": user.id, "secret": secret, "last_step": step, "since_ns": now_ns}
        connection.execute(SECOND_FACTORS.insert().values(**row))
        rows = [{"user_id": user.id, "digest": digest(_bare(each))} for each in codes]
        connection.execute(RECOVERY_CODES.insert(), rows)
        record(connection, now_ns, actor, "second_factor.set", user.name)
    return codes


def accepts(engine: Engine, now_ns: int, user: User, code: str, actor: Actor) -> bool:
    """Whether the code is the app's of now, or a recovery code. It is used up by that."""
    with writing(engine) as connection:
        secret = connection.scalar(select(SECOND_FACTORS.c.secret).where(SECOND_FACTORS.c.user_id == user.id))
        step = None if secret is None else _step_of(secret, code, now_ns)
        if step is not None:
            newer = (SECOND_FACTORS.c.user_id == user.id, SECOND_FACTORS.c.last_step < step)
            return bool(connection.execute(SECOND_FACTORS.update().where(*newer).values(last_step=step)).rowcount)
        kept = (RECOVERY_CODES.c.user_id == user.id, RECOVERY_CODES.c.digest == digest(_bare(code)))
        if not connection.execute(RECOVERY_CODES.delete().where(*kept)).rowcount:
            return False
        record(connection, now_ns, actor, "second_factor.recovery_used", user.name)
        return True


def reset(engine: Engine, now_ns: int, actor: Actor, name: str) -> None:
    """Takes the second factor away, as for a lost telephone; sessions of the account end. Raises `AccountRefused`."""
    with writing(engine) as connection:
        user_id = connection.scalar(select(USERS.c.id).where(USERS.c.name == name.strip().lower()))
        if user_id is None:
            raise AccountRefused("nobody", name=name[:64])
        for table in (SECOND_FACTORS, RECOVERY_CODES, SESSIONS):
            connection.execute(table.delete().where(table.c.user_id == user_id))
        record(connection, now_ns, actor, "second_factor.reset", name.strip().lower())


def _step_of(secret: str, code: str, now_ns: int) -> int | None:
    """The step of time whose code this is; None if it is none of those around now."""
    now_step, digits = now_ns // (_STEP_S * 1_000_000_000), _bare(code)
    app = pyotp.TOTP(secret)
    codes = {now_step + n: app.generate_otp(now_step + n).encode() for n in _AROUND}
    return next((step for step, known in codes.items() if secrets.compare_digest(known, digits.encode())), None)


def _bare(code: str) -> str:
    return "".join(code[:_LONGEST].lower().replace("-", "").split())
