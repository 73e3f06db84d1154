"""Validation of an envelope's content, and the rows of a batch that belong to a gateway, to open minutes, and to the one
stream from which a minute counts. Pure.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from center.contract.store import MAX_ROWS_PER_MINUTE, RowBatch
from center.contract.streams import StreamRecord
from center.model.retention import OpenTimes
from center.model.times import MAX_NS
from oee.model.facts import (
    FACT_COLUMNS,
    HOUR_NS,
    MINUTE_NS,
    STATE_COLUMNS,
    CycleBins,
    Facts,
    Int64,
    Losses,
    Text,
    select,
)
from oee.model.limits import MOST_CHARACTERS
from wire.envelope import Unsound
from wire.marks import Marks
from wire.values import Values

MAX_TEXT: Final = MOST_CHARACTERS
COUNTED: Final = "counted already:"
HELD: Final = "held: a second box runs with this gateway's bundle; decide with nhip quarantine accept or discard"
MAX_VALUE: Final = 10**14
"""Largest plausible number in one row: three years of microseconds, booked at the minute that made up for an outage."""
MAX_SUM: Final = 10**15
"""The same of one column of an envelope: thirty years. What an envelope adds to any sum is at most that."""
MAX_PIECES: Final = 10**10
"""Pieces, cycles and stops of one row: more than a counter of 32 bits holds."""
_HOUR_MINUTES: Final = HOUR_NS // MINUTE_NS
MINUTE_MS: Final = 60_000
MAX_MINUTE_MS: Final = 40 * MINUTE_MS
"""Time that one envelope may move about within a minute of a machine: ten corrections, each of two columns, in and out."""
_TIME_COLUMNS: Final = (*STATE_COLUMNS, "running_ideal_known_ms", "minor_stop_ideal_known_ms")
_COUNTED: Final = (*tuple(name for name in FACT_COLUMNS if name.startswith("pieces_")), "cycles", "stops", "failures")


def plausible(batch: RowBatch) -> None:
    """Raises `Unsound` for numbers and texts that no gateway can mean or that sums could not hold."""
    for table in (batch.facts, batch.losses):
        if len(table):
            _plausible_keys(table)
            _within("sums", table.sums, -MAX_VALUE, MAX_VALUE)
            _within("sums", np.abs(table.sums).sum(axis=0), 0, MAX_SUM)
    if len(batch.facts):
        for name in _COUNTED:
            _within(name, batch.facts.column(name), -MAX_PIECES, MAX_PIECES)
        _times(batch.facts, np.stack([batch.facts.column(name) for name in _TIME_COLUMNS], axis=1))
    if len(batch.losses):
        _within("pieces", batch.losses.sums[:, 1], -MAX_PIECES, MAX_PIECES)
        _times(batch.losses, batch.losses.sums[:, :1])
        _texts("reason", batch.losses.reason)
    if len(batch.cycles):
        _plausible_keys(batch.cycles)
        _within("cycles", batch.cycles.cycles, -MAX_PIECES, MAX_PIECES)
    for stop in batch.stops:
        for text in (stop.machine, stop.id, stop.reason, stop.by, stop.product, stop.to_product):
            _text("stop", text)
        end_ns = stop.start_ns if stop.end_ns is None else stop.end_ns
        if not 0 <= stop.start_ns <= end_ns <= MAX_NS:
            raise Unsound(f"stop {stop.id!r} of {stop.machine!r} is from {stop.start_ns} to {stop.end_ns}")
        if not 0 <= stop.revision <= MAX_VALUE:
            raise Unsound(f"stop {stop.id!r} of {stop.machine!r} has revision {stop.revision}")
    if not all(machines_of(batch)):
        raise Unsound("a machine without a name")


def _plausible_keys(table: Facts | Losses | CycleBins) -> None:
    _within("minute", table.minute_ns, 0, MAX_NS)
    _within("n", table.n, 0, MAX_ROWS_PER_MINUTE - 1)
    _within("date", table.business_date.astype(np.int64), 0, MAX_NS // 86_400_000_000_000)
    for name in ("machine", "shift", "product"):
        _texts(name, getattr(table, name))


def plausible_values(values: Values, times: OpenTimes) -> None:
    """The same for process values, none of which may be of later than is open."""
    if len(values):
        _within("time", values.t_ns, 0, times.until_ns - 1)
        _texts("tag", values.tag)
        for text in {item for item in values.text.tolist() if item is not None}:
            _text("value", text)


def _times(table: Facts | Losses, ms: Int64) -> None:
    """Raises `Unsound` where a row, or all rows of a machine's minute, hold more time than a minute can. ms: by row."""
    _within("ms", ms, -MINUTE_MS, MINUTE_MS)
    _, machines = np.unique(table.machine.astype(str), return_inverse=True)
    _, minutes = np.unique(table.minute_ns, return_inverse=True)
    moved = np.bincount(machines * (minutes.max() + 1) + minutes, np.abs(ms).sum(axis=1))
    _within("ms of a minute", moved.astype(np.int64), 0, MAX_MINUTE_MS)


def _within(name: str, values: Int64, low: int, high: int) -> None:
    smallest, largest = int(values.min()), int(values.max())
    if smallest < low or largest > high:
        raise Unsound(f"column {name} has {smallest if smallest < low else largest}, outside {low} to {high}")


def _texts(name: str, column: Text) -> None:
    for text in set(column.tolist()):
        _text(name, text)


def _text(name: str, text: str) -> None:
    if len(text) > MAX_TEXT:
        raise Unsound(f"{name}: text of {len(text)} characters; at most {MAX_TEXT}")
    if not is_text(text):
        raise Unsound(f"{name}: {text!r} holds half a character")


