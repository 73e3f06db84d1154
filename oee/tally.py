"""The kernel: a judged timeline and production become facts and losses.

Time is cut at every minute, calendar span and product change; pieces go to the key that holds at their
time. One function for live data, replay and recomputation.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oee.events import Events, events
from oee.facts import (
    FACT,
    FACT_COLUMNS,
    LOSS_COLUMNS,
    MINUTE_NS,
    MS_NS,
    NO_FACTS,
    NO_LOSSES,
    Facts,
    Int64,
    Losses,
    Text,
)
from oee.states import State
from oee.timeline import text
from oee.whole import Whole

_STATES: Final = len(State)


def tally(whole: Whole, start_ns: int, end_ns: int) -> tuple[Facts, Losses]:
    """Facts and losses of what lies in `[start_ns, end_ns)` of the window, `n` zero.

    Over a partition of the window the results add up to the window's, exactly.
    """
    if end_ns <= start_ns:
        return NO_FACTS, NO_LOSSES
    cells = _cells(whole, start_ns, end_ns)
    more = events(whole, start_ns, end_ns)
    return _facts(whole, cells, more), _losses(whole, cells, more)


@dataclass(frozen=True)
class _Cells:
    """Time cut so that nothing changes within: start [ns], length [ms], and what holds (product: its code)."""

    start_ns: Int64
    ms: Int64
    span: Int64
    product: Int64
    interval: Int64


def _cells(whole: Whole, start_ns: int, end_ns: int) -> _Cells:
    since = [ideal.since_ns for product in whole.machine.products.values() for ideal in product.ideals]
    minutes = np.arange(start_ns - start_ns % MINUTE_NS + MINUTE_NS, end_ns, MINUTE_NS, dtype=np.int64)
    parts = [minutes, whole.line.start_ns, whole.spans.start_ns, whole.products.from_ns, np.array(since, np.int64)]
    edges = [part[(part > start_ns) & (part < end_ns)] for part in (*parts, *whole.blind)]
    start = np.concatenate([np.array([start_ns], np.int64), *edges])
    start.sort(kind="stable")  # a few sorted runs laid end to end: nearly linear
    start = start[np.append(True, start[1:] != start[:-1])]
    edge_ms = np.append(start, end_ns) // MS_NS
    return _Cells(
        start, edge_ms[1:] - edge_ms[:-1], whole.span_at(start), whole.product_at(start), whole.interval_at(start)
    )


def _keys(whole: Whole, t_ns: Int64, span: Int64, product: Int64) -> Int64:
    """One number for (minute, span, product), ascending with time."""
    first = int(whole.line.start_ns[0]) // MINUTE_NS
    return ((t_ns // MINUTE_NS - first) * (len(whole.spans.start_ns) + 1) + span) * (len(whole.names) + 1) + product


def _group(cells: Int64, more: Int64) -> tuple[Int64, Int64, Int64]:
    """Groups of equal keys over cells and events: for each its first row (events count after the cells), and the group
    of each cell and each event. Cells come in order of time, so their groups are runs, but where a product came back
    within a minute."""
    begins = np.append(True, cells[1:] != cells[:-1])
    runs = cells[begins]
    if (runs[1:] > runs[:-1]).all():
        place = np.minimum(np.searchsorted(runs, more), len(runs) - 1)
        if (runs[place] == more).all():
            return np.flatnonzero(begins), begins.cumsum() - 1, place
    _, first, group = np.unique(np.concatenate([cells, more]), return_index=True, return_inverse=True)
    return first, group[: len(cells)], group[len(cells) :]


def _add_rows(sums: Int64, group: Int64, rows: Int64) -> None:
    """`sums[group] += rows` where groups repeat. Column by column, since most columns of an event are empty; the weights
    are whole numbers far below 2^53, so the detour through floats is exact."""
    for column in np.flatnonzero(rows.any(axis=0)).tolist():
        sums[:, column] += np.bincount(group, weights=rows[:, column], minlength=len(sums)).astype(np.int64)


def _facts(whole: Whole, cells: _Cells, more: Events) -> Facts:
    first, mine, theirs = _group(
        _keys(whole, cells.start_ns, cells.span, cells.product), _keys(whole, more.t_ns, more.span, more.product)
    )
    sums = np.zeros((len(first), len(FACT_COLUMNS)), np.int64)
    state = whole.line.state[cells.interval].astype(np.int64)
    by_state = np.bincount(mine * _STATES + state, weights=cells.ms, minlength=len(first) * _STATES)
    sums[:, :_STATES] = by_state.reshape(-1, _STATES)
    known = whole.ideal_us(cells.product, cells.start_ns) > 0
    begun, ended = (np.searchsorted(edge, cells.start_ns, "right") for edge in whole.blind)
    known &= begun == ended
    for name, wanted in (("running", State.RUNNING), ("minor_stop", State.MINOR_STOP)):
        part = known & (state == wanted)
        sums[:, FACT[f"{name}_ideal_known_ms"]] = np.bincount(mine[part], weights=cells.ms[part], minlength=len(first))
    _add_rows(sums, theirs, more.sums)
    full = sums.any(axis=1)
    if not full.all():
        first, sums = first[full], sums[full]
    return Facts(*_key_columns(whole, cells, more, first), sums, np.zeros(len(first), np.int64))


def _key_columns(
    whole: Whole, cells: _Cells, more: Events, rows: Int64
) -> tuple[
    Text, Int64, "np.ndarray[tuple[int], np.dtype[np.uint8]]", "np.ndarray[tuple[int], np.dtype[np.int32]]", Text, Text
]:
    """The key columns of rows numbered over cells and then events."""
    minute = np.concatenate([cells.start_ns, more.t_ns])[rows]
    span = np.concatenate([cells.span, more.span])[rows]
    product = np.concatenate([cells.product, more.product])[rows]
    spans = whole.spans
    return (
        text(whole.machine.id, len(rows)),
        minute - minute % MINUTE_NS,
        spans.calendar[span],
        spans.business_date[span],
        spans.shift[span],
        text(whole.names)[product],
    )


def _losses(whole: Whole, cells: _Cells, more: Events) -> Losses:
    """Time by state and reason, and the pieces counted meanwhile."""
    line = whole.line
    interval = np.concatenate([cells.interval, more.interval])
    made = more.sums[:, FACT["pieces_total"]]
    ms = np.concatenate([cells.ms, np.zeros(len(made), np.int64)])
    pieces = np.concatenate([np.zeros(len(cells.ms), np.int64), made])
    lost = np.flatnonzero((line.state[interval] != State.RUNNING) & ((ms != 0) | (pieces != 0)))
    reasons = {name: number for number, name in enumerate(dict.fromkeys(line.reason.tolist()))}
    code = np.array([reasons[name] for name in line.reason.tolist()], np.int64)
    what = line.state.astype(np.int64) * (len(reasons) + 1) + code
    keys = np.concatenate(
        [
            _keys(whole, cells.start_ns, cells.span, cells.product),
            _keys(whole, more.t_ns, more.span, more.product),
        ]
    )[lost]
    keys = keys * ((_STATES + 1) * (len(reasons) + 1)) + what[interval[lost]]
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), len(LOSS_COLUMNS)), np.int64)
    for column, values in enumerate((ms, pieces)):
        sums[:, column] = np.bincount(group, weights=values[lost], minlength=len(first))
    rows = lost[first]
    held = interval[rows]
    return Losses(
        *_key_columns(whole, cells, more, rows),
        line.state[held],
        line.reason[held],
        sums,
        np.zeros(len(first), np.int64),
    )
