"""Plans what a machine does next.

The state machine: a *run* lasts until the nearest event is due or a pause of the calendar begins; then comes a *stop*
of the event's kind, then a run again. A history and a live model make the same draws in the same order.

The plan keeps to what signals can show:
* a plain stop's scheduled length keeps 8 s away from the minor-stop limit (a quiet instant may cost 3 of them);
* a machine known only by its pulses stops when its piece is due, and the pulse comes at once at the restart;
* nothing restarts less than 15 s before a pause, and a changeover never runs into time outside the schedule.
"""

from dataclasses import replace
from typing import get_args

import numpy as np

from simulator.behaviour import cycles, stops
from simulator.behaviour.dice import SECOND_NS, SHORTEST_NS, Dice
from simulator.behaviour.progress import Progress
from simulator.behaviour.segments import Int64, Kind, Segment, UInt8
from simulator.factory import Cause, Causes, Factory, MachineSpec
from simulator.timetable import Timetable, Wanted, shift_at, shift_start

CAUSES: tuple[Cause, ...] = get_args(Cause)
_FOR_EVER_NS = 10**18
_START_NS = 1800 * SECOND_NS
Float64 = np.ndarray[tuple[int], np.dtype[np.float64]]


class Planner:
    """Plans the segments of one machine, one after another. quiet: instants around which no cycle completes [ns UTC];
    forced: event and length [ns] of the stop that was forced to come next.
    """

    def __init__(self, factory: Factory, spec: MachineSpec, timetable: Timetable) -> None:
        self._spec, self._timetable, self._start_ns = spec, timetable, factory.start_ns
        self._ideal_ns = cycles.ideals_ns(spec)
        self._by_gaps = spec.plc == "pulse"
        self._dice = Dice(factory, spec, timetable)
        self._frame = stops.Frame(timetable, self._dice, spec.habits.late_s, stops.minor_limit_ns(spec))
        self._trial = 0
        self._resume: Segment | None = None
        self.events = DueEvents(spec, timetable, self._dice, factory.start_ns)
        self.quiet: tuple[int, ...] = ()
        self.forced: tuple[str, int] | None = None

    def first(self, progress: Progress) -> Segment:
        """The segment at the model's start."""
        if self._timetable.wanted[self._timetable.at(self._start_ns)] == Wanted.SCHEDULED:
            return self._run(self._start_ns, progress)
        return self._pause(self._start_ns, progress)

    def next(self, over: Segment, progress: Progress) -> Segment:
        """The segment after one that is over."""
        t_ns = over.end_ns
        if over.kind == Kind.RUN:
            if self.forced:
                return self._forced_stop(t_ns, progress)
            return self._pause(t_ns, progress) if over.cause == "break" else self._stop(t_ns, over.cause, progress)
        if self._resume:
            resumed, self._resume = self._resume, None
            return replace(resumed, cycles_before=progress.cycles, rejects_before=progress.rejects)
        if self._timetable.next_scheduled(t_ns) != t_ns:
            return self._pause(t_ns, progress)
        return self._run(t_ns, progress)

    def interruption(self, segment: Segment, at_ns: int, event: str, for_ns: int, progress: Progress) -> Segment:
        """A forced stop within a segment that is cut at `at_ns`; a stop that was to last longer goes on after it."""
        kind, code = stops.KINDS.get(event, Kind.STOP), self._alarm(event)
        if segment.kind != Kind.RUN and segment.end_ns > at_ns + for_ns + SHORTEST_NS:
            self._resume = replace(segment, start_ns=at_ns + for_ns, change=None)
        return _segment(progress, at_ns, at_ns + for_ns, kind, event, code=code)

    def _run(self, t_ns: int, progress: Progress) -> Segment:
        nearest, length_ns = self.events.nearest(t_ns, starting_up=progress.since_change <= self._trial)
        cause: str = nearest or "break"
        edge_ns = self._timetable.next_edge(t_ns)
        target_ns = t_ns + length_ns
        if self.forced:
            cause, target_ns = self.forced[0], min(target_ns, t_ns + SHORTEST_NS)
        if target_ns >= edge_ns:
            cause, target_ns = "break", edge_ns
        done_ns, rejects = self._cycles_from(t_ns, target_ns, progress)
        if cause in {"break", "changeover"} or (self._by_gaps and cause != "offline"):
            last = int(np.searchsorted(done_ns, target_ns))
            end_ns, count, left_ns = int(done_ns[last]), last + 1, None
            if self._by_gaps:
                count, left_ns = last, 0
                end_ns = int(done_ns[last - 1]) + self._ideal_ns[0] if last else end_ns
        else:
            end_ns = target_ns
            count = int(np.searchsorted(done_ns, end_ns, "right"))
            left_ns = int(done_ns[count]) - end_ns
        segment = _segment(progress, t_ns, end_ns, Kind.RUN, cause)
        return replace(segment, done_ns=done_ns[:count], rejects=rejects[:count], left_ns=left_ns)

    def _cycles_from(self, t_ns: int, target_ns: int, progress: Progress) -> tuple[Int64, UInt8]:
        """Completions and rejects, at least one beyond `target_ns`."""
        habits, ideal_ns, dice = self._spec.habits, self._ideal_ns[progress.product], self._dice
        count = int((target_ns - t_ns) / (0.97 * ideal_ns)) + 3
        if self._by_gaps:
            lengths = cycles.even_durations(dice.random, ideal_ns, count)
        else:
            pace = cycles.speed(habits, t_ns - self._start_ns) * (
                1 + self._spec.causes.after(self._start_ns, t_ns).slower.get(shift_at(self._timetable, t_ns), 0)
            )
            lengths = cycles.durations(dice.random, habits, ideal_ns, pace, count)
        if progress.left_ns is not None:
            lengths[0] = progress.left_ns
        done_ns = cycles.stretched(t_ns + np.cumsum(lengths), self.quiet)
        if self._by_gaps:
            return done_ns, np.zeros(count, np.uint8)
        trouble, startup = (
            self._dice.trouble(t_ns)
            * _more_rejects(self._spec.causes.after(self._start_ns, t_ns), self._timetable, t_ns, done_ns),
            -(-self._spec.startup_pieces // self._spec.cavities),
        )
        rejects = cycles.rejected(
            dice.random, habits, self._spec.cavities, trouble, count, progress.since_change, self._trial, startup
        )
        return done_ns, rejects

    def _pause(self, t_ns: int, progress: Progress) -> Segment:
        """A stop of the calendar: a break, the night, or the handover between two shifts."""
        handover = self._timetable.wanted[self._timetable.at(t_ns)] == Wanted.SCHEDULED
        wish_ns = self._dice.around(self._spec.habits.handover_s) if handover else 0
        if handover and (late_s := self._spec.causes.after(self._start_ns, t_ns).late_s):
            wish_ns += self._dice.planted_around(late_s)
        end_ns = self._restart(t_ns, wish_ns, Kind.STOP, progress)
        return _segment(progress, t_ns, end_ns, Kind.STOP, "break", idle=True)

    def _stop(self, t_ns: int, cause: Cause | str, progress: Progress) -> Segment:
        """The stop that ends a run for this cause."""
        event = self._spec.habits.events[cause]  # type: ignore[index]
        wish_ns = stops.wish(self._frame, cause, event, self._dice.trouble(t_ns))
        if cause == "changeover" and self._dice.planted(self._spec.causes.after(self._start_ns, t_ns).changeover_tail):
            wish_ns *= 3
        self.events.draw(cause, t_ns)  # type: ignore[arg-type]
        kind = stops.KINDS.get(cause, Kind.STOP)
        end_ns = t_ns + wish_ns if kind == Kind.OFFLINE else self._restart(t_ns, wish_ns, kind, progress)
        segment = _segment(progress, t_ns, end_ns, kind, cause, code=self._alarm(cause))
        return self._with_change(segment, progress) if kind == Kind.CHANGE else segment

    def _forced_stop(self, t_ns: int, progress: Progress) -> Segment:
        assert self.forced
        (event, for_ns), self.forced = self.forced, None
        kind = stops.KINDS.get(event, Kind.STOP)
        for_ns = max(for_ns, stops.shortest(self._spec, self._ideal_ns[progress.product]))
        segment = _segment(progress, t_ns, t_ns + for_ns, kind, event, code=self._alarm(event))
        return self._with_change(segment, progress) if kind == Kind.CHANGE else segment

    def _restart(self, start_ns: int, wish_ns: int, kind: Kind, progress: Progress) -> int:
        """When the machine runs again; a pulse that comes at once keeps out of quiet instants."""
        length_ns = max(wish_ns, stops.shortest(self._spec, self._ideal_ns[progress.product]))
        end_ns = stops.restart(self._frame, start_ns, length_ns, kind)
        return cycles.out_of_quiet(end_ns, self.quiet) if progress.left_ns == 0 else end_ns

    def _with_change(self, segment: Segment, progress: Progress) -> Segment:
        """The product number changes soon after the stop's beginning; rejects wait after it."""
        delay_ns = int(self._dice.between(0.2, 0.9) * SECOND_NS)
        step = 1 + self._dice.pick(len(self._ideal_ns) - 1)
        low, high = self._spec.habits.changeover_rejects
        self._trial = low + self._dice.pick(high - low + 1)
        product = (progress.product + step) % len(self._ideal_ns)
        return replace(segment, change=(segment.start_ns + delay_ns, product))

    def _alarm(self, cause: str) -> int:
        alarms = self._spec.habits.alarms
        return alarms[self._dice.pick(len(alarms))] if cause == "breakdown" else 0


def _segment(
    progress: Progress, start_ns: int, end_ns: int, kind: Kind, cause: str, *, code: int = 0, idle: bool = False
) -> Segment:
    return Segment(
        start_ns, end_ns, kind, cause, code, idle, cycles_before=progress.cycles, rejects_before=progress.rejects
    )


def _more_rejects(causes: Causes, timetable: Timetable, t_ns: int, done_ns: Int64) -> float | Float64:
    """How many times as many rejects are planted, for each cycle where that differs [1]."""
    times = causes.start_rejects
    if times == 1:
        return 1.0
    return np.where(done_ns - shift_start(timetable, t_ns) < _START_NS, times, 1.0)


class DueEvents:
    """When the next stop of each cause is due: running time that is left until then [ns]."""

    def __init__(self, spec: MachineSpec, timetable: Timetable, dice: Dice, start_ns: int) -> None:
        self._events = spec.habits.events
        self._timetable, self._dice = timetable, dice
        self._due_ns: dict[Cause, int] = {}
        self._causes, self._start_ns, self._reel_is_next = spec.causes, start_ns, False
        self._reel_ns = self._reel(start_ns)
        for cause in CAUSES:
            if cause in self._events:
                self.draw(cause, start_ns)

    def draw(self, cause: Cause, t_ns: int) -> None:
        """Draws when this event happens next."""
        if cause == "minor" and self._reel_is_next:
            self._reel_ns = self._reel(t_ns)
            return
        self._due_ns[cause] = self._dice.interval(self._events[cause], self._dice.trouble(t_ns))

    def elapse(self, running_ns: int) -> None:
        """The machine has run for so long."""
        self._reel_ns -= running_ns
        for cause in self._due_ns:
            self._due_ns[cause] -= running_ns

    def _reel(self, t_ns: int) -> int:
        reel_s = self._causes.after(self._start_ns, t_ns).reel_s
        return int(reel_s * self._dice.planted_between(0.97, 1.03) * SECOND_NS) if reel_s else _FOR_EVER_NS

    def nearest(self, t_ns: int, *, starting_up: bool) -> tuple[Cause | None, int]:
        """The event that is due first in a run from `t_ns` on, and the running time until then [ns]; None for a machine
        without events. starting_up: so soon after a changeover that signals cannot tell waiting from setting up.
        """
        while self._due_ns:
            cause = min(self._due_ns, key=self._due_ns.__getitem__)
            length_ns = max(self._due_ns[cause], SHORTEST_NS)
            self._reel_is_next = self._reel_ns < length_ns
            if self._reel_is_next:
                return "minor", max(self._reel_ns, SHORTEST_NS)
            if starting_up and cause in {"starved", "blocked"}:
                self._due_ns[cause] += 600 * SECOND_NS
            elif cause == "changeover" and not self._time_to_change(t_ns + length_ns):
                self._due_ns[cause] += 1200 * SECOND_NS
            else:
                return cause, length_ns
        return None, _FOR_EVER_NS

    def _time_to_change(self, t_ns: int) -> bool:
        return stops.time_to_change(self._timetable, self._events["changeover"], t_ns)
