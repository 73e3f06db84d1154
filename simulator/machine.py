"""One machine's life, planned a stretch at a time.

The state machine: a *run* lasts until the nearest event is due or the calendar pauses; then comes a *stop*
of the event's kind, then a run again. Events count down in running time. Only the current stretch is a plan,
everything before it is over, so that whoever lives in real time may still bend it: `be_quiet` stretches cycles,
`force` cuts it. A history and a live model make the same draws in the same order.

What signals must be able to show shapes the plan:
* a plain stop's scheduled length keeps 8 s away from the minor-stop limit (a quiet instant may cost 3 of them);
* a machine known only by its pulses stops when its piece is due, and the pulse comes at once at the restart;
* nothing restarts less than 15 s before a pause, and a changeover never runs into the night off.
"""

from bisect import bisect_right
from dataclasses import replace
from typing import get_args

import numpy as np

from simulator import bending, cycles, stops
from simulator.dice import SECOND_NS, SHORTEST_NS, Dice
from simulator.factory import Cause, Factory
from simulator.factory import Machine as Spec
from simulator.segments import Changeover, Int64, Kind, Segment, UInt8
from simulator.timetable import Timetable, Wanted

CAUSES: tuple[Cause, ...] = get_args(Cause)


class Machine:
    """One machine from the model's start on. `advance` first, then ask about any time before."""

    def __init__(self, factory: Factory, spec: Spec, timetable: Timetable) -> None:
        self.spec = spec
        self.timetable = timetable
        self.start_ns = factory.start_ns
        self.limit_ns = int(spec.minor_limit_s * SECOND_NS)
        self.ideal_ns = tuple(round(product.ideal_s * 1e6) * 1000 for product in spec.products)
        self.by_gaps = spec.plc == "pulse"
        self.past: list[Segment] = []
        self.starts: list[int] = []
        self.changeovers: list[Changeover] = []
        self._dice = Dice(factory, spec, timetable)
        self._frame = stops.Frame(timetable, self._dice, spec.habits.late_s, self.limit_ns)
        self._quiet: tuple[int, ...] = ()
        self._product = 0
        self._cycles = self._rejects = 0
        self._last_done_ns = self.start_ns
        self._left_ns: int | None = None
        self._since_change, self._trial = 1_000_000, 0
        self._forced: tuple[str, int] | None = None
        self._resume: Segment | None = None
        self._due_ns: dict[str, int] = {}
        for cause in CAUSES:
            if cause in spec.habits.events:
                self._redraw(cause, self.start_ns)
        self.current = self._first()

    @property
    def product(self) -> int:
        """Index of the product at the beginning of the current stretch."""
        return self._product

    def advance(self, until_ns: int) -> None:
        """Plans until `until_ns` lies within the current stretch."""
        while self.current.end_ns <= until_ns:
            self._close(self.current)
            self.current = self._next(self.current)

    def segments(self, from_ns: int, until_ns: int) -> list[Segment]:
        """The stretches that touch `[from_ns, until_ns)`, in order, the current one as planned."""
        low = max(bisect_right(self.starts, from_ns) - 1, 0)
        high = bisect_right(self.starts, until_ns - 1)
        found = self.past[low:high]
        if self.current.start_ns < until_ns:
            found.append(self.current)
        return found

    def index_at(self, t_ns: int) -> int:
        """Index of the stretch that holds `t_ns`; the current one comes after all that are over."""
        if t_ns >= self.current.start_ns:
            return len(self.past)
        return max(bisect_right(self.starts, t_ns) - 1, 0)

    def segment(self, index: int) -> Segment:
        """A stretch by its index."""
        return self.past[index] if index < len(self.past) else self.current

    def changeovers_by(self, t_ns: int) -> list[Changeover]:
        """Changeovers whose new product number is known at `t_ns`, with what is known of them then."""
        known = [item for item in self.changeovers if item.change_ns <= t_ns]
        change = self.current.change
        if change and change[0] <= t_ns:
            known.append(Changeover(self._last_done_ns, change[0], None, self._product, change[1]))
        known = _resolved(known, self._first_good(self.current))
        return [
            replace(item, first_good_ns=None) if item.first_good_ns is not None and item.first_good_ns > t_ns else item
            for item in known
        ]

    def be_quiet(self, at_ns: tuple[int, ...], now_ns: int) -> None:
        """No cycle completes within [T - 2.5 s, T + 0.3 s] of these instants, as far as they lie ahead."""
        self.advance(now_ns)
        keep = [instant for instant in self._quiet if instant > now_ns - 10 * SECOND_NS]
        self._quiet = tuple(sorted({*keep, *at_ns}))
        segment = self.current
        if segment.kind == Kind.RUN:
            self.current = bending.quiet_run(segment, now_ns, self._quiet)
        elif self._left_ns == 0:
            self.current = replace(segment, end_ns=cycles.out_of_quiet(segment.end_ns, self._quiet))

    def force(self, event: str, for_ns: int, now_ns: int) -> int:
        """Makes an event happen as soon as signals can show it; returns when it begins [ns], as far as known."""
        stops.refuse(self.spec, event, for_ns)
        self.advance(now_ns)
        segment = self.current
        at_ns = max(now_ns, segment.start_ns + SHORTEST_NS)
        at_completion = event == "changeover" or (self.by_gaps and event != "offline")
        if at_completion:
            self._forced = (event, for_ns)
            later = segment.done_ns[segment.done_ns >= at_ns]
            if len(later):
                self.current = bending.cut_at_completion(segment, int(later[0]), held=self.by_gaps)
            return self.current.end_ns
        if at_ns >= segment.end_ns:
            self.advance(at_ns)
            segment = self.current
            at_ns = max(at_ns, segment.start_ns + SHORTEST_NS)
        cut = bending.cut(segment, at_ns)
        self._close(cut)
        kind, code = stops.KINDS.get(event, Kind.STOP), self._alarm(event)
        if segment.kind != Kind.RUN and segment.end_ns > at_ns + for_ns + SHORTEST_NS:
            self._resume = replace(segment, start_ns=at_ns + for_ns, change=None)
        self.current = self._stretch(at_ns, at_ns + for_ns, kind, event, code=code)
        return at_ns

    # What comes next

    def _first(self) -> Segment:
        index = self.timetable.at(self.start_ns)
        if self.timetable.wanted[index] == Wanted.SCHEDULED:
            return self._run(self.start_ns)
        return self._stop(self.start_ns, "break")

    def _next(self, over: Segment) -> Segment:
        t_ns = over.end_ns
        if over.kind == Kind.RUN:
            if self._forced:
                return self._forced_stop(t_ns)
            return self._stop(t_ns, over.cause)
        if self._resume:
            resumed, self._resume = self._resume, None
            return replace(resumed, cycles_before=self._cycles, rejects_before=self._rejects)
        if self.timetable.next_scheduled(t_ns) != t_ns:
            return self._stop(t_ns, "break")
        return self._run(t_ns)

    def _run(self, t_ns: int) -> Segment:
        cause, length_ns = self._nearest(t_ns)
        edge_ns = self.timetable.next_edge(t_ns)
        target_ns = t_ns + length_ns
        if self._forced:
            cause, target_ns = self._forced[0], min(target_ns, t_ns + SHORTEST_NS)
        if target_ns >= edge_ns:
            cause, target_ns = "break", edge_ns
        done_ns, rejects = self._cycles_from(t_ns, target_ns)
        if cause in {"break", "changeover"} or (self.by_gaps and cause != "offline"):
            last = int(np.searchsorted(done_ns, target_ns))
            end_ns, count, left_ns = int(done_ns[last]), last + 1, None
            if self.by_gaps:
                count, left_ns = last, 0
                end_ns = int(done_ns[last - 1]) + self.ideal_ns[0] if last else end_ns
        else:
            end_ns = target_ns
            count = int(np.searchsorted(done_ns, end_ns, "right"))
            left_ns = int(done_ns[count]) - end_ns
        segment = self._stretch(t_ns, end_ns, Kind.RUN, cause)
        return replace(segment, done_ns=done_ns[:count], rejects=rejects[:count], left_ns=left_ns)

    def _cycles_from(self, t_ns: int, target_ns: int) -> tuple[Int64, UInt8]:
        """Completions and rejects, at least one beyond `target_ns`."""
        habits, ideal_ns, dice = self.spec.habits, self.ideal_ns[self._product], self._dice
        count = int((target_ns - t_ns) / (0.97 * ideal_ns)) + 3
        if self.by_gaps:
            lengths = cycles.even_durations(dice.random, ideal_ns, count)
        else:
            pace = cycles.speed(habits, t_ns - self.start_ns)
            lengths = cycles.durations(dice.random, habits, ideal_ns, pace, count)
        if self._left_ns is not None:
            lengths[0] = self._left_ns
        done_ns = cycles.stretched(t_ns + np.cumsum(lengths), self._quiet)
        if self.by_gaps:
            return done_ns, np.zeros(count, np.uint8)
        trouble, startup = dice.trouble(t_ns), -(-self.spec.startup_pieces // self.spec.cavities)
        rejects = cycles.rejected(
            dice.random, habits, self.spec.cavities, trouble, count, self._since_change, self._trial, startup
        )
        return done_ns, rejects

    def _nearest(self, t_ns: int) -> tuple[str, int]:
        """The event that is due first, and the running time until then."""
        if not self._due_ns:
            return "break", 10**18
        cause = min(self._due_ns, key=self._due_ns.__getitem__)
        length_ns = max(self._due_ns[cause], SHORTEST_NS)
        if self._since_change <= self._trial and cause in {"starved", "blocked"}:
            self._due_ns[cause] += 600 * SECOND_NS  # nobody tells waiting from setting up
            return self._nearest(t_ns)
        if cause == "changeover" and not stops.time_to_change(
            self.timetable, self.spec.habits.events["changeover"], t_ns + length_ns
        ):
            self._due_ns[cause] += 1200 * SECOND_NS
            return self._nearest(t_ns)
        return cause, length_ns

    # Stops

    def _stop(self, t_ns: int, cause: str) -> Segment:
        """The stop that a run's end brings."""
        if cause == "break":
            handover = self.timetable.wanted[self.timetable.at(t_ns)] == Wanted.SCHEDULED
            wish_ns = self._dice.around(self.spec.habits.handover_s) if handover else 0
            return self._stretch(t_ns, self._restart(t_ns, wish_ns, Kind.STOP), Kind.STOP, cause, idle=True)
        event = self.spec.habits.events[cause]  # type: ignore[index]
        wish_ns = stops.wish(self._frame, cause, event, self._dice.trouble(t_ns))
        self._redraw(cause, t_ns)
        kind = stops.KINDS.get(cause, Kind.STOP)
        end_ns = t_ns + wish_ns if kind == Kind.OFFLINE else self._restart(t_ns, wish_ns, kind)
        segment = self._stretch(t_ns, end_ns, kind, cause, code=self._alarm(cause))
        return self._with_change(segment) if kind == Kind.CHANGE else segment

    def _forced_stop(self, t_ns: int) -> Segment:
        assert self._forced
        (event, for_ns), self._forced = self._forced, None
        kind = stops.KINDS.get(event, Kind.STOP)
        for_ns = max(for_ns, stops.shortest(self.spec, self.ideal_ns[self._product]))
        segment = self._stretch(t_ns, t_ns + for_ns, kind, event, code=self._alarm(event))
        return self._with_change(segment) if kind == Kind.CHANGE else segment

    def _restart(self, start_ns: int, wish_ns: int, kind: Kind) -> int:
        """When the machine runs again; a pulse that comes at once keeps out of quiet instants."""
        length_ns = max(wish_ns, stops.shortest(self.spec, self.ideal_ns[self._product]))
        end_ns = stops.restart(self._frame, start_ns, length_ns, kind)
        return cycles.out_of_quiet(end_ns, self._quiet) if self._left_ns == 0 else end_ns

    def _with_change(self, segment: Segment) -> Segment:
        """The product number changes soon after the stop's beginning; rejects wait after it."""
        delay_ns = int(self._dice.between(0.2, 0.9) * SECOND_NS)
        step = 1 + self._dice.pick(len(self.ideal_ns) - 1)
        low, high = self.spec.habits.changeover_rejects
        self._trial = low + self._dice.pick(high - low + 1)
        return replace(segment, change=(segment.start_ns + delay_ns, (self._product + step) % len(self.ideal_ns)))

    def _alarm(self, cause: str) -> int:
        alarms = self.spec.habits.alarms
        return alarms[self._dice.pick(len(alarms))] if cause == "breakdown" else 0

    def _redraw(self, cause: Cause | str, t_ns: int) -> None:
        event = self.spec.habits.events[cause]  # type: ignore[index]
        self._due_ns[cause] = self._dice.interval(event, self._dice.trouble(t_ns))

    def _stretch(
        self, start_ns: int, end_ns: int, kind: Kind, cause: str, *, code: int = 0, idle: bool = False
    ) -> Segment:
        return Segment(
            start_ns, end_ns, kind, cause, code, idle, cycles_before=self._cycles, rejects_before=self._rejects
        )

    # The present becomes the past

    def _close(self, segment: Segment) -> None:
        self.past.append(segment)
        self.starts.append(segment.start_ns)
        if segment.change:
            self.changeovers.append(
                Changeover(self._last_done_ns, segment.change[0], None, self._product, segment.change[1])
            )
            self._product, self._since_change, self._left_ns = segment.change[1], 0, None
        if segment.kind != Kind.RUN:
            return
        for cause in self._due_ns:
            self._due_ns[cause] -= segment.end_ns - segment.start_ns
        self._left_ns = segment.left_ns
        if len(segment.done_ns):
            if self.changeovers and self.changeovers[-1].first_good_ns is None:
                self.changeovers = _resolved(self.changeovers, self._first_good(segment))
            self._cycles += len(segment.done_ns)
            self._rejects += int(segment.rejects.sum())
            self._since_change += len(segment.done_ns)
            self._last_done_ns = int(segment.done_ns[-1])

    def _first_good(self, segment: Segment) -> int | None:
        good = np.flatnonzero(segment.rejects < self.spec.cavities)
        return int(segment.done_ns[good[0]]) if len(good) else None


def _resolved(items: list[Changeover], first_good_ns: int | None) -> list[Changeover]:
    """The changeovers, with those still without a good piece ended by this one."""
    if first_good_ns is None or not items or items[-1].first_good_ns is not None:
        return items
    return [replace(item, first_good_ns=first_good_ns) if item.first_good_ns is None else item for item in items]
