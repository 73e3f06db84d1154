"""Shifts of the site file as the core's shifts; times of a shift over midnight continue beyond 24 h."""

from config.site.model import ShiftModel
from config.yaml.times import DAY_S
from oee.model.calendars import Rotation, Shift


def shift_end_s(shift: ShiftModel) -> int:
    """When a shift ends [s after the midnight of the day on which it starts]."""
    return shift.end_s if shift.end_s > shift.start_s else shift.end_s + DAY_S


def breaks_of(shift: ShiftModel) -> tuple[tuple[int, int], ...]:
    """Its breaks [s after the midnight of the day on which it starts]; of a shift over midnight, a break before the
    shift's start lies on the next day.
    """
    overnight = shift_end_s(shift) > DAY_S
    out = []
    for first, last in shift.breaks:
        start_s = first + DAY_S if overnight and first < shift.start_s else first
        end_s = last + DAY_S if overnight and last <= shift.start_s else last
        out.append((start_s, end_s))
    return tuple(out)


def compile_shift(shift: ShiftModel) -> Shift:
    """The core's shift."""
    turn = shift.rotation
    rotation = Rotation(turn.days, turn.start, frozenset(day - 1 for day in turn.on)) if turn else None
    return Shift(shift.name, shift.days, shift.start_s, shift_end_s(shift), breaks_of(shift), rotation)
