"""HTTP for process values."""

from typing import Annotated, Any

from fastapi import FastAPI, Query

from center.api import models as answers
from center.api.access import Viewing
from center.api.numbers import PROBLEMS, V1, From, Machines, SiteName, To
from center.model.times import parse_time
from center.queries import values
from center.queries.scope import zone_of
from center.runtime.state import CenterState

Limit = Annotated[int, Query(ge=1, le=values.MAX_ROWS, description="At most so many rows, the earliest.")]


def add_values(app: FastAPI, center: CenterState) -> None:
    """The route."""

    @app.get(f"{V1}/values", response_model=answers.Values, responses=PROBLEMS)
    def process_values(
        viewer: Viewing,
        site: SiteName,
        gateway: Annotated[str, Query(description="Id of the gateway; all of the site without it.")] = "",
        machine: Machines = [],  # noqa: B006  # FastAPI copies it
        device: Annotated[list[str], Query(description="Devices of the site file.")] = [],  # noqa: B006
        tag: Annotated[list[str], Query(description="`device.tag`.", examples=["press-plc.oil_temp"])] = [],  # noqa: B006
        start: From = "",
        end: To = "",
        limit: Limit = 10_000,
    ) -> Any:
        """Process values of marked tags, tag by tag."""
        zone = zone_of(center, viewer, site)
        return values.values(
            center,
            viewer,
            site,
            gateway=gateway,
            machines=machine,
            devices=device,
            tags=tag,
            start_ns=parse_time("from", start, zone) if start else None,
            end_ns=parse_time("to", end, zone) if end else None,
            limit=limit,
        )
