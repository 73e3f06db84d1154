"""Hours that could not be added up: what is wrong with one keeps no other from being added up.

Such an hour is read row by row, told, and tried again when its rows change and after a restart. Where the server is away, that
holds for all hours, and none is set aside.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from center.contract.store import StoreRefused
from center.stores.influxdb.hours.index import Hour
from center.stores.influxdb.server import QueryRefused

_HOPELESS: Final = (ValueError, OverflowError, LookupError, TypeError, StoreRefused, QueryRefused)
_WHOLE_SITE: Final = 0
_FAR_NS: Final = 2**62
_MOST_CHARACTERS: Final = 200


class HoursAside:
    """told: by site and start of the hour [ns UTC], 0 for the list of the site's hours itself, why. Any thread may use it."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, int], str] = {}
        self._versions: dict[tuple[str, int], int] = {}
        """Of each hour that is set aside the version of its rows."""

    def ready(self, site: str, hours: Sequence[Hour], ended_ns: int = _FAR_NS) -> list[Hour]:
        """The hours that are worth a try: of those that begin before ended_ns the ones that are not set aside, or whose rows
        have changed since.
        """
        begun = [hour for hour in hours if hour.start_ns < ended_ns]
        return [hour for hour in begun if self._versions.get((site, hour.start_ns)) != hour.touched]

    def holds(self, site: str, hour: Hour) -> bool:
        """Whether the hour is set aside."""
        return (site, hour.start_ns) in self.told

    def each(self, site: str, run: Sequence[Hour], add_up: Callable[[Sequence[Hour]], None]) -> None:
        """Adds up neighbouring hours, one by one if that fails, and sets those aside that fail by themselves."""
        try:
            add_up(run)
        except _HOPELESS as error:
            if len(run) > 1:
                for hour in run:
                    self.each(site, [hour], add_up)
                return
            self._versions[site, run[0].start_ns] = run[0].touched
            self.told[site, run[0].start_ns] = _named(error)
        else:
            for hour in run:
                self._versions.pop((site, hour.start_ns), None)
                self.told.pop((site, hour.start_ns), None)

    @contextmanager
    def whole(self, site: str) -> Iterator[Any]:
        """Sets the site aside until its next turn if its hours cannot even be listed."""
        try:
            yield
            self.told.pop((site, _WHOLE_SITE), None)
        except _HOPELESS as error:
            self.told[site, _WHOLE_SITE] = _named(error)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_MOST_CHARACTERS]
