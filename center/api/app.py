"""The HTTP API, version 1. It asks `center.queries.site` in a worker thread and adds nothing of its own."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline

from center.api import models as answers
from center.api.access import Forbidden, Gate, Identify, Viewing, Watching, anybody_here
from center.api.cache import Answers
from center.api.gateways import add_gateways
from center.api.numbers import PROBLEMS, V1, SiteName, add_numbers
from center.api.responses import Paging, paged, part
from center.api.values import add_values
from center.contract.store import StoreUnavailable
from center.model.times import BadQuestion
from center.queries import site as queries
from center.queries.scope import UnknownSite
from center.runtime.state import CenterState

AnySite = Annotated[str, Query(description="Id of the site; all sites without it.")]


def create_app(center: CenterState, identify: Identify = anybody_here, *, health_only: bool = False) -> FastAPI:
    """The application over a running center. identify: tells who asks; health_only: of a part that answers nothing else."""
    app = FastAPIOffline(  # FastAPI's own page of documents loads its script from the internet
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
    app.state.answers = Answers()
    app.add_middleware(Gate, identify=identify)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind, status, name in (
        (BadQuestion, 422, "bad_question"),
        (UnknownSite, 404, "unknown"),
        (Forbidden, 403, "forbidden"),
        (StoreUnavailable, 503, "store_away"),
    ):
        app.add_exception_handler(kind, _problem(status, name))
    _add_health(app, center)
    if not health_only:
        _add_sites(app, center)
        add_numbers(app, center)
        add_values(app, center)
        add_gateways(app, center)
        _add_delivery(app, center)
    return app


def _add_sites(app: FastAPI, center: CenterState) -> None:
    @app.get(f"{V1}/sites", response_model=list[answers.Site], responses=PROBLEMS)
    def sites(viewer: Viewing, shown: Paging, response: Response) -> Any:
        """Every site that ever described itself or sent a fact."""
        return part(shown, response, queries.sites(center, viewer))

    @app.get(f"{V1}/sites/{{site}}", response_model=answers.SiteDetail, responses=PROBLEMS)
    def site(viewer: Viewing, site: str) -> Any:
        """One site, with the names of its lines, products and reasons."""
        return queries.site(center, viewer, site)

    @app.get(f"{V1}/machines", response_model=list[answers.Machine], responses=PROBLEMS)
    def machines(viewer: Viewing, shown: Paging, response: Response, site: SiteName) -> Any:
        """The machines of a site."""
        return part(shown, response, queries.machines(center, viewer, site))

    @app.get(f"{V1}/live", response_model=list[answers.LiveMachine], responses=PROBLEMS)
    def live(viewer: Viewing, shown: Paging, response: Response, site: AnySite = "") -> Any:
        """What each machine is doing at this moment; never counted."""
        return part(shown, response, queries.live(center, viewer, site))


def _add_delivery(app: FastAPI, center: CenterState) -> None:
    @app.get(f"{V1}/delivery", response_model=answers.Delivery, responses=PROBLEMS)
    def delivery(viewer: Viewing, shown: Paging, response: Response, site: AnySite = "") -> Any:
        """Stream by stream what became of the envelopes, and what is missing."""
        return paged(shown, response, queries.delivery(center, viewer, site))

    @app.get(f"{V1}/quarantine", response_model=answers.Quarantine, responses=PROBLEMS)
    def quarantine(viewer: Viewing, shown: Paging, response: Response, site: AnySite = "") -> Any:
        """What was not understood or not believed, the newest first."""
        most = shown.offset + shown.limit + 1
        return paged(shown, response, queries.quarantine(center, viewer, site, limit=most))


def _add_health(app: FastAPI, center: CenterState) -> None:
    @app.get(f"{V1}/health", response_model=answers.Health, responses=PROBLEMS)
    def health(_viewer: Watching) -> Any:
        """How the center itself is."""
        return queries.health(center)


def _problem(status: int, name: str) -> Callable[[Request, Exception], JSONResponse]:
    def answer(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": name, "detail": str(error)}, status)

    return answer


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """FastAPI's own complaint, as one sentence."""
    detail = "the request cannot be understood"
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        detail = f"{first['loc'][-1]}: {first['msg']}"
    return JSONResponse({"error": "bad_question", "detail": detail}, 422)
