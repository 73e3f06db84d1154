"""Access to an outbox file whose agent may be running: commands write requests there and read what came of them.

Each write is one short transaction, which SQLite isolates from the agent's; what only reads keeps nobody waiting. Only the
tables of `agent.outbox.declarations` are ever written here.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from agent.outbox.declarations import SCHEMA
from agent.outbox.disk import CannotStore, translated
from agent.outbox.file import check_format
from agent.outbox.tables import update_tables


@contextmanager
def outbox_transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, in a transaction that is committed at the end of the block. Raises `CannotStore`, `CorruptOutbox` or `UnknownFormat`."""
    if not path.is_file():
        raise CannotStore("missing", path=path)
    with translated(path):
        db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        try:
            check_format(db, path)
            db.execute("pragma synchronous=full")
            update_tables(db, path, SCHEMA)
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


@contextmanager
def outbox_snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as it is at the beginning of the block, to read only. Raises as `outbox_transaction` does."""
    if not path.is_file():
        raise CannotStore("missing", path=path)
    with translated(path):
        db = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=5.0)
        try:
            db.execute("begin")  # one snapshot for all reads
            if not db.execute("select 1 from sqlite_master").fetchone():
                raise CannotStore("missing", path=path)  # an agent is just creating it
            check_format(db, path)
            yield db
        finally:
            db.close()


def is_agent_running(path: Path) -> bool:
    """Whether an agent has the file locked. The lock that tells is shared, so that two commands do not take each other for
    an agent; an agent that starts at this instant waits for it. Raises `CannotStore` if it cannot be told.
    """
    try:
        with Path(f"{path}.lock").open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise CannotStore("no_lock", path=path, error=error) from error
    return False
