"""The engine state of one machine: what must survive from block to block and across a restart. Pure.

On disk it is called `carry`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np

from oee.engine.counting.spans import OpenSpan
from oee.engine.counting.steps import CounterState, read_state
from oee.model.declarations import ENTRIES, Declaration
from oee.model.facts import (
    CYCLE_BINS,
    UNKNOWN_PRODUCT,
    CycleTimes,
    Facts,
    Int64,
    Losses,
    RowKey,
    Stop,
    dense,
    sparse,
)
from oee.model.samples import Series, column
from oee.model.states import State

FORMAT: Final = 2
_READS: Final = (1, 2)
"""Format 1 had no `part_facts` and `part_losses`. CycleTimes were added without a new format: they are absent where an older
program wrote it, and one ignores them."""


@dataclass(frozen=True)
class TableBaseline:
    """What the next delta of facts (or of losses, or cycles) is computed against.

    sums: what was sent less what is settled, by key; negative where settled time has not been sent yet.
    row_counts: rows sent so far, by minute (of cycles: by hour, here and below).
    part: the settled sums of the minute in which the settled time lies: what a computation that begins there must add to
      reach that minute's whole sums (`oee.engine.correction`).
    """

    sums: Mapping[RowKey, Int64] = field(default_factory=dict)
    row_counts: Mapping[int, int] = field(default_factory=dict)
    part: Mapping[RowKey, Int64] = field(default_factory=dict)


@dataclass(frozen=True)
class Baseline:
    """What the next delta is computed against. stops: id to the stop as last sent, for stops that may still change."""

    facts: TableBaseline = TableBaseline()
    losses: TableBaseline = TableBaseline()
    stops: Mapping[str, Stop] = field(default_factory=dict)
    cycles: TableBaseline = TableBaseline()


class CounterOddity(NamedTuple):
    """What a counter did besides counting: `oee.engine.counting.steps.Oddity`, and which counter it was."""

    t_ns: int
    kind: str
    old: int
    new: int
    role: str


@dataclass(frozen=True)
class EngineState:
    """The engine state of one machine. Everything is as of just before `settled_ns` except the rows, which reach beyond
    `until_ns` where a tag is ahead of others.

    settled_ns: what is earlier will not change any more unless a declaration reaches back; 0 before the first sample.
    until_ns: up to here the timeline has been computed.
    """

    settled_ns: int = 0
    until_ns: int = 0
    rows: Mapping[str, Series] = field(default_factory=dict)
    counters: Mapping[str, CounterState] = field(default_factory=dict)
    declarations: tuple[Declaration, ...] = ()
    product: str = UNKNOWN_PRODUCT
    known_product: str = UNKNOWN_PRODUCT
    """The last product that was known, for a changeover across a time in which it was not."""
    last_piece_ns: int = 0
    made_since_setup: int | None = None
    since_ns: int = 0
    """Start of the state that holds at `settled_ns`."""
    ran_ns: int = 0
    """What the clock of running time shows at `settled_ns`."""
    shift: tuple[int, str] = (0, "")
    shift_pieces: int = 0
    """Pieces of that business date and shift before `settled_ns`."""
    baseline: Baseline = Baseline()
    late_rows: int = 0
    """Number of rows that came for settled time and were not used."""
    oddities: tuple[CounterOddity, ...] = ()
    """The latest of what counters did besides counting, in order of time."""
    open_span: OpenSpan | None = None
    """The span of cycles that goes on at `settled_ns`."""

    def undivided_entries(self) -> list[Declaration]:
        """Entries of rejects or rework of which no part is settled, so that they can be spread over their periods: they begin
        at `settled_ns` or later, or at any time while that is the first sample, before which there was nothing to spread over.
        """
        at_first_sample = self.shift == (0, "")
        return [
            item
            for item in self.declarations
            if item.field in ENTRIES
            and (item.start_ns >= self.settled_ns or (at_first_sample and (item.end_ns or 0) > self.settled_ns))
        ]


def _series(rows: Series) -> list[list[Any]]:
    return [rows.t_ns.tolist(), rows.value.tolist(), rows.quality.tolist()]


def _sums(table: Mapping[Any, Int64]) -> list[list[Any]]:
    return [[list(key), row.tolist()] for key, row in table.items()]


def _bins(table: Mapping[Any, Int64]) -> list[list[Any]]:
    return [[list(key), *sparse(row)] for key, row in table.items()]


def _read_bins(rows: Iterable[Any]) -> dict[RowKey, Int64]:
    out: dict[RowKey, Int64] = {tuple(key): dense(places, values, CYCLE_BINS) for key, places, values in rows}
    if any(len(key) != len(CycleTimes.KEYS) for key in out):
        raise ValueError("cycles of other keys")
    return out


def _read_series(t_ns: list[int], value: list[Any], quality: list[int]) -> Series:
    if not len(t_ns) == len(value) == len(quality):
        raise ValueError("columns of unequal length")
    return Series(np.array(t_ns, np.int64), column(value), np.array(quality, np.uint8))


def _read_sums(rows: Iterable[Any], keys: Sequence[str], columns: Sequence[str]) -> dict[RowKey, Int64]:
    out: dict[RowKey, Int64] = {tuple(key): np.array(row, np.int64) for key, row in rows}
    if any(len(key) != len(keys) or row.shape != (len(columns),) for key, row in out.items()):
        raise ValueError("sums of other columns")
    return out


def _read_baseline(plain: Mapping[str, Any], name: str, table: type[Facts | Losses]) -> TableBaseline:
    plural = {"fact": "facts", "loss": "losses"}[name]
    sums, part = plain[plural], plain.get(f"part_{plural}", ())
    counts = _read_counts(plain[f"{name}_rows"])
    return TableBaseline(
        _read_sums(sums, table.KEYS, table.COLUMNS), counts, _read_sums(part, table.KEYS, table.COLUMNS)
    )


def _read_counts(rows: Iterable[Any]) -> dict[int, int]:
    return {int(minute): int(n) for minute, n in rows}


def dump(state: EngineState) -> bytes:
    """The state as bytes for `load`."""
    facts, losses, stops = state.baseline.facts, state.baseline.losses, state.baseline.stops
    cycles = state.baseline.cycles
    plain = {
        "format": FORMAT,
        "settled_ns": state.settled_ns,
        "until_ns": state.until_ns,
        "rows": {tag: _series(rows) for tag, rows in state.rows.items()},
        "counters": {role: asdict(counter) for role, counter in state.counters.items()},
        "declarations": [asdict(declaration) for declaration in state.declarations],
        "product": state.product,
        "known_product": state.known_product,
        "last_piece_ns": state.last_piece_ns,
        "made_since_setup": state.made_since_setup,
        "since_ns": state.since_ns,
        "ran_ns": state.ran_ns,
        "shift": list(state.shift),
        "shift_pieces": state.shift_pieces,
        "late_rows": state.late_rows,
        "oddities": [list(item) for item in state.oddities],
        "facts": _sums(facts.sums),
        "losses": _sums(losses.sums),
        "stops": [asdict(stop) for stop in stops.values()],
        "fact_rows": list(facts.row_counts.items()),
        "loss_rows": list(losses.row_counts.items()),
        "part_facts": _sums(facts.part),
        "part_losses": _sums(losses.part),
        "open_span": state.open_span,
        "cycles": _bins(cycles.sums),
        "cycle_rows": list(cycles.row_counts.items()),
        "part_cycles": _bins(cycles.part),
    }
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()


_UNREADABLE: Final = (LookupError, TypeError, AttributeError, OverflowError, RecursionError, UnicodeDecodeError)


def load(data: bytes) -> EngineState:
    """The state in these bytes. Raises `ValueError` if they are not of this format, or damaged."""
    try:
        plain = json.loads(data)
        if plain["format"] not in _READS:
            raise ValueError(f"carry of format {plain['format']}; this program reads {FORMAT}")
        stops = [Stop(**(item | {"state": State(item["state"])})) for item in plain["stops"]]
        facts, losses = _read_baseline(plain, "fact", Facts), _read_baseline(plain, "loss", Losses)
        cycles = TableBaseline(
            _read_bins(plain.get("cycles", ())),
            _read_counts(plain.get("cycle_rows", ())),
            _read_bins(plain.get("part_cycles", ())),
        )
        baseline = Baseline(facts, losses, {stop.id: stop for stop in stops}, cycles)
        return replace(
            EngineState(baseline=baseline),
            settled_ns=int(plain["settled_ns"]),
            until_ns=int(plain["until_ns"]),
            rows={tag: _read_series(*columns) for tag, columns in plain["rows"].items()},
            counters={role: read_state(item) for role, item in plain["counters"].items()},
            declarations=tuple(Declaration(**item) for item in plain["declarations"]),
            product=plain["product"],
            known_product=plain["known_product"],
            last_piece_ns=plain["last_piece_ns"],
            made_since_setup=plain["made_since_setup"],
            since_ns=plain["since_ns"],
            ran_ns=plain.get("ran_ns", 0),
            shift=(plain["shift"][0], plain["shift"][1]),
            shift_pieces=plain["shift_pieces"],
            late_rows=plain["late_rows"],
            oddities=tuple(CounterOddity(*item) for item in plain.get("oddities", ())),
            open_span=OpenSpan(*begun) if (begun := plain.get("open_span")) else None,
        )
    except (*_UNREADABLE, json.JSONDecodeError) as error:
        raise ValueError(f"no carry of a machine: {error!r}") from error
