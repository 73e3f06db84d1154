"""Findings as a worklist, and one finding in full. Pure."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

from center.api.outside import outside
from center.console.advice.pictures import picture
from center.console.advice.staged import staged
from center.console.document import button, form
from center.console.draw import time_labels
from center.console.draw.markup import el, join
from center.console.draw.names import machine_page, named
from words import moment, number, say
from words.findings import gain_text

Row = Mapping[str, Any]
HOME: Final = "/advice"
_RARE_P: Final = 1e-4
_STAGES: Final = ("open", "likely", "in_action", "watch", "closed", "dismissed", "gone")
_NAMED: Final = 8
_FOLDED: Final = ("in_action", "watch", "closed", "dismissed", "gone")


def worklist(rows: Sequence[Row], sites: Mapping[str, Mapping[str, str]], lang: str) -> Markup:
    """Findings by stage. sites: names by id and language."""
    groups = (
        (
            say(f"advice_list.stage.{stage}", lang),
            _items([row for row in rows if row["stage"] == stage], sites, lang),
            stage in _FOLDED,
            sum(row["stage"] == stage for row in rows),
        )
        for stage in _STAGES
    )
    return staged(groups, say("advice_list.nothing", lang), lang)


def _items(rows: Sequence[Row], sites: Mapping[str, Mapping[str, str]], lang: str) -> list[Markup]:
    """An item for each finding, but one for all that say the same of a site's data: they are mended together, and the rest would
    be below the first screen.
    """
    alike: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        about = (row["site"], row["rule"]) if row["about_data"] else (row["site"], row["rule"], row["id"])
        alike.setdefault(about, []).append(row)
    return [
        _item(found[0], sites, lang) if len(found) == 1 else _together(found, sites, lang) for found in alike.values()
    ]


def _together(rows: Sequence[Row], sites: Mapping[str, Mapping[str, str]], lang: str) -> Markup:
    first = rows[0]
    names = list(dict.fromkeys(named(row["machine_name"], lang, row["machine"]) for row in rows))
    text = say(
        "advice_list.together",
        lang,
        n=number(len(rows), lang),
        count=number(len(names), lang),
        machines=", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else ""),
    )
    site = named(sites.get(first["site"], {}), lang, first["site"])
    head = el("div", el("b", first["name"][lang]), el("span", site, cls="soft"), *_plates(first, lang), cls="head")
    listed = el("div", *(_item(row, sites, lang) for row in rows), cls="found")
    return el(
        "details",
        el("summary", head, el("p", text, " ", el("span", say("advice_list.open", lang), cls="go-on"))),
        listed,
        cls=f"together {first['stage']}",
    )


def _item(row: Row, sites: Mapping[str, Mapping[str, str]], lang: str) -> Markup:
    machine = named(row["machine_name"], lang, row["machine"])
    where = f"{machine} · {named(sites.get(row['site'], {}), lang, row['site'])}"
    return el(
        "a",
        el("div", el("b", row["name"][lang]), el("span", where, cls="soft"), *_plates(row, lang), cls="head"),
        el("p", row["says"][lang]),
        _gain(row, lang),
        cls=f"finding {row['stage']}",
        href=outside(f"{HOME}/{quote(row['id'], safe='')}"),
    )


def _gain(row: Row, lang: str) -> Markup | None:
    if row["gain_min"] is None:
        return None
    return el("div", el("b", gain_text(row["gain_min"], lang)), el("span", say("advice_list.a_week", lang)), cls="gain")


def _plates(row: Row, lang: str) -> list[Markup]:
    keys = [
        ("data", row["about_data"], "plate bad"),
        ("constraint", row["at_constraint"] is True, "plate all"),
        ("no_constraint", row["at_constraint"] is False, "plate"),
        ("growing", row["growing"], "plate bad"),
    ]
    return [el("span", say(f"advice_list.{key}", lang), cls=css) for key, is_so, css in keys if is_so]


def untrusted(rows: Sequence[Row], sites: Mapping[str, Mapping[str, str]], lang: str) -> Markup | None:
    """Machines of which nothing can be said, and why."""
    if not rows:
        return None
    items = [
        el(
            "li",
            el("a", named(row["machine_name"], lang, row["machine"]), href=machine_page(row["site"], row["machine"])),
            el("span", named(sites.get(row["site"], {}), lang, row["site"]), cls="soft"),
            el("span", row["says"][lang]),
        )
        for row in rows
    ]
    title = say("advice_list.not_yet", lang, count=number(len(rows), lang))
    return el("details", el("summary", title), el("ul", *items, cls="rows mute"), cls="fold")


def page(row: Row, site_name: str, zone: tzinfo, *, may_dismiss: bool, may_act: bool = False, lang: str) -> Markup:
    """One finding in full: what, how much, how sure, why it may be wrong, what to do. may_act: an action may be made of it."""
    machine = named(row["machine_name"], lang, row["machine"])
    drawn = picture(row, zone, lang)
    return join(
        el(
            "div",
            el("h1", row["name"][lang], cls="title"),
            el("p", el("a", machine, href=machine_page(row["site"], row["machine"])), f" · {site_name}", cls="soft"),
            el("div", *_plates(row, lang), cls="plates"),
            cls="opening",
        ),
        el(
            "div",
            el(
                "section",
                el("p", row["question"][lang], cls="soft"),
                el("p", row["says"][lang], cls="sentence"),
                el("div", drawn, el("p", say(f"advice_picture.of.{row['rule']}", lang), cls="soft")) if drawn else None,
                cls="panel",
            ),
            el("section", _facts(row, zone, lang), cls="panel"),
            cls="one-finding",
        ),
        _action(row, lang, may_act=may_act),
        _dismissal(row, lang) if may_dismiss else None,
    )


def _action(row: Row, lang: str, *, may_act: bool) -> Markup | None:
    """The way to the action against it, or to make one."""
    if row["action"] and row["stage"] in ("in_action", "closed"):
        link = outside(f"/actions/{quote(row['action'], safe='')}")
        return el("p", el("a", say("action_page.see", lang), cls="go act", href=link))
    if not may_act or row["about_data"] or row["stage"] not in ("open", "likely"):
        return None
    link = outside(f"/actions/new?finding={quote(row['id'], safe='')}")
    return el("p", el("a", say("action_page.make", lang), cls="go act", href=link))


def _facts(row: Row, zone: tzinfo, lang: str) -> Markup:
    def when(text: str) -> str:
        return moment(time_labels.parse(text).astimezone(zone), lang)

    proof = row["evidence"]
    gain = None
    if row["gain_min"] is not None:
        note = say("advice_page.frees_time", lang) if row["at_constraint"] is False else say("advice_page.range", lang)
        gain = (
            say("advice_page.gain", lang),
            join(el("b", gain_text(row["gain_min"], lang), cls="big"), el("small", note)),
        )
    window = say(
        "advice_page.window", lang, begin=when(proof["from"]), end=when(proof["to"]), n=number(proof["n"], lang)
    )
    dropped = say("advice_page.dropped", lang, count=number(len(proof["dropped"]), lang)) if proof["dropped"] else None
    sure = [say(f"advice_stage.{row['stage']}", lang), say("advice_page.since", lang, since=when(row["since"]))]
    if row["p"] is not None:
        key = "advice_page.chance" if row["p"] > _RARE_P else "advice_page.chance_less"
        sure.append(say(key, lang, one_in=number(1 / max(row["p"], _RARE_P), lang)))
    pairs = [
        gain,
        (say("advice_page.countermeasure", lang), el("span", row["countermeasure"][lang])),
        (say("advice_page.sure", lang), join(*(el("span", text) for text in sure))),
        (say("advice_page.doubt", lang), el("span", row["doubt"][lang])),
        (say("advice_page.data", lang), join(el("span", window), el("small", dropped) if dropped else None)),
        (say("advice_page.rule", lang), el("code", f"{row['rule']} {row['version']}")),
    ]
    if row["reason"]:
        pairs.insert(0, (say("advice_page.dismissed", lang, by=row["by"]), el("span", row["reason"])))
    return el("dl", *(el("div", el("dt", pair[0]), el("dd", pair[1])) for pair in pairs if pair))


def _dismissal(row: Row, lang: str) -> Markup:
    field = el(
        "label",
        el("span", say("advice_page.reason", lang)),
        el("textarea", "", name="reason", rows="3", maxlength="500", required=""),
    )
    body = form(
        outside(f"{HOME}/{quote(row['id'], safe='')}/dismiss"),
        el("p", say("advice_page.dismiss.note", lang), cls="soft"),
        field,
        button(say("advice_page.dismiss", lang)),
    )
    return el("details", el("summary", say("advice_page.dismiss", lang)), body, cls="fold add")
