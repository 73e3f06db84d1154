"""Access to an outbox file whose agent may be running: commands write requests there and read the outcomes.

Each write is one short transaction, which SQLite isolates from the agent's. Only the tables of
`agent.outbox.declarations` are ever written here.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.outbox.declarations import SCHEMA
from agent.outbox.disk import CannotStore, translated
from agent.outbox.file import check_format
from agent.outbox.tables import update_tables


@contextmanager
def outbox_transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, in a transaction that is committed at the end of the block. Raises `CannotStore`, `CorruptOutbox` or `UnknownFormat`."""
    if not path.is_file():
        raise CannotStore(f"there is no outbox {path}; the agent writes it at its first start")
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


def is_agent_running(path: Path) -> bool:
    """Whether an agent has the file locked. The lock that tells is shared, so that two commands do not take each other for
    an agent; an agent that starts at this instant waits for it.
    """
    try:
        with Path(f"{path}.lock").open("a+") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise CannotStore(f"cannot open {path}.lock: {error}; check the folder and its permissions") from error
    return False
