"""The benchmark for a viewer, and HTTP for it: consent, a site's own figures beside the quartiles, and the published tables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine
from typing_extensions import TypedDict

from center.api.access import Owning, Viewing, address_of
from center.api.exports import FORMATS, export
from center.api.parameters import V1, SiteName
from center.api.problems import PROBLEMS, problem
from center.database.benchmark import (
    ChangedTable,
    Consent,
    OwnFigure,
    consents,
    figures_of_site,
    members_of,
    prepare_benchmark,
    published,
    say_consent,
    table_of_quarter,
)
from center.model.times import BadQuestion, iso
from center.model.viewer import Viewer
from center.outgoing.benchmark.quarters import MILLION, QuarterTable, TableCell, is_quarter
from center.queries.question import UnknownSite, zone_of
from center.runtime.state import CenterState

RecordSaid = Callable[[Connection, str, Consent], None]
"""Enters a consent into the audit trail in its own transaction: from which address."""
MEASURES: Final = (
    "oee", "availability", "performance", "quality", "minor_stop_share", "setup_share", "unplanned_share", "changeover_min",
)  # fmt: skip
LESS_IS_BETTER: Final = frozenset({"minor_stop_share", "setup_share", "unplanned_share", "changeover_min"})
_Quarter = Annotated[str, Query(description="As 2026-Q1; empty for the last one.", max_length=7)]
_Format = Annotated[str, Query(alias="format", description="json, csv, xlsx or parquet.", max_length=10)]
_Lang = Annotated[Literal["vi", "en"], Query(description="Language of an Excel file.")]
_FILES: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {}}}}


class ConsentRequest(BaseModel):
    """That a site takes part, or no longer does."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[str, Field(max_length=64, examples=["van-long"])]
    given: bool


class ConsentAnswer(TypedDict):
    """What the owner said last."""

    given: bool
    by: str
    at: str


class OwnRow(TypedDict):
    """A site's own figure beside the quartiles of its trade. low, high: its 95 % interval; p25, p50, p75, sites: null where they
    may not be shown; weekly_minutes: what the gap to the median comes to in a week, positive where the site loses.
    """

    kind: str
    measure: str
    value: float
    low: float | None
    high: float | None
    sites: str | None
    p25: float | None
    p50: float | None
    p75: float | None
    all_trades: list[float] | None
    weekly_minutes: float | None


class BenchmarkAnswer(TypedDict):
    """A site in the benchmark. member: it counts in this year's tables; trade: as its site file says; quarters: that have a table."""

    site: str
    consent: ConsentAnswer | None
    member: bool
    trade: str
    quarter: str
    quarters: list[str]
    rows: list[OwnRow]


class TableAnswer(TypedDict):
    """A quarter's table, as it was published."""

    quarter: str
    digest: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class BenchmarkDesk:
    """Found in the application's state. All methods raise `UnknownSite` also for what the viewer may not see, `BadQuestion`, and
    `StoreUnavailable`.
    """

    center: CenterState
    engine: Engine
    record: RecordSaid

    def consent(self, viewer: Viewer, address: str, site: str, *, given: bool) -> None:
        """Gives or withdraws the site's consent. Raises `BadQuestion` where it stands so already."""
        zone_of(self.center, viewer, site)
        said = consents(self.engine, site)
        if (said[-1].given if said else False) == given:
            raise BadQuestion(f"given: site {site!r} {'takes part' if given else 'does not take part'} already")
        item = Consent(site, given, viewer.name[:80], self.center.now_ns())
        say_consent(self.engine, item, lambda connection, row: self.record(connection, address, row))

    def own(self, viewer: Viewer, site: str, quarter: str = "") -> BenchmarkAnswer:
        """A site's own figures beside what may be shown. Raises `ChangedTable`."""
        zone = zone_of(self.center, viewer, site)
        quarters, said = published(self.engine), consents(self.engine, site)
        chosen = self._quarter(quarter, quarters)
        figures = figures_of_site(self.engine, site, chosen) if chosen else []
        cells = {(cell.trade, cell.kind, cell.measure): cell for cell in self._cells(chosen)}
        last = said[-1] if said else None
        return {
            "site": site,
            "consent": {"given": last.given, "by": last.by, "at": iso(last.at_ns, zone)} if last else None,
            "member": bool(chosen) and site in members_of(self.engine, int(chosen[:4])),
            "trade": figures[0].trade if figures else "",
            "quarter": chosen,
            "quarters": quarters,
            "rows": [_row(item, cells) for item in sorted(figures, key=_order)],
        }

    def table(self, quarter: str = "") -> TableAnswer:
        """A published table. Raises `ChangedTable`."""
        chosen = self._quarter(quarter, published(self.engine))
        found = table_of_quarter(self.engine, chosen) if chosen else None
        rows = [_shown(cell) for cell in self._cells(chosen)]
        return {"quarter": chosen, "digest": found.digest if found else "", "rows": rows}

    def _cells(self, quarter: str) -> tuple[TableCell, ...]:
        found = table_of_quarter(self.engine, quarter) if quarter else None
        return QuarterTable.model_validate_json(found.content).cells if found else ()

    @staticmethod
    def _quarter(asked: str, quarters: list[str]) -> str:
        if asked and not is_quarter(asked):
            raise BadQuestion(f"quarter: {asked[:20]!r} is no quarter; write for example 2026-Q1")
        if asked and asked not in quarters:
            raise UnknownSite(f"quarter {asked} has no table; there are {', '.join(quarters) or 'none yet'}")
        return asked or (quarters[0] if quarters else "")


