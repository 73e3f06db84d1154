"""The command `nhip clock`. Imports are lazy."""

import sys
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

import click

from agent.commands.site_arguments import outbox_and_site
from cli.exits import MISCONFIGURED, fail
from cli.options import json_option, lang_option
from cli.terminal import show_json

_path = click.Path(path_type=Path, dir_okay=False)
_MINUTE_NS: Final = 60_000_000_000


@click.group()
def clock() -> None:
    """Shows whether a gateway's time is confirmed and by what, or confirms it."""


@clock.command()
@click.argument("file", type=_path)
@json_option
@lang_option
def show(file: Path, as_json: bool, lang: str) -> None:
    """Shows what has confirmed the time of the agent of FILE (SITE.yaml or its .outbox)."""
    from agent.clock.clock import GatewayClock
    from agent.clock.files import undated_path
    from agent.clock.system import SystemClock
    from cli.times import time_text
    from words import number, say

    outbox, zone = _outbox_and_zone(file, lang)
    system = SystemClock()
    gateway_clock = GatewayClock(outbox=outbox, system=system)
    by = gateway_clock.report().by
    undated_bytes = undated_path(outbox).stat().st_size if undated_path(outbox).exists() else 0
    if as_json:
        values = {
            "by": by,
            "gateway_ns": gateway_clock.now_ns(),
            "system_ns": system.wall_ns(),
            "held_bytes": undated_bytes,
        }
        show_json(values)
        return
    system_time = time_text(system.wall_ns(), zone, lang)
    if gateway_clock.trusted:
        source = say(f"clock.by.{by}", lang)
        click.echo(
            say("clock.now", lang, gateway=time_text(gateway_clock.now_ns(), zone, lang), system=system_time, by=source)
        )
    else:
        click.echo(say("clock.untrusted", lang, system=system_time, file=file))
    if undated_bytes:
        click.echo(say("clock.held", lang, kilobytes=number(undated_bytes / 1e3, lang, 1)))


@clock.command()
@click.argument("file", type=_path)
@click.option("--at", "text", default="")
@click.option("--yes", is_flag=True)
@lang_option
def confirm(file: Path, text: str, yes: bool, lang: str) -> None:
    """Confirms the time of the agent of FILE (SITE.yaml or its .outbox), where neither NTP nor the center can."""
    from agent.clock import files
    from agent.clock.system import SystemClock
    from cli.times import parse_time, time_text
    from words import say

    outbox, zone = _outbox_and_zone(file, lang)
    system = SystemClock()
    utc_ns = None
    if text:
        try:
            true_time = parse_time(text, zone)
        except ValueError:
            fail(say("clock.bad_time", lang, text=text), MISCONFIGURED)
        utc_ns = round(true_time.timestamp() * 1e9)
        if true_time.second == 0:
            utc_ns += _MINUTE_NS // 2  # given to the minute: on average half a minute has passed since
    elif not yes and not click.confirm(say("clock.ask", lang, system=time_text(system.wall_ns(), zone, lang))):
        click.echo(say("clock.not_confirmed", lang), err=True)
        sys.exit(1)
    try:
        files.confirm(outbox, utc_ns, _MINUTE_NS, system)
    except OSError as error:
        fail(say("clock.cannot_write", lang, file=outbox, detail=error), MISCONFIGURED)
    now_ns = system.wall_ns() if utc_ns is None else utc_ns
    click.echo(say("clock.confirmed", lang, now=time_text(now_ns, zone, lang)))


def _outbox_and_zone(file: Path, lang: str) -> tuple[Path, tzinfo]:
    """The outbox, and the site's time zone, or the system's where no site file says it."""
    from zoneinfo import ZoneInfo

    from words import say

    outbox, site = outbox_and_site(file)
    if not outbox.exists():
        fail(say("clock.no_outbox", lang, file=outbox), MISCONFIGURED)
    return outbox, ZoneInfo(site.timezone) if site else datetime.now().astimezone().tzinfo or UTC


COMMANDS = (clock,)
