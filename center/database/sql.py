"""The center's SQL database: accounts and other metadata, and with PostgreSQL the delivery ledger too.

SQLAlchemy Core, not its ORM: rows become frozen dataclasses and change by statements, so no object has to be kept in sync
with a row. The same statements run on SQLite (beside the embedded store) and on PostgreSQL.

Tables are created by numbered steps (`prepare`): each part of the center owns a tuple of functions that is only ever
appended to, and the database records how many of them it has run. Two processes that start together wait for each
other. A migration tool would bring a second configuration and a folder of scripts for a handful of tables that the
center creates itself at its start.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from center.contract.store import StoreUnavailable
from center.model.complaints import is_passing, misconfigured, not_ready

Step = Callable[[Connection], None]
"""One change of the schema, inside a transaction of its own."""

PRIVATE: Final = 0o077
"""The umask of processes that write what factories recorded: their files are their owner's alone."""
_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}
_BUSY_MS: Final = 10_000
_CONNECT_S: Final = 10
_PASSING_SQLITE: Final = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
)
_SERVER_REFUSES: Final = re.compile(r"password|authentication|pg_hba|does not exist|not permitted|certificate")
"""What a PostgreSQL says that answers and will not let us in; in other languages than English such a server is waited for."""
_LOCK: Final = 0x6E686970  # "nhip": the advisory lock held while the schema changes
_VERSIONS: Final = Table(
    "nhip_schema", MetaData(), Column("part", String(64), primary_key=True), Column("version", Integer, nullable=False)
)


def open_database(url: str) -> Engine:
    """The engine for `sqlite:///FILE` or `postgresql://USER@HOST/NAME`, shared by all threads; connects once.

    Every commit is durable when it returns. Raises `Misconfigured` where the database cannot be opened: `NotReady` if it
    does not answer, or the disk refuses.
    """
    parsed = make_url(url)
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.get_backend_name(), parsed.drivername))
    local = parsed.get_backend_name() == "sqlite"
    options: dict[str, Any] = {} if local else {"pool_pre_ping": True, "connect_args": {"connect_timeout": _CONNECT_S}}
    shown = parsed.render_as_string(hide_password=True)
    engine: Engine | None = None
    try:
        engine = create_engine(parsed, **options)
        if local:
            create_closed(parsed.database)
            event.listen(engine, "connect", _durable)
            event.listen(engine, "begin", _begin_at_once)
        with engine.connect():
            return engine
    except (SQLAlchemyError, ImportError, OSError) as error:
        if engine is not None:
            engine.dispose()
        complaint_of = not_ready if _passes(error) else misconfigured
        raise complaint_of("database", shown, "database_cannot_open", detail=_reason(error)) from error


@contextmanager
def opening(url: str) -> Iterator[Engine]:
    """`open_database`, closed again if the block fails: SQLite's connections of one process share what they found, so that one
    from a time at which the disk was read-only would make the next try fail too.
    """
    engine = open_database(url)
    try:
        yield engine
    except BaseException:
        engine.dispose()
        raise


def _passes(error: Exception) -> bool:
    """Whether the same database may open at the next try."""
    if isinstance(error, OSError):
        return is_passing(error)
    origin = getattr(error, "orig", None)
    if isinstance(origin, sqlite3.Error):
        return getattr(origin, "sqlite_errorcode", 0) & 0xFF in _PASSING_SQLITE
    return isinstance(error, OperationalError | InterfaceError) and not _SERVER_REFUSES.search(str(origin))


def create_closed(file: str | Path | None) -> None:
    """Creates the file if missing, readable by its owner alone: it holds password hashes."""
    if file:
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))


def _durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy issues BEGIN; the driver must not
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_at_once(connection: Connection) -> None:
    """Takes the write lock at BEGIN, so that nobody writes between a transaction's reads and its writes."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for queries, each seeing what is committed. Raises `StoreUnavailable`."""
    with _unavailable(), engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction: all or nothing, durable when the block is left. Raises `StoreUnavailable`."""
    with _unavailable(), engine.begin() as connection:
        yield connection


def lock_out_writers(connection: Connection, table: Table) -> None:
    """Makes other transactions that change this table wait for the end of this one, as all writers do on SQLite anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise StoreUnavailable(f"the database does not answer: {_reason(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable(f"the database does not answer: {_reason(error)}") from error
        raise


def _reason(error: Exception) -> str:
    origin = getattr(error, "orig", None) or error
    return (str(origin).strip() or type(origin).__name__).splitlines()[0][:300]


def shown_url(engine: Engine) -> str:
    """The database's address without its password."""
    return engine.url.render_as_string(hide_password=True)


def prepare(engine: Engine, part: str, steps: Sequence[Step], tables: Iterable[Table] = ()) -> None:
    """Brings the tables of one part of the center up to date. tables: what they are then; the database is compared with them,
    since the number of steps alone does not prove that nobody changed a table.

    Raises `Misconfigured` for a database written by a newer program or with other tables, and `StoreUnavailable`; then
    nothing has changed.
    """
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _VERSIONS.create(connection, checkfirst=True)
        recorded = connection.scalar(select(_VERSIONS.c.version).where(_VERSIONS.c.part == part))
        if recorded is None:
            connection.execute(_VERSIONS.insert().values(part=part, version=0))
        version = recorded or 0
        if version > len(steps):
            raise misconfigured(
                "database", shown_url(engine), "database_version", part=part, found=version, known=len(steps)
            )
        for step in steps[version:]:
            step(connection)
        connection.execute(_VERSIONS.update().where(_VERSIONS.c.part == part).values(version=len(steps)))
        if missing := _missing_columns(connection, tables):
            raise misconfigured("database", shown_url(engine), "database_tables", missing=", ".join(missing))


def _missing_columns(connection: Connection, tables: Iterable[Table]) -> list[str]:
    """Columns, as `table.column`, that the program uses and the database has not."""
    found, names = inspect(connection), set(inspect(connection).get_table_names())
    out = []
    for table in tables:
        existing = {column["name"] for column in found.get_columns(table.name)} if table.name in names else set()
        out += [f"{table.name}.{column.name}" for column in table.columns if column.name not in existing]
    return out
