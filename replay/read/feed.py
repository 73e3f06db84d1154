"""The files of a replay, read in parallel up to a given time.

One thread reads and cleans a block ahead while the engine works on the one before: NumPy and pyarrow release the GIL.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from config import Site
from oee.model.machine import Machine
from oee.model.samples import Samples, Series, between, concat
from replay.read.clean import Chunk, Cleaner, Raw
from replay.read.columns import counters_of, recording_of, used_tags
from replay.read.conflicts import Conflicts
from replay.read.csv import CsvFile
from replay.read.declarations import FILE as DECLARATIONS

_SUFFIXES: Final = (".parquet", ".csv", ".tsv", ".txt")
"""Of a device's files the first of these is read."""
_SPREADSHEETS: Final = (".xlsx", ".xlsm", ".xls", ".ods")


class RecordedFile(Protocol):
    """One device's file. share: how much of it has been read [1]."""

    name: str
    share: float

    def blocks(self) -> Iterator[Raw]: ...


class Tape:
    """One file, read block by block. first_ns, last_ns: times of the first and the latest row read, None before the first
    row; done: the file has been read to its end."""

    def __init__(self, source: RecordedFile, size: int, cleaner: Cleaner, reader: Executor) -> None:
        self.name = source.name
        self.size = size
        self._source = source
        self._blocks = source.blocks()
        self._cleaner = cleaner
        self._reader = reader
        self._ahead: Future[tuple[int, Chunk | None] | None] = reader.submit(self._pull)
        self._waiting: dict[str, list[Series]] = {}
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.done = False
        self.rows_read = 0

    @property
    def share(self) -> float:
        """How much of the file has been read [1]."""
        return self._source.share

    def read_to(self, until_ns: int) -> None:
        """Reads on until a row at or after `until_ns` has been seen, or the file ends."""
        while not self.done and (self.last_ns is None or self.last_ns < until_ns):
            block = self._ahead.result()
            if block is None:
                self.done = True
                return
            self._ahead = self._reader.submit(self._pull)
            self.rows_read += block[0]
            if block[1] is not None:
                self._keep(block[1])

    def _pull(self) -> tuple[int, Chunk | None] | None:
        """The next block's number of rows and its changes; None at the file's end."""
        raw = next(self._blocks, None)
        return None if raw is None else (len(raw.t_ns), self._cleaner.clean(raw))

    def _keep(self, chunk: Chunk) -> None:
        if self.first_ns is None:
            self.first_ns = chunk.first_ns
        self.last_ns = chunk.last_ns
        for tag, rows in chunk.samples.items():
            self._waiting.setdefault(tag, []).append(rows)

    def take(self, until_ns: int) -> Samples:
        """The rows before `until_ns` that have not been taken yet."""
        whole = {tag: concat(parts) for tag, parts in self._waiting.items()}
        self._waiting = {tag: [between(rows, until_ns, 2**62)] for tag, rows in whole.items()}
        return {tag: between(rows, 0, until_ns) for tag, rows in whole.items()}


def open_tapes(
    folder: Path, site: Site, machines: Mapping[str, Machine], zone: ZoneInfo, conflicts: Conflicts, reader: Executor
) -> list[Tape]:
    """The files of the site's devices; a device in use without a file and a file of no device are reported."""
    needed = {tag.partition(".")[0] for tag in used_tags(machines)}
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != DECLARATIONS)
    tapes = []
    for device in site.devices:
        path = _file_of(device, files, machines, conflicts, is_needed=device in needed)
        if path is None or device not in needed:
            continue
        source = _source(path, device, site, dict(machines), zone, conflicts)
        if source is not None:
            counts = {f"{device}.{tag}": f"{device}.{name}" for tag, name in recording_of(site, device).counts.items()}
            cleaner = Cleaner(source.name, zone, conflicts, counters_of(machines), counts)
            tapes.append(Tape(source, path.stat().st_size, cleaner, reader))
    for path in files:
        if path.suffix.lower() in (".csv", ".parquet") and path.stem not in site.devices:
            conflicts.add(path.name, 0, "unknown_device", "", path.stem, devices=", ".join(site.devices))
    return tapes


def _file_of(
    device: str, files: Sequence[Path], machines: Mapping[str, Machine], conflicts: Conflicts, *, is_needed: bool
) -> Path | None:
    """The device's file; several, none and one of a form that is not read are reported."""
    own = [path for path in files if path.stem == device]
    paths = sorted(
        (path for path in own if path.suffix.lower() in _SUFFIXES),
        key=lambda path: _SUFFIXES.index(path.suffix.lower()),
    )
    for path in paths[1:]:
        conflicts.add(path.name, 0, "two_files", "", "", other=paths[0].name)
    if paths:
        return paths[0]
    unread = [path for path in own if path.suffix.lower() in _SPREADSHEETS]
    for path in unread:
        conflicts.add(path.name, 0, "unread_format", "", path.suffix, device=device)
    if is_needed and not unread:
        users = [key for key, item in machines.items() if any(tag.startswith(device + ".") for tag in item.tags())]
        conflicts.add(f"{device}.csv", 0, "no_file", "", "", device=device, machines=", ".join(users))
    return None


def _source(
    path: Path, device: str, site: Site, machines: dict[str, Machine], zone: ZoneInfo, conflicts: Conflicts
) -> RecordedFile | None:
    if path.suffix.lower() != ".parquet":
        return CsvFile(path, device, site, machines, zone, conflicts)
    try:
        from replay.read.parquet import ParquetFile  # noqa: PLC0415  # pyarrow is an extra
    except ImportError:
        conflicts.add(path.name, 0, "no_pyarrow")
        return None
    return ParquetFile(path, device, site, machines, zone, conflicts)
