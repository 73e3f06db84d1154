"""Process values in InfluxDB: lines, statements and answers. Pure.

values: tags gateway, site, tag; fields v (number, float), s (text), q (quality as its number, where it is not good).
A row keeps its own time, so the same row written again replaces itself.
"""
# ruff: noqa: S608  # every text from outside goes through `literal` or `name`

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from center.contract.store import BinsQuery, Origin, RowBatch, ValueBins, ValueQuery
from center.stores.influxdb.codec.answers import Answer, series
from center.stores.influxdb.codec.escape import field_text, literal, name, tags, unpack
from center.stores.influxdb.codec.lines import series_digest
from oee.model.facts import NO_FACTS, NO_LOSSES, Int64
from oee.model.states import Quality
from wire.values import Values

MEASUREMENT: Final = "values"
S_NS: Final = 1_000_000_000
_FIELDS: Final = ", ".join(map(name, ("v", "s", "q", "gateway", "tag")))
_ONE: Final = ", ".join(map(name, ("v", "s", "q")))


def value_lines(batches: Iterable[RowBatch]) -> list[str]:
    """A line for each process value. Raises `UnicodeEncodeError` for half a character."""
    lines: list[str] = []
    for batch in batches:
        rows, origin = batch.values, batch.origin
        prefixes = {tag: _prefix(origin, tag) for tag in set(rows.tag.tolist())}
        columns = (rows.tag.tolist(), rows.t_ns.tolist(), rows.number.tolist(), rows.text.tolist())
        for tag, t_ns, number, text, quality in zip(*columns, rows.quality.tolist(), strict=True):
            lines.append(f"{prefixes[tag]} {_field(number, text, quality)} {t_ns}")
    return lines


def value_series(batch: RowBatch) -> Int64:
    """The series of each process value, as a digest."""
    tag = batch.values.tag.tolist()
    found = {name: series_digest(_prefix(batch.origin, name)) for name in set(tag)}
    return np.array([found[name] for name in tag], np.int64)


def _prefix(origin: Origin, tag: str) -> str:
    return tags(MEASUREMENT, {"gateway": origin.gateway, "site": origin.site, "tag": tag})


def _field(number: float, text: str | None, quality: int) -> str:
    mark = f"q={quality}i"
    if quality >= Quality.BAD:
        return mark
    value = f"s={field_text(text)}" if text is not None else f"v={number!r}"
    return f"{value},{mark}" if quality else value


def inside(source: str, query: ValueQuery) -> str:
    """The first rows of the window."""
    where = _where(query, query.start_ns, query.end_ns)
    return f"SELECT {_FIELDS} FROM {source} WHERE {where} ORDER BY time LIMIT {query.limit}"


def before(source: str, query: ValueQuery | BinsQuery) -> str:
    """Each tag's last row before the window."""
    where = _where(query, query.start_ns - query.back_ns, query.start_ns)
    group = f"{name('gateway')}, {name('tag')}"
    return f"SELECT {_ONE} FROM {source} WHERE {where} GROUP BY {group} ORDER BY time DESC LIMIT 1"


_BINNED: Final = (
    f"min({name('v')}), max({name('v')}), last({name('v')}), count({name('v')}), count({name('s')}), max({name('q')})"
)


def binned(source: str, query: BinsQuery) -> str:
    """Of each tag and bin: lowest, highest, last and number of the numbers, number of texts, worst quality."""
    where = _where(query, query.start_ns, query.end_ns)
    shift_s = query.start_ns // S_NS % query.width_s
    group = f"{name('gateway')}, {name('tag')}, time({query.width_s}s, {shift_s}s)"
    return f"SELECT {_BINNED} FROM {source} WHERE {where} GROUP BY {group} fill(none)"


def last_of(source: str, query: BinsQuery, gateway: str, tag: str, place: int) -> str:
    """The last row of a tag in a bin."""
    low = query.start_ns + place * query.width_s * S_NS
    one = replace(query, tags=(tag,), gateway=gateway)
    where = _where(one, low, low + query.width_s * S_NS)
    return f"SELECT {_ONE} FROM {source} WHERE {where} GROUP BY {name('gateway')}, {name('tag')} ORDER BY time DESC LIMIT 1"


