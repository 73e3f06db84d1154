"""Open alerts on other pages: a band that leads to their page, and the list on a screen in the hall. Pure."""

from collections.abc import Sequence

from markupsafe import Markup

from center.console.draw.markup import el
from center.console.draw.names import Row, alerts_page
from words import say

_IN_HALL = 4


def band(alerts: Sequence[Row], lang: str) -> Markup | str:
    """How many are open that nobody has taken on, with the latest one; "" for none."""
    waiting = [row for row in alerts if not row["acknowledged"]]
    if not waiting:
        return ""
    count = say("alert.banner.one", lang) if len(waiting) == 1 else say("alert.banner", lang, n=len(waiting))
    return el("a", el("b", count), el("span", waiting[0]["text"][lang]), cls="alert-band", href=alerts_page())


def hall_list(alerts: Sequence[Row], lang: str) -> Markup | str:
    """The latest open alerts, large; "" for none."""
    if not alerts:
        return ""
    shown = [el("li", row["text"][lang], cls="" if not row["acknowledged"] else "taken") for row in alerts[:_IN_HALL]]
    more = len(alerts) - len(shown)
    if more:
        shown.append(el("li", say("work.more", lang, count=more), cls="taken"))
    return el("ul", *shown, cls="hall-alerts")
