"""Pareto: which losses, machines, products or shifts cost most. Pure.

Stops count with their time, slow cycles and rejects with their ideal time, so that all are microseconds and can be
ranked together. Only scheduled time counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from oee.model.facts import FACT, NO_FACTS, Facts, Int64, Losses, select
from oee.model.states import CalendarClass, State

BY: Final = ("state", "reason", "machine", "product", "shift")
NOT_LOST: Final = (State.PLANNED_STOP, State.UNKNOWN)
"""States that are no loss of busy time: planned stops are schedule losses, and unknown time comes from the calendar."""

_REJECTS: Final = ("startup_reject", "process_reject", "rework")


@dataclass(frozen=True)
class ParetoRow:
    """key: in the order of `by`; a state is a state's word, or `slow_cycles`, `startup_reject`, `process_reject`,
    `rework`. us: lost time, or ideal time of what was lost [us]. pieces: rejected ones. share: of the sum of all
    positive rows [1]; cumulative: with the rows before it; both None for a row that is not positive.
    """

    key: tuple[str, ...]
    us: int
    pieces: int
    share: float | None
    cumulative: float | None


@dataclass(frozen=True)
class Pareto:
    """Rows, the largest first. flags: `slow_cycles_negative` where a machine makes a product faster than its ideal
    time: those rows and sums are too small.
    """

    rows: tuple[ParetoRow, ...]
    us: int
    flags: tuple[str, ...]


def pareto(
    losses: Losses,
    facts: Facts = NO_FACTS,
    by: Sequence[str] = ("state", "reason"),
    *,
    without: Sequence[State] = NOT_LOST,
) -> Pareto:
    """Losses added up by some of `BY`, the largest first; ties in the order of their keys.

    losses: stops, by reason; facts: of the same window and machines, for slow cycles and rejects (without them the
    Pareto is of stops alone). Both keep calendar classes apart, and facts keep products apart, since a slow and a too
    fast product hide each other. without: states left out.
    Raises `ValueError` for a column that cannot be grouped by.
    """
    unknown = [name for name in by if name not in BY]
    if unknown:
        raise ValueError(f"cannot group losses by {unknown[0]!r}; there are {', '.join(BY)}")
    added: dict[tuple[str, ...], list[int]] = {}
    wanted = (losses.calendar == CalendarClass.SCHEDULED) & ~np.isin(losses.state, [int(state) for state in without])
    stops = select(losses, wanted)
    words = [State(code).word for code in stops.state.tolist()]
    _add(added, _keys(stops, by, words, stops.reason.tolist()), stops.sums[:, 0] * 1000, None)
    made = select(facts, facts.calendar == CalendarClass.SCHEDULED)
    slow = made.column("running_ideal_known_ms") * 1000 - made.column("ideal_total_us")
    _add(added, _named(made, by, "slow_cycles"), slow, None)
    for cause in _REJECTS:
        lost, pieces = made.column(f"ideal_{cause}_us"), made.sums[:, FACT[f"pieces_{cause}"]]
        _add(added, _named(made, by, cause), lost, pieces)
    return _ranked(added, _flags(made, slow))


def _named(table: Facts, by: Sequence[str], word: str) -> list[tuple[str, ...]]:
    return _keys(table, by, [word] * len(table), [""] * len(table))


def _keys(table: Facts | Losses, by: Sequence[str], states: list[str], reasons: list[str]) -> list[tuple[str, ...]]:
    cells: dict[str, Callable[[], list[Any]]] = {
        "state": lambda: states,
        "reason": lambda: reasons,
        "machine": table.machine.tolist,
        "product": table.product.tolist,
        "shift": table.shift.tolist,
    }
    columns = [cells[name]() for name in by]
    return list(zip(*columns, strict=True)) if columns else [()] * len(table)


def _add(added: dict[tuple[str, ...], list[int]], keys: list[tuple[str, ...]], us: Int64, pieces: Int64 | None) -> None:
    count = us * 0 if pieces is None else pieces
    for key, time_us, number in zip(keys, us.tolist(), count.tolist(), strict=True):
        total = added.setdefault(key, [0, 0])
        total[0] += time_us
        total[1] += number


def _flags(made: Facts, slow: Int64) -> tuple[str, ...]:
    """By machine and product, since within a minute pieces and time fall where they fall."""
    added: dict[tuple[str, ...], list[int]] = {}
    _add(added, _keys(made, ("machine", "product"), [], []), slow, None)
    return ("slow_cycles_negative",) if any(us < 0 for us, _ in added.values()) else ()


def _ranked(added: dict[tuple[str, ...], list[int]], flags: tuple[str, ...]) -> Pareto:
    order = sorted(
        ((key, us, pieces) for key, (us, pieces) in added.items() if us or pieces), key=lambda row: (-row[1], row[0])
    )
    total_us = sum(us for _, us, _ in order if us > 0)
    rows, so_far = [], 0
    for key, us, pieces in order:
        so_far += max(us, 0)
        share, cumulative = (us / total_us, so_far / total_us) if us > 0 else (None, None)
        rows.append(ParetoRow(key, us, pieces, share, cumulative))
    return Pareto(tuple(rows), sum(us for _, us, _ in order), flags)
