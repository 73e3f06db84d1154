"""KPI values as text and drawing: a ratio, its bounds, the reason why it is null. Pure."""

from typing import Final

from markupsafe import Markup

from center.console.draw.markup import el, join, share
from center.console.draw.names import Row
from oee.model.facts import STATE_COLUMNS
from words import percent, say

_NARROW: Final = 0.02
"""Bounds of OEE that are no further apart say nothing that a reader would act upon."""
FULLY_COVERED: Final = 0.98


def uncertain(kpis: Row) -> bool:
    """Whether OEE may be shown only together with its bounds and its coverage: too much of the scheduled time, or of the
    pieces, is not known.
    """
    low, high, coverage = kpis["oee_low"], kpis["oee_high"], kpis["coverage"]
    wide = low is not None and high is not None and high - low > _NARROW
    return wide or (coverage is not None and coverage < FULLY_COVERED)


def headline(row: Row) -> str:
    """The KPI that a large figure shows: OEE, or A × P where nothing but quality is missing."""
    quality_is_missing = row["kpis"]["oee"] is None and row["why_null"].get("oee") == "quality_not_known"
    return "availability_performance" if quality_is_missing else "oee"


def at_most(row: Row, lang: str) -> str | None:
    """What OEE can be at most, in words, where it is not known itself."""
    high = row["kpis"]["oee_high"]
    if row["kpis"]["oee"] is not None or high is None or not row["kpis"]["coverage"]:
        return None
    return say("console.oee_at_most", lang, high=percent(high, lang))


def why_null(row: Row, kpi: str, lang: str) -> str:
    """The sentence that explains why a KPI is null. Before the first minute is complete that is the whole reason."""
    why = row["why_null"][kpi] if any(row["sums"][name] for name in STATE_COLUMNS) else "no_minute"
    return say(f"why_null.{why}", lang)


def big(ratio: float | None, lang: str) -> Markup:
    """A ratio as a large number with a small sign; null is a dash."""
    if ratio is None:
        return Markup("–")
    text = percent(ratio, lang)
    return join(text.rstrip("%\u00a0"), el("small", "%"))


def bounds(kpis: Row, lang: str) -> Markup:
    """The range in which OEE lies, drawn on a line from 0 to 100 %, with the value as a mark."""
    low, high, value = kpis["oee_low"], kpis["oee_high"], kpis["oee"]
    if low is None or high is None:
        return el("div", cls="bounds")
    note = say("console.bounds_note", lang, low=percent(low, lang), high=percent(high, lang))
    return el(
        "div",
        el("i", style=f"left:{share(low)};right:{share(1 - high)}"),
        el("b", style=f"left:{share(value)}") if value is not None else None,
        cls="bounds",
        data_tip=note,
    )


def lies_between(kpis: Row, lang: str) -> str | None:
    """The bounds of OEE in words; None where they are unknown or equal as displayed."""
    low, high = percent(kpis["oee_low"], lang), percent(kpis["oee_high"], lang)
    if kpis["oee_low"] is None or low == high:
        return None
    return say("console.lies_between", lang, low=low, high=high)
