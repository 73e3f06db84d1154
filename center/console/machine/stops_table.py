"""A machine's stops as a table. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from center.console.draw import time_labels
from center.console.draw.glyphs import GLYPHS
from center.console.draw.markup import el, join
from center.console.draw.names import product_name, reason_name
from center.console.machine.timeline import Unwanted
from oee.model.states import NEEDS_REASON
from words import duration, say

Row = Mapping[str, Any]
PAGE: Final = 12
_EXPLAINED: Final = frozenset({"unplanned_stop", "breakdown", "minor_stop", "unknown"})
"""States of stops that a person can explain."""
_NEEDS_REASON: Final = frozenset(state.word for state in NEEDS_REASON)
_SOURCES: Final = frozenset({"plc", "count", "product", "calendar"})
_HEAD: Final = ("start", "duration", "state", "reason", "by", "product")


def table(
    rows: Sequence[Row],
    site: Row,
    now_ns: int,
    lang: str,
    unwanted: Sequence[Unwanted],
    explain: Callable[..., str] | None = None,
) -> Markup:
    """The table. rows: of one page, as answers have them; unwanted: breaks and time outside shifts; explain: address of the page that declares
    the reason of a stop with that `from` and `to`, None where the viewer may not.
    """
    if not rows:
        return el("div", say("console.no_stops", lang), cls="empty")
    heads = [el("th", say(f"console.stops.{name}", lang), cls="num" if name == "duration" else "") for name in _HEAD]
    body = [_row(row, site, now_ns, lang, unwanted, explain) for row in rows]
    return el("table", el("thead", el("tr", *heads)), el("tbody", *body), cls="stops")


def _row(
    row: Row,
    site: Row,
    now_ns: int,
    lang: str,
    unwanted: Sequence[Unwanted],
    explain: Callable[..., str] | None,
) -> Markup:
    begin_ns = time_labels.parse_ns(row["start"])
    end_ns = time_labels.parse_ns(row["end"]) if row["end"] else max(now_ns, begin_ns)
    begin = time_labels.parse(row["start"])
    state = el("span", GLYPHS[row["state"]], say(f"state.{row['state']}", lang), cls="what")
    off = next((why for low, high, why in unwanted if low <= begin_ns < high), "")
    length = duration((end_ns - begin_ns) // 1_000_000, lang)
    return el(
        "tr",
        el(
            "td", join(el("span", time_labels.day(begin, lang), cls="faint"), " ", f"{begin:%H:%M:%S}"), cls="at nowrap"
        ),
        el("td", length, el("span", " …", title=say("console.going_on", lang)) if not row["end"] else None, cls="num"),
        el("td", state, el("span", say(f"calendar.{off}", lang), cls="off") if off else None, cls="first"),
        el(
            "td",
            _reason(row, site["reasons"], lang, needed=not off),
            None if off else _explain(row, explain, lang),
            cls="why",
        ),
        el("td", _by(row["by"], lang), cls="by soft"),
        el("td", _products(row, site["products"], lang), cls="made soft"),
        cls=f"s-{row['state']}{' rest' if off else ''}",
    )


def _reason(row: Row, reasons: Mapping[str, Row], lang: str, *, needed: bool) -> Markup | None:
    if row["reason"]:
        return el("span", reason_name(row["reason"], reasons, lang))
    if needed and row["state"] in _NEEDS_REASON:
        return el("span", say("reason.none", lang), cls="none")
    return None


def _explain(row: Row, explain: Callable[..., str] | None, lang: str) -> Markup | None:
    """A link to declare the reason, for stops that are over and of a state that a person can explain."""
    if explain is None or not row["end"] or row["state"] not in _EXPLAINED:
        return None
    href = explain(**{"from": row["start"], "to": row["end"]})
    return el("a", say("console.declare.explain", lang), href=href, cls="explain")


def _by(by: str, lang: str) -> str:
    return say(f"console.by.{by}", lang) if by in _SOURCES else by


def _products(row: Row, products: Mapping[str, Row], lang: str) -> str:
    before = product_name(row["product"], products, lang)
    return f"{before} → {product_name(row['to_product'], products, lang)}" if row["to_product"] else before
