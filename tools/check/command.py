"""`nhip check`: errors of a site file, then faults of each tag while it is read, and what to inspect in the cabinet."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from adapters.contract import Fault
from cli.exits import MISCONFIGURED
from cli.files import write_whole
from cli.signals import run_until_ctrl_c
from cli.terminal import asked, notice, progress, show_json
from config import Misconfigured, Site, compile_site, config_hash, load_profiles, missing_file_warnings, read_site
from config.devices.kinds import Device
from oee.model.machine import Machine
from oee.model.states import Quality
from tools.check import count
from tools.check.certificate import Sheet, page
from tools.check.machine_now import compute, running_s, unfitted, window
from tools.check.observe import diagnose, observe, round_trips_s
from tools.check.result import FINE, CheckResult, as_json, show
from tools.check.uses import Use, rate_of, static_faults, uses
from tools.check.verdict import (
    DeviceObservation,
    RunningMachine,
    TagDescription,
    TagReport,
    tag_report,
    with_still_counter,
)
from words import say


@dataclass(frozen=True)
class CheckOptions:
    """for_s: how long to read [s]; count_s: how long to count afterwards, together with a person [s]; certificate: where to
    write the commissioning record.
    """

    for_s: float = 10.0
    offline: bool = False
    as_json: bool = False
    count_s: float | None = None
    shortest_stop_s: float = 5.0
    hand: count.HandCount | None = None
    machine: str = ""
    certificate: Path | None = None
    verified_by: str = ""
    lang: str = "en"


def run(path: Path, options: CheckOptions) -> int:
    """Checks, prints, and returns the exit status: 0 fine, 1 a tag failed or the counts differ, 2 misconfigured,
    `INTERRUPTED` after Ctrl-C, with what was found so far."""
    result = CheckResult(path)
    try:
        result.site, result.complaints = read_site(path)
        result.complaints = [*result.complaints, *missing_file_warnings(path, result.site)]
    except Misconfigured as error:
        result.complaints = error.complaints
    if result.site is not None:
        machines = compile_site(result.site, load_profiles())
        if options.machine and options.machine not in machines:
            notice(say("check.no_machine", options.lang, machine=options.machine, known=", ".join(machines)))
            return MISCONFIGURED
        result.static = static_faults(result.site, machines)
        if not options.offline and not result.refused:
            _, result.interrupted = run_until_ctrl_c(_online(result, result.site, machines, options))
    if options.as_json:
        show_json(as_json(result))
    else:
        show(result, options.lang, offline=options.offline)
    can_certify = result.site is not None and not options.offline and not result.interrupted
    if options.certificate is not None and can_certify:
        _certify(result, options)
    return result.status


async def _online(result: CheckResult, site: Site, machines: Mapping[str, Machine], options: CheckOptions) -> None:
    """Fills the result; cancelled, with what has been read so far."""
    offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ns() -> int:
        return time.monotonic_ns() + offset_ns

    result.devices = {name: DeviceObservation(name) for name in site.devices}
    try:
        await _read(result, site, options, now_ns)
    except asyncio.CancelledError:
        read_ns = max((device.until_ns - device.from_ns for device in result.devices.values()), default=0)
        _report_tags(result, site, machines, read_ns / 1e9, was_cancelled=True)
        return
    _report_tags(result, site, machines, options.for_s, was_cancelled=False)
    if options.count_s is not None:
        with suppress(asyncio.CancelledError):
            await _count(result, site, machines, options, now_ns)


async def _read(result: CheckResult, site: Site, options: CheckOptions, now_ns: Callable[[], int]) -> None:
    files = certificates(result.file)
    with progress(quiet=options.as_json) as report_progress:
        title = say("check.reading", options.lang)

        def on_progress(seconds: float) -> None:
            report_progress(title, seconds, options.for_s)

        await observe(site.devices, files, options.for_s, now_ns, on_progress, result.devices)
    await _explain_bad_tags(site, files, result.devices)


def certificates(site: Path) -> Path:
    """Where the agent keeps certificates that the site file does not place, so that servers see the same ones."""
    return site.with_suffix(".certificates")


async def _explain_bad_tags(site: Site, files: Path, observed: Mapping[str, DeviceObservation]) -> None:
    """Finds out why bad tags are bad, and how long one read takes of devices that are not polled."""
    connected = {
        name: device.with_files(name, files) for name, device in site.devices.items() if observed[name].fault is None
    }
    bad = {
        name: [
            tag
            for tag in device.tags
            if tag not in observed[name].rows or observed[name].rows[tag][-1].quality >= Quality.BAD
        ]
        for name, device in connected.items()
    }
    for name, seconds in (await round_trips_s(connected)).items():
        observed[name].latency_s = seconds
    for name, notes in (await diagnose(connected, bad)).items():
        observed[name].notes = notes


def _report_tags(
    result: CheckResult, site: Site, machines: Mapping[str, Machine], read_s: float, *, was_cancelled: bool
) -> None:
    """read_s: how long was read [s]; was_cancelled: nothing is said of a tag that was not read yet and of whose device no
    fault is known, and of machines that use it."""
    used = uses(site, machines)
    until_ns = max((device.until_ns for device in result.devices.values()), default=0)
    unfit: dict[str, list[Fault]] = {}
    rows = {
        f"{name}.{tag}": [(row.t_ns, row.value, row.quality) for row in column]
        for name, device in result.devices.items()
        for tag, column in device.rows.items()
    }
    for name, device in result.devices.items():
        rows[f"{name}.online"] = [(device.from_ns, int(device.fault is None), Quality.GOOD)]
    for name, machine in machines.items():
        own = {tag: rows[tag] for tag in machine.tags() if tag in rows}
        if was_cancelled and len(own) < len(machine.tags()):
            continue
        first_ns = max((column[0][0] for column in own.values()), default=until_ns)
        samples = window(own, first_ns, until_ns)
        result.machines[name] = compute(machine, samples, until_ns)
        tags = unfitted(machine, samples, until_ns)
        held = ", ".join(f"{tag} = {own[tag][-1][1]}" for tag in tags)
        for tag in tags:
            unfit.setdefault(tag, []).append(Fault("no_rule_fits", "warn", {"machine": name, "values": held}))
    running = {
        name: RunningMachine(min(read_s, running_s(item, until_ns)), rate_of(machines[name], item.live.product))
        for name, item in result.machines.items()
        if item.live is not None
    }
    for name, model in site.devices.items():
        for tag in model.tags:
            full = f"{name}.{tag}"
            if was_cancelled and tag not in result.devices[name].rows and result.devices[name].fault is None:
                result.not_read.append(full)
                continue
            report = tag_report(result.devices[name], tag, _description(model, tag), used.get(full, Use()))
            report = with_still_counter(report, running)
            result.tags.append(_with(report, [*result.static.get(full, ()), *unfit.get(full, ())]))


def _with(report: TagReport, faults: Sequence[Fault]) -> TagReport:
    """The report with further faults; a failed tag is not told as well that no rule fits it."""
    told = [fault for fault in faults if not (report.failed and fault.code == "no_rule_fits")]
    return replace(report, faults=(*report.faults, *told))


def _description(device: Device, name: str) -> TagDescription:
    tag = device.tags[name]
    return TagDescription(
        device.address(name),
        tag.unit,
        device.period_s(name),
        device.stale_after_s(name),
        word_order=tag.has_word_order,
        byte_order=tag.has_byte_order,
        gives_times=device.gives_times,
    )


async def _count(
    result: CheckResult, site: Site, machines: Mapping[str, Machine], options: CheckOptions, now_ns: Callable[[], int]
) -> None:
    name = options.machine or (next(iter(machines)) if len(machines) == 1 else "")
    if not name:
        name = await asked(partial(_which, list(machines), options.lang))
    assert options.count_s is not None  # asked for
    setup = count.CountSetup(name, options.count_s, options.shortest_stop_s, options.hand)
    try:
        result.comparison = await count.count(
            site, machines[name], certificates(result.file), setup, now_ns, options.lang
        )
    except count.NoBaseline as error:
        result.no_baseline = error.tags


def _which(names: Sequence[str], lang: str) -> str:
    return str(click.prompt(say("count.which", lang), type=click.Choice(names), err=True))


def _certify(result: CheckResult, options: CheckOptions) -> None:
    site = result.site
    assert options.certificate is not None  # asked for
    assert site is not None  # what was read is one
    sheet = Sheet(
        site, result.devices, result.tags, result.machines, result.comparison, result.status == FINE, options.verified_by,
        datetime.now(ZoneInfo(site.timezone)), config_hash(site), version("nhip"),
    )  # fmt: skip
    try:
        write_whole(options.certificate, page(sheet, options.lang))
    except OSError as error:
        notice(say("certificate.cannot_write", options.lang, file=options.certificate, detail=error))
        return
    notice(say("certificate.written", options.lang, file=options.certificate))
