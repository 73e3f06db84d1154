"""The HTTP API, version 1. Routes call `center.queries` in a worker thread and add nothing of their own."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline

from center.api.access import Forbidden, Gate, Identify, Viewing, Watching, anybody_here
from center.api.numbers import add_numbers
from center.api.outside import inside
from center.api.parameters import V1, AnySite, HolesQuestion, SiteName, Tags, ValuesQuestion
from center.api.problems import PROBLEMS, Problem, problem
from center.api.responses import Paging, paged, paged_list
from center.contract.store import StoreUnavailable
from center.database.declarations import TooManyOpen
from center.model.times import BadQuestion
from center.queries import gateways
from center.queries import sites as queries
from center.queries.delivery import DeliveryAnswer, HealthAnswer
from center.queries.delivery import delivery as delivery_of
from center.queries.delivery import health as health_of
from center.queries.quarantine import QuarantineAnswer
from center.queries.quarantine import quarantine as quarantine_of
from center.queries.question import UnknownSite
from center.queries.values.curves import MOST_POINTS, CurvesAnswer, curves
from center.queries.values.rows import ValuesAnswer
from center.queries.values.rows import values as values_of
from center.runtime.answer_cache import AnswerCache
from center.runtime.places import Places, TooManyQuestions
from center.runtime.state import CenterState

_COMPRESSION: Final = 5
"""Of gzip. The highest level makes answers 1 to 3 % smaller and takes two to three times as long, in which nobody else is answered."""


def create_app(center: CenterState, identify: Identify = anybody_here, *, health_only: bool = False) -> FastAPI:
    """The application over a running center.

    identify: finds the viewer of a request; health_only: for a process that serves only its health.
    """
    app = FastAPIOffline(  # FastAPI's own documentation page loads its script from the internet
        title=center.name or "Nhịp",
        version="1",
        description="Production of many factories: facts summed by the store, ratios computed last.",
        docs_url=f"{V1}/docs",
        openapi_url=f"{V1}/openapi.json",
        redoc_url=None,
        static_url=f"{V1}/docs-files",
        swagger_ui_oauth2_redirect_url=f"{V1}/docs/oauth2-redirect",
    )
    app.state.center = center
    app.state.answers, app.state.places = AnswerCache(), Places()
    app.add_middleware(Gate, identify=identify)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=_COMPRESSION)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(404, _nowhere)
    for kind, status, name in (
        (BadQuestion, 422, "bad_question"),
        (UnknownSite, 404, "unknown"),
        (Forbidden, 403, "forbidden"),
        (StoreUnavailable, 503, "store_away"),
        (TooManyQuestions, 429, "too_many"),
        (TooManyOpen, 429, "too_many"),
    ):
        app.add_exception_handler(kind, _handler(status, name))
    _add_health(app, center)
    if not health_only:
        _add_sites(app, center)
        add_numbers(app, center)
        _add_values(app, center)
        _add_gateways(app, center)
        _add_delivery(app, center)
    return app


def _nowhere(request: Request, _error: Exception) -> JSONResponse:
    """An address that is none; also one with a line break in a name, which no route takes."""
    detail = f"there is no {inside(request)[:200]}; GET {V1}/openapi.json lists what there is"
    return problem(404, "unknown", detail)


def _add_sites(app: FastAPI, center: CenterState) -> None:
    @app.get(f"{V1}/sites", responses=PROBLEMS)
    def sites(viewer: Viewing, paging: Paging, response: Response) -> list[queries.SiteAnswer]:
        """Every site that ever described itself or sent a fact."""
        return paged_list(paging, response, queries.sites(center, viewer))

    @app.get(f"{V1}/sites/{{site}}", responses=PROBLEMS)
    def site(viewer: Viewing, site: str) -> queries.SiteDetailAnswer:
        """One site, with the names of its lines, products and reasons."""
        return queries.site(center, viewer, site)

    @app.get(f"{V1}/machines", responses=PROBLEMS)
    def machines(viewer: Viewing, paging: Paging, response: Response, site: SiteName) -> list[queries.MachineAnswer]:
        """The machines of a site."""
        return paged_list(paging, response, queries.machines(center, viewer, site))

    @app.get(f"{V1}/live", responses=PROBLEMS)
    def live(viewer: Viewing, paging: Paging, response: Response, site: AnySite = "") -> list[queries.LiveAnswer]:
        """What each machine is doing at this moment; never counted."""
        return paged_list(paging, response, queries.live(center, viewer, site))


def _add_values(app: FastAPI, center: CenterState) -> None:
    @app.get(f"{V1}/values", responses=PROBLEMS)
    def process_values(question: ValuesQuestion, tags: Tags) -> ValuesAnswer:
        """Process values of marked tags, tag by tag."""
        return values_of(center, question, tags)

    @app.get(f"{V1}/values/curves", responses=PROBLEMS)
    def value_curves(
        question: ValuesQuestion,
        tags: Tags,
        points: Annotated[int, Query(ge=1, le=MOST_POINTS, description="At most so many parts of the window.")] = 480,
    ) -> CurvesAnswer:
        """The lowest and highest value of each tag in every part of a window, and where it is not known."""
        return curves(center, question, tags, points)


def _add_gateways(app: FastAPI, center: CenterState) -> None:
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


def _add_delivery(app: FastAPI, center: CenterState) -> None:
    @app.get(f"{V1}/delivery", response_model=DeliveryAnswer, responses=PROBLEMS)
    def delivery(viewer: Viewing, paging: Paging, response: Response, site: AnySite = "") -> Any:
        """By stream what became of its envelopes, and which are missing."""
        return paged(paging, response, delivery_of(center, viewer, site))

    @app.get(f"{V1}/quarantine", response_model=QuarantineAnswer, responses=PROBLEMS)
    def quarantine(viewer: Viewing, paging: Paging, response: Response, site: AnySite = "") -> Any:
        """Payloads that were not understood or not accepted, the newest first."""
        limit = paging.offset + paging.limit + 1
        return paged(paging, response, quarantine_of(center, viewer, site, limit=limit))


def _add_health(app: FastAPI, center: CenterState) -> None:
    @app.get(f"{V1}/health", responses={**PROBLEMS, 503: PROBLEMS[503] | {"model": Problem}})
    def health(_viewer: Watching) -> HealthAnswer:
        """Health of the center itself."""
        return health_of(center)


def _handler(status: int, name: str) -> Callable[[Request, Exception], JSONResponse]:
    return lambda _request, error: problem(status, name, str(error))


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """FastAPI's own complaint, as one sentence."""
    detail = "the request cannot be understood"
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        detail = f"{first['loc'][-1]}: {first['msg']}"
    return problem(422, "bad_question", detail)
