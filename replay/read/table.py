"""Rows of a CSV file: with pyarrow whole columns at once; without it, and where anything in a block is wrong or unusual,
row by row, which finds the line of each error.
"""

import csv
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oee.model.samples import Int64
from replay.read.cells import CellFormat, Cells, Report, from_text
from replay.read.clean import Raw
from replay.read.columns import Columns, Kind
from replay.read.conflicts import Conflicts
from replay.read.lines import LineBlock
from replay.read.long import LongRows
from replay.read.times import UNREADABLE, Style, TimeStyles, epoch_unit, from_wall, joined, zone_offset_s

try:
    import pyarrow as pa
    import pyarrow.csv as pacsv

    from replay.read import arrow
except ImportError:  # works without it, about twenty times slower
    pa = None


class CsvTable:
    """The rows below a header."""

    def __init__(
        self,
        file: str,
        between: str,
        width: int,
        columns: Columns,
        formats: Mapping[str, CellFormat],
        long: LongRows,
        styles: TimeStyles,
        conflicts: Conflicts,
    ) -> None:
        """width: cells in a row; formats: by full tag name."""
        self._file, self._between, self._width = file, between, width
        self._columns, self._formats, self._long = columns, formats, long
        self._styles, self._conflicts = styles, conflicts

    def read(self, block: LineBlock) -> Raw:
        """The block's rows, in the file's order."""
        fast = self._fast(block) if pa is not None and not block.is_cut else None
        return fast or self._slow(block)

    # whole columns

    def _fast(self, block: LineBlock) -> Raw | None:
        """None where anything in the block is wrong or unusual."""
        columns, form = self._columns, self._styles.form
        wanted = [str(position) for position in columns.wanted()]
        try:
            table = pacsv.read_csv(
                pa.BufferReader(block.data),
                pacsv.ReadOptions(
                    column_names=[str(position) for position in range(self._width)], block_size=len(block.data) + 1
                ),
                pacsv.ParseOptions(delimiter=self._between, ignore_empty_lines=False),
                pacsv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())),
            ).combine_chunks()
        except pa.ArrowInvalid:
            return None
        if not table.num_rows or table.num_rows != block.data.count(b"\n") or columns.offset is not None:
            return None
        texts = {position: table.column(str(position)).chunk(0) for position in columns.wanted()}
        at = texts[columns.time] if columns.date is None else arrow.joined(texts[columns.date], texts[columns.time])
        times = None if at is None else arrow.times(at, form)
        if times is None:
            return None
        first = at[0].as_py()
        if columns.is_long:
            return self._fast_long(block, texts, times, first)
        cells: dict[str, Cells] = {}
        for position, (tag, _) in columns.tags.items():
            column_cells = arrow.cells(texts[position], self._formats[tag])
            if column_cells is None:
                return None
            cells[tag] = column_cells
        return Raw(self._utc(*times, first, block.line), cells, block.line)

    def _fast_long(
        self, block: LineBlock, texts: Mapping[int, Any], times: tuple[Int64, Style], first: str
    ) -> Raw | None:
        columns = self._columns
        assert columns.tag is not None  # as in every long file
        assert columns.value is not None
        values = texts[columns.value]

        def cells_of(tag: str, _kind: Kind, rows: Int64) -> Cells | None:
            return arrow.cells(values.take(pa.array(rows)), self._formats[tag])

        qualities = [] if columns.quality is None else texts[columns.quality].to_pylist()
        lines = np.arange(len(values)) + block.line
        raw = self._long.read(times[0], texts[columns.tag].to_pylist(), qualities, cells_of, lines)
        if raw is None:
            return None
        return Raw(self._utc(*times, first, block.line), raw.cells, raw.line, lines)

    def _utc(self, t_ns: Int64, style: Style, first: str, line: int) -> Int64:
        """Times of one style as UTC, their style noted."""
        form = self._styles.form
        if style == "epoch":
            self._styles.epoch(line, first, epoch_unit(float(first))[0])
            return t_ns
        if style == "naive":
            self._styles.naive(line, first)
            return from_wall(t_ns, form.zone)
        moment = form.parse(first)
        self._styles.aware(line, first, moment.offset_s or 0, zone_offset_s(form.zone, moment.t_ns))
        return t_ns

    # row by row

    def _slow(self, block: LineBlock) -> Raw:
        rows: list[Sequence[str]] = []
        numbers: list[int] = []
        written = block.data.decode("utf-8", "replace").split("\n")
        unfinished = block.is_cut and bool(written[-1].strip())
        for number, text in enumerate(written, block.line):
            row = self._row(text.rstrip("\r"), number, last=unfinished and number == block.line + len(written) - 1)
            if row is not None:
                rows.append(row)
                numbers.append(number)
        lines, columns = np.array(numbers, np.int64), self._columns
        t_ns = self._times(rows, numbers, unfinished=unfinished)
        if columns.tag is None or columns.value is None:
            cells = {
                tag: from_text([row[position] for row in rows], self._formats[tag], self._reporter(lines, tag))
                for position, (tag, _) in columns.tags.items()
            }
            return Raw(t_ns, cells, block.line, lines)
        values = [row[columns.value] for row in rows]
        qualities = [] if columns.quality is None else [row[columns.quality] for row in rows]

        def cells_of(tag: str, _kind: Kind, at: Int64) -> Cells:
            return from_text([values[row] for row in at], self._formats[tag], self._reporter(lines[at], tag))

        raw = self._long.read(t_ns, [row[columns.tag] for row in rows], qualities, cells_of, lines)
        assert raw is not None  # `cells_of` reads everything
        return raw

    def _row(self, text: str, line: int, *, last: bool) -> Sequence[str] | None:
        if not text.strip():
            return None
        if "\ufffd" in text:
            self._conflicts.add(self._file, line, "not_utf8")
        row = cells_of_line(text, self._between)
        if len(row) == self._width:
            return row if any(cell.strip() for cell in row) else None
        code = "cut_off" if last and len(row) < self._width else "wrong_width"
        self._conflicts.add(self._file, line, code, "", text, cells=len(row), columns=self._width)
        return None

    def _times(self, rows: Sequence[Sequence[str]], lines: Sequence[int], *, unfinished: bool) -> Int64:
        out = np.full(len(rows), UNREADABLE, np.int64)
        for index, (row, line) in enumerate(zip(rows, lines, strict=True)):
            text = row[self._columns.time]
            try:
                text = joined(self._cell(row, self._columns.date), text, self._cell(row, self._columns.offset))
                moment = self._styles.form.parse(text)
            except (ValueError, OverflowError):
                last = unfinished and index == len(rows) - 1
                code = "cut_off" if last else self._styles.form.why_unreadable(text)
                self._conflicts.add(self._file, line, code, "time", text, cells=len(row), columns=self._width)
                continue
            out[index] = moment.t_ns
            self._styles.moment(line, text, moment)
        return out

    def _cell(self, row: Sequence[str], position: int | None) -> str:
        return "" if position is None else row[position]

    def _reporter(self, lines: Int64, tag: str) -> Report:
        name = tag.partition(".")[2]

        def report(row: int, code: str, value: str) -> None:
            self._conflicts.add(self._file, int(lines[row]), code, name, value)

        return report


def cells_of_line(text: str, between: str) -> list[str]:
    """The cells of a line; unbalanced quotes are treated as plain text."""
    if '"' not in text:
        return text.split(between)
    try:
        return next(csv.reader([text], delimiter=between, strict=True))
    except csv.Error:
        return text.split(between)
