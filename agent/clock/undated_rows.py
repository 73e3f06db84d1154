"""Rows recorded while the clock is not trusted: on disk, in monotonic time, until their true times are known.

They wait here and are fed to the pipeline with their true times once the clock is trusted. Until then nothing is computed
from them and no envelope is sealed.

File format 1, append only: frames of length and CRC-32 (little-endian uint32 each) and that many bytes of
zlib-compressed JSON. The first frame is the head {"format": 1, "boot"}: monotonic times mean nothing in another boot.
Then come blocks {"until": ns, "rows": {tag: [[t ns ...], [value ...], [quality ...]]}} of rows before `until`, to which
every tag is confirmed or known to be a gap, and, once the true times are known, {"base": ns}: true times are monotonic
time plus this, and part of the rows may have been fed already. A frame torn by a power cut ends the file. Blocks are
appended every few seconds and synced, so a kill loses only the rows since the last one.
"""

import json
import os
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from adapters.contract import Row
from oee.model.states import Quality

FORMAT: Final = 1
BUDGET_BYTES: Final = 256 * 2**20
"""Enough for weeks of twenty machines; what comes after it is a gap, since a memory card is finite."""
_FRAME: Final = struct.Struct("<II")

_MOST_WAITING: Final = 200_000

Waiting = dict[str, list[tuple[int, Any, Quality]]]


class UndatedBlock(NamedTuple):
    """Rows of all tags before until_ns, each tag's rows in time order; times are monotonic [ns]."""

    rows: list[Row]
    until_ns: int


class UndatedRows:
    """One file of undated rows, and the rows that are not in it yet. Times in and out are monotonic [ns].

    `add` may run beside `write`, in another thread.
    """

    def __init__(self, path: Path, boot: str, budget_bytes: int = BUDGET_BYTES) -> None:
        """Continues the file of this boot; one of another boot cannot be used (`lost`). A disk that refuses the file
        counts as full.
        """
        self.path, self.budget_bytes = path, budget_bytes
        self.lost = False
        self.rows = 0
        self.since_ns: int | None = None
        """The time of the first row, on disk or not."""
        self.until_ns = 0
        """Everything up to here is in the file; 0: nothing is."""
        self.base_ns: int | None = None
        """What `dated` recorded: added to monotonic times it gives the true ones, and part of the rows may have been fed;
        None before."""
        self.full = False
        self._lock = threading.Lock()
        self._waiting: Waiting = {}
        self._latest: dict[str, Row] = {}
        self._size = 0
        try:
            self._open(boot)
        except OSError:
            self.full = True

    def _open(self, boot: str) -> None:
        sound_bytes = 0
        if self.path.exists():
            with self.path.open("rb") as file:
                head, sound_bytes = _next_frame(file), file.tell()
                if head is None or not boot or (head.get("format"), head.get("boot")) != (FORMAT, boot):
                    self.lost, sound_bytes = head is not None and _next_frame(file) is not None, 0
                while sound_bytes and (frame := _next_frame(file)) is not None:
                    sound_bytes = file.tell()
                    self._apply(frame)
        with self.path.open("r+b" if sound_bytes else "wb") as file:
            file.truncate(sound_bytes)
        self._size = sound_bytes
        self.full = sound_bytes >= self.budget_bytes
        if not sound_bytes:
            self._append({"format": FORMAT, "boot": boot})

    def _apply(self, frame: dict[str, Any]) -> None:
        if "base" in frame:
            self.base_ns = int(frame["base"])
            return
        self.until_ns = int(frame["until"])
        self.rows += sum(len(columns[0]) for columns in frame["rows"].values())
        if self.since_ns is None:
            self.since_ns = min((columns[0][0] for columns in frame["rows"].values()), default=self.until_ns)

    def _append(self, frame: dict[str, Any]) -> None:
        data = _frame(frame)
        with self.path.open("r+b") as file:
            file.seek(self._size)
            file.truncate()
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._size += len(data)

    def add(self, rows: Iterable[Row]) -> None:
        """Adds rows, each tag's in time order."""
        with self._lock:
            for row in rows:
                self._latest[row.tag] = row
                self.since_ns = row.t_ns if self.since_ns is None else self.since_ns
                if not self.full:
                    self._waiting.setdefault(row.tag, []).append((row.t_ns, row.value, row.quality))

    def write(self, until_ns: int) -> None:
        """Appends the rows before `until_ns`, unless the file has reached its budget. Raises `OSError`; the rows then
        wait for the next call, if they are not too many.
        """
        if self.full or until_ns <= self.until_ns:
            return
        with self._lock:
            ready = {tag: [row for row in rows if row[0] < until_ns] for tag, rows in self._waiting.items()}
        columns = {tag: [list(column) for column in zip(*rows, strict=True)] for tag, rows in ready.items() if rows}
        frame = {"until": until_ns, "rows": columns}
        try:
            if self._size < self.budget_bytes:
                self._append(frame)
        finally:
            with self._lock:
                waiting = sum(map(len, self._waiting.values()))
            self.full = self._size >= self.budget_bytes or waiting > _MOST_WAITING
        self._apply(frame)
        with self._lock:
            self._waiting = {tag: rows[len(ready.get(tag, ())) :] for tag, rows in self._waiting.items()}

    def dated(self, base_ns: int) -> None:
        """Records the base that dates these rows, for a restart in between. Raises `OSError`."""
        self._append({"base": base_ns})
        self.base_ns = base_ns

    def blocks(self) -> Iterator[UndatedBlock]:
        """The rows on disk, oldest first."""
        if not self._size:
            return
        with self.path.open("rb") as file:
            _next_frame(file)
            while file.tell() < self._size and (frame := _next_frame(file)) is not None:
                if "until" in frame:
                    rows = [
                        Row(tag, t_ns, value, Quality(quality))
                        for tag, columns in frame["rows"].items()
                        for t_ns, value, quality in zip(*columns, strict=True)
                    ]
                    yield UndatedBlock(rows, int(frame["until"]))

    def take_unwritten(self, now_ns: int) -> list[Row]:
        """Removes and returns the rows that are not on disk; if the file was full, a gap from its end, then every tag's
        latest value from `now_ns` on.
        """
        with self._lock:
            rows = [Row(tag, *row) for tag, waiting in self._waiting.items() for row in waiting]
            if self.full:
                rows = [Row(tag, self.until_ns, None, Quality.GAP) for tag in self._latest if self.until_ns]
                rows += [row._replace(t_ns=now_ns) for row in self._latest.values()]
            self._waiting = {}
        return rows

    def remove(self) -> None:
        """Deletes the file, once everything is in the pipeline and in envelopes."""
        self.path.unlink(missing_ok=True)


def _frame(body: dict[str, Any]) -> bytes:
    data = zlib.compress(json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())
    return _FRAME.pack(len(data), zlib.crc32(data)) + data


def _next_frame(file: BinaryIO) -> dict[str, Any] | None:
    """The frame at the file's position; None if there is no sound one."""
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size:
        return None
    length, crc = _FRAME.unpack(head)
    data = file.read(length)
    if len(data) < length or zlib.crc32(data) != crc:
        return None
    body = json.loads(zlib.decompress(data))
    return body if isinstance(body, dict) else None
