"""State and missing data of each gateway: its last status, its streams, and its days against the calendar."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, NotRequired

from typing_extensions import TypedDict

from center.contract.streams import StreamRecord
from center.model.schedule import Expected
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.question import CheckedQuestion, NextPage, Question, WindowAnswer, check, zone_of
from center.queries.sites import gateways_of
from center.runtime.live import Picture
from center.runtime.state import CenterState
from oee.model.facts import FACT, STATE_COLUMNS
from oee.model.states import CalendarClass, State
from wire.bodies import (
    MOST_COUNTER_STEPS,
    MOST_FAULT_TAGS,
    MOST_FAULTS,
    MOST_TROUBLE,
    Clock,
    CounterStep,
    DeviceFault,
    LinkTrouble,
    WentBack,
)
from wire.marks import holes

_STATES: Final = [FACT[name] for name in STATE_COLUMNS]
_UNKNOWN: Final = FACT[f"{State.UNKNOWN.word}_ms"]
_MEASURES: Final = ("tags_per_s", "poll_late_p99_s", "unknown_share", "outbox_mb", "rss_mb", "cpu_s", "uptime_s")
_UNRECEIVED_NS: Final = 15 * 60_000_000_000
_MOST_LINK, _MOST_TEXT = 10, 60
_Key = tuple[int, str]
"""A business day's start [ns UTC] and a gateway."""


class ClockAnswer(TypedDict):
    """A gateway's clock. by: what has confirmed it; times in [s]; held_since: since when rows wait for a trusted
    time.
    """

    by: str
    error_s: float
    wall_error_s: float
    moves: int
    last_move_s: float
    wall_steps: int
    held_rows: int
    held_since: str | None


class LinkAnswer(TypedDict):
    """A trouble of a gateway's link."""

    code: str
    values: dict[str, str]


class CounterStepAnswer(TypedDict):
    """Something that a counter did besides counting, and what was decided: `wire.bodies.CounterStep`."""

    machine: str
    role: str
    at: str
    kind: str
    old: int
    new: int


class HeldAnswer(TypedDict):
    """Streams of a box that ran beside another one. since: when the first of them was received; envelopes: how many of
    them are in quarantine.
    """

    streams: list[str]
    since: str
    envelopes: int


class FaultAnswer(TypedDict):
    """Why a device cannot be read, or some of its tags: by code (`fault.*` of the catalogue) and values. extent: how much is
    lost: range, unit, device, line; tags: the first of those that cannot be read though the device answers, count: how many
    they are, 0 where it is the device.
    """

    device: str
    code: str
    values: dict[str, str]
    extent: str
    tags: list[str]
    count: int


class WentBackAnswer(TypedDict):
    """A version of a gateway's program that did not start, and the one that it went back to. unit: the service that failed."""

    from_version: str
    to_version: str
    unit: str
    at: str | None


class GatewayAnswer(TypedDict):
    """A gateway's last status, and what became of its envelopes. trouble: why it cannot store, "" if it can.
    closed: facts before this time have been sent or wait; later minutes are not closed yet, null where it did not say.
    held_back: how many of its messages were not taken since the start, if it sent more than its budget within the last ten
    minutes, else 0. unreceived: how many envelopes it says wait, if it has said so for 15 minutes and none of it has come, else 0.
    series_beyond: rows of it are in quarantine lately, since they would bring more new names and combinations of names to InfluxDB than it
    may. unreadable: it sends messages that this center cannot read. link: what is wrong with its link, by code (`link.*` of the
    catalogue) and values. boxes: how many boxes run as this gateway, 1 unless somebody made a mistake; held: what waits for
    a decision about them. health: tags_per_s, poll_late_p99_s, unknown_share [1], outbox_mb, rss_mb, cpu_s and uptime_s, null where it did not report
    them.
    """

    site: str
    gateway: str
    online: bool
    heard: str | None
    version: str
    went_back: WentBackAnswer | None
    config_hash: str
    waiting: int | None
    waiting_since: str | None
    closed: str | None
    stored: int
    holes: int
    quarantined: int
    dropped: int
    conflicts: int
    devices: dict[str, bool]
    faults: list[FaultAnswer]
    cannot_store: bool
    trouble: str
    unreadable: bool
    held_back: int
    series_beyond: bool
    unreceived: int
    link: list[LinkAnswer]
    boxes: int
    held: HeldAnswer | None
    counters: list[CounterStepAnswer]
    paused: bool
    clock: ClockAnswer | None
    health: dict[str, float | None]


class GatewayDayRow(TypedDict):
    """A business day of a gateway: scheduled time of its machines, and what is known of it."""

    date: str
    gateway: str
    scheduled_ms: int
    known_ms: int
    unknown_ms: int
    missing_ms: int
    missing_all_ms: int


class HoleRow(TypedDict):
    """Envelopes of a stream that are missing below others that came."""

    gateway: str
    stream: str
    kind: str
    ranges: list[tuple[int, int]]
    envelopes: int


