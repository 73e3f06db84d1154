"""The outbox as a command sees it, beside an agent that may be running: things are asked for, and seen done.

Every write is one short transaction; SQLite keeps it apart from the agent's. Nothing but `agent.outbox.declarations`'s tables is
ever written here.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.outbox.declarations import SCHEMA
from agent.outbox.disk import CannotStore, UnknownFormat, translated
from agent.outbox.file import FORMAT


@contextmanager
def asking(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, for a transaction that ends with the block. Raises `CannotStore`, `CorruptOutbox` or `UnknownFormat`."""
    if not path.is_file():
        raise CannotStore(f"there is no outbox {path}; the agent writes it at its first start")
    with translated(path):
        db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        try:
            found = dict(db.execute("select key, value from meta"))
            if found.get("format") != str(FORMAT):
                raise UnknownFormat(f"{path} has format {found.get('format')!r}; this program reads {FORMAT}")
            db.execute("pragma synchronous=full")
            db.executescript(SCHEMA)
            db.execute("begin immediate")
            try:
                yield db
                db.execute("commit")
            except BaseException:
                db.execute("rollback")
                raise
        finally:
            db.close()


def agent_runs(path: Path) -> bool:
    """Whether an agent owns the file now."""
    try:
        with Path(f"{path}.lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise CannotStore(f"cannot look at {path}.lock: {error}; check the folder and its permissions") from error
    return False
