"""The minutes of a window, to which facts are added: a grid without holes. Pure."""

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
OPERATING: Final = (int(State.RUNNING), int(State.MINOR_STOP), int(State.SETUP))
COLUMN: Final = {name: index for index, name in enumerate(GRID_COLUMNS)}


class Grid:
    """Minutes of a window, to which facts are added in parts."""

    def __init__(self, start_ns: int, count: int) -> None:
        self.minutes = np.zeros((count, len(GRID_COLUMNS)), np.int64)
        self.outside_ms = np.zeros(count, np.int64)
        self.break_run_ms = 0
        self._start_ns, self._end_ns = start_ns, start_ns + count * MINUTE_NS
        self._made: list[tuple[Int64, Int64, Int64]] = []
        self._number: dict[str, int] = {}

    def add(self, facts: Facts | Iterable[Facts]) -> Facts:
        """Adds the facts of the window; returns the scheduled ones."""
        parts = [self._add(part) for part in ([facts] if isinstance(facts, Facts) else facts)]
        return join(parts) if parts else NO_FACTS

    def add_hours(self, hours: Facts, stretch: Int64, standing: Int64) -> Facts:
        """Adds sums of hours as `hourly_window` says; there is no fact to return.

        stretch: int64[m], -1 for minutes that are not scheduled; standing: int64[2, k], starts and ends of stops in which
        the machine does not operate [ns UTC].
        """
        rows = (hours.calendar == CalendarClass.SCHEDULED) & (hours.minute_ns >= self._start_ns - 59 * MINUTE_NS)
        starts, at = np.unique(hours.minute_ns[rows], return_inverse=True)
        if not len(starts):
            return NO_FACTS
        sums = hours.sums[rows][:, [FACT[name] for name in STATE_COLUMNS]]
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
        inside = select(facts, (facts.minute_ns >= self._start_ns) & (facts.minute_ns < self._end_ns))
        running = inside.column("running_ms")
        self.break_run_ms += int(running[inside.calendar == CalendarClass.BREAK].sum())
        out = inside.calendar == CalendarClass.OUTSIDE
        np.add.at(self.outside_ms, (inside.minute_ns[out] - self._start_ns) // MINUTE_NS, running[out])
        planned = select(inside, inside.calendar == CalendarClass.SCHEDULED)
        row = (planned.minute_ns - self._start_ns) // MINUTE_NS
        if len(row):
            low = int(row.min())
            count = int(row.max()) + 1 - low
            for index, name in enumerate(GRID_COLUMNS):
                added = np.bincount(row - low, planned.sums[:, FACT[name]], count)
                self.minutes[low : low + count, index] += np.rint(added).astype(np.int64)
            names = planned.product.tolist()
            for name in sorted(set(names)):
                self._number.setdefault(name, len(self._number))
            numbers = np.array([self._number[name] for name in names], np.int64)
            self._made.append((row, numbers, planned.sums[:, : len(State)].sum(axis=1)))
        return planned

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
