"""Parquet files, a batch of rows at a time and only the columns that numbers depend on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from config import Site
from oee.model.machine import Machine
from oee.model.samples import Int64
from replay.read import arrow
from replay.read.cells import Cells, from_array, from_text
from replay.read.clean import Raw
from replay.read.columns import TIME, Columns, Kind, match
from replay.read.conflicts import Conflicts
from replay.read.times import UNREADABLE, TimeStyles, epoch_ns, epoch_unit, from_wall, parse, zone_offset_s

_BATCH_ROWS: Final = 1_048_576


class ParquetFile:
    """One device's file. Its `line` is the row, from 1. `blocks` can be iterated once."""

    def __init__(
        self, path: Path, device: str, site: Site, machines: dict[str, Machine], zone: ZoneInfo, conflicts: Conflicts
    ) -> None:
        self.path = path
        self.name = path.name
        self._device, self._site, self._machines = device, site, machines
        self._zone, self._conflicts = zone, conflicts
        self._styles = TimeStyles(self.name, zone, conflicts)
        self.share = 0.0

    def blocks(self) -> Iterator[Raw]:
        """The file's rows in file order, up to the first unreadable part, which is reported."""
        row = 1
        try:
            with pq.ParquetFile(self.path, pre_buffer=False) as file:
                names = file.schema_arrow.names
                columns = match(names, self._device, self._site, self._machines, self.name, self._conflicts)
                if columns is None:
                    return
                wanted = [names[columns.time], *(names[position] for position in columns.tags)]
                for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
                    yield self._block(batch, columns, names, row)
                    row += batch.num_rows
                    self.share = row / file.metadata.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            self._conflicts.add(self.name, row if row > 1 else 0, "broken_parquet", "", "", detail=str(error)[:200])

    def _block(self, batch: Any, columns: Columns, names: list[str], row: int) -> Raw:
        t_ns = self._times(_plain(batch.column(names[columns.time])), row)
        cells = {
            tag: self._cells(_plain(batch.column(names[position])), tag, kind, row)
            for position, (tag, kind) in columns.tags.items()
        }
        return Raw(t_ns, cells, row)

    def _times(self, array: Any, row: int) -> Int64:
        kind = array.type
        if pa.types.is_timestamp(kind):
            t_ns, wall = arrow.stamps(array)
            if wall:
                self._styles.naive(row, str(array[0]) if len(array) else "")
                t_ns = from_wall(t_ns, self._zone)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            values = arrow.plain(array)
            if len(values):
                self._styles.epoch(row, str(values[0]), epoch_unit(float(values[-1]))[0])
            t_ns = epoch_ns(values)
        else:
            return self._text_times(array, row)
        if array.null_count or (len(t_ns) and t_ns.min() == UNREADABLE):
            t_ns = t_ns.copy()
            nulls = arrow.present(array)
            missing = (t_ns == UNREADABLE) if nulls is None else ~nulls | (t_ns == UNREADABLE)
            t_ns[missing] = UNREADABLE
            first = row + int(missing.argmax())
            self._conflicts.add(self.name, first, "no_time", TIME, "null", count=int(missing.sum()))
        return t_ns

    def _text_times(self, array: Any, row: int) -> Int64:
        out = []
        for line, item in enumerate(array.cast(pa.string()).to_pylist(), row):
            try:
                moment = parse(item or "", self._zone)
            except (ValueError, OverflowError):
                self._conflicts.add(self.name, line, "no_time", TIME, item or "null")
                out.append(UNREADABLE)
                continue
            out.append(moment.t_ns)
            if moment.style == "epoch":
                self._styles.epoch(line, item, epoch_unit(float(item))[0])
            elif moment.offset_s is None:
                self._styles.naive(line, item)
            else:
                self._styles.aware(line, item, moment.offset_s, zone_offset_s(self._zone, moment.t_ns))
        return np.array(out, np.int64)

    def _cells(self, array: Any, tag: str, kind: Kind, row: int) -> Cells:
        name = tag.partition(".")[2]

        def report(index: int, code: str, value: str) -> None:
            self._conflicts.add(self.name, row + index, code, name, value)

        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            texts = array.fill_null("")
            return arrow.cells(texts, kind) or from_text(texts.to_pylist(), kind, report)
        if pa.types.is_null(array.type):
            return from_text([""] * len(array), kind, report)
        if pa.types.is_decimal(array.type):
            array = array.cast(pa.float64())
        if not (pa.types.is_boolean(array.type) or pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
            self._conflicts.add(self.name, 1, "text_in_number", name, str(array.type), count=len(array))
            return from_text(["?"] * len(array), kind, report)
        return from_array(arrow.plain(array), arrow.present(array), report)


def _plain(array: Any) -> Any:
    """Without dictionary encoding."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
