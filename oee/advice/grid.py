"""The minutes of a window, to which facts are added: a grid without holes. Pure."""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oee.model.facts import FACT, MINUTE_NS, NO_FACTS, STATE_COLUMNS, Facts, Int64, join, select
from oee.model.states import CalendarClass, State

Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

GRID_COLUMNS: Final = (
    *(f"{state.word}_ms" for state in State),
    "ideal_total_us",
    "ideal_good_us",
    "ideal_judged_us",
    "running_ideal_known_ms",
    "pieces_total",
    "pieces_judged",
    "pieces_startup_reject",
    "pieces_process_reject",
)
_GRID_FACTS: Final = [FACT[name] for name in GRID_COLUMNS]
OPERATING: Final = (int(State.RUNNING), int(State.MINOR_STOP), int(State.SETUP))
COLUMN: Final = {name: index for index, name in enumerate(GRID_COLUMNS)}


def added_up(shape: tuple[int, ...], cell: Int64, values: Int64) -> Float64:
    """Whole numbers added up in the cells of a table; cell: number of each row's, as `np.ravel_multi_index` counts them."""
    sums = np.bincount(cell, values, math.prod(shape))
    return sums.astype(np.float64).reshape(shape)


def kept(facts: Facts, rows: Bool) -> Facts:
    """The rows of a mask; a view where they lie one after another, as they do in a window of what is in order of time."""
    at = np.flatnonzero(rows)
    joined = len(at) and int(at[-1]) - int(at[0]) + 1 == len(at)
    return select(facts, slice(int(at[0]), int(at[-1]) + 1) if joined else at)


class Grid:
    """Minutes of a window, to which facts are added in parts."""

    def __init__(self, start_ns: int, count: int) -> None:
        self.minutes = np.zeros((len(GRID_COLUMNS), count), np.int64).T  # rules read column by column
        self.outside_ms = np.zeros(count, np.int64)
        self.break_run_ms = 0
        self._start_ns, self._end_ns = start_ns, start_ns + count * MINUTE_NS
        self._made: list[tuple[Int64, Int64, Int64]] = []
        self._number: dict[str, int] = {}

    def add(self, facts: Facts | Iterable[Facts]) -> Facts:
        """Adds the facts of the window; returns the scheduled ones."""
        parts = [self._add(part) for part in ([facts] if isinstance(facts, Facts) else facts)]
        return join(parts) if len(parts) > 1 else parts[0] if parts else NO_FACTS

    def add_hours(self, hours: Facts, stretch: Int64, standing: Int64) -> Facts:
        """Adds sums of hours as `hourly_window` says; there is no fact to return.

        stretch: int64[m], -1 for minutes that are not scheduled; standing: int64[2, k], starts and ends of stops in which
        the machine does not operate [ns UTC].
        """
        rows = (hours.calendar == CalendarClass.SCHEDULED) & (hours.minute_ns >= self._start_ns - 59 * MINUTE_NS)
        starts, at = np.unique(hours.minute_ns[rows], return_inverse=True)
        if not len(starts):
            return NO_FACTS
        sums = hours.sums[np.ix_(rows, [FACT[name] for name in STATE_COLUMNS])]
        operated: Float64 = np.bincount(at, sums[:, list(OPERATING)].sum(axis=1), len(starts)).astype(np.float64)
        known: Float64 = np.bincount(at, sums.sum(axis=1) - sums[:, State.UNKNOWN], len(starts)).astype(np.float64)
        minute_ns = self._start_ns + np.arange(len(stretch)) * MINUTE_NS
        hour = np.searchsorted(starts, minute_ns, side="right") - 1
        inside = (stretch >= 0) & (hour >= 0) & (minute_ns - starts[hour] < 60 * MINUTE_NS)
        edges = np.zeros(len(stretch) + 1, np.int64)
        begin, end = np.clip((standing - self._start_ns) // MINUTE_NS, 0, len(stretch))
        np.add.at(edges, begin, 1)
        np.add.at(edges, end, -1)
        free = inside & (np.cumsum(edges)[:-1] == 0)
        free |= inside & ~np.isin(hour, hour[free])
        self._spread(COLUMN["running_ms"], operated, hour, free)
        self._spread(COLUMN["unplanned_stop_ms"], known - operated, hour, inside)
        return NO_FACTS

    def _spread(self, column: int, ms: Float64, hour: Int64, over: Bool) -> None:
        counts = np.bincount(hour[over], minlength=len(ms))
        self.minutes[over, column] = np.rint(ms[hour[over]] / counts[hour[over]]).astype(np.int64)

    def _add(self, facts: Facts) -> Facts:
        inside = (facts.minute_ns >= self._start_ns) & (facts.minute_ns < self._end_ns)
        running = facts.column("running_ms")
        self.break_run_ms += int(running[inside & (facts.calendar == CalendarClass.BREAK)].sum())
        out = inside & (facts.calendar == CalendarClass.OUTSIDE)
        np.add.at(self.outside_ms, (facts.minute_ns[out] - self._start_ns) // MINUTE_NS, running[out])
        planned = kept(facts, inside & (facts.calendar == CalendarClass.SCHEDULED))
        row = (planned.minute_ns - self._start_ns) // MINUTE_NS
        if len(row):
            sums = self._add_rows(row, planned.sums)
            names = planned.product.tolist()
            for name in sorted(set(names)):
                self._number.setdefault(name, len(self._number))
            numbers = np.array([self._number[name] for name in names], np.int64)
            self._made.append((row, numbers, sums[: len(State)].sum(axis=0)))
        return planned

    def _add_rows(self, row: Int64, sums: Int64) -> Int64:
        """Adds rows to minutes; returns their columns of the grid, int64[len(GRID_COLUMNS), n]."""
        columns = np.ascontiguousarray(sums[:, _GRID_FACTS].T)
        order = None if np.all(row[1:] >= row[:-1]) else np.argsort(row, kind="stable")
        at = row if order is None else row[order]
        first = np.flatnonzero(np.diff(at, prepend=-1))
        for target, column in zip(self.minutes.T, columns, strict=True):
            if column.any():
                of_minute = column if order is None else column[order]
                target[at[first]] += of_minute if len(first) == len(at) else np.add.reduceat(of_minute, first)
        return columns

    def products(self) -> tuple[tuple[str, ...], Int64]:
        """The products by name, and the number of each minute's among them: of several the one with most of the time, so that
        neither the order of rows nor corrections decide.
        """
        ordered = sorted(self._number)
        out: Int64 = np.full(len(self.minutes), -1, np.int64)
        if self._made:
            place = np.array([ordered.index(name) for name in self._number], np.int64)
            row, number, ms = (np.concatenate(columns) for columns in zip(*self._made, strict=True))
            keys, at = np.unique(row * len(ordered) + place[number], return_inverse=True)
            rows, products = np.divmod(keys, len(ordered))
            by_time = np.lexsort((-products, np.bincount(at, ms)))  # the largest comes last, and stays
            out[rows[by_time]] = products[by_time]
        return tuple(ordered), out
