"""Which stops a machine's page lists, as its address says it, and as words above the list. Pure but for addresses.

What is clicked (a bar, a point, a colour of the band) is written as the same words: `data-pick` of the element.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Any, Final
from urllib.parse import urlencode

from markupsafe import Markup

from center.console.draw import time_labels
from center.console.draw.markup import el
from center.console.draw.names import product_name, reason_name
from center.model.times import MAX_NS
from center.queries.stops import StopFilter
from oee.model.facts import MS_NS, NO_SHIFT
from words import moment, say

Row = Mapping[str, Any]
Address = Callable[[Mapping[str, str]], str]
"""The address of the page with these words of a filter."""
STATES: Final = ("breakdown", "unplanned_stop", "minor_stop", "setup", "starved", "blocked", "planned_stop", "unknown")


def filter_of(words: Mapping[str, str]) -> StopFilter:
    """The filter that an address names; what it does not understand filters nothing. An empty `reason` asks for stops
    without one.
    """
    order, shortest = words.get("stops", ""), words.get("min", "")
    return StopFilter(
        states=tuple(state for state in words.get("states", "").split(",") if state in STATES),
        reasons=(words["reason"],) if "reason" in words else (),
        products=(words["product"],) if words.get("product") else (),
        shifts=(words["shift"],) if words.get("shift") else (),
        shortest_ms=int(shortest) * 1000 if shortest.isdecimal() and len(shortest) < 8 else 0,
        unexplained=order == "unexplained",
        order="longest" if order in ("longest", "unexplained") else "latest",
        between=_between(words.get("within", "")),
    )


def _between(text: str) -> tuple[int, int] | None:
    low, _, high = text.partition("-")
    if not (low.isdecimal() and high.isdecimal() and max(len(low), len(high)) < 14):
        return None
    begin_ns, end_ns = int(low) * MS_NS, int(high) * MS_NS
    return (begin_ns, end_ns) if begin_ns < end_ns <= MAX_NS else None


def filter_words(wanted: StopFilter) -> dict[str, str]:
    """The filter as an address names it."""
    words = {
        "stops": "" if order_of(wanted) == "latest" else order_of(wanted),
        "min": str(wanted.shortest_ms // 1000) if wanted.shortest_ms else "",
        "states": ",".join(wanted.states),
        "product": "".join(wanted.products[:1]),
        "shift": "".join(wanted.shifts[:1]),
        "within": "-".join(str(t_ns // MS_NS) for t_ns in wanted.between) if wanted.between else "",
    }
    return {name: text for name, text in words.items() if text} | dict(zip(["reason"], wanted.reasons, strict=False))


def order_of(wanted: StopFilter) -> str:
    """The order as the page names it."""
    return "unexplained" if wanted.unexplained else wanted.order


def pick(**words: str) -> str:
    """What a click on a picture asks for, as the query of an address. words: as `filter_words` has them."""
    return urlencode(words)


def within(span_ns: tuple[int, int]) -> str:
    """The word of a filter for stops that touch a span."""
    return "-".join(str(t_ns // MS_NS) for t_ns in span_ns)


def chosen(wanted: StopFilter, site: Row, zone: tzinfo, lang: str, address: Address) -> Markup:
    """What was picked, each with a link that takes it away; nothing where nothing was picked. address: of the page with
    these words.
    """
    parts: list[tuple[str, StopFilter]] = []
    if wanted.reasons:
        name = reason_name(wanted.reasons[0], site["reasons"], lang) if wanted.reasons[0] else say("reason.none", lang)
        parts.append((name, replace(wanted, reasons=())))
    if wanted.products:
        parts.append((product_name(wanted.products[0], site["products"], lang), replace(wanted, products=())))
    if wanted.shifts:
        shift = wanted.shifts[0]
        name = say("calendar.outside", lang) if shift == NO_SHIFT else say("console.shift", lang, name=shift)
        parts.append((name, replace(wanted, shifts=())))
    if wanted.between:
        begin, end = (time_labels.local(t_ns, zone) for t_ns in wanted.between)
        until = f"{end:%H:%M}" if begin.date() == end.date() else moment(end, lang)
        parts.append((f"{moment(begin, lang)} – {until}", replace(wanted, between=None)))
    links = []
    for text, without in parts:
        words = filter_words(without)
        label = say("console.stops.any", lang, what=text)
        links.append(
            el(
                "a",
                text,
                el("span", " ✕", aria_hidden="true"),
                cls="pill on",
                href=address(words),
                data_pick=urlencode(words),
                title=label,
                aria_label=label,
            )
        )
    return el("div", *links, cls="pills picked") if links else Markup("")
