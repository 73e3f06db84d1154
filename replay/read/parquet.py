"""Parquet files, a batch of rows at a time and only the columns that numbers depend on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from config import Site
from config.site.recordings import TIME
from oee.model.machine import Machine
from oee.model.samples import Int64
from replay.read import arrow
from replay.read.arrange import arranged
from replay.read.cells import CellFormat, Cells, folded, from_array, from_text
from replay.read.clean import Raw
from replay.read.columns import ColumnNames, Columns, Kind, match, recording_of, report_missing
from replay.read.conflicts import Conflicts
from replay.read.long import LongRows
from replay.read.times import (
    EXCEL_SIZES,
    UNREADABLE,
    TimeStyles,
    epoch_ns,
    epoch_unit,
    excel_ns,
    from_wall,
    joined,
    time_format,
)

_BATCH_ROWS: Final = 65_536
"""Few enough that a column of them stays in the cache of the processor while it is cleaned."""
_BUFFER_BYTES: Final = 65_536
"""How much of a column is read at once; without it, the column of a whole row group."""


class ParquetFile:
    """One device's file. Its `line` is the row, from 1. `blocks` can be iterated once."""

    def __init__(
        self, path: Path, device: str, site: Site, machines: dict[str, Machine], zone: ZoneInfo, conflicts: Conflicts
    ) -> None:
        self.path = path
        self.name = path.name
        self._device, self._site, self._machines = device, site, machines
        self._conflicts = conflicts
        self._recording = recording_of(site, device)
        self._words = folded(self._recording.words)
        self._styles = TimeStyles(self.name, time_format(self._recording, zone), conflicts)
        self._next_row = 1
        self.share = 0.0

    def blocks(self) -> Iterator[Raw]:
        """The file's rows, oldest first if they stand as the site file says, up to the first unreadable part, which is
        reported."""
        try:
            with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
                names = file.schema_arrow.names
                columns = match(names, self._device, self._site, self._machines, self.name, self._conflicts)
                if columns is not None:
                    yield from self._arranged(file, columns, names)
        except (pa.ArrowInvalid, OSError) as error:
            row = self._next_row if self._next_row > 1 else 0
            self._conflicts.add(self.name, row, "broken_parquet", "", "", detail=str(error)[:200])

    def _arranged(self, file: Any, columns: Columns, names: list[str]) -> Iterator[Raw]:
        order, known = self._recording.order, ColumnNames(self._device, self._site)
        long = LongRows(self.name, columns.kinds, known, self._words, self._conflicts)
        wanted = [names[position] for position in columns.wanted()]
        batches = _backward(file, wanted) if order == "newest_first" else _forward(file, wanted)
        raws = (self._block(batch, columns, names, row, long) for row, batch in batches)
        for raw in arranged(raws, order, is_long=columns.is_long):
            self.share = min(self._next_row / max(file.metadata.num_rows, 1), 1.0)
            yield raw
        if columns.is_long:
            missing = [tag.partition(".")[2] for tag in columns.kinds.keys() - long.seen]
            report_missing(missing, self._device, self._site, self._machines, self.name, 0, self._conflicts)

    def _block(self, batch: Any, columns: Columns, names: list[str], row: int, long: LongRows) -> Raw:
        self._next_row += batch.num_rows
        parts = {position: _plain(batch.column(names[position])) for position in columns.wanted()}
        if columns.date is not None or columns.offset is not None:
            t_ns = self._joined_times(parts, columns, row)
        else:
            t_ns = self._times(parts[columns.time], row)
        if columns.tag is None or columns.value is None:
            cells = {
                tag: self._cells(parts[position], tag, kind, row) for position, (tag, kind) in columns.tags.items()
            }
            return Raw(t_ns, cells, row)
        values, lines = parts[columns.value], np.arange(batch.num_rows) + row

        def cells_of(tag: str, kind: Kind, rows: Int64) -> Cells:
            return self._cells(values.take(pa.array(rows)), tag, kind, lines[rows])

        written = _as_texts(parts[columns.tag])
        qualities = [] if columns.quality is None else _as_texts(parts[columns.quality])
        raw = long.read(t_ns, written, qualities, cells_of, lines)
        assert raw is not None  # `cells_of` reads everything
        return raw

    def _times(self, array: Any, row: int) -> Int64:
        kind, form = array.type, self._styles.form
        if pa.types.is_timestamp(kind):
            t_ns, wall = arrow.stamps(array)
            if wall:
                self._styles.naive(row, str(array[0]) if len(array) else "")
                t_ns = from_wall(t_ns, form.zone)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            t_ns = self._number_times(arrow.plain(array), row)
        else:
            return self._text_times(_as_texts(array), row)
        if array.null_count or (len(t_ns) and t_ns.min() == UNREADABLE):
            t_ns = t_ns.copy()
            nulls = arrow.present(array)
            missing = (t_ns == UNREADABLE) if nulls is None else ~nulls | (t_ns == UNREADABLE)
            t_ns[missing] = UNREADABLE
            first = row + int(missing.argmax())
            self._conflicts.add(self.name, first, "no_time", TIME, "null", count=int(missing.sum()))
        return t_ns

    def _number_times(self, values: Any, row: int) -> Int64:
        form = self._styles.form
        if form.is_excel:
            self._styles.naive(row, str(values[0]) if len(values) else "")
            return from_wall(excel_ns(values), form.zone)
        if len(values) and EXCEL_SIZES[0] <= np.median(values) < EXCEL_SIZES[1]:
            self._conflicts.add(self.name, row, "excel_date", TIME, values[0], count=len(values))
            return np.full(len(values), UNREADABLE, np.int64)
        if len(values):
            self._styles.epoch(row, str(values[0]), epoch_unit(float(values[-1]))[0])
        return epoch_ns(values)

    def _joined_times(self, parts: dict[int, Any], columns: Columns, row: int) -> Int64:
        texts = [
            [""] * len(parts[columns.time]) if position is None else _as_texts(parts[position])
            for position in (columns.date, columns.time, columns.offset)
        ]
        out = []
        for date, clock, offset in zip(*texts, strict=True):
            try:
                out.append(joined(date, clock, offset))
            except ValueError:
                out.append(f"{date} {clock} {offset}".strip())
        return self._text_times(out, row)

    def _text_times(self, texts: list[str], row: int) -> Int64:
        out, form = [], self._styles.form
        for line, item in enumerate(texts, row):
            try:
                moment = form.parse(item)
            except (ValueError, OverflowError):
                code = form.why_unreadable(item)
                self._conflicts.add(self.name, line, code, TIME, item or "null")
                out.append(UNREADABLE)
                continue
            out.append(moment.t_ns)
            self._styles.moment(line, item, moment)
        return np.array(out, np.int64)

    def _cells(self, array: Any, tag: str, kind: Kind, lines: Int64 | int) -> Cells:
        """lines: where each cell stands in the file; where only the first is given, the others follow it."""
        name = tag.partition(".")[2]
        form = CellFormat(kind, self._recording.decimal_mark or ".", self._recording.decimal is not None, self._words)

        def report(index: int, code: str, value: str) -> None:
            line = lines + index if isinstance(lines, int) else int(lines[index])
            self._conflicts.add(self.name, line, code, name, value)

        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            texts = array.fill_null("")
            return arrow.cells(texts, form) or from_text(texts.to_pylist(), form, report)
        if pa.types.is_null(array.type):
            return from_text([""] * len(array), form, report)
        if pa.types.is_decimal(array.type):
            array = array.cast(pa.float64())
        if not (pa.types.is_boolean(array.type) or pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
            self._conflicts.add(self.name, 1, "text_in_number", name, str(array.type), count=len(array))
            return from_text(["?"] * len(array), form, report)
        return from_array(arrow.plain(array), arrow.present(array), report)


def _forward(file: Any, wanted: list[str]) -> Iterator[tuple[int, Any]]:
    """Each batch with its first row, from 1. Without threads of pyarrow, each of which keeps memory of its own: one reads
    ahead anyway (`feed.Tape`).
    """
    row = 1
    for batch in file.iter_batches(_BATCH_ROWS, columns=wanted, use_threads=False):
        yield row, batch
        row += batch.num_rows


def _backward(file: Any, wanted: list[str]) -> Iterator[tuple[int, Any]]:
    """The same from the file's end to its beginning."""
    row = file.metadata.num_rows + 1
    for group in reversed(range(file.num_row_groups)):
        table = file.read_row_group(group, columns=wanted, use_threads=False)
        for batch in reversed(table.to_batches(_BATCH_ROWS)):
            row -= batch.num_rows
            yield row, batch


def _as_texts(array: Any) -> list[str]:
    return ["" if text is None else text for text in array.cast(pa.string()).to_pylist()]


def _plain(array: Any) -> Any:
    """Without dictionary encoding."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
