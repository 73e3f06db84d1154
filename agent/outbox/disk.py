"""The outbox's errors, the translation of SQLite's errors into them, the file lock and the disk reserve."""

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from words import say

_TEMPORARY: Final = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_PERM,
)
_NOTE_BYTES: Final = 600
LOCK_WAIT_S: Final = 2.0
"""How long the lock is waited for [s]: a command holds it for an instant while it asks whether an agent runs."""
_LINK_AT: Final = _NOTE_BYTES
_LINK_BYTES: Final = 3400


class OutboxError(Exception):
    """What is wrong with an outbox. key: `outbox_error.<key>` is its sentence, with these values; as text it is English."""

    def __init__(self, key: str, /, **values: object) -> None:
        super().__init__(key, values)
        self.key, self.values = key, values

    def text(self, lang: str) -> str:
        """The sentence for people: what is wrong, and what to do."""
        return say(f"outbox_error.{self.key}", lang, **self.values)

    def __str__(self) -> str:
        return self.text("en")

    def note(self) -> str:
        """The sentence in English, and in a second line what `noted_trouble` says it from in another language."""
        values = {name: str(value) for name, value in self.values.items()}
        return f"{self}\n{json.dumps([self.key, values], separators=(',', ':'))}"


class CannotStore(OutboxError):
    """The disk refuses; nothing of the transaction was stored. It may be retried later."""


class DiskFull(CannotStore):
    """The disk, or the outbox's own budget, is full of envelopes that the center has not receipted."""


class CorruptOutbox(OutboxError):
    """The file is damaged. `agent.outbox.recovery` opens it again: it sets the file aside and keeps what is sound."""


class OutboxInUse(OutboxError):
    """Another agent owns this file."""


class UnknownFormat(OutboxError):
    """The file was written by another version of this program."""


def lock(path: Path) -> IO[bytes]:
    """Takes the file's lock, held until the handle is closed. Raises `OutboxInUse` or `CannotStore`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.fdopen(os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError as error:
        raise CannotStore("no_lock", path=path, error=error) from error
    until_s = time.monotonic() + LOCK_WAIT_S
    try:
        while not _locked(handle) and time.monotonic() < until_s:
            time.sleep(0.02)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise OutboxInUse("in_use", path=path) from error
    note_trouble(handle, "")
    note_link(handle, "")
    return handle


def _locked(handle: IO[bytes]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def note_trouble(handle: IO[bytes], why: str) -> None:
    """Writes into the lock file why nothing can be stored, for `noted_trouble`; "" if it can. The bytes are allocated when
    the lock is taken, so that they can be written on a full disk.
    """
    _note(handle, why, 0, _NOTE_BYTES)


def note_link(handle: IO[bytes], troubles: str) -> None:
    """Writes the troubles of the link into the lock file, for `noted_link`: JSON, or "" for none."""
    _note(handle, troubles, _LINK_AT, _LINK_BYTES)


def _note(handle: IO[bytes], text: str, at: int, size: int) -> None:
    with suppress(OSError, ValueError):
        os.pwrite(handle.fileno(), text.encode()[:size].ljust(size), at)


def noted_trouble(path: Path, lang: str = "en") -> str:
    """Why the agent that has this outbox open cannot store; "" if it can, or if no agent has it open. In English where it was
    noted without its key, or too long to be noted whole.
    """
    text, _, rest = _noted(path, 0, _NOTE_BYTES).partition("\n")
    try:
        key, values = json.loads(rest)
        return OutboxError(key, **values).text(lang)
    except (ValueError, TypeError, KeyError):
        return text


def noted_link(path: Path) -> str:
    """The link's troubles as the agent that has this outbox open wrote them; "" without any, or if no agent has it open."""
    return _noted(path, _LINK_AT, _LINK_BYTES)


def _noted(path: Path, at: int, size: int) -> str:
    try:
        with Path(f"{path}.lock").open("rb") as handle:
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return ""
            handle.seek(at)
            return handle.read(size).decode(errors="ignore").strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class Reserve:
    """Disk space kept in reserve: on a full disk even a deletion needs room to be written."""

    path: Path
    size_bytes: int

    def fill(self) -> bool:
        """Allocates the space unless it is allocated; False if the disk has none."""
        if self.path.exists():
            return True
        try:
            with self.path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self.size_bytes)
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Gives the space back to the disk."""
        self.path.unlink(missing_ok=True)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Translates SQLite's errors about this file into the outbox's own."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise CorruptOutbox("damaged", path=path, error=error) from error
        if code == sqlite3.SQLITE_FULL:
            raise DiskFull("disk_full", path=path, error=error) from error
        if code in _TEMPORARY:
            raise CannotStore("cannot_use", path=path, error=error) from error
        raise CannotStore("does_not_fit", path=path, error=error) from error
