"""One machine while the agent runs: its state, and the rows that no step has taken in yet.

A machine that starts over, or continues after a pause, is given gaps from the end of computed time, and then the latest
known values; `gap_times_ns` says where a gap must lie for the engine to see it.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.contract import Row
from oee.engine import step as engine
from oee.engine.state import EngineState
from oee.engine.step import MachineSnapshot
from oee.model.facts import MS_NS
from oee.model.machine import Machine
from oee.model.samples import EMPTY, Samples, Series, series
from oee.model.states import Quality, State

_READING_ERRORS: Final = (ValueError, IndexError, KeyError, TypeError)


@dataclass
class MachineRun:
    """phase: the machine's offset within `idle_ns`, as a share [1]; held: no steps, it is being corrected; rows: by tag,
    not taken in by a step yet; live: what it was doing at its last step; previewed: until when [ns] and what it is
    doing by rows that no step has taken in yet; state_tags: tags whose rows may change what the machine is doing.
    """

    machine: Machine
    state: EngineState
    phase: float
    held: bool = False
    rows: dict[str, list[tuple[int, Any, Quality]]] = field(default_factory=dict)
    live: MachineSnapshot | None = None
    previewed: tuple[int, MachineSnapshot] | None = None
    state_tags: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Sets `state_tags`: all tags of the machine but those that only count pieces."""
        counted = {counter.tag for counter in self.machine.pieces.counters().values()}
        named = {name for rule in self.machine.rules if rule.when for name in rule.when.tags}
        self.state_tags = self.machine.tags() - (counted - named)

    @property
    def shown(self) -> MachineSnapshot | None:
        """What screens show; None before the first sample."""
        return self.previewed[1] if self.previewed and self.previewed[0] > self.state.until_ns else self.live

    def feed(self, row: Row) -> None:
        """Adds a row of one of its tags. A row from before the end of computed time is moved there, since a step cannot
        change what was offered.
        """
        t_ns = max(row.t_ns, self.state.until_ns)
        times_ns = gap_times_ns(self.state, row.tag, t_ns) if row.quality is Quality.GAP else [t_ns]
        self.rows.setdefault(row.tag, []).extend((at_ns, row.value, row.quality) for at_ns in times_ns)

    def is_due(self, until_ns: int, idle_ns: int) -> bool:
        """Whether a step is due. (Where a pause in counting is a stop, the next count ends that stop.)"""
        new_tags = {tag for tag, rows in self.rows.items() if rows[0][0] < until_ns}
        if new_tags & self.state_tags:
            return True
        if new_tags and self.machine.gap and not (self.live and self.live.state is State.RUNNING):
            return True
        shift_ns = round(self.phase * idle_ns)
        return (until_ns + shift_ns) // idle_ns > (self.state.until_ns + shift_ns) // idle_ns

    def take_rows(self, until_ns: int) -> dict[str, Series]:
        """Removes and returns the rows before `until_ns`, as columns."""
        out: dict[str, Series] = {}
        for tag, waiting in list(self.rows.items()):
            ready = [row for row in waiting if row[0] < until_ns]
            if ready:
                out[tag] = series(ready)
            if len(ready) == len(waiting):
                del self.rows[tag]
            else:
                self.rows[tag] = waiting[len(ready) :]
        return out

    def preview(self, state: EngineState, samples: Samples) -> None:
        """Previews the machine from `state` over waiting rows, unless they are those of the last preview."""
        until_ns = max(int(rows.t_ns[-1]) for rows in samples.values()) + MS_NS
        if self.previewed and self.previewed[0] == until_ns:
            return
        with suppress(*_READING_ERRORS):  # the step will raise it too, and report it
            live = engine.preview(self.machine, state, samples, until_ns)
            if live and self.state is state:
                self.previewed = until_ns, live

    def start_over(self, latest: Mapping[str, Row], now_ns: int) -> None:
        """Replaces the waiting rows: all is unknown from the end of computed time until `now_ns`, then the latest rows hold."""
        self.previewed = None
        until_ns, tags = self.state.until_ns, self.machine.tags()
        gaps = {tag: gap_times_ns(self.state, tag, until_ns) for tag in tags} if until_ns else {}
        self.rows = {tag: [(t_ns, None, Quality.GAP) for t_ns in times_ns] for tag, times_ns in gaps.items()}
        for row in [latest[tag] for tag in tags if tag in latest]:
            self.rows.setdefault(row.tag, []).append((max(now_ns, until_ns), row.value, row.quality))

    def shift(self, by_ns: int) -> None:
        """Gateway time was corrected: moves the waiting rows."""
        self.previewed = None
        self.rows = {
            tag: [(max(t_ns + by_ns, self.state.until_ns), value, quality) for t_ns, value, quality in rows]
            for tag, rows in self.rows.items()
        }

    def last_row_ns(self, tag: str) -> int:
        """The time of a tag's last row in the engine state [ns]; 0 without any."""
        times_ns = self.state.rows.get(tag, EMPTY).t_ns
        return int(times_ns[-1]) if len(times_ns) else 0


def gap_times_ns(state: EngineState, tag: str, from_ns: int) -> list[int]:
    """Where a tag's gap that begins at `from_ns` must be recorded [ns]: not in the millisecond of a value in the state (the
    engine would keep only the gap), and again after any later value, which would otherwise hold through the gap.
    """
    held_ns = state.rows.get(tag, EMPTY).t_ns
    later = held_ns[held_ns >= from_ns - from_ns % MS_NS]
    if not len(later):
        return [from_ns]
    first_ns = from_ns if later[0] >= from_ns + MS_NS else from_ns + MS_NS
    return sorted({first_ns, max(first_ns, int(later[-1]) + MS_NS)})


def last_used_ns(runs: Iterable[MachineRun]) -> dict[str, int]:
    """For each tag the time up to which every machine has used it [ns]: where its gap begins after a restart.

    A machine without computed time may hold rows nevertheless: then it is the tag's last row.
    """
    out: dict[str, int] = {}
    for run in runs:
        for tag in run.machine.tags():
            if (t_ns := run.state.until_ns or run.last_row_ns(tag)) > 0:
                out[tag] = min(out.get(tag, t_ns), t_ns)
    return out
