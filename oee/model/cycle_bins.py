"""Bins of cycle times, logarithmic: which bin a time falls into, and which times a bin stands for; histograms as rows. Pure."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oee.model.facts import (
    BINS_PER_OCTAVE,
    CYCLE_BINS,
    KEY_COLUMNS,
    MS_NS,
    NO_BINS,
    NO_CYCLES,
    CycleBins,
    CycleTimes,
    Int64,
    select,
)

EDGES_NS: Final = np.ceil(MS_NS * 2.0 ** (np.arange(1, CYCLE_BINS) / BINS_PER_OCTAVE)).astype(np.int64)
"""Where each bin but the first begins [ns]."""


def bin_of(time_ns: Int64) -> Int64:
    """The bin of each time of one count [ns]."""
    return np.searchsorted(EDGES_NS, time_ns, "right").astype(np.int64)


def centre_ms(bins: Int64 | int) -> NDArray[np.float64]:
    """The middle of each bin, in ratio [ms]."""
    out: NDArray[np.float64] = 2.0 ** ((np.asarray(bins) + 0.5) / BINS_PER_OCTAVE)
    return out


def unfolded(table: CycleTimes) -> CycleBins:
    """Histograms as rows of bins, in order; those that are zero throughout have none."""
    if not len(table):
        return NO_BINS
    row, place = np.nonzero(table.sums)
    keys = {name: getattr(table, name)[row] for name in (*KEY_COLUMNS, "n")}
    return CycleBins(**keys, bin=place, cycles=table.sums[row, place])


def folded(rows: CycleBins) -> CycleTimes:
    """The inverse of `unfolded`: the rows of each histogram follow each other."""
    if not len(rows):
        return NO_CYCLES
    begins = np.ones(len(rows), np.bool_)
    changed = [getattr(rows, name)[1:] != getattr(rows, name)[:-1] for name in (*KEY_COLUMNS, "n")]
    begins[1:] = np.logical_or.reduce([column.astype(np.bool_) for column in changed])
    heads = select(rows, np.flatnonzero(begins))
    sums = np.zeros((len(heads), CYCLE_BINS), np.int64)
    sums[begins.cumsum() - 1, rows.bin] = rows.cycles
    return CycleTimes(**{name: getattr(heads, name) for name in (*KEY_COLUMNS, "n")}, sums=sums)


def join_bins(tables: Sequence[CycleBins]) -> CycleBins:
    """The rows of all tables, one after another."""
    if not tables:
        return NO_BINS
    columns = {
        name: np.concatenate([getattr(item, name) for item in tables]) for name in CycleBins.__dataclass_fields__
    }
    return CycleBins(**columns)
