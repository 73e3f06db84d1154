"""The key that signs cookies and the passes of commands. It is in no backup that the center makes, and can be renewed.

With SQLite it is a file beside the database, readable by its owner alone; with PostgreSQL a row, since processes on
several machines share it: deploy/README.md says how pg_dump leaves it out.
"""

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, select
from starlette.concurrency import run_in_threadpool

from center.accounts.audit import Actor, record
from center.accounts.schema import SECRETS, SESSION_KEY, SESSIONS
from center.contract.store import StoreUnavailable
from center.database.sql import reading, writing
from cli.files import write_whole

_REREAD_S: Final = 2.0


def key_file(engine: Engine) -> Path | None:
    """The file of the key; None where the database has it."""
    database = engine.url.database
    return Path(database).with_suffix(".key") if engine.dialect.name == "sqlite" and database else None


def signing_key(engine: Engine) -> str:
    """The key; makes one if there is none, as after a restored backup. Raises `StoreUnavailable`."""
    file = key_file(engine)
    return _of_database(engine) if file is None else _of_file(file)


def renew(engine: Engine, now_ns: int, actor: Actor) -> None:
    """Makes another key: sessions, passes of commands and known browsers end with the old one. Raises `StoreUnavailable`."""
    file, key = key_file(engine), secrets.token_urlsafe(32)
    with writing(engine) as connection:
        connection.execute(SESSIONS.delete())
        if file is None:
            connection.execute(SECRETS.delete().where(SECRETS.c.name == SESSION_KEY))
            _put(connection, key)
        record(connection, now_ns, actor, "key.renewed", "")
        if file is not None:
            try:
                write_whole(file, key, 0o600)
            except OSError as error:
                raise StoreUnavailable(f"{file}: {error.strerror or error}") from error


class SigningKey:
    """The key of a running center: a renewed one counts within seconds, in every process. last: as it was read last."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.last, self._read_s = signing_key(engine), time.monotonic()

    async def current(self) -> str:
        """The key, read again every few seconds; while the database is away, the one that was read last."""
        if time.monotonic() - self._read_s > _REREAD_S:
            self._read_s = time.monotonic()  # others need not wait for the same
            with suppress(StoreUnavailable):
                self.last = await run_in_threadpool(signing_key, self._engine)
        return self.last


def _of_file(file: Path) -> str:
    try:
        with suppress(FileNotFoundError):
            return file.read_text(encoding="ascii")
        made = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        write_whole(made, secrets.token_urlsafe(32), 0o600)
        with suppress(FileExistsError):  # another process was first
            os.link(made, file)
        made.unlink()
        return file.read_text(encoding="ascii")
    except OSError as error:
        raise StoreUnavailable(f"{file}: {error.strerror or error}") from error


def _of_database(engine: Engine) -> str:
    found = select(SECRETS.c.value).where(SECRETS.c.name == SESSION_KEY)
    with reading(engine) as connection:
        key = connection.scalar(found)
    if key is None:
        with writing(engine) as connection:
            connection.exec_driver_sql("LOCK TABLE secrets IN EXCLUSIVE MODE")
            key = connection.scalar(found)
            if key is None:
                key = secrets.token_urlsafe(32)
                _put(connection, key)
    return str(key)


def _put(connection: Connection, key: str) -> None:
    connection.execute(SECRETS.insert().values(name=SESSION_KEY, value=key))
