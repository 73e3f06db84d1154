"""Histograms of cycle times in the embedded store: a row for each bin that is not zero. Identity is enforced like that of facts."""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import RowBatch
from center.stores.duckdb.file import DuckFile
from center.stores.duckdb.insert import insert_new
from center.stores.fact_tables.columns import cycle_columns
from center.stores.fact_tables.schema import bounded_sum, column_definitions
from oee.model.facts import KEY_COLUMNS, CycleBins

CREATE_CYCLES: Final = f"CREATE TABLE IF NOT EXISTS cycles ({column_definitions(KEY_COLUMNS, ('bin', 'cycles'))})"  # of an hour: `minute_ns`
_IDENTITY: Final = ("site", "stream", "machine", "minute_ns", "n", "bin")
_TYPES: Final = {"calendar": np.uint8, "business_date": np.int32}
_NUMBERS: Final = ("minute_ns", "n", "bin", "cycles")


def write_cycles(cursor: DuckDBPyConnection, batches: Sequence[RowBatch]) -> None:
    """Inserts bins whose identity is not there yet, within the caller's transaction."""
    with_cycles = [batch for batch in batches if len(batch.cycles)]
    if with_cycles:
        insert_new(cursor, "cycles", cycle_columns(with_cycles), _IDENTITY, pruned="minute_ns")


def read_cycles(file: DuckFile, site: str, start_ns: int, end_ns: int, machines: Sequence[str] = ()) -> CycleBins:
    """By the contract of `KeepsCycles`."""
    by = "machine, business_date, shift, product, bin"
    chosen = " AND list_contains($machines, machine)" if machines else ""
    parameters = {"site": site, "start": start_ns, "end": end_ns} | ({"machines": list(machines)} if machines else {})
    with file.reading() as cursor:
        found = cursor.execute(
            f"SELECT {by}, {bounded_sum('cycles')} AS cycles, 0 AS minute_ns, 0 AS calendar, 0 AS n FROM cycles "
            f"WHERE site = $site AND minute_ns >= $start AND minute_ns < $end{chosen} "
            f"GROUP BY {by} HAVING sum(cycles) <> 0 ORDER BY {by}",
            parameters,
        ).fetchnumpy()
    return CycleBins(**_columns(found))


def read_cycle_rows(cursor: DuckDBPyConnection, site: str, start_ns: int, end_ns: int) -> tuple[Any, CycleBins]:
    """The stream of each row, and the rows as they were written."""
    names = ", ".join(("stream", *CycleBins.__dataclass_fields__))
    found = cursor.execute(
        f"SELECT {names} FROM cycles WHERE site = ? AND minute_ns >= ? AND minute_ns < ? ORDER BY ALL",
        [site, start_ns, end_ns],
    ).fetchnumpy()
    return np.asarray(found["stream"], object), CycleBins(**_columns(found))


def _columns(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: np.asarray(found[name], np.int64 if name in _NUMBERS else _TYPES.get(name, object))
        for name in CycleBins.__dataclass_fields__
    }
