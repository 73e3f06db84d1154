"""One machine over time: the record of past segments, and the current one.

Only the current segment is a plan, everything before it is final, so a live model may still change it: `be_quiet`
lengthens cycles, `force` cuts it. What comes next is planned in `simulator.behaviour.planner`.
"""

from bisect import bisect_right
from dataclasses import replace

from simulator.behaviour import bending, cycles, stops
from simulator.behaviour.dice import SECOND_NS, SHORTEST_NS
from simulator.behaviour.planner import Planner
from simulator.behaviour.progress import Progress, begun_changeover, ended_changeovers, progress_after
from simulator.behaviour.segments import Kind, ProductChange, Segment
from simulator.factory import Factory, MachineSpec
from simulator.timetable import Timetable


class SimulatedMachine:
    """One machine from the model's start on. `advance` first, then ask about any time before."""

    def __init__(self, factory: Factory, spec: MachineSpec, timetable: Timetable) -> None:
        self.spec = spec
        self.timetable = timetable
        self.start_ns = factory.start_ns
        self.limit_ns = stops.minor_limit_ns(spec)
        self.ideal_ns = cycles.ideals_ns(spec)
        self.past: list[Segment] = []
        self.starts: list[int] = []
        self.changeovers: list[ProductChange] = []
        self._by_gaps = spec.plc == "pulse"
        self._progress = Progress(self.start_ns)
        self._planner = Planner(factory, spec, timetable)
        self.current = self._planner.first(self._progress)

    def advance(self, until_ns: int) -> None:
        """Plans until `until_ns` lies within the current segment."""
        while self.current.end_ns <= until_ns:
            self._close(self.current)
            self.current = self._planner.next(self.current, self._progress)

    def segments(self, from_ns: int, until_ns: int) -> list[Segment]:
        """The segments that touch `[from_ns, until_ns)`, in order, the current one as planned."""
        low = max(bisect_right(self.starts, from_ns) - 1, 0)
        high = bisect_right(self.starts, until_ns - 1)
        touched = self.past[low:high]
        if self.current.start_ns < until_ns:
            touched.append(self.current)
        return touched

    def index_at(self, t_ns: int) -> int:
        """Index of the segment that contains `t_ns`; the current one comes after all past ones."""
        if t_ns >= self.current.start_ns:
            return len(self.past)
        return max(bisect_right(self.starts, t_ns) - 1, 0)

    def segment(self, index: int) -> Segment:
        """A segment by its index."""
        return self.past[index] if index < len(self.past) else self.current

    def changeovers_by(self, t_ns: int) -> list[ProductChange]:
        """Changeovers whose new product number is known at `t_ns`, with what is known of them then."""
        known = [item for item in self.changeovers if item.change_ns <= t_ns]
        begun = begun_changeover(self._progress, self.current)
        if begun and begun.change_ns <= t_ns:
            known.append(begun)
        known = ended_changeovers(known, self.current, self.spec.cavities)
        return [
            replace(item, first_good_ns=None) if item.first_good_ns is not None and item.first_good_ns > t_ns else item
            for item in known
        ]

    def be_quiet(self, at_ns: tuple[int, ...], now_ns: int) -> None:
        """No cycle completes within [T - 2.5 s, T + 0.3 s] of these instants, as far as they lie ahead."""
        self.advance(now_ns)
        keep = [instant for instant in self._planner.quiet if instant > now_ns - 10 * SECOND_NS]
        quiet = self._planner.quiet = tuple(sorted({*keep, *at_ns}))
        segment = self.current
        if segment.kind == Kind.RUN:
            self.current = bending.quiet_run(segment, now_ns, quiet)
        elif self._progress.left_ns == 0:
            self.current = replace(segment, end_ns=cycles.out_of_quiet(segment.end_ns, quiet))

    def force(self, event: str, for_ns: int, now_ns: int) -> int:
        """Makes an event happen as soon as the signals can show it; returns when it begins [ns], as far as known."""
        stops.refuse(self.spec, event, for_ns)
        self.advance(now_ns)
        segment = self.current
        at_ns = max(now_ns, segment.start_ns + SHORTEST_NS)
        if event == "changeover" or (self._by_gaps and event != "offline"):  # begins when a piece is completed
            self._planner.forced = (event, for_ns)
            later = segment.done_ns[segment.done_ns >= at_ns]
            if len(later):
                self.current = bending.cut_at_completion(segment, int(later[0]), held=self._by_gaps)
            return self.current.end_ns
        if at_ns >= segment.end_ns:
            self.advance(at_ns)
            segment = self.current
            at_ns = max(at_ns, segment.start_ns + SHORTEST_NS)
        self._close(bending.cut(segment, at_ns))
        self.current = self._planner.interruption(segment, at_ns, event, for_ns, self._progress)
        return at_ns

    def _close(self, segment: Segment) -> None:
        """Records a segment that is over."""
        self.past.append(segment)
        self.starts.append(segment.start_ns)
        begun = begun_changeover(self._progress, segment)
        if begun:
            self.changeovers.append(begun)
        self._progress = progress_after(self._progress, segment)
        if segment.kind == Kind.RUN:
            self._planner.events.elapse(segment.end_ns - segment.start_ns)
            self.changeovers = ended_changeovers(self.changeovers, segment, self.spec.cavities)
