"""Actions as a list with their total, and one action in full. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date, tzinfo
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

from center.api.outside import outside
from center.console.advice.action_picture import action_picture
from center.console.advice.staged import staged
from center.console.document import button, form
from center.console.draw import time_labels
from center.console.draw.markup import Child, el, join
from center.console.draw.names import machine_page, named
from words import day_text, moment, number, say
from words.actions import change_text, least_text, range_text, signed, value_text, why_text

Row = Mapping[str, Any]
HOME: Final = "/actions"
_STATES: Final = ("draft", "registered", "working", "measuring", "judged", "standardised", "given_up")
_FOLDED: Final = ("standardised", "given_up")
_CSS: Final = {"verified": "plate all", "likely": "plate all", "worse": "plate bad"}


def page_of(number_of: str, *more: str) -> str:
    """The address of an action's page, or of something below it."""
    return outside("/".join((HOME, quote(number_of, safe=""), *more)))


def total(answer: Row, lang: str) -> Markup | None:
    """What all judged actions brought together; None before the first."""
    whole = answer["total"]
    judged = sum(whole["counts"].values())
    if not judged:
        return el("p", say("action_list.none_judged", lang, open=number(whole["open"], lang)), cls="soft")
    counts = [
        f"{number(count, lang)} {say(f'action_result.{key}', lang).lower()}"
        for key, count in whole["counts"].items()
        if count
    ]
    notes = [
        say("action_list.total.note", lang, judged=number(judged, lang), counts=", ".join(counts)),
        say("action_list.total.shown_only", lang, minutes=signed(whole["shown_only"], lang, 0)),
        say("action_list.total.open", lang, open=number(whole["open"], lang)),
    ]
    if whole["exploratory"]:
        notes.append(say("action_list.total.exploratory", lang, count=number(whole["exploratory"], lang)))
    return el(
        "section",
        el("p", say("action_list.total", lang), cls="soft"),
        el("p", el("b", range_text(whole["minutes"], lang, "minutes")), cls="big"),
        el("p", " ".join(notes), cls="soft"),
        cls="panel whole",
    )


def listed(rows: Sequence[Row], sites: Mapping[str, Mapping[str, str]], lang: str) -> Markup:
    """Actions by state. sites: names by id and language."""
    groups = (
        (
            say(f"action_state.{state}", lang),
            [_item(row, sites, lang) for row in rows if row["state"] == state],
            state in _FOLDED,
            sum(row["state"] == state for row in rows),
        )
        for state in _STATES
    )
    return staged(groups, say("action_list.nothing", lang), lang)


def _item(row: Row, sites: Mapping[str, Mapping[str, str]], lang: str) -> Markup:
    where = f"{_machines(row, lang)} · {named(sites.get(row['site'], {}), lang, row['site'])}"
    verdict, plan = row["verdict"], row["plan"]
    if verdict:
        text = verdict["says"][lang]
    else:
        text = say(
            "action_list.plan",
            lang,
            what=plan["name"][lang],
            after_from=_day(plan["after_from"], lang),
            after_to=_day(plan["after_to"], lang),
            owner=row["owner"],
        )
    gain = None
    if verdict and (verdict["minutes"] or verdict["kwh"]):
        unit, limits = (
            ("duration.min", verdict["minutes"]) if verdict["minutes"] else ("action_unit.kwh", verdict["kwh"])
        )
        worth = say(unit, lang, n=signed(limits["value"], lang, 0))
        gain = el("div", el("b", worth), el("span", say("advice_list.a_week", lang)), cls="gain")
    return el(
        "a",
        el("div", el("b", row["what"]), el("span", where, cls="soft"), *_plates(row, lang), cls="head"),
        el("p", text),
        gain,
        cls=f"finding {'open' if row['state'] in ('working', 'measuring', 'judged') else row['state']}",
        href=page_of(row["id"]),
    )


def _machines(row: Row, lang: str) -> str:
    return ", ".join(named(name, lang, key) for key, name in zip(row["machines"], row["machine_names"], strict=True))


