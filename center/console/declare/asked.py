"""What a page of declarations asks about: the stop, and what may be chosen for it. Queries the store."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from center.console.declare.form import Asked, choices
from center.console.draw import time_labels
from center.model.times import BadQuestion, parse_time
from center.model.viewer import Viewer
from center.queries.losses import losses
from center.queries.question import Question, zone_of
from center.queries.stops import stops
from center.queries.trend import trend
from center.runtime.state import CenterState
from oee.model.facts import MINUTE_NS

Row = Mapping[str, Any]
_USED_NS: Final = 30 * 86_400_000_000_000
"""How far back use counts."""


def asked(center: CenterState, viewer: Viewer, target: tuple[str, str], window: tuple[str, str], details: Row) -> Asked:
    """target: site and machine; window: `from` and `to` as the address has them; details: the site's.

    Raises `UnknownSite` or `StoreUnavailable`.
    """
    site, machine = target
    lately = Question(viewer, site, start_ns=center.now_ns() - _USED_NS)
    lost = losses(center, replace(lately, by=("machine", "reason")))["rows"]
    made = trend(center, replace(lately, by=("machine", "product"), kpis=()))["rows"]
    return Asked(
        _stop(center, viewer, target, window),
        choices(details["reasons"], ((row["machine"] or "", row["reason"] or "", row["ms"]) for row in lost), machine),
        choices(
            details["products"],
            ((row["machine"], row["product"] or "", row["sums"]["pieces_total"]) for row in made),
            machine,
        ),
    )


def _stop(center: CenterState, viewer: Viewer, target: tuple[str, str], window: tuple[str, str]) -> Row | None:
    if not all(window):
        return None
    zone = zone_of(center, viewer, target[0])
    try:
        start_ns, end_ns = (parse_time(name, text, zone) for name, text in zip(("from", "to"), window, strict=True))
        rows = stops(center, Question(viewer, target[0], (target[1],), start_ns, end_ns + MINUTE_NS))["rows"]
    except BadQuestion:
        return None
    for row in rows:
        if row["end"] and (time_labels.parse_ns(row["start"]), time_labels.parse_ns(row["end"])) == (start_ns, end_ns):
            return row
    return None
