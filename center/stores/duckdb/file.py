"""A DuckDB file owned by one process: connections, transactions, recovery from fatal errors, copies while it is in use."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import duckdb
from duckdb import DuckDBPyConnection

from center.contract.store import StoreRefused, StoreUnavailable

_OPTIONS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 2,
    "preserve_insertion_order": "false",
    "autoinstall_known_extensions": "false",  # nothing is ever fetched from a network
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
}
_INTERRUPT_S, _LOOK_S = 10.0, 0.01
"""How long an interrupted read may take to end, and how often that is looked at [s]."""
_UNAVAILABLE: Final = (
    duckdb.OperationalError,
    duckdb.InternalError,
    duckdb.FatalException,
    duckdb.InterruptException,
    duckdb.PermissionException,
    duckdb.CatalogException,  # tables that are not as they should be: no fault of what is stored
    duckdb.BinderException,
)


class DuckFile:
    """Any thread may read; write transactions are serialised."""

    def __init__(self, path: Path, memory_limit: str, opened: Callable[[DuckDBPyConnection], None]) -> None:
        """opened: called with the connection whenever the file has been opened. Raises what it and DuckDB raise."""
        self.path = path
        self._options = {**_OPTIONS, "memory_limit": memory_limit}
        self._opened = opened
        self._writer = threading.Lock()
        self._mutex = threading.Lock()
        self._readers: dict[int, DuckDBPyConnection] = {}
        self._closed = False
        self._root: DuckDBPyConnection | None = self._open()

    @contextmanager
    def reading(self) -> Iterator[DuckDBPyConnection]:
        """A cursor that sees the file as of one instant. Raises `StoreUnavailable`."""
        cursor = self._cursor()
        self._readers[id(cursor)] = cursor
        try:
            cursor.begin()
            yield cursor
        except _UNAVAILABLE as error:
            raise StoreUnavailable(f"{self.path}: cannot be read: {first_line(error)}") from error
        finally:
            del self._readers[id(cursor)]
            cursor.close()

    @contextmanager
    def writing(self) -> Iterator[DuckDBPyConnection]:
        """A transaction that the caller commits; it is rolled back after an error. Raises `StoreUnavailable` or
        `StoreRefused`.
        """
        with self._writer:
            cursor = self._cursor()
            try:
                cursor.begin()
                yield cursor
            except _UNAVAILABLE as error:
                _rollback(cursor)
                if "invalidated" in str(error) or isinstance(error, duckdb.FatalException | duckdb.InternalError):
                    cursor.close()
                    self._release()
                raise StoreUnavailable(f"{self.path}: cannot be written: {first_line(error)}") from error
            except StoreRefused:
                _rollback(cursor)
                raise
            except (duckdb.Error, OverflowError, UnicodeError) as error:
                _rollback(cursor)
                raise StoreRefused(first_line(error)) from error
            finally:
                cursor.close()

    def copy_to(self, target: Path) -> None:
        """By the contract of `center.runtime.backup.Copyable`."""
        with self._writer:
            self._cursor().close()  # raises `StoreUnavailable` if the file cannot be used
            _copy_file(self.path, target)

    def close(self) -> None:
        """Merges the write-ahead log into the file and frees it."""
        with self._writer:
            self._closed = True
            self._release()

    def _open(self) -> DuckDBPyConnection:
        root = duckdb.connect(str(self.path), config=self._options)
        try:
            _close_to_others(self.path)
            self._opened(root)
        except BaseException:
            root.close()
            raise
        return root

    def _cursor(self) -> DuckDBPyConnection:
        with self._mutex:
            if self._closed:
                raise StoreUnavailable(f"{self.path}: closed")
            if self._root is None:
                try:
                    self._root = self._open()
                except (duckdb.Error, OSError) as error:
                    raise StoreUnavailable(f"{self.path}: cannot be opened again: {first_line(error)}") from error
            return self._root.cursor()

    def _release(self) -> None:
        """Closes the file. After a fatal error DuckDB refuses everything until it is opened again."""
        with self._mutex:
            root, self._root = self._root, None
            until_s = time.monotonic() + _INTERRUPT_S
            while root is not None:
                try:
                    root.close()
                    root = None
                except duckdb.ResourceInUseException:  # somebody reads: whoever asked gets `StoreUnavailable`
                    if time.monotonic() > until_s:
                        raise
                    for cursor in list(self._readers.values()):
                        cursor.interrupt()
                    time.sleep(_LOOK_S)


def _close_to_others(path: Path) -> None:
    """Files of older versions could be read by everybody on the machine."""
    for file in (path, log_of(path)):
        with suppress(OSError):  # not there, or another's who lets us write
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def _rollback(cursor: DuckDBPyConnection) -> None:
    try:
        cursor.rollback()
    except duckdb.Error:
        return  # the transaction had ended already


def first_line(error: BaseException) -> str:
    """An error's text as it fits into a message."""
    return str(error).strip().split("\n", 1)[0][:300]


def _copy_file(path: Path, target: Path) -> None:
    """Copies file and write-ahead log while nobody commits, and merges the log into the copy, which proves that the
    copy can be opened. Raises `OSError` or `duckdb.Error`; nothing is left behind then.

    Another process copies: a POSIX lock is lost as soon as its holder closes any handle of the file, even one opened
    only for reading, and then a second center could open the store.
    """
    log = log_of(target)
    try:
        for source, copy in ((path, target), (log_of(path), log)):
            if source.exists():
                _run_cp(source, copy)
        copied = duckdb.connect(str(target))
        copied.execute("CHECKPOINT")
        copied.close()
    except BaseException:
        target.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        raise


def log_of(path: Path) -> Path:
    """The write-ahead log that belongs to a file."""
    return path.with_name(f"{path.name}.wal")


def _run_cp(source: Path, target: Path) -> None:
    tool = shutil.which("cp")
    if tool is None:
        raise OSError(None, "the command cp is missing; stop the center and copy its files")
    done = subprocess.run([tool, "--reflink=auto", "--", source, target], capture_output=True, text=True, check=False)  # noqa: S603  # our own paths
    if done.returncode:
        raise OSError(None, done.stderr.strip() or f"cp ended with status {done.returncode}")
