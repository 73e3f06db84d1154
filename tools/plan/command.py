"""`nhip plan`: the requests that each device will receive, and the cycle time of each line."""

from pathlib import Path

import click

from adapters.kinds import by_line
from adapters.planned import TIGHT, LinePlan, ServerPlan
from agent.uplink.data_estimate import expected, month_mb
from cli.terminal import notice, show_json, show_table
from config import Misconfigured, Site, read_site
from tools.plan.data_lines import data_lines
from words import complaint, number, percent, say

FINE, BAD, MISCONFIGURED = 0, 1, 2
_HEADINGS = ("device", "unit", "table", "addresses", "count", "every", "tags", "cost")


def plan(path: Path, answer_s: float, *, as_json: bool, lang: str) -> int:
    """Prints the plan of a site file and returns the exit status: 0 fine, 1 a line is too slow, 2 misconfigured."""
    try:
        site, warnings = read_site(path)
    except Misconfigured as error:
        for item in error.complaints:
            notice(complaint(item, lang))
        return MISCONFIGURED
    for item in warnings:
        notice(complaint(item, lang))
    lines, servers = lines_of(site, answer_s), servers_of(site)
    slow = any(line.verdict == "slow" for line in lines)
    if as_json:
        show_json(
            {
                "answer_s": answer_s,
                "lines": [line.as_json() for line in lines],
                "servers": [server.as_json() for server in servers],
                "data_mb_a_month": {part: round(size, 1) for part, size in month_mb(expected(site)).items()},
                "ok": not slow,
            }
        )
        return BAD if slow else FINE
    for line in lines:
        _show_line(line, answer_s, lang)
    for protocol in dict.fromkeys(server.protocol for server in servers):
        _show_servers(protocol, [server for server in servers if server.protocol == protocol], lang)
    if not lines and not servers:
        notice(say("plan.nothing", lang))
    for line_of_data in data_lines(site, lang):
        click.echo(line_of_data)
    return BAD if slow else FINE


def _show_line(line: LinePlan, answer_s: float, lang: str) -> None:
    speed = {"": "", "?": say("plan.speed_unknown", lang)}.get(line.speed, line.speed)
    rows = [
        (
            request.device,
            str(request.unit),
            request.table,
            _span(request.start, request.count),
            str(request.count),
            _period(request.period_s, lang),
            ", ".join(request.tags),
            _ms(request.cost_s, lang),
        )
        for request in line.requests
    ]
    title = " · ".join(part for part in (line.name, line.kind, speed) if part)
    show_table([say(f"plan.{heading}", lang) for heading in _HEADINGS], rows, title)
    cycle, share = _ms(line.cycle_s, lang), percent(line.share, lang)
    answer = _ms(answer_s, lang)
    click.echo(say("plan.cycle", lang, requests=len(line.requests), answer=answer, cycle=cycle, share=share))
    if line.share > 1:
        click.echo(say("plan.slow", lang, factor=number(line.share, lang, 1)))
    elif line.verdict == "tight":
        click.echo(say("plan.tight", lang, limit=percent(TIGHT, lang, 0)))
    for item in line.hurried:
        wanted, most = number(item.wanted_per_s, lang, 1), number(item.most_per_s, lang, 1)
        click.echo(say("plan.hurried", lang, device=item.device, wanted=wanted, most=most))
    click.echo("")


def _show_servers(protocol: str, servers: list[ServerPlan], lang: str) -> None:
    headings = [say(f"plan.{heading}", lang) for heading in ("device", "server", "mode", "nodes", "every", "requests")]
    rows = [
        (
            server.device,
            server.url,
            say(f"plan.{server.mode}", lang),
            str(server.nodes),
            _period(server.every_s, lang),
            str(server.requests) if server.mode == "poll" else "—",
        )
        for server in servers
    ]
    show_table(headings, rows, protocol)


def _span(start: int, count: int) -> str:
    return str(start) if count == 1 else f"{start}–{start + count - 1}"


def _ms(seconds: float, lang: str) -> str:
    return f"{number(seconds * 1000, lang, 0 if seconds >= 0.1 else 1)} ms"


def _period(seconds: float, lang: str) -> str:
    if seconds < 1:
        return f"{number(seconds * 1000, lang)} ms"
    return f"{number(seconds, lang, 0 if seconds == round(seconds) else 1)} s"


def plans_of(site: Site, answer_s: float) -> list[LinePlan | ServerPlan]:
    """Lines and devices in the order of the file. answer_s: response time of a device [s]."""
    return [plan for kind, devices in by_line(site.devices) for plan in kind.plan(devices, answer_s)]


def lines_of(site: Site, answer_s: float) -> list[LinePlan]:
    """The lines that devices share."""
    return [plan for plan in plans_of(site, answer_s) if isinstance(plan, LinePlan)]


def servers_of(site: Site) -> list[ServerPlan]:
    """The devices with a connection of their own."""
    return [plan for plan in plans_of(site, 0.0) if isinstance(plan, ServerPlan)]
