"""Validation of an envelope's content, and the rows of a batch that belong to a gateway and to open minutes. Pure."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import numpy as np

from center.contract.store import MAX_ROWS_PER_MINUTE, RowBatch
from center.model.times import MAX_NS
from oee.model.facts import Facts, Int64, Losses, Text, select
from wire.envelope import Unsound
from wire.values import Values

MAX_TEXT: Final = 256
MAX_VALUE: Final = 10**14
"""Largest plausible number in one row: three years of microseconds. Sums of 90,000 such rows still fit into int64."""


def plausible(batch: RowBatch) -> None:
    """Raises `Unsound` for numbers and texts that no gateway can mean or that sums could not hold."""
    for table in (batch.facts, batch.losses):
        if len(table):
            _within("minute", table.minute_ns, 0, MAX_NS)
            _within("n", table.n, 0, MAX_ROWS_PER_MINUTE - 1)
            _within("date", table.business_date.astype(np.int64), 0, MAX_NS // 86_400_000_000_000)
            _within("sums", table.sums, -MAX_VALUE, MAX_VALUE)
            for name in ("machine", "shift", "product"):
                _texts(name, getattr(table, name))
    if len(batch.losses):
        _texts("reason", batch.losses.reason)
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


def plausible_values(values: Values) -> None:
    """The same for process values."""
    if len(values):
        _within("time", values.t_ns, 0, MAX_NS)
        _texts("tag", values.tag)
        for text in {item for item in values.text.tolist() if item is not None}:
            _text("value", text)


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
    return {*batch.facts.machine.tolist(), *batch.losses.machine.tolist()} | stopped


def own_part(batch: RowBatch, foreign: Collection[str]) -> RowBatch:
    """The batch without the rows of foreign machines."""

    def own(table: Facts | Losses) -> list[bool]:
        return [machine not in foreign for machine in table.machine.tolist()]

    return RowBatch(
        batch.origin,
        batch.seq,
        select(batch.facts, np.array(own(batch.facts), np.bool_)),
        select(batch.losses, np.array(own(batch.losses), np.bool_)),
        [stop for stop in batch.stops if stop.machine not in foreign],
    )


def open_part(batch: RowBatch, open_from_ns: int) -> tuple[RowBatch, str]:
    """The batch without rows of closed minutes, and the reason why those are refused, "" if there are none. Stops are
    accepted however old they are: they are not part of any sum.
    """
    late = sum(int((table.minute_ns < open_from_ns).sum()) for table in (batch.facts, batch.losses))
    if not late:
        return batch, ""
    oldest_ns = min(int(table.minute_ns.min()) for table in (batch.facts, batch.losses) if len(table))
    facts, losses = (
        select(batch.facts, batch.facts.minute_ns >= open_from_ns),
        select(batch.losses, batch.losses.minute_ns >= open_from_ns),
    )
    rows = len(batch.facts) + len(batch.losses)
    reason = (
        f"closed: {late} of {rows} rows are of minutes before {_utc(open_from_ns)}, the oldest of {_utc(oldest_ns)}"
    )
    return RowBatch(batch.origin, batch.seq, facts, losses, batch.stops), reason


def _utc(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