def _order(item: OwnFigure) -> tuple[str, int]:
    return item.kind, MEASURES.index(item.measure)


def _row(item: OwnFigure, cells: dict[tuple[str, str, str], TableCell]) -> OwnRow:
    cell = cells.get((item.trade, item.kind, item.measure))
    whole = cells.get(("", item.kind, item.measure))
    value = item.value_u / MILLION
    gap = None
    if cell is not None:
        less = 1 if item.measure in LESS_IS_BETTER else -1
        gap = less * (value - cell.p50_u / MILLION) * item.weekly_u / MILLION
    return {
        "kind": item.kind,
        "measure": item.measure,
        "value": value,
        "low": None if item.low_u is None else item.low_u / MILLION,
        "high": None if item.high_u is None else item.high_u / MILLION,
        "sites": cell.sites if cell else None,
        "p25": cell.p25_u / MILLION if cell else None,
        "p50": cell.p50_u / MILLION if cell else None,
        "p75": cell.p75_u / MILLION if cell else None,
        "all_trades": [whole.p25_u / MILLION, whole.p50_u / MILLION, whole.p75_u / MILLION] if whole else None,
        "weekly_minutes": gap,
    }


def _shown(cell: TableCell) -> dict[str, Any]:
    quartiles = {name: getattr(cell, f"{name}_u") / MILLION for name in ("p25", "p50", "p75")}
    return {"trade": cell.trade, "kind": cell.kind, "measure": cell.measure, "sites": cell.sites, **quartiles}


def add_benchmark(app: FastAPI, desk: BenchmarkDesk) -> None:
    """The routes; pages find the desk in the application's state."""
    prepare_benchmark(desk.engine)
    app.state.benchmark = desk

    @app.get(f"{V1}/benchmark", responses=PROBLEMS, response_model=BenchmarkAnswer)
    def benchmark(viewer: Viewing, site: SiteName, quarter: _Quarter = "") -> Any:
        """A site's own figures by kind of machine, beside the quartiles of its trade where these may be shown."""
        try:
            return desk.own(viewer, site, quarter)
        except ChangedTable as error:
            return changed_table(error)

    @app.get(f"{V1}/benchmark/table", responses=PROBLEMS | _FILES, response_model=TableAnswer)
    def benchmark_table(_viewer: Viewing, quarter: _Quarter = "", form: _Format = "json", lang: _Lang = "en") -> Any:
        """A quarter's table, the same for everybody: it holds nothing of one factory."""
        try:
            answer = desk.table(quarter)
        except ChangedTable as error:
            return changed_table(error)
        if form == "json":
            return answer
        if form not in FORMATS:
            raise BadQuestion(f"format: {form!r}; there are json, {', '.join(FORMATS)}")
        file = export(form, f"benchmark-{answer['quarter'] or 'none'}", answer, lang)
        head = {"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "no-store"}
        return Response(file.content, media_type=file.media_type, headers=head)

    @app.put(f"{V1}/benchmark/consent", responses=PROBLEMS)
    def benchmark_consent(viewer: Owning, request: Request, asked: ConsentRequest) -> BenchmarkAnswer:
        """The factory's owner lets the site take part, or no longer."""
        desk.consent(viewer, address_of(request), asked.site, given=asked.given)
        return desk.own(viewer, asked.site)


def changed_table(error: ChangedTable) -> Response:
    """What the database holds is not what was published."""
    detail = f"the table of {error}: what the database holds is not what was published; compare it with a backup"
    return problem(500, "changed", detail)
