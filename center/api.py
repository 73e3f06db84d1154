"""The HTTP API, version 1. It asks `center.queries` in a worker thread and adds nothing of its own."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse

from center import answers, queries
from center.access import Administering, Forbidden, Gate, Identify, Viewing, anybody_here
from center.scope import UnknownSite, zone_of
from center.state import Center
from center.stores.contract import StoreAway
from center.times import BadQuestion, parse_time
from center.viewer import Viewer

_V1: Final = "/api/v1"
_TIME: Final = "ISO 8601 with offset (a plus sign is written %2B in a URL), or a date alone: that date's local midnight at the site."

SiteName = Annotated[str, Query(description="Id of the site.", examples=["van-long"])]
AnySite = Annotated[str, Query(description="Id of the site; all sites without it.")]
Machines = Annotated[list[str], Query(alias="machine", description="Ids of machines; all of the site without it.")]
From = Annotated[str, Query(alias="from", description=f"Start. {_TIME} Without it: 24 hours before `to`.")]
To = Annotated[str, Query(alias="to", description=f"End, exclusive. {_TIME} Without it: the last minute that is over.")]
By = Annotated[str, Query(description="What to keep apart, separated by commas.", examples=["machine,shift"])]
Bucket = Annotated[str, Query(description="minute, hour, shift, day, week, month or all.")]
Limit = Annotated[int, Query(ge=1, le=100_000, description="At most so many rows.")]

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    403: {"model": answers.Problem, "description": "The account lacks a right."},
    404: {"model": answers.Problem, "description": "No such site or machine."},
    422: {
        "model": answers.Problem,
        "description": "A parameter that cannot be understood; the text says what to write.",
    },
    503: {"model": answers.Problem, "description": "The store is away; facts wait at the gateways."},
}


def create_app(center: Center, identify: Identify = anybody_here) -> FastAPI:
    """The application over a running center. identify: tells who asks."""
    app = FastAPI(
        title=center.name or "Nhịp",
        version="1",
        description="Production of many factories: facts summed by the store, ratios computed last.",
        docs_url=f"{_V1}/docs",
        openapi_url=f"{_V1}/openapi.json",
        redoc_url=None,
    )
    app.state.center = center
    app.add_middleware(Gate, identify=identify)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind, status, name in (
        (BadQuestion, 422, "bad_question"),
        (UnknownSite, 404, "unknown"),
        (Forbidden, 403, "forbidden"),
        (StoreAway, 503, "store_away"),
    ):
        app.add_exception_handler(kind, _problem(status, name))
    _add_sites(app, center)
    _add_numbers(app, center)
    _add_delivery(app, center)
    return app


def _add_sites(app: FastAPI, center: Center) -> None:
    @app.get(f"{_V1}/sites", response_model=list[answers.Site], responses=_PROBLEMS)
    def sites(viewer: Viewing) -> Any:
        """Every site that ever described itself or sent a fact."""
        return queries.sites(center, viewer)

    @app.get(f"{_V1}/sites/{{site}}", response_model=answers.SiteDetail, responses=_PROBLEMS)
    def site(viewer: Viewing, site: str) -> Any:
        """One site, with the names of its lines, products and reasons."""
        return queries.site(center, viewer, site)

    @app.get(f"{_V1}/machines", response_model=list[answers.Machine], responses=_PROBLEMS)
    def machines(viewer: Viewing, site: SiteName) -> Any:
        """The machines of a site."""
        return queries.machines(center, viewer, site)

    @app.get(f"{_V1}/live", response_model=list[answers.LiveMachine], responses=_PROBLEMS)
    def live(viewer: Viewing, site: AnySite = "") -> Any:
        """What each machine is doing at this moment; never counted."""
        return queries.live(center, viewer, site)


def _add_numbers(app: FastAPI, center: Center) -> None:
    @app.get(f"{_V1}/trend", response_model=answers.Trend, responses=_PROBLEMS, response_model_exclude_unset=True)
    def trend(
        viewer: Viewing,
        site: SiteName,
        machine: Machines = [],  # noqa: B006  # FastAPI copies it
        bucket: Bucket = "hour",
        start: From = "",
        end: To = "",
        by: By = "machine",
        formula: Annotated[str, Query(description="nakajima or iso22400; the site's own without it.")] = "",
    ) -> Any:
        """KPIs by bucket and group: `by` of machine, shift, product, calendar."""
        return queries.trend(
            center,
            viewer,
            site,
            machine,
            bucket=bucket,
            by=_words(by),
            formula=formula,
            **_window(center, viewer, site, start, end),
        )

    @app.get(f"{_V1}/losses", response_model=answers.Losses, responses=_PROBLEMS, response_model_exclude_unset=True)
    def losses(
        viewer: Viewing,
        site: SiteName,
        machine: Machines = [],  # noqa: B006
        start: From = "",
        end: To = "",
        by: By = "machine,state,reason",
        bucket: Bucket = "all",
    ) -> Any:
        """Lost time: `by` of machine, state, reason, shift, product, calendar."""
        return queries.losses(
            center, viewer, site, machine, bucket=bucket, by=_words(by), **_window(center, viewer, site, start, end)
        )

    @app.get(f"{_V1}/stops", response_model=answers.Stops, responses=_PROBLEMS)
    def stops(
        viewer: Viewing,
        site: SiteName,
        machine: Machines = [],  # noqa: B006
        start: From = "",
        end: To = "",
        limit: Limit = queries.MAX_ROWS,
    ) -> Any:
        """Stretches in which a machine did not run, the latest first."""
        return queries.stops(center, viewer, site, machine, limit=limit, **_window(center, viewer, site, start, end))

    @app.get(f"{_V1}/coverage", response_model=answers.Coverage, responses=_PROBLEMS)
    def coverage(
        viewer: Viewing,
        site: SiteName,
        machine: Machines = [],  # noqa: B006
        start: From = "",
        end: To = "",
    ) -> Any:
        """How much of the scheduled time is accounted for."""
        return queries.coverage(center, viewer, site, machine, **_window(center, viewer, site, start, end))


def _add_delivery(app: FastAPI, center: Center) -> None:
    @app.get(f"{_V1}/delivery", response_model=answers.Delivery, responses=_PROBLEMS)
    def delivery(viewer: Viewing, site: AnySite = "") -> Any:
        """Stream by stream what became of the envelopes, and what is missing."""
        return queries.delivery(center, viewer, site)

    @app.get(f"{_V1}/quarantine", response_model=answers.Quarantine, responses=_PROBLEMS)
    def quarantine(viewer: Viewing, site: AnySite = "", limit: Limit = 1000) -> Any:
        """What was not understood or not believed, the newest first."""
        return queries.quarantine(center, viewer, site, limit=limit)

    @app.get(f"{_V1}/health", response_model=answers.Health, responses=_PROBLEMS)
    def health(_viewer: Administering) -> Any:
        """How the center itself is."""
        return queries.health(center)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _window(center: Center, viewer: Viewer, site: str, start: str, end: str) -> dict[str, int | None]:
    zone = zone_of(center, viewer, site)
    return {
        "start_ns": parse_time("from", start, zone) if start else None,
        "end_ns": parse_time("to", end, zone) if end else None,
    }


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
