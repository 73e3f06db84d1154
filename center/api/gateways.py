"""HTTP for how gateways are and what of them is missing."""

from typing import Annotated, Any

from fastapi import FastAPI, Query, Response
from pydantic import Field

from center.api.access import Viewing
from center.api.models import Answer, Windowed
from center.api.numbers import PROBLEMS, V1, From, SiteName, To
from center.api.responses import Paging, paged, part
from center.model.times import parse_time
from center.queries import gateways
from center.queries.scope import zone_of
from center.runtime.state import CenterState

AnySite = Annotated[str, Query(description="Id of the site; all sites without it.")]


class Clock(Answer):
    """A gateway's clock. by: who vouches for it; times in [s]; held_since: since when rows wait for a date."""

    by: str
    error_s: float
    wall_error_s: float
    moves: int
    last_move_s: float
    wall_steps: int
    held_rows: int
    held_since: str | None


class Gateway(Answer):
    """What a gateway said last, and what became of its envelopes. health: tags_per_s, poll_late_p99_s, unknown_share
    [1], outbox_mb, rss_mb, cpu_s and uptime_s, null where it did not tell.
    """

    site: str
    gateway: str
    online: bool
    heard: str | None
    version: str
    config_hash: str
    waiting: int | None
    waiting_since: str | None
    stored: int
    holes: int
    quarantined: int
    dropped: int
    conflicts: int
    devices: dict[str, bool]
    cannot_store: bool
    paused: bool
    clock: Clock | None
    health: dict[str, float | None]


class Day(Answer):
    """A business day of a gateway: scheduled time of its machines, and what is known of it."""

    date: str
    gateway: str
    scheduled_ms: int
    known_ms: int
    unknown_ms: int
    missing_ms: int
    missing_all_ms: int


class Hole(Answer):
    """Envelopes of a stream that are missing below others that came."""

    gateway: str
    stream: str
    kind: str
    ranges: list[tuple[int, int]]
    envelopes: int


class Holes(Windowed):
    """What is missing of a site, by gateway and day. untold_machines: by gateway those of which no calendar is known."""

    rows: list[Day]
    untold_machines: dict[str, int]
    holes: list[Hole]
    next: str | None = Field(None, description="Where the next page is; null on the last one.")


def add_gateways(app: FastAPI, center: CenterState) -> None:
    """The routes."""

    @app.get(f"{V1}/gateways", response_model=list[Gateway], responses=PROBLEMS)
    def all_gateways(viewer: Viewing, shown: Paging, response: Response, site: AnySite = "") -> Any:
        """How each gateway is: what it said of itself last, and what became of its envelopes."""
        return part(shown, response, gateways.gateways(center, viewer, site))

    @app.get(f"{V1}/holes", response_model=Holes, responses=PROBLEMS)
    def holes(
        viewer: Viewing, shown: Paging, response: Response, site: SiteName, start: From = "", end: To = ""
    ) -> Any:
        """What is missing of a site, by gateway and business day, and the envelopes that are missing now."""
        zone = zone_of(center, viewer, site)
        found = gateways.days(
            center,
            viewer,
            site,
            start_ns=parse_time("from", start, zone) if start else None,
            end_ns=parse_time("to", end, zone) if end else None,
        )
        return paged(shown, response, found)
