"""Steps of a counter: what each was, decided by what was before it. Pure.

A counter's first value is a baseline and counts nothing. After that each change is one of

    forward    no further than the machine can have come (`limits.py`): counted
    rollover   the same modulo 2^bits: counted modulo 2^bits
    return     the register shows again what it showed before a reset or jump, or what can have been made since: what is
               missing is counted, as if nobody had looked in between. What was between is told as a `spike` (one stray value)
               or a `dip`
    reset      smaller, and no more than can have been made since the last look: the new value is counted
    jump       none of these (a replaced PLC, the counter of another recipe, a preset): counts nothing, a new baseline
    pace       the third step in a row that is too far by the ideal times, all at about one pace: the register counts that
               fast. All three are counted, and the limit is widened to that pace

in this order, except that a register which is back within a minute without having moved has returned (a PLC that restarts
shows 0 for some looks). Nothing depends on what comes later, so a history gives the same pieces however it is cut. What
was decided is told as oddities, except for forward and rollover.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from oee.engine.counting.limits import SLACK, Limits, RunClock
from oee.model.samples import Int64

REMEMBERED_NS: Final = 3_600_000_000_000
"""For so long a register may be seen elsewhere and come back to a value that it left."""
BRIEF_NS: Final = 60_000_000_000
_MOST_LEVELS: Final = 4
_CONFIRMING: Final = 3
"""So many steps in a row, none more than so many times as fast as another, are a pace."""
_FASTEST_PACE_NS: Final = 10_000_000
"""No pace is faster than 100/s: such a register is read wrongly."""


class Oddity(NamedTuple):
    """A change that was neither forward nor rollover: when, what it was, the values before and after it. What turns out to
    have been a spike or dip is told again with the same time.
    """

    t_ns: int
    kind: str
    old: int
    new: int


@dataclass(frozen=True)
class LeftValue:
    """A value that the register left by a reset or jump. The field names are keys on disk.

    since_ns, away_ns: the times in which more pieces may have been made than it showed when it was left (D and A of
    `limits.py`); left_ns, next_value: the first look at another value; lost_ns: the first row since it was last seen that
    was not good, or -1; made: counted since it was left. stood_ns: since when the register may have stood there; moved_ns:
    when it left it, at the earliest; stood_ran_ns, moved_ran_ns: what the clock of running time showed then. -1: written by
    an earlier version, unknown.
    """

    value: int
    since_ns: int
    away_ns: int
    left_ns: int
    next_value: int
    lost_ns: int = -1
    made: int = 0
    reset: bool = False
    stood_ns: int = -1
    stood_ran_ns: int = 0
    moved_ns: int = -1
    moved_ran_ns: int = 0


class TooFar(NamedTuple):
    """Steps in a row that were too far: how many, of how many counts, and the slowest one's time for a count [ns]."""

    steps: int = 0
    counts: int = 0
    pace_ns: int = 0


@dataclass(frozen=True)
class CounterState:
    """The state of a counter between blocks. The field names are keys on disk.

    value: the last raw value, None before the first; at_ns: when it was last seen; lost: rows that are not good have come
      since, and at_ns is the time of the first of them; lost_ran_ns: what the clock of running time showed then.
    waiting: for a left counter, pieces without a right one yet (negative: right without left).
    changed_ns: when the value may last have changed, at the earliest; ran_ns: what the machine's clock of running time
      showed then; new: it is a baseline (the first value, or that of a jump), and nobody knows for how long it had stood.
    levels: what it may return to, the latest last; stray: the value has not changed since the latest was left.
    refused: steps that may turn out to be a pace; pace_ns: the pace that it has been seen to keep up [ns a count], or 0.
    """

    value: int | None = None
    at_ns: int = 0
    lost: bool = False
    waiting: int = 0
    changed_ns: int = 0
    ran_ns: int = 0
    lost_ran_ns: int = 0
    new: bool = False
    levels: tuple[LeftValue, ...] = ()
    stray: bool = False
    refused: TooFar = TooFar()
    pace_ns: int = 0


