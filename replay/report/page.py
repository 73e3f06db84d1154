"""The report as one self-contained page: no script, no request, inline styles and drawings."""

from html import escape
from importlib import metadata, resources
from typing import Final

import words
from config import config_hash
from oee.model.facts import MS_NS
from replay.drive import Period, ReplayResult
from replay.report.advice import Advice, advice_section
from replay.report.names import SiteNames, complain, named
from replay.report.page_insights import orders_section
from replay.report.page_machine import machine_section, overview, say
from replay.rows import rows

_STOPS_SHOWN: Final = 25
_PULSE: Final = '<svg viewBox="0 0 26 16"><path d="M1 9h5l3-7 5 13 4-9 2 3h5"/></svg>'


def page(result: ReplayResult, formula: str = "", lang: str = "en", advice: Advice | None = None) -> str:
    """The whole report in one language. advice: what to improve, if that was asked for."""
    chosen = formula or result.site.formula
    names = SiteNames(result, lang)
    title = named(result.site.name, result.site.site, lang)
    parts = [_header(result, title, names, lang)]
    if result.window is None:
        parts.append(f'<div class="card">{say("replay.nothing", lang)}</div>')
    else:
        totals = {row.get("machine", ""): row for row in rows(result, ("machine",), chosen)}
        if len(result.machines) > 1:
            parts.append(overview(totals, names, lang))
        if advice is not None:
            parts.append(advice_section(result, advice, names, lang))
        parts += [machine_section(result, key, totals[key], chosen, names, lang) for key in result.machines]
        parts.append(orders_section(result, chosen, names, lang))
        parts.append(_stops(result, names, lang))
    if result.conflicts:
        parts.append(_conflicts(result, lang))
    parts.append(_method(result, chosen, names, lang))
    css = resources.files("replay").joinpath("page.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} – OEE</title><style>{css}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _header(result: ReplayResult, title: str, names: SiteNames, lang: str) -> str:
    window = result.window
    span = "" if window is None else f"<p>{_span(window, names, lang)}</p>"
    return f'<header><div class="brand">{_PULSE} Nhịp</div><h1>{escape(title)}</h1>{span}</header>'


def _span(window: Period, names: SiteNames, lang: str) -> str:
    length = words.duration((window.end_ns - window.start_ns) // MS_NS, lang)
    start, end = names.moment(window.start_ns), names.moment(window.end_ns)
    return escape(words.say("replay.span", lang, start=start, end=end, length=length))


def _stops(result: ReplayResult, names: SiteNames, lang: str) -> str:
    stops = [kept for kept in result.totals.stops() if kept.scheduled_ms]
    if not stops:
        return ""
    longest = sorted(stops, key=lambda kept: -kept.scheduled_ms)[:_STOPS_SHOWN]
    columns = ("start", "length", "machine", "state", "reason", "said_by")
    head = "".join(f"<th{_right(name)}>{say('replay.' + name, lang)}</th>" for name in columns)
    body = []
    for kept in sorted(longest, key=lambda kept: kept.stop.start_ns):
        stop = kept.stop
        length = words.duration(kept.scheduled_ms, lang)
        if stop.end_ns is None:
            length = f"{length} – {words.say('replay.not_ended', lang)}"
        state = f'<i class="s-{stop.state.word}"></i>{say("state." + stop.state.word, lang)}'
        cells = [names.moment(stop.start_ns), length, names.machine(stop.machine)]
        body.append(
            f"<tr><td>{cells[0]}</td><td class=n>{cells[1]}</td><td>{escape(cells[2])}</td><td>{state}</td>"
            f"<td>{escape(names.reason(stop.reason))}</td><td>{escape(names.by(stop.by))}</td></tr>"
        )
    total = len(stops) + result.totals.stops_left_out
    shown = words.say("replay.stops_shown", lang, shown=len(longest), all=words.number(total, lang))
    return (
        f'<h2>{say("replay.stops", lang)}</h2><div class="card"><div class="wide"><table class="stops"><thead><tr>{head}'
        f'</tr></thead><tbody>{"".join(body)}</tbody></table></div><p class="note">{shown}</p></div>'
    )


def _right(name: str) -> str:
    return " class=n" if name == "length" else ""


def _conflicts(result: ReplayResult, lang: str) -> str:
    lines = zip(result.conflicts, complain(result.conflicts, lang), strict=True)
    items = "".join(f'<li class="is-{item.severity}">{escape(text)}</li>' for item, text in lines)
    return f'<h2>{say("replay.conflicts", lang)}</h2><div class="card"><ul class="conflicts">{items}</ul></div>'


def _method(result: ReplayResult, formula: str, names: SiteNames, lang: str) -> str:
    entries = [
        ("replay.method.formula", words.say(f"formula.{formula}", lang)),
        ("replay.method.oee", words.say("replay.method.oee_text", lang)),
        ("replay.method.range", words.say("replay.method.range_text", lang)),
        ("replay.method.ideals", _ideals(result, names, lang)),
        ("replay.method.samples", words.say("replay.rows_read", lang, n=words.number(result.rows, lang))),
        ("replay.method.config", config_hash(result.site)),
        ("replay.method.version", f"nhip {metadata.version('nhip')}"),
    ]
    body = "".join(f"<dt>{say(key, lang)}</dt><dd>{escape(text)}</dd>" for key, text in entries if text)
    return f'<h2>{say("replay.method", lang)}</h2><div class="card"><dl>{body}</dl></div>'


def _ideals(result: ReplayResult, names: SiteNames, lang: str) -> str:
    """Ideal times of the products that were made, and where they come from."""
    made = sorted({key.product for key in result.totals.facts if key.product in result.site.products})
    out: list[str] = []
    for product in made:
        makers = {key.machine for key in result.totals.facts if key.product == product}
        ideals = {result.machines[name].products[product].ideals[-1:] for name in makers}
        for last in sorted(ideals, key=str):
            for ideal in last:
                seconds = words.say("duration.s", lang, n=words.number(ideal.us / 1_000_000, lang, 2))
                out.append(f"{names.product(product)} {seconds} ({words.say('ideal_source.' + ideal.source, lang)})")
    return ", ".join(out)
