"""The kernel: aggregates a window's timeline and production to facts and losses. Pure.

Time is cut at every minute, calendar span and product change, so that nothing changes within a cell; what is counted
falls into the cell that contains its time. For speed, cells and groups are numbers in ascending order, and columns to
which nothing is added are not touched. One function for live data, replay and recomputation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oee.engine.events import Events, events
from oee.engine.window import Window
from oee.model.cycle_bins import bin_of
from oee.model.facts import (
    CYCLE_BINS,
    FACT,
    FACT_COLUMNS,
    HOUR_NS,
    LOSS_COLUMNS,
    MINUTE_NS,
    MS_NS,
    NO_CYCLES,
    NO_FACTS,
    NO_LOSSES,
    UNKNOWN_PRODUCT,
    CycleTimes,
    Facts,
    Int64,
    Losses,
    Text,
    same_text,
    select,
    text_column,
)
from oee.model.samples import latest_at
from oee.model.states import State

_STATES: Final = len(State)


def aggregate(window: Window, start_ns: int, end_ns: int) -> tuple[Facts, Losses]:
    """Facts and losses of what lies in `[start_ns, end_ns)` of the window, `n` zero.

    Over a partition of the window the results add up to the window's, exactly.
    """
    if end_ns <= start_ns:
        return NO_FACTS, NO_LOSSES
    cells = _cells(window, start_ns, end_ns)
    placed = [_Placed(part, _cell_of(cells, part.t_ns)) for part in events(window, start_ns, end_ns)]
    return _facts(window, cells, placed), _losses(window, cells, placed[0])


def cycle_histograms(window: Window, start_ns: int, end_ns: int) -> CycleTimes:
    """Histograms of the cycles of known products that end in `[start_ns, end_ns)` of the window, `n` zero; they add up as
    facts do."""
    measured = window.cycle_spans
    low, high = measured.to_ns.searchsorted([start_ns, end_ns]).tolist()
    if low >= high:
        return NO_CYCLES
    from_ns, to_ns, product, counts = (column[low:high] for column in measured[:4])
    spans, hour = window.spans, to_ns // HOUR_NS
    span = np.maximum(latest_at(spans.start_ns, to_ns), 0)
    begins = np.ones(len(hour), np.bool_)  # a row for each stretch of one key: they are additive
    begins[1:] = (hour[1:] != hour[:-1]) | (span[1:] != span[:-1]) | (product[1:] != product[:-1])
    first, group = np.flatnonzero(begins), begins.cumsum() - 1
    place = group * CYCLE_BINS + bin_of((to_ns - from_ns) // counts)
    found = CycleTimes(
        same_text(window.machine.id, len(first)),
        hour[first] * HOUR_NS,
        spans.calendar[span[first]],
        spans.business_date[span[first]],
        spans.shift[span[first]],
        text_column(window.names)[product[first]],
        _sum(place, counts, len(first) * CYCLE_BINS).reshape(len(first), CYCLE_BINS),
        np.zeros(len(first), np.int64),
    )
    return select(found, found.product != UNKNOWN_PRODUCT) if UNKNOWN_PRODUCT in window.names else found


@dataclass(frozen=True)
class _Cells:
    """Time cut so that nothing changes within a cell: start [ns], minute (since 1970), length [ms], and the indices of its
    span and of its interval in the timeline; product: its code."""

    start_ns: Int64
    minute: Int64
    ms: Int64
    span: Int64
    product: Int64
    interval: Int64


@dataclass(frozen=True)
class _Placed:
    """Events, and the cell that each falls into."""

    events: Events
    cell: Int64


def _cell_of(cells: _Cells, t_ns: Int64) -> Int64:
    out: Int64 = np.maximum(np.searchsorted(cells.start_ns, t_ns, "right") - 1, 0)
    return out


def _cells(window: Window, start_ns: int, end_ns: int) -> _Cells:
    since = [ideal.since_ns for product in window.machine.products.values() for ideal in product.ideals]
    minutes = np.arange(start_ns - start_ns % MINUTE_NS + MINUTE_NS, end_ns, MINUTE_NS, dtype=np.int64)
    parts = [
        window.timeline.start_ns,
        minutes,
        window.spans.start_ns,
        window.products.from_ns,
        np.array(since, np.int64),
    ]
    edges = [part[(part > start_ns) & (part < end_ns)] for part in (*parts, *window.counter_unknown)]
    times = np.concatenate([np.array([start_ns], np.int64), *edges])
    order = np.argsort(times, kind="stable")  # a few sorted runs one after the other: nearly linear
    times = times[order]
    last = np.append(times[1:] != times[:-1], True)
    start = times[last]
    intervals_begun = ((order > 0) & (order <= len(edges[0]))).cumsum()[last]
    first_interval = max(int(np.searchsorted(window.timeline.start_ns, start_ns, "right")) - 1, 0)
    edge_ms = np.append(start, end_ns) // MS_NS
    return _Cells(
        start,
        start // MINUTE_NS,
        edge_ms[1:] - edge_ms[:-1],
        np.maximum(latest_at(window.spans.start_ns, start), 0),
        window.product_at(start),
        first_interval + intervals_begun,
    )


def _keys(window: Window, cells: _Cells, cell: Int64 | slice, product: Int64) -> Int64:
    """One number for (minute, span, product), ascending with time."""
    minute = cells.minute[cell] - cells.minute[0]
    out: Int64 = (minute * (len(window.spans.start_ns) + 1) + cells.span[cell]) * (len(window.names) + 1) + product
    return out


@dataclass(frozen=True)
class _Groups:
    """Rows of equal key. cell, product: by row, one of its cells and its product; of_cells: the row of each cell; of_events:
    the row of each event, one array for each set of events."""

    cell: Int64
    product: Int64
    of_cells: Int64
    of_events: list[Int64]


def _grouped(window: Window, cells: _Cells, placed_events: Sequence[_Placed]) -> _Groups:
    """Cells are in order of time, so groups are runs of neighbours unless a product came back within a minute; an event
    belongs to its cell's group unless the product changed at exactly that time."""
    keys = _keys(window, cells, slice(None), cells.product)
    begins = np.append(True, keys[1:] != keys[:-1])
    first = np.flatnonzero(begins)
    in_order = bool((np.diff(keys[first]) > 0).all())
    if in_order and all((cells.product[placed.cell] == placed.events.product).all() for placed in placed_events):
        group = begins.cumsum() - 1
        return _Groups(first, cells.product[first], group, [group[placed.cell] for placed in placed_events])
    event_keys = [_keys(window, cells, placed.cell, placed.events.product) for placed in placed_events]
    _, first, group = np.unique(np.concatenate([keys, *event_keys]), return_index=True, return_inverse=True)
    cell = np.concatenate([np.arange(len(keys)), *(placed.cell for placed in placed_events)])
    product = np.concatenate([cells.product, *(placed.events.product for placed in placed_events)])
    ends = np.cumsum([len(keys), *(len(keys_of) for keys_of in event_keys)]).tolist()
    parts = [group[low:high] for low, high in pairwise(ends)]
    return _Groups(cell[first], product[first], group[: len(keys)], parts)


