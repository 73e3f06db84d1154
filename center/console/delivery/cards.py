"""A gateway's delivery as a card, and its days as a table. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date, tzinfo
from typing import Any, Final

from markupsafe import Markup

from center.console.draw import time_labels
from center.console.draw.markup import Child, el, join, share
from center.console.draw.names import decision_page
from words import duration, fault_text, link_trouble, moment, number, percent, say
from words.catalogue import catalogue

Row = Mapping[str, Any]
_HEADS: Final = {"day": "", "gateway": "of-gateway"}
_COUNTERS_SHOWN: Final = 5
_IN_FLIGHT: Final = 0.005
"""Share of a day that may normally be missing: the minutes still in transit."""


def cards(rows: Sequence[Row], now_ns: int, zone: tzinfo, lang: str, *, decides: bool = False) -> Markup:
    """The gateways of a site side by side. decides: whether the viewer may decide about a second box."""
    return el("div", *(_card(row, now_ns, zone, lang, decides=decides) for row in rows), cls="gateways")


def _card(row: Row, now_ns: int, zone: tzinfo, lang: str, *, decides: bool) -> Markup:
    heard_ms = None if row["heard"] is None else (now_ns - time_labels.parse_ns(row["heard"])) // 1_000_000
    if row["online"]:
        contact = say("delivery.online", lang)
    elif heard_ms is None:
        contact = say("console.never_heard", lang)
    else:
        contact = say("console.silent_for", lang, duration=duration(heard_ms, lang))
    found = list(troubles(row, zone, lang, decides=decides))
    return el(
        "article",
        el(
            "div",
            el("h3", row["gateway"]),
            el("span", el("i"), contact, cls="gate" if row["online"] else "gate away"),
            cls="card-head",
        ),
        el("ul", *(el("li", text) for text in found), cls="troubles") if found else None,
        el("a", say("boxes.decide", lang), href=decision_page(row["site"], row["gateway"]), cls="go decide")
        if decides and row["held"]
        else None,
        el("dl", *_facts(row, now_ns, zone, lang)),
        _counters(row, zone, lang),
        cls=f"card gateway {'s-running' if row['online'] and not found else 's-unplanned_stop'}",
    )


def _counters(row: Row, zone: tzinfo, lang: str) -> Markup | None:
    """What counters did besides counting, the latest few: to be known, mostly no trouble."""
    if not row["counters"]:
        return None
    lines = [_counter_line(item, zone, lang) for item in row["counters"][: -_COUNTERS_SHOWN - 1 : -1]]
    head = el("span", say("delivery.counters", lang, count=number(len(row["counters"]), lang)))
    return el("div", head, el("ul", *(el("li", text) for text in lines)), cls="counter-steps")


def _counter_line(item: Row, zone: tzinfo, lang: str) -> str:
    key, role = f"counter.{item['kind']}", f"counter.role.{item['role']}"  # a newer gateway may know others
    what = say(key if key in catalogue() else "counter.other", lang, old=item["old"], new=item["new"])
    name = say(role, lang) if role in catalogue() else item["role"]
    when = moment(time_labels.local(time_labels.parse_ns(item["at"]), zone), lang)
    return say("counter.line", lang, when=when, machine=item["machine"], role=name, what=what)


def _boxes(row: Row, zone: tzinfo, lang: str, *, decides: bool) -> list[str]:
    """Two boxes with one bundle, and what waits for a decision about them."""
    out = []
    if row["boxes"] > 1:
        out.append(say("delivery.trouble.boxes", lang, count=row["boxes"]))
    if held := row["held"]:
        since = moment(time_labels.local(time_labels.parse_ns(held["since"]), zone), lang)
        whose, count = f"{row['site']}/{row['gateway']}", number(held["envelopes"], lang)
        key = "delivery.trouble.held_here" if decides else "delivery.trouble.held"
        out.append(say(key, lang, whose=whose, count=count, since=since))
    return out


def troubles(row: Row, zone: tzinfo, lang: str, *, decides: bool = False) -> Sequence[str]:
    """Problems that need attention, as sentences. decides: whether what to do about a second box is offered beside them."""
    out = _boxes(row, zone, lang, decides=decides)
    clock = row["clock"]
    if clock and clock["by"] == "nobody":
        out.append(say("delivery.trouble.clock", lang))
    if item := row["went_back"]:
        at = None if item["at"] is None else time_labels.local(time_labels.parse_ns(item["at"]), zone)
        when = number(None, lang) if at is None else moment(at, lang)
        whose = {"unit": item["unit"], "new": item["from_version"], "old": item["to_version"]}
        out.append(say("delivery.trouble.went_back", lang, when=when, **whose))
    if row["unreadable"]:
        out.append(say("delivery.trouble.unreadable", lang))
    if row["held_back"]:
        out.append(say("delivery.trouble.held_back", lang, count=number(row["held_back"], lang)))
    if row["series_beyond"]:
        out.append(say("delivery.trouble.series_beyond", lang))
    if row["unreceived"]:
        out.append(say("delivery.trouble.unreceived", lang, count=number(row["unreceived"], lang)))
    if row["cannot_store"]:
        why = row["trouble"]
        out.append(say("delivery.trouble.storing" if why else "delivery.trouble.disk", lang, why=why))
    told = [item for item in row["link"] if item["code"] != "two_boxes" or row["boxes"] < 2]
    out += [link_trouble(item["code"], item["values"], lang) for item in told]
    if row["online"]:
        out += _lost(row, lang)
    counted = [name for name in ("holes", "conflicts", "quarantined", "dropped") if row[name]]
    return out + [say(f"delivery.trouble.{name}", lang, count=number(row[name], lang)) for name in counted]


def _lost(row: Row, lang: str) -> Sequence[str]:
    """Devices and tags that cannot be read, those of one cause in one sentence, with what usually leads to it."""
    names: dict[tuple[str, str], list[str]] = {}
    for item in row["faults"]:
        what = fault_text(item["code"], item["values"], lang)
        causes = fault_text(item["code"], item["values"], lang, "causes")
        names.setdefault((what, causes), []).append(_whose(item, lang))
    out = [
        say("delivery.trouble.fault" if causes else "delivery.trouble.fault_unknown", lang,
            names="; ".join(whose), what=what, causes=causes)
        for (what, causes), whose in names.items()
    ]  # fmt: skip
    told = {item["device"] for item in row["faults"]}
    silent = [name for name, up in sorted(row["devices"].items()) if not up and name not in told]
    return out + ([say("delivery.trouble.devices", lang, names=", ".join(silent))] if silent else [])


def _whose(item: Row, lang: str) -> str:
    if not item["count"]:
        return str(item["device"])
    more = "" if item["count"] <= len(item["tags"]) else ", …"
    count = number(item["count"], lang)
    return say("delivery.trouble.tags", lang, device=item["device"], count=count, tags=", ".join(item["tags"]) + more)


def _facts(row: Row, now_ns: int, zone: tzinfo, lang: str) -> list[Markup]:
    health, devices = row["health"], row["devices"]
    up = sum(devices.values())
    late_ms = None if health["poll_late_p99_s"] is None else health["poll_late_p99_s"] * 1000
    uptime_ms = None if health["uptime_s"] is None else health["uptime_s"] * 1000
    pairs: list[tuple[str, Child]] = [
        ("waiting", _waiting(row, now_ns, zone, lang)),
        ("closed", _since(row["closed"], now_ns, zone, lang)),
        ("stored", number(row["stored"], lang)),
        ("clock", _clock(row["clock"], lang)),
        ("devices", say("delivery.of", lang, part=up, whole=len(devices)) if devices else number(None, lang)),
        ("tags", number(health["tags_per_s"], lang, 1)),
        ("late", _amount(late_ms, "ms", lang)),
        ("unknown", percent(health["unknown_share"], lang)),
        ("memory", _amount(health["rss_mb"], "mb", lang)),
        ("outbox", _amount(health["outbox_mb"], "mb", lang)),
        ("uptime", duration(uptime_ms, lang)),
        ("version", row["version"] or number(None, lang)),
        ("config", el("code", row["config_hash"][:12]) if row["config_hash"] else number(None, lang)),
    ]
    return [el("div", el("dt", say(f"delivery.{name}", lang)), el("dd", value)) for name, value in pairs]


def _amount(value: float | None, unit: str, lang: str) -> str:
    return number(None, lang) if value is None else say(f"delivery.{unit}", lang, n=number(value, lang))


def _waiting(row: Row, now_ns: int, zone: tzinfo, lang: str) -> Child:
    if not row["waiting"]:
        return number(row["waiting"], lang)
    if row["waiting_since"] is None:
        return say("delivery.envelopes", lang, count=number(row["waiting"], lang))
    text = say("delivery.envelopes", lang, count=number(row["waiting"], lang))
    return join(text, el("small", _since(row["waiting_since"], now_ns, zone, lang, "delivery.since")))


def _since(at: str | None, now_ns: int, zone: tzinfo, lang: str, key: str = "delivery.closed_at") -> str:
    """A time and how long ago it was, in the sentence of that key."""
    if at is None:
        return number(None, lang)
    at_ns = time_labels.parse_ns(at)
    age = duration((now_ns - at_ns) // 1_000_000, lang)
    return say(key, lang, when=moment(time_labels.local(at_ns, zone), lang), age=age)


def _clock(clock: Row | None, lang: str) -> Child:
    if clock is None:
        return number(None, lang)
    error = say("delivery.clock.error", lang, error=duration(clock["error_s"] * 1000, lang))
    notes = [] if clock["by"] == "nobody" else [error]
    if abs(clock["wall_error_s"]) >= 1:
        notes.append(say("delivery.clock.wall", lang, error=duration(clock["wall_error_s"] * 1000, lang)))
    if clock["moves"]:
        last = duration(clock["last_move_s"] * 1000, lang)
        notes.append(say("delivery.clock.moves", lang, count=clock["moves"], last=last))
    if clock["wall_steps"]:
        notes.append(say("delivery.clock.steps", lang, count=clock["wall_steps"]))
    if clock["held_since"]:
        notes.append(say("delivery.clock.held", lang, count=number(clock["held_rows"], lang)))
    key = f"clock.by.{clock['by']}"  # a newer gateway may know others
    return join(say(key, lang) if key in catalogue() else clock["by"], el("small", " · ".join(notes)))


def days(rows: Sequence[Row], lang: str) -> Markup:
    """How much of the scheduled time is known, by day and gateway; the newest first."""
    if not rows:
        return el("div", say("delivery.no_days", lang), cls="empty")
    names = ("day", "gateway", "scheduled", "known", "silent", "missing")
    heads = [el("th", say(f"delivery.days.{name}", lang), cls=_HEADS.get(name, "num")) for name in names]
    body = [_day(row, lang) for row in sorted(rows, key=lambda row: row["date"], reverse=True)]
    return el("table", el("thead", el("tr", *heads)), el("tbody", *body), cls="coverage")


def _day(row: Row, lang: str) -> Markup:
    scheduled = row["scheduled_ms"]
    known = row["known_ms"] / scheduled if scheduled else None
    bar = el("i", el("b", style=f"width:{share(known or 0.0)}"), cls="bar")
    return el(
        "tr",
        el("td", time_labels.weekday(date.fromisoformat(row["date"]), lang), cls="nowrap"),
        el("td", row["gateway"], cls="soft of-gateway"),
        el("td", number(scheduled / 3_600_000, lang, 1) if scheduled else say("delivery.days.off", lang), cls="num"),
        el("td", percent(known, lang), bar, cls="num"),
        el("td", duration(row["unknown_ms"], lang), cls=f"num{'' if row['unknown_ms'] else ' faint'}"),
        el(
            "td",
            duration(row["missing_ms"], lang),
            cls=f"num{' bad' if row['missing_ms'] > _IN_FLIGHT * scheduled else ' faint'}",
        ),
    )


def mails(rows: Sequence[Row], lang: str) -> Markup:
    """The latest reports that were to be sent by mail; nothing where there are none."""
    if not rows:
        return Markup("")
    heads = [el("th", say(f"delivery.mail.{name}", lang)) for name in ("report", "recipient", "state")]
    head = el("h3", say("delivery.mail", lang), cls="lately")
    body = el("tbody", *(_mail(row, lang) for row in rows))
    return join(head, el("table", el("thead", el("tr", *heads)), body, cls="coverage mails"))


def _mail(row: Row, lang: str) -> Markup:
    day = time_labels.weekday(date.fromisoformat(row["date"]), lang)
    shift = say("console.shift", lang, name=row["shift"]) if row["shift"] else say("report.all_shifts", lang)
    about = " · ".join(part for part in (day, shift, row["line"]) if part)
    bad = row["state"] in ("refused", "given_up") or row["tries"]
    at = moment(time_labels.parse(row["at"]), lang)
    text = say(f"delivery.mail.{row['state']}", lang, at=at)
    why = el("small", row["why"]) if row["why"] else None
    return el(
        "tr",
        el("td", about),
        el("td", row["recipient"], cls="soft"),
        el("td", text, why, cls="bad" if bad and row["state"] != "sent" else ""),
    )
