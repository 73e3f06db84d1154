"""One machine while the agent runs: its state, and the rows that no step has taken in yet.

A machine that starts over, or continues after a pause, is given gaps from where it was computed, and then the latest
known values: `gap_times_ns` says where a gap must lie to be seen by the engine.
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
    """phase: where in `idle_ns` its turn is [1]; state_tags: tags whose news may change what the machine is doing; held:
    it stands still while it is being corrected; live: what it was doing at its last step; previewed: what it is doing
    by rows that no step has taken in yet, and up to when [ns].
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
        """A machine's tags but those that only count: they tell how many, not what the machine is doing."""
        counted = {counter.tag for counter in self.machine.pieces.counters().values()}
        named = {name for rule in self.machine.rules if rule.when for name in rule.when.tags}
        self.state_tags = self.machine.tags() - (counted - named)

    @property
    def shown(self) -> MachineSnapshot | None:
        """What screens show; None before the first sample."""
        return self.previewed[1] if self.previewed and self.previewed[0] > self.state.until_ns else self.live

    def feed(self, row: Row) -> None:
        """Adds a row of one of its tags. One older than what is computed counts from there on: what was offered cannot
        be changed by a step.
        """
        t_ns = max(row.t_ns, self.state.until_ns)
        times_ns = gap_times_ns(self.state, row.tag, t_ns) if row.quality is Quality.GAP else [t_ns]
        self.rows.setdefault(row.tag, []).extend((at_ns, row.value, row.quality) for at_ns in times_ns)

    def is_due(self, until_ns: int, idle_ns: int) -> bool:
        """Whether it is to be computed now. Where a pause in counting is a stop, the next count ends that stop."""
        news = {tag for tag, rows in self.rows.items() if rows[0][0] < until_ns}
        if news & self.state_tags:
            return True
        if news and self.machine.gap and not (self.live and self.live.state is State.RUNNING):
            return True
        shift_ns = round(self.phase * idle_ns)
        return (until_ns + shift_ns) // idle_ns > (self.state.until_ns + shift_ns) // idle_ns

    def take_rows(self, until_ns: int) -> dict[str, Series]:
        """Takes out what lies before `until_ns` as columns; the rest stays."""
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
        """Looks ahead from a state over rows that wait, if they are not those of the last preview."""
        until_ns = max(int(rows.t_ns[-1]) for rows in samples.values()) + MS_NS
        if self.previewed and self.previewed[0] == until_ns:
            return
        with suppress(*_READING_ERRORS):  # the step will raise it, and there it is reported
            live = engine.preview(self.machine, state, samples, until_ns)
            if live and self.state is state:
                self.previewed = until_ns, live

    def start_over(self, latest: Mapping[str, Row], now_ns: int) -> None:
        """Everything is unknown from where it was computed until `now_ns`, when the latest rows of its tags hold."""
        self.previewed = None
        until_ns, tags = self.state.until_ns, self.machine.tags()
        gaps = {tag: gap_times_ns(self.state, tag, until_ns) for tag in tags} if until_ns else {}
        self.rows = {tag: [(t_ns, None, Quality.GAP) for t_ns in times_ns] for tag, times_ns in gaps.items()}
        for row in [latest[tag] for tag in tags if tag in latest]:
            self.rows.setdefault(row.tag, []).append((max(now_ns, until_ns), row.value, row.quality))

    def shift(self, by_ns: int) -> None:
        """Rows that wait have other times now."""
        self.previewed = None
        self.rows = {
            tag: [(max(t_ns + by_ns, self.state.until_ns), value, quality) for t_ns, value, quality in rows]
            for tag, rows in self.rows.items()
        }

    def last_row_ns(self, tag: str) -> int:
        """The last row that its state holds of a tag [ns]; 0 without any."""
        held = self.state.rows.get(tag, EMPTY).t_ns
        return int(held[-1]) if len(held) else 0


def gap_times_ns(state: EngineState, tag: str, from_ns: int) -> list[int]:
    """Where a tag's gap that begins at `from_ns` must be recorded [ns]: not in the millisecond of a value that the state
    holds (the engine would keep only the gap), and again after one that lies later, which would else hold through it.
    """
    held = state.rows.get(tag, EMPTY).t_ns
    later = held[held >= from_ns - from_ns % MS_NS]
    if not len(later):
        return [from_ns]
    first_ns = from_ns if later[0] >= from_ns + MS_NS else from_ns + MS_NS
    return sorted({first_ns, max(first_ns, int(later[-1]) + MS_NS)})


def last_used_ns(runs: Iterable[MachineRun]) -> dict[str, int]:
    """For each tag the time up to which a machine has used it [ns]: where its gap begins after a restart.

    A machine that was never computed may hold rows all the same: there it is the tag's last row.
    """
    out: dict[str, int] = {}
    for run in runs:
        for tag in run.machine.tags():
            if (t_ns := run.state.until_ns or run.last_row_ns(tag)) > 0:
                out[tag] = min(out.get(tag, t_ns), t_ns)
    return out