def _plates(row: Row, lang: str) -> list[Markup]:
    out = []
    if row["verdict"]:
        out.append(el("span", row["verdict"]["name"][lang], cls=_CSS.get(row["verdict"]["result"], "plate")))
    if row["exploratory"]:
        out.append(el("span", say("action_page.exploratory", lang), cls="plate bad"))
    return out


def page(row: Row, site_name: str, zone: tzinfo, rights: Mapping[str, bool], lang: str) -> Markup:
    """One action in full. rights: `write` and `aim` of the viewer."""
    machines = [
        el("a", named(name, lang, key), href=machine_page(row["site"], key))
        for key, name in zip(row["machines"], row["machine_names"], strict=True)
    ]
    where = join(*(join(", " if k else "", link) for k, link in enumerate(machines)), f" · {site_name}")
    state = el("span", row["state_name"][lang], cls="plate")
    drawn = action_picture(row, lang)
    picture = el("div", drawn, el("p", say("action_picture.note", lang), cls="soft")) if drawn else None
    return join(
        el(
            "div",
            el("h1", row["what"], cls="title"),
            el("p", where, cls="soft"),
            el("div", state, *_plates(row, lang), cls="plates"),
            cls="opening",
        ),
        el(
            "div",
            el("section", *_sentences(row, lang), picture, _beside(row, lang), cls="panel"),
            el("section", _facts(row, zone, lang), cls="panel"),
            cls="one-finding",
        ),
        _steps(row, lang) if rights["aim"] else None,
        _files(row, zone, lang, may_write=rights["write"]),
        _history(row, zone, lang, may_write=rights["write"]),
    )


def _sentences(row: Row, lang: str) -> list[Child]:
    verdict = row["verdict"]
    out: list[Child] = []
    if row["exploratory"]:
        out.append(el("p", say("action_page.exploratory.note", lang), cls="said bad"))
    if verdict:
        out.append(el("p", verdict["says"][lang], cls="sentence"))
        if verdict["change"] and verdict["why"]:
            out.append(el("ul", *(el("li", why_text(key, lang)) for key in verdict["why"]), cls="whys"))
        if row["first_verdict"]:
            text = f"{say('action_page.first', lang)} {row['first_verdict']['says'][lang]}"
            out.append(el("p", text, cls="soft"))
    elif row["state"] == "draft":
        out.append(_told(row, lang))
    else:
        out.append(
            el(
                "p",
                say(f"action_page.{_waiting(row)}", lang, until=_day(row["plan"]["after_to"], lang)),
                cls="sentence",
            )
        )
    for later in row["later"]:
        text = say(
            "action_page.later",
            lang,
            months=number(later["months"], lang),
            held=say(f"action_held.{later['held']}", lang),
        )
        out.append(el("p", el("b", text), " ", later["verdict"]["says"][lang]))
    return out


def _waiting(row: Row) -> str:
    return "measuring" if row["state"] == "measuring" else "waiting"


def _told(row: Row, lang: str) -> Markup:
    """What the plan could show: told before it is registered."""
    told, metric = row["told"], row["plan"]["metric"]
    if told is None:
        return el("p", say("action_told.no_history", lang), cls="said bad")
    least = least_text(metric, told["effect"], lang)
    parts: list[Child] = [
        el(
            "p",
            say(
                "action_told.least_kwh" if metric == "energy" else "action_told.least",
                lang,
                before=number(told["days_before"], lang),
                after=number(told["days_after"], lang),
                least=least,
                minutes=number(told["minutes"], lang) if told["minutes"] is not None else "—",
                level=value_text(metric, told["level"], lang),
            ),
            cls="sentence",
        )
    ]
    if told["sees_expected"] is False:
        offers = [say("action_told.offer.loss", lang)] if metric == "oee" else []
        if told["enough_days"]:
            offers.append(say("action_told.offer.days", lang, days=number(told["enough_days"], lang)))
        if not told["controls"]:
            offers.append(say("action_told.offer.controls", lang))
        expected = number(row["plan"]["expected_min"], lang)
        parts.append(el("p", say("action_told.too_small", lang, expected=expected), cls="said bad"))
        parts.append(el("ul", *(el("li", text) for text in offers), cls="whys") if offers else None)
    elif told["sees_expected"]:
        parts.append(el("p", say("action_told.enough", lang), cls="said good"))
    if not row["plan"]["fresh"]:
        parts.append(el("p", say("action_told.not_fresh", lang), cls="said bad"))
    return join(*parts)


