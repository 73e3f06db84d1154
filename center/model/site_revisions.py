"""Site bodies as gateways send them, validated and compiled: a revision of a site. Which of a gateway's count. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from oee.model.calendars import Calendar, Rotation, Shift
from wire.envelope import Unsound
from wire.site import SiteBody, SiteShift

_MAX_SHIFT_END_S: Final = 2 * 86_400
MOST_REVISIONS: Final = 200
"""Bodies of a gateway that are kept: what a site file has become in years. Older ones fold into the first that is kept."""
MOST_OF_A_DAY: Final = 20
"""Of these, such that are valid from one day (UTC) on."""
_DAY_NS: Final = 86_400_000_000_000


class RevisionKey(NamedTuple):
    """Identity of a body among those of its gateway. config_hash: with `@` and when it was written, where the body says that
    (`SiteBody.made_ns`).
    """

    valid_from_ns: int
    config_hash: str

    @property
    def written_ns(self) -> int:
        """When it was written, 0 if it does not say [ns UTC]."""
        return int(self.config_hash.partition("@")[2] or 0)


class _Keyed(Protocol):
    @property
    def key(self) -> RevisionKey: ...


K = TypeVar("K", bound=_Keyed)


def standing(items: Iterable[K]) -> list[K]:
    """Those that count, by the time from which they are valid: without bodies that are replaced by one that was written
    later and is valid from the same time or earlier, and without the oldest where there are too many.
    """
    ordered = sorted(items, key=attrgetter("key.valid_from_ns"))
    written_ns = 0
    out: list[K] = []
    for _, valid in groupby(ordered, attrgetter("key.valid_from_ns")):
        same = list(valid)
        written_ns = max(written_ns, *(item.key.written_ns for item in same))
        out += [item for item in same if (item.key.written_ns or item.key.valid_from_ns) >= written_ns]
    days = [list(items)[-MOST_OF_A_DAY:] for _, items in groupby(out, lambda item: item.key.valid_from_ns // _DAY_NS)]
    return [item for day in days for item in day][-MOST_REVISIONS:]


@dataclass(frozen=True)
class Revision:
    """One site body with its compiled calendars."""

    key: RevisionKey
    body: SiteBody
    zone: ZoneInfo
    calendars: Mapping[str, Calendar]

    @property
    def valid_from_ns(self) -> int:
        """From when on it is valid [ns UTC]."""
        return self.key.valid_from_ns

    def calendar(self, machine: str) -> Calendar | None:
        """The machine's calendar; None if the body does not name the machine or has no such calendar."""
        named = self.body.machines.get(machine)
        return self.calendars.get(named.calendar) if named else None


def compile_site(content: Any) -> Revision:
    """A site body, validated and compiled.

    Raises `Unsound` if it has another shape, or its zone, dates or times are impossible.
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
    suffix = f"@{body.made_ns}" if body.made_ns else ""  # the same file may become valid a second time
    return Revision(RevisionKey(body.valid_from_ns, body.config_hash + suffix), body, zone, calendars)


def _shift(calendar: str, shift: SiteShift) -> Shift:
    if not 0 <= shift.start_s < shift.end_s <= _MAX_SHIFT_END_S:
        raise Unsound(f"site: calendar {calendar!r} shift {shift.name!r} is from {shift.start_s} s to {shift.end_s} s")
    if not set(shift.weekdays) <= set(range(7)):
        raise Unsound(f"site: calendar {calendar!r} shift {shift.name!r} has weekdays {shift.weekdays}; 0 is Monday")
    pattern = shift.rotation
    rotation = Rotation(pattern.days, pattern.start, frozenset(pattern.on)) if pattern else None
    return Shift(shift.name, frozenset(shift.weekdays), shift.start_s, shift.end_s, tuple(shift.breaks), rotation)
