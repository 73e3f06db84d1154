"""A gateway on a terminal: machines, this shift's figures, what is missing and how to supply it, devices and tags."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from agent.commands.show_watch import GatewayView
from agent.view.machine import LostTime, MachineView, picture
from agent.view.now import AgentNow, TagNow
from agent.view.questions import OpenQuestion, cures
from oee.kpi.shift import ShiftFigures
from oee.model.facts import UNKNOWN_PRODUCT, Stop
from oee.model.states import State
from words import duration, fault_text, moment, number, percent, say, value_text

FACTORS: Final = ("availability", "performance", "quality")
MOST_LOST: Final = 4
MOST_STOPS: Final = 5
_CELLS: Final = 72
_SHORTEST_MS: Final = 1000
_STYLE: Final = {
    State.RUNNING: ("green", "●"),
    State.MINOR_STOP: ("yellow", "▲"),
    State.UNPLANNED_STOP: ("red", "■"),
    State.BREAKDOWN: ("bold red", "✖"),
    State.SETUP: ("blue", "◆"),
    State.STARVED: ("magenta", "◀"),
    State.BLOCKED: ("magenta", "▶"),
    State.PLANNED_STOP: ("bright_black", "○"),
    State.UNKNOWN: ("bright_black", "?"),
}
_BAR: Final = {State.RUNNING: "█", State.UNKNOWN: "░", State.PLANNED_STOP: "─", State.MINOR_STOP: "▅"}


def screen_of(view: GatewayView, lang: str, *, tags: bool = True) -> Group:
    """Everything about a gateway, from what matters most to what only a technician wants to know."""
    parts: list[RenderableType] = [_head(view, lang), *_questions(view.about(""), lang)]
    if view.machines:
        parts += [Text(), _machines(view, lang)]
    for machine in view.machines:
        parts += [Text(), *_machine(machine, view, lang)]
    if view.heard.now:
        parts += [Text(), *_technician(view.heard.now, view, lang, tags=tags)]
    return Group(*parts)


def _clock(t_ns: int, view: GatewayView, *, seconds: bool = False) -> str:
    """A time of day in the site's zone; with its date if that is another day."""
    when = datetime.fromtimestamp(t_ns // 1_000_000_000, UTC).astimezone(view.zone)
    now = datetime.fromtimestamp(view.at_ns // 1_000_000_000, UTC).astimezone(view.zone)
    if when.date() != now.date():
        return f"{when:%d/%m %H:%M}"
    return f"{when:%H:%M:%S}" if seconds else f"{when:%H:%M}"


def _age(t_ns: int, view: GatewayView, lang: str) -> str:
    return duration(max(view.at_ns - t_ns, 0) // 1_000_000, lang)


def _head(view: GatewayView, lang: str) -> Text:
    site, now = view.site, view.heard.now
    when = datetime.fromtimestamp(view.at_ns // 1_000_000_000, UTC).astimezone(view.zone)
    text = Text(f"{site.name.get(lang, site.site)} · {moment(when, lang)}", style="bold")
    if now is not None:
        agent = say("show.agent", lang, since=_clock(now.began_ns, view), pid=now.pid)
    elif view.running:
        agent = say(f"show.heard.{view.heard.why}", lang)
    elif view.computed_ns:
        agent = say("show.stopped_since", lang, at=_clock(view.computed_ns, view))
    else:
        agent = say("show.never_ran", lang)
    lines = [agent, *_clock_line(view, lang), *_center_line(view, lang)]
    lines += [say("show.address", lang, name=name, url=url) for name, url in (now.addresses if now else {}).items()]
    return Text("\n").join([text, *(Text(line) for line in lines)])


def _clock_line(view: GatewayView, lang: str) -> Iterable[str]:
    now = view.heard.now
    if now is not None and now.status.clock is not None:
        clock = now.status.clock
        yield say("show.clock", lang, by=say(f"clock.by.{clock.by}", lang))
        if clock.held_rows and clock.held_since_ns is not None:
            since = _clock(clock.held_since_ns, view)
            yield say("show.held", lang, rows=number(clock.held_rows, lang), since=since)


def _center_line(view: GatewayView, lang: str) -> Iterable[str]:
    now, center = view.heard.now, view.site.center
    if center is None:
        yield say("show.no_center", lang)
    elif now is not None and now.status.oldest_ns is not None and now.status.waiting:
        age = _age(now.status.oldest_ns, view, lang)
        key = "show.waiting" if view.generation else "show.never_reached"
        yield say(key, lang, count=number(now.status.waiting, lang), age=age)
    elif now is not None:
        yield say("show.delivered" if view.generation else "show.nothing_sealed", lang)
    else:
        yield say("show.see_outbox", lang, outbox=view.file.rsplit(".", 1)[0] + ".outbox")


def _questions(asked: Sequence[OpenQuestion], lang: str) -> Iterable[RenderableType]:
    for item in asked:
        values = dict(item.values)
        if item.fault is not None:
            values["why"] = fault_text(item.fault.code, item.fault.values, lang).rstrip(".")
        sentence = say(f"show.ask.{item.kind}", lang, **values)
        text = Text.assemble(("! ", "bold yellow"), sentence)
        if item.command:
            text.append(f"\n    {item.command}", style="cyan")
        for line in item.file_lines:
            text.append(f"\n    {line}", style="cyan")
        yield from _indented(text)


def _machines(view: GatewayView, lang: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for key in ("machine", "state", "since", "product", "pieces", "oee", "bounds", *FACTORS):
        right = key in ("pieces", "oee", "bounds", *FACTORS)
        table.add_column(
            say(f"show.column.{key}", lang), justify="right" if right else "left", no_wrap=key != "product"
        )
    for machine in view.machines:
        table.add_row(*_row(machine, view, lang))
    return table


def _row(machine: MachineView, view: GatewayView, lang: str) -> list[Text]:
    now, figures = machine.now, machine.figures
    state = _state(now.state, lang) if now else Text(say("show.no_sample", lang), style="bright_black")
    pieces = now.pieces if now else None
    values = figures.kpis.values if figures else {}
    bounds = "" if not figures or values["oee_low"] is None else _bounds(figures, lang)
    return [
        Text(machine.machine.id, style="bold"),
        state,
        Text(_age(now.since_ns, view, lang) if now else ""),
        Text(_product(now.product, view, lang) if now else ""),
        Text(number(pieces, lang)),
        Text(_oee(figures, lang), style="bold"),
        Text(bounds, style="bright_black"),
        *(Text(percent(values.get(key), lang)) for key in FACTORS),
    ]


def _oee(figures: ShiftFigures | None, lang: str) -> str:
    """The OEE; where it has no value, what it cannot exceed."""
    values = figures.kpis.values if figures else {}
    oee, high = values.get("oee"), values.get("oee_high")
    if oee is None and high is not None and high < 1:
        return f"≤ {percent(high, lang)}"
    return percent(oee, lang)


def _bounds(figures: ShiftFigures, lang: str) -> str:
    values = figures.kpis.values
    return f"{percent(values['oee_low'], lang)} – {percent(values['oee_high'], lang)}"


def _state(state: State, lang: str) -> Text:
    style, sign = _STYLE[state]
    return Text(f"{sign} {say(f'state.{state.word}', lang)}", style=style)


def _product(product: str, view: GatewayView, lang: str) -> str:
    if product == UNKNOWN_PRODUCT:
        return say("product.unknown", lang)
    known = view.site.products.get(product)
    return f"{product} {known.name.get(lang, '')}".strip() if known else product


def _reason(reason: str, view: GatewayView, lang: str) -> str:
    known = view.site.reasons.get(reason)
    return known.name.get(lang, reason) if known else reason


def _machine(machine: MachineView, view: GatewayView, lang: str) -> Iterable[RenderableType]:
    name = view.site.machines[machine.machine.id].name.get(lang, "")
    title = machine.machine.id if name in ("", machine.machine.id) else f"{machine.machine.id} · {name}"
    yield Rule(Text(title, style="bold"), align="left", style="bright_black")
    yield from _indented(_shift_line(machine, view, lang))
    yield from _indented(*_missing(machine, view, lang))
    yield from _indented(*_lost(machine, view, lang))
    if machine.computed_ns > machine.from_ns:
        yield from _indented(_bar(machine, view))
        yield from _indented(*_stops(machine, view, lang))
    yield from _questions(view.about(machine.machine.id), lang)


def _indented(*lines: RenderableType) -> Iterable[RenderableType]:
    for line in lines:
        yield Padding(line, (0, 0, 0, 2), expand=False)


def _shift_line(machine: MachineView, view: GatewayView, lang: str) -> Text:
    figures = machine.figures
    if figures is None:
        return Text(say("show.no_shift", lang))
    shift = figures.shift
    key = "show.shift" if machine.on else "show.last_shift"
    line = say(key, lang, name=shift.name, start=_clock(shift.start_ns, view), end=_clock(shift.end_ns, view))
    if figures.until_ns <= figures.from_ns:
        return Text(f"{line} {say('show.first_minute', lang)}")
    parts = [
        say("show.until", lang, until=_clock(figures.until_ns, view)),
        say("show.pieces", lang, pieces=number(figures.pieces, lang)),
    ]
    if figures.total("pieces_judged"):
        parts.append(say("show.rejects", lang, rejects=number(figures.rejects, lang)))
    if figures.not_judged > 0:
        parts.append(say("show.not_judged", lang, pieces=number(figures.not_judged, lang)))
    parts.append(say("show.coverage", lang, coverage=percent(figures.kpis.values["coverage"], lang, 0)))
    return Text(f"{line} {', '.join(parts)}.")


def _missing(machine: MachineView, view: GatewayView, lang: str) -> Iterable[Text]:
    """Why a factor has no value, and where its cure stands."""
    figures = machine.figures
    if figures is None or figures.until_ns <= figures.from_ns:
        return
    for key in FACTORS:
        why = figures.kpis.why_null.get(key)
        if why is None:
            continue
        sentence = say(f"why_null.{why}", lang)
        cure = say("show.see_below", lang) if cures(why, view.about(machine.machine.id)) else ""
        yield Text(f"{say(f'kpi.{key}', lang)} —: {sentence} {cure}".rstrip(), style="yellow")
    for flag in figures.kpis.flags:
        yield Text(say(f"flag.{flag}", lang), style="yellow")


def _lost(machine: MachineView, view: GatewayView, lang: str) -> Iterable[Text]:
    figures = machine.figures
    if figures is None or figures.until_ns <= figures.from_ns:
        return
    text = Text.assemble((f"{say('state.running', lang)} ", "green"), duration(figures.total("running_ms"), lang))
    for item in [item for item in machine.lost if item.ms >= _SHORTEST_MS][:MOST_LOST]:
        text.append("  ")
        text.append_text(_lost_text(item, view, lang))
    yield text
    if len(machine.made) > 1:
        made = ", ".join(f"{_product(name, view, lang)}: {number(count, lang)}" for name, count in machine.made)
        yield Text(say("show.made", lang, made=made))


def _lost_text(item: LostTime, view: GatewayView, lang: str) -> Text:
    name = say(f"state.{item.state.word}", lang)
    reason = f" ({_reason(item.reason, view, lang)})" if item.reason else ""
    return Text.assemble((f"{name}{reason} ", _STYLE[item.state][0]), duration(item.ms, lang))


def _bar(machine: MachineView, view: GatewayView) -> Text:
    """The day so far, a cell for each part of it."""
    from_ns = max(machine.from_ns, machine.watched_ns)
    text = Text(f"{_clock(from_ns, view)} ", style="bright_black")
    for state in picture(machine, from_ns, view.at_ns, _CELLS):
        text.append(" ") if state is None else text.append(_BAR.get(state, "█"), style=_STYLE[state][0])
    return text.append(f" {_clock(view.at_ns, view)}", style="bright_black")


def _stops(machine: MachineView, view: GatewayView, lang: str) -> Iterable[Text]:
    """The latest stops, and how many there were."""
    stopped = [stop for stop in machine.stops if stop.state is not State.UNKNOWN]
    if not stopped:
        return
    yield Text(say("show.stops", lang, count=number(len(stopped), lang)))
    for stop in reversed(stopped[-MOST_STOPS:]):
        yield _stop(stop, view, lang)


def _stop(stop: Stop, view: GatewayView, lang: str) -> Text:
    lasted = duration(((stop.end_ns or view.at_ns) - stop.start_ns) // 1_000_000, lang)
    text = Text(f"  {_clock(stop.start_ns, view, seconds=True)}  {lasted:<16} ").append_text(_state(stop.state, lang))
    if stop.reason:
        text.append(f"  {_reason(stop.reason, view, lang)}")
    elif stop.state is State.UNPLANNED_STOP:
        text.append(f"  {say('reason.none', lang)}", style="bright_black")
    if stop.end_ns is None:
        text.append(f"  {say('show.goes_on', lang)}", style="bold")
    return text


def _technician(now: AgentNow, view: GatewayView, lang: str, *, tags: bool) -> Iterable[RenderableType]:
    yield Rule(Text(say("show.technician", lang), style="bold"), align="left", style="bright_black")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for key in ("device", "condition", "read", "polls", "failures"):
        table.add_column(say(f"show.column.{key}", lang), overflow="fold")
    for name, item in now.devices.items():
        good = item.condition == "up"
        table.add_row(
            name,
            Text(say(f"show.device.{item.condition}", lang), style="green" if good else "red"),
            "" if item.read_ns is None else _clock(item.read_ns, view, seconds=True),
            number(item.polls, lang),
            number(item.failures, lang),
        )
    yield from _indented(table)
    if tags and now.tags:
        yield Text()
        yield from _indented(_tags(now.tags, view, lang))
    elif not tags:
        yield from _indented(Text(say("show.many_tags", lang, file=view.file)))


def _tags(tags: dict[str, TagNow], view: GatewayView, lang: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = ("show.column.tag", "show.column.value", "show.tag_quality", "show.tag_since", "show.column.confirmed")
    for key in headings:
        table.add_column(say(key, lang), no_wrap=key != "show.column.value")
    for name, item in tags.items():
        known = item.quality in ("good", "uncertain")
        table.add_row(
            name,
            Text(value_text(item.value, lang), style="" if known else "bright_black"),
            Text(say(f"show.quality.{item.quality}", lang), style="green" if item.quality == "good" else "red"),
            "" if item.t_ns is None else _age(item.t_ns, view, lang),
            "" if item.confirmed_ns is None else _clock(item.confirmed_ns, view, seconds=True),
        )
    return table
