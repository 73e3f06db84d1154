"""Open alerts on other pages: a band that leads to their page, those of one machine, and the list on a screen in the hall. Pure."""

from collections.abc import Sequence

from markupsafe import Markup

from center.console.draw.markup import el, join
from center.console.draw.names import Row, alerts_page
from center.console.draw.time_labels import parse
from words import say

_IN_HALL = 4


def band(alerts: Sequence[Row], lang: str) -> Markup | str:
    """How many are open that nobody has taken on, with the latest one; "" for none."""
    waiting = [row for row in alerts if not row["acknowledged"]]
    if not waiting:
        return ""
    count = say("alert.banner.one", lang) if len(waiting) == 1 else say("alert.banner", lang, n=len(waiting))
    return el("a", el("b", count), el("span", waiting[0]["text"][lang]), cls="alert-band", href=alerts_page())


def of_machine(alerts: Sequence[Row], lang: str, *, machine: str, gateway: str) -> Markup | str:
    """What is open about one machine of a site, or about the gateway that reads it; each leads to its row on the page of alerts.
    "" for nothing.
    """
    own = [row for row in alerts if row["machine"] == machine or (row["gateway"] == gateway and not row["machine"])]
    return join(*(_line(row, lang) for row in own))


def _line(row: Row, lang: str) -> Markup:
    told = (
        say("alert.taken_by", lang, by=row["by"], when=f"{parse(row['acknowledged']):%H:%M}")
        if row["acknowledged"]
        else ""
    )
    return el(
        "a",
        el("b", say("alert.banner.of_machine", lang)),
        el("span", row["text"][lang], el("small", told) if told else None),
        cls=f"alert-band{' taken' if told else ''}",
        href=alerts_page(row["site"], row["id"]),
    )


def hall_list(alerts: Sequence[Row], lang: str) -> Markup | str:
    """The latest open alerts, large; "" for none."""
    if not alerts:
        return ""
    shown = [el("li", row["text"][lang], cls="" if not row["acknowledged"] else "taken") for row in alerts[:_IN_HALL]]
    more = len(alerts) - len(shown)
    if more:
        shown.append(el("li", say("work.more", lang, count=more), cls="taken"))
    return el("ul", *shown, cls="hall-alerts")
