"""InfluxDB 1.8, 2.x and compatible clusters as the store: written by the official client, read by InfluxQL.

What it promises: after `write` returns the server has the rows on its disk (with the settings in deploy/influxdb.md),
and the same rows again change nothing. What it does not: that a reader sees a write whole while it goes on, which
lasts milliseconds and ends by itself; and a list of overfull minutes. Schema: `_influx_lines`.
"""

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from center.contract.store import Query, RowBatch, StoreRefused, StoreUnavailable, ValueQuery
from center.contract.streams import StreamKey
from center.model.buckets import HOUR_NS
from center.model.complaints import misconfigured
from center.model.retention import DAY_NS, check_retention, deleted_before_ns, retention_ns
from center.stores.influxdb import hours
from center.stores.influxdb import influxql as ask
from center.stores.influxdb import parse as answer
from center.stores.influxdb import values as values_of
from center.stores.influxdb.hours_cache import HoursCache
from center.stores.influxdb.lines import TooMany, batch_lines, hour_lines, mark_lines
from center.stores.influxdb.rows import batches as row_batches
from center.stores.influxdb.rows import numbered
from center.stores.influxdb.server import Address, InfluxServer
from center.stores.influxdb.setup import BOOKS, ROWS, prepare
from center.stores.influxdb.text import name, unpack
from oee.model.facts import FACT_COLUMNS, LOSS_COLUMNS, MINUTE_NS, Facts, Losses, Stop
from wire.marks import Marks
from wire.values import Values

_KEYS: Final = {
    "url",
    "database",
    "org",
    "username",
    "password_file",
    "token_file",
    "ca_file",
    "cache",
    "retention",
    "replication",
    "timeout_s",
}
_DATABASE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_S_NS: Final = 1_000_000_000
_STOPS_BACK: Final = 32
_SETTLES_NS: Final = 2 * HOUR_NS
"""An hour is added up once its end is an hour ago: until then rows come every minute."""
_ROLLED_EVERY_NS: Final = HOUR_NS
_WARMED_EVERY_NS: Final = HOUR_NS // 6
_WARM_NS: Final = 400 * DAY_NS
_SUMS: Final = (("facts", FACT_COLUMNS, hours.FACT_TAGS), ("losses", LOSS_COLUMNS, hours.LOSS_TAGS))


