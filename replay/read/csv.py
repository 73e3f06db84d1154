"""CSV files, read in blocks so that a file of any length takes the same memory.

UTF-8 with or without a byte-order mark, or UTF-16 with one (what spreadsheets call "Unicode text"); `,`, `;` or a tab between cells (with `;` a decimal comma is understood);
lines end in LF or CR LF. One header line, then a row a line.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from config import Site
from oee.model.machine import Machine
from oee.model.samples import Int64
from replay.read.cells import Cells, from_text
from replay.read.clean import Raw
from replay.read.columns import Columns, match
from replay.read.conflicts import Conflicts
from replay.read.times import UNREADABLE, Style, TimeStyles, epoch_unit, from_wall, parse, zone_offset_s

try:
    import pyarrow as pa
    import pyarrow.csv as pacsv

    from replay.read import arrow
except ImportError:  # works without it, about twenty times slower
    pa = None

_BLOCK_BYTES: Final = 16_000_000


class CsvFile:
    """One device's file. `blocks` can be iterated once."""

    def __init__(
        self, path: Path, device: str, site: Site, machines: dict[str, Machine], zone: ZoneInfo, conflicts: Conflicts
    ) -> None:
        self.path = path
        self.name = path.name
        self._device, self._site, self._machines = device, site, machines
        self._zone, self._conflicts = zone, conflicts
        self._styles = TimeStyles(self.name, zone, conflicts)
        self._between = ","
        self._width = 0
        self.share = 0.0

    def blocks(self) -> Iterator[Raw]:
        """The file's rows in its own order."""
        with self.path.open("rb") as bytes_file:
            file, bytes_of_one = _as_utf8(bytes_file)
            columns = self._header(file.readline())
            if columns is None:
                return
            line, unfinished, bytes_read, size = 2, b"", 0, max(self.path.stat().st_size, 1)
            while True:
                data = file.read(_BLOCK_BYTES)
                block = unfinished + data
                bytes_read += len(data) * bytes_of_one
                self.share = min(bytes_read / size, 1.0)
                end = block.rfind(b"\n") + 1 if data else len(block)
                block, unfinished = block[:end], block[end:]
                if block:
                    yield self._block(block, columns, line, cut=not data)
                    line += block.count(b"\n")
                if not data:
                    return

    def _header(self, written: bytes) -> Columns | None:
        if b"\0" in written:
            self._conflicts.add(self.name, 1, "not_utf8")
            return None
        text = written.decode("utf-8-sig", "replace").strip("\r\n")
        if not text.strip():
            self._conflicts.add(self.name, 1, "empty_file")
            return None
        counts = {mark: text.count(mark) for mark in ",;\t"}
        self._between = max(counts, key=lambda mark: counts[mark]) if any(counts.values()) else ","
        if "\r" in text:
            self._conflicts.add(self.name, 1, "line_ends")
            return None
        names = _cells(text, self._between)
        self._width = len(names)
        return match(names, self._device, self._site, self._machines, self.name, self._conflicts)

    def _block(self, block: bytes, columns: Columns, line: int, *, cut: bool) -> Raw:
        fast = self._fast(block, columns, line) if pa is not None and not cut else None
        return fast or self._slow(block, columns, line, cut=cut)

    def _fast(self, block: bytes, columns: Columns, line: int) -> Raw | None:
        """With pyarrow; None where anything in the block is wrong or unusual."""
        names = [str(position) for position in range(self._width)]
        wanted = [str(columns.time), *map(str, columns.tags)]
        try:
            table = pacsv.read_csv(
                pa.BufferReader(block),
                pacsv.ReadOptions(column_names=names, block_size=len(block) + 1),
                pacsv.ParseOptions(delimiter=self._between, ignore_empty_lines=False),
                pacsv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())),
            ).combine_chunks()
        except pa.ArrowInvalid:
            return None
        if not table.num_rows or table.num_rows != block.count(b"\n"):
            return None
        times = arrow.times(table.column(str(columns.time)).chunk(0))
        if times is None:
            return None
        cells: dict[str, Cells] = {}
        for position, (tag, kind) in columns.tags.items():
            column_cells = arrow.cells(table.column(str(position)).chunk(0), kind)
            if column_cells is None:
                return None
            cells[tag] = column_cells
        first = table.column(str(columns.time))[0].as_py()
        return Raw(self._shift(*times, first, line), cells, line)

    def _shift(self, t_ns: Int64, style: Style, first: str, line: int) -> Int64:
        """Times of one style as UTC, their zone noted."""
        if style == "epoch":
            self._styles.epoch(line, first, epoch_unit(float(first))[0])
            return t_ns
        if style == "naive":
            self._styles.naive(line, first)
            return from_wall(t_ns, self._zone)
        moment = parse(first, self._zone)
        self._styles.aware(line, first, moment.offset_s or 0, zone_offset_s(self._zone, moment.t_ns))
        return t_ns

    def _slow(self, block: bytes, columns: Columns, line: int, *, cut: bool) -> Raw:
        """Row by row, reporting each error."""
        rows: list[Sequence[str]] = []
        lines: list[int] = []
        written = block.decode("utf-8", "replace").split("\n")
        unfinished = cut and bool(written[-1].strip())
        for number, text in enumerate(written, line):
            row = self._row(text.rstrip("\r"), number, last=unfinished and number == line + len(written) - 1)
            if row is not None:
                rows.append(row)
                lines.append(number)
        without_cells = Raw(
            self._times(rows, lines, columns.time, unfinished=unfinished), {}, line, np.array(lines, np.int64)
        )
        cells = {
            tag: from_text(
                [row[position] for row in rows], kind, self._reporter(without_cells, tag), comma=self._between == ";"
            )
            for position, (tag, kind) in columns.tags.items()
        }
        return Raw(without_cells.t_ns, cells, line, without_cells.lines)

    def _row(self, text: str, line: int, *, last: bool) -> Sequence[str] | None:
        if not text.strip():
            return None
        if "\ufffd" in text:
            self._conflicts.add(self.name, line, "not_utf8")
        row = _cells(text, self._between)
        if len(row) == self._width:
            return row
        code = "cut_off" if last and len(row) < self._width else "wrong_width"
        self._conflicts.add(self.name, line, code, "", text, cells=len(row), columns=self._width)
        return None

    def _times(self, rows: list[Sequence[str]], lines: list[int], position: int, *, unfinished: bool) -> Int64:
        out = np.full(len(rows), UNREADABLE, np.int64)
        for index, (row, line) in enumerate(zip(rows, lines, strict=True)):
            text = row[position]
            try:
                moment = parse(text, self._zone)
            except (ValueError, OverflowError):
                last = unfinished and index == len(rows) - 1
                code = "cut_off" if last else "no_time"
                self._conflicts.add(self.name, line, code, "time", text, cells=len(row), columns=self._width)
                continue
            out[index] = moment.t_ns
            if moment.style == "epoch":
                self._styles.epoch(line, text, epoch_unit(float(text))[0])
            elif moment.offset_s is None:
                self._styles.naive(line, text)
            else:
                self._styles.aware(line, text, moment.offset_s, zone_offset_s(self._zone, moment.t_ns))
        return out

    def _reporter(self, raw: Raw, tag: str) -> Any:
        name = tag.partition(".")[2]

        def report(row: int, code: str, value: str) -> None:
            self._conflicts.add(self.name, raw.line_of(row), code, name, value)

        return report


class _Bytes(Protocol):
    """What is read of a file that is open for reading."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self) -> bytes: ...


class _Utf16File:
    """A UTF-16 file read as UTF-8. A broken character becomes U+FFFD, which is reported with its line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-16", errors="replace", newline="\n")

    def read(self, size: int, /) -> bytes:
        return self._text.read(size).encode()

    def readline(self) -> bytes:
        return self._text.readline().encode()


def _as_utf8(file: IO[bytes]) -> tuple[_Bytes, int]:
    """The file as UTF-8, and about how many of its bytes make one byte of that."""
    mark = file.read(2)
    file.seek(0)
    return (_Utf16File(file), 2) if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else (file, 1)


def _cells(text: str, between: str) -> list[str]:
    """The cells of a line; unbalanced quotes are treated as plain text."""
    if '"' not in text:
        return text.split(between)
    try:
        return next(csv.reader([text], delimiter=between, strict=True))
    except csv.Error:
        return text.split(between)
