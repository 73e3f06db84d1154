"""What a gateway's people have to say or to set before its numbers are whole, and how. Pure.

A question names its cure: a command to type, or lines for the site file. `show.ask.<kind>` in the message catalogue is its
sentence, with its `values`.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from agent.view.asked import asked_ms
from agent.view.machine import MachineView
from oee.model.facts import UNKNOWN_PRODUCT
from oee.model.machine import OPERATOR
from oee.model.states import State
from wire.bodies import DeviceFault

MOST_STOPS: Final = 3
"""Stops without a reason that are asked for one by one, the longest first."""
NEAR_END_NS: Final = 900_000_000_000
"""Before the end of a shift its rejects are asked for again, though some were entered."""
BLOCKED_BY: Final = {
    "no_ideal_time": ("no_product", "no_products", "unknown_product", "no_ideal"),
    "quality_not_known": ("rejects",),
    "no_pieces": ("no_counter",),
}
"""By why a KPI is null the questions whose answer gives it a value."""


@dataclass(frozen=True)
class OpenQuestion:
    """One question. machine: "" for the gateway as a whole; values: for its sentence; command: what to type, "" if the site
    file has to be changed; file_lines: what such a change looks like; fault: whose text is the value `why`."""

    kind: str
    machine: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    file_lines: Sequence[str] = ()
    fault: DeviceFault | None = None


@dataclass(frozen=True)
class SiteFacts:
    """What questions are about beyond one machine. file: the site file as the person names it; products: those of the site,
    in its order; reasons: what may be said of a stop, in its order."""

    file: str
    zone: tzinfo
    products: Sequence[str]
    reasons: Sequence[str]


def questions_about(view: MachineView, site: SiteFacts, now_ns: int) -> list[OpenQuestion]:
    """The open questions about a machine, the most important first."""
    machine = view.machine
    if not machine.pieces.counters():
        counter = OpenQuestion("no_counter", machine.id, file_lines=(f"{machine.id}:", "  pieces: {total: DEVICE.TAG}"))
        return [counter, *_stops(view, site, now_ns)]
    return [*_product(view, site, now_ns), *_rejects(view, site, now_ns), *_stops(view, site, now_ns)]


def _product(view: MachineView, site: SiteFacts, now_ns: int) -> Iterable[OpenQuestion]:
    machine = view.machine
    product = view.now.product if view.now else machine.product
    if product == UNKNOWN_PRODUCT:
        if machine.product_tag == OPERATOR and site.products:
            yield OpenQuestion(
                "no_product",
                machine.id,
                {"products": ", ".join(site.products)},
                _declare(site, machine.id, "product", site.products[0], f"--from {_since(view, site, now_ns)}"),
            )
        elif machine.product_tag in ("", OPERATOR):
            yield OpenQuestion("no_products", machine.id, file_lines=_product_lines("1"))
        return
    if product not in site.products:
        yield OpenQuestion("unknown_product", machine.id, {"product": product}, file_lines=_product_lines(product))
    elif product not in machine.products or not machine.products[product].ideals:
        yield OpenQuestion("no_ideal", machine.id, {"product": product}, file_lines=_product_lines(product))


def _product_lines(product: str) -> tuple[str, ...]:
    return ("products:", f'  "{product}": {{ideal: 12s, source: guess}}')


def _since(view: MachineView, site: SiteFacts, now_ns: int) -> str:
    """From when on a product should hold: since the shift that goes on began, or since today."""
    start_ns = view.figures.shift.start_ns if view.figures and view.on else view.from_ns
    return moment_text(start_ns, site.zone, now_ns)


def _rejects(view: MachineView, site: SiteFacts, now_ns: int) -> Iterable[OpenQuestion]:
    pieces, figures = view.machine.pieces, view.figures
    if pieces.reject != OPERATOR or pieces.good or figures is None or figures.not_judged <= 0:
        return
    if figures.total("pieces_judged") and now_ns < figures.shift.end_ns - NEAR_END_NS:
        return  # entered before; the rest of the shift is asked for at its end
    yield OpenQuestion(
        "rejects",
        view.machine.id,
        {"pieces": str(figures.not_judged), "shift": figures.shift.name},
        _declare(site, view.machine.id, "rejects", "0"),
    )


def _stops(view: MachineView, site: SiteFacts, now_ns: int) -> Iterable[OpenQuestion]:
    unexplained = [
        stop for stop in view.stops if stop.state is not State.UNKNOWN and asked_ms(view.machine, stop, now_ns)
    ]
    longest = sorted(unexplained, key=lambda stop: stop.start_ns - (stop.end_ns or now_ns))[:MOST_STOPS]
    for stop in sorted(longest, key=lambda stop: -stop.start_ns):
        start, end_ns = moment_text(stop.start_ns, site.zone, now_ns), stop.end_ns or now_ns
        end = moment_text(-(-end_ns // _S) * _S, site.zone, now_ns)
        yield OpenQuestion(
            "stop" if site.reasons else "no_reasons",
            view.machine.id,
            {
                "start": start,
                "end": end if stop.end_ns else "",
                "reasons": ", ".join(site.reasons),
                "more": str(len(unexplained)),
            },
            _declare(site, view.machine.id, "reason", site.reasons[0], f"--from {start}", f"--to {end}")
            if site.reasons
            else "",
            ()
            if site.reasons
            else ("reasons:", "  no-material: {name: {vi: Chờ nguyên vật liệu, en: No material}, is: starved}"),
        )


_S: Final = 1_000_000_000


def moment_text(t_ns: int, zone: tzinfo, now_ns: int) -> str:
    """A time as `nhip declare` takes it: of the last 24 hours as time of day, whole seconds, else with its date."""
    when = datetime.fromtimestamp(t_ns // _S, UTC).astimezone(zone)
    if 0 <= now_ns - t_ns < 23 * 3600 * _S:
        return f"{when:%H:%M}" if when.second == 0 else f"{when:%H:%M:%S}"
    return f"{when:%Y-%m-%dT%H:%M:%S}"


def _declare(site: SiteFacts, machine: str, *words: str) -> str:
    return " ".join(["nhip declare", shlex.quote(site.file), machine, *words])


def gateway_questions(
    site: SiteFacts,
    *,
    running: bool,
    other_file: bool = False,
    clock_by: str = "",
    trouble: str = "",
    devices: Mapping[str, str] | None = None,
    faults: Iterable[DeviceFault] = (),
    outdated: Sequence[str] = (),
    refused: Mapping[str, str] | None = None,
) -> list[OpenQuestion]:
    """Questions about the gateway as a whole.

    running: an agent runs; other_file: it runs with an earlier version of the site file; clock_by: who confirms its time;
    trouble: why it cannot store; devices: why those that do not answer do not, as the log says it, faults: as the message
    catalogue does; outdated: machines whose past was computed
    with an earlier site file; refused: why declarations were refused, by what they are.
    """
    file = shlex.quote(site.file)
    out = [] if running else [OpenQuestion("not_running", command=f"nhip agent {file}")]
    if clock_by == "nobody":
        out.append(OpenQuestion("clock", command=f"nhip clock confirm {file}"))
    if trouble:
        out.append(OpenQuestion("trouble", values={"why": trouble}))
    told = {item.device: item for item in faults if not item.count}
    for name, why in (devices or {}).items():
        values, command = {"device": name, "why": why}, f"nhip check {file}"
        out.append(OpenQuestion("device", values=values, command=command, fault=told.get(name)))
    for item in [item for item in faults if item.count]:
        values = {"device": item.device, "tags": ", ".join(item.tags), "count": str(item.count), "why": item.code}
        out.append(OpenQuestion("tags", values=values, command=f"nhip check {file}", fault=item))
    if other_file:
        out.append(OpenQuestion("other_file", values={"file": site.file}))
    if outdated:
        out.append(OpenQuestion("outdated", values={"machines": ", ".join(outdated)}, command=f"nhip recompute {file}"))
    for what, why in (refused or {}).items():
        out.append(OpenQuestion("refused", values={"what": what, "why": why}, command=f"nhip declare {file}"))
    return out


def cures(why: str, asked: Iterable[OpenQuestion]) -> list[OpenQuestion]:
    """The questions whose answer gives a KPI a value that is null for this reason."""
    return [item for item in asked if item.kind in BLOCKED_BY.get(why, ())]
