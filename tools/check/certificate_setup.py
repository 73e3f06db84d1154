"""Tables of the commissioning record about the setup: devices, machines, products. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from config.site.machine import CounterUse, is_operator
from config.site.model import ProductAt, Site
from tools.check.machine_now import WindowResult
from tools.check.verdict import DeviceObservation
from tools.faults import sentence
from words import duration, number, say


def devices(site: Site, observations: Mapping[str, DeviceObservation], lang: str) -> str:
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


def machines(site: Site, result: Mapping[str, WindowResult], lang: str) -> str:
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


def products(site: Site, lang: str) -> str:
    """Ideal times, the basis of every performance figure; nothing where the site has no products."""
    rows = []
    for key, product in site.products.items():
        name = f'<td class="name">{escape(product.name.get(lang) or key)}<small>{escape(key)}</small></td>'
        rows.append((name, *_ideal("–", product, lang)))
        rows += [(name, *_ideal(machine, at, lang)) for machine, at in product.at.items()]
    return _section("products", ("product", "machine", "ideal", "source", "initials"), rows, lang) if rows else ""


_INITIALS = '<td class="initial"></td>'


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
