"""The sites and machines that a viewer may see, and what each machine is doing now.

Each function may raise `UnknownSite`.
"""

from typing import Annotated, Final, NotRequired
from zoneinfo import ZoneInfo

from pydantic import Field
from typing_extensions import TypedDict

from center.model.sites import line_name, lines_of, newest_bodies, retired_since, site_machine
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.question import Name, sites_of, zone_of
from center.runtime.live import Picture
from center.runtime.state import CenterState
from oee.model.states import State

_UNKNOWN: Final = State.UNKNOWN.word


class SiteGatewayAnswer(TypedDict):
    """A gateway and its last status."""

    id: str
    online: bool
    heard: Annotated[str | None, Field(description="When the center last heard of it.")]
    waiting: Annotated[int | None, Field(description="Envelopes in its outbox without a receipt.")]
    trouble: Annotated[
        str,
        Field(
            description="`boxes`: several boxes run as this gateway; `newer`: it is newer than this center; else empty."
        ),
    ]
    version: str
    config_hash: str
    devices: dict[str, bool]
    health: dict[str, float]


class SiteAnswer(TypedDict):
    """A factory."""

    id: str
    name: Name
    timezone: str
    formula: str
    machines: list[str]
    gateways: list[SiteGatewayAnswer]


class LineAnswer(TypedDict):
    flow: str
    constraint: str


class ProductAnswer(TypedDict):
    name: Name
    ideal_s: Annotated[float | None, Field(description="Ideal time of one piece [s].")]
    source: Annotated[str, Field(description="Where the ideal time comes from: design, timed or guess.")]


class ReasonAnswer(TypedDict):
    name: Name
    state: str


class SiteDetailAnswer(SiteAnswer):
    """A factory with the names of its lines, products and reasons."""

    lines: dict[str, LineAnswer]
    products: dict[str, ProductAnswer]
    reasons: dict[str, ReasonAnswer]


MachineLineAnswer = TypedDict(
    "MachineLineAnswer",
    {
        "line": str,
        "line_name": dict[str, str],
        "from": Annotated[str | None, Field(description="Since when; null for its first line.")],
        "to": Annotated[str | None, Field(description="Until when; null for its present line.")],
    },
)
"""A line that a machine belonged to."""


class MachineAnswer(TypedDict):
    """A machine. named: false if its gateway's site file no longer names it: it is retired, and its history is kept."""

    site: str
    id: str
    name: Name
    line: str
    line_name: NotRequired[
        Annotated[
            dict[str, str],
            Field(
                description="The line's name by language; empty if it has none.",
                json_schema_extra={"default": {}},
            ),
        ]
    ]
    calendar: str
    period_s: Annotated[float | None, Field(description="Longest polling period of the tags that it uses [s].")]
    minor_stop_at_most_s: float | None
    gateway: str
    named: bool
    retired: NotRequired[
        Annotated[str | None, Field(description="Since when no site file names it; null while one does.")]
    ]
    lines: NotRequired[Annotated[list[MachineLineAnswer], Field(description="Its lines, the present one last.")]]


class LiveCallAnswer(TypedDict):
    """A call for help that is open."""

    kind: str
    step: str
    since: str


class LiveAnswer(TypedDict):
    """What a machine is doing at this moment. state: `unknown` while its gateway is silent."""

    site: str
    machine: str
    state: str
    last_state: str
    since: str | None
    reason: str
    product: str
    shift: str
    calendar: str
    pieces: Annotated[int | None, Field(description="Pieces in this shift so far; null without a counter.")]
    at: Annotated[str | None, Field(description="The gateway's time of the message.")]
    gateway_online: bool
    calls: NotRequired[
        Annotated[
            list[LiveCallAnswer],
            Field(description="Open calls for help, the oldest first.", json_schema_extra={"default": []}),
        ]
    ]


def sites(center: CenterState, viewer: Viewer) -> list[SiteAnswer]:
    """The viewer's sites, of all that ever described themselves or sent a fact."""
    return [_site(center, viewer, name) for name in viewer.seen(center.ledger_cache.sites.ids())]


def site(center: CenterState, viewer: Viewer, name: str) -> SiteDetailAnswer:
    """One site, with the names of its lines, products and reasons."""
    zone_of(center, viewer, name)
    bodies = newest_bodies(center.ledger_cache.sites, name)  # each gateway names what is its own
    return {
        **_site(center, viewer, name),
        "lines": {
            key: {"flow": line.flow, "constraint": line.constraint}
            for body in bodies
            for key, line in body.lines.items()
        },
        "products": {
            key: {"name": product.name, "ideal_s": product.ideal_s, "source": product.source}
            for body in bodies
            for key, product in body.products.items()
        },
        "reasons": {
            key: {"name": reason.name, "state": reason.state} for body in bodies for key, reason in body.reasons.items()
        },
    }


