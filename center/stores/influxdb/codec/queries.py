"""Queries as InfluxQL statements, with all foreign text escaped. Pure.

A row's time is its minute + n ms with n below 60,000, so a condition on whole minutes selects whole minutes of rows.
"""
# ruff: noqa: S608  # every text from outside goes through `literal` or `name`

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from center.contract.store import Query
from center.model.buckets import BY_DATE, offsets
from center.stores.influxdb.codec.escape import literal, name
from center.stores.influxdb.codec.lines import COMPLETE_NS, DAY_NS, STOP_FIELDS
from center.stores.rollup_cover import cover
from oee.model.facts import HOUR_NS, MINUTE_NS

FACT_GROUPS: Final = frozenset({"machine", "shift", "product", "calendar"})
LOSS_GROUPS: Final = FACT_GROUPS | {"state", "reason"}


def groups(query: Query, available: Iterable[str]) -> list[str]:
    """The tags to group by. Raises `ValueError` for one that does not exist."""
    by = list(dict.fromkeys(("shift", *query.by) if query.bucket == "shift" else query.by))
    if unknown := set(by) - set(available):
        raise ValueError(f"by: {', '.join(sorted(unknown))}; there are {', '.join(sorted(available))}")
    return by


class WindowPart(NamedTuple):
    """A part of a window that one statement sums. shift_ns: how far after the UTC hour its hours begin; not_before_ns:
    earliest start of its first bucket; cached: its hours are in the cache file; deleted: its rows are deleted, and the
    hourly sums on the server replace them.
    """

    start_ns: int
    end_ns: int
    shift_ns: int = 0
    not_before_ns: int = -(2**63)
    cached: bool = False
    deleted: bool = False


def plan(query: Query, unclean: Collection[int] | None = None, deleted_before_ns: int = 0) -> list[WindowPart]:
    """The parts of a query. unclean: starts of hours that the cache may not answer for; None: there is no cache.
    deleted_before_ns: rows before it are deleted.
    """
    out = []
    for part in _cut(query, unclean):
        if part.cached or part.start_ns >= deleted_before_ns:
            out.append(part)
            continue
        out.append(part._replace(end_ns=min(part.end_ns, deleted_before_ns), deleted=True))
        if part.end_ns > deleted_before_ns:
            out.append(part._replace(start_ns=deleted_before_ns))
    return out


def _cut(query: Query, unclean: Collection[int] | None) -> list[WindowPart]:
    parts = [WindowPart(query.start_ns, query.end_ns)]
    if query.bucket == "hour":
        pieces = offsets(ZoneInfo(query.zone), query.start_ns, query.end_ns)
        starts = [query.start_ns, *(from_ns for from_ns, _ in pieces[1:])]
        ends = [*starts[1:], query.end_ns]
        parts = [
            WindowPart(low, high, -ahead % HOUR_NS, low if number else -(2**63))
            for number, (low, high, (_, ahead)) in enumerate(zip(starts, ends, pieces, strict=True))
        ]
    if unclean is None or query.bucket == "minute":
        return parts
    out = []
    for part in parts:
        if part.shift_ns:
            out.append(part)
            continue
        spans = cover(part.start_ns, part.end_ns, HOUR_NS, unclean)
        out += [part._replace(start_ns=low, end_ns=high, cached=cached) for low, high, cached in spans]
    return out


def sums(
    sources: tuple[str, str], columns: Sequence[str], query: Query, by: Sequence[str], cut: Iterable[WindowPart]
) -> list[str]:
    """One statement for each part: the columns summed by bucket and group. Dates are grouped by UTC day and the tag
    `day`; other buckets as they are. sources: of rows, and of hourly sums where rows are deleted.
    """
    added = ", ".join(f"sum({name(column)}) AS {name(column)}" for column in columns)
    tags = [name(tag) for tag in by]
    if query.bucket in BY_DATE:
        tags = [_every(DAY_NS, 0), name("day"), *tags]
    out = []
    for part in cut:
        every = {"hour": HOUR_NS, "minute": MINUTE_NS}.get(query.bucket, 0)
        grouped = [_every(every, part.shift_ns), *tags] if every else tags
        group = f" GROUP BY {', '.join(grouped)}" if grouped else ""
        fill = " fill(none)" if query.bucket != "all" else ""
        where = _where(query.site, query.machines, part.start_ns, part.end_ns)
        out.append(f"SELECT {added} FROM {sources[part.deleted]} WHERE {where}{group}{fill}")
    return out


