"""Batches of rows as numpy columns under the names that they have in the tables. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from center.contract.store import RowBatch
from oee.model.facts import KEY_COLUMNS, Facts, Losses

Columns = dict[str, "np.ndarray[Any, Any]"]


def object_column(values: Sequence[Any]) -> "np.ndarray[Any, Any]":
    """Texts or bytes as an object column, which DuckDB reads as VARCHAR or BLOB."""
    out = np.empty(len(values), object)
    out[:] = values
    return out


def repeat_origin(batches: Sequence[RowBatch], name: str, lengths: Sequence[int]) -> "np.ndarray[Any, Any]":
    """A field of the batches' origins as a column; each repeated for the batch's number of rows."""
    return np.repeat(object_column([getattr(batch.origin, name) for batch in batches]), lengths)


def table_columns(
    batches: Sequence[RowBatch], tables: Sequence[Facts | Losses], keys: tuple[str, ...], sums: tuple[str, ...]
) -> Columns:
    """The rows of these tables, one of each batch, as columns."""
    lengths = [len(table) for table in tables]
    columns: Columns = {name: repeat_origin(batches, name, lengths) for name in ("site", "stream")}
    for name in (*keys, "n"):
        columns[name] = np.concatenate([getattr(table, name) for table in tables])
    added = np.concatenate([table.sums for table in tables])
    return columns | {name: np.ascontiguousarray(added[:, index]) for index, name in enumerate(sums)}


def cycle_columns(batches: Sequence[RowBatch]) -> Columns:
    """The bins of these batches' histograms as columns."""
    lengths = [len(batch.cycles) for batch in batches]
    columns: Columns = {name: repeat_origin(batches, name, lengths) for name in ("site", "stream")}
    for name in (*KEY_COLUMNS, "n", "bin", "cycles"):
        columns[name] = np.concatenate([getattr(batch.cycles, name) for batch in batches])
    return columns
