"""Which series the server has, and which gateway brought them: a list on the server (measurement `series`), since each series
costs memory and time for ever, whoever asks what.

The list is written before the rows, so a crash costs a gateway some of its budget and never gives it a series for nothing.
Several processes write it; what others wrote is read again where something new is met, at most every ten seconds.
"""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from center.contract.store import RowBatch
from center.model.retention import DAY_NS
from center.stores.influxdb.codec import answers
from center.stores.influxdb.codec import values as process_values
from center.stores.influxdb.codec.escape import literal, name, tags, unpack
from center.stores.influxdb.codec.lines import cycle_series, series_digest, series_lines, series_of, stop_series
from center.stores.influxdb.database import InfluxDatabase
from center.stores.influxdb.setup import METADATA
from oee.model.facts import Int64, select
from wire.values import select_values

COUNTED_DAYS: Final = 5
"""What a gateway may bring a day it may save up for so long: at first all that it has is new."""
_READ_AGAIN_S: Final = 10.0
_SKEW_NS: Final = 60_000_000_000
_BEGUN: Final = 0
"""The time of the point that says that the list of a site holds what was there before."""
_MEASUREMENTS: Final = ("facts", "losses", "stops", process_values.MEASUREMENT, "cycles")


@dataclass
class _SiteSeries:
    """known: digests of all series, sorted; brought: by gateway when it brought those of the last days [ns UTC]."""

    known: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    brought: dict[str, dict[int, int]] = field(default_factory=dict)
    read_s: float = 0.0
    seen_ns: int = 0
    has_met_new: bool = False

    def learn(self, gateway: str, digests: Iterable[int], seen_ns: int) -> None:
        self.known = np.union1d(self.known, np.fromiter(digests, np.int64))
        if seen_ns:
            self.brought.setdefault(gateway, {}).update(dict.fromkeys(digests, seen_ns))

    def lately(self, gateway: str, since_ns: int) -> int:
        """How many the gateway brought since then."""
        brought = self.brought.get(gateway, {})
        for digest in [digest for digest, seen_ns in brought.items() if seen_ns < since_ns]:
            del brought[digest]
        return len(brought)


