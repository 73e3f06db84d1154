"""Lengths of stops: drawn at random, then fitted to the calendar and to what signals can show."""

from dataclasses import dataclass

from simulator.behaviour.dice import SECOND_NS, SHORTEST_NS, Dice
from simulator.behaviour.segments import Kind
from simulator.factory import VISIBLE, Event, MachineSpec
from simulator.timetable import Timetable

LIMIT_MARGIN_NS = 8 * SECOND_NS
PAUSE_MARGIN_NS = 15 * SECOND_NS
KINDS: dict[str, Kind] = {
    "breakdown": Kind.BREAKDOWN,
    "starved": Kind.STARVED,
    "blocked": Kind.BLOCKED,
    "changeover": Kind.CHANGE,
    "offline": Kind.OFFLINE,
}


@dataclass(frozen=True)
class Frame:
    """What bounds the stops of one machine."""

    timetable: Timetable
    dice: Dice
    late_s: float
    limit_ns: int


def minor_limit_ns(spec: MachineSpec) -> int:
    """The longest minor stop of this machine [ns]."""
    return int(spec.minor_limit_s * SECOND_NS)


def shortest(spec: MachineSpec, ideal_ns: int) -> int:
    """The shortest stop that the machine's signals can distinguish from running [ns]."""
    if spec.plc != "pulse":
        return SHORTEST_NS
    return max(5 * ideal_ns // 2, 30 * SECOND_NS) + 6 * SECOND_NS - 9 * ideal_ns // 10


def wish(frame: Frame, cause: str, event: Event, trouble: float) -> int:
    """A stop's drawn length, on the right side of the minor-stop limit [ns]."""
    length_ns = frame.dice.length(event, trouble)
    if cause == "minor":
        return min(length_ns, frame.limit_ns - 2 * LIMIT_MARGIN_NS)
    if cause == "unplanned":
        return max(length_ns, frame.limit_ns + 2 * LIMIT_MARGIN_NS)
    if cause == "offline":
        return max(length_ns, 15 * SECOND_NS)
    return length_ns


def restart(frame: Frame, start_ns: int, length_ns: int, kind: Kind) -> int:
    """When a stop of about this length may end: while the factory works, and clear of the minor-stop limit."""
    end_ns = start_ns + length_ns
    for _ in range(60):
        end_ns = _after_pause(frame, end_ns)
        if kind != Kind.STOP:
            break
        sections = frame.timetable.sections(start_ns, end_ns)
        if len(sections) > 1 and _near_limit(frame, *sections[0]):
            return start_ns + frame.limit_ns - 2 * LIMIT_MARGIN_NS  # a last short run before the factory closes
        if not sections or not _near_limit(frame, *sections[-1]):
            break
        end_ns += LIMIT_MARGIN_NS + SECOND_NS
    return end_ns


def _after_pause(frame: Frame, end_ns: int) -> int:
    """`end_ns`, or the late restart after the pause that it falls into or comes too close to."""
    edge_ns = frame.timetable.next_edge(end_ns)
    start_ns = frame.timetable.next_scheduled(end_ns if edge_ns - end_ns > PAUSE_MARGIN_NS else edge_ns)
    if start_ns == end_ns:
        return end_ns
    return start_ns + max(frame.dice.around(frame.late_s), SHORTEST_NS)


def _near_limit(frame: Frame, start_ns: int, end_ns: int) -> bool:
    scheduled_ns = frame.timetable.scheduled_before(end_ns) - frame.timetable.scheduled_before(start_ns)
    return abs(scheduled_ns - frame.limit_ns) < LIMIT_MARGIN_NS


def time_to_change(timetable: Timetable, event: Event, t_ns: int) -> bool:
    """Whether a changeover from `t_ns` on would be over before the factory closes."""
    ahead_ns = int(min(event.at_most_s, event.lasts_s * 3) * SECOND_NS) + 7200 * SECOND_NS
    return timetable.sections(t_ns, t_ns + ahead_ns) == [(t_ns, t_ns + ahead_ns)]


def refuse(spec: MachineSpec, event: str, for_ns: int) -> None:
    """Raises `ValueError` for a forced event that this machine's signals cannot show."""
    if event in {"breakdown", "starved", "blocked"} - VISIBLE[spec.plc]:
        raise ValueError(f"{spec.id} has no signal for {event}; force minor_stop or offline")
    if event == "changeover" and len(spec.products) < 2:
        raise ValueError(f"{spec.id} makes one product only; it has no changeover")
    if event == "minor_stop" and abs(for_ns - spec.minor_limit_s * SECOND_NS) < LIMIT_MARGIN_NS:
        raise ValueError(
            f"{spec.id}: {for_ns / SECOND_NS:g} s is too close to the minor-stop limit of {spec.minor_limit_s:g} s"
        )
