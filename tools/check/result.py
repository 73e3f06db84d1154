"""The result of `nhip check`, printed for people or as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from adapters.contract import Fault
from agent.uplink.data_estimate import expected, month_mb
from cli.exits import INTERRUPTED, MISCONFIGURED
from cli.terminal import notice, show_table
from config import Complaint, Site, config_hash
from tools.check import count
from tools.check.machine_now import WindowResult
from tools.check.verdict import DeviceObservation, TagReport
from tools.faults import full_text
from tools.plan.data_lines import data_lines
from words import complaint, number, say, value_text

FINE, BAD = 0, 1


@dataclass
class CheckResult:
    """The result; empty where a step was not reached. not_read: tags that were not read before Ctrl-C."""

    file: Path
    site: Site | None = None
    complaints: Sequence[Complaint] = ()
    static: dict[str, list[Fault]] = field(default_factory=dict)
    devices: dict[str, DeviceObservation] = field(default_factory=dict)
    tags: list[TagReport] = field(default_factory=list)
    machines: dict[str, WindowResult] = field(default_factory=dict)
    comparison: count.CountComparison | None = None
    no_baseline: list[str] = field(default_factory=list)
    interrupted: bool = False
    not_read: list[str] = field(default_factory=list)

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
        if self.interrupted:
            return INTERRUPTED
        bad = any(tag.failed for tag in self.tags) or bool(self.no_baseline)
        bad |= self.comparison is not None and not self.comparison.agree
        return BAD if bad else FINE


def as_json(result: CheckResult) -> dict[str, Any]:
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
                "warnings": [fault.as_json() for fault in device.warnings],
            }
            for name, device in result.devices.items()
        ],
        "tags": [tag.as_json() for tag in result.tags],
        "machines": [
            {
                "machine": name, "state": machine.live.state.word if machine.live else None,
                "product": machine.live.product if machine.live else None, "pieces": machine.pieces,
            }
            for name, machine in result.machines.items()
        ],
        "data_mb_a_month": {part: round(size, 1) for part, size in month_mb(expected(site)).items()} if site else None,
        "count": result.comparison.as_json() if result.comparison else None,
        "interrupted": result.interrupted,
        "not_read": result.not_read,
        "ok": result.status == FINE,
    }  # fmt: skip


def show(result: CheckResult, lang: str, *, offline: bool) -> None:
    """Prints the result: complaints, tags, each fault once with its cause, machines, the count. offline: nothing was read."""
    for item in result.complaints:
        notice(("" if item.severity == "error" else say("check.warning", lang) + " ") + complaint(item, lang))
    if result.site is None:
        notice(say("check.unusable", lang, n=sum(item.severity == "error" for item in result.complaints)))
        return
    if offline or result.refused:
        _show_faults(result.static.items(), lang)
        site = result.site
        key = "check.refused" if result.refused else "check.offline_fine"
        click.echo(say(key, lang, devices=len(site.devices), machines=len(site.machines)))
        _show_data(site, lang)
        return
    if result.interrupted:
        notice(say("cli.interrupted" if result.tags else "cli.interrupted_early", lang))
    _show_tags(result, lang)
    if result.not_read:
        click.echo(say("check.not_read", lang, n=len(result.not_read), tags=", ".join(result.not_read[:6])))
    _show_faults(((name, device.warnings) for name, device in result.devices.items()), lang)
    _show_faults(((tag.name, tag.faults) for tag in result.tags), lang)
    _show_machines(result, lang)
    if result.no_baseline:
        notice(say("count.no_baseline", lang, tags=", ".join(result.no_baseline)))
    if result.comparison:
        count.show(result.comparison, ZoneInfo(result.site.timezone), lang)
    failed = sum(tag.failed for tag in result.tags)
    warned = sum(bool(tag.faults) and not tag.failed for tag in result.tags)
    click.echo(say("check.summary", lang, fine=len(result.tags) - failed - warned, warned=warned, failed=failed))
    _show_data(result.site, lang)


def _show_data(site: Site, lang: str) -> None:
    for line in data_lines(site, lang):
        click.echo(line)


def _show_tags(result: CheckResult, lang: str) -> None:
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
        _moving(tag, lang),
        say(f"check.verdict.{verdict}", lang),
    ]


def _moving(tag: TagReport, lang: str) -> str:
    if tag.changes:
        return say("check.moved_once" if tag.changes == 1 else "check.moving", lang, n=tag.changes)
    return say("check.frozen", lang) if tag.read else "—"


def _show_faults(faults: Iterable[tuple[str, Iterable[Fault]]], lang: str) -> None:
    """Each fault once, with the tags that have it."""
    tags_by_key: dict[str, list[str]] = {}
    fault_by_key: dict[str, Fault] = {}
    for name, tag_faults in faults:
        for fault in tag_faults:
            key = fault.severity + full_text(fault, lang)
            tags_by_key.setdefault(key, []).append(name)
            fault_by_key[key] = fault
    for key, names in tags_by_key.items():
        shown = ", ".join(names[:6]) + (f" … ({len(names)})" if len(names) > 6 else "")
        click.echo(
            f"{say(f'check.mark.{fault_by_key[key].severity}', lang)} {shown}: {full_text(fault_by_key[key], lang)}\n"
        )


def _show_machines(result: CheckResult, lang: str) -> None:
    rows = []
    for name, machine in result.machines.items():
        live = machine.live
        state = say(f"state.{live.state.word}", lang) if live else "—"
        pieces = number(live.pieces if live else None, lang)
        rows.append([name, state, live.product if live else "—", pieces])
    keys = ("machine", "state", "product", "pieces")
    show_table([say(f"check.column.{key}", lang) for key in keys], rows)
