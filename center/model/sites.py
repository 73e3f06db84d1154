"""Sites, their calendars and the owners of their machines, in memory, as the gateways' site bodies state them. Pure.

The bodies of a gateway follow each other by the time from which they are valid: a query about last month is answered
with last month's calendar. The first body's calendar also counts before it, from the machine's first fact on.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from center.model.site_revisions import Revision, RevisionKey, compile_site, standing
from oee.model.calendars import Calendar
from wire.envelope import Unsound
from wire.site import SiteBody, SiteMachine, SiteValue

Segments = list[tuple[Calendar, int, int]]
"""Calendars with the time in which each was in force: start_ns, end_ns."""


FORGOTTEN_NS: Final = -1
"""In place of a machine's first minute: an administrator deleted its rows, and none have come since."""


class LineSpan(NamedTuple):
    """A line that a machine belonged to, "" for none. names: by language, {} where the line has none; from_ns, until_ns:
    half-open [ns UTC], 0 for its beginning and None for now.
    """

    line: str
    names: dict[str, str]
    from_ns: int
    until_ns: int | None


@dataclass(frozen=True)
class Owner:
    """The gateway that owns a machine. first_ns: the earliest minute of which there is a fact, 0, or `FORGOTTEN_NS`."""

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

    @property
    def key(self) -> RevisionKey:
        """Its identity among those of its gateway."""
        return RevisionKey(self.valid_from_ns, self.config_hash)


def _with_new(
    known: Sequence[Revision], new: Mapping[RevisionKey, SiteRow], refuse: Callable[[str], None]
) -> tuple[Revision, ...]:
    """A gateway's revisions with the new ones. refuse: told why one is left out."""
    out: list[Revision] = []
    items: dict[RevisionKey, SiteRow | Revision] = {**new}
    items |= {item.key: item for item in known}
    for item in standing(items.values()):
        try:
            out.append(item if isinstance(item, Revision) else compile_site(json.loads(item.body)))
        except Unsound as error:
            refuse(str(error))
    return tuple(out)


