"""The past of one machine, read from the store as the rules of advice want it: one window at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np

from center.contract.store import KeepsCycles, Query, StopQuery, StoreUnavailable
from center.model.buckets import Bucket
from center.model.site_revisions import Revision
from center.model.sites import Sites, retired_since
from center.runtime.advice.stored_beside import NightBeside
from center.runtime.state import CenterState
from oee.advice.look import SHORT_WEEKS
from oee.advice.trust import too_fast
from oee.advice.window import DAY_NS, MachineWindow, hourly_window, machine_window, stop_columns, with_cycles
from oee.model.calendars import Calendar, cut
from oee.model.facts import Facts
from oee.model.states import CalendarClass
from wire.marks import holes
from wire.topics import topics_of

LONGEST_BY_MINUTE_WEEKS: Final = 12
"""Rules that look further back get a window made of hours, which the store has at hand."""
_PART_NS: Final = 28 * DAY_NS
_MOST_QUARANTINED: Final = 10_000
_BY: Final = ("machine", "calendar", "shift", "product")


class StoredPast:
    """One machine up to a time. Reads when it is asked."""

    def __init__(
        self, center: CenterState, site: str, machine: str, end_ns: int, beside: NightBeside | None = None
    ) -> None:
        """beside: what lies beside the machines of this night; None leaves it out."""
        self._center, self._site, self._machine, self._end_ns = center, site, machine, end_ns
        self._beside = beside
        self._distrusted: frozenset[str] | None = None

    @cached_property
    def _revisions(self) -> Sequence[Revision]:
        """Those of the time; the first one also where it came later than the facts, as with a history that a gateway brings along."""
        found = self._center.ledger_cache.sites.of_machine(self._site, self._machine)
        return [item for item in found if item.valid_from_ns < self._end_ns] or found[:1]

    @property
    def calendar(self) -> Calendar | None:
        """That of the newest site body; None if the machine has none, or is retired."""
        sites = self._center.ledger_cache.sites
        if not self._revisions or retired_since(sites, self._site, self._machine) is not None:
            return None
        return self._revisions[-1].calendar(self._machine)

    def start_ns(self, weeks: int) -> int:
        """Where a window of so many weeks begins: not before the machine's first minute, nor before its calendar, its limit
        for short stops or an ideal time was changed.
        """
        start_ns = self._end_ns - weeks * 7 * DAY_NS
        owner = self._center.ledger_cache.sites.owner(self._site, self._machine)
        first_ns = max(owner.first_ns, 0) if owner else 0
        newest = self._revisions[-1]
        since_ns = 0
        for older, newer in zip(reversed(self._revisions[:-1]), reversed(self._revisions[1:]), strict=True):
            if not as_before(older, newest, self._machine, (start_ns, newer.valid_from_ns)):
                since_ns = newer.valid_from_ns
                break
        return min(max(start_ns, first_ns, since_ns), self._end_ns)

    def window(self, weeks: int) -> MachineWindow:
        """The window of so many weeks. Raises `StoreUnavailable`, and `LookupError` for a machine without a calendar."""
        calendar = self.calendar
        if calendar is None:
            raise LookupError(f"machine {self._machine!r} of site {self._site!r} has no calendar")
        store, start_ns = self._center.store, self.start_ns(weeks)
        stops = stop_columns(store.stops(StopQuery(self._site, start_ns, self._end_ns, (self._machine,))).stops)
        if weeks > LONGEST_BY_MINUTE_WEEKS:
            hours = store.facts(self._query(start_ns, self._end_ns, "hour"))
            return hourly_window(self._machine, calendar, hours, stops, start_ns, self._end_ns)
        made = machine_window(
            self._machine,
            calendar,
            self._minutes,
            stops,
            start_ns,
            self._end_ns,
            distrusted=self._distrusted or frozenset(),
            unverified=self._unverified(),
        )
        if isinstance(store, KeepsCycles):
            made = with_cycles(made, store.cycles(self._site, start_ns - DAY_NS, self._end_ns, (self._machine,)))
        if self._distrusted is None:  # the shortest window comes first, and decides for all
            self._distrusted = too_fast(made.facts)
            made = replace(made, distrusted=self._distrusted)
        if self._beside and weeks == SHORT_WEEKS:
            beside = self._beside.of(self._site, self._revisions[-1], made, self._another)
            made = replace(made, beside=beside)
        return made

    def _another(self, machine: str) -> MachineWindow | None:
        """Another machine's window; None where it has no calendar, or cannot be read: that is told when it is looked at itself."""
        past = StoredPast(self._center, self._site, machine, self._end_ns)
        try:
            return past.window(SHORT_WEEKS) if past.calendar else None
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001  # counted and shown at that machine's own turn
            return None

    def _query(self, start_ns: int, end_ns: int, bucket: Bucket) -> Query:
        zone = self._revisions[-1].zone.key
        return Query(self._site, start_ns, end_ns, zone, (self._machine,), bucket=bucket, by=_BY)

    @cached_property
    def _minutes(self) -> list[Facts]:
        """Facts by minute of the longest window that is made of minutes."""
        calendar = self.calendar
        assert calendar is not None
        zone, start_ns = self._revisions[-1].zone.key, self.start_ns(LONGEST_BY_MINUTE_WEEKS)
        return list(minutes_of(self._center, self._site, self._machine, zone, calendar, start_ns, self._end_ns))

    def _unverified(self) -> frozenset[str]:
        products = self._revisions[-1].body.products
        return frozenset(
            key for key, product in products.items() if not product.verified and product.source in ("", "guess")
        )

    def holes(self, start_ns: int) -> int:
        """Envelopes of its gateway that are missing now, or came after this time and are in quarantine."""
        owner = self._center.ledger_cache.sites.owner(self._site, self._machine)
        if owner is None:
            return 0
        streams = self._center.ledger_cache.of_gateway(self._site, owner.gateway).values()
        missing = sum(last - first + 1 for item in streams if item.kind == "facts" for first, last in holes(item.marks))
        prefix = topics_of(self._site, owner.gateway)
        entries, _ = self._center.ledger.quarantined(self._site, _MOST_QUARANTINED)
        return missing + sum(
            1 for item in entries if item.settled and item.at_ns >= start_ns and item.topic.startswith(prefix)
        )


