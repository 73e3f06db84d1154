"""The numbers of hours on the server (measurement `hours`): read, written, and made again where they were lost.

Hours without a number count as hours without rows, so the list must be complete. A point `complete` in each site's
series says that it is: whoever loses or empties the measurement loses that point too, and then everything of the site is
read row by row until the list is made again from the rows. A list from before there was such a point is complete if the
first hours of the site have numbers, since a loss takes the oldest ones too.
"""

import logging
import secrets
from collections.abc import Iterable
from typing import Final

from center.model.retention import DAY_NS
from center.stores.influxdb.codec import answers, queries
from center.stores.influxdb.database import InfluxDatabase
from center.stores.influxdb.hours import index
from center.stores.influxdb.setup import METADATA
from oee.model.facts import HOUR_NS

_LOG: Final = logging.getLogger(__name__)
_TABLES: Final = ("facts", "losses")
_FIRSTS: Final = 2
_WINDOW_NS: Final = 28 * DAY_NS


class HourNumbers:
    """The numbers of one database. Any thread may use it. All methods may raise `StoreUnavailable`."""

    def __init__(self, database: InfluxDatabase) -> None:
        self._database = database
        self._source = database.source("hours", METADATA)
        self._is_whole: dict[str, bool] = {}
        """Of sites without the point `complete`: whether the first hours were found to have numbers."""

    def read(self, site: str, low: int, high: int) -> tuple[list[index.Hour], bool]:
        """The hours that overlap a window, and whether these are all that have rows."""
        hours, complete = self._database.ask(
            [queries.hours(self._source, site, low, high), queries.hours_complete(self._source, site)]
        )
        if complete.get("series"):
            self._is_whole.pop(site, None)
            return index.hours_of([hours]), True
        if site not in self._is_whole:
            self._is_whole[site] = self._firsts_are_numbered(site)
        return index.hours_of([hours]), self._is_whole[site]

    def touch(self, site: str, hours: Iterable[int]) -> None:
        """Gives these hours a new number: whatever is cached of them is outdated."""
        self._database.write_metadata(index.touch_lines({site: hours}, secrets.randbits(62)))

    def complete(self, site: str) -> None:
        """Makes the list complete if it is not, and records that it is."""
        (marked,) = self._database.ask([queries.hours_complete(self._source, site)])
        if marked.get("series"):
            return
        if not (self._is_whole.get(site, True) and self._firsts_are_numbered(site)):
            found = self.with_rows(site, *self._extent(site))
            _LOG.warning("hours of site %s had lost their numbers: %d of them got new ones", site, len(found))
            self.touch(site, found)
        self._database.write_metadata([index.complete_line(site)])
        self._is_whole.pop(site, None)

    def with_rows(self, site: str, low: int, high: int) -> set[int]:
        """The hours of a window that have rows."""
        out: set[int] = set()
        for start in range(low // HOUR_NS * HOUR_NS, high, _WINDOW_NS):
            end = min(start + _WINDOW_NS, high)
            found = self._database.ask(
                [queries.counts_by_hour(self._database.source(table), site, start, end) for table in _TABLES]
            )
            out |= {int(row[0]) for _, _, rows in answers.series(found) for row in rows}
        return out

    def _firsts_are_numbered(self, site: str) -> bool:
        """Whether the first hours with rows have numbers; two of them, since a late row may have given one to the first."""
        low, _ = self._extent(site)
        for _ in range(_FIRSTS):
            found = self._database.ask(
                [queries.first_from(self._database.source(table), site, low) for table in _TABLES]
            )
            times = [row[0] for _, _, rows in answers.series(found) for row in rows]
            if not times:
                return True
            hour = min(times) // HOUR_NS * HOUR_NS
            hours = self._database.ask([queries.hours(self._source, site, hour, hour + 1)])
            if not any(item.touched for item in index.hours_of(hours)):
                return False
            low = hour + HOUR_NS
        return True

    def _extent(self, site: str) -> tuple[int, int]:
        """The time from a site's first row to its last [ns], (0, 0) without any."""
        sources = [self._database.source(table) for table in _TABLES]
        edges = [queries.edge(source, site, last=last) for source in sources for last in (False, True)]
        times = [row[0] for _, _, rows in answers.series(self._database.ask(edges)) for row in rows]
        return (min(times), max(times) + 1) if times else (0, 0)
