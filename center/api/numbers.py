"""HTTP for everything that is added up: trends, losses, stops, coverage, and machines of several sites compared."""

from collections.abc import Callable
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Query, Response

from center.api import models as answers
from center.api.access import Viewing
from center.api.responses import FILES, Presenting, Shown, present
from center.model.times import parse_time, window
from center.model.viewer import Viewer
from center.queries import site as queries
from center.queries.compare import compare as compare_machines
from center.queries.compare import named
from center.queries.paging import MOST_ROWS
from center.queries.scope import BUCKETS, zone_of
from center.runtime.state import CenterState
from oee.kpi.kpi import FORMULAS, KPI_KEYS

V1: Final = "/api/v1"
_TIME: Final = "ISO 8601 with offset (a plus sign is written %2B in a URL), or a date alone: that date's local midnight at the site."

SiteName = Annotated[str, Query(description="Id of the site.", examples=["van-long"])]
Machines = Annotated[list[str], Query(alias="machine", description="Ids of machines; all of the site without it.")]
From = Annotated[str, Query(alias="from", description=f"Start. {_TIME} Without it: 24 hours before `to`.")]
To = Annotated[str, Query(alias="to", description=f"End, exclusive. {_TIME} Without it: the last minute that is over.")]
By = Annotated[str, Query(description="What to keep apart, separated by commas.", examples=["machine,shift"])]
Bucket = Annotated[
    str,
    Query(
        description="Rows of this length, by the site's calendar; `all`: one of the whole window.",
        json_schema_extra={"enum": [*BUCKETS]},
    ),
]
_FORMULAS: Final[dict[str, Any]] = {"json_schema_extra": {"enum": ["", *FORMULAS]}}
Formula = Annotated[str, Query(description="Formula set; the site's own without it.", **_FORMULAS)]

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": answers.Problem, "description": "Nobody is logged in, and no token was sent."},
    403: {"model": answers.Problem, "description": "The account lacks a right."},
    404: {"model": answers.Problem, "description": "No such site or machine."},
    422: {
        "model": answers.Problem,
        "description": "A parameter that cannot be understood; the text says what to write.",
    },
    503: {"model": answers.Problem, "description": "The store is away; facts wait at the gateways."},
}
_UTC: Final = ZoneInfo("UTC")


def add_numbers(app: FastAPI, center: CenterState) -> None:
    """The routes."""
    get = _getter(app)

    @get("trend", answers.Trend)
    def trend(
        viewer: Viewing,
        shown: Presenting,
        site: SiteName,
        machine: Machines = [],  # noqa: B006  # FastAPI copies it
        bucket: Bucket = "hour",
        start: From = "",
        end: To = "",
        by: By = "machine",
        formula: Formula = "",
    ) -> Response:
        """KPIs by bucket and group: `by` of machine, shift, product, calendar."""
        return _of_site(
            center, viewer, shown, "trend", site, (start, end), queries.trend, machine,
            bucket=bucket, by=_words(by), formula=formula,
        )  # fmt: skip

    @get("losses", answers.Losses)
    def losses(
        viewer: Viewing,
        shown: Presenting,
        site: SiteName,
        machine: Machines = [],  # noqa: B006
        start: From = "",
        end: To = "",
        by: By = "machine,state,reason",
        bucket: Bucket = "all",
    ) -> Response:
        """Lost time: `by` of machine, state, reason, shift, product, calendar."""
        return _of_site(
            center, viewer, shown, "losses", site, (start, end), queries.losses, machine, bucket=bucket, by=_words(by)
        )

    @get("stops", answers.Stops)
    def stops(
        viewer: Viewing,
        shown: Presenting,
        site: SiteName,
        machine: Machines = [],  # noqa: B006
        start: From = "",
        end: To = "",
    ) -> Response:
        """Stretches in which a machine did not run, the latest first; `truncated`: more than can be told at once."""
        return _of_site(
            center,
            viewer,
            shown,
            "stops",
            site,
            (start, end),
            queries.stops,
            machine,
            limit=MOST_ROWS,
            going_on=not end,
        )

    @get("coverage", answers.Coverage)
    def coverage(
        viewer: Viewing,
        shown: Presenting,
        site: SiteName,
        machine: Machines = [],  # noqa: B006
        start: From = "",
        end: To = "",
    ) -> Response:
        """How much of the scheduled time is accounted for."""
        return _of_site(center, viewer, shown, "coverage", site, (start, end), queries.coverage, machine)

    @get("compare", answers.Compared)
    def compare(
        viewer: Viewing,
        shown: Presenting,
        site: Annotated[list[str], Query(description="Whole sites.")] = [],  # noqa: B006
        machine: Annotated[list[str], Query(description="Single machines as site/machine.")] = [],  # noqa: B006
        bucket: Bucket = "all",
        start: From = "",
        end: To = "",
        formula: Annotated[str, Query(description="Formula set of all; nakajima without it.", **_FORMULAS)] = "",
        order: Annotated[
            str,
            Query(description="KPI by which they stand, the lowest first.", json_schema_extra={"enum": [*KPI_KEYS]}),
        ] = "oee",
    ) -> Response:
        """Machines of several sites beside each other; without `site` and `machine` everything that you may see."""
        machines = named(center, viewer, site, machine)
        zones = {zone_of(center, viewer, name) for name in machines}
        zone = zones.pop() if len(zones) == 1 else _UTC
        ends = _window(center, zone, start, end)

        def ask() -> dict[str, Any]:
            return compare_machines(center, viewer, machines, ends, zone, bucket=bucket, formula=formula, order=order)

        return present(center, shown, "compare", tuple(machines), ends, ask)


def _getter(app: FastAPI) -> Callable[[str, type[answers.Answer]], Callable[[Any], Any]]:
    return lambda path, model: app.get(
        f"{V1}/{path}", response_model=model, responses=PROBLEMS | FILES, response_model_exclude_unset=True
    )


def _of_site(
    center: CenterState,
    viewer: Viewer,
    shown: Shown,
    subject: str,
    site: str,
    asked: tuple[str, str],
    question: Callable[..., dict[str, Any]],
    machines: list[str],
    **more: Any,
) -> Response:
    """Presents a question about one site; its window's ends are settled here, once."""
    zone = zone_of(center, viewer, site)
    ends = _window(center, zone, *asked)
    ask = lambda: question(center, viewer, site, machines, start_ns=ends[0], end_ns=ends[1], **more)  # noqa: E731
    return present(center, shown, subject, (site,), ends, ask)


def _window(center: CenterState, zone: ZoneInfo, start: str, end: str) -> tuple[int, int]:
    start_ns = parse_time("from", start, zone) if start else None
    end_ns = parse_time("to", end, zone) if end else None
    return window(start_ns, end_ns, center.now_ns())


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
