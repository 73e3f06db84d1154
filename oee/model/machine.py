"""A machine as the engine sees it: everything that a step needs, compiled from the site file. Pure.

Names of tags are `device.tag`. Durations are [ns], ideal times [us] per piece, so
that sums of milliseconds and microseconds stay exact in int64.

`agent` keeps a hash of this description to notice that it has changed. The names of these classes and of those in
`calendars` and `conditions`, and the order of their fields, are part of that hash: after a rename every gateway would
report its past as outdated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from oee.model.calendars import Calendar
from oee.model.conditions import Expression
from oee.model.states import State

NOT_HASHED = {"hashed": False}
"""Of fields that are no part of the hash: what they say follows from others."""
OPERATOR = "operator"
"""In place of a tag: the value comes from people (declarations)."""


@dataclass(frozen=True)
class Rule:
    """`when` is true: the machine is in `state`. The first rule that is true wins; an undetermined
    one before it makes the state unknown. when: None is always true.
    """

    when: Expression | None
    state: State
    reason: str = ""


@dataclass(frozen=True)
class CountGap:
    """No piece for longer than `max(ideals x ideal time, at_least_ns)` is a stop in `state` that starts one
    ideal time after the last piece, where the rules (if there are any) say running.
    """

    ideals: float
    at_least_ns: int
    state: State = State.UNPLANNED_STOP


@dataclass(frozen=True)
class Counter:
    """A tag that counts. bits: width at which it wraps; None: it does not (a float, or 64 bits).

    max_per_s: highest plausible rate [counts/s]; a step above it is no production. guessed: nobody has said it; then it
      follows from the ideal times of the machine's products, where there are any.
    poll_ns: longest time between two polls [ns], 0 where it is not known; recorded (or 0): rows stand for the looks, so that
      they say for how long nobody looked.
    period_ns: time between two polls where all is well [ns], 0 where counts carry their own time: how far a count's time may
      be off.
    """

    tag: str
    bits: int | None = 32
    signed: bool = False
    max_per_s: float = 100.0
    poll_ns: int = 0
    guessed: bool = field(default=False, metadata=NOT_HASHED)
    recorded: bool = field(default=False, metadata=NOT_HASHED)
    period_ns: int = field(default=0, metadata=NOT_HASHED)


@dataclass(frozen=True)
class Pieces:
    """How pieces are counted. Of total, good, reject and rework two determine the third; `operator` in place of
    a counter means that people enter them. left and right in place of total: a piece is a pair, made when both are.
    per_count: pieces per count where the product does not say; cavities: a tag that says how many pieces a count holds.
    """

    total: Counter | None = None
    good: Counter | None = None
    reject: Counter | Literal["operator"] | None = None
    rework: Counter | Literal["operator"] | None = None
    per_count: int = 1
    cavities: str = ""
    left: Counter | None = None
    right: Counter | None = None

    def counters(self) -> dict[str, Counter]:
        """The counters in use, by role."""
        named = {"total": self.total, "good": self.good, "reject": self.reject, "rework": self.rework}
        named |= {"left": self.left, "right": self.right}
        return {role: counter for role, counter in named.items() if isinstance(counter, Counter)}

    def needed(self) -> tuple[Counter, ...]:
        """The counters without which pieces cannot be counted; empty for a machine without any."""
        counters = (self.left, self.right) if self.left and self.right else (self.total or self.good,)
        return tuple(counter for counter in counters if counter is not None)


@dataclass(frozen=True)
class Ideal:
    """An ideal time [us per piece] valid from `since_ns` on; source: design, timed or guess."""

    us: int
    since_ns: int = 0
    source: str = "guess"


@dataclass(frozen=True)
class Product:
    """A product on this machine. ideals in order of `since_ns`; per_count: pieces per count, 0 = the machine's own."""

    id: str
    ideals: tuple[Ideal, ...] = ()
    per_count: int = 0


@dataclass(frozen=True)
class Machine:
    """One machine, compiled.

    rules: empty for a machine known only by its counts.
    gap: for `from_counts` (no rules) and `no_count` (over the rules).
    reason_tag, reason_map: a tag whose value names the reason of the stop that it lasts through.
    product_tag: a tag, `operator`, or "" where there is only `product`.
    """

    id: str
    calendar: Calendar
    rules: tuple[Rule, ...] = ()
    gap: CountGap | None = None
    pieces: Pieces = Pieces()
    product_tag: str = ""
    product: str = "?"
    products: Mapping[str, Product] = field(default_factory=dict)
    product_change: Literal["at_once", "next_stop"] = "at_once"
    reason_tag: str = ""
    reason_map: Mapping[str, str] = field(default_factory=dict)
    reason_states: Mapping[str, State] = field(default_factory=dict)
    minor_stop_at_most_ns: int = 300_000_000_000
    startup_pieces: int = 0
    shortest_run_ns: int = 0
    shortest_stop_ns: int = 0

    def tags(self) -> frozenset[str]:
        """Every tag that this machine's numbers depend on."""
        pieces = self.pieces
        named = {counter.tag for counter in pieces.counters().values()}
        named |= {name for rule in self.rules if rule.when for name in rule.when.tags}
        named |= {name for name in (self.reason_tag, self.product_tag, pieces.cavities) if name and name != OPERATOR}
        return frozenset(named)