def read_state(plain: Mapping[str, Any]) -> CounterState:
    """The state of which `dataclasses.asdict` made this. Raises `TypeError` if it is none."""
    levels = tuple(LeftValue(**level) for level in plain.get("levels", ()))
    return CounterState(**{**plain, "levels": levels, "refused": TooFar(*plain.get("refused", ()))})


@dataclass(frozen=True)
class Looks:
    """Looks at a register that are later than its state. seen_ns: the look before each; lost_ns: the first row between
    them that was not good, or -1; step: the change between them; per_count: pieces that a count holds, where a tag tells
    it; recorded: rows stand for all looks that matter. On a live line only changes are rows, and the register has been
    confirmed up to the time at which it was seen to change.
    """

    t_ns: Int64
    raw: Int64
    lost_ns: Int64
    seen_ns: Int64
    step: Int64
    per_count: Int64 | None
    recorded: bool

    def known_ns(self, rows: Any) -> Any:
        """Until when the register was known before it was seen to change."""
        lost_ns = self.lost_ns[rows]
        return np.where(lost_ns >= 0, lost_ns, self.t_ns[rows])

    def changed_ns(self, rows: Any) -> Any:
        """When the changes that were seen may have come, at the earliest."""
        lost_ns = self.lost_ns[rows]
        return np.where(lost_ns >= 0, lost_ns, (self.seen_ns if self.recorded else self.t_ns)[rows])

    def seen_ago_ns(self, rows: Any) -> Any:
        """How long before they were seen to change nobody had looked."""
        if not self.recorded:
            return np.zeros_like(self.t_ns[rows])
        return np.where(self.lost_ns[rows] >= 0, 0, self.t_ns[rows] - self.seen_ns[rows])


def passed(state: CounterState, made: Int64, lost_ns: Int64, low: int, high: int) -> CounterState:
    """The state after looks `[low, high)`, at which the register went forward or stood."""
    if not state.levels or low >= high:
        return state
    counted = int(made[low:high].sum())
    lost = lost_ns[low:high]
    first_lost_ns = int(lost[lost >= 0][0]) if (lost >= 0).any() else -1
    levels = tuple(
        replace(level, made=level.made + counted, lost_ns=level.lost_ns if level.lost_ns >= 0 else first_lost_ns)
        for level in state.levels
    )
    return replace(state, levels=levels)