def minutes_of(
    center: CenterState, site: str, machine: str, zone: str, calendar: Calendar, start_ns: int, end_ns: int
) -> Iterator[Facts]:
    """A machine's facts by minute, four weeks at a time, with the business dates of its calendar, which the store leaves out of
    minutes. Raises `StoreUnavailable`.
    """
    for begin_ns in range(start_ns, end_ns, _PART_NS):
        until_ns = min(begin_ns + _PART_NS, end_ns)
        facts = center.store.facts(Query(site, begin_ns, until_ns, zone, (machine,), bucket="minute", by=_BY))
        spans = cut(calendar, begin_ns, until_ns)
        at = np.clip(np.searchsorted(spans.start_ns, facts.minute_ns, side="right") - 1, 0, None)
        yield replace(facts, business_date=spans.business_date[at] if len(facts) else facts.business_date)


def machines_with_past(sites: Sites) -> list[tuple[str, str]]:
    """Site and machine of all that are not retired, in order."""
    return [
        (site, machine)
        for site in sites.ids()
        for machine in sites.machines(site)
        if retired_since(sites, site, machine) is None
    ]


def as_before(older: Revision, newest: Revision, machine: str, window: tuple[int, int]) -> bool:
    """Whether numbers of that window, made under the older site body, mean the same under the newest."""
    named = older.body.machines.get(machine), newest.body.machines.get(machine)
    if named[0] is None or named[1] is None:
        return named[0] is named[1]
    if named[0].minor_stop_at_most_s != named[1].minor_stop_at_most_s:
        return False
    ideals = [{key: item.ideal_s for key, item in body.products.items()} for body in (older.body, newest.body)]
    if any(ideals[1].get(key, ideal_s) != ideal_s for key, ideal_s in ideals[0].items()):
        return False
    calendars = older.calendar(machine), newest.calendar(machine)
    if calendars[0] is None or calendars[1] is None:
        return False
    spans = [cut(item, *window) for item in calendars if item is not None] if window[0] < window[1] else []
    planned = [item.calendar != CalendarClass.OUTSIDE for item in spans]
    return not spans or all(
        np.array_equal(getattr(spans[0], name)[planned[0]], getattr(spans[1], name)[planned[1]])
        for name in ("start_ns", "end_ns", "calendar")
    )
