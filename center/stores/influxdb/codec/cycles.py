"""Histograms of cycle times in InfluxDB's answers. Pure."""

from collections.abc import Sequence

import numpy as np

from center.stores.influxdb.codec.answers import Answer, series
from center.stores.influxdb.codec.escape import unpack
from center.stores.influxdb.codec.lines import DAY_NS
from oee.model.cycle_bins import join_bins
from oee.model.facts import HOUR_NS, MS_NS, CycleBins, select, text_column
from oee.model.states import CLASS_BY_WORD

_TEXTS = ("machine", "shift", "product")


def cycle_rows(answer: Answer) -> list[tuple[str, CycleBins]]:
    """The rows of each stream as they were written, streams in order. Bins that are no pairs of numbers are left out."""
    by_stream: dict[str, list[CycleBins]] = {}
    for _, tags, values in series(answer):
        lengths, bins = [], []
        for _, text in values:
            pairs = [pair.split("=") for pair in unpack(text or "").split(",") if pair.count("=") == 1]
            lengths.append(len(pairs))
            bins += pairs
        times = np.repeat(np.array([row[0] for row in values], np.int64), lengths)
        hour_ns = times // HOUR_NS * HOUR_NS
        places, cycles = np.array(bins, np.int64).reshape(-1, 2).T
        texts = {name: text_column([unpack(tags.get(name, ""))] * len(times)) for name in _TEXTS}
        table = CycleBins(
            **texts,
            minute_ns=hour_ns,
            calendar=np.full(len(times), CLASS_BY_WORD[tags["calendar"]], np.uint8),
            business_date=(hour_ns // DAY_NS + int(tags["day"])).astype(np.int32),
            bin=places,
            cycles=cycles,
            n=(times - hour_ns) // MS_NS,
        )
        by_stream.setdefault(unpack(tags.get("stream", "")), []).append(table)
    return [(stream, join_bins(by_stream[stream])) for stream in sorted(by_stream)]


def added_up(tables: Sequence[CycleBins]) -> CycleBins:
    """Sums by machine, business date, shift, product and bin, in that order; those of zero left out."""
    table = join_bins(tables)
    if not len(table):
        return table
    keys = list(
        zip(
            *(getattr(table, name).tolist() for name in ("machine", "business_date", "shift", "product", "bin")),
            strict=True,
        )
    )
    number = {key: place for place, key in enumerate(sorted(set(keys)))}
    place = np.array([number[key] for key in keys], np.int64)
    sums = np.zeros(len(number), np.int64)
    np.add.at(sums, place, table.cycles)
    _, first = np.unique(place, return_index=True)
    kept = np.flatnonzero(sums)
    out = select(table, first[kept])
    zeros = np.zeros(len(kept), np.int64)
    return CycleBins(
        out.machine,
        zeros,
        zeros.astype(np.uint8),
        out.business_date,
        out.shift,
        out.product,
        out.bin,
        sums[kept],
        zeros,
    )