def _site(center: CenterState, viewer: Viewer, name: str) -> SiteAnswer:
    zone = zone_of(center, viewer, name)
    current = center.ledger_cache.sites.current(name)
    return {
        "id": name,
        "name": current.body.name if current else {"vi": name, "en": name},
        "timezone": zone.key,
        "formula": current.body.formula if current else "nakajima",
        "machines": center.ledger_cache.sites.machines(name),
        "gateways": [_gateway(center, name, gateway, zone) for gateway in gateways_of(center, name)],
    }


def gateways_of(center: CenterState, site: str) -> list[str]:
    """Every gateway of a site that described itself, owns a machine, delivered something or sent a status."""
    gateways = {*center.ledger_cache.sites.gateways(site), *center.pictures.gateways(site)}
    return sorted(gateways | {gateway for owner, gateway in center.ledger_cache.gateways() if owner == site})


def _gateway(center: CenterState, name: str, gateway: str, zone: ZoneInfo) -> SiteGatewayAnswer:
    picture = center.pictures.get(name, gateway)
    status = picture.status
    heard_ns = max(picture.live_ns, picture.status_ns)
    return {
        "id": gateway,
        "online": bool(heard_ns) and picture.online(center.now_ns()),
        "heard": iso(heard_ns, zone) if heard_ns else None,
        "waiting": status.waiting if status else None,
        "trouble": _trouble(picture, center.now_ns()),
        "version": status.version if status else "",
        "config_hash": status.config_hash if status else "",
        "devices": dict(status.devices) if status else {},
        "health": dict(status.health) if status else {},
    }


def _trouble(picture: Picture, now_ns: int) -> str:
    if picture.boxes.rivals(now_ns):
        return "boxes"
    return "newer" if picture.unreadable(now_ns) else ""


def machines(center: CenterState, viewer: Viewer, site: str) -> list[MachineAnswer]:
    """The site's machines, also those that are retired: that no site file names any more (`named` false)."""
    zone = zone_of(center, viewer, site)
    return [_machine(center, site, machine, zone) for machine in center.ledger_cache.sites.machines(site)]


def _machine(center: CenterState, site: str, machine: str, zone: ZoneInfo) -> MachineAnswer:
    sites = center.ledger_cache.sites
    named, owner = site_machine(sites, site, machine), sites.owner(site, machine)
    retired_ns = retired_since(sites, site, machine)
    return {
        "site": site,
        "id": machine,
        "name": named.name if named else {"vi": machine, "en": machine},
        "line": named.line if named else "",
        "line_name": line_name(center.ledger_cache.sites, site, machine),
        "calendar": named.calendar if named else "",
        "period_s": named.period_s if named else None,
        "minor_stop_at_most_s": named.minor_stop_at_most_s if named else None,
        "gateway": owner.gateway if owner else "",
        "named": named is not None and retired_ns is None,
        "retired": None if retired_ns is None else iso(retired_ns, zone),
        "lines": [
            {
                "line": span.line,
                "line_name": span.names,
                "from": iso(span.from_ns, zone) if span.from_ns else None,
                "to": None if span.until_ns is None else iso(span.until_ns, zone),
            }
            for span in lines_of(sites, site, machine)
        ],
    }


def live(center: CenterState, viewer: Viewer, site: str = "") -> list[LiveAnswer]:
    """What each machine is doing; `unknown` where its gateway is silent, with `last_state` before that. Retired machines
    do nothing and are left out.
    """
    names = sites_of(center, viewer, site)
    zones = {name: zone_of(center, viewer, name) for name in names}
    return [
        _live(center, name, item, zones[name])
        for name in names
        for item in center.ledger_cache.sites.machines(name)
        if retired_since(center.ledger_cache.sites, name, item) is None
    ]


def _live(center: CenterState, site: str, machine: str, zone: ZoneInfo) -> LiveAnswer:
    owner = center.ledger_cache.sites.owner(site, machine)
    picture = center.pictures.get(site, owner.gateway if owner else "")
    current = picture.live.machines.get(machine) if picture.live else None
    online = bool(picture.live_ns) and picture.online(center.now_ns())
    return {
        "site": site,
        "machine": machine,
        "state": current.state if current and online else _UNKNOWN,
        "last_state": current.state if current else _UNKNOWN,
        "since": iso(current.since_ns, zone) if current else None,
        "reason": current.reason if current else "",
        "product": current.product if current else "",
        "shift": current.shift if current else "",
        "calendar": current.calendar if current else "",
        "pieces": current.pieces if current else None,
        "at": iso(picture.live.at_ns, zone) if picture.live else None,
        "gateway_online": online,
        "calls": [
            {"kind": call.kind, "step": call.step, "since": iso(call.since_ns, zone)}
            for call in (current.calls if current and online else ())
        ],
    }
