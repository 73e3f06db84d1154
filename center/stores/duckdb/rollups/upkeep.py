"""Upkeep of the sums while the store runs: which hours are stale, one step of adding up, deletion of old minutes."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from duckdb import DataError, DuckDBPyConnection

from center.contract.store import RowBatch, StoreRefused
from center.model.retention import deleted_before_ns
from center.stores.duckdb.file import DuckFile
from center.stores.duckdb.rollups import tables
from oee.model.facts import HOUR_NS

_STEP_S: Final = 0.2
_MAX_BINS: Final = 1024


class RollupUpkeep:
    """Mirrors the file's list of stale hours in memory. The caller holds the store's write lock, except for `load`."""

    def __init__(self, retention_ns: int) -> None:
        """retention_ns: how long minute rows are kept, 0 for ever."""
        self._retention_ns = retention_ns
        self._stale: set[tables.Bin] = set()
        self._minutes_from_ns = 0
        self._bins_per_step = 1
        self.aside: dict[tables.Bin, str] = {}
        self._aside_days: set[tables.Bin] = set()

    def load(self, cursor: DuckDBPyConnection) -> None:
        """Reads the state from a file that has just been opened."""
        self._stale, self._minutes_from_ns = tables.read_stale(cursor), tables.minutes_from(cursor)
        self.aside.clear()
        self._aside_days.clear()

    def mark_stale(self, cursor: DuckDBPyConnection, batches: Sequence[RowBatch]) -> set[tables.Bin]:
        """Puts the hours of these rows on the list; returns the new ones, for `committed`. Raises `StoreRefused` if a
        row's minute has been deleted.
        """
        hours = tables.hours_of(batches)
        if late := [start for _, start in hours if start < self._minutes_from_ns]:
            raise StoreRefused(f"closed: rows at {min(late)} ns are older than the minutes that are kept")
        new = hours - self._stale
        tables.mark(cursor, "stale_hours", new)
        return new

    def outdate(self, cursor: DuckDBPyConnection, site: str, start_ns: int, end_ns: int) -> set[tables.Bin]:
        """Puts all hours of a window on the list that have rows or sums, unless their minutes are deleted; returns them,
        for `committed`.
        """
        low = max(start_ns // HOUR_NS * HOUR_NS, self._minutes_from_ns)
        hours = tables.hours_between(cursor, site, low, end_ns)
        tables.mark(cursor, "stale_hours", hours - self._stale)
        return hours

    def committed(self, stale: Iterable[tables.Bin]) -> None:
        """Records that the hours returned by `mark_stale` are in the file."""
        self._stale |= set(stale)

    def retry(self, hours: Iterable[tables.Bin]) -> None:
        """Rows of these hours are others now: those that were set aside are added up again."""
        for hour in self.aside.keys() & set(hours):
            del self.aside[hour]

    def step(self, cursor: DuckDBPyConnection, now_ns: int) -> bool:
        """Adds up some bins or deletes a day of minute rows, and commits; True if there may be more to do. No rows are
        written meanwhile, so a step that took long is followed by a smaller one.

        A bin whose sum no column holds is set aside (`aside`), so that it keeps no other from being added up: what it holds is
        read row by row.
        """
        began_s = time.perf_counter()
        hours = tables.ready_hours(self._stale - self.aside.keys(), now_ns, self._bins_per_step)
        days = [] if hours else tables.ready_days(cursor, self._days_wait(), now_ns, self._bins_per_step)
        try:
            if hours:
                tables.add_up_hours(cursor, hours)
            elif days:
                tables.add_up_days(cursor, days)
            else:
                return self._delete_minutes(cursor, now_ns)
        except DataError as error:
            cursor.rollback()
            self._set_aside(hours, days, str(error).split("\n", 1)[0][:200])
            return True
        cursor.commit()
        self._stale -= set(hours)
        self._aside_days -= {(site, start // tables.DAY_NS * tables.DAY_NS) for site, start in hours}
        self._adapt(time.perf_counter() - began_s)
        return True

    def _days_wait(self) -> set[tables.Bin]:
        return self._stale | self._aside_days

    def _set_aside(self, hours: Sequence[tables.Bin], days: Sequence[tables.Bin], why: str) -> None:
        """Of several bins, each is tried alone first."""
        if len(hours) + len(days) > 1:
            self._bins_per_step = 1
        else:
            self.aside.update(dict.fromkeys(hours, why))
            self._aside_days.update(days)

    def _delete_minutes(self, cursor: DuckDBPyConnection, now_ns: int) -> bool:
        """Deletes a day of minute rows once all hours before are added up; those that were set aside, within bounds."""
        until_ns = deleted_before_ns(self._retention_ns, now_ns)
        left = sorted((start, site) for site, start in self.aside if start < until_ns)
        closing = [(site, start) for start, site in left]
        if any(start < until_ns for _, start in self._stale - self.aside.keys()):
            return False
        if closing:
            tables.add_up_hours(cursor, closing, bounded=True)
        minutes_from_ns = tables.delete_minutes(cursor, until_ns)
        cursor.commit()
        more = minutes_from_ns != self._minutes_from_ns or bool(closing)
        self._minutes_from_ns = minutes_from_ns
        self._stale -= set(closing)
        self.retry(closing)
        return more

    def _adapt(self, spent_s: float) -> None:
        if spent_s > _STEP_S:
            self._bins_per_step = max(self._bins_per_step // 2, 1)
        elif spent_s < _STEP_S / 4:
            self._bins_per_step = min(self._bins_per_step * 2, _MAX_BINS)


class DuckHours:
    """`HourlySums` of the embedded store."""

    def __init__(self, file: DuckFile, upkeep: RollupUpkeep) -> None:
        self._file, self._upkeep = file, upkeep

    def recount(self, site: str, start_ns: int, end_ns: int) -> int:
        """By the contract of `HourlySums`."""
        with self._file.writing() as cursor:
            hours = self._upkeep.outdate(cursor, site, start_ns, end_ns)
            cursor.commit()
            self._upkeep.committed(hours)
            self._upkeep.retry(hours)
        return len(hours)