def _beside(row: Row, lang: str) -> Markup | None:
    """What was looked at beside the verdict: mix, changeovers, controls, guards, timing."""
    verdict, metric = row["verdict"], row["plan"]["metric"]
    if not verdict or not verdict["change"]:
        return None
    rows: list[tuple[str, str]] = []
    if verdict["raw"] is not None:
        raw = dict.fromkeys(("value", "low", "high"), verdict["raw"])
        text = change_text(metric, raw, lang).split(" (")[0]
        rows.append((say("action_beside.raw", lang), text))
    before, after = verdict["setups_per_100h"]
    rows.append((say("action_beside.setups", lang), f"{number(before, lang, 1)} → {number(after, lang, 1)}"))
    for name, value in verdict["controls"].items():
        change = change_text(metric, {"value": value, "low": value, "high": value}, lang).split(" (")[0]
        rows.append((say("action_beside.control", lang, machine=name), change))
    if verdict["season"]:
        rows.append((say("action_beside.season", lang), change_text(metric, verdict["season"], lang)))
    for name, limits in verdict["guards"].items():
        text = change_text("oee", limits, lang) if name == "oee" else range_text(limits, lang, "minutes")
        rows.append((say(f"action_guard.{name}", lang), text))
    if verdict["changed_on"]:
        key = "action_beside.changed_early" if verdict["changed_early"] else "action_beside.changed"
        rows.append((say(key, lang), _day(verdict["changed_on"], lang)))
    days = [
        say("action_beside.days_of", lang, days=number(n, lang), dropped=number(odd, lang))
        for n, odd in zip(verdict["days"], verdict["dropped"], strict=True)
    ]
    rows.append((say("action_beside.days", lang), " → ".join(days)))
    return el("dl", *(el("div", el("dt", name), el("dd", text)) for name, text in rows), cls="besides")


def _facts(row: Row, zone: tzinfo, lang: str) -> Markup:
    plan = row["plan"]

    def window(part: str) -> str:
        return f"{_day(plan[f'{part}_from'], lang)} – {_day(plan[f'{part}_to'], lang)}"

    cost = None
    if row["cost"] is not None:
        cost = (say("action_page.cost", lang), f"{number(row['cost'], lang)} {row['currency']}")
    finding = None
    if row["finding"]:
        link = el("a", say("action_page.finding.link", lang), href=outside(f"/advice/{quote(row['finding'], safe='')}"))
        finding = (say("action_page.finding", lang), link)
    frozen = None
    if row["frozen"]:
        last = row["frozen"][-1]
        at = moment(time_labels.parse(last["at"]).astimezone(zone), lang)
        note = say("action_page.frozen.by", lang, at=at, by=last["by"])
        if len(row["frozen"]) > 1:
            note += " " + say("action_page.frozen.times", lang, count=number(len(row["frozen"]), lang))
        frozen = (say("action_page.frozen", lang), join(el("span", note), el("small", el("code", last["digest"][:16]))))
    expected = None
    if plan["expected_min"]:
        expected = (
            say("action_page.expected", lang),
            say("action_page.minutes", lang, n=number(plan["expected_min"], lang)),
        )
    pairs: list[tuple[str, Child] | None] = [
        (say("action_page.owner", lang), row["owner"]),
        (say("action_page.method", lang), row["method"]) if row["method"] else None,
        (say("action_page.cause", lang), row["cause"]) if row["cause"] else None,
        cost,
        finding,
        (say("action_page.metric", lang), plan["name"][lang]),
        (say("action_page.before", lang), window("before")),
        (say("action_page.work", lang), window("work")),
        (say("action_page.after", lang), window("after")),
        (say("action_page.controls", lang), ", ".join(plan["controls"]) or say("action_page.no_controls", lang)),
        expected,
        frozen,
        (say("action_page.note", lang), row["note"]) if row["note"] else None,
    ]
    return el("dl", *(el("div", el("dt", pair[0]), el("dd", pair[1])) for pair in pairs if pair))


