"""`nhip simulate`: serves a simulated factory, and shows what it serves and what each machine's display says."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.exits import FAILED, fail
from cli.listeners import listener_on
from cli.signals import run_until_signal
from cli.terminal import notice, screen
from simulator import serve
from simulator.factory import Factory, MachineSpec
from simulator.plc.signals import NAMESPACES, PLCS, ModbusRegister, OpcUaNode
from words import moment, say, value_text

_EVERY_S: Final = 0.5
_COLUMNS: Final = ("machine", "address", "tag", "place", "shows")


@dataclass(frozen=True)
class SimulateOptions:
    """history: folder for recorded history, from `history_from_ns` [ns UTC] on; ports_file: where to write the addresses;
    http_port: of the true figures, None for none.
    """

    history: Path | None = None
    history_from_ns: int | None = None
    ports_file: Path | None = None
    http_port: int | None = None
    lang: str = "en"


def simulate(factory: Factory, options: SimulateOptions) -> None:
    """Serves until SIGINT or SIGTERM. A port that is taken ends the process with a sentence that says by whom, where known."""
    lang = options.lang
    notice(say("simulate.begins", lang, since=moment(factory.start.astimezone(), lang)))
    try:
        run_until_signal(lambda stop: _serve(factory, options, stop))
    except serve.CannotListen as error:
        who = listener_on(error.port)
        key = "simulate.taken_by" if who else "simulate.cannot_listen"
        why = error.__cause__
        fail(say(key, lang, device=error.device, host=error.host, port=error.port, who=who, why=why), FAILED)
    notice(say("simulate.ended", lang))


async def _serve(factory: Factory, options: SimulateOptions, stop: asyncio.Event) -> None:
    follower: list[asyncio.Task[None]] = []

    def begin(live: serve.LivePlant, addresses: dict[str, str]) -> None:
        follower.append(asyncio.create_task(_show(factory, live, addresses, options.lang)))

    try:
        await serve.run(
            factory,
            stop=stop,
            history=options.history,
            history_from_ns=options.history_from_ns,
            ports_file=options.ports_file,
            http_port=options.http_port,
            on_live=begin,
        )
    finally:
        for task in follower:
            task.cancel()
        await asyncio.gather(*follower, return_exceptions=True)


async def _show(factory: Factory, live: serve.LivePlant, addresses: Mapping[str, str], lang: str) -> None:
    """Prints once what is served; on a terminal it goes on showing what the machines' displays say."""
    console = screen()
    if not console.is_terminal:
        console.print(_table(factory, live, addresses, lang))
        return
    with Live(_table(factory, live, addresses, lang), console=console, auto_refresh=False) as shown:
        while True:
            await asyncio.sleep(_EVERY_S)
            shown.update(_table(factory, live, addresses, lang), refresh=True)


def _table(factory: Factory, live: serve.LivePlant, addresses: Mapping[str, str], lang: str) -> Group:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for key in _COLUMNS:
        table.add_column(say(f"simulate.column.{key}", lang), no_wrap=key != "place", overflow="fold")
    for spec in factory.machines:
        now = live.state(spec.id)
        state = say(f"state.{now['state']}", lang) if now["online"] else say("simulate.offline", lang)
        table.add_row(Text(spec.id, style="bold"), Text(addresses[spec.device]), "", "", Text(state, style="bold"))
        for tag, value in now["tags"].items():
            counts = tag in PLCS[spec.plc].counters
            table.add_row("", "", tag, _place(spec, tag), Text(value_text(value, lang), style="bold" if counts else ""))
    lines = [Text(say("simulate.stop", lang), style="bright_black")]
    lines += [Text(say("simulate.truth", lang, url=f"http://{addresses['http']}"))] if "http" in addresses else []
    return Group(table, *lines)


def _place(spec: MachineSpec, tag: str) -> str:
    place: Any = PLCS[spec.plc].places[tag]
    if isinstance(place, OpcUaNode):
        return f"nsu={NAMESPACES[spec.plc]};s={place.name}"
    assert isinstance(place, ModbusRegister)
    if place.bit is not None:
        return f"{place.table} {place.address}, bit {place.bit}"
    words = f"–{place.address + 1}, {place.type} {place.order}" if place.type == "uint32" else ""
    return f"{place.table} {place.address}{words}"
