"""Divides an envelope that is too large for the broker into several. Within the caller's transaction.

The rows move into new envelopes of the same stream, unchanged: identity included, so they count once even if the center
has the large one after all. A `dropped` envelope behind them says that the large one will not come. What keeps its rows in
one stream only is what can be divided: an envelope of a current stream with facts or values.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any

import numpy as np

from agent.outbox.envelopes import Sealed, put
from agent.outbox.journal.recording import replace_sent
from agent.outbox.streams import EnvelopeKey
from oee.model.cycle_bins import folded
from oee.model.facts import MINUTE_NS, AnyTable, CycleTimes, Facts, Losses, Stop, select
from wire.bodies import DIVIDED, Dropped, facts_body, read_rows
from wire.envelope import Unsound, decode_content, open_envelope, seal
from wire.value_buffer import ValueBuffer
from wire.values import Values, read_values_body, values_bodies

_Rows = tuple[Facts, Losses, list[Stop], CycleTimes]


class Indivisible(Exception):
    """The envelope cannot be divided, or not into parts that are small enough."""


def divide(db: sqlite3.Connection, key: EnvelopeKey, most_bytes: int, now_ns: int) -> list[Sealed]:
    """Replaces an envelope by several of at most `most_bytes`; returns what was sealed, [] if it is no longer on disk.
    Raises `Indivisible`; then nothing has changed.
    """
    row = db.execute(
        "select kind, current, data, s.no from envelopes e join streams s on s.no = e.stream "
        "where s.stream = ? and seq = ?",
        (key.stream, key.seq),
    ).fetchone()
    if row is None:
        return []
    kind, current, data, stream_no = row
    if current != 1:
        raise Indivisible("nothing is added to an older stream")
    try:
        contents = _divided(kind, decode_content(open_envelope(data)), key.stream, most_bytes)
    except Unsound as error:
        raise Indivisible(str(error)) from error
    parts = [Sealed(kind, put(db, kind, content, now_ns)) for content in contents]
    dropped = Dropped(dropped=[(key.seq, key.seq)], why=DIVIDED).model_dump(mode="json")
    db.execute("delete from envelopes where stream = ? and seq = ?", (stream_no, key.seq))
    if kind == "facts":
        replace_sent(db, (key.stream, key.seq), [(part.key.stream, part.key.seq) for part in parts])
    return [*parts, Sealed(kind, put(db, kind, dropped, now_ns))]


def _divided(kind: str, content: Any, stream: str, most_bytes: int) -> list[Any]:
    if "dropped" in content:
        raise Indivisible("it lists envelopes that were given up")
    if kind == "facts":
        facts, losses, stops, bins = read_rows(content)
        rows = (facts, losses, stops, folded(bins))
        return [facts_body(*part) for part in _small_enough(rows, stream, most_bytes)]
    if kind == "values":
        return _divided_values(read_values_body(content), stream, most_bytes)
    raise Indivisible(f"kind {kind}")


def _bytes(content: Any, stream: str) -> int:
    return len(seal(stream, 2**62, 2**62, content).data)


def _small_enough(rows: _Rows, stream: str, most_bytes: int) -> Iterator[_Rows]:
    if _bytes(facts_body(*rows), stream) <= most_bytes:
        yield rows
    else:
        for half in _halves(rows):
            yield from _small_enough(half, stream, most_bytes)


def _halves(rows: _Rows) -> tuple[_Rows, _Rows]:
    """By machine and minute, so that what belongs together stays together; within one minute of a machine by table."""
    facts, losses, stops, cycles = rows
    keys = sorted(
        {
            *_minutes(facts),
            *_minutes(losses),
            *_minutes(cycles),
            *((item.machine, item.start_ns // MINUTE_NS * MINUTE_NS) for item in stops),
        }
    )
    if len(keys) > 1:
        low = set(keys[: len(keys) // 2])
        return _within(rows, low, inside=True), _within(rows, low, inside=False)
    lengths = [len(facts), len(losses), len(stops), len(cycles)]
    filled = [place for place, length in enumerate(lengths) if length]
    if len(filled) > 1:
        return _only(rows, filled[:1]), _only(rows, filled[1:])
    if max(lengths) < 2:
        raise Indivisible("a single row is too large")
    half = [length // 2 for length in lengths]
    return (
        (_first(facts, half[0]), _first(losses, half[1]), stops[: half[2]], _first(cycles, half[3])),
        (_rest(facts, half[0]), _rest(losses, half[1]), stops[half[2] :], _rest(cycles, half[3])),
    )


def _only(rows: _Rows, places: list[int]) -> _Rows:
    """Those tables of the rows; the others empty."""
    facts, losses, stops, cycles = rows
    return (
        facts if 0 in places else _first(facts, 0),
        losses if 1 in places else _first(losses, 0),
        stops if 2 in places else [],
        cycles if 3 in places else _first(cycles, 0),
    )


def _first(table: Any, count: int) -> Any:
    return select(table, slice(0, count))


def _rest(table: Any, count: int) -> Any:
    return select(table, slice(count, None))


def _minutes(table: AnyTable) -> list[tuple[str, int]]:
    return list(zip(table.machine.tolist(), table.minute_ns.tolist(), strict=True))


def _within(rows: _Rows, keys: set[tuple[str, int]], *, inside: bool) -> _Rows:
    facts, losses, stops, cycles = rows

    def part(table: Any) -> Any:
        return select(table, np.array([(key in keys) is inside for key in _minutes(table)], np.bool_))

    kept = [item for item in stops if ((item.machine, item.start_ns // MINUTE_NS * MINUTE_NS) in keys) is inside]
    return part(facts), part(losses), kept, part(cycles)


def _divided_values(values: Values, stream: str, most_bytes: int) -> list[Any]:
    buffer = _buffer(values)
    most_rows = len(buffer)
    while most_rows > 1:
        most_rows = -(-most_rows // 2)
        contents = list(values_bodies(buffer, most_rows))
        if all(_bytes(content, stream) <= most_bytes for content in contents):
            return contents
    raise Indivisible("a single value is too large")


def _buffer(values: Values) -> ValueBuffer:
    tags = sorted(set(values.tag.tolist()))
    places = {tag: place for place, tag in enumerate(tags)}
    buffer = ValueBuffer(tags)
    columns = (values.tag, values.t_ns, values.number, values.text, values.quality)
    for tag, t_ns, number, text, quality in zip(*(column.tolist() for column in columns), strict=True):
        buffer.add(places[tag], t_ns // 1000, number if text is None else text, quality)
    return buffer
