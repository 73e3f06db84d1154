"""Facts and losses of batches into the embedded store, and the list of minutes that hold too much time."""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

from collections.abc import Sequence
from typing import Final

from duckdb import DuckDBPyConnection

from center.contract.store import HOURS, RowBatch
from center.stores.duckdb.file import DuckFile
from center.stores.duckdb.insert import insert_new, registered
from center.stores.duckdb.schema import FACT_IDENTITY, MACHINE_TABLES
from center.stores.fact_tables.columns import Columns, table_columns
from center.stores.fact_tables.schema import bounded_sum
from oee.model.facts import FACT_COLUMNS, KEY_COLUMNS, LOSS_COLUMNS, LOSS_KEY_COLUMNS, STATE_COLUMNS

_ALL_STATES: Final = " + ".join(STATE_COLUMNS)
_SAME_MINUTE: Final = (
    "overfull.site = touched.site AND overfull.machine = touched.machine AND overfull.minute_ns = touched.minute_ns"
)


def write_facts(cursor: DuckDBPyConnection, batches: Sequence[RowBatch]) -> None:
    """Inserts facts and losses whose identity is not there yet, within the caller's transaction."""
    if any(len(batch.facts) for batch in batches):
        columns = table_columns(batches, [batch.facts for batch in batches], KEY_COLUMNS, FACT_COLUMNS)
        insert_new(cursor, "facts", columns, FACT_IDENTITY, pruned="minute_ns")
        _flag_overfull(cursor, columns)
    if any(len(batch.losses) for batch in batches):
        columns = table_columns(batches, [batch.losses for batch in batches], LOSS_KEY_COLUMNS, LOSS_COLUMNS)
        insert_new(cursor, "losses", columns, FACT_IDENTITY, pruned="minute_ns")


def _flag_overfull(cursor: DuckDBPyConnection, columns: Columns) -> None:
    """Updates the list of machine-minutes that hold more time than a minute has, over all streams."""
    low, high = int(columns["minute_ns"].min()), int(columns["minute_ns"].max())
    with registered(cursor, "touched", {name: columns[name] for name in ("site", "machine", "minute_ns")}):
        overfull = cursor.execute(
            f"SELECT site, machine, minute_ns, {bounded_sum(_ALL_STATES)} AS ms FROM facts "
            f"SEMI JOIN touched USING (site, machine, minute_ns) WHERE minute_ns BETWEEN {low} AND {high} AND stream <> '{HOURS}' "
            "GROUP BY ALL HAVING ms > 60000"
        ).fetchnumpy()
        cursor.execute(f"DELETE FROM overfull USING touched WHERE {_SAME_MINUTE}")
    insert_new(cursor, "overfull", overfull, ("site", "machine", "minute_ns"))


def read_overfull(cursor: DuckDBPyConnection) -> list[tuple[str, str, int, int]]:
    """That list: site, machine, minute_ns, ms."""
    rows: list[tuple[str, str, int, int]] = cursor.execute(
        "SELECT site, machine, minute_ns, ms FROM overfull ORDER BY ALL"
    ).fetchall()
    return rows


def forget_machine(file: DuckFile, site: str, machine: str) -> None:
    """By the contract of `ForgetsMachines`."""
    with file.writing() as cursor:
        for table in MACHINE_TABLES:
            cursor.execute(f"DELETE FROM {table} WHERE site = ? AND machine = ?", [site, machine])
        cursor.commit()
