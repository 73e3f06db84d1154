"""The commissioning record as one page to print: self-contained, nothing is loaded from anywhere. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from config.site.machine import CounterUse, is_operator
from config.site.model import ProductAt, Site
from tools.check.count import CountComparison
from tools.check.machine_now import WindowResult
from tools.check.verdict import DeviceObservation, TagReport
from tools.faults import sentence
from words import duration, moment, number, say, value_text

_CENTRED: Final = ' class="c"'
_INITIALS: Final = '<td class="initial"></td>'
SIGNERS: Final = ("technician", "factory", "center")

_STYLE: Final = """
@page { size: A4; margin: 14mm 12mm; }
* { box-sizing: border-box; }
body { font: 10.5pt/1.4 "Noto Sans", "Segoe UI", Roboto, Arial, sans-serif; color: #18211e; margin: 0 auto;
  max-width: 190mm; padding: 8mm 4mm; background: #fff; }
h1 { font-size: 18pt; line-height: 1.2; margin: 0; } h2 { font-size: 12pt; margin: 7mm 0 2mm; }
.kicker { color: #0b6e74; font-weight: 600; letter-spacing: .02em; margin: 0 0 1mm; }
header { display: flex; justify-content: space-between; gap: 8mm; border-bottom: 1.5pt solid #18211e; padding-bottom: 4mm; }
.verdict { align-self: center; border: 1.5pt solid; border-radius: 4pt; padding: 2mm 4mm; font-weight: 700;
  text-align: center; max-width: 58mm; }
.pass { color: #1d7a52; } .fail { color: #b32d2d; } .warn { color: #8a6410; }
dl { display: grid; grid-template-columns: auto 1fr auto 1fr; gap: 1mm 4mm; margin: 4mm 0 0; font-size: 9.5pt; }
dt { color: #56625d; } dd { margin: 0; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: 8.8pt; }
th { text-align: left; color: #56625d; font-weight: 600; border-bottom: 1pt solid #18211e; padding: 1mm 1.5mm; }
td { border-bottom: .5pt solid #ccd1c9; padding: 1.1mm 1.5mm; vertical-align: top; font-variant-numeric: tabular-nums; }
thead { display: table-header-group; } tr { break-inside: avoid; }
td.name { font-weight: 600; overflow-wrap: anywhere; } td.num { text-align: right; white-space: nowrap; }
td small { display: block; color: #56625d; font-weight: 400; overflow-wrap: anywhere; } td.c, th.c { text-align: center; }
td.initial { min-width: 16mm; border-left: .5pt solid #ccd1c9; } th.num { text-align: right; } .note { color: #56625d; font-size: 9pt; margin: 2mm 0 0; }
.sign { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8mm; margin-top: 8mm; break-inside: avoid; }
.sign div { border-top: .75pt solid #18211e; padding-top: 1.5mm; margin-top: 18mm; font-size: 9pt; }
.sign small { display: block; color: #56625d; }
footer { margin-top: 8mm; color: #56625d; font-size: 8.5pt; border-top: .5pt solid #ccd1c9; padding-top: 2mm; }
"""


@dataclass(frozen=True)
class Sheet:
    """The contents of the record. verified_by: who compared with the machines' displays, or ""; made: time
    of the record, in the site's zone.
    """

    site: Site
    devices: Mapping[str, DeviceObservation]
    tags: Sequence[TagReport]
    machines: Mapping[str, WindowResult]
    comparison: CountComparison | None
    passed: bool
    verified_by: str
    made: datetime
    config_hash: str
    version: str


def page(sheet: Sheet, lang: str) -> str:
    """The complete page in a language."""
    title = say("certificate.title", lang)
    parts = [
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">',
        f"<title>{escape(title)}: {escape(sheet.site.site)}</title><style>{_STYLE}</style></head>",
        '<body><main class="page">',
        _head(sheet, title, lang),
        _devices(sheet.site, sheet.devices, lang),
        _tags(sheet, lang),
        _machines(sheet.site, sheet.machines, lang),
        _products(sheet.site, lang),
        _count(sheet, lang),
        _signatures(sheet, lang),
        f"<footer>{escape(say('certificate.footer', lang, version=sheet.version, hash=sheet.config_hash))}</footer>",
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def _head(sheet: Sheet, title: str, lang: str) -> str:
    site = sheet.site
    name = site.name.get(lang) or site.site
    outcome = "pass" if sheet.passed else "fail"
    facts = {
        "site": f"{site.site} / {site.gateway}",
        "made": moment(sheet.made, lang),
        "timezone": site.timezone,
        "verified_by": sheet.verified_by or "………………………",
    }
    rows = "".join(
        f"<dt>{escape(say(f'certificate.{key}', lang))}</dt><dd>{escape(value)}</dd>" for key, value in facts.items()
    )
    return (
        f'<header><div><p class="kicker">Nhịp · {escape(title)}</p><h1>{escape(name)}</h1></div>'
        f'<div class="verdict {outcome}">{escape(say(f"certificate.{outcome}", lang))}</div></header><dl>{rows}</dl>'
    )


def _tags(sheet: Sheet, lang: str) -> str:
    columns = ("tag", "value", "read", "plausible", "moving", "initials")
    align = {"value": ' class="num"', "tag": ""}
    heads = "".join(
        f"<th{align.get(key, _CENTRED)}>{escape(say(f'certificate.column.{key}', lang))}</th>" for key in columns
    )
    rows = "".join(_tag(tag, lang) for tag in sheet.tags)
    read = sum(tag.read for tag in sheet.tags)
    note = say("certificate.tags_note", lang, read=read, total=len(sheet.tags))
    return (
        f"<h2>{escape(say('certificate.tags', lang))}</h2><table><thead><tr>{heads}</tr></thead>"
        f'<tbody>{rows}</tbody></table><p class="note">{escape(note)}</p>'
    )


def _tag(tag: TagReport, lang: str) -> str:
    problems = "".join(
        f'<small class="{fault.severity}">{escape(sentence(fault, lang))}</small>' for fault in tag.faults
    )
    value = escape(value_text(tag.value, lang)) + (f" {escape(tag.unit)}" if tag.unit and tag.read else "")
    moving = number(tag.changes, lang) + " ×" if tag.changes else "–"
    return (
        f'<tr><td class="name">{escape(tag.name)}<small>{escape(tag.address)}</small>{problems}</td>'
        f'<td class="num">{value}</td>{_mark(tag.read)}{_mark(tag.plausible)}'
        f'<td class="c">{moving}</td><td class="initial"></td></tr>'
    )


def _mark(good: bool | None) -> str:  # None: not determined
    if good is None:
        return '<td class="c">–</td>'
    return f'<td class="c {"pass" if good else "fail"}">{"✓" if good else "✗"}</td>'


def _count(sheet: Sheet, lang: str) -> str:
    comparison = sheet.comparison
    title = f"<h2>{escape(say('certificate.count', lang))}</h2>"
    if comparison is None:
        return title + f'<p class="note">{escape(say("certificate.not_counted", lang))}</p>'
    begun = moment(datetime.fromtimestamp(comparison.from_ns / 1e9, ZoneInfo(sheet.site.timezone)), lang)
    length = duration((comparison.until_ns - comparison.from_ns) / 1e6, lang)
    rows = "".join(
        f"<tr><td>{escape(say(f'certificate.{key}', lang))}</td><td class=num>{number(counted, lang)}</td>"
        f"<td class=num>{number(by_person, lang)}</td>{_mark(fine)}</tr>"
        for key, counted, by_person, fine in (
            ("pieces", comparison.result.pieces, comparison.hand.pieces, comparison.pieces_agree),
            ("stops", len(comparison.stops), comparison.hand.stops, comparison.stops_agree),
        )
    )
    align = {"counted_what": "", "agree": _CENTRED}
    heads = "".join(
        f"<th{align.get(key, ' class=num')}>{escape(say(f'certificate.column.{key}', lang))}</th>"
        for key in ("counted_what", "nhip", "hand", "agree")
    )
    text = say("certificate.counted", lang, machine=comparison.machine, begun=begun, length=length)
    return f"{title}<p>{escape(text)}</p><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _signatures(sheet: Sheet, lang: str) -> str:
    lines = "".join(
        f"<div>{escape(say(f'certificate.signer.{who}', lang))}<small>"
        f"{escape(sheet.verified_by if who == 'technician' else '')}</small>"
        f"<small>{escape(say('certificate.signature', lang))}</small></div>"
        for who in SIGNERS
    )
    return f'<section class="sign">{lines}</section>'


def _devices(site: Site, observations: Mapping[str, DeviceObservation], lang: str) -> str:
    """Where each device is, and whether and how fast it answered."""
    rows = []
    for name, device in site.devices.items():
        observation = observations.get(name)
        connected = observation is not None and observation.fault is None
        latency = observation.latency_s if observation is not None else None
        warnings = "".join(
            f'<small class="{fault.severity}">{escape(sentence(fault, lang))}</small>'
            for fault in (observation.warnings if observation is not None else ())
        )
        rows.append((
            f'<td class="name">{escape(name)}<small>{escape(device.kind)}</small>{warnings}</td>',
            _cell(device.place),
            f'<td class="c {"pass" if connected else "fail"}">{"✓" if connected else "✗"}</td>',
            f'<td class="num">{"–" if latency is None else f"{number(latency * 1000, lang, 1)} ms"}</td>',
        ))  # fmt: skip
    return _section("devices", ("device", "place", "answers", "latency"), rows, lang)


def _machines(site: Site, result: Mapping[str, WindowResult], lang: str) -> str:
    """Where each machine's state and counts come from, and its present state."""
    rows = []
    for key, model in site.machines.items():
        live = result[key].live if key in result else None
        counters = "; ".join(_counter(role, use, lang) for role, use in model.pieces.counters().items()) or "–"
        rows.append((
            f'<td class="name">{escape(model.name.get(lang) or key)}<small>{escape(key)}</small></td>',
            _cell(model.line or "–"),
            _cell(say(f"certificate.state.{_state_kind(model.state)}", lang)),
            _cell(counters),
            _cell(say(f"state.{live.state.word}", lang) if live else "–"),
            _INITIALS,
        ))  # fmt: skip
    return _section("machines", ("machine", "line", "state_from", "pieces_from", "state_now", "initials"), rows, lang)


def _products(site: Site, lang: str) -> str:
    """Ideal times, the basis of every performance figure; nothing where the site has no products."""
    rows = []
    for key, product in site.products.items():
        name = f'<td class="name">{escape(product.name.get(lang) or key)}<small>{escape(key)}</small></td>'
        rows.append((name, *_ideal("–", product, lang)))
        rows += [(name, *_ideal(machine, at, lang)) for machine, at in product.at.items()]
    return _section("products", ("product", "machine", "ideal", "source", "initials"), rows, lang) if rows else ""


def _ideal(machine: str, at: ProductAt, lang: str) -> tuple[str, ...]:
    dated = at.ideals[-1] if at.ideals else None
    ideal_s, source = (dated.ideal, dated.source) if dated else (at.ideal, at.source)
    text = "–" if ideal_s is None else duration(1000 * ideal_s, lang)
    if at.ideal_per == "cycle":
        text += " " + say("certificate.per_cycle", lang, pieces=at.per_count or 1)
    return _cell(machine), _cell(text), _cell(say(f"certificate.source.{source or 'unknown'}", lang)), _INITIALS


def _counter(role: str, use: CounterUse, lang: str) -> str:
    tag = say("certificate.by_hand", lang) if is_operator(use) else use.tag
    return f"{say(f'certificate.role.{role}', lang)}: {tag}"


def _state_kind(state: object) -> str:
    if isinstance(state, tuple):
        return "rules"
    return "profile" if hasattr(state, "profile") else "counts"


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], lang: str) -> str:
    aligned = {"answers": ' class="c"', "latency": ' class="num"'}
    heads = "".join(
        f"<th{aligned.get(key, '')}>{escape(say(f'certificate.column.{key}', lang))}</th>" for key in columns
    )
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return (
        f"<h2>{escape(say(f'certificate.{title}', lang))}</h2><table><thead><tr>{heads}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
