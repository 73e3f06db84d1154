"""Exported rows with their identity. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from center.contract.store import HOURS, Origin, RowBatch
from center.stores.influxdb.codec.answers import Answer, series, stops
from center.stores.influxdb.codec.cycles import cycle_rows
from center.stores.influxdb.codec.escape import unpack
from center.stores.influxdb.codec.lines import DAY_NS
from oee.model.facts import (
    FACT_COLUMNS,
    KEY_COLUMNS,
    LOSS_COLUMNS,
    LOSS_KEY_COLUMNS,
    MINUTE_NS,
    MS_NS,
    NO_BINS,
    NO_FACTS,
    NO_LOSSES,
    Facts,
    Losses,
    Table,
    join,
    select,
)
from oee.model.states import CLASS_BY_WORD, STATE_BY_WORD


def batches(site: str, facts: Answer, losses: Answer, stop_rows: Answer, cycles: Answer = ()) -> list[RowBatch]:
    """The rows of one window, one batch for each stream; stops have none."""
    fact_tables: dict[str, list[Facts]] = {}
    loss_tables: dict[str, list[Losses]] = {}
    for _, tags, values in series(facts):
        fact_tables.setdefault(unpack(tags.get("stream", "")), []).append(Facts(**_columns(tags, values, FACT_COLUMNS)))
    for _, tags, values in series(losses):
        more = {"state": STATE_BY_WORD[tags["state"]], "reason": unpack(tags.get("reason", ""))}
        columns = _columns(tags, values, LOSS_COLUMNS, more)
        loss_tables.setdefault(unpack(tags.get("stream", "")), []).append(Losses(**columns))
    histograms = dict(cycle_rows(cycles))
    out = [
        RowBatch(
            Origin(site, "", stream),
            0,
            join(fact_tables[stream]) if stream in fact_tables else NO_FACTS,
            join(loss_tables[stream]) if stream in loss_tables else NO_LOSSES,
            (),
            cycles=histograms.get(stream, NO_BINS),
        )
        for stream in sorted({*fact_tables, *loss_tables, *histograms})
    ]
    if revisions := stops(stop_rows):
        out.append(RowBatch(Origin(site, "", ""), 0, NO_FACTS, NO_LOSSES, revisions))
    return out


def zeroed(batch: RowBatch) -> RowBatch:
    """The same rows with sums of zero."""
    facts, losses = batch.facts, batch.losses
    return replace(
        batch,
        facts=replace(facts, sums=np.zeros_like(facts.sums)),
        losses=replace(losses, sums=np.zeros_like(losses.sums)),
    )


def numbered(batch: RowBatch) -> RowBatch:
    """Hourly sums as rows of stream `HOURS`, numbered within machine and hour in a fixed order."""
    facts, losses = (_numbered(batch.facts, KEY_COLUMNS), _numbered(batch.losses, LOSS_KEY_COLUMNS))
    return replace(batch, origin=replace(batch.origin, stream=HOURS), facts=facts, losses=losses)


def _numbered(table: Table, names: Sequence[str]) -> Table:
    if not len(table):
        return table
    keys = list(zip(*(getattr(table, name).tolist() for name in names), strict=True))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    sorted_keys = [keys[index] for index in order]  # by machine and minute first
    first = [0]
    for place in range(1, len(order)):
        first.append(first[-1] if sorted_keys[place][:2] == sorted_keys[place - 1][:2] else place)
    return replace(select(table, np.array(order)), n=np.arange(len(order)) - np.array(first))


def _columns(
    tags: Mapping[str, str],
    values: Sequence[Sequence[Any]],
    names: Sequence[str],
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    matrix = np.array([[0 if value is None else value for value in row] for row in values], np.int64)
    if matrix.shape[1] != len(names) + 1:
        raise ValueError(f"{matrix.shape[1]} columns instead of {len(names) + 1}")
    times = matrix[:, 0]
    minute_ns = times // MINUTE_NS * MINUTE_NS
    texts = {name: unpack(tags.get(name, "")) for name in ("machine", "shift", "product")}
    out: dict[str, Any] = {}
    for name, value in (texts | dict(more or {})).items():
        out[name] = np.empty(len(times), object if isinstance(value, str) else np.uint8)
        out[name][:] = value  # `np.full` would drop a last NUL of a text
    return out | {
        "minute_ns": minute_ns,
        "calendar": np.full(len(times), CLASS_BY_WORD[tags["calendar"]], np.uint8),
        "business_date": (minute_ns // DAY_NS + int(tags["day"])).astype(np.int32),
        "n": (times - minute_ns) // MS_NS,
        "sums": matrix[:, 1:],
    }
