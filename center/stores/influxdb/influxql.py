"""Questions in InfluxQL. Pure: a question becomes statements, and what is not text of ours is escaped.

A row's time is its minute + n ms with n below 60,000, so a condition on whole minutes takes whole minutes of rows.
"""
# ruff: noqa: S608  # every text from outside goes through `literal` or `name`

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from center.contract.store import Query
from center.model.buckets import BY_DATE, HOUR_NS, offsets
from center.stores.influxdb.hours import Hour
from center.stores.influxdb.lines import DAY_NS, STOP_FIELDS
from center.stores.influxdb.text import literal, name
from center.stores.rollup_cover import cover
from oee.model.facts import MINUTE_NS

FACT_GROUPS: Final = frozenset({"machine", "shift", "product", "calendar"})
LOSS_GROUPS: Final = FACT_GROUPS | {"state", "reason"}


def groups(query: Query, known: Iterable[str]) -> list[str]:
    """The tags to keep apart. Raises `ValueError` for what is none."""
    by = list(dict.fromkeys(("shift", *query.by) if query.bucket == "shift" else query.by))
    if unknown := set(by) - set(known):
        raise ValueError(f"by: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    return by


class WindowPart(NamedTuple):
    """A stretch that one statement adds up. shift_ns: how far after the UTC hour its hours begin; not_before_ns: where
    its first bucket begins at the earliest; kept: its hours are in the file of sums; gone: its rows are deleted, and
    the sums of hours on the server stand for them.
    """

    start_ns: int
    end_ns: int
    shift_ns: int = 0
    not_before_ns: int = -(2**63)
    kept: bool = False
    gone: bool = False


def plan(query: Query, unclean: Sequence[Hour] | None = None, gone_ns: int = 0) -> list[WindowPart]:
    """The parts that a question takes. unclean: hours that the file of sums may not answer for; None: there is none.
    gone_ns: rows before it are deleted.
    """
    out = []
    for part in _cut(query, unclean):
        if part.kept or part.start_ns >= gone_ns:
            out.append(part)
            continue
        out.append(part._replace(end_ns=min(part.end_ns, gone_ns), gone=True))
        if part.end_ns > gone_ns:
            out.append(part._replace(start_ns=gone_ns))
    return out


def _cut(query: Query, unclean: Sequence[Hour] | None) -> list[WindowPart]:
    whole = [WindowPart(query.start_ns, query.end_ns)]
    if query.bucket == "hour":
        pieces = offsets(ZoneInfo(query.zone), query.start_ns, query.end_ns)
        starts = [query.start_ns, *(from_ns for from_ns, _ in pieces[1:])]
        ends = [*starts[1:], query.end_ns]
        whole = [
            WindowPart(low, high, -ahead % HOUR_NS, low if number else -(2**63))
            for number, (low, high, (_, ahead)) in enumerate(zip(starts, ends, pieces, strict=True))
        ]
    if unclean is None or query.bucket == "minute":
        return whole
    out = []
    for part in whole:
        if part.shift_ns:
            out.append(part)
            continue
        found = cover(part.start_ns, part.end_ns, HOUR_NS, (hour.start_ns for hour in unclean))
        out += [part._replace(start_ns=low, end_ns=high, kept=kept) for low, high, kept in found]
    return out


def sums(
    sources: tuple[str, str], columns: Sequence[str], query: Query, by: Sequence[str], cut: Iterable[WindowPart]
) -> list[str]:
    """One statement for each part: the columns added up by bucket and group. Dates are asked for by UTC day and the
    tag `day`, hours, minutes and all as they are. sources: of rows, and of sums for those that are gone.
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
        out.append(f"SELECT {added} FROM {sources[part.gone]} WHERE {where}{group}{fill}")
    return out


def hours(source: str, site: str, low: int, high: int) -> str:
    """The numbers of the hours that touch a window."""
    where = _where(site, (), low // HOUR_NS * HOUR_NS, high)
    return f"SELECT {name('touched')}, {name('rolled')} FROM {source} WHERE {where}"


def by_hour(source: str, site: str, low: int, high: int, columns: Sequence[str], tags: Sequence[str]) -> str:
    """The sums that are kept."""
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


def stops_before(source: str, site: str, machines: Sequence[str], low: int | None, high: int, count: int) -> str:
    """Of each machine the last rows of stops that begin before `high`, and not before `low`."""
    where = _where(site, machines, low, high)
    return f"{_stops(source)} WHERE {where} GROUP BY {name('machine')} ORDER BY time DESC LIMIT {count}"


def _stops(source: str) -> str:
    return f"SELECT {', '.join(name(field) for field in STOP_FIELDS)} FROM {source}"


def rows(source: str, site: str, low: int, high: int, columns: Sequence[str]) -> str:
    """Rows as they were written, within the window, by all tags."""
    return f"SELECT {', '.join(map(name, columns))} FROM {source} WHERE {_where(site, (), low, high)} GROUP BY *"


def edge(source: str, site: str, *, last: bool) -> str:
    """The first or last row of a site."""
    order = "DESC" if last else "ASC"
    return f"SELECT * FROM {source} WHERE {name('site')} = {literal(site)} ORDER BY time {order} LIMIT 1"
