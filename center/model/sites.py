"""What the numbers are about: site bodies, calendars and owners, in memory, as the gateways' site files said.

A gateway's bodies follow each other by the time from which they are valid; a question about last month is answered
with last month's calendar. Before the first body its calendar counts too, from the machine's first fact on.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from oee.model.calendars import Calendar, Rotation, Shift
from wire.bodies import SiteBody, SiteMachine, SiteShift, SiteValue
from wire.envelope import Unsound

_MAX_SHIFT_END_S: Final = 2 * 86_400
Segments = list[tuple[Calendar, int, int]]


@dataclass(frozen=True)
class Owner:
    """The gateway that a machine belongs to. first_ns: the earliest minute of which there is a fact, or 0."""

    site: str
    machine: str
    gateway: str
    first_ns: int = 0


@dataclass(frozen=True)
class SiteRow:
    """A site body as it came: JSON text, valid from a time on."""

    site: str
    gateway: str
    config_hash: str
    valid_from_ns: int
    body: str


@dataclass(frozen=True)
class Revision:
    """One site body and its calendars, compiled."""

    valid_from_ns: int
    body: SiteBody
    zone: ZoneInfo
    calendars: Mapping[str, Calendar]

    def calendar(self, machine: str) -> Calendar | None:
        """The machine's calendar, None if the body does not name the machine or has no such calendar."""
        named = self.body.machines.get(machine)
        return self.calendars.get(named.calendar) if named else None


def revision(content: Any) -> Revision:
    """A site body, checked and compiled.

    Raises `Unsound` if it is not of that shape, or its zone, dates or times are impossible.
    """
    try:
        body = SiteBody.model_validate(content)
        zone = ZoneInfo(body.timezone)
        calendars = {
            name: Calendar(
                zone,
                tuple(_shift(name, shift) for shift in calendar.shifts),
                {
                    date.fromisoformat(day): tuple(_shift(name, shift) for shift in shifts)
                    for day, shifts in calendar.exceptions.items()
                },
            )
            for name, calendar in body.calendars.items()
        }
    except ValidationError as error:
        first = error.errors()[0]
        raise Unsound(f"site: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ZoneInfoNotFoundError, OSError) as error:
        raise Unsound(f"site: unknown time zone {body.timezone[:64]!r}") from error
    except ValueError as error:
        raise Unsound(f"site: {error}") from error
    if not 0 <= body.valid_from_ns < 2**63:
        raise Unsound(f"site: valid_from_ns {body.valid_from_ns} is no time")
    return Revision(body.valid_from_ns, body, zone, calendars)


def _shift(calendar: str, shift: SiteShift) -> Shift:
    if not 0 <= shift.start_s < shift.end_s <= _MAX_SHIFT_END_S:
        raise Unsound(f"site: calendar {calendar!r} shift {shift.name!r} is from {shift.start_s} s to {shift.end_s} s")
    if not set(shift.weekdays) <= set(range(7)):
        raise Unsound(f"site: calendar {calendar!r} shift {shift.name!r} has weekdays {shift.weekdays}; 0 is Monday")
    turn = shift.rotation
    rotation = Rotation(turn.days, turn.start, frozenset(turn.on)) if turn else None
    return Shift(shift.name, frozenset(shift.weekdays), shift.start_s, shift.end_s, tuple(shift.breaks), rotation)


def _standing(ordered: Sequence[Revision]) -> list[Revision]:
    """Without those that a later made one replaces, which is valid from the same time or earlier."""

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
    """All sites. Written by ingest alone, read by any thread: whatever is handed out is replaced, never changed."""

    def __init__(self, rows: Iterable[SiteRow] = (), owners: Iterable[Owner] = ()) -> None:
        self._revisions: dict[str, dict[str, tuple[Revision, ...]]] = {}
        self._owners: dict[str, dict[str, Owner]] = {}
        self.learn(rows, owners)

    def learn(self, rows: Iterable[SiteRow], owners: Iterable[Owner]) -> None:
        """Takes over what the books have."""
        for row in rows:
            known = self.revisions(row.site, row.gateway)
            if any(
                (item.valid_from_ns, item.body.config_hash) == (row.valid_from_ns, row.config_hash) for item in known
            ):
                continue
            new = revision(json.loads(row.body))
            ordered = _standing(sorted((*known, new), key=lambda item: item.valid_from_ns))
            mine = self._revisions.get(row.site, {}) | {row.gateway: tuple(ordered)}
            self._revisions = self._revisions | {row.site: mine}
        added: dict[str, dict[str, Owner]] = {}
        for owner in owners:
            added.setdefault(owner.site, {})[owner.machine] = owner
        if added:
            self._owners = self._owners | {site: self._owners.get(site, {}) | mine for site, mine in added.items()}

    def owner(self, site: str, machine: str) -> Owner | None:
        """Whose machine it is."""
        return self._owners.get(site, {}).get(machine)

    def ids(self) -> list[str]:
        """All sites that are known."""
        return sorted(self._revisions.keys() | self._owners.keys())

    def gateways(self, site: str) -> list[str]:
        """The gateways that described themselves or own a machine."""
        owning = {item.gateway for item in self._owners.get(site, {}).values()}
        return sorted(self._revisions.get(site, {}).keys() | owning)

    def values(self, site: str) -> dict[tuple[str, str], SiteValue]:
        """By gateway and tag the process values that its latest site file sends."""
        latest = {gateway: known[-1].body for gateway, known in self._revisions.get(site, {}).items()}
        return {(gateway, tag): value for gateway, body in latest.items() for tag, value in body.values.items()}

    def machines(self, site: str) -> list[str]:
        """All machines of a site, also those that no site file names any more."""
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

    def described(self, site: str, machine: str) -> SiteMachine | None:
        """The machine as its gateway's newest body that names it has it."""
        for item in reversed(self._of_machine(site, machine)):
            if machine in item.body.machines:
                return item.body.machines[machine]
        return None

    def line_name(self, site: str, machine: str) -> dict[str, str]:
        """What people call the machine's line, language to text; {} if it has none or nobody named it."""
        for item in reversed(self._of_machine(site, machine)):
            if machine in item.body.machines:
                line = item.body.lines.get(item.body.machines[machine].line)
                return line.name if line else {}
        return {}

    def segments(self, site: str, machine: str, start_ns: int, end_ns: int) -> Segments | None:
        """Which calendar was the machine's when, within the window; None if no body tells.

        Time before the machine was first heard of, or after its gateway's site file dropped it, is in none.
        """
        items = self._of_machine(site, machine)
        first = next((item for item in items if item.calendar(machine)), None)
        if first is None:
            return None
        owner = self._owners[site][machine]
        begin_ns = min((t_ns for t_ns in (owner.first_ns, first.valid_from_ns) if t_ns), default=0)
        out: Segments = []
        ends = [*(item.valid_from_ns for item in items[1:]), 2**63 - 1]
        for item, until_ns in zip(items, ends, strict=True):
            calendar = item.calendar(machine)
            if calendar is None:
                continue
            from_ns = begin_ns if item is first else item.valid_from_ns
            low, high = max(from_ns, start_ns), min(until_ns, end_ns)
            if low < high:
                out.append((calendar, low, high))
        return out

    def _of_machine(self, site: str, machine: str) -> Sequence[Revision]:
        owner = self.owner(site, machine)
        return self.revisions(site, owner.gateway) if owner else ()
