"""Blocks of recorded rows brought into the order in which they are cleaned: oldest first, a row for each time.

A file with the newest rows first is read backwards; one in no order is held in memory whole. The rows of a long file
that have one time become one row with a value for each of their tags.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oee.model.samples import Int64, UInt8
from replay.read.cells import Cells
from replay.read.clean import Raw
from replay.read.times import UNREADABLE


def arranged(blocks: Iterable[Raw], order: str, *, is_long: bool) -> Iterator[Raw]:
    """The blocks in the order of time that the file has or, for `any`, the one that its times say.

    blocks: in the file's order; with the newest first from the file's end on.
    """
    if order == "newest_first":
        blocks = map(_reversed, blocks)
    elif order == "any":
        blocks = _sorted(map(_readable, blocks))
    return _merged(map(_readable, blocks)) if is_long else iter(blocks)


def _reversed(raw: Raw) -> Raw:
    return _taken(raw, np.arange(len(raw.t_ns))[::-1])


def _readable(raw: Raw) -> Raw:
    readable = raw.t_ns != UNREADABLE
    return raw if readable.all() else _taken(raw, np.flatnonzero(readable))


def _sorted(blocks: Iterable[Raw]) -> Iterator[Raw]:
    raws = list(blocks)
    if raws:
        whole = _joined(raws)
        yield _taken(whole, np.argsort(whole.t_ns, kind="stable"))


def _merged(blocks: Iterable[Raw]) -> Iterator[Raw]:
    """The rows of each time as one, unless a tag has several values for it."""
    held: Raw | None = None
    for block in blocks:
        raw = block if held is None else _joined([held, block])
        if not len(raw.t_ns):
            continue
        last = int(np.flatnonzero(raw.t_ns != raw.t_ns[-1]).max(initial=-1)) + 1
        if last:
            yield _merge(_taken(raw, np.arange(last)))
        held = _taken(raw, np.arange(last, len(raw.t_ns)))
    if held is not None:
        yield _merge(held)


def _merge(raw: Raw) -> Raw:
    group = np.cumsum(np.append(0, raw.t_ns[1:] != raw.t_ns[:-1]))
    nth = np.zeros(len(group), np.int64)
    for cells in raw.cells.values():
        rows = np.flatnonzero(cells.present) if cells.present is not None else np.arange(len(group))
        groups = group[rows]
        first = np.searchsorted(groups, groups, "left")  # rows of a tag are in the order of their groups
        nth[rows] = np.maximum(nth[rows], np.arange(len(rows)) - first)
    _, first_row, to = np.unique(group * (nth.max(initial=0) + 1) + nth, return_index=True, return_inverse=True)
    out = {}
    for tag, cells in raw.cells.items():
        rows = np.flatnonzero(cells.present) if cells.present is not None else np.arange(len(group))
        quality = np.zeros(len(first_row), np.uint8)
        value: NDArray[Any] = np.zeros(len(first_row), cells.value.dtype)
        present = np.zeros(len(first_row), np.bool_)
        value[to[rows]] = cells.value[rows]
        quality[to[rows]] = 0 if cells.quality is None else cells.quality[rows]
        present[to[rows]] = True
        out[tag] = Cells(value, quality, present)
    lines = np.array([raw.line_of(int(row)) for row in first_row], np.int64)
    return Raw(raw.t_ns[first_row], out, raw.line, lines)


def _taken(raw: Raw, rows: Int64) -> Raw:
    cells = {
        tag: Cells(
            item.value[rows],
            None if item.quality is None else item.quality[rows],
            None if item.present is None else item.present[rows],
        )
        for tag, item in raw.cells.items()
    }
    lines = rows + raw.line if raw.lines is None else raw.lines[rows]
    return Raw(raw.t_ns[rows], cells, raw.line, lines)


def _joined(raws: Sequence[Raw]) -> Raw:
    cells = {tag: _joined_cells([(raw.cells[tag], len(raw.t_ns)) for raw in raws]) for tag in raws[0].cells}
    lines = [raw.lines if raw.lines is not None else np.arange(len(raw.t_ns)) + raw.line for raw in raws]
    return Raw(np.concatenate([raw.t_ns for raw in raws]), cells, raws[0].line, np.concatenate(lines))


def _joined_cells(parts: Sequence[tuple[Cells, int]]) -> Cells:
    values = [cells.value for cells, _ in parts]
    if any(value.dtype == object for value in values):
        values = [value.astype(object) for value in values]
    quality: list[UInt8] = [
        np.zeros(length, np.uint8) if cells.quality is None else cells.quality for cells, length in parts
    ]
    present = [np.ones(length, np.bool_) if cells.present is None else cells.present for cells, length in parts]
    return Cells(np.concatenate(values), np.concatenate(quality), np.concatenate(present))