BinRow = list[Any]
"""A bin as the server has it: lowest, highest, last number, whether a row has no number, whether another has one."""


def bin_rows(answer: Answer, query: BinsQuery) -> dict[tuple[str, str, int], BinRow]:
    """The answer to `binned`, by gateway, tag and bin."""
    out: dict[tuple[str, str, int], BinRow] = {}
    for _, labels, found in series(answer):
        for t_ns, low, high, last, numbers, texts, worst in found:
            place = (t_ns - query.start_ns) // (query.width_s * S_NS)
            lost = bool(texts) or (worst or 0) >= Quality.BAD
            out[unpack(labels["gateway"]), unpack(labels["tag"]), place] = [low, high, last, lost, bool(numbers)]
    return out


def bins_of(found: Mapping[tuple[str, str, int], BinRow]) -> dict[str, ValueBins]:
    """By gateway the bins, by tag and place."""
    out: dict[str, ValueBins] = {}
    for gateway in sorted({key[0] for key in found}):
        keys = sorted(key for key in found if key[0] == gateway)
        low, high, last = (np.array([found[key][column] for key in keys], np.float64) for column in range(3))
        lost = np.array([found[key][3] for key in keys], np.bool_)
        places = np.array([key[2] for key in keys], np.int64)
        out[gateway] = ValueBins(_objects([key[1] for key in keys]), places, low, high, last, lost)
    return out


def rows(source: str, site: str, low: int, high: int) -> str:
    """All rows of a site within the window."""
    where = f"{name('site')} = {literal(site)} AND time >= {low} AND time < {high}"
    return f"SELECT {_ONE} FROM {source} WHERE {where} GROUP BY {name('gateway')}, {name('tag')}"


def value_batches(site: str, answer: Answer) -> list[RowBatch]:
    """The answer to `rows`, one batch for each gateway."""
    return [
        RowBatch(Origin(site, gateway, ""), 0, NO_FACTS, NO_LOSSES, (), rows)
        for gateway, rows in values(answer).items()
    ]


def _where(query: ValueQuery | BinsQuery, low: int, high: int) -> str:
    either = " OR ".join(f"{name('tag')} = {literal(tag)}" for tag in query.tags)
    own = f" AND {name('gateway')} = {literal(query.gateway)}" if query.gateway else ""
    return f"{name('site')} = {literal(query.site)} AND ({either}){own} AND time >= {low} AND time < {high}"


def forget(before_ns: int) -> str:
    """Deletes rows older than that."""
    return f"DELETE FROM {name(MEASUREMENT)} WHERE time < {before_ns}"


def values(answer: Answer) -> dict[str, Values]:
    """By gateway the rows of `before` and `inside`, by tag and time."""
    rows_by_gateway: dict[str, list[tuple[Any, ...]]] = {}
    for _, labels, rows in series(answer):
        for t_ns, number, text, quality, *more in rows:
            gateway, tag = more or (labels["gateway"], labels["tag"])
            rows_by_gateway.setdefault(unpack(gateway), []).append((unpack(tag), t_ns, number, text, quality or 0))
    return {
        gateway: _columns(sorted(rows, key=lambda row: row[:2])) for gateway, rows in sorted(rows_by_gateway.items())
    }


def _columns(rows: Sequence[tuple[Any, ...]]) -> Values:
    tag, t_ns, number, text, quality = zip(*rows, strict=True)
    texts = [None if item is None else unpack(item) for item in text]
    return Values(
        _objects(tag),
        np.array(t_ns, np.int64),
        np.array(number, np.float64),
        _objects(texts),
        np.array(quality, np.uint8),
    )


def _objects(items: Sequence[Any]) -> "np.ndarray[Any, Any]":
    out = np.empty(len(items), object)
    out[:] = items
    return out
