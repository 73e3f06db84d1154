"""What the pages across sites show: range, sites and groups, as links; all of it is in their addresses."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from markupsafe import Markup

from center.api.outside import outside
from center.console import windows
from center.console.draw import time_labels
from center.console.draw.markup import el, join
from center.console.draw.names import named
from center.model.viewer import Viewer
from center.queries import sites as queries
from center.queries.question import zone_of
from center.runtime.state import CenterState
from words import moment, say

Row = Mapping[str, Any]
SPANS: Final = tuple(span for span in windows.RANGES if span not in windows.SHIFTS)
"""Shifts differ from site to site; whole days do not."""
_SPAN: Final = "7d"


@dataclass(frozen=True)
class AskedPeriod:
    """A page's address: its path, range and everything else that was chosen."""

    path: str
    view: windows.View
    words: Mapping[str, str]

    def with_words(self, **changes: str | None) -> str:
        """The address with other words; None leaves one out."""
        words = {"span": self.view.span, "first": self.view.first, "last": self.view.last}
        kept = {name: text for name, text in words.items() if text} | {**self.words} | changes
        return outside(f"{self.path}?{urlencode({name: text for name, text in kept.items() if text is not None})}")

    @property
    def range_words(self) -> dict[str, str]:
        """The range as other pages name it."""
        words = {"span": self.view.span, "first": self.view.first, "last": self.view.last}
        return {name: text for name, text in words.items() if text}


def period_of(path: str, query: Mapping[str, str], known: Iterable[str]) -> AskedPeriod:
    """What an address asks for; known: the words beside the range that the page understands."""
    view = windows.view(query.get("span", _SPAN), "", query.get("first", ""), query.get("last", ""))
    if view.span in windows.SHIFTS or query.get("span", _SPAN) not in (*windows.RANGES, windows.DATES):
        view = windows.view(_SPAN, "")
    return AskedPeriod(path, view, {name: query[name] for name in known if name in query})


def window_of(center: CenterState, viewer: Viewer, site: str, view: windows.View) -> tuple[tuple[int, int], ZoneInfo]:
    """The window [ns], in the zone of the site, or of the first one where all are asked for."""
    names = [site] if site else viewer.seen(center.ledger_cache.sites.ids())
    zone = zone_of(center, viewer, names[0]) if names else ZoneInfo("UTC")
    shown = windows.window_of(view, None, zone, center.now_ns())
    return (shown.start_ns, shown.end_ns), zone


def chosen_range(period: AskedPeriod, window: tuple[int, int], zone: ZoneInfo, lang: str) -> Markup:
    """The ranges as links, two fields for any dates, and the window in words."""
    links = _segment(
        SPANS,
        period.view.span,
        lambda span: period.with_words(span=span, first=None, last=None),
        lambda span: say(f"console.span.{span}", lang),
    )
    hidden = (el("input", type="hidden", name=name, value=text) for name, text in period.words.items())
    fields = (
        el(
            "input",
            type="date",
            name=end,
            value=getattr(period.view, end)[:10] or None,
            aria_label=say(f"console.dates.{end}", lang),
            title=say(f"console.dates.{end}", lang),
            required="",
        )
        for end in ("first", "last")
    )
    form = el(
        "form",
        *hidden,
        el("input", type="hidden", name="span", value=windows.DATES),
        *fields,
        el("button", say("report.show", lang), cls="quiet", type="submit"),
        cls="dates",
        action=outside(period.path),
    )
    begin, end = (moment(time_labels.local(t_ns, zone), lang) for t_ns in window)
    return el("div", links, form, el("span", f"{begin} – {end}", cls="window"), cls="controls")


def chosen_by(period: AskedPeriod, choices: Iterable[str], chosen: str, lang: str) -> Markup:
    """What the rows are, as links."""
    links = _segment(choices, chosen, lambda by: period.with_words(by=by), lambda by: say(f"across.by.{by}", lang))
    return el("div", links, cls="controls")


def chosen_site(period: AskedPeriod, sites: Iterable[Row], chosen: str, lang: str) -> Markup | None:
    """The sites as links; nothing where there is one only."""
    choices = {"": say("console.all_sites", lang)} | {row["id"]: named(row["name"], lang, row["id"]) for row in sites}
    if len(choices) < 3:
        return None
    links = (
        el("a", text, href=period.with_words(site=key or None, line=None), cls=f"pill{' on' if key == chosen else ''}")
        for key, text in choices.items()
    )
    return el("div", el("nav", *links, cls="pills"), cls="filters")


def _segment(choices: Iterable[str], chosen: str, address: Callable[[str], str], name: Callable[[str], str]) -> Markup:
    links = (
        el(
            "a",
            name(key),
            href=address(key),
            cls="on" if key == chosen else "",
            aria_current="true" if key == chosen else None,
        )
        for key in choices
    )
    return el("nav", *links, cls="seg")


def site_names(center: CenterState, viewer: Viewer, chosen: Iterable[str]) -> dict[str, Row]:
    """Of each site the names of its machines, lines, products and reasons."""
    out: dict[str, Row] = {}
    for site in chosen:
        rows = queries.machines(center, viewer, site)
        details = queries.site(center, viewer, site)
        out[site] = {
            "name": details["name"],
            "reasons": details["reasons"],
            "products": details["products"],
            "machines": {row["id"]: row["name"] for row in rows},
            "lines": {span["line"]: span["line_name"] for row in rows for span in row.get("lines", ())},
        }
    return out


def excel(path: str, words: Mapping[str, Any], lang: str) -> Markup:
    """A link to the rows behind a page as a file."""
    query = urlencode({**words, "format": "xlsx", "lang": lang}, doseq=True)
    address = outside(f"/api/v1/{path}?{query}")
    return el("span", el("a", "Excel", href=address, download="", title=say("console.excel", lang)), cls="file")


def page_head(title: str, note: str, *links: Markup) -> Markup:
    """The head of a page across sites."""
    return join(
        el("div", el("h1", title, cls="title"), el("p", note, cls="soft"), *links, cls="opening"),
    )
