"""What a machine can make: how far a counter may go from one look to the next. Pure.

A counter may go on by

    slack + rate x D + rate away x A

where A is the time of an outage (the counter was not known), and D is the time in which pieces may have been made that the
register did not show before. D begins at the last change of the register, not at the last look: a register that counts
boxes, or that a line controller copies once a minute, stands still in between and is right. But D is at most

    held + the time since the last look + the time that the machine has run since that change, `ran` at most,

so that a machine which stood, as its signals show, cannot come back from a changeover with the counter of another recipe.
A register that was set back shows what was made since the last look: there D is at most `fresh` + the time since it.

    rate                where it comes from                                             slack      held   ran
    max_per_s           the site file says it; across an outage too                     1 count    10 s   nothing
    3 x fastest ideal   of the machine's products; 1.5 x across an outage               3 counts   60 s   15 min
    100/s               nothing is known                                                1 count    10 s   nothing

`held` and `fresh` (10 s) are at least the longest time between two polls. The law that follows, and why the figures are
what they are: docs/design/0020-counters.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oee.model.machine import Counter, Machine, Product
from oee.model.samples import Int64

FACTOR: Final = 3.0
"""Times the rate of the ideal time: ideal times are often set too long, and looks are not sharp."""
AWAY_FACTOR: Final = 1.5
"""The same across an outage: what a machine does for some seconds it does not do for hours."""
SLACK: Final = 3
SAID_SLACK: Final = 1
HELD_NS: Final = 60_000_000_000
FRESH_NS: Final = 10_000_000_000
RAN_NS: Final = 900_000_000_000


@dataclass(frozen=True)
class Limits:
    """How far one counter may go. per_s, away_per_s: while it is known and across an outage [counts/s]; slack: [counts];
    held_ns, fresh_ns, ran_ns: see above; learns: whether a pace that the register keeps up widens them.
    """

    per_s: float
    away_per_s: float
    slack: int = SAID_SLACK
    held_ns: int = FRESH_NS
    fresh_ns: int = FRESH_NS
    ran_ns: int = 0
    learns: bool = False

    @property
    def new_ns(self) -> int:
        """For how long a new register may have stood before its first look."""
        return self.held_ns if self.learns else 0

    def widened(self, pace_ns: int) -> "Limits":
        """The limits of a register that was seen to keep up a count in `pace_ns`, 0 for none."""
        if not pace_ns:
            return self
        per_s, away_per_s = FACTOR * 1e9 / pace_ns, AWAY_FACTOR * 1e9 / pace_ns
        return replace(self, per_s=max(self.per_s, per_s), away_per_s=max(self.away_per_s, away_per_s))

    def counts(self, since_ns: int, away_ns: int = 0, per_count: int = 1) -> int:
        """The most counts in times D and A. per_count: pieces that a count holds, where a tag says so."""
        made = self.per_s * (since_ns / 1e9) + self.away_per_s * (away_ns / 1e9)
        return int(made / per_count) + self.slack

    def counts_of(self, since_ns: Int64, away_ns: Int64 | None, per_count: Int64 | None) -> Int64:
        """The same for columns."""
        made = self.per_s * (since_ns / 1e9)
        if away_ns is not None:
            made = made + self.away_per_s * (away_ns / 1e9)
        if per_count is not None:
            made = made / per_count
        out: Int64 = made.astype(np.int64) + self.slack
        return out


def limits_of(counter: Counter) -> Limits:
    """The limits of a counter by what is said about it alone."""
    wait_ns = max(FRESH_NS, counter.poll_ns)
    return Limits(counter.max_per_s, counter.max_per_s, held_ns=wait_ns, fresh_ns=wait_ns)


def machine_limits(machine: Machine, role: str) -> Limits:
    """The limits of one of a machine's counters."""
    counter = machine.pieces.counters()[role]
    said = limits_of(counter)
    fastest = fastest_per_s(machine, role) if counter.guessed else None
    if fastest is None:
        return said
    held_ns = max(HELD_NS, counter.poll_ns)
    return Limits(FACTOR * fastest, AWAY_FACTOR * fastest, SLACK, held_ns, said.fresh_ns, RAN_NS, learns=True)


def counts_output(machine: Machine, role: str) -> bool:
    """Whether a count of this counter stands for all pieces of a cycle, `per_count` or those that `cavities` tells."""
    return role in ("total", "left", "right") or (role == "good" and machine.pieces.total is None)


def fastest_per_s(machine: Machine, role: str) -> float | None:
    """The highest rate of a counter by the ideal times of the products that the machine may make [counts/s], None where
    none is known. Where a tag tells the pieces of a count, the rate of single pieces.
    """
    cycles = counts_output(machine, role) and not machine.pieces.cavities
    rates = [
        1e6 / (ideal.us * ((product.per_count or machine.pieces.per_count) if cycles else 1))
        for product in _may_make(machine)
        for ideal in product.ideals
        if ideal.us > 0
    ]
    return max(rates, default=None)


def _may_make(machine: Machine) -> Iterable[Product]:
    """The products that a machine may make: one if it has no way to tell them."""
    if not machine.product_tag and machine.product in machine.products:
        return (machine.products[machine.product],)
    return machine.products.values()


@dataclass(frozen=True)
class RunClock:
    """How long a machine has been able to make pieces, as far as its signals show: it ran, or nobody knows. start_ns:
    int64[n] ascending; able: bool[n], from each of these times to the next; first_ns: what the clock shows at the first.
    """

    start_ns: Int64
    able: NDArray[np.bool_]
    first_ns: int = 0

    @cached_property
    def _shown_ns(self) -> Int64:
        length = np.where(self.able[:-1], np.diff(self.start_ns), 0)
        out: Int64 = np.append(0, length.cumsum()) + self.first_ns
        return out

    def at(self, t_ns: Any) -> Any:
        """What the clock shows at this time or these times [ns]."""
        index = np.maximum(np.searchsorted(self.start_ns, t_ns, "right") - 1, 0)
        return self._shown_ns[index] + np.where(self.able[index], np.maximum(t_ns - self.start_ns[index], 0), 0)


STANDS: Final = RunClock(np.zeros(1, np.int64), np.zeros(1, np.bool_))
RUNS: Final = RunClock(np.zeros(1, np.int64), np.ones(1, np.bool_))
"""The clocks of a machine that never runs, and of one that always does."""
