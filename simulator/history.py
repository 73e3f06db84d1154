"""History files: recorded history as a poll each second would have read it, written on change.

One file for each day since the beginning, `day-000.npz`, `day-001.npz` ..., written under a temporary name and
renamed; when all is written an empty file `done` appears. A file is a NumPy archive with three arrays for each tag,

    <device>.<tag>/t   int64, poll times [ns UTC], strictly increasing
    <device>.<tag>/v   the value from then on (bool or int64)
    <device>.<tag>/q   uint8, 0 good, 3 gap

and `until`, int64[1]: the file is complete up to this time, at which the next one begins. There is a row where the value
differs from the previous poll; only the very first poll writes all tags. While a PLC is offline its tags have one row of
quality 3 at the last good poll (one millisecond after it where that poll brought a new value, and not before the
file's beginning), and one good row each at the first poll after its return.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from simulator.behaviour.machine import SimulatedMachine
from simulator.behaviour.segments import Int64
from simulator.factory import Factory
from simulator.plant import Plant
from simulator.plc.readings import Values, changes, offline_spans

GOOD, GAP = 0, 3
_AFTER_NS = 1_000_000
DAY_NS = 86_400_000_000_000
Rows = tuple[Int64, Values, "np.ndarray[Any, np.dtype[np.uint8]]"]


class Writer:
    """Writes day files in order; `write_until` may be called repeatedly with growing ends."""

    def __init__(self, plant: Plant, start_ns: int, directory: Path, period_s: float = 1.0) -> None:
        if start_ns < plant.factory.start_ns:
            raise ValueError(f"history from {start_ns}: the factory only begins at {plant.factory.start_ns}")
        self._plant = plant
        self._directory = directory
        self._period_ns = round(period_s * 1e9)
        self._start_ns = start_ns
        self._number = 0
        self._polled = -(-start_ns // self._period_ns) - 1
        self._last: dict[str, Any] = {}
        self.until_ns = start_ns

    def write_until(self, end_ns: int, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Day files up to `end_ns`; after each, on_progress(written up to, end) [ns UTC]."""
        self._directory.mkdir(parents=True, exist_ok=True)
        while self.until_ns < end_ns:
            day_end_ns = self._start_ns + ((self.until_ns - self._start_ns) // DAY_NS + 1) * DAY_NS
            self._write_file(min(day_end_ns, end_ns))
            if on_progress:
                on_progress(self.until_ns, end_ns)

    def finish(self) -> None:
        """Marks the history as complete."""
        (self._directory / "done").touch()

    def _write_file(self, until_ns: int) -> None:
        polled = -(-until_ns // self._period_ns) - 1  # the last poll before `until_ns`
        self._plant.advance(until_ns)
        columns: dict[str, Any] = {"until": np.array([until_ns], np.int64)}
        for machine in self._plant.machines.values():
            for tag, (t_ns, values, quality) in self._device(machine, polled).items():
                columns[f"{tag}/t"], columns[f"{tag}/v"], columns[f"{tag}/q"] = t_ns, values, quality
        self._polled, self.until_ns = polled, until_ns
        path = self._directory / f"day-{self._number:03}.npz"
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            np.savez(file, **columns)
        temporary.rename(path)
        self._number += 1

    def _device(self, machine: SimulatedMachine, polled: int) -> dict[str, Rows]:
        """Rows of one PLC's tags for the polls after the last written one, up to and with `polled`."""
        period_ns, first = self._period_ns, self._polled + 1
        if polled < first:
            return {}
        after_ns, upto_ns = max(self._polled * period_ns, machine.start_ns), polled * period_ns
        away = self._absences(machine, after_ns, upto_ns)
        out: dict[str, Rows] = {}
        for tag, (t_ns, values) in changes(machine, after_ns, upto_ns).items():
            name = f"{machine.spec.device}.{tag}"
            polls, seen = _seen(t_ns, values, first, period_ns, self._last.get(name))
            quality = np.zeros(len(polls), np.uint8)
            rows = (polls * period_ns, seen, quality)
            for gone, back in away:
                edge_values = [values[np.searchsorted(t_ns, n * period_ns, "right") - 1] for n in (gone - 1, back)]
                rows = self._absent(rows, gone, min(back, polled + 1), edge_values)
                if back <= polled:
                    rows = _with_row(rows, back * period_ns, edge_values[1], GOOD)
            if len(rows[0]):
                out[name] = rows
            self._last[name] = values[-1]
        return out

    def _absences(self, machine: SimulatedMachine, after_ns: int, upto_ns: int) -> list[tuple[int, int]]:
        """(first missed poll, first good poll after) of each absence among the polls to be written."""
        spans = offline_spans(machine, after_ns, upto_ns + 1)
        polls = [(-(-start // self._period_ns), -(-end // self._period_ns)) for start, end in spans]
        return [(gone, back) for gone, back in polls if back > max(gone, self._polled + 1)]

    def _absent(self, rows: Rows, gone: int, back: int, edge_values: list[Any]) -> Rows:
        """The rows without those of polls that got no answer, and with the gap's row if the gap begins here."""
        t_ns = rows[0]
        keep = (t_ns < gone * self._period_ns) | (t_ns > back * self._period_ns)
        rows = (t_ns[keep], rows[1][keep], rows[2][keep])
        if gone <= self._polled:
            return rows
        last_ns = max((gone - 1) * self._period_ns, self.until_ns)
        return _with_row(rows, last_ns + (_AFTER_NS if last_ns in rows[0] else 0), edge_values[0], GAP)


def _seen(t_ns: Int64, values: Values, first: int, period_ns: int, last: Any) -> tuple[Int64, Values]:
    """Changes as polls from number `first` on see them: poll numbers and values, unchanged values left out."""
    polls = np.maximum(-(-t_ns // period_ns), first)
    final = np.append(polls[1:] != polls[:-1], True)
    polls, seen = polls[final], values[final]
    new = np.append(last is None or seen[0] != last, seen[1:] != seen[:-1])
    return polls[new], seen[new]


def _with_row(rows: Rows, t_ns: int, value: Any, quality: int) -> Rows:
    place = int(np.searchsorted(rows[0], t_ns))
    return (
        np.insert(rows[0], place, t_ns),
        np.insert(rows[1], place, value),
        np.insert(rows[2], place, quality),
    )


def write(
    factory: Factory,
    start_ns: int,
    end_ns: int,
    directory: Path | str,
    period_s: float = 1.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Plant:
    """The whole history of `[start_ns, end_ns)` in one go; returns the model as it is then, ready to go on."""
    plant = Plant(factory)
    writer = Writer(plant, start_ns, Path(directory), period_s)
    writer.write_until(end_ns, on_progress)
    writer.finish()
    return plant
