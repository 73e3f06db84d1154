"""Encodes the journal's columns and sums as bytes. Pure.

A span of rows: a line of JSON, `[[tag, rows, dtype], ...]`, and after it for each tag its times (the first, then
steps, int64 ns), its values (raw; text as one JSON list preceded by its length) and its qualities (uint8), all
compressed together. Offered sums: JSON, compressed.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from oee.engine.correction import Sent, SentTable
from oee.model.facts import CYCLE_BINS, Stop, dense, sparse
from oee.model.samples import Samples, Series, column
from oee.model.states import State

_LEVEL: Final = 1  # the second-best ratio costs four times the CPU of a gateway
_LENGTH_BYTES: Final = 4


def pack_rows(samples: Samples) -> bytes:
    """Encodes rows."""
    head, body = [], []
    for tag, rows in samples.items():
        text = rows.value.dtype.kind == "O"
        head.append([tag, len(rows), "text" if text else rows.value.dtype.str])
        body.append(np.diff(rows.t_ns, prepend=0).tobytes())
        body.append(_text(rows.value.tolist()) if text else rows.value.tobytes())
        body.append(rows.quality.tobytes())
    return zlib.compress(json.dumps(head).encode() + b"\n" + b"".join(body), _LEVEL)


def _text(values: list[str]) -> bytes:
    data = json.dumps(values, ensure_ascii=False).encode()
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def unpack_rows(data: bytes) -> dict[str, Series]:
    """The rows in these bytes. Raises `ValueError` or `zlib.error` if they are not what `pack_rows` made."""
    head, _, body = zlib.decompress(data).partition(b"\n")
    at, out = 0, {}
    for tag, count, kind in json.loads(head):
        steps = np.frombuffer(body, np.int64, count, at)
        at += steps.nbytes
        if kind == "text":
            length = int.from_bytes(body[at : at + _LENGTH_BYTES], "big")
            value = column(json.loads(body[at + _LENGTH_BYTES : at + _LENGTH_BYTES + length]))
            at += _LENGTH_BYTES + length
        else:
            value = np.frombuffer(body, np.dtype(kind), count, at)
            at += value.nbytes
        quality = np.frombuffer(body, np.uint8, count, at)
        at += count
        out[tag] = Series(np.cumsum(steps), value, quality)
    return out


def pack_sent(sent: Sent) -> bytes:
    """Encodes offered sums."""
    plain = {
        "facts": _sums(sent.facts.sums),
        "losses": _sums(sent.losses.sums),
        "fact_rows": list(sent.facts.row_counts.items()),
        "loss_rows": list(sent.losses.row_counts.items()),
        "stops": [asdict(stop) for stop in sent.stops.values()],
        "cycles": [[list(key), *sparse(row)] for key, row in sent.cycles.sums.items()],
        "cycle_rows": list(sent.cycles.row_counts.items()),
    }
    return zlib.compress(json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode(), _LEVEL)


def _sums(table: Mapping[Any, Any]) -> list[list[Any]]:
    return [[list(key), row.tolist()] for key, row in table.items()]


def unpack_sent(data: bytes) -> Sent:
    """The sums in these bytes. Raises as `unpack_rows` does."""
    plain = json.loads(zlib.decompress(data))
    stops = [Stop(**(item | {"state": State(item["state"])})) for item in plain["stops"]]
    return Sent(
        _sent_table(plain["facts"], plain["fact_rows"]),
        _sent_table(plain["losses"], plain["loss_rows"]),
        {stop.id: stop for stop in stops},
        SentTable(
            {tuple(key): dense(places, values, CYCLE_BINS) for key, places, values in plain.get("cycles", ())},
            _counts(plain.get("cycle_rows", ())),
        ),
    )


def _sent_table(sums: Iterable[Any], row_counts: Iterable[Any]) -> SentTable:
    rows = list(sums)
    values = np.array([row for _, row in rows], np.int64)
    return SentTable(
        {tuple(key): row for (key, _), row in zip(rows, values, strict=True)},
        _counts(row_counts),
    )


def _counts(rows: Iterable[Any]) -> dict[int, int]:
    return {int(minute): int(n) for minute, n in rows}
