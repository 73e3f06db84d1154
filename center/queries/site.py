"""The questions that API and console ask, answered as plain dicts in the shapes of docs/design/0001-one-beat.md.

Each may raise `UnknownSite`, `BadQuestion` or `StoreUnavailable`. Ratios come from `oee.kpi.kpi` alone.
"""

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from center.contract.store import StoreUnavailable
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.losses import coverage, losses
from center.queries.paging import MAX_ROWS
from center.queries.scope import scope, unknown, zone_of
from center.queries.trend import trend
from center.runtime.state import CenterState
from oee.model.facts import MINUTE_NS
from oee.model.states import State
from wire.marks import holes

__all__ = [
    "coverage",
    "delivery",
    "health",
    "live",
    "losses",
    "machines",
    "quarantine",
    "site",
    "sites",
    "stops",
    "trend",
]

_UTC: Final = ZoneInfo("UTC")
_UNKNOWN: Final = State.UNKNOWN.word


def sites(center: CenterState, viewer: Viewer) -> list[dict[str, Any]]:
    """The viewer's sites, of all that ever described themselves or sent a fact."""
    return [_site(center, viewer, name) for name in viewer.seen(center.ledger_cache.sites.ids())]


def site(center: CenterState, viewer: Viewer, name: str) -> dict[str, Any]:
    """One site, with the names of its lines, products and reasons."""
    zone_of(center, viewer, name)
    bodies = center.ledger_cache.sites.bodies(name)  # each gateway names what is its own
    return _site(center, viewer, name) | {
        "lines": {key: line.model_dump() for body in bodies for key, line in body.lines.items()},
        "products": {key: product.model_dump() for body in bodies for key, product in body.products.items()},
        "reasons": {key: reason.model_dump() for body in bodies for key, reason in body.reasons.items()},
    }


def _site(center: CenterState, viewer: Viewer, name: str) -> dict[str, Any]:
    zone = zone_of(center, viewer, name)
    current = center.ledger_cache.sites.current(name)
    heard = {*center.ledger_cache.sites.gateways(name), *center.pictures.gateways(name)}
    heard |= {gateway for owner, gateway in center.ledger_cache.gateways() if owner == name}
    return {
        "id": name,
        "name": current.body.name if current else {"vi": name, "en": name},
        "timezone": zone.key,
        "formula": current.body.formula if current else "nakajima",
        "machines": center.ledger_cache.sites.machines(name),
        "gateways": [_gateway(center, name, gateway, zone) for gateway in sorted(heard)],
    }


def _gateway(center: CenterState, name: str, gateway: str, zone: ZoneInfo) -> dict[str, Any]:
    picture = center.pictures.get(name, gateway)
    status = picture.status
    heard_ns = max(picture.live_ns, picture.status_ns)
    return {
        "id": gateway,
        "online": bool(heard_ns) and picture.online(center.now_ns()),
        "heard": iso(heard_ns, zone) if heard_ns else None,
        "waiting": status.waiting if status else None,
        "version": status.version if status else "",
        "config_hash": status.config_hash if status else "",
        "devices": dict(status.devices) if status else {},
        "health": dict(status.health) if status else {},
    }


def machines(center: CenterState, viewer: Viewer, site: str) -> list[dict[str, Any]]:
    """The site's machines, also those that no site file names any more (`named` false)."""
    zone_of(center, viewer, site)
    out = []
    for machine in center.ledger_cache.sites.machines(site):
        named = center.ledger_cache.sites.described(site, machine)
        owner = center.ledger_cache.sites.owner(site, machine)
        out.append(
            {
                "site": site,
                "id": machine,
                "name": named.name if named else {"vi": machine, "en": machine},
                "line": named.line if named else "",
                "line_name": center.ledger_cache.sites.line_name(site, machine),
                "calendar": named.calendar if named else "",
                "period_s": named.period_s if named else None,
                "minor_stop_at_most_s": named.minor_stop_at_most_s if named else None,
                "gateway": owner.gateway if owner else "",
                "named": named is not None,
            }
        )
    return out


def live(center: CenterState, viewer: Viewer, site: str = "") -> list[dict[str, Any]]:
    """What each machine is doing; `unknown` where its gateway is silent, and then what it was doing last."""
    names = _asked(center, viewer, site)
    zones = {name: zone_of(center, viewer, name) for name in names}
    return [
        _live(center, name, item, zones[name]) for name in names for item in center.ledger_cache.sites.machines(name)
    ]


def _asked(center: CenterState, viewer: Viewer, site: str) -> list[str]:
    """The site asked for, or all of the viewer's. Raises `UnknownSite`."""
    if site:
        zone_of(center, viewer, site)
    return [site] if site else viewer.seen(center.ledger_cache.sites.ids())