def is_text(text: str) -> bool:
    """Whether a text can be stored: JSON accepts half a surrogate pair, no store does."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def machines_of(batch: RowBatch) -> set[str]:
    """Every machine that the batch names."""
    stopped = {stop.machine for stop in batch.stops}
    tables = (batch.facts, batch.losses, batch.cycles)
    return {machine for table in tables for machine in table.machine.tolist()} | stopped


def own_part(batch: RowBatch, foreign: Collection[str]) -> RowBatch:
    """The batch without the rows of foreign machines."""

    def own(table: Facts | Losses | CycleBins) -> NDArray[np.bool_]:
        return np.array([machine not in foreign for machine in table.machine.tolist()], np.bool_)

    return RowBatch(
        batch.origin,
        batch.seq,
        select(batch.facts, own(batch.facts)),
        select(batch.losses, own(batch.losses)),
        [stop for stop in batch.stops if stop.machine not in foreign],
        cycles=select(batch.cycles, own(batch.cycles)),
    )


def open_part(batch: RowBatch, times: OpenTimes) -> tuple[RowBatch, str]:
    """The batch without rows of minutes that are closed or not open yet, and the reason why those are refused, "" if there
    are none. Stops are accepted however old they are: they are not part of any sum.
    """
    tables: tuple[Facts | Losses | CycleBins, ...] = (batch.facts, batch.losses, batch.cycles)
    late = sum(int((table.minute_ns < times.from_ns).sum()) for table in tables)
    early = sum(int((table.minute_ns >= times.until_ns).sum()) for table in tables)
    stops = [stop for stop in batch.stops if max(stop.start_ns, stop.end_ns or 0) < times.until_ns]
    early += len(batch.stops) - len(stops)
    if not late and not early:
        return batch, ""
    rows = sum(len(table) for table in tables) + len(batch.stops)
    reasons = []
    if late:
        oldest_ns = min(int(table.minute_ns.min()) for table in tables if len(table))
        before = _utc(times.from_ns)
        reasons.append(f"closed: {late} of {rows} rows are of minutes before {before}, the oldest of {_utc(oldest_ns)}")
    if early:
        reasons.append(
            f"future: {early} of {rows} rows are of {_utc(times.until_ns)} or later: the gateway's clock is wrong, or the "
            "center's; replay them when that time has come"
        )
    facts, losses = (
        select(batch.facts, _opened(batch.facts.minute_ns, times)),
        select(batch.losses, _opened(batch.losses.minute_ns, times)),
    )
    cycles = select(batch.cycles, _opened(batch.cycles.minute_ns, times))
    return RowBatch(batch.origin, batch.seq, facts, losses, stops, cycles=cycles), "; ".join(reasons)


def _opened(minutes: Int64, times: OpenTimes) -> NDArray[np.bool_]:
    opened: NDArray[np.bool_] = (minutes >= times.from_ns) & (minutes < times.until_ns)
    return opened


def counting_part(batch: RowBatch, record: StreamRecord, others: Iterable[StreamRecord]) -> tuple[RowBatch, str]:
    """The batch without rows that must not count beside another stream, and why, "" if there are none. record: the
    batch's stream; others: streams of facts of the same gateway.

    A minute counts from the stream that covered it first, which may also correct it; and a stream that is held adds no
    minute to those that it covers. An hour of cycles is covered if any minute of it is: whoever begins within an hour has
    counted the rest of it.
    """
    tables = (
        batch.facts.minute_ns,
        batch.losses.minute_ns,
        np.array([stop.start_ns for stop in batch.stops], np.int64),
        batch.cycles.minute_ns,
    )
    minutes = [column // MINUTE_NS for column in tables]
    lasts = [*minutes[:3], minutes[3] + _HOUR_MINUTES - 1]
    foreign = [~_among(record.covers, *span) for span in zip(minutes, lasts, strict=True)]
    held = [new & (last >= record.held_from) & bool(record.held_from) for new, last in zip(foreign, lasts, strict=True)]
    taken = [np.zeros(len(column), np.bool_) for column in minutes]
    for other in others:
        taken = [
            already | (new & _among(other.covers, first, last))
            for already, new, first, last in zip(taken, foreign, minutes, lasts, strict=True)
        ]
    waits = [one | two for one, two in zip(held, taken, strict=True)]
    count = sum(int(mask.sum()) for mask in waits)
    if not count:
        return batch, ""
    rows = sum(map(len, waits))
    part = RowBatch(
        batch.origin,
        batch.seq,
        select(batch.facts, ~waits[0]),
        select(batch.losses, ~waits[1]),
        [stop for stop, wait in zip(batch.stops, waits[2].tolist(), strict=True) if not wait],
        cycles=select(batch.cycles, ~waits[3]),
    )
    if any(mask.any() for mask in held):
        return part, f"{HELD}: {count} of {rows} rows wait"
    return part, f"{COUNTED} {count} of {rows} rows are of minutes that another stream of this gateway has counted"


def _among(covers: Marks, first: Int64, last: Int64) -> NDArray[np.bool_]:
    """Which of these spans of minutes, each `first` to `last`, have a minute in the ranges."""
    if not covers.beyond or not len(first) or covers.beyond[-1][1] < first.min():
        return np.zeros(len(first), np.bool_)
    firsts, lasts = np.array(covers.beyond, np.int64).T
    place = np.searchsorted(firsts, last, "right") - 1
    inside: NDArray[np.bool_] = (place >= 0) & (first <= lasts[place])
    return inside


def _utc(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
