"""HTTP for aggregated numbers: trends, losses, stops, coverage, and comparisons of machines of several sites."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Query, Response

from center.api.access import Viewing
from center.api.parameters import (
    V1,
    Bucket,
    ComparedFormula,
    From,
    LossesQuestion,
    Order,
    SiteQuestion,
    To,
    TrendQuestion,
    WantedStops,
    WaterfallQuestion,
)
from center.api.problems import PROBLEMS
from center.api.responses import FILES, Presentation, Presenting, present
from center.model.times import parse_time
from center.queries.compare import ComparedAnswer, machines_of
from center.queries.compare import compare as compare_machines
from center.queries.losses import CoverageAnswer, LossesAnswer
from center.queries.losses import coverage as coverage_of
from center.queries.losses import losses as losses_of
from center.queries.paging import MOST_ROWS
from center.queries.question import Question, zone_of
from center.queries.stops import StopsAnswer
from center.queries.stops import stops as stops_of
from center.queries.trend import TrendAnswer
from center.queries.trend import trend as trend_of
from center.queries.waterfall import WaterfallAnswer, waterfall_steps
from center.runtime.state import CenterState

_UTC: Final = ZoneInfo("UTC")


def add_numbers(app: FastAPI, center: CenterState) -> None:
    """The routes."""
    get = _getter(app)

    @get("trend", TrendAnswer)
    def trend(question: TrendQuestion, presentation: Presenting) -> Response:
        """KPIs by bucket and group: `by` of machine, shift, product, calendar."""
        return _of_site(center, presentation, "trend", question, trend_of)

    @get("waterfall", WaterfallAnswer)
    def waterfall(question: WaterfallQuestion, presentation: Presenting) -> Response:
        """From all time to fully productive time: `by` of machine, shift, product."""
        return _of_site(center, presentation, "waterfall", question, waterfall_steps)

    @get("losses", LossesAnswer)
    def losses(question: LossesQuestion, presentation: Presenting) -> Response:
        """Lost time: `by` of machine, state, reason, shift, product, calendar."""
        return _of_site(center, presentation, "losses", question, losses_of)

    @get("stops", StopsAnswer)
    def stops(question: SiteQuestion, wanted: WantedStops, presentation: Presenting) -> Response:
        """Stretches in which a machine did not run, the latest or the longest first; `truncated`: there are more than one
        file can hold.
        """
        query = partial(stops_of, limit=MOST_ROWS, wanted=wanted)
        if presentation.format == "json":
            query = partial(stops_of, limit=presentation.limit, wanted=wanted, offset=presentation.offset)
        return _of_site(center, presentation, "stops", question, query)

    @get("coverage", CoverageAnswer)
    def coverage(question: SiteQuestion, presentation: Presenting) -> Response:
        """How much of the scheduled time is accounted for."""
        return _of_site(center, presentation, "coverage", question, coverage_of)

    @get("compare", ComparedAnswer)
    def compare(
        viewer: Viewing,
        presentation: Presenting,
        site: Annotated[list[str], Query(description="Whole sites.")] = [],  # noqa: B006  # FastAPI copies it
        machine: Annotated[list[str], Query(description="Single machines as site/machine.")] = [],  # noqa: B006
        bucket: Bucket = "all",
        start: From = "",
        end: To = "",
        formula: ComparedFormula = "",
        order: Order = "oee",
    ) -> Response:
        """Machines of several sites side by side; without `site` and `machine`, all that the viewer may see."""
        machines = machines_of(center, viewer, site, machine)
        zones = {zone_of(center, viewer, name) for name in machines}
        zone = zones.pop() if len(zones) == 1 else _UTC
        question = Question(
            viewer,
            "",
            start_ns=parse_time("from", start, zone) if start else None,
            end_ns=parse_time("to", end, zone) if end else None,
            bucket=bucket,
            formula=formula,
        ).settled(center.now_ns())
        compute = partial(compare_machines, center, question, machines, zone, order)
        return present(center, presentation, "compare", tuple(machines), (question.start_ns, question.end_ns), compute)


def _getter(app: FastAPI) -> Callable[[str, Any], Callable[[Any], Any]]:
    return lambda path, answer: app.get(f"{V1}/{path}", response_model=answer, responses=PROBLEMS | FILES)


def _of_site(
    center: CenterState,
    presentation: Presentation,
    subject: str,
    question: Question,
    query: Callable[[CenterState, Question], Mapping[str, Any]],
) -> Response:
    """Presents the answer to a question about one site; its window is settled here, once."""
    settled = question.settled(center.now_ns())
    window = (settled.start_ns, settled.end_ns)
    return present(center, presentation, subject, (settled.site,), window, partial(query, center, settled))
