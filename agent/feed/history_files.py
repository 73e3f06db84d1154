"""Recorded history as files, one for each day.

A folder of files `day-000.npz`, `day-001.npz`, ... that may still be growing; an empty file `done` marks that it is
complete. Each file holds for every tag three arrays, `<device>.<tag>/t` (int64, ns UTC), `/v` and `/q`
(`oee.model.states.Quality`), changes only, and `until` (int64[1]): the time up to which it is complete.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from oee.model.samples import Samples, Series, between

BLOCK_NS: Final = 6 * 3_600_000_000_000
_POLL_S: Final = 0.2


@dataclass(frozen=True)
class Day:
    """One file. until_ns: complete up to here."""

    samples: Samples
    until_ns: int


class BadHistory(Exception):
    """A file does not have the shape above; the message names it."""


def day_path(folder: Path, number: int) -> Path:
    """The file of one day."""
    return folder / f"day-{number:03d}.npz"


def finished(folder: Path) -> bool:
    """Whether the folder is complete."""
    return (folder / "done").exists()


def read_day(path: Path) -> Day:
    """Reads one file. Raises `BadHistory`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            until_ns = int(file["until"][0])
            tags = sorted(name.removesuffix("/t") for name in file.files if name.endswith("/t"))
            columns = {tag: (file[f"{tag}/t"], file[f"{tag}/v"], file[f"{tag}/q"]) for tag in tags}
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise BadHistory(f"{path}: {error}; each tag needs the arrays /t, /v and /q, and the file `until`") from error
    for tag, arrays in columns.items():
        if len({len(array) for array in arrays}) != 1 or np.any(arrays[0][1:] <= arrays[0][:-1]):
            raise BadHistory(f"{path}: {tag}: /t, /v and /q must be of equal length and /t must increase")
    last_ns = max((int(arrays[0][-1]) for arrays in columns.values() if len(arrays[0])), default=until_ns)
    return Day({tag: _series(*arrays) for tag, arrays in columns.items()}, max(until_ns, last_ns + 1))


def _series(t_ns: "np.ndarray", value: "np.ndarray", quality: "np.ndarray") -> Series:
    if value.dtype.kind in "US":
        value = value.astype(object)
    elif value.dtype.kind in "iu":
        value = value.astype(np.int64)
    elif value.dtype.kind == "f":
        value = value.astype(np.float64)
    return Series(t_ns.astype(np.int64), value, quality.astype(np.uint8))


def first_ns(day: Day) -> int:
    """The time of its first row."""
    return min((int(column.t_ns[0]) for column in day.samples.values() if len(column)), default=day.until_ns)


def blocks(day: Day, after_ns: int) -> Iterator[tuple[Samples, int]]:
    """The day cut into blocks of some hours, (samples, until), without what lies before `after_ns`."""
    start_ns = max(first_ns(day), after_ns)
    while start_ns < day.until_ns:
        end_ns = min((start_ns // BLOCK_NS + 1) * BLOCK_NS, day.until_ns)
        yield {tag: between(column, start_ns, end_ns) for tag, column in day.samples.items()}, end_ns
        start_ns = end_ns


async def days(folder: Path, stop: asyncio.Event) -> AsyncIterator[Day]:
    """The folder's days in order, each as soon as it exists, until `done` or `stop`."""
    number = 0
    while not stop.is_set():
        path = day_path(folder, number)
        ended = finished(folder)  # checked first, so that a day written just before `done` is not missed
        if path.exists():
            yield await asyncio.to_thread(read_day, path)
            number += 1
        elif ended:
            return
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _POLL_S)
