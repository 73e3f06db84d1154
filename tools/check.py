"""`nhip check`: everything wrong with a site file; then reads each tag and says what to look at in the cabinet."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from config import Complaint, Misconfigured, Site, compile_site, config_hash, load_profiles, read_site
from config.device_modbus import ModbusDevice
from config.device_opcua import OpcUaDevice, with_files
from config.devices import Device, periods_s, stale_after_s
from oee.machine import Machine
from oee.states import Quality
from tools import tally
from tools.certificate import Sheet, page
from tools.faults import Fault, told
from tools.machine_now import Told, compute, running_s, window
from tools.observe import observe
from tools.second_look import look_again, round_trip_s
from tools.terminal import notice, progress, show_json, show_table
from tools.texts import value_text
from tools.uses import Use, rate_of, static_faults, uses
from tools.verdict import DeviceSeen, Facts, Running, TagReport, judge, still_while_running
from words import complaint, number, say

FINE, BAD, MISCONFIGURED = 0, 1, 2


@dataclass(frozen=True)
class Options:
    """for_s: how long to read [s]; count: what to count afterwards; certificate: where to write the record."""

    for_s: float = 10.0
    offline: bool = False
    as_json: bool = False
    count_s: float | None = None
    shortest_stop_s: float = 5.0
    hand: tally.Tally | None = None
    machine: str = ""
    certificate: Path | None = None
    verified_by: str = ""
    lang: str = "en"


@dataclass
class Result:
    """What was found, as far as it went."""

    file: Path
    site: Site | None = None
    complaints: Sequence[Complaint] = ()
    static: dict[str, list[Fault]] = field(default_factory=dict)
    devices: dict[str, DeviceSeen] = field(default_factory=dict)
    tags: list[TagReport] = field(default_factory=list)
    machines: dict[str, Told] = field(default_factory=dict)
    comparison: tally.Comparison | None = None
    no_baseline: list[str] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """Whether only a change of the site file can help."""
        if self.site is None:
            return True
        return any(fault.severity == "fail" for faults in self.static.values() for fault in faults)

    @property
    def status(self) -> int:
        """The exit status."""
        if self.refused:
            return MISCONFIGURED
        bad = any(tag.failed for tag in self.tags) or bool(self.no_baseline)
        bad |= self.comparison is not None and not self.comparison.agree
        return BAD if bad else FINE


def run(path: Path, options: Options) -> int:
    """Checks, prints, and returns the exit status: 0 fine, 1 a tag failed or the tally differs, 2 misconfigured."""
    result = Result(path)
    try:
        result.site, result.complaints = read_site(path)
    except Misconfigured as error:
        result.complaints = error.complaints
    if result.site is not None:
        machines = compile_site(result.site, load_profiles())
        if options.machine and options.machine not in machines:
            notice(say("check.no_machine", options.lang, machine=options.machine, known=", ".join(machines)))
            return MISCONFIGURED
        result.static = static_faults(result.site, machines)
        if not options.offline and not result.refused:
            asyncio.run(_online(result, result.site, machines, options))
    if options.as_json:
        show_json(as_json(result))
    else:
        _show(result, options)
    if options.certificate is not None and result.site is not None and not options.offline:
        _certify(result, result.site, options)
    return result.status


async def _online(result: Result, site: Site, machines: Mapping[str, Machine], options: Options) -> None:
    files = certificates(result.file)
    offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ns() -> int:
        return time.monotonic_ns() + offset_ns

    with progress(quiet=options.as_json) as tell:
        title = say("check.reading", options.lang)
        seen = await observe(site.devices, files, options.for_s, now_ns, lambda s: tell(title, s, options.for_s))
    await _look_again(site, files, seen)
    result.devices = seen
    _judge_all(result, site, machines, options.for_s)
    if options.count_s is not None:
        await _count(result, site, machines, options, now_ns)


def certificates(site: Path) -> Path:
    """Where the agent keeps certificates that the site file does not place: the same are shown to the server."""
    return site.with_suffix(".certificates")


async def _look_again(site: Site, files: Path, seen: Mapping[str, DeviceSeen]) -> None:
    async def one(name: str, device: Device) -> None:
        there = seen[name]
        if isinstance(device, OpcUaDevice):
            device = with_files(device, name, files)
            if device.mode == "subscribe" and there.fault is None:
                there.latency_s = await round_trip_s(device)
        if there.fault is None:
            bad = [tag for tag in device.tags if tag not in there.rows or there.rows[tag][-1].quality >= Quality.BAD]
            there.notes = await look_again(device, bad)

    await asyncio.gather(*(one(name, device) for name, device in site.devices.items()))


def _judge_all(result: Result, site: Site, machines: Mapping[str, Machine], for_s: float) -> None:
    used = uses(site, machines)
    until_ns = max((device.until_ns for device in result.devices.values()), default=0)
    rows = {
        f"{name}.{tag}": [(row.t_ns, row.value, row.quality) for row in column]
        for name, device in result.devices.items()
        for tag, column in device.rows.items()
    }
    for name, device in result.devices.items():
        rows[f"{name}.online"] = [(device.from_ns, int(device.fault is None), Quality.GOOD)]
    for name, machine in machines.items():
        mine = {tag: rows[tag] for tag in machine.tags() if tag in rows}
        first_ns = max((column[0][0] for column in mine.values()), default=until_ns)
        result.machines[name] = compute(machine, window(mine, first_ns, until_ns), until_ns)
    running = {
        name: Running(min(for_s, running_s(item, until_ns)), rate_of(machines[name], item.live.product))
        for name, item in result.machines.items()
        if item.live is not None
    }
    for name, model in site.devices.items():
        for tag in model.tags:
            full = f"{name}.{tag}"
            report = judge(result.devices[name], tag, _facts(model, tag), used.get(full, Use()))
            report = still_while_running(report, running)
            result.tags.append(replace(report, faults=(*report.faults, *result.static.get(full, []))))


def _facts(device: Device, name: str) -> Facts:
    period_s, stale_s = periods_s(device)[name], stale_after_s(device)[name]
    if isinstance(device, ModbusDevice):
        tag = device.tags[name]
        words = tag.count >= 2 and tag.value_type != "string"
        order = f" {tag.order}" if words or tag.order != "ABCD" else ""
        bit = f".{tag.bit}" if tag.bit is not None else ""
        address = f"{tag.written}{bit} {tag.value_type}{order}"
        return Facts(address, tag.unit, period_s, stale_s, words and tag.value_type.endswith("int32"))
    assert isinstance(device, OpcUaDevice)  # there are no others
    return Facts(device.tags[name].node, device.tags[name].unit, period_s, stale_s, word_order=False)


async def _count(
    result: Result, site: Site, machines: Mapping[str, Machine], options: Options, now_ns: Callable[[], int]
) -> None:
    name = options.machine or (next(iter(machines)) if len(machines) == 1 else "")
    if not name:
        name = await asyncio.to_thread(_which, list(machines), options.lang)
    assert options.count_s is not None  # asked for
    setup = tally.Setup(name, options.count_s, options.shortest_stop_s, options.hand)
    try:
        result.comparison = await tally.count(
            site, machines[name], certificates(result.file), setup, now_ns, options.lang
        )
    except tally.NoBaseline as error:
        result.no_baseline = error.tags


def _which(names: Sequence[str], lang: str) -> str:
    return str(click.prompt(say("count.which", lang), type=click.Choice(names), err=True))


def as_json(result: Result) -> dict[str, Any]:
    """The result as plain data."""
    site = result.site
    return {
        "file": str(result.file),
        "site": site.site if site else None,
        "config_hash": config_hash(site) if site else None,
        "complaints": [
            {"line": item.line, "key": item.key, "code": item.code, "value": item.value, "severity": item.severity}
            for item in result.complaints
        ],
        "refused": {name: [fault.as_json() for fault in faults] for name, faults in result.static.items()},
        "devices": [
            {
                "device": name, "connected": device.fault is None, "connect_s": device.connect_s,
                "latency_s": device.latency_s, "reads": len(device.read_s), "lost": device.lost,
                "fault": device.fault.as_json() if device.fault else None,
            }
            for name, device in result.devices.items()
        ],
        "tags": [tag.as_json() for tag in result.tags],
        "machines": [
            {
                "machine": name, "state": told_.live.state.word if told_.live else None,
                "product": told_.live.product if told_.live else None, "pieces": told_.pieces,
            }
            for name, told_ in result.machines.items()
        ],
        "count": result.comparison.as_json() if result.comparison else None,
        "ok": result.status == FINE,
    }  # fmt: skip


def _show(result: Result, options: Options) -> None:
    lang = options.lang
    for item in result.complaints:
        notice(("" if item.severity == "error" else say("check.warning", lang) + " ") + complaint(item, lang))
    if result.site is None:
        notice(say("check.unusable", lang, n=sum(item.severity == "error" for item in result.complaints)))
        return
    if options.offline or result.refused:
        for name, faults in result.static.items():
            for fault in faults:
                click.echo(f"{name}: {told(fault, lang)}")
        site = result.site
        key = "check.refused" if result.refused else "check.offline_fine"
        click.echo(say(key, lang, devices=len(site.devices), machines=len(site.machines)))
        return
    _show_tags(result, lang)
    _show_faults(result, lang)
    _show_machines(result, lang)
    if result.no_baseline:
        notice(say("count.no_baseline", lang, tags=", ".join(result.no_baseline)))
    if result.comparison:
        tally.show(result.comparison, ZoneInfo(result.site.timezone), lang)
    failed = sum(tag.failed for tag in result.tags)
    warned = sum(bool(tag.faults) and not tag.failed for tag in result.tags)
    click.echo(say("check.summary", lang, fine=len(result.tags) - failed - warned, warned=warned, failed=failed))


def _show_tags(result: Result, lang: str) -> None:
    keys = ("tag", "value", "quality", "age", "latency", "moving", "verdict")
    show_table([say(f"check.column.{key}", lang) for key in keys], [_row(tag, lang) for tag in result.tags])


def _row(tag: TagReport, lang: str) -> list[str]:
    verdict = "failed" if tag.failed else "warned" if tag.faults else "fine"
    return [
        tag.name,
        value_text(tag.value, lang) + (f" {tag.unit}" if tag.unit and tag.read else ""),
        say(f"check.quality.{tag.quality}", lang),
        "—" if tag.age_s is None else f"{number(tag.age_s, lang, 1)} s",
        "—" if tag.latency_s is None else f"{number(tag.latency_s * 1000, lang, 1)} ms",
        say("check.moving", lang, n=tag.changes) if tag.changes else say("check.frozen", lang) if tag.read else "—",
        say(f"check.verdict.{verdict}", lang),
    ]


def _show_faults(result: Result, lang: str) -> None:
    """Each fault once, with the tags that have it."""
    having: dict[str, list[str]] = {}
    which: dict[str, Fault] = {}
    for tag in result.tags:
        for fault in tag.faults:
            key = f"{fault.code} {sorted(fault.values.items())} {fault.detail}"
            having.setdefault(key, []).append(tag.name)
            which[key] = fault
    for key, names in having.items():
        shown = ", ".join(names[:6]) + (f" … ({len(names)})" if len(names) > 6 else "")
        click.echo(f"{say(f'check.mark.{which[key].severity}', lang)} {shown}: {told(which[key], lang)}\n")


def _show_machines(result: Result, lang: str) -> None:
    rows = []
    for name, machine in result.machines.items():
        live = machine.live
        state = say(f"state.{live.state.word}", lang) if live else "—"
        pieces = number(live.pieces if live else None, lang)
        rows.append([name, state, live.product if live else "—", pieces])
    keys = ("machine", "state", "product", "pieces")
    show_table([say(f"check.column.{key}", lang) for key in keys], rows)


def _certify(result: Result, site: Site, options: Options) -> None:
    assert options.certificate is not None  # asked for
    sheet = Sheet(
        site, result.tags, result.machines, result.comparison, result.status == FINE, options.verified_by,
        datetime.now(ZoneInfo(site.timezone)), config_hash(site), version("nhip"),
    )  # fmt: skip
    try:
        options.certificate.write_text(page(sheet, options.lang), encoding="utf-8")
    except OSError as error:
        notice(say("certificate.cannot_write", options.lang, file=options.certificate, detail=error.strerror or ""))
        return
    notice(say("certificate.written", options.lang, file=options.certificate))
