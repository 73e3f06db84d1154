"""What rules of advice read of a recording: facts by minute and final stops of each machine. Kept only where wanted, since it
grows with the recording: some 20 MB for a machine and eight weeks.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from oee.model.cycle_bins import unfolded
from oee.model.facts import CycleBins, CycleTimes, Facts, Stop


@dataclass
class RecordedPast:
    """By machine, as it comes."""

    facts: dict[str, list[Facts]] = field(default_factory=dict)
    stops: dict[str, list[Stop]] = field(default_factory=dict)
    cycles: dict[str, list[CycleBins]] = field(default_factory=dict)

    def add_facts(self, machine: str, facts: Facts) -> None:
        """Facts of one step."""
        self.facts.setdefault(machine, []).append(facts)

    def add_cycles(self, machine: str, cycles: CycleTimes) -> None:
        """Histograms of one step."""
        if len(cycles):
            self.cycles.setdefault(machine, []).append(unfolded(cycles))

    def add_stops(self, machine: str, stops: Iterable[Stop]) -> None:
        """Stops that will not change any more."""
        self.stops.setdefault(machine, []).extend(stops)
