"""When the next stop of each cause is due. Events count down in running time."""

from typing import get_args

from simulator.behaviour import stops
from simulator.behaviour.dice import SECOND_NS, SHORTEST_NS, Dice
from simulator.factory import Cause, MachineSpec
from simulator.timetable import Timetable

CAUSES: tuple[Cause, ...] = get_args(Cause)
_FOR_EVER_NS = 10**18


class DueEvents:
    """Running time that is left until each event of one machine [ns]."""

    def __init__(self, spec: MachineSpec, timetable: Timetable, dice: Dice, start_ns: int) -> None:
        self._events = spec.habits.events
        self._timetable, self._dice = timetable, dice
        self._due_ns: dict[Cause, int] = {}
        for cause in CAUSES:
            if cause in self._events:
                self.draw(cause, start_ns)

    def draw(self, cause: Cause, t_ns: int) -> None:
        """Draws when this event happens next."""
        self._due_ns[cause] = self._dice.interval(self._events[cause], self._dice.trouble(t_ns))

    def elapse(self, running_ns: int) -> None:
        """The machine has run for so long."""
        for cause in self._due_ns:
            self._due_ns[cause] -= running_ns

    def nearest(self, t_ns: int, *, starting_up: bool) -> tuple[Cause | None, int]:
        """The event that is due first in a run from `t_ns` on, and the running time until then [ns]; None for a machine
        without events. starting_up: so soon after a changeover that signals cannot tell waiting from setting up.
        """
        while self._due_ns:
            cause = min(self._due_ns, key=self._due_ns.__getitem__)
            length_ns = max(self._due_ns[cause], SHORTEST_NS)
            if starting_up and cause in {"starved", "blocked"}:
                self._due_ns[cause] += 600 * SECOND_NS
            elif cause == "changeover" and not self._time_to_change(t_ns + length_ns):
                self._due_ns[cause] += 1200 * SECOND_NS
            else:
                return cause, length_ns
        return None, _FOR_EVER_NS

    def _time_to_change(self, t_ns: int) -> bool:
        return stops.time_to_change(self._timetable, self._events["changeover"], t_ns)
