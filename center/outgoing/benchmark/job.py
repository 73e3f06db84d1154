"""Background job that makes a quarter's tables once its late data have come: by one process of the center, once."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine

from center.contract.store import StoreUnavailable
from center.database.benchmark import (
    Consent,
    OwnFigure,
    PublishedTable,
    RecordTable,
    consents,
    figures_of_site,
    members_of,
    publish,
    published,
)
from center.model.times import BadQuestion
from center.outgoing.benchmark.figures import own_figures
from center.outgoing.benchmark.quarters import MILLION, digest_of_table, last_settled, table_of_cells, written
from center.queries.question import UnknownSite
from center.runtime.background import BackgroundJob
from center.runtime.state import CenterState
from oee.benchmark.table import Contribution, members_of_year, shown_cells

CONDITION: Final = "benchmark"
"""The center's condition that says how it goes."""
_IDLE_S: Final = 3600.0
_FIRST_S: Final = 120.0


class BenchmarkJob(BackgroundJob):
    """Makes the table of the last quarter that has settled, unless there is one."""

    def __init__(
        self, center: CenterState, engine: Engine, record: RecordTable, idle_s: float = _IDLE_S, first_s: float = _FIRST_S
    ) -> None:  # fmt: skip
        super().__init__(center, CONDITION, "benchmark_errors", idle_s, first_s)
        self._engine, self._record = engine, record

    def _step(self) -> tuple[str | None, float]:
        if not self._has_lease("benchmark"):
            return None, self._idle_s
        made = make_quarter(self._center, self._engine, self._record)
        return made or "ok", self._idle_s


def make_quarter(center: CenterState, engine: Engine, record: RecordTable) -> str:
    """Makes the last settled quarter's table, if there is none and anybody has consented; returns which sites' figures could not be
    had, "" for none. Raises `StoreUnavailable`.
    """
    now_ns = center.now_ns()
    quarter = last_settled(datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).date())
    said = consents(engine)
    if quarter in published(engine) or not said:
        return ""
    year, standing = int(quarter[:4]), standing_of(said)
    fixed = members_of(engine, year)
    members = frozenset(fixed) or members_of_year(standing, now_ns)
    withdrawn = left_since(said, fixed)
    figures, failed = [], []
    for site in sorted(standing):
        try:
            figures += own_figures(center, site, quarter)
        except StoreUnavailable:
            raise
        except (UnknownSite, BadQuestion) as error:
            failed.append(f"{site}: {error}"[:300])
    before = [item for site in sorted(withdrawn & members) for item in _last_figures(engine, site, year)]
    brought = [_contribution(item) for item in figures if item.site not in withdrawn] + [
        _contribution(item) for item in before
    ]
    table = table_of_cells(quarter, shown_cells(brought, members, withdrawn & members))
    content = written(table)
    row = PublishedTable(quarter, digest_of_table(content), now_ns, content)
    publish(engine, row, None if fixed else (year, sorted(members)), figures, record)
    return "; ".join(failed)


def standing_of(said: list[Consent]) -> dict[str, int]:
    """The sites whose consent stands, and since when [ns UTC]."""
    out: dict[str, int] = {}
    for item in said:
        if not item.given:
            out.pop(item.site, None)
        else:
            out.setdefault(item.site, item.at_ns)
    return out


def left_since(said: list[Consent], fixed: dict[str, int]) -> frozenset[str]:
    """The members that have withdrawn since they were fixed, also where they came back: they stay out until the year ends."""
    gone = (item for item in said if not item.given and item.site in fixed)
    return frozenset(item.site for item in gone if item.at_ns >= fixed[item.site])


def _last_figures(engine: Engine, site: str, year: int) -> list[OwnFigure]:
    """Of who withdrew: the figures of the year's last table that it was in, so that its cells are known."""
    for quarter in published(engine):
        if quarter.startswith(f"{year}-") and (found := figures_of_site(engine, site, quarter)):
            return found
    return []


def _contribution(item: OwnFigure) -> Contribution:
    return Contribution(item.site, item.trade, item.kind, item.measure, item.weight_ms, item.value_u / MILLION)
