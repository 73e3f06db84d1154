"""The machines' progress since the last commit, kept until it is stored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from agent.compute.delta import Delta, merge
from oee.engine.state import EngineState

MOST_SAMPLES: Final = 1_000_000
"""Samples kept while the journal cannot be written, about 20 MB; with more, all are dropped and the journal starts over."""


@dataclass
class Uncommitted:
    """Deltas by machine, oldest first. rows: how many they offer."""

    rows: int = 0
    _deltas: dict[str, list[Delta]] = field(default_factory=dict)

    def add(self, delta: Delta) -> None:
        """Adds the result of a step."""
        self._deltas.setdefault(delta.machine, []).append(delta)
        self.rows += len(delta)

    def take(self, states: Mapping[str, EngineState]) -> list[Delta]:
        """Removes and returns everything, with each machine's current state (of `states`) in its last delta."""
        out = []
        for machine, deltas in self._deltas.items():
            *earlier, last = merge(deltas)
            out += [*earlier, replace(last, state=states[machine])]
        self.clear()
        return out

    def put_back(self, deltas: Iterable[Delta]) -> None:
        """Puts deltas that could not be stored before those added since. Beyond `MOST_SAMPLES` all samples are dropped;
        the journal detects the missing span.
        """
        later, self._deltas, self.rows = self._deltas, {}, 0
        for delta in (*deltas, *(item for items in later.values() for item in items)):
            self.add(replace(delta, state=None))
        columns = (item.samples for items in self._deltas.values() for item in items if item.samples is not None)
        if sum(len(column) for samples in columns for column in samples.values()) > MOST_SAMPLES:
            self.drop_samples()

    def drop_samples(self) -> None:
        """Forgets the samples of all deltas; rows and states stay."""
        self._deltas = {
            machine: [replace(item, samples=None) for item in items] for machine, items in self._deltas.items()
        }

    def clear(self) -> None:
        """Forgets everything."""
        self._deltas, self.rows = {}, 0
