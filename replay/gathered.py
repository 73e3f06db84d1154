"""What a replay keeps besides sums: changeovers, and the latest cycles of each product.

A changeover is kept as what it came to; of cycles the latest are enough for what a machine can do. So neither grows with
the samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from oee.engine.stops import Stops, select_stops
from oee.engine.window import Window
from oee.kpi.changeovers import Changeover, changeovers
from oee.kpi.learn import Runs, join_runs, runs_of
from oee.model.machine import Machine
from oee.model.samples import Samples
from oee.model.states import State

CYCLES_KEPT: Final = 20_000
_LOOKS_AT_LEAST: Final = 20
RunKey = tuple[str, str, int]
"""Machine, product, pieces per count."""


@dataclass
class Gathered:
    """unpaired, unpaired_ms: set-up stretches that belong to no pair of products; still_open: changeovers that have not
    ended; poll_ns: by machine, how far apart the recording looks at its counter, where it shows."""

    changeovers: list[Changeover] = field(default_factory=list)
    unpaired: int = 0
    unpaired_ms: int = 0
    still_open: int = 0
    runs: dict[RunKey, Runs] = field(default_factory=dict)
    poll_ns: dict[str, int] = field(default_factory=dict)

    def add_stops(self, machine: Machine, stops: Stops, from_ns: int, to_ns: int) -> None:
        """Stops that will not change any more, in order of time; what begins within `[from_ns, to_ns)` counts."""
        stops = select_stops(stops, stops.start_ns < stops.end_ns)  # without what a correction made vanish
        if not (stops.state == State.SETUP).any():
            return
        chain = np.append(0, (stops.start_ns[1:] != stops.end_ns[:-1]).cumsum())
        with_setup = np.bincount(chain, weights=stops.state == State.SETUP) > 0
        first_ns = stops.start_ns[np.searchsorted(chain, chain)]
        wanted = with_setup[chain] & (first_ns >= from_ns) & (first_ns < to_ns)
        found = changeovers(select_stops(stops, wanted), {machine.id: machine.calendar})
        self.changeovers += found.changeovers
        self.unpaired += found.unpaired
        self.unpaired_ms += found.unpaired_ms
        self.still_open += found.still_open

    def add_cycles(self, window: Window, start_ns: int, end_ns: int) -> None:
        """Cycles of `[start_ns, end_ns)`, which must be settled."""
        for (product, per_count), runs in runs_of(window, start_ns, end_ns).items():
            key = (window.machine.id, product, per_count)
            joined = join_runs(self.runs[key], runs) if key in self.runs else runs
            self.runs[key] = joined.latest(CYCLES_KEPT)

    def look(self, machines: Mapping[str, Machine], samples: Samples) -> None:
        """How far apart rows are: of a counter the row before each step is kept, and where that row repeats the one before
        it, it was a look at the counter and no step."""
        for name, machine in machines.items():
            counter = next(iter(machine.pieces.needed()), None)
            if counter is None or name in self.poll_ns or counter.tag not in samples:
                continue
            rows = samples[counter.tag]
            steps = rows.value[1:] != rows.value[:-1]
            looks = np.flatnonzero(steps[1:] & ~steps[:-1]) + 1
            if len(looks) >= _LOOKS_AT_LEAST:
                self.poll_ns[name] = int(np.median(rows.t_ns[looks + 1] - rows.t_ns[looks]))
