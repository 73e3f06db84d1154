"""The whole factory as a model: machines with their own random numbers and a common calendar."""

from typing import Any

from simulator import truth
from simulator.behaviour.machine import SimulatedMachine
from simulator.factory import Factory
from simulator.timetable import Timetable


class Plant:
    """All machines. Equal factories behave equally, however time is cut into steps, until an event is forced."""

    def __init__(self, factory: Factory) -> None:
        self.factory = factory
        timetable = Timetable(factory)
        self.machines = {spec.id: SimulatedMachine(factory, spec, timetable) for spec in factory.machines}

    def advance(self, until_ns: int) -> None:
        """Plans all machines until `until_ns` [ns UTC]."""
        for machine in self.machines.values():
            machine.advance(until_ns)

    def be_quiet(self, at_ns: tuple[int, ...], now_ns: int) -> None:
        """No cycle of any machine completes within [T - 2.5 s, T + 0.3 s] of these instants."""
        for machine in self.machines.values():
            machine.be_quiet(at_ns, now_ns)

    def truth(self, from_ns: int, to_ns: int, as_of_ns: int) -> dict[str, Any]:
        """The true figures of `[from_ns, to_ns)` as known at `as_of_ns`. Raises `ValueError` for an impossible window."""
        self.advance(as_of_ns)
        return {
            "from_ns": from_ns,
            "to_ns": to_ns,
            "as_of_ns": as_of_ns,
            "machines": {
                name: truth.of_machine(machine, from_ns, to_ns, as_of_ns) for name, machine in self.machines.items()
            },
        }
