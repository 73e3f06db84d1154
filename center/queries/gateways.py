"""How each gateway is and what of it is missing: what it said last, its streams, and its days against the calendar."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from center.contract.streams import StreamRecord
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.scope import scope, zone_of
from center.runtime.state import CenterState
from oee.model.facts import FACT, STATE_COLUMNS
from oee.model.states import CalendarClass, State
from wire.bodies import Clock
from wire.marks import holes

_STATES: Final = [FACT[name] for name in STATE_COLUMNS]
_UNKNOWN: Final = FACT[f"{State.UNKNOWN.word}_ms"]
_MEASURES: Final = ("tags_per_s", "poll_late_p99_s", "unknown_share", "outbox_mb", "rss_mb", "cpu_s", "uptime_s")


def gateways(center: CenterState, viewer: Viewer, site: str = "") -> list[dict[str, Any]]:
    """What each gateway of the viewer's sites said of itself last, and what became of its envelopes.

    What it never told is null. Raises `UnknownSite`.
    """
    if site:
        zone_of(center, viewer, site)
    names = [site] if site else viewer.seen({*center.ledger_cache.sites.ids(), *center.pictures.sites()})
    return [_gateway(center, name, gateway) for name in sorted(names) for gateway in _known(center, name)]


def _known(center: CenterState, site: str) -> list[str]:
    heard = {*center.ledger_cache.sites.gateways(site), *center.pictures.gateways(site)}
    return sorted(heard | {gateway for owner, gateway in center.ledger_cache.gateways() if owner == site})


def _gateway(center: CenterState, site: str, gateway: str) -> dict[str, Any]:
    picture, now_ns = center.pictures.get(site, gateway), center.now_ns()
    status, heard_ns = picture.status, max(picture.live_ns, picture.status_ns)
    streams = center.ledger_cache.of_gateway(site, gateway).values()
    health = status.health if status else {}
    clock = status.clock if status and _is_told(status.clock) else None
    return {
        "site": site,
        "gateway": gateway,
        "online": bool(heard_ns) and picture.online(now_ns),
        "heard": iso(heard_ns, UTC) if heard_ns else None,
        "version": status.version if status else "",
        "config_hash": status.config_hash if status else "",
        "waiting": status.waiting if status else None,
        "waiting_since": iso(status.oldest_ns, UTC) if status and status.oldest_ns else None,
        "stored": _sum(streams, "stored"),
        "holes": sum(last - first + 1 for state in streams for first, last in holes(state.marks)),
        "quarantined": _sum(streams, "quarantined"),
        "dropped": _sum(streams, "dropped"),
        "conflicts": _sum(streams, "conflicts"),
        "devices": dict(status.devices) if status else {},
        "cannot_store": bool(health.get("cannot_store")),
        "paused": bool(health.get("paused")),
        "clock": clock.model_dump(exclude={"held_since_ns"})
        | {"held_since": iso(clock.held_since_ns, UTC) if clock.held_since_ns is not None else None}
        if clock
        else None,
        "health": {name: value if math.isfinite(value := health.get(name, math.nan)) else None for name in _MEASURES},
    }


def _is_told(clock: Clock | None) -> bool:
    return clock is not None and all(map(math.isfinite, (clock.error_s, clock.wall_error_s, clock.last_move_s)))


def _sum(streams: Iterable[StreamRecord], name: str) -> int:
    return sum(int(getattr(state, name)) for state in streams)


def days(
    center: CenterState, viewer: Viewer, site: str, *, start_ns: int | None = None, end_ns: int | None = None
) -> dict[str, Any]:
    """By business day and gateway, the scheduled time of its machines and how much of it the store can tell.

    `known_ms` was watched, `unknown_ms` the gateway itself calls unknown, and `missing_ms` has no row at all: it is on
    its way, or the gateway did not run. `missing_all_ms` counts time outside shifts too. A machine of which no calendar
    is known is left out and counted. `holes` are the envelopes missing at this moment; which day they are of nobody
    can tell before they come. Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`.
    """
    asked = scope(center, viewer, site, start_ns=start_ns, end_ns=end_ns, bucket="day")
    owners = {name: owner.gateway for name in asked.machines if (owner := center.ledger_cache.sites.owner(site, name))}
    rows: dict[tuple[int, str], dict[str, Any]] = {}

    def row(start: int, gateway: str) -> dict[str, Any]:
        zeros = dict.fromkeys(("scheduled_ms", "known_ms", "unknown_ms", "missing_ms", "missing_all_ms"), 0)
        return rows.setdefault((start, gateway), zeros)

    untold: dict[str, int] = {}
    for machine, plan in asked.expected.items():
        gateway = owners.get(machine, "")
        if plan is None:
            untold[gateway] = untold.get(gateway, 0) + 1
            continue
        for (start, _shift), length_ms in plan.scheduled.items():
            row(start, gateway)["scheduled_ms"] += length_ms
            row(start, gateway)["missing_ms"] += length_ms
        for start, length_ms in plan.all_ms.items():
            row(start, gateway)["missing_all_ms"] += length_ms
    facts = center.store.facts(asked.query("calendar"))
    told = facts.sums[:, _STATES].sum(axis=1).tolist()
    unknown = facts.sums[:, _UNKNOWN].tolist()
    for index, (start, machine, code) in enumerate(
        zip(facts.minute_ns.tolist(), facts.machine.tolist(), facts.calendar.tolist(), strict=True)
    ):
        if asked.expected.get(machine) is None:
            continue
        here = row(start, owners.get(machine, ""))
        here["missing_all_ms"] -= told[index]
        if code == CalendarClass.SCHEDULED:
            here["unknown_ms"] += unknown[index]
            here["known_ms"] += told[index] - unknown[index]
            here["missing_ms"] -= told[index]
    return asked.window() | {
        "rows": [
            {"date": datetime.fromtimestamp(start / 1e9, asked.zone).date().isoformat(), "gateway": gateway} | found
            for (start, gateway), found in sorted(rows.items())
        ],
        "untold_machines": untold,
        "holes": [
            {
                "gateway": key.gateway,
                "stream": key.stream,
                "kind": state.kind,
                "ranges": [list(part) for part in missing],
                "envelopes": sum(last - first + 1 for first, last in missing),
            }
            for key, state in sorted(
                center.ledger_cache.streams.items(), key=lambda item: (item[0].gateway, item[0].stream)
            )
            if key.site == site and (missing := holes(state.marks))
        ],
    }
