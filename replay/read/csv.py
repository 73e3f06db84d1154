"""CSV files, read in blocks so that a file of any length takes the same memory.

`,`, `;`, `|` or a tab between cells, as the first line shows or a line `sep=;` before it says; lines end in LF or CR LF.
One header line, unless the site file names the columns, then a row a line.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from config import Site
from oee.model.machine import Machine
from replay.read.arrange import arranged
from replay.read.cells import CellFormat, decimal_mark, folded
from replay.read.clean import Raw
from replay.read.columns import ColumnNames, Columns, Kind, counters_of, match, recording_of, report_missing
from replay.read.conflicts import Conflicts
from replay.read.lines import Lines, open_lines
from replay.read.long import LongRows
from replay.read.table import CsvTable, cells_of_line
from replay.read.times import TimeStyles, time_format

_SAMPLE_BYTES: Final = 1_000_000
"""So much of a file shows which decimal mark it has."""
_MARKS: Final = "\t;|,"
"""Separators; of those that occur equally often the first is meant."""
_SEPARATOR: Final = re.compile(r"sep=(.)", re.IGNORECASE)
_QUOTED: Final = re.compile(r'"[^"]*"')


class CsvFile:
    """One device's file. `blocks` can be iterated once."""

    def __init__(
        self, path: Path, device: str, site: Site, machines: dict[str, Machine], zone: ZoneInfo, conflicts: Conflicts
    ) -> None:
        self.path = path
        self.name = path.name
        self._device, self._site, self._machines = device, site, machines
        self._conflicts = conflicts
        self._recording = recording_of(site, device)
        self._times = time_format(self._recording, zone)
        self._between = ""
        self._width = 0
        self.share = 0.0

    def blocks(self) -> Iterator[Raw]:
        """The file's rows, oldest first if they stand as the site file says."""
        with open_lines(self.path) as lines:
            columns = self._header(lines)
            if columns is None:
                return
            words = folded(self._recording.words)
            long = LongRows(self.name, columns.kinds, ColumnNames(self._device, self._site), words, self._conflicts)
            table = self._table(columns, lines, long, words)
            order = self._recording.order
            blocks = lines.backward() if order == "newest_first" else lines.forward()
            for raw in arranged(map(table.read, blocks), order, is_long=columns.is_long):
                self.share = lines.share
                yield raw
            if columns.is_long:
                names = [tag.partition(".")[2] for tag in columns.kinds.keys() - long.seen]
                report_missing(names, self._device, self._site, self._machines, self.name, 0, self._conflicts)

    def _header(self, lines: Lines) -> Columns | None:
        """Reads up to the first row; None without a header that can be used, which is reported."""
        if declared := _SEPARATOR.fullmatch(_text(lines.peek()).strip()):
            self._between = declared[1]
            lines.skip()
        for _ in range(self._recording.skip_lines):
            lines.skip()
        while (written := lines.peek()) and not written.strip():
            lines.skip()
        if b"\0" in written or not written:
            self._conflicts.add(self.name, lines.line if written else 1, "not_utf8" if written else "empty_file")
            return None
        number, text = lines.line, _text(written)
        if not self._recording.columns:
            lines.skip()
            while text.count('"') % 2 and (more := lines.skip()):
                text = f"{text} {_text(more)}"
        if "\r" in text:
            self._conflicts.add(self.name, number, "line_ends")
            return None
        names = self._recording.columns
        self._between = self._between or _separator(text, len(names))
        names = names or tuple(cells_of_line(text, self._between))
        self._width = len(names)
        at = 0 if self._recording.columns else number
        return match(names, self._device, self._site, self._machines, self.name, self._conflicts, at)

    def _table(self, columns: Columns, lines: Lines, long: LongRows, words: Mapping[str, float]) -> CsvTable:
        mark, is_said = self._recording.decimal_mark, self._recording.decimal is not None
        mark = mark or self._shown_mark(columns, lines.sample(_SAMPLE_BYTES))
        counters = counters_of(self._machines)

        def format_of(tag: str, kind: Kind) -> CellFormat:
            """A fraction with three places looks like thousands. Where commas separate cells it is taken for one as ever,
            but a counter has no fractions."""
            assumed = "." if self._between == "," and tag not in counters else ""
            return CellFormat(kind, mark or assumed, is_said, words)

        tags = [*columns.tags.values(), *columns.kinds.items()]
        return CsvTable(
            self.name,
            self._between,
            self._width,
            columns,
            {tag: format_of(tag, kind) for tag, kind in tags},
            long,
            TimeStyles(self.name, self._times, self._conflicts),
            self._conflicts,
        )

    def _shown_mark(self, columns: Columns, sample: bytes) -> str:
        times = {columns.time, columns.date, columns.offset}
        rows = [cells_of_line(line, self._between) for line in _text(sample).splitlines()]
        return decimal_mark(cell for row in rows for place, cell in enumerate(row) if place not in times)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip("\r\n")


def _separator(line: str, width: int) -> str:
    """What separates the cells of a line. width: how many it should have, 0 where that is not known."""
    plain = _QUOTED.sub("", line)
    counts = {mark: plain.count(mark) for mark in _MARKS}
    exact = [mark for mark, count in counts.items() if count == width - 1 > 0]
    most = max(counts.values())
    return next(iter(exact), "") or next(mark for mark, count in counts.items() if count == most) if most else ","
