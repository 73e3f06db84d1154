"""What every view of a gateway agrees on: which stops people are asked about, and how much of a shift is known. Pure."""

from typing import Final

from oee.model.calendars import scheduled_ms
from oee.model.facts import MS_NS, Stop
from oee.model.machine import Machine
from oee.model.states import State

ASKED: Final = (State.UNPLANNED_STOP, State.BREAKDOWN, State.UNKNOWN)
"""States of which people are asked for the reason, or for what the machine did."""
LATE_NS: Final = 180_000_000_000
"""Minutes that are not known this long after their end count as unknown: commits come every ten seconds, those of a machine
with much to remember once a minute."""


def known_until(computed_ns: int, now_ns: int) -> int:
    """Up to when time of which nothing is known counts as unknown [ns]. computed_ns: up to when facts are there."""
    return min(max(computed_ns, now_ns - LATE_NS), now_ns)


def needs_answer(stop: Stop) -> bool:
    """Whether people are asked about a stop of that kind, if it is long enough."""
    return stop.state in ASKED and not stop.reason


def asked_ms(machine: Machine, stop: Stop, now_ns: int) -> int:
    """The scheduled length of a stop that people are asked about [ms]; 0 of any other. It is beyond the machine's longest
    minor stop; a stop that lasts goes on to `now_ns`.
    """
    if not needs_answer(stop):
        return 0
    length_ms = scheduled_ms(machine.calendar, stop.start_ns, now_ns if stop.end_ns is None else stop.end_ns)
    return length_ms if length_ms * MS_NS > machine.minor_stop_at_most_ns else 0