class Sites:
    """All sites. Changed by ingest alone, read by any thread: what is returned is replaced, never changed."""

    def __init__(self, rows: Iterable[SiteRow] = (), owners: Iterable[Owner] = ()) -> None:
        self._revisions: dict[str, dict[str, tuple[Revision, ...]]] = {}
        self._owners: dict[str, dict[str, Owner]] = {}
        self.refused: dict[tuple[str, str], str] = {}
        """Of gateways with a stored body that is not accepted any more (by an earlier version it was): why."""
        self.learn(rows, owners)

    def learn(self, rows: Iterable[SiteRow], owners: Iterable[Owner]) -> None:
        """Adds site bodies and owners. A body costs the same whether it is the first of its gateway or the thousandth."""
        new: dict[tuple[str, str], dict[RevisionKey, SiteRow]] = {}
        for row in rows:
            new.setdefault((row.site, row.gateway), {})[row.key] = row
        learnt: dict[str, dict[str, tuple[Revision, ...]]] = {}
        for (site, gateway), by_key in new.items():
            refuse = partial(self.refused.__setitem__, (site, gateway))
            learnt.setdefault(site, {})[gateway] = _with_new(self.revisions(site, gateway), by_key, refuse)
        self._revisions = self._revisions | {
            site: self._revisions.get(site, {}) | of_site for site, of_site in learnt.items()
        }
        added: dict[str, dict[str, Owner]] = {}
        for owner in owners:
            added.setdefault(owner.site, {})[owner.machine] = owner
        if added:
            self._owners = self._owners | {site: self._owners.get(site, {}) | new for site, new in added.items()}

    def owner(self, site: str, machine: str) -> Owner | None:
        """The owner of a machine, None if it has none."""
        return self._owners.get(site, {}).get(machine)

    def owners(self, site: str) -> Iterable[Owner]:
        """The owners of all its machines."""
        return self._owners.get(site, {}).values()

    def ids(self) -> list[str]:
        """All known sites."""
        return sorted(self._revisions.keys() | self._owners.keys())

    def gateways(self, site: str) -> list[str]:
        """The gateways that sent a site body or own a machine."""
        owning = {item.gateway for item in self._owners.get(site, {}).values()}
        return sorted(self._revisions.get(site, {}).keys() | owning)

    def machines(self, site: str) -> list[str]:
        """All machines of a site, also those that are retired; without those that were forgotten."""
        return sorted(
            machine
            for machine, owner in self._owners.get(site, {}).items()
            if owner.first_ns != FORGOTTEN_NS or retired_since(self, site, machine) is None
        )

    def revisions(self, site: str, gateway: str) -> Sequence[Revision]:
        """The gateway's bodies by the time from which they are valid."""
        return self._revisions.get(site, {}).get(gateway, ())

    def current(self, site: str) -> Revision | None:
        """The newest body of any of the site's gateways: its name, zone and formula are the site's."""
        newest = [items[-1] for items in self._revisions.get(site, {}).values()]
        return max(newest, key=lambda item: item.valid_from_ns, default=None)

    def body_of(self, site: str, machine: str) -> SiteBody | None:
        """The newest body of the machine's gateway that names it."""
        named = (item.body for item in reversed(self.of_machine(site, machine)) if machine in item.body.machines)
        return next(named, None)

    def segments(self, site: str, machine: str, start_ns: int, end_ns: int) -> Segments | None:
        """The machine's calendars within the window, None if no body names one.

        Time before the machine was first seen, or after its gateway's site body dropped it, is in none.
        """
        revisions = self.of_machine(site, machine)
        first = next((revision for revision in revisions if revision.calendar(machine)), None)
        if first is None:
            return None
        owner = self._owners[site][machine]
        begin_ns = min((t_ns for t_ns in (owner.first_ns, first.valid_from_ns) if t_ns > 0), default=0)
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

    def of_machine(self, site: str, machine: str) -> Sequence[Revision]:
        """The bodies of the machine's gateway, by the time from which they are valid."""
        owner = self.owner(site, machine)
        return self.revisions(site, owner.gateway) if owner else ()


def newest_bodies(sites: Sites, site: str) -> list[SiteBody]:
    """The newest body of each of the site's gateways, the newest of all last."""
    newest = [items[-1] for gateway in sites.gateways(site) if (items := sites.revisions(site, gateway))]
    return [item.body for item in sorted(newest, key=lambda item: item.valid_from_ns)]


def retired_since(sites: Sites, site: str, machine: str) -> int | None:
    """Since when the site bodies of its gateway have not named the machine [ns UTC]; None while they do, and where there
    is none yet.
    """
    since: int | None = None
    for revision in reversed(sites.of_machine(site, machine)):
        if machine in revision.body.machines:
            break
        since = revision.valid_from_ns
    return since


def lines_of(sites: Sites, site: str, machine: str) -> list[LineSpan]:
    """The lines that the machine belonged to; the first one also before its body became valid, the last one also after no
    body names it any more.
    """
    spans: list[LineSpan] = []
    for revision in sites.of_machine(site, machine):
        named = revision.body.machines.get(machine)
        if named is None:
            continue
        names = revision.body.lines[named.line].name if named.line in revision.body.lines else {}
        if spans and spans[-1].line == named.line:
            spans[-1] = spans[-1]._replace(names=names)
            continue
        from_ns = revision.valid_from_ns if spans else 0
        spans = [*spans[:-1], *(item._replace(until_ns=from_ns) for item in spans[-1:])]
        spans.append(LineSpan(named.line, names, from_ns, None))
    return spans


def line_at(spans: Sequence[LineSpan], t_ns: int) -> LineSpan | None:
    """Which of a machine's lines it belonged to at that time; None for a machine that no site body names."""
    return next((span for span in spans if span.until_ns is None or t_ns < span.until_ns), None)


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