class HolesAnswer(WindowAnswer):
    """Missing data of a site, by gateway and day. untold_machines: by gateway, the number of machines without a known
    calendar.
    """

    rows: list[GatewayDayRow]
    untold_machines: dict[str, int]
    holes: list[HoleRow]
    next: NotRequired[NextPage]


def gateways(center: CenterState, viewer: Viewer, site: str = "") -> list[GatewayAnswer]:
    """The last status of each gateway of the viewer's sites, and what became of its envelopes.

    What a gateway never reported is null. Raises `UnknownSite`.
    """
    if site:
        zone_of(center, viewer, site)
    names = [site] if site else viewer.seen({*center.ledger_cache.sites.ids(), *center.pictures.sites()})
    return [_gateway(center, name, gateway) for name in sorted(names) for gateway in gateways_of(center, name)]


def _gateway(center: CenterState, site: str, gateway: str) -> GatewayAnswer:
    picture, now_ns = center.pictures.get(site, gateway), center.now_ns()
    back = center.budgets.held_back(site, gateway, time.monotonic())
    status, heard_ns = picture.status, max(picture.live_ns, picture.status_ns)
    streams = center.ledger_cache.of_gateway(site, gateway).values()
    health = status.health if status else {}
    return {
        "site": site,
        "gateway": gateway,
        "online": bool(heard_ns) and picture.online(now_ns),
        "heard": iso(heard_ns, UTC) if heard_ns else None,
        "version": status.version if status else "",
        "went_back": _went_back(status.went_back) if status and status.went_back else None,
        "config_hash": status.config_hash if status else "",
        "waiting": status.waiting if status else None,
        "waiting_since": iso(status.oldest_ns, UTC) if status and status.oldest_ns else None,
        "closed": iso(status.closed_ns, UTC) if status and status.closed_ns else None,
        "stored": _sum(streams, "stored"),
        "holes": sum(last - first + 1 for state in streams for first, last in holes(state.marks)),
        "quarantined": _sum(streams, "quarantined"),
        "dropped": _sum(streams, "dropped"),
        "conflicts": _sum(streams, "conflicts"),
        "devices": dict(status.devices) if status else {},
        "faults": [_fault(item) for item in status.faults[:MOST_FAULTS]] if status else [],
        "cannot_store": bool(health.get("cannot_store")),
        "trouble": status.trouble[:MOST_TROUBLE] if status else "",
        "unreadable": picture.unreadable(now_ns),
        "held_back": back.messages if back else 0,
        "series_beyond": center.budgets.is_beyond_series(site, gateway, time.monotonic()),
        "unreceived": _unreceived(picture, streams, now_ns),
        "boxes": max(1, len(picture.boxes.rivals(now_ns))),
        "held": _held(center, site, gateway),
        "link": [_link(item) for item in status.link[:_MOST_LINK]] if status else [],
        "counters": [_counter_step(item) for item in status.counters[-MOST_COUNTER_STEPS:]] if status else [],
        "paused": bool(health.get("paused")),
        "clock": _clock(status.clock) if status else None,
        "health": {name: value if math.isfinite(value := health.get(name, math.nan)) else None for name in _MEASURES},
    }


def _went_back(item: WentBack) -> WentBackAnswer:
    return {
        "from_version": item.from_version[:_MOST_TEXT],
        "to_version": item.to_version[:_MOST_TEXT],
        "unit": item.unit[:_MOST_TEXT],
        "at": iso(item.at_ns, UTC) if item.at_ns else None,
    }


def _unreceived(picture: Picture, streams: Iterable[StreamRecord], now_ns: int) -> int:
    """A gateway whose status comes and whose envelopes do not; where its link is in trouble, it says why itself."""
    if picture.status is None or picture.status.link or not picture.waiting_ns or not picture.online(now_ns):
        return 0
    last_ns = max((record.seen_ns for record in streams), default=0)
    return picture.status.waiting if now_ns - max(last_ns, picture.waiting_ns) > _UNRECEIVED_NS else 0


def _held(center: CenterState, site: str, gateway: str) -> HeldAnswer | None:
    records = {
        key.stream: record
        for key, record in center.ledger_cache.of_gateway(site, gateway).items()
        if record.held_from and record.quarantined
    }
    if not records:
        return None
    since_ns = min(record.first_ns for record in records.values())
    return {"streams": sorted(records), "since": iso(since_ns, UTC), "envelopes": _sum(records.values(), "quarantined")}


def _link(item: LinkTrouble) -> LinkAnswer:
    """As the gateway says it, cut to what people can read."""
    values = list(item.values.items())[:_MOST_LINK]
    return {"code": item.code[:_MOST_TEXT], "values": {name[:_MOST_TEXT]: text[:_MOST_TEXT] for name, text in values}}


def _fault(item: DeviceFault) -> FaultAnswer:
    """As the gateway says it, cut to what people can read."""
    values = list(item.values.items())[:_MOST_LINK]
    return {
        "device": item.device[:_MOST_TEXT],
        "code": item.code[:_MOST_TEXT],
        "values": {name[:_MOST_TEXT]: text[:_MOST_TEXT] for name, text in values},
        "extent": item.extent[:_MOST_TEXT],
        "tags": [tag[:_MOST_TEXT] for tag in item.tags[:MOST_FAULT_TAGS]],
        "count": min(max(item.count, 0), 1_000_000),
    }


