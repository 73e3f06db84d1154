"""What a machine does, segment by segment: a plan while it is current, a record once it is over. Pure."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]
NO_CYCLES: Int64 = np.empty(0, np.int64)
NO_REJECTS: UInt8 = np.empty(0, np.uint8)


class Kind(IntEnum):
    """What the machine physically does."""

    RUN = 0
    STOP = 1  # stands still; no signal says why
    BREAKDOWN = 2
    STARVED = 3
    BLOCKED = 4
    CHANGE = 5  # stands still; the product changes
    OFFLINE = 6  # the PLC is offline with its machine; nothing is made


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment `[start_ns, end_ns)`.

    cause: what ends a run (an event or `break`), or what made a stop.
    code: alarm code. idle: a stop of the calendar.
    done_ns, rejects: completions of cycles within it (the end included) and rejected pieces of each.
    left_ns: remaining processing time of the piece in the machine at the end; None: it ends with a completion.
    change: (time, product index) at which the PLC gets a new product number.
    cycles_before, rejects_before: cycles and rejected pieces since the model's start.
    """

    start_ns: int
    end_ns: int
    kind: Kind
    cause: str
    code: int = 0
    idle: bool = False
    done_ns: Int64 = field(default_factory=lambda: NO_CYCLES)
    rejects: UInt8 = field(default_factory=lambda: NO_REJECTS)
    left_ns: int | None = None
    change: tuple[int, int] | None = None
    cycles_before: int = 0
    rejects_before: int = 0


@dataclass(frozen=True, slots=True)
class ProductChange:
    """A changeover as the signals show it: last cycle of the old product, new number, first good cycle
    of the new product (None: not yet).
    """

    last_old_ns: int
    change_ns: int
    first_good_ns: int | None
    old: int
    new: int
