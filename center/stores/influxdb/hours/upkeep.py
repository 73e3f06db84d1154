"""Adds up hours: into the cache file when queries need them or ahead of time, and on the server before rows expire."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from center.contract.store import Query, RowBatch
from center.model.retention import DAY_NS, deleted_before_ns
from center.stores.influxdb.codec import queries
from center.stores.influxdb.codec.lines import hour_lines
from center.stores.influxdb.codec.rows import batches as row_batches
from center.stores.influxdb.codec.rows import zeroed
from center.stores.influxdb.database import InfluxDatabase
from center.stores.influxdb.hours import index
from center.stores.influxdb.hours.aside import HoursAside
from center.stores.influxdb.hours.cache import HoursCache
from center.stores.influxdb.hours.numbers import HourNumbers
from oee.model.facts import FACT_COLUMNS, HOUR_NS, LOSS_COLUMNS

_SETTLES_NS: Final = 2 * HOUR_NS
"""An hour is added up one hour after its end: until then rows arrive every minute."""
_ROLLED_UP_EVERY_NS: Final = HOUR_NS
_WARMED_EVERY_NS: Final = HOUR_NS // 6
_WARM_NS: Final = 400 * DAY_NS
_TABLES: Final = (("facts", FACT_COLUMNS, index.FACT_TAGS), ("losses", LOSS_COLUMNS, index.LOSS_TAGS))


class HourSums:
    """The sums of hours of one database. Any thread may use it. numbers: their versions on the server."""

    def __init__(
        self, database: InfluxDatabase, cache: HoursCache, retention_ns: int, now_ns: Callable[[], int]
    ) -> None:
        """retention_ns: how long the server keeps rows, 0 for ever."""
        self.cache, self.numbers = cache, HourNumbers(database)
        self._database, self._retention_ns, self._now_ns = database, retention_ns, now_ns
        self._adding = threading.Lock()
        self._rolled_up_ns = self._warmed_ns = 0
        self._sites_to_warm: list[str] = []
        self._sites_to_roll_up: list[str] = []
        self._apart = HoursAside()
        self.aside = self._apart.told

    def deleted_before_ns(self) -> int:
        """Rows before this may be deleted already: sums replace them. 0 for none."""
        return deleted_before_ns(self._retention_ns, self._now_ns()) + DAY_NS if self._retention_ns else 0

    def parts(self, query: Query) -> list[queries.WindowPart]:
        """The parts of a query. Hours that have ended and are not in the cache are added up first."""
        unclean = None if query.bucket == "minute" or not self.cache.open() else self._add_up(query)
        starts = None if unclean is None else [hour.start_ns for hour in unclean]
        return queries.plan(query, starts, self.deleted_before_ns())

    def recount(self, site: str, start_ns: int, end_ns: int) -> int:
        """By the contract of `HourlySums`."""
        low = max(start_ns, self.deleted_before_ns()) // HOUR_NS * HOUR_NS
        numbered, _ = self.numbers.read(site, low, end_ns)
        hours = {hour.start_ns for hour in numbered} | self.numbers.with_rows(site, low, end_ns)
        self.numbers.touch(site, hours)
        return len(hours)

    def _add_up(self, query: Query) -> list[index.Hour] | None:
        """Adds up hours of the window that have ended and are not clean; returns those that are still not clean, None if
        that is unknown.
        """
        site, ended_ns = query.site, self._now_ns() - _SETTLES_NS
        unclean = self._unclean(query)
        if unclean is None or not self._apart.ready(site, unclean, ended_ns):
            return unclean
        with self._adding:  # one at a time: older sums must never replace newer ones
            unclean = self._unclean(query)
            if unclean is None:
                return None
            for run in index.runs(self._apart.ready(site, unclean, ended_ns)):
                self._apart.each(site, run, lambda part: self.cache.put(site, part, self._sums_of(site, part)))
        return [hour for hour in unclean if hour.start_ns >= ended_ns or self._apart.holds(site, hour)]

    def _unclean(self, query: Query) -> list[index.Hour] | None:
        on_server, complete = self.numbers.read(query.site, query.start_ns, query.end_ns)
        return index.differing(on_server, self.cache.numbers(query.site), query) if complete else None

    def _sums_of(self, site: str, run: Sequence[index.Hour]) -> list[RowBatch]:
        """The sums of neighbouring hours, added up by the server; a run is cut where deleted rows end."""
        low, high, rows_from_ns = run[0].start_ns, run[-1].start_ns + HOUR_NS, self.deleted_before_ns()
        batches: list[RowBatch] = []
        for start_ns, end_ns, deleted in ((low, min(high, rows_from_ns), True), (max(low, rows_from_ns), high, False)):
            if start_ns < end_ns:
                batches += self._sums_between(site, start_ns, end_ns, deleted=deleted)
        return batches

    def _sums_between(self, site: str, start_ns: int, end_ns: int, *, deleted: bool) -> list[RowBatch]:
        """Sums of hours. deleted: those that are on the server, instead of the sums of the rows."""
        facts, losses = (
            self._database.ask(
                [queries.by_hour(self._database.sources(table)[deleted], site, start_ns, end_ns, columns, tags)]
            )
            for table, columns, tags in _TABLES
        )
        return row_batches(site, facts, losses, [])

    def warm(self, now_ns: int) -> bool:
        """Caches some hours ahead of queries: the latest of each site in turn, then earlier ones; False if none are
        left for now.
        """
        if not self.cache.open():
            return False
        if not self._sites_to_warm and now_ns >= self._warmed_ns + _WARMED_EVERY_NS:
            self._sites_to_warm, self._warmed_ns = self._database.sites(), now_ns
        while self._sites_to_warm:
            site = self._sites_to_warm.pop()
            with self._apart.whole(site):
                self.numbers.complete(site)
                if self._add_latest(Query(site, max(now_ns - _WARM_NS, 0), now_ns), now_ns - _SETTLES_NS):
                    self._sites_to_warm.insert(0, site)
                    return True
        return False

    def _add_latest(self, query: Query, ended_ns: int) -> bool:
        site = query.site
        with self._adding:
            unclean_runs = index.runs(self._apart.ready(query.site, self._unclean(query) or (), ended_ns))
            if unclean_runs:
                self._apart.each(
                    site, unclean_runs[-1], lambda part: self.cache.put(site, part, self._sums_of(site, part))
                )
        return bool(unclean_runs)

    def roll_up(self, now_ns: int) -> bool:
        """Writes the sums of some hours to the server, where rows are not kept for ever; True if there may be more."""
        if not self._retention_ns or now_ns < self._rolled_up_ns + _ROLLED_UP_EVERY_NS:
            return False
        self._sites_to_roll_up = self._sites_to_roll_up or self._database.sites()
        while self._sites_to_roll_up:
            site = self._sites_to_roll_up.pop()  # one that fails is not the first again
            with self._apart.whole(site):
                self.numbers.complete(site)
                hours, _ = self.numbers.read(site, self.deleted_before_ns(), now_ns - _SETTLES_NS)
                waiting = self._apart.ready(site, [hour for hour in hours if hour.touched != hour.rolled])
                for run in index.runs(waiting)[:1]:
                    self._apart.each(site, run, partial(self._write_sums, site))
                    self._sites_to_roll_up.insert(0, site)
                    return True
        self._rolled_up_ns = now_ns
        return False

    def _write_sums(self, site: str, run: Sequence[index.Hour]) -> None:
        """Writes the sums of neighbouring hours to the server. What was written before and has no rows any more is
        overwritten with zeros first.
        """
        written_before = {hour.start_ns for hour in run if hour.rolled}
        if written_before:
            stored = self._sums_between(site, run[0].start_ns, run[-1].start_ns + HOUR_NS, deleted=True)
            self._database.write_metadata(hour_lines(map(zeroed, stored), written_before))
        self._database.write_metadata(hour_lines(self._sums_of(site, run), written_before))
        self._database.write_metadata(index.rolled_lines(site, run))