def _sum(group: Int64, values: Int64, length: int) -> Int64:
    """Sums by group. The weights are whole numbers far below 2^53, so the detour through floats is exact."""
    return np.bincount(group, weights=values, minlength=length).astype(np.int64)


def _facts(window: Window, cells: _Cells, placed_events: Sequence[_Placed]) -> Facts:
    rows = _grouped(window, cells, placed_events)
    size = len(rows.cell)
    sums = np.zeros((len(FACT_COLUMNS), size), np.int64)  # by column, since most columns stay empty
    state = window.timeline.state[cells.interval]
    for code in np.flatnonzero(np.bincount(window.timeline.state)).tolist():
        part = np.flatnonzero(state == code)
        sums[code] = _sum(rows.of_cells[part], cells.ms[part], size)
    ideal_known = window.ideal_us(cells.product, cells.start_ns) > 0
    if len(window.counter_unknown[0]):
        begins_so_far, ends_so_far = (np.searchsorted(edge, cells.start_ns, "right") for edge in window.counter_unknown)
        ideal_known &= begins_so_far == ends_so_far
    for name, state_wanted in (("running", State.RUNNING), ("minor_stop", State.MINOR_STOP)):
        if ideal_known.all():
            sums[FACT[f"{name}_ideal_known_ms"]] = sums[state_wanted]
            continue
        part = np.flatnonzero(ideal_known & (state == state_wanted))
        sums[FACT[f"{name}_ideal_known_ms"]] = _sum(rows.of_cells[part], cells.ms[part], size)
    for placed, group in zip(placed_events, rows.of_events, strict=True):
        for name, values in placed.events.columns.items():
            if values.any():
                sums[FACT[name]] += _sum(group, values, size)
    table = sums.T
    filled = sums[:_STATES].any(axis=0)
    if not filled.all():
        filled |= sums.any(axis=0)
        table = table[filled]
    cell, product = (rows.cell, rows.product) if filled.all() else (rows.cell[filled], rows.product[filled])
    return Facts(*_key_columns(window, cells, cell, product), table, np.zeros(len(table), np.int64))


def _key_columns(
    window: Window, cells: _Cells, cell: Int64, product: Int64
) -> tuple[Text, Int64, NDArray[np.uint8], NDArray[np.int32], Text, Text]:
    """The key columns of rows that lie in these cells."""
    span, spans = cells.span[cell], window.spans
    return (
        same_text(window.machine.id, len(cell)),
        cells.minute[cell] * MINUTE_NS,
        spans.calendar[span],
        spans.business_date[span],
        spans.shift[span],
        text_column(window.names)[product],
    )


def _losses(window: Window, cells: _Cells, watched: _Placed) -> Losses:
    """Time by state and reason, and the pieces counted during it.

    A piece counted at the very time at which a stop begins or ends was made before or after it.
    """
    timeline = window.timeline
    idle = timeline.state != State.RUNNING
    lost = np.flatnonzero(idle[cells.interval] & (cells.ms != 0))
    made = watched.events.columns.get("pieces_total", np.zeros(len(watched.cell), np.int64))
    during = cells.interval[watched.cell]
    during_stop = np.flatnonzero(idle[during] & (timeline.start_ns[during] < watched.events.t_ns) & (made != 0))
    cell = np.concatenate([lost, watched.cell[during_stop]])
    product = np.concatenate([cells.product[lost], watched.events.product[during_stop]])
    names, code = window.reasons
    cause = timeline.state.astype(np.int64) * len(names) + code
    keys = _keys(window, cells, cell, product) * (_STATES * len(names)) + cause[cells.interval[cell]]
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), len(LOSS_COLUMNS)), np.int64)
    sums[:, 0] = _sum(group[: len(lost)], cells.ms[lost], len(first))
    sums[:, 1] = _sum(group[len(lost) :], made[during_stop], len(first))
    interval = cells.interval[cell[first]]
    return Losses(
        *_key_columns(window, cells, cell[first], product[first]),
        timeline.state[interval],
        timeline.reason[interval],
        sums,
        np.zeros(len(first), np.int64),
    )
