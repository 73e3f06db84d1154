"""Sites, their calendars and the owners of their machines, in memory, as the gateways' site bodies state them. Pure.

The bodies of a gateway follow each other by the time from which they are valid: a query about last month is answered
with last month's calendar. The first body's calendar also counts before it, from the machine's first fact on.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from center.model.site_revisions import Revision, compile_site
from oee.model.calendars import Calendar
from wire.bodies import SiteBody, SiteMachine, SiteValue

Segments = list[tuple[Calendar, int, int]]
"""Calendars with the time in which each was in force: start_ns, end_ns."""


@dataclass(frozen=True)
class Owner:
    """The gateway that owns a machine. first_ns: the earliest minute of which there is a fact, or 0."""

    site: str
    machine: str
    gateway: str
    first_ns: int = 0


@dataclass(frozen=True)
class SiteRow:
    """A site body as received: JSON text, valid from a time on."""

    site: str
    gateway: str
    config_hash: str
    valid_from_ns: int
    body: str


def _effective(ordered: Sequence[Revision]) -> list[Revision]:
    """The revisions without those replaced by one that was made later and is valid from the same time or earlier."""

    def made_ns(item: Revision) -> int:
        return item.body.made_ns or item.valid_from_ns

    return [
        item
        for item in ordered
        if not any(
            other.valid_from_ns <= item.valid_from_ns and made_ns(other) > made_ns(item) and other.body.made_ns
            for other in ordered
        )
    ]


class Sites:
    """All sites. Changed by ingest alone, read by any thread: what is returned is replaced, never changed."""

    def __init__(self, rows: Iterable[SiteRow] = (), owners: Iterable[Owner] = ()) -> None:
        self._revisions: dict[str, dict[str, tuple[Revision, ...]]] = {}
        self._owners: dict[str, dict[str, Owner]] = {}
        self.learn(rows, owners)

    def learn(self, rows: Iterable[SiteRow], owners: Iterable[Owner]) -> None:
        """Adds site bodies and owners."""
        for row in rows:
            earlier = self.revisions(row.site, row.gateway)
            if any(
                (item.valid_from_ns, item.body.config_hash) == (row.valid_from_ns, row.config_hash) for item in earlier
            ):
                continue
            new = compile_site(json.loads(row.body))
            ordered = _effective(sorted((*earlier, new), key=lambda item: item.valid_from_ns))
            of_site = self._revisions.get(row.site, {}) | {row.gateway: tuple(ordered)}
            self._revisions = self._revisions | {row.site: of_site}
        added: dict[str, dict[str, Owner]] = {}
        for owner in owners:
            added.setdefault(owner.site, {})[owner.machine] = owner
        if added:
            self._owners = self._owners | {site: self._owners.get(site, {}) | new for site, new in added.items()}

    def owner(self, site: str, machine: str) -> Owner | None:
        """The owner of a machine, None if it has none."""
        return self._owners.get(site, {}).get(machine)

    def ids(self) -> list[str]:
        """All known sites."""
        return sorted(self._revisions.keys() | self._owners.keys())

    def gateways(self, site: str) -> list[str]:
        """The gateways that sent a site body or own a machine."""
        owning = {item.gateway for item in self._owners.get(site, {}).values()}
        return sorted(self._revisions.get(site, {}).keys() | owning)

    def machines(self, site: str) -> list[str]:
        """All machines of a site, also those that no site body names any more."""
        return sorted(self._owners.get(site, ()))

    def revisions(self, site: str, gateway: str) -> Sequence[Revision]:
        """The gateway's bodies by the time from which they are valid."""
        return self._revisions.get(site, {}).get(gateway, ())

    def current(self, site: str) -> Revision | None:
        """The newest body of any of the site's gateways: its name, zone and formula are the site's."""
        newest = [items[-1] for items in self._revisions.get(site, {}).values()]
        return max(newest, key=lambda item: item.valid_from_ns, default=None)

    def bodies(self, site: str) -> list[SiteBody]:
        """The newest body of each of the site's gateways, the newest of all last."""
        newest = [items[-1] for items in self._revisions.get(site, {}).values()]
        return [item.body for item in sorted(newest, key=lambda item: item.valid_from_ns)]

    def body_of(self, site: str, machine: str) -> SiteBody | None:
        """The newest body of the machine's gateway that names it."""
        named = (item.body for item in reversed(self._of_machine(site, machine)) if machine in item.body.machines)
        return next(named, None)

    def segments(self, site: str, machine: str, start_ns: int, end_ns: int) -> Segments | None:
        """The machine's calendars within the window, None if no body names one.

        Time before the machine was first seen, or after its gateway's site body dropped it, is in none.
        """
        revisions = self._of_machine(site, machine)
        first = next((revision for revision in revisions if revision.calendar(machine)), None)
        if first is None:
            return None
        owner = self._owners[site][machine]
        begin_ns = min((t_ns for t_ns in (owner.first_ns, first.valid_from_ns) if t_ns), default=0)
        out: Segments = []
        ends = [*(revision.valid_from_ns for revision in revisions[1:]), 2**63 - 1]
        for revision, until_ns in zip(revisions, ends, strict=True):
            calendar = revision.calendar(machine)
            if calendar is None:
                continue
            from_ns = begin_ns if revision is first else revision.valid_from_ns
            low, high = max(from_ns, start_ns), min(until_ns, end_ns)
            if low < high:
                out.append((calendar, low, high))
        return out

    def _of_machine(self, site: str, machine: str) -> Sequence[Revision]:
        owner = self.owner(site, machine)
        return self.revisions(site, owner.gateway) if owner else ()


def site_machine(sites: Sites, site: str, machine: str) -> SiteMachine | None:
    """The machine in its newest body, None if no body names it."""
    body = sites.body_of(site, machine)
    return body.machines[machine] if body else None


def line_name(sites: Sites, site: str, machine: str) -> dict[str, str]:
    """The name of the machine's line, language to text; {} if it has none or the line has no name."""
    body = sites.body_of(site, machine)
    line = body.lines.get(body.machines[machine].line) if body else None
    return line.name if line else {}


def sent_values(sites: Sites, site: str) -> dict[tuple[str, str], SiteValue]:
    """By gateway and tag the process values that each gateway's newest body sends."""
    newest = {
        gateway: revisions[-1].body for gateway in sites.gateways(site) if (revisions := sites.revisions(site, gateway))
    }
    return {(gateway, tag): value for gateway, body in newest.items() for tag, value in body.values.items()}
