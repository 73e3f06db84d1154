"""Site bodies as gateways send them, validated and compiled: a revision of a site. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from oee.model.calendars import Calendar, Rotation, Shift
from wire.bodies import SiteBody, SiteShift
from wire.envelope import Unsound

_MAX_SHIFT_END_S: Final = 2 * 86_400


@dataclass(frozen=True)
class Revision:
    """One site body with its compiled calendars."""

    valid_from_ns: int
    body: SiteBody
    zone: ZoneInfo
    calendars: Mapping[str, Calendar]

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
    return Revision(body.valid_from_ns, body, zone, calendars)


def _shift(calendar: str, shift: SiteShift) -> Shift:
    if not 0 <= shift.start_s < shift.end_s <= _MAX_SHIFT_END_S:
        raise Unsound(f"site: calendar {calendar!r} shift {shift.name!r} is from {shift.start_s} s to {shift.end_s} s")
    if not set(shift.weekdays) <= set(range(7)):
        raise Unsound(f"site: calendar {calendar!r} shift {shift.name!r} has weekdays {shift.weekdays}; 0 is Monday")
    pattern = shift.rotation
    rotation = Rotation(pattern.days, pattern.start, frozenset(pattern.on)) if pattern else None
    return Shift(shift.name, frozenset(shift.weekdays), shift.start_s, shift.end_s, tuple(shift.breaks), rotation)