def hours(source: str, site: str, low: int, high: int) -> str:
    """The state of the hours that overlap a window: columns `touched` and `rolled`."""
    where = _where(site, (), low // HOUR_NS * HOUR_NS, high)
    return f"SELECT {name('touched')}, {name('rolled')} FROM {source} WHERE {where}"


def hours_complete(source: str, site: str) -> str:
    """The point that says that every hour of the site with rows has a number."""
    return f"SELECT {name('complete')} FROM {source} WHERE {name('site')} = {literal(site)} AND time = {COMPLETE_NS}"


def counts_by_hour(source: str, site: str, low: int, high: int) -> str:
    """For each hour with rows how often each field occurs."""
    return f"SELECT count(*) FROM {source} WHERE {_where(site, (), low, high)} GROUP BY {_every(HOUR_NS, 0)} fill(none)"


def by_hour(source: str, site: str, low: int, high: int, columns: Sequence[str], tags: Sequence[str]) -> str:
    """Sums by hour and all of these tags."""
    added = ", ".join(f"sum({name(column)}) AS {name(column)}" for column in columns)
    group = ", ".join([_every(HOUR_NS, 0), *map(name, tags)])
    return f"SELECT {added} FROM {source} WHERE {_where(site, (), low, high)} GROUP BY {group} fill(none)"


def _every(step_ns: int, shift_ns: int) -> str:
    return f"time({step_ns // 1_000_000_000}s, {shift_ns // 1_000_000_000}s)"


def _where(site: str, machines: Sequence[str], low: int | None, high: int) -> str:
    parts = [f"{name('site')} = {literal(site)}"]
    if machines:
        either = " OR ".join(f"{name('machine')} = {literal(machine)}" for machine in machines)
        parts.append(f"({either})")
    if low is not None:
        parts.append(f"time >= {low}")
    parts.append(f"time < {high}")
    return " AND ".join(parts)


def stops_inside(source: str, site: str, machines: Sequence[str], low: int, high: int) -> str:
    """All revisions of stops that begin within the window."""
    return f"{_stops(source)} WHERE {_where(site, machines, low, high)} GROUP BY {name('machine')}"


def stops_from(source: str, site: str, machines: Sequence[str], low: int, high: int, count: int) -> str:
    """The first so many of them, whatever their machine, which is the last column."""
    fields = ", ".join(name(field) for field in STOP_FIELDS)
    where = _where(site, machines, low, high)
    return f"SELECT {fields}, {name('machine')}::tag FROM {source} WHERE {where} ORDER BY time ASC LIMIT {count}"


def stops_before(source: str, site: str, machines: Sequence[str], low: int | None, high: int, count: int) -> str:
    """Of each machine the last rows of stops that begin before `high`, and not before `low`."""
    where = _where(site, machines, low, high)
    return f"{_stops(source)} WHERE {where} GROUP BY {name('machine')} ORDER BY time DESC LIMIT {count}"


def _stops(source: str) -> str:
    return f"SELECT {', '.join(name(field) for field in STOP_FIELDS)} FROM {source}"


def rows(source: str, site: str, low: int, high: int, columns: Sequence[str]) -> str:
    """Rows as they were written, within the window, by all tags."""
    return f"SELECT {', '.join(map(name, columns))} FROM {source} WHERE {_where(site, (), low, high)} GROUP BY *"


def cycles(source: str, site: str, machines: Sequence[str], low: int, high: int) -> str:
    """Histograms of cycle times as they were written, by all tags."""
    return f"SELECT {name('bins')} FROM {source} WHERE {_where(site, machines, low, high)} GROUP BY *"


def edge(source: str, site: str, *, last: bool) -> str:
    """The first or last row of a site."""
    order = "DESC" if last else "ASC"
    return f"SELECT * FROM {source} WHERE {name('site')} = {literal(site)} ORDER BY time {order} LIMIT 1"


def first_from(source: str, site: str, low: int) -> str:
    """The first row of a site from a time on."""
    return f"SELECT * FROM {source} WHERE {name('site')} = {literal(site)} AND time >= {low} ORDER BY time ASC LIMIT 1"
