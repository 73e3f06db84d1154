"""Health of the center itself."""

from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field
from typing_extensions import TypedDict

from center.contract.store import StoreUnavailable
from center.model.times import iso
from center.runtime.state import CenterState

_UTC: Final = ZoneInfo("UTC")


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
