"""The rules in force as people read them: what is an alert, who is told of it through which channel, and when messages wait."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from markupsafe import Markup

from center.console.draw.markup import el
from config.alerts import ALERT_KINDS, AlertKind, AlertRules, AlertsModel, RouteModel
from words import duration, number, percent, say

_CENTER: Final = ""
"""The site of alerts about the center itself."""


def rules_in_force(
    settings: AlertsModel,
    sites: Mapping[str, str],
    lines: Mapping[str, Mapping[str, str]],
    lang: str,
    *,
    center: bool,
) -> Markup:
    """The section of the page. sites: names of those that are shown; lines: of each of them, names by id; center: with the
    rule about the center itself. Channels bear their names: their addresses are secrets.
    """
    groups = _groups(settings, sites, lines)
    blocks: list[Markup | None] = []
    for (site, routes), members in groups.items():
        whole = len(groups) == 1 and len(sites) > 1
        names = [say("console.all_sites", lang)] if whole else [sites[member] for member in members]
        told = [settings.send[number_of] for number_of in routes]
        kinds = [kind for kind in ALERT_KINDS if kind != "center"]
        rules = settings.rules_of(site)
        here = {line: name for member in members for line, name in lines.get(member, {}).items()}
        blocks.append(el("h3", ", ".join(names), cls="lately"))
        blocks.append(el("p", _quiet(rules, lang), cls="faint"))
        blocks.append(_rows(rules, kinds, told, here, lang))
    if center:
        about_center = [route for route in settings.send if not route.sites and not route.lines]
        blocks.append(el("h3", say("alert.who.center", lang), cls="lately"))
        blocks.append(_rows(settings.rules_of(_CENTER), ["center"], about_center, {}, lang))
    head = el("h2", say("alert.rules", lang))
    return el(
        "section", head, el("p", say("alert.rules.note", lang), cls="soft"), *blocks, cls="panel work", id="rules"
    )


def _groups(
    settings: AlertsModel, sites: Mapping[str, str], lines: Mapping[str, Mapping[str, str]]
) -> dict[tuple[str, tuple[int, ...]], list[str]]:
    """Sites with the same rules and routes, by a site whose rules they are ("" for those of all) and the routes' numbers."""
    groups: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for site in sites:
        routes = tuple(at for at, route in enumerate(settings.send) if _of_site(route, site, lines.get(site, {})))
        groups.setdefault((site if site in settings.sites else "", routes), []).append(site)
    return groups


def _of_site(route: RouteModel, site: str, lines: Mapping[str, str]) -> bool:
    return (not route.sites or site in route.sites) and (not route.lines or any(line in lines for line in route.lines))


def _rows(
    rules: AlertRules, kinds: Iterable[AlertKind], routes: list[RouteModel], lines: Mapping[str, str], lang: str
) -> Markup:
    rows = []
    for kind in kinds:
        off = kind in rules.off
        text = say("alert.rules.off", lang) if off else _rule(rules, kind, lang)
        told = None if off else el("span", _told(routes, kind, lines, lang), cls="faint")
        who = el("div", el("b", say(f"alert.kind.{kind}", lang)), cls="who")
        rows.append(el("li", who, el("div", el("span", text, cls="what"), told), el("span")))
    return el("ul", *rows, cls="rows alerts")


def _rule(rules: AlertRules, kind: AlertKind, lang: str) -> str:
    """What has to be so for an alert of a kind."""
    if kind == "call":
        return say(
            "alert.rule.call" if rules.call.longer else "alert.rule.call.at_once", lang, **_said(rules, kind, lang)
        )
    return say(f"alert.rule.{kind}", lang, **_said(rules, kind, lang))


def _said(rules: AlertRules, kind: AlertKind, lang: str) -> dict[str, Any]:
    match kind:
        case "stop":
            states = ", ".join(say(f"state.{state}", lang).lower() for state in rules.stop.states)
            return {"longer": _s(rules.stop.longer, lang), "over": _s(rules.stop.over, lang), "states": states}
        case "no_data":
            return {"longer": _s(rules.no_data.longer, lang), "over": _s(rules.no_data.over, lang)}
        case "center":
            return {"longer": _s(rules.no_data.longer, lang)}
        case "call":
            return {"longer": _s(rules.call.longer, lang)}
        case "oee":
            points = number(rules.oee.below, lang, 0 if rules.oee.below == int(rules.oee.below) else 1)
            return {"below": points, "part": percent(rules.oee.part, lang, 0)}
        case "pieces":
            return {"behind": percent(rules.pieces.behind, lang, 0), "part": percent(rules.pieces.part, lang, 0)}
        case "coverage":
            return {"below": percent(rules.coverage.below, lang, 0), "part": percent(rules.coverage.part, lang, 0)}


def _told(routes: list[RouteModel], kind: AlertKind, lines: Mapping[str, str], lang: str) -> str:
    """Who is told of a kind, one route after another."""
    found = [_route(route, kind, lines, lang) for route in routes if not route.kinds or kind in route.kinds]
    return say("alert.told", lang, who="; ".join(found)) if found else say("alert.told.nobody", lang)


def _route(route: RouteModel, kind: AlertKind, lines: Mapping[str, str], lang: str) -> str:
    parts = []
    if route.after:
        parts.append(say("alert.told.after", lang, after=_s(route.after, lang)))
    if route.lines:
        known = ", ".join(lines[line] for line in route.lines if line in lines)
        parts.append(say("alert.told.lines", lang, lines=known))
    if kind == "call" and route.calls:
        parts.append(say("alert.told.calls", lang, calls=", ".join(route.calls)))
    if route.quiet == "ignore":
        parts.append(say("alert.told.in_quiet", lang))
    channels = ", ".join(route.to)
    return f"{channels} ({', '.join(parts)})" if parts else channels


def _quiet(rules: AlertRules, lang: str) -> str:
    if not rules.quiet:
        return say("alert.rules.no_quiet", lang)
    hours = ", ".join(f"{_clock(begin)}–{_clock(end)}" for begin, end in rules.quiet)
    return say("alert.rules.quiet", lang, hours=hours)


def _clock(time_s: int) -> str:
    return f"{time_s // 3600:02}:{time_s // 60 % 60:02}"


def _s(length_s: float, lang: str) -> str:
    return duration(length_s * 1000, lang)