def _counter_step(item: CounterStep) -> CounterStepAnswer:
    machine, role, kind = (text[:_MOST_TEXT] for text in (item.machine, item.role, item.kind))
    return {
        "machine": machine,
        "role": role,
        "at": iso(item.at_ns, UTC),
        "kind": kind,
        "old": item.old,
        "new": item.new,
    }


def _clock(clock: Clock | None) -> ClockAnswer | None:
    """None where the gateway reported none, or not in numbers."""
    if clock is None or not all(map(math.isfinite, (clock.error_s, clock.wall_error_s, clock.last_move_s))):
        return None
    return {
        "by": clock.by,
        "error_s": clock.error_s,
        "wall_error_s": clock.wall_error_s,
        "moves": clock.moves,
        "last_move_s": clock.last_move_s,
        "wall_steps": clock.wall_steps,
        "held_rows": clock.held_rows,
        "held_since": iso(clock.held_since_ns, UTC) if clock.held_since_ns is not None else None,
    }


def _sum(streams: Iterable[StreamRecord], name: str) -> int:
    return sum(int(getattr(state, name)) for state in streams)


def days(center: CenterState, question: Question) -> HolesAnswer:
    """By business day and gateway, the scheduled time of its machines and how much of it the store has facts about.

    `known_ms` was observed, `unknown_ms` was reported as unknown by the gateway itself, and `missing_ms` has no row at
    all: it is in transit, or the gateway did not run. `missing_all_ms` counts time outside shifts too. A machine without
    a known calendar is left out and counted in `untold_machines`. `holes` are the envelopes missing at this moment;
    their day is not known before they arrive. Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`.
    """
    checked = check(center, replace(question, bucket="day", by=("machine",)))
    site, sites = question.site, center.ledger_cache.sites
    gateway_by_machine = {name: owner.gateway for name in checked.machines if (owner := sites.owner(site, name))}
    without_calendar: dict[str, int] = {}
    for machine, item in checked.expected.items():
        if item is None:
            gateway = gateway_by_machine.get(machine, "")
            without_calendar[gateway] = without_calendar.get(gateway, 0) + 1
    return {
        **checked.window(),
        "rows": _day_rows(checked, gateway_by_machine),
        "untold_machines": without_calendar,
        "holes": _holes(center, site),
        "next": None,
    }


def _day_rows(checked: CheckedQuestion, gateway_by_machine: Mapping[str, str]) -> list[GatewayDayRow]:
    rows: dict[_Key, GatewayDayRow] = {}

    def row(start_ns: int, gateway: str) -> GatewayDayRow:
        if (start_ns, gateway) not in rows:
            rows[start_ns, gateway] = {
                "date": datetime.fromtimestamp(start_ns / 1e9, checked.zone).date().isoformat(),
                "gateway": gateway,
                "scheduled_ms": 0,
                "known_ms": 0,
                "unknown_ms": 0,
                "missing_ms": 0,
                "missing_all_ms": 0,
            }
        return rows[start_ns, gateway]

    expected: dict[str, Expected] = {name: item for name, item in checked.expected.items() if item is not None}
    for machine, item in expected.items():
        gateway = gateway_by_machine.get(machine, "")
        for (start_ns, _shift), length_ms in item.scheduled.items():
            row(start_ns, gateway)["scheduled_ms"] += length_ms
            row(start_ns, gateway)["missing_ms"] += length_ms
        for start_ns, length_ms in item.all_ms.items():
            row(start_ns, gateway)["missing_all_ms"] += length_ms
    facts = checked.center.store.facts(checked.query("calendar"))
    reported = facts.sums[:, _STATES].sum(axis=1).tolist()
    unknown = facts.sums[:, _UNKNOWN].tolist()
    columns: tuple[Any, ...] = (facts.minute_ns, facts.machine, facts.calendar)
    for index, (start_ns, machine, code) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        if machine not in expected:
            continue
        day = row(start_ns, gateway_by_machine.get(machine, ""))
        day["missing_all_ms"] -= reported[index]
        if code == CalendarClass.SCHEDULED:
            day["unknown_ms"] += unknown[index]
            day["known_ms"] += reported[index] - unknown[index]
            day["missing_ms"] -= reported[index]
    return [day_row for _, day_row in sorted(rows.items())]


def _holes(center: CenterState, site: str) -> list[HoleRow]:
    streams = sorted(center.ledger_cache.streams.items(), key=lambda item: (item[0].gateway, item[0].stream))
    return [
        {
            "gateway": key.gateway,
            "stream": key.stream,
            "kind": state.kind,
            "ranges": list(missing),
            "envelopes": sum(last - first + 1 for first, last in missing),
        }
        for key, state in streams
        if key.site == site and (missing := holes(state.marks))
    ]