class SeriesList:
    """`SeriesCount` of one database. Used by the thread that writes."""

    def __init__(self, database: InfluxDatabase, now_ns: Callable[[], int]) -> None:
        self._database, self._now_ns = database, now_ns
        self._source = database.source("series", METADATA)
        self._sites: dict[str, _SiteSeries] = {}
        self._parted: dict[int, tuple[RowBatch, list[int]]] = {}

    def read(self, sites: Collection[str]) -> None:
        """By the contract of `SeriesCount`. What was parted before and never written is forgotten."""
        self._parted.clear()
        self._know(sites)

    def _know(self, sites: Collection[str]) -> None:
        for site in sorted(sites):
            mine, now_s = self._sites.get(site), time.monotonic()
            if mine is None:
                mine = self._sites[site] = self._begun(site)
            elif mine.has_met_new and now_s - mine.read_s >= _READ_AGAIN_S:
                self._read(site, mine, mine.seen_ns - _SKEW_NS)

    def part(self, batch: RowBatch, most_a_day: int, planned: set[int]) -> tuple[RowBatch, int]:
        """By the contract of `SeriesCount`."""
        origin = batch.origin
        mine = self._sites.get(origin.site) or _SiteSeries()
        columns = _columns(batch)
        unknown = _unknown(columns, mine.known).tolist()
        new = [digest for digest in unknown if digest not in planned]
        mine.has_met_new |= bool(new)
        since_ns = self._now_ns() - COUNTED_DAYS * DAY_NS
        room = max(COUNTED_DAYS * most_a_day - mine.lately(origin.gateway, since_ns) - len(planned), 0)
        planned.update(new[:room])
        beyond = np.array(new[room:], np.int64)
        if not len(beyond):
            self._parted[id(batch)] = batch, unknown
            return batch, 0
        facts, losses, stops, values, cycles = (~np.isin(column, beyond) for column in columns)
        part = replace(
            batch,
            facts=select(batch.facts, facts),
            losses=select(batch.losses, losses),
            stops=[stop for stop, stays in zip(batch.stops, stops.tolist(), strict=True) if stays],
            values=select_values(batch.values, values),
            cycles=select(batch.cycles, cycles),
        )
        self._parted[id(part)] = part, [digest for digest in unknown if digest in planned]
        return part, sum(int((~stays).sum()) for stays in (facts, losses, stops, values, cycles))

    def enter(self, batches: Iterable[RowBatch]) -> None:
        """Adds what these rows bring to the list. Raises `StoreUnavailable`."""
        new: dict[tuple[str, str], set[int]] = {}
        for batch in batches:
            site = batch.origin.site
            self._know([site])
            new.setdefault((site, batch.origin.gateway), set()).update(self._new_of(batch, self._sites[site].known))
        new = {key: digests for key, digests in new.items() if digests}
        now_ns = self._now_ns()
        lines = [
            line for (site, gateway), digests in new.items() for line in series_lines(site, gateway, digests, now_ns)
        ]
        if lines:
            self._database.write_metadata(lines)
        for (site, gateway), digests in new.items():
            self._sites[site].learn(gateway, digests, now_ns)

    def _new_of(self, batch: RowBatch, known: Int64) -> list[int]:
        """What is not known of it. `part` has digested the batches of a plan already."""
        parted, unknown = self._parted.pop(id(batch), (None, []))
        columns = _columns(batch) if parted is not batch else [np.array(unknown, np.int64)]
        new: list[int] = _unknown(columns, known).tolist()
        return new

    def _begun(self, site: str) -> _SiteSeries:
        """The list of a site. Where there is none, what the server has is listed as there before."""
        mine = _SiteSeries()
        self._read(site, mine, 0)
        if not len(mine.known):
            there = {*self._there(site), _BEGUN}
            self._database.write_metadata(series_lines(site, "", there, 0))
            mine.learn("", there, 0)
        return mine

    def _read(self, site: str, mine: _SiteSeries, since_ns: int) -> None:
        mine.read_s, mine.has_met_new = time.monotonic(), False
        where = f"{name('site')} = {literal(site)} AND {name('seen')} >= {since_ns}"
        question = f"SELECT {name('seen')} FROM {self._source} WHERE {where} GROUP BY {name('gateway')}"  # noqa: S608  # escaped
        for _, labels, rows in answers.series(self._database.ask([question])):
            gateway = unpack(labels.get("gateway", ""))
            mine.learn(gateway, [row[0] for row in rows], 0)
            mine.brought.setdefault(gateway, {}).update({row[0]: row[1] for row in rows if row[1]})
            mine.seen_ns = max(mine.seen_ns, *(row[1] for row in rows))

    def _there(self, site: str) -> set[int]:
        """The series of a site's rows that are on the server."""
        where = f"{name('site')} = {literal(site)}"
        questions = [
            f"SELECT * FROM {self._database.source(item)} WHERE {where} GROUP BY * LIMIT 1"  # noqa: S608  # as above
            for item in _MEASUREMENTS
        ]
        found = self._database.ask(questions)
        return {
            series_digest(tags(_MEASUREMENTS[number], {key: unpack(text) for key, text in sorted(labels.items())}))
            for number, labels, _ in answers.series(found)
        }


def _columns(batch: RowBatch) -> tuple[Int64, ...]:
    """The series of each row: of facts, losses, stops, values and cycles."""
    return (
        series_of("facts", batch, batch.facts),
        series_of("losses", batch, batch.losses),
        stop_series(batch),
        process_values.value_series(batch),
        cycle_series(batch),
    )


def _unknown(columns: Iterable[Int64], known: Int64) -> Int64:
    """The series that are not known, in the order in which they come."""
    digests, first = np.unique(np.concatenate(list(columns)), return_index=True)
    digests = digests[np.argsort(first)]
    return digests[~np.isin(digests, known, assume_unique=True)]
