"""`nhip check`: errors of a site file, then faults of each tag while it is read, and what to inspect in the cabinet."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from adapters.contract import Fault
from cli.files import write_whole
from cli.terminal import notice, progress, show_json
from config import Misconfigured, Site, compile_site, config_hash, load_profiles, missing_file_warnings, read_site
from config.devices.kinds import Device
from oee.model.machine import Machine
from oee.model.states import Quality
from tools.check import count
from tools.check.certificate import Sheet, page
from tools.check.machine_now import compute, running_s, unfitted, window
from tools.check.observe import diagnose, observe, round_trips_s
from tools.check.result import FINE, MISCONFIGURED, CheckResult, as_json, show
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
    """Checks, prints, and returns the exit status: 0 fine, 1 a tag failed or the counts differ, 2 misconfigured."""
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
            asyncio.run(_online(result, result.site, machines, options))
    if options.as_json:
        show_json(as_json(result))
    else:
        show(result, options.lang, offline=options.offline)
    if options.certificate is not None and result.site is not None and not options.offline:
        _certify(result, result.site, options)
    return result.status


async def _online(result: CheckResult, site: Site, machines: Mapping[str, Machine], options: CheckOptions) -> None:
    files = certificates(result.file)
    offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ns() -> int:
        return time.monotonic_ns() + offset_ns

    with progress(quiet=options.as_json) as report_progress:
        title = say("check.reading", options.lang)
        observed = await observe(
            site.devices, files, options.for_s, now_ns, lambda s: report_progress(title, s, options.for_s)
        )
    await _explain_bad_tags(site, files, observed)
    result.devices = observed
    _report_tags(result, site, machines, options.for_s)
    if options.count_s is not None:
        await _count(result, site, machines, options, now_ns)


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


def _report_tags(result: CheckResult, site: Site, machines: Mapping[str, Machine], for_s: float) -> None:
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
        first_ns = max((column[0][0] for column in own.values()), default=until_ns)
        samples = window(own, first_ns, until_ns)
        result.machines[name] = compute(machine, samples, until_ns)
        tags = unfitted(machine, samples, until_ns)
        held = ", ".join(f"{tag} = {own[tag][-1][1]}" for tag in tags)
        for tag in tags:
            unfit.setdefault(tag, []).append(Fault("no_rule_fits", "warn", {"machine": name, "values": held}))
    running = {
        name: RunningMachine(min(for_s, running_s(item, until_ns)), rate_of(machines[name], item.live.product))
        for name, item in result.machines.items()
        if item.live is not None
    }
    for name, model in site.devices.items():
        for tag in model.tags:
            full = f"{name}.{tag}"
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
        gives_times=device.gives_times,
    )


async def _count(
    result: CheckResult, site: Site, machines: Mapping[str, Machine], options: CheckOptions, now_ns: Callable[[], int]
) -> None:
    name = options.machine or (next(iter(machines)) if len(machines) == 1 else "")
    if not name:
        name = await asyncio.to_thread(_which, list(machines), options.lang)
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


def _certify(result: CheckResult, site: Site, options: CheckOptions) -> None:
    assert options.certificate is not None  # asked for
    sheet = Sheet(
        site, result.devices, result.tags, result.machines, result.comparison, result.status == FINE, options.verified_by,
        datetime.now(ZoneInfo(site.timezone)), config_hash(site), version("nhip"),
    )  # fmt: skip
    try:
        write_whole(options.certificate, page(sheet, options.lang))
    except OSError as error:
        notice(say("certificate.cannot_write", options.lang, file=options.certificate, detail=error.strerror or ""))
        return
    notice(say("certificate.written", options.lang, file=options.certificate))
