"""HTTP for aggregated numbers: trends, losses, stops, coverage, and comparisons of machines of several sites."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import FastAPI, Response

from center.api.parameters import (
    V1,
    Bucket,
    ComparedBy,
    ComparedFormula,
    LossesQuestion,
    Order,
    SeveralSites,
    SiteQuestion,
    TopLossesBy,
    TrendQuestion,
    WantedLosses,
    WantedStops,
    WaterfallQuestion,
    names,
)
from center.api.problems import PROBLEMS
from center.api.responses import FILES, Presentation, Presenting, present
from center.queries.across.compare import COMPARED, ComparedAnswer
from center.queries.across.compare import compare as compare_machines
from center.queries.across.top_losses import TopLossesAnswer
from center.queries.across.top_losses import top_losses as top_losses_of
from center.queries.losses import CoverageAnswer, LossesAnswer
from center.queries.losses import coverage as coverage_of
from center.queries.losses import losses as losses_of
from center.queries.paging import MOST_ROWS
from center.queries.question import Question
from center.queries.stops import StopsAnswer
from center.queries.stops import stops as stops_of
from center.queries.trend import TrendAnswer
from center.queries.trend import trend as trend_of
from center.queries.waterfall import WaterfallAnswer, waterfall_steps
from center.runtime.state import CenterState


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
        several: SeveralSites,
        presentation: Presenting,
        bucket: Bucket = "all",
        formula: ComparedFormula = "",
        order: Order = "oee",
        by: ComparedBy = COMPARED[0],
    ) -> Response:
        """Machines of several sites side by side, or lines, shifts, products, sites; without `site` and `machine`, all that the
        viewer may see.
        """
        question = replace(several.question, bucket=bucket, formula=formula)
        compute = partial(compare_machines, center, question, several.machines, several.zone, order, by)
        return present(center, presentation, "compare", tuple(several.machines), several.window, compute)

    @get("top-losses", TopLossesAnswer)
    def top_losses(
        several: SeveralSites, wanted: WantedLosses, presentation: Presenting, by: TopLossesBy = "state,reason"
    ) -> Response:
        """What was lost, the most first: `by` of site, line, machine, shift, product, state, reason; without `site` and
        `machine`, of all that the viewer may see.
        """
        compute = partial(top_losses_of, center, several.question, several.machines, several.zone, names(by), wanted)
        return present(center, presentation, "top-losses", tuple(several.machines), several.window, compute)


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