class OddSteps:
    """The looks at which something odd happens, one after the other. made, lost_ns: increments of all looks; state: with
    all but what the last look itself says."""

    def __init__(
        self,
        bits: int | None,
        limits: Limits,
        clock: RunClock,
        looks: Looks,
        moves: Int64,
        state: CounterState,
    ) -> None:
        """moves: the looks at which the register had changed."""
        self.state = state
        self.made, self.lost_ns = np.maximum(looks.step, 0), looks.lost_ns.copy()
        self._bits, self._limits, self._clock, self._looks, self._moves = bits, limits, clock, looks, moves
        self._told: dict[int, Oddity] = {}
        self._jump = -1  # the row of the last
        self._stood: dict[int, tuple[int, int]] = {}  # by the row of a return: as if nobody had looked in between

    @property
    def ends_new(self) -> bool:
        """Whether the last change was a jump."""
        return int(self._moves[-1]) == self._jump

    def changed(self, row: int) -> tuple[int, int]:
        """When the change that was seen at this look may have come, and what the clock of running time showed then."""
        changed_ns = int(self._looks.changed_ns(row))
        return self._stood.get(row, (changed_ns, int(self._clock.at(changed_ns))))

    def told(self) -> tuple[Oddity, ...]:
        """What was decided, in order of time."""
        return tuple(self._told[t_ns] for t_ns in sorted(self._told))

    def go(self, odd: Int64) -> None:
        """Decides the odd looks, and the changes after one that may have been a spike or belong to a pace."""
        done = 0
        while True:
            wanted = self._moves if self.state.stray or self.state.refused.steps else odd
            at = int(np.searchsorted(wanted, done))
            row = int(wanted[at]) if at < len(wanted) else len(self.made)
            self.state = passed(self.state, self.made, self.lost_ns, done, row)
            if row == len(self.made):
                return
            self._decide(row)
            done = row + 1

    def _decide(self, row: int) -> None:
        look, seen_ago_ns = self._look(row), int(self._looks.seen_ago_ns(row))
        levels = tuple(
            replace(level, lost_ns=look.lost_ns) if level.lost_ns < 0 else level
            for level in self.state.levels
            if look.t_ns - level.left_ns - (seen_ago_ns if level.lost_ns < 0 else 0) <= REMEMBERED_NS
        )
        stray, self.state = self.state.stray, replace(self.state, levels=levels, stray=False)
        step = look.value - look.before
        if stray and levels and self._is_brief(look, levels[-1]) and self._return(row, look, stray=stray):
            return
        reach = self._limits.counts(look.since_ns, look.away_ns, look.per_count)
        if 0 <= step <= reach:
            self._forward(row, look, step)
        elif step < 0 and self._bits is not None and step % (1 << self._bits) <= reach:
            self._forward(row, look, step % (1 << self._bits))
        elif self._return(row, look, stray=stray):
            pass
        elif step < 0 and 0 <= look.value <= self._limits.counts(look.fresh_ns, look.away_ns, look.per_count):
            self._leave(row, look, "reset", look.value)
        elif not self._is_pace(row, look, step):
            self._leave(row, look, "jump", 0)

    def _look(self, row: int) -> "_Look":
        looks, place = self._looks, int(np.searchsorted(self._moves, row)) - 1
        changed_ns, ran_ns, new = self.state.changed_ns, self.state.ran_ns, self.state.new
        if place >= 0:
            (changed_ns, ran_ns), new = self.changed(int(self._moves[place])), int(self._moves[place]) == self._jump
        t_ns, known_ns, limits = int(looks.t_ns[row]), int(looks.known_ns(row)), self._limits
        seen_ago_ns = int(looks.seen_ago_ns(row))
        now_ns = self.state.lost_ran_ns if row == 0 and self.state.lost else int(self._clock.at(known_ns))
        since_ran_ns = min(max(now_ns - ran_ns, 0), limits.ran_ns)
        stood_ns = changed_ns - (limits.new_ns if new else 0)
        return _Look(
            t_ns,
            int(looks.raw[row]),
            int(looks.raw[row] - looks.step[row]),
            int(looks.lost_ns[row]),
            changed_ns,
            stood_ns,
            ran_ns,
            max(min(known_ns - stood_ns, limits.held_ns + seen_ago_ns + since_ran_ns), 0),
            max(min(known_ns - changed_ns, limits.fresh_ns + seen_ago_ns), 0),
            t_ns - known_ns,
            1 if looks.per_count is None else int(looks.per_count[row]),
        )

    def _forward(self, row: int, look: "_Look", made: int) -> None:
        self.made[row] = made
        refused = self.state.refused
        if refused.steps and (look.t_ns - look.changed_ns) > _CONFIRMING * refused.pace_ns * made:
            refused = TooFar()
        levels = tuple(replace(level, made=level.made + made) for level in self.state.levels)
        self.state = replace(self.state, levels=levels, refused=refused)

    @staticmethod
    def _is_brief(look: "_Look", level: LeftValue) -> bool:
        """Whether the register is back soon, and further from zero than the slack after a reset."""
        few = level.reset and look.value - look.before <= SLACK
        return look.value >= level.value and look.t_ns - level.left_ns <= BRIEF_NS and not few

    def _return(self, row: int, look: "_Look", *, stray: bool) -> bool:
        """Whether it came back to a value that it left; then what is missing is counted."""
        levels = self.state.levels
        for place in reversed(range(len(levels))):
            level = levels[place]
            ahead = look.value - level.value
            if ahead < 0 and self._bits is not None:
                ahead %= 1 << self._bits
            since_ns = level.since_ns + look.t_ns - level.left_ns
            if not 0 <= ahead <= self._limits.counts(since_ns, level.away_ns, look.per_count):
                continue
            made = max(0, ahead - level.made)
            self.made[row] = made
            if level.lost_ns >= 0:  # what was counted meanwhile may be settled: nothing is laid over that time
                self.lost_ns[row] = look.t_ns if level.made else level.lost_ns
            one_value = stray and place == len(levels) - 1 and not level.reset
            for left in levels[place:]:
                kind = "spike" if one_value else "dip"
                self._told[left.left_ns] = Oddity(left.left_ns, kind, left.value, left.next_value)
            if level.stood_ns >= 0:
                moved = (level.moved_ns, level.moved_ran_ns)
                self._stood[row] = moved if ahead else (level.stood_ns, level.stood_ran_ns)
            older = tuple(replace(item, made=item.made + made) for item in levels[:place])
            self.state = replace(self.state, levels=older, refused=TooFar())
            return True
        return False

    def _leave(self, row: int, look: "_Look", kind: str, made: int) -> None:
        """A new baseline."""
        self.made[row] = made
        self._jump = row if kind == "jump" else self._jump
        is_reset = kind == "reset"
        level = LeftValue(
            look.before,
            look.since_ns,
            look.away_ns,
            look.t_ns,
            look.value,
            look.lost_ns,
            made,
            is_reset,
            look.stood_ns,
            look.ran_ns,
            *self.changed(row),
        )
        older = tuple(replace(item, made=item.made + made) for item in self.state.levels)
        refused = TooFar() if is_reset or look.value < look.before else self.state.refused
        self.state = replace(self.state, levels=(*older, level)[-_MOST_LEVELS:], stray=True, refused=refused)
        self._told[look.t_ns] = Oddity(look.t_ns, kind, look.before, look.value)

    def _is_pace(self, row: int, look: "_Look", step: int) -> bool:
        """Whether the register has now gone too far for the third time in a row at one pace; then all of it is counted."""
        refused = self.state.refused
        pace_ns = max(look.t_ns - look.changed_ns, 0) // max(step, 1)
        if step < 0 or look.lost_ns >= 0 or not self._limits.learns or pace_ns < _FASTEST_PACE_NS:
            self.state = replace(self.state, refused=TooFar())
            return False
        if pace_ns <= _CONFIRMING * refused.pace_ns and refused.pace_ns <= _CONFIRMING * pace_ns:
            refused = TooFar(refused.steps + 1, refused.counts + step, max(refused.pace_ns, pace_ns))
        else:
            refused = TooFar(1, step, pace_ns)
        self.state = replace(self.state, refused=refused)
        if refused.steps < _CONFIRMING:
            return False
        self.made[row] = refused.counts
        pace_ns = min(self.state.pace_ns or refused.pace_ns, refused.pace_ns)
        self._limits = self._limits.widened(pace_ns)
        self.state = replace(self.state, levels=(), refused=TooFar(), pace_ns=pace_ns)
        self._told[look.t_ns] = Oddity(look.t_ns, "pace", look.before, look.value)
        return True


@dataclass(frozen=True)
class _Look:
    """One odd look, as plain numbers: the columns of `Looks`, the value before, when it last changed, since when it may have
    stood there, and what the clock of running time showed at that change; since_ns, away_ns: D and A of `limits.py`;
    fresh_ns: D after a reset."""

    t_ns: int
    value: int
    before: int
    lost_ns: int
    changed_ns: int
    stood_ns: int
    ran_ns: int
    since_ns: int
    fresh_ns: int
    away_ns: int
    per_count: int