def _steps(row: Row, lang: str) -> Markup | None:
    """What may be done next."""
    state, number_of = row["state"], row["id"]
    parts: list[Child] = []
    if state == "draft":
        parts.append(
            form(
                page_of(number_of, "register"),
                el("p", say("action_page.register.note", lang), cls="soft"),
                button(say("action_page.register", lang)),
                cls="form step",
            )
        )
    if state in ("draft", "registered", "working", "measuring"):
        key = "edit" if state == "draft" else "revise"
        parts.append(el("p", el("a", say(f"action_page.{key}", lang), href=page_of(number_of, "edit"))))
    if state == "judged":
        parts.append(_noted(number_of, "standardise", lang))
    if state not in ("standardised", "given_up"):
        parts.append(_noted(number_of, "give_up", lang))
    return el("div", *parts, cls="steps") if parts else None


def _noted(number_of: str, kind: str, lang: str) -> Markup:
    body = form(
        page_of(number_of, kind),
        el("p", say(f"action_page.{kind}.note", lang), cls="soft"),
        _text("text", say(f"action_page.{kind}.text", lang)),
        button(say(f"action_page.{kind}", lang)),
    )
    return el("details", el("summary", say(f"action_page.{kind}", lang)), body, cls="fold add")


def _text(name: str, label: str) -> Markup:
    return el("label", el("span", label), el("textarea", "", name=name, rows="3", maxlength="2000", required=""))


def _files(row: Row, zone: tzinfo, lang: str, *, may_write: bool) -> Markup | None:
    shown = []
    for file in row["files"]:
        address = page_of(row["id"], "files", file["id"])
        at = moment(time_labels.parse(file["at"]).astimezone(zone), lang)
        picture = (
            el("img", src=address, alt=file["name"], loading="lazy")
            if file["media_type"].startswith("image/")
            else None
        )
        shown.append(
            el("a", picture, el("b", file["name"]), el("small", f"{file['who']} · {at}"), href=address, cls="file")
        )
    upload = None
    if may_write and row["state"] != "given_up":
        upload = el(
            "form",
            el(
                "label",
                el("span", say("action_page.file", lang)),
                el(
                    "input",
                    name="file",
                    type="file",
                    accept="image/jpeg,image/png,image/webp,application/pdf",
                    required="",
                ),
            ),
            button(say("action_page.file.send", lang), cls="quiet"),
            cls="form upload",
            method="post",
            action=page_of(row["id"], "files"),
            enctype="multipart/form-data",
        )
    if not shown and upload is None:
        return None
    return join(
        el("h2", say("action_page.files", lang), cls="lately"),
        el("div", *shown, cls="files") if shown else None,
        upload,
    )


def _history(row: Row, zone: tzinfo, lang: str, *, may_write: bool) -> Markup:
    items = []
    for note in row["history"]:
        at = moment(time_labels.parse(note["at"]).astimezone(zone), lang)
        text = note["text"]
        if note["kind"] in ("judged", "judged_first", "checked"):
            text = say(f"action_result.{text}", lang)
        did = say(f"action_step.{note['kind']}", lang)
        items.append(
            el("li", el("span", at, cls="soft"), el("span", el("b", note["who"]), f" {did}"), el("span", text))
        )
    comment = None
    if may_write:
        comment = form(
            page_of(row["id"], "comment"),
            _text("text", say("action_page.comment", lang)),
            button(say("action_page.comment.send", lang), cls="quiet"),
        )
    return join(el("h2", say("action_page.history", lang), cls="lately"), el("ul", *items, cls="rows mute"), comment)


def _day(text: str, lang: str) -> str:
    return day_text(date.fromisoformat(text), lang)
