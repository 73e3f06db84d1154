"""Data delivery of each gateway: backlog and its age, missing data, clock and version."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from nicegui import ui

from center.console import frame
from center.console.delivery import cards as delivery_cards
from center.console.draw.markup import el, join
from center.console.draw.names import named
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.queries import gateways
from center.queries import sites as queries
from center.queries.question import Question, zone_of
from oee.model.facts import HOUR_NS
from words import say

_EVERY_S: Final = 5.0
_DAYS_EVERY_S: Final = 60.0
_DAYS: Final = 7
SentMails = Callable[[Viewer, str], Sequence[Mapping[str, Any]]]
"""A site's latest reports that were to be sent by mail, the newest first; may raise `StoreUnavailable`."""


async def show(visit: frame.Visit, site: str, mails: SentMails | None = None, *, decides: bool = False) -> None:
    """Builds the page. site: only this one ("" is all); mails: the reports that were to be sent by mail; decides: whether there
    is a page to decide about a second box.
    """
    center, viewer, cache, lang = visit.center, visit.viewer, visit.cache, visit.lang
    site_rows = await cache.ask(1, queries.sites, center, viewer)
    chosen = [row for row in site_rows if row["id"] == site] if site else site_rows
    with frame.frame(center, lang, say("delivery.title", lang)):
        if not chosen:
            frame.show_no_site(site, lang)
            return
        head = el("h1", say("delivery.title", lang), cls="title")
        ui.html(join(head, el("p", say("delivery.promise", lang), cls="soft")), sanitize=False).classes("opening")
        store_banner, mail_banner = ui.html("", sanitize=False), ui.html("", sanitize=False)
        letters: dict[str, ui.html] = {}
        places: dict[str, tuple[ui.html, ui.html]] = {}
        for row in chosen:
            with ui.element("section").classes("site"):
                ui.html(el("h2", named(row["name"], lang, row["id"])), sanitize=False).classes("site-head")
                with ui.element("div").classes("delivery"):
                    cards = ui.html("", sanitize=False)
                    places[row["id"]] = cards, ui.html("", sanitize=False).classes("days-table")
                letters[row["id"]] = ui.html("", sanitize=False)

    async def refresh_cards() -> None:
        rows = await cache.ask(_EVERY_S * 0.9, gateways.gateways, center, viewer)
        now_ns = center.now_ns()
        for name, (cards, _) in places.items():
            zone = zone_of(center, viewer, name)
            gateways_here = [row for row in rows if row["site"] == name]
            cards.set_content(delivery_cards.cards(gateways_here, now_ns, zone, lang, decides=decides))

    async def refresh_days() -> None:
        with frame.troubles(store_banner.set_content, lang):
            for name, (_, days) in places.items():
                days.set_content(await _days(visit, name))
            if mails:
                for name, place in letters.items():
                    rows = await cache.ask(_DAYS_EVERY_S * 0.5, mails, viewer, name)
                    place.set_content(delivery_cards.mails(rows, lang))
            condition = center.health.condition("mail") if viewer.may("watch") else ""
            trouble = "" if condition in ("", "ok") else say("delivery.mail.trouble", lang, why=condition)
            mail_banner.set_content(frame.banner(trouble))
            store_banner.set_content("")

    await refresh_cards()
    await frame.wait_briefly(refresh_days())
    ui.timer(_EVERY_S, refresh_cards, immediate=False)
    ui.timer(_DAYS_EVERY_S, refresh_days, immediate=False)


async def _days(visit: frame.Visit, site: str) -> str:
    zone: ZoneInfo = zone_of(visit.center, visit.viewer, site)
    start_ns = _midnight_ns(visit.center.now_ns(), zone) - (_DAYS - 1) * 24 * HOUR_NS
    question = Question(visit.viewer, site, start_ns=start_ns)
    try:
        answer = await visit.cache.ask(_DAYS_EVERY_S * 0.9, gateways.days, visit.center, question)
    except BadQuestion:  # right after midnight the day has no complete minute yet
        return ""
    return delivery_cards.days(answer["rows"], visit.lang)


def _midnight_ns(now_ns: int, zone: ZoneInfo) -> int:
    midnight = datetime.fromtimestamp(now_ns / 1e9, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return round(midnight.timestamp()) * 1_000_000_000