def _live(center: CenterState, site: str, machine: str, zone: ZoneInfo) -> dict[str, Any]:
    owner = center.ledger_cache.sites.owner(site, machine)
    picture = center.pictures.get(site, owner.gateway if owner else "")
    said = picture.live.machines.get(machine) if picture.live else None
    online = bool(picture.live_ns) and picture.online(center.now_ns())
    return {
        "site": site,
        "machine": machine,
        "state": said.state if said and online else _UNKNOWN,
        "last_state": said.state if said else _UNKNOWN,
        "since": iso(said.since_ns, zone) if said else None,
        "reason": said.reason if said else "",
        "product": said.product if said else "",
        "shift": said.shift if said else "",
        "calendar": said.calendar if said else "",
        "pieces": said.pieces if said else None,
        "at": iso(picture.live.at_ns, zone) if picture.live else None,
        "gateway_online": online,
    }


def stops(
    center: CenterState,
    viewer: Viewer,
    site: str,
    machines: Sequence[str] = (),
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    limit: int = MAX_ROWS,
    going_on: bool | None = None,
) -> dict[str, Any]:
    """Stretches in which a machine did not run, told whole, the latest first; `truncated` if there are more.

    going_on: the window ends now, so that a stop which began in a minute that is not over yet belongs to it; without
    an end it does.
    """
    asked = scope(center, viewer, site, machines, start_ns=start_ns, end_ns=end_ns)
    until_ns = asked.end_ns + (2 * MINUTE_NS if going_on or (going_on is None and end_ns is None) else 0)
    found = center.store.stops(site, asked.machines if machines else (), asked.start_ns, until_ns)
    found.sort(key=lambda stop: (-stop.start_ns, stop.machine))
    rows = [
        {
            "machine": stop.machine,
            "id": stop.id,
            "start": iso(stop.start_ns, asked.zone),
            "end": None if stop.end_ns is None else iso(stop.end_ns, asked.zone),
            "state": stop.state.word,
            "reason": stop.reason,
            "by": stop.by,
            "product": stop.product,
            "to_product": stop.to_product,
            "revision": stop.revision,
        }
        for stop in found[:limit]
    ]
    return asked.window() | {"rows": rows, "truncated": len(found) > limit}


def delivery(center: CenterState, viewer: Viewer, site: str = "") -> dict[str, Any]:
    """Stream by stream what became of its envelopes, and what is missing."""
    if site:
        zone_of(center, viewer, site)
    rows = []
    for key, state in sorted(center.ledger_cache.streams.items(), key=lambda item: (item[0].site, item[0].gateway)):
        if not viewer.sees(key.site) or (site and key.site != site):
            continue
        status = center.pictures.get(key.site, key.gateway).status
        rows.append(
            {
                "site": key.site,
                "gateway": key.gateway,
                "stream": key.stream,
                "kind": state.kind,
                "mark": state.marks.mark,
                "stored": state.stored,
                "quarantined": state.quarantined,
                "dropped": state.dropped,
                "discarded": state.discarded,
                "duplicates": state.duplicates,
                "conflicts": state.conflicts,
                "holes": [list(hole) for hole in holes(state.marks)],
                "seen": iso(state.seen_ns, _UTC) if state.seen_ns else None,
                "waiting": status.waiting if status else None,
            }
        )
    return {"generation": center.ledger_cache.generation, "rows": rows}


def quarantine(center: CenterState, viewer: Viewer, site: str = "", *, limit: int = 1000) -> dict[str, Any]:
    """What was not understood or not believed of the viewer's sites, the newest first; `count` is of all of it.

    A payload belongs to the site in its topic; one on a topic that is none of ours is shown to who sees every site.
    """
    if site and not viewer.sees(site):
        raise unknown(site)
    asked = [site] if site or viewer.sites is None else sorted(viewer.sites)
    parts = [center.ledger.quarantined(name, limit) for name in asked]
    found = sorted((row for rows, _ in parts for row in rows), key=lambda row: -row.id)[:limit]
    count = sum(number for _, number in parts)
    rows = [
        {
            "id": row.id,
            "at": iso(row.at_ns, _UTC),
            "topic": row.topic,
            "reason": row.reason,
            "bytes": row.size,
            "settled": row.settled,
        }
        for row in found
    ]
    return {"rows": rows, "count": count}


def health(center: CenterState) -> dict[str, Any]:
    """How the center itself is: `status` is `ok` or `degraded`."""
    conditions = center.health.conditions()
    store, broker = conditions.get("store", "ok"), conditions.get("broker", "ok")
    overfull: list[tuple[str, str, int, int]] = []
    try:
        overfull = center.ledger.overfull()
    except StoreUnavailable as error:
        store = f"away: {error}"
    return {
        "status": "ok" if store == broker == "ok" else "degraded",
        "store": store,
        "broker": broker,
        "ingest": center.health.counts(),
        "conditions": conditions,
        "overfull_minutes": len(overfull),
        "generation": center.ledger_cache.generation,
        "time": iso(center.now_ns(), _UTC),
    }
