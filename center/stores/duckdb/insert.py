"""Columns into tables: inserts that skip rows already there, and upserts. Within the caller's transaction."""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from duckdb import DuckDBPyConnection

from center.stores.fact_tables.columns import Columns

NO_END: Final = -(2**63)
"""Stands for NULL in an int64 column `end_ns`."""


@contextmanager
def registered(cursor: DuckDBPyConnection, name: str, columns: Columns) -> Iterator[None]:
    """The columns as a table for the length of the block. After an error they stay registered: the transaction is
    aborted then, and DuckDB would raise a second error that hides the first.
    """
    cursor.register(name, columns)
    yield
    cursor.unregister(name)


def insert_new(
    cursor: DuckDBPyConnection, table: str, columns: Columns, identity: Sequence[str], *, pruned: str = ""
) -> None:
    """Inserts rows whose identity is neither in the table nor earlier among the rows.

    pruned: an identity column whose range bounds the search, so that zone maps exclude the rest of the table.
    """
    if not len(next(iter(columns.values()))):
        return
    same = " AND ".join(f"t.{name} = c.{name}" for name in identity)
    values = ", ".join(f"NULLIF({name}, {NO_END})" if name == "end_ns" else name for name in columns)
    bounds = ""
    if pruned:
        bounds = f" AND t.{pruned} BETWEEN {int(columns[pruned].min())} AND {int(columns[pruned].max())}"
    with registered(cursor, "incoming", columns):
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM "
            f"(SELECT DISTINCT ON ({', '.join(identity)}) * FROM incoming) c "
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same}{bounds})"
        )


def upsert(cursor: DuckDBPyConnection, table: str, columns: Columns, identity: Sequence[str]) -> None:
    """Updates rows that are there and inserts the others; identities among the rows are unique."""
    if not len(next(iter(columns.values()))):
        return
    same = " AND ".join(f"{table}.{name} = c.{name}" for name in identity)
    changes = ", ".join(f"{name} = c.{name}" for name in columns if name not in identity)
    with registered(cursor, "changed", columns):
        cursor.execute(f"UPDATE {table} SET {changes} FROM changed c WHERE {same}")
    insert_new(cursor, table, columns, identity)
