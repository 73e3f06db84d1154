"""What a machine's page is computed from: sums of the last shifts, and the stops that people may have to explain. Pure.

Sums are fed with the same differences that go to the center, so that a correction is one more difference here too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from oee.model.facts import FACT_COLUMNS, MINUTE_NS, Facts, Int64, RowKey, Stop, row_keys
from oee.model.states import CalendarClass

BIN_NS: Final = 600_000_000_000
"""Time by state is shown in bars of this length."""

SumKey = tuple[int, str, int, str, int]
"""Business date, shift, calendar class, product, and start of the bar [ns]."""


@dataclass
class MachineTally:
    """One machine. limit_ns: its longest minor stop [ns]; sums: int64[33] of `FACT_COLUMNS` by key; stops: latest
    revisions by id, of those that last or were longer than the limit; known_until_ns: end of the last minute that was sent
    [ns]; version: changes with each addition.
    """

    limit_ns: int
    sums: dict[SumKey, Int64] = field(default_factory=dict)
    stops: dict[str, Stop] = field(default_factory=dict)
    known_until_ns: int = 0
    version: int = 0

    def add(self, facts: Facts, stops: Iterable[Stop]) -> None:
        """Adds what was sent, in the order in which it was."""
        self.version += 1
        for key, row in zip(row_keys(facts), facts.sums, strict=True):
            self.add_sum(key, row)
        for stop in stops:
            self.add_stop(stop)

    def add_sum(self, key: RowKey, row: Int64) -> None:
        """Adds the sums of one key of a fact."""
        _, minute_ns, calendar, date, shift, product = key
        self.known_until_ns = max(self.known_until_ns, minute_ns + MINUTE_NS)
        place = (date, shift, calendar, product, minute_ns - minute_ns % BIN_NS)
        before = self.sums.get(place)
        self.sums[place] = row.copy() if before is None else before + row

    def add_stop(self, stop: Stop) -> None:
        """Adds a stop's next revision."""
        if stop.end_ns is None or stop.end_ns - stop.start_ns > self.limit_ns:
            self.stops[stop.id] = stop
        else:
            self.stops.pop(stop.id, None)

    def forget(self, before_date: int, before_ns: int) -> None:
        """Drops sums of earlier business dates, and stops that ended before a time [ns]."""
        self.sums = {key: row for key, row in self.sums.items() if key[0] >= before_date}
        self.stops = {key: stop for key, stop in self.stops.items() if stop.end_ns is None or stop.end_ns >= before_ns}

    def copy(self) -> "MachineTally":
        """A copy that another thread may read."""
        return MachineTally(self.limit_ns, dict(self.sums), dict(self.stops), self.known_until_ns, self.version)

    def shift_sums(self, date: int, shift: str, calendar: CalendarClass = CalendarClass.SCHEDULED) -> Int64:
        """int64[33]: the sums of a shift's scheduled time (or of another class)."""
        return _total(row for key, row in self.sums.items() if key[:3] == (date, shift, calendar))

    def by_product(self, date: int, shift: str) -> dict[str, Int64]:
        """int64[33] by product, of a shift's scheduled time."""
        wanted = {key: row for key, row in self.sums.items() if key[:3] == (date, shift, CalendarClass.SCHEDULED)}
        products = dict.fromkeys(key[3] for key in wanted)
        return {name: _total(row for key, row in wanted.items() if key[3] == name) for name in products}

    def bars(self, date: int, shift: str) -> dict[int, Int64]:
        """int64[33] by the start of each bar [ns], of all that belongs to a shift, breaks included."""
        wanted = [(key[4], row) for key, row in self.sums.items() if key[:2] == (date, shift)]
        starts = sorted({start_ns for start_ns, _ in wanted})
        return {at_ns: _total(row for start_ns, row in wanted if start_ns == at_ns) for at_ns in starts}


def _total(rows: Iterable[Int64]) -> Int64:
    total = np.zeros(len(FACT_COLUMNS), np.int64)
    for row in rows:
        total += row
    return total
