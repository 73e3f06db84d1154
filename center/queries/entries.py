"""Whether an entry of rejects or rework can be right, by what the store has of its time."""

from center.model.viewer import Viewer
from center.queries.question import Question
from center.queries.trend import trend
from center.runtime.state import CenterState
from oee.kpi.entries import MoreThanMade, more_than_made
from oee.model.declarations import ENTRIES, Declaration
from oee.model.facts import FACT_COLUMNS, MINUTE_NS


def doubt(center: CenterState, viewer: Viewer, site: str, item: Declaration) -> MoreThanMade | None:
    """What is wrong with an entry of more pieces than were made; None where it can be right. What a gateway has not sent yet
    is not counted. Raises `StoreUnavailable` or `UnknownSite`.
    """
    if item.field not in ENTRIES or item.end_ns is None:
        return None
    end_ns = -(-item.end_ns // MINUTE_NS) * MINUTE_NS
    asked = Question(viewer, site, (item.machine,), item.start_ns, end_ns, by=("calendar", "product"), kpis=())
    rows = [row["sums"] for row in trend(center, asked)["rows"] if item.product in ("", row.get("product"))]
    return more_than_made(item.field, item.value, {name: sum(row[name] for row in rows) for name in FACT_COLUMNS})
