"""Parameters of the routes, each declared once, and the `Question` that they make together.

Routes take a question as a dependency: `question: SiteQuestion`, or one of those that extend it. Dependencies are
coroutines, which FastAPI runs without a thread: they only read memory.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import Depends, Query, Request

from center.api.access import Viewing
from center.api.responses import Paging, Presenting
from center.model.times import parse_time
from center.queries.across.compare import COMPARED, machines_of
from center.queries.across.compare import Machines as SiteMachines
from center.queries.across.top_losses import LossFilter
from center.queries.question import BUCKETS, Question, zone_of
from center.queries.stops import ORDERS, StopFilter
from center.queries.values.rows import MAX_ROWS as MAX_VALUES
from center.queries.values.rows import TagFilter
from center.runtime.state import CenterState
from oee.kpi.kpi import FORMULAS, KPI_KEYS

V1: Final = "/api/v1"
_TIME: Final = "ISO 8601 with offset (a plus sign is written %2B in a URL), or a date alone: that date's local midnight at the site."

SiteName = Annotated[str, Query(description="Id of the site.", examples=["van-long"])]
AnySite = Annotated[str, Query(description="Id of the site; all sites without it.")]
Machines = Annotated[list[str], Query(alias="machine", description="Ids of machines; all of the site without it.")]
From = Annotated[str, Query(alias="from", description=f"Start. {_TIME} Without it: 24 hours before `to`.")]
To = Annotated[str, Query(alias="to", description=f"End, exclusive. {_TIME} Without it: the last minute that is over.")]
By = Annotated[str, Query(description="Columns to group by, separated by commas.", examples=["machine,shift"])]
TrendBy = Annotated[
    str,
    Query(
        description="Columns to group by, separated by commas; `line`: each machine counts for its line at the time.",
        examples=["machine,shift"],
    ),
]
Bucket = Annotated[
    str,
    Query(
        description="Length of a row, by the site's calendar; `all`: one row for the whole window.",
        json_schema_extra={"enum": [*BUCKETS]},
    ),
]
_FORMULAS: Final[dict[str, Any]] = {"json_schema_extra": {"enum": ["", *FORMULAS]}}
Formula = Annotated[str, Query(description="Formula set; the site's own without it.", **_FORMULAS)]
ComparedFormula = Annotated[str, Query(description="Formula set for all machines; nakajima without it.", **_FORMULAS)]
ComparedBy = Annotated[str, Query(description="What stands side by side.", json_schema_extra={"enum": [*COMPARED]})]
TopLossesBy = Annotated[
    str, Query(description="Columns to group by, separated by commas.", examples=["machine,reason"])
]
Order = Annotated[str, Query(description="KPI to sort by, the lowest first.", json_schema_extra={"enum": [*KPI_KEYS]})]


def _with_window(question: Question, center: CenterState, start: str, end: str) -> Question:
    """The question with this window, not settled yet. Raises `BadQuestion` or `UnknownSite`."""
    zone = zone_of(center, question.viewer, question.site)
    return replace(
        question,
        start_ns=parse_time("from", start, zone) if start else None,
        end_ns=parse_time("to", end, zone) if end else None,
    )


async def _site_question(
    request: Request,
    viewer: Viewing,
    _shown: Presenting,  # first, so that a bad limit or format is refused before the site is looked up
    site: SiteName,
    machine: Machines = [],  # noqa: B006  # FastAPI copies it
    start: From = "",
    end: To = "",
) -> Question:
    return _with_window(Question(viewer, site, tuple(machine)), request.app.state.center, start, end)


SiteQuestion = Annotated[Question, Depends(_site_question)]
"""About some machines of a site in a window."""


async def _trend_question(
    question: SiteQuestion, bucket: Bucket = "hour", by: TrendBy = "machine", formula: Formula = ""
) -> Question:
    return replace(question, bucket=bucket, by=names(by), formula=formula)


TrendQuestion = Annotated[Question, Depends(_trend_question)]
"""About KPIs: adds groups, bucket and formula set."""


async def _waterfall_question(
    question: SiteQuestion, bucket: Bucket = "all", by: By = "machine", formula: Formula = ""
) -> Question:
    return replace(question, bucket=bucket, by=names(by), formula=formula)


WaterfallQuestion = Annotated[Question, Depends(_waterfall_question)]
"""About where the time went: adds groups, bucket and formula set."""


async def _losses_question(question: SiteQuestion, by: By = "machine,state,reason", bucket: Bucket = "all") -> Question:
    return replace(question, bucket=bucket, by=names(by))


LossesQuestion = Annotated[Question, Depends(_losses_question)]
"""About lost time: adds groups and bucket."""


async def _stop_filter(
    state: Annotated[list[str], Query(description="States of stops; all without it.", examples=["breakdown"])] = [],  # noqa: B006
    reason: Annotated[list[str], Query(description="Keys of reasons; an empty one means without a reason.")] = [],  # noqa: B006
    product: Annotated[list[str], Query(description="Keys of products.")] = [],  # noqa: B006
    shift: Annotated[list[str], Query(description="Shifts in which stops began.")] = [],  # noqa: B006
    shortest_s: Annotated[float, Query(ge=0, le=31_536_000, description="Only stops of at least this length [s].")] = 0,
    unexplained: Annotated[bool, Query(description="Only stops that need a reason and have none.")] = False,
    order: Annotated[str, Query(description="Which come first.", json_schema_extra={"enum": [*ORDERS]})] = "latest",
    scheduled: Annotated[bool, Query(description="Only stops that began in scheduled time, not in a break.")] = False,
) -> StopFilter:
    lists = (tuple(state), tuple(reason), tuple(product), tuple(shift))
    return StopFilter(*lists, round(shortest_s * 1000), unexplained, order, scheduled)


WantedStops = Annotated[StopFilter, Depends(_stop_filter)]
"""Which stops, and in which order."""


@dataclass(frozen=True)
class AskedSites:
    """Several sites over one window. question: with its window settled, of no site yet; machines: of each site, () for all;
    zone: of the window's ends in answers.
    """

    question: Question
    machines: SiteMachines
    zone: ZoneInfo

    @property
    def window(self) -> tuple[int | None, int | None]:
        """Both ends [ns UTC]."""
        return self.question.start_ns, self.question.end_ns


async def _several_sites(
    request: Request,
    viewer: Viewing,
    _shown: Presenting,
    site: Annotated[list[str], Query(description="Whole sites.")] = [],  # noqa: B006  # FastAPI copies it
    machine: Annotated[list[str], Query(description="Single machines as site/machine.")] = [],  # noqa: B006
    start: From = "",
    end: To = "",
) -> AskedSites:
    center: CenterState = request.app.state.center
    machines = machines_of(center, viewer, site, machine)
    zones = {zone_of(center, viewer, name) for name in machines}
    zone = zones.pop() if len(zones) == 1 else ZoneInfo("UTC")
    window = [parse_time(name, text, zone) if text else None for name, text in (("from", start), ("to", end))]
    question = Question(viewer, "", start_ns=window[0], end_ns=window[1]).settled(center.now_ns())
    return AskedSites(question, machines, zone)


SeveralSites = Annotated[AskedSites, Depends(_several_sites)]
"""About machines of several sites in a window."""


async def _loss_filter(
    line: Annotated[list[str], Query(description="Keys of lines.")] = [],  # noqa: B006
    state: Annotated[list[str], Query(description="States, or steps of the waterfall that are no stops.")] = [],  # noqa: B006
    reason: Annotated[list[str], Query(description="Keys of reasons; an empty one means without a reason.")] = [],  # noqa: B006
    product: Annotated[list[str], Query(description="Keys of products.")] = [],  # noqa: B006
    shift: Annotated[list[str], Query(description="Names of shifts.")] = [],  # noqa: B006
) -> LossFilter:
    return LossFilter(tuple(line), tuple(state), tuple(reason), tuple(product), tuple(shift))


WantedLosses = Annotated[LossFilter, Depends(_loss_filter)]
"""Which losses."""


async def _holes_question(
    request: Request, viewer: Viewing, _shown: Paging, site: SiteName, start: From = "", end: To = ""
) -> Question:
    return _with_window(Question(viewer, site), request.app.state.center, start, end)


HolesQuestion = Annotated[Question, Depends(_holes_question)]
"""About a whole site in a window."""


async def _tag_filter(
    gateway: Annotated[str, Query(description="Id of the gateway; all of the site without it.")] = "",
    device: Annotated[list[str], Query(description="Devices of the site file.")] = [],  # noqa: B006
    tag: Annotated[list[str], Query(description="`device.tag`.", examples=["press-plc.oil_temp"])] = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=MAX_VALUES, description="At most so many rows, the earliest.")] = 10_000,
) -> TagFilter:
    return TagFilter(gateway, tuple(device), tuple(tag), limit)


Tags = Annotated[TagFilter, Depends(_tag_filter)]
"""Which process values, and at most how many rows."""


async def _values_question(
    request: Request,
    viewer: Viewing,
    _tags: Tags,
    site: SiteName,
    machine: Machines = [],  # noqa: B006
    start: From = "",
    end: To = "",
) -> Question:
    return _with_window(Question(viewer, site, tuple(machine)), request.app.state.center, start, end)


ValuesQuestion = Annotated[Question, Depends(_values_question)]
"""About process values of some machines' devices in a window."""


def names(text: str) -> tuple[str, ...]:
    """The names in a parameter that separates them by commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())
