"""How long exchanges take on a serial line: for the pauses that the standard requires, and to predict whether a line can
carry its requests. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.modbus.bus.frames_rtu import response_size
from adapters.modbus.plan import Request

REQUEST_BYTES = 8
FAST_BAUD = 19200
FAST_GAP_S = 0.00175
"""Above 19200 baud the standard (Modbus over serial line 1.02, 2.5.1.1) fixes the gap between frames [s]."""


@dataclass(frozen=True, slots=True)
class Pace:
    """char_s: one character [s]; gap_s: silence that ends a frame [s]."""

    char_s: float
    gap_s: float


def pace(baud: int, bits_per_character: int) -> Pace:
    """The pace of a line: a gap is 3.5 characters, at high speed 1.75 ms."""
    char_s = bits_per_character / baud
    return Pace(char_s, FAST_GAP_S if baud > FAST_BAUD else 3.5 * char_s)


NETWORK_PACE = Pace(0.0, 0.0)
"""On Ethernet a frame takes no time worth counting."""
UNKNOWN_PACE = pace(9600, 11)
"""Assumed behind a network converter, whose serial speed is not known here."""


def exchange_s(request: Request, line: Pace, turnaround_s: float, pause_s: float) -> float:
    """Duration of a request, its response, and the silence after each [s]."""
    characters = REQUEST_BYTES + response_size(request.table, request.count)
    return characters * line.char_s + max(turnaround_s, line.gap_s) + max(line.gap_s, pause_s)


@dataclass(frozen=True, slots=True)
class Load:
    """The load of a line. cycle_s: every request once [s]; share: of the line's time, at the requests' periods [1];
    above 1 the line cannot keep the periods.
    """

    cycle_s: float
    share: float


def load(exchanges: Iterable[tuple[float, float]]) -> Load:
    """The load of a line from the duration and the period of each of its requests [s]."""
    pairs = list(exchanges)
    return Load(sum(cost_s for cost_s, _ in pairs), sum(cost_s / period_s for cost_s, period_s in pairs))
