"""HTTP for the state of gateways and for their missing data."""

from typing import Any

from fastapi import FastAPI, Response

from center.api.access import Viewing
from center.api.parameters import V1, AnySite, HolesQuestion
from center.api.problems import PROBLEMS
from center.api.responses import Paging, paged, paged_list
from center.queries import gateways
from center.runtime.state import CenterState


def add_gateways(app: FastAPI, center: CenterState) -> None:
    """The routes."""

    @app.get(f"{V1}/gateways", responses=PROBLEMS)
    def all_gateways(
        viewer: Viewing, paging: Paging, response: Response, site: AnySite = ""
    ) -> list[gateways.GatewayAnswer]:
        """State of each gateway: its last status, and what became of its envelopes."""
        return paged_list(paging, response, gateways.gateways(center, viewer, site))

    @app.get(f"{V1}/holes", response_model=gateways.HolesAnswer, responses=PROBLEMS)
    def holes(question: HolesQuestion, paging: Paging, response: Response) -> Any:
        """Missing data of a site, by gateway and business day, and the envelopes that are missing now."""
        return paged(paging, response, gateways.days(center, question))