class InfluxStore:
    """A store on a server. Any thread may read; writes take turns."""

    def __init__(
        self,
        server: InfluxServer,
        database: str,
        kept: HoursCache,
        kept_ns: int = 0,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """kept_ns: how long the server keeps rows, 0 for ever."""
        self.retention_ns = kept_ns
        self._rolled_ns = self._warmed_ns = 0
        self._cold: list[str] = []
        self._server, self._database, self._kept, self._now_ns = server, database, kept, now_ns
        self._adding = threading.Lock()
        two = bool(server.address.org)
        self._rows_bucket = database if two else f"{database}/{ROWS}"
        self._books_bucket = f"{database}-books" if two else f"{database}/{BOOKS}"

    def _source(self, measurement: str, policy: str = ROWS) -> str:
        return f"{name(self._database)}.{name(policy)}.{name(measurement)}"

    def _sources(self, measurement: str) -> tuple[str, str]:
        """Of rows, and of the sums of hours."""
        return self._source(measurement), self._source(f"{measurement}_hour", BOOKS)

    def _ask(self, statements: Sequence[str]) -> list[dict[str, Any]]:
        return self._server.ask(statements, self._database)

    def write(self, batches: Iterable[RowBatch]) -> None:
        """Stores the batches; by the contract of `Store`. Raises `StoreRefused` for rows that the server will never
        take (older than its retention, or of another type than its columns); all others are stored then.
        """
        batches = list(batches)
        try:
            lines = [*batch_lines(batches), *values_of.value_lines(batches)]
        except (TooMany, UnicodeError) as error:
            raise StoreRefused(str(error)) from error
        try:
            self._server.write(self._rows_bucket, lines)
        finally:  # also after a refusal: the other rows are there
            self._keep(hours.touch_lines(hours.touched(batches), secrets.randbits(62)))

    def _keep(self, lines: Sequence[str]) -> None:
        """Writes what the store must know about its rows."""
        try:
            self._server.write(self._books_bucket, lines)
        except StoreRefused as error:
            raise StoreUnavailable(f"{self._server.address.url}: marks are refused: {error}") from error

    def facts(self, query: Query) -> Facts:
        """Sums of facts; by the contract of `Store`."""
        by = ask.groups(query, ask.FACT_GROUPS)
        parts = self._parts(query)
        kept = [answer.begun(self._kept.facts(part), query) for part in _kept(query, parts)]
        raw = [part for part in parts if not part.kept]
        found = self._ask(ask.sums(self._sources("facts"), FACT_COLUMNS, query, by, raw)) if raw else []
        return answer.merged([*kept, answer.facts(found, query, by, [part.not_before_ns for part in raw])], by)

    def losses(self, query: Query) -> Losses:
        """The same for losses."""
        by = ask.groups(query, ask.LOSS_GROUPS)
        parts = self._parts(query)
        kept = [answer.begun(self._kept.losses(part), query) for part in _kept(query, parts)]
        raw = [part for part in parts if not part.kept]
        found = self._ask(ask.sums(self._sources("losses"), LOSS_COLUMNS, query, by, raw)) if raw else []
        return answer.merged([*kept, answer.losses(found, query, by, [part.not_before_ns for part in raw])], by)

    def _parts(self, query: Query) -> list[ask.WindowPart]:
        unclean = None if query.bucket == "minute" or not self._kept.open() else self._add_up(query)
        return ask.plan(query, unclean, self._gone_ns())

    def _gone_ns(self) -> int:
        """Rows before this may be deleted already: sums stand for them."""
        return deleted_before_ns(self.retention_ns, self._now_ns()) + DAY_NS if self.retention_ns else 0

    def _add_up(self, query: Query) -> list[hours.Hour]:
        """Adds up what is over and not clean in the window; returns the hours that are still not clean."""
        over_ns = self._now_ns() - _SETTLES_NS
        unclean = self._unclean(query)
        if not any(hour.start_ns < over_ns for hour in unclean):
            return unclean
        with self._adding:  # one at a time: older sums must never land on newer ones
            unclean = self._unclean(query)
            for run in hours.runs([hour for hour in unclean if hour.start_ns < over_ns]):
                self._kept.keep(query.site, run, self._sums_of(query.site, run))
        return [hour for hour in unclean if hour.start_ns >= over_ns]

    def _unclean(self, query: Query) -> list[hours.Hour]:
        question = ask.hours(self._source("hours", BOOKS), query.site, query.start_ns, query.end_ns)
        return hours.differing(hours.hours_of(self._ask([question])), self._kept.numbers(query.site), query)

    def _sums_of(self, site: str, run: Sequence[hours.Hour]) -> list[RowBatch]:
        """The sums of neighbouring hours, added up by the server; a run across the edge of what is gone is cut there."""
        low, high, gone_ns = run[0].start_ns, run[-1].start_ns + HOUR_NS, self._gone_ns()
        found: list[RowBatch] = []
        for start_ns, end_ns, gone in ((low, min(high, gone_ns), True), (max(low, gone_ns), high, False)):
            if start_ns < end_ns:
                facts, losses = (
                    self._ask([ask.by_hour(self._sources(table)[gone], site, start_ns, end_ns, columns, tags)])
                    for table, columns, tags in _SUMS
                )
                found += row_batches(site, facts, losses, [])
        return found

    def roll_up(self, now_ns: int, *, leased: bool, answers: bool = True) -> bool:
        """With the lease, the sums of hours on the server, where rows are not kept for ever; in any process that
        answers questions, those in its own file. By the contract of `RolledUp`.
        """
        return (leased and self._roll_up(now_ns)) or (answers and self._warm(now_ns))

    def _warm(self, now_ns: int) -> bool:
        """Adds up some hours that somebody may ask for: the latest of each site in turn, and so back."""
        if not self._kept.open():
            return False
        if not self._cold and now_ns >= self._warmed_ns + _WARMED_EVERY_NS:
            self._cold, self._warmed_ns = self._sites(), now_ns
        while self._cold:
            site = self._cold.pop()
            if self._add_latest(Query(site, max(now_ns - _WARM_NS, 0), now_ns), now_ns - _SETTLES_NS):
                self._cold.insert(0, site)
                return True
        return False

    def _add_latest(self, query: Query, over_ns: int) -> bool:
        with self._adding:
            found = hours.runs([hour for hour in self._unclean(query) if hour.start_ns < over_ns])
            if found:
                self._kept.keep(query.site, found[-1], self._sums_of(query.site, found[-1]))
        return bool(found)

    def _roll_up(self, now_ns: int) -> bool:
        if not self.retention_ns or now_ns < self._rolled_ns + _ROLLED_EVERY_NS:
            return False
        for site in self._sites():
            question = ask.hours(self._source("hours", BOOKS), site, self._gone_ns(), now_ns - _SETTLES_NS)
            waiting = [hour for hour in hours.hours_of(self._ask([question])) if hour.touched != hour.rolled]
            for run in hours.runs(waiting)[:1]:
                again = {hour.start_ns for hour in run if hour.rolled}
                self._keep(hour_lines(self._sums_of(site, run), again))
                self._keep(hours.rolled_lines(site, run))
                return True
        self._rolled_ns = now_ns
        return False

    def _sites(self) -> list[str]:
        """All sites that ever had rows."""
        (found,) = self._ask([f"SHOW TAG VALUES ON {name(self._database)} WITH KEY = {name('site')}"])
        tables = ("facts", "losses", "stops", values_of.MEASUREMENT, "facts_hour", "losses_hour")
        held = {row[1] for item in found.get("series", ()) if item["name"] in tables for row in item["values"]}
        return sorted(map(unpack, held))

    def stops(self, site: str, machines: Sequence[str], start_ns: int, end_ns: int) -> list[Stop]:
        """Latest revisions; by the contract of `Store`."""
        inside = ask.stops_inside(self._source("stops"), site, machines, start_ns, end_ns)
        found = answer.stops(self._ask([inside]))
        return answer.overlapping([*found, *self._stops_before(site, machines, start_ns)], start_ns, end_ns)

    def _stops_before(self, site: str, machines: Sequence[str], start_ns: int) -> list[Stop]:
        """The stops that may reach into a window from before it.

        A machine's stops do not overlap, so that the last one that begins before the window and has not vanished
        decides, with those around it. Asked for are each machine's last rows; more, while there is none among them.
        """
        out: list[Stop] = []
        wanted, count = machines, _STOPS_BACK
        while True:
            statement = ask.stops_before(self._source("stops"), site, wanted, None, start_ns, count)
            found = answer.stops(self._ask([statement]))
            cut: list[str] = []
            by_machine: dict[str, list[Stop]] = {}
            for stop in found:
                by_machine.setdefault(stop.machine, []).append(stop)
            for machine, mine in by_machine.items():
                whole = mine if len(mine) < count else [stop for stop in mine if stop.start_ns > mine[-1].start_ns]
                if len(mine) == count and not any(
                    stop.end_ns != stop.start_ns for stop in answer.latest(whole).values()
                ):
                    cut.append(machine)
                out += whole
            if not cut:
                return out
            wanted, count = cut, count * 8

    def values(self, query: ValueQuery) -> dict[str, Values]:
        """By the contract of `KeepsValues`."""
        if not query.tags:
            return {}
        source = self._source(values_of.MEASUREMENT)
        return values_of.values(self._ask([values_of.held(source, query), values_of.inside(source, query)]))

    def forget_values(self, before_ns: int) -> None:
        """By the contract of `KeepsValues`."""
        self._ask([values_of.forget(before_ns)])

    def settle(self, marks: Mapping[StreamKey, Marks], writer: str = "") -> None:
        """By the contract of `Marked`."""
        self._keep(mark_lines(marks, writer))

    def marks(self) -> dict[StreamKey, Marks]:
        """By the contract of `Marked`."""
        tags = ", ".join(map(name, ("site", "gateway", "stream", "writer")))
        return answer.marks(
            self._ask([f"SELECT beyond, mark FROM {self._source('marks', BOOKS)} GROUP BY {tags}"])  # noqa: S608  # constants
        )

    def extent(self) -> dict[str, tuple[int, int]]:
        """By the contract of `Movable`."""
        sources = [self._source(table) for table in ("facts", "losses", "stops", values_of.MEASUREMENT)]
        sources += [self._sources(table)[1] for table in ("facts", "losses")]
        out = {}
        for site in self._sites():
            asked = [ask.edge(source, site, last=last) for source in sources for last in (False, True)]
            times = [row[0] for _, _, values in answer.series(self._ask(asked)) for row in values]
            if times:
                out[site] = (min(times) // MINUTE_NS * MINUTE_NS, max(times) // MINUTE_NS * MINUTE_NS + MINUTE_NS)
        return out

    def rows(self, site: str, start_ns: int, end_ns: int) -> Iterator[RowBatch]:
        """By the contract of `Movable`."""
        gone_ns = min(max(self._gone_ns(), start_ns), end_ns)
        if start_ns < gone_ns:
            sums = [ask.rows(self._sources(table)[1], site, start_ns, gone_ns, columns) for table, columns, _ in _SUMS]
            facts, losses = self._ask(sums)
            yield from map(numbered, row_batches(site, [facts], [losses], []))
        found = self._ask(
            [
                ask.rows(self._source("facts"), site, gone_ns, end_ns, FACT_COLUMNS),
                ask.rows(self._source("losses"), site, gone_ns, end_ns, LOSS_COLUMNS),
                ask.stops_inside(self._source("stops"), site, (), start_ns, end_ns),
                values_of.rows(self._source(values_of.MEASUREMENT), site, start_ns, end_ns),
            ]
        )
        yield from row_batches(site, found[:1], found[1:2], found[2:3])
        yield from values_of.value_batches(site, found[3:])

    def close(self) -> None:
        """Closes the connections and the file of sums."""
        self._kept.close()
        self._server.close()


def _kept(query: Query, parts: Sequence[ask.WindowPart]) -> list[Query]:
    """The questions to the file of sums."""
    return [replace(query, start_ns=part.start_ns, end_ns=part.end_ns) for part in parts if part.kept]


def open_store(settings: Mapping[str, str | int | float | bool]) -> InfluxStore:
    """The store at `url`, its database made if it is not there. Other keys: database, org (2.x), username,
    password_file (1.x), token_file (2.x), ca_file, retention, replication, timeout_s, cache (file of
    hourly sums, made again whenever it is missing).

    Raises `Misconfigured` also while the server cannot be reached: whoever starts the center tries again.
    """
    if unknown := set(settings) - _KEYS:
        raise misconfigured(
            f"store.{min(unknown)}", settings[min(unknown)], "unknown_key", known=", ".join(sorted(_KEYS))
        )
    text = {key: str(value) for key, value in settings.items()}
    url = text.get("url", "")
    if not re.match(r"https?://[^/]", url):
        raise misconfigured("store.url", url, "invalid", detail="write for example url: http://127.0.0.1:8086")
    database = text.get("database", "nhip")
    if not _DATABASE.fullmatch(database):
        raise misconfigured("store.database", database, "invalid", detail="letters, digits and _ . - only")
    address = Address(
        url.rstrip("/"),
        text.get("org", ""),
        _token(text),
        text.get("ca_file", ""),
        _number(text, "timeout_s", 60),
    )
    kept_s = retention_ns(text) // _S_NS if "retention" in text else None
    replication = _number(text, "replication", 1)
    server = InfluxServer(address)
    try:
        there_s = prepare(server, database, kept_s, replication)
        kept_ns = check_retention(there_s * _S_NS, f"{there_s} s at {url}")
    except StoreUnavailable as error:
        server.close()
        raise misconfigured("store.url", url, "invalid", detail=error) from error
    except BaseException:
        server.close()
        raise
    return InfluxStore(server, database, HoursCache(Path(text.get("cache", "nhip-hours.duckdb"))), kept_ns)


def _number(settings: Mapping[str, str], key: str, usual: int) -> int:
    text = settings.get(key, str(usual))
    if not text.isdecimal() or not int(text):
        raise misconfigured(f"store.{key}", text, "invalid", detail=f"write a whole number from 1 on; usual is {usual}")
    return int(text)


def _token(settings: Mapping[str, str]) -> str:
    """What stands in the header: a 2.x token, or user and password of a 1.x server."""

    def secret(key: str) -> str:
        try:
            return Path(settings[key]).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise misconfigured(f"store.{key}", settings[key], "invalid", detail=error) from error

    if "token_file" in settings:
        token = secret("token_file")
        if not token.isascii() or not token.isprintable():
            raise misconfigured(
                "store.token_file", settings["token_file"], "invalid", detail="this is no token: ASCII only"
            )
        return token
    if "username" in settings:
        return f"{settings['username']}:{secret('password_file') if 'password_file' in settings else ''}"
    return ""
