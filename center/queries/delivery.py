"""What became of the envelopes that gateways sent, stream by stream; and whether the center itself can take them."""

from typing import Annotated, Final, Literal, NotRequired
from zoneinfo import ZoneInfo

from pydantic import Field
from typing_extensions import TypedDict

from center.contract.store import StoreUnavailable
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.question import NextPage, zone_of
from center.runtime.state import CenterState
from wire.marks import holes

_UTC: Final = ZoneInfo("UTC")


class DeliveryRow(TypedDict):
    """A stream. mark: every seq up to it is settled; holes: ranges above it that are missing. Counts in envelopes."""

    site: str
    gateway: str
    stream: str
    kind: str
    mark: int
    stored: int
    quarantined: int
    dropped: int
    discarded: int
    duplicates: int
    conflicts: int
    holes: list[tuple[int, int]]
    seen: str | None
    waiting: int | None


class DeliveryAnswer(TypedDict):
    generation: str
    rows: list[DeliveryRow]
    next: NotRequired[NextPage]


def delivery(center: CenterState, viewer: Viewer, site: str = "") -> DeliveryAnswer:
    """Stream by stream what became of its envelopes, and what is missing. Raises `UnknownSite`."""
    if site:
        zone_of(center, viewer, site)
    rows: list[DeliveryRow] = []
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
                "holes": list(holes(state.marks)),
                "seen": iso(state.seen_ns, _UTC) if state.seen_ns else None,
                "waiting": status.waiting if status else None,
            }
        )
    return {"generation": center.ledger_cache.generation, "rows": rows, "next": None}


class HealthAnswer(TypedDict):
    status: Literal["ok", "degraded"]
    store: str
    broker: str
    ingest: dict[str, int]
    conditions: dict[str, str]
    overfull_minutes: Annotated[
        int, Field(description="Machine-minutes that hold more than 60,000 ms over all streams.")
    ]
    generation: str
    time: str


def health(center: CenterState) -> HealthAnswer:
    """Health of the center itself: `status` is `ok` or `degraded`."""
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
