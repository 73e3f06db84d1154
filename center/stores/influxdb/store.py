"""InfluxDB 1.8, 2.x and compatible clusters as store: written with the official client, read with InfluxQL.

Guarantees: once `write` has returned, the server has the rows on its disk (with the settings of deploy/influxdb.md), and
writing the same rows again changes nothing. Not provided: that a reader sees a write completely while it is under way,
which lasts milliseconds; and a list of overfull minutes. Schema: `codec/lines.py`.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from center.contract.store import Query, RowBatch, StopPage, StopQuery, StoreRefused, StoreUnavailable, ValueQuery
from center.model.complaints import misconfigured, not_ready
from center.model.retention import check_retention
from center.stores.influxdb import export
from center.stores.influxdb.codec import answers, queries
from center.stores.influxdb.codec import values as process_values
from center.stores.influxdb.codec.lines import TooMany, batch_lines
from center.stores.influxdb.cycles import read_cycles
from center.stores.influxdb.database import MACHINE_MEASUREMENTS, InfluxDatabase
from center.stores.influxdb.hours import index
from center.stores.influxdb.hours.cache import HoursCache
from center.stores.influxdb.hours.upkeep import HourSums
from center.stores.influxdb.marks import InfluxMarks
from center.stores.influxdb.series import SeriesList
from center.stores.influxdb.server import AccessDenied, InfluxServer
from center.stores.influxdb.settings import S_NS, read_settings
from center.stores.influxdb.setup import prepare
from center.stores.influxdb.stops import read_stops
from center.stores.influxdb.value_bins import read_bins
from oee.model.facts import FACT_COLUMNS, LOSS_COLUMNS, Facts, Losses
from wire.values import Values

_FAR_NS: Final = 2**62


class InfluxStore:
    """`Store`, `KeepsMarks`, `RolledUp`, `Recountable`, `KeepsValues`, `KeepsCycles`, `BinsValues`, `CountsSeries`,
    `ForgetsMachines` and `Exportable`. Any thread may read; writes are serialised.
    """

    def __init__(
        self,
        database: InfluxDatabase,
        cache: HoursCache,
        kept_ns: int = 0,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """kept_ns: how long the server keeps rows, 0 for ever."""
        self.retention_ns = kept_ns
        self.database = database
        self.marks = InfluxMarks(database)
        self.value_bins = partial(read_bins, database)
        self.cycles = partial(read_cycles, database)
        self.hours = HourSums(database, cache, kept_ns, now_ns)
        self.aside = self.hours.aside
        self.series = SeriesList(database, now_ns)

    def write(self, batches: Iterable[RowBatch]) -> None:
        """By the contract of `Store`. Raises `StoreRefused` for rows that the server will never accept (older than its
        retention, or of another type than its columns); all other rows are stored then.
        """
        batches = list(batches)
        try:
            lines = [*batch_lines(batches), *process_values.value_lines(batches)]
        except (TooMany, UnicodeError) as error:
            raise StoreRefused(str(error)) from error
        self.series.enter(batches)
        try:
            self.database.write_rows(lines)
        finally:  # also after a refusal: the other rows are there
            self.database.write_metadata(index.touch_lines(index.touched(batches), secrets.randbits(62)))

    def facts(self, query: Query) -> Facts:
        """By the contract of `Store`."""
        by = queries.groups(query, queries.FACT_GROUPS)
        parts = self.hours.parts(query)
        cached = [answers.rebased(self.hours.cache.facts(part), query) for part in _cached(query, parts)]
        uncached = [part for part in parts if not part.cached]
        statements = queries.sums(self.database.sources("facts"), FACT_COLUMNS, query, by, uncached)
        results = self.database.ask(statements) if uncached else []
        return answers.merged(
            [*cached, answers.facts(results, query, by, [part.not_before_ns for part in uncached])], by
        )

    def losses(self, query: Query) -> Losses:
        """By the contract of `Store`."""
        by = queries.groups(query, queries.LOSS_GROUPS)
        parts = self.hours.parts(query)
        cached = [answers.rebased(self.hours.cache.losses(part), query) for part in _cached(query, parts)]
        uncached = [part for part in parts if not part.cached]
        statements = queries.sums(self.database.sources("losses"), LOSS_COLUMNS, query, by, uncached)
        results = self.database.ask(statements) if uncached else []
        return answers.merged(
            [*cached, answers.losses(results, query, by, [part.not_before_ns for part in uncached])], by
        )

    def stops(self, query: StopQuery) -> StopPage:
        """By the contract of `Store`."""
        return read_stops(self.database, query)

    def values(self, query: ValueQuery) -> dict[str, Values]:
        """By the contract of `KeepsValues`."""
        if not query.tags:
            return {}
        source = self.database.source(process_values.MEASUREMENT)
        statements = [process_values.before(source, query), process_values.inside(source, query)]
        return process_values.values(self.database.ask(statements))

    def forget_values(self, before_ns: int) -> None:
        """By the contract of `KeepsValues`."""
        self.database.ask([process_values.forget(before_ns)])

    def forget_machine(self, site: str, machine: str) -> None:
        """By the contract of `ForgetsMachines`."""
        self.database.delete(MACHINE_MEASUREMENTS, {"site": site, "machine": machine})
        hours, _ = self.hours.numbers.read(site, 0, _FAR_NS)
        self.hours.numbers.touch(site, {hour.start_ns for hour in hours if hour.touched})

    def roll_up(self, now_ns: int, *, leased: bool, answers: bool = True) -> bool:
        """By the contract of `RolledUp`: with the lease, sums on the server where rows are not kept for ever; in any
        process that answers queries, those in its own cache file.
        """
        return (leased and self.hours.roll_up(now_ns)) or (answers and self.hours.warm(now_ns))

    def extent(self) -> dict[str, tuple[int, int]]:
        """By the contract of `Exportable`."""
        return export.extent(self.database)

    def rows(self, site: str, start_ns: int, end_ns: int) -> Iterator[RowBatch]:
        """By the contract of `Exportable`."""
        return export.rows(self.database, site, start_ns, end_ns, self.hours.deleted_before_ns())

    def close(self) -> None:
        """Closes the connections and the cache file."""
        self.hours.cache.close()
        self.database.server.close()


def _cached(query: Query, parts: Sequence[queries.WindowPart]) -> list[Query]:
    """The queries to the cache file."""
    return [replace(query, start_ns=part.start_ns, end_ns=part.end_ns) for part in parts if part.cached]


def open_store(settings: Mapping[str, str | int | float | bool]) -> InfluxStore:
    """The store at `url`; its database is created if missing. Other keys: database, org (2.x), username, password_file
    (1.x), token_file (2.x), ca_file, retention, replication, timeout_s, cache (file of hourly sums, created again
    whenever it is missing).

    Raises `Misconfigured`: `NotReady` while the server does not answer, or answers that it cannot now.
    """
    parsed = read_settings(settings)
    server = InfluxServer(parsed.address)
    try:
        kept_s = prepare(server, parsed.database, parsed.retention_s, parsed.replication)
        kept_ns = check_retention(kept_s * S_NS, f"{kept_s} s at {parsed.address.url}")
    except AccessDenied as error:
        server.close()
        raise misconfigured("store.url", parsed.address.url, "invalid", detail=error) from error
    except StoreUnavailable as error:
        server.close()
        raise not_ready("store.url", parsed.address.url, "store_away", detail=error) from error
    except BaseException:
        server.close()
        raise
    return InfluxStore(InfluxDatabase(server, parsed.database), HoursCache(parsed.cache), kept_ns)
