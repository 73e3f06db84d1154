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
        viewer: Viewing, shown: Paging, response: Response, site: AnySite = ""
    ) -> list[gateways.GatewayAnswer]:
        """How each gateway is: what it said of itself last, and what became of its envelopes."""
        return paged_list(shown, response, gateways.gateways(center, viewer, site))

    @app.get(f"{V1}/holes", response_model=gateways.HolesAnswer, responses=PROBLEMS)
    def holes(question: HolesQuestion, shown: Paging, response: Response) -> Any:
        """What is missing of a site, by gateway and business day, and the envelopes that are missing now."""
        return paged(shown, response, gateways.days(center, question))
