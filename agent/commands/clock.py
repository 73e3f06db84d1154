"""The command `nhip clock`. Imports are lazy."""

import json
import sys
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

import click

from cli.exits import MISCONFIGURED, fail
from cli.options import json_option, lang_option

_path = click.Path(path_type=Path, dir_okay=False)
_MINUTE_NS: Final = 60_000_000_000


@click.group()
def clock() -> None:
    """Whether a gateway's clock is trusted, and a person's confirmation that it is right."""


@clock.command()
@click.argument("file", type=_path)
@json_option
@lang_option
def show(file: Path, as_json: bool, lang: str) -> None:
    """Who vouches for the time of the agent of FILE (SITE.yaml or its .outbox)."""
    from agent.clock.clock import GatewayClock
    from agent.clock.files import undated_path
    from agent.clock.system import SystemClock
    from cli.times import time_text
    from words import number, say

    outbox = _outbox(file, lang)
    system = SystemClock()
    kept = GatewayClock(outbox=outbox, system=system)
    by = kept.report().by
    held = undated_path(outbox).stat().st_size if undated_path(outbox).exists() else 0
    if as_json:
        values = {"by": by, "gateway_ns": kept.now_ns(), "system_ns": system.wall_ns(), "held_bytes": held}
        click.echo(json.dumps(values))
        return
    zone = _zone(file)
    shown = time_text(system.wall_ns(), zone, lang)
    if kept.trusted:
        vouched = say(f"clock.by.{by}", lang)
        click.echo(say("clock.now", lang, gateway=time_text(kept.now_ns(), zone, lang), system=shown, by=vouched))
    else:
        click.echo(say("clock.untrusted", lang, system=shown, file=file))
    if held:
        click.echo(say("clock.held", lang, kilobytes=number(held / 1e3, lang, 1)))


@clock.command()
@click.argument("file", type=_path)
@click.option("--at", "text", default="", help="The true time now, as in 2026-11-25 14:32 (in the site's time zone).")
@click.option("--yes", is_flag=True, help="Do not ask whether the system's clock is right.")
@lang_option
def confirm(file: Path, text: str, yes: bool, lang: str) -> None:
    """Vouch for the time of the agent of FILE (SITE.yaml or its .outbox), where neither NTP nor the center can."""
    from agent.clock import files
    from agent.clock.system import SystemClock
    from cli.times import parse_time, time_text
    from words import say

    outbox, system, zone = _outbox(file, lang), SystemClock(), _zone(file)
    utc_ns = None
    if text:
        try:
            typed = parse_time(text, zone)
        except ValueError:
            fail(say("clock.bad_time", lang, text=text), MISCONFIGURED)
        utc_ns = round(typed.timestamp() * 1e9)
        if typed.second == 0:
            utc_ns += _MINUTE_NS // 2  # typed to the minute: on average half of it has passed
    elif not yes and not click.confirm(say("clock.ask", lang, system=time_text(system.wall_ns(), zone, lang))):
        click.echo(say("clock.not_confirmed", lang), err=True)
        sys.exit(1)
    try:
        files.confirm(outbox, utc_ns, _MINUTE_NS, system)
    except OSError as error:
        fail(say("clock.cannot_write", lang, file=outbox, detail=error.strerror or error), MISCONFIGURED)
    now_ns = system.wall_ns() if utc_ns is None else utc_ns
    click.echo(say("clock.confirmed", lang, now=time_text(now_ns, zone, lang)))


def _outbox(file: Path, lang: str) -> Path:
    from words import say

    outbox = file.with_suffix(".outbox") if file.suffix in (".yaml", ".yml") else file
    if not outbox.exists():
        fail(say("clock.no_outbox", lang, file=outbox), MISCONFIGURED)
    return outbox


def _zone(file: Path) -> tzinfo:
    """The site's time zone; the system's where only an outbox is named or the file cannot be read."""
    from zoneinfo import ZoneInfo

    from config import Misconfigured, load_site

    if file.suffix in (".yaml", ".yml"):
        try:
            return ZoneInfo(load_site(file).timezone)
        except Misconfigured:
            pass
    return datetime.now().astimezone().tzinfo or UTC


COMMANDS = (clock,)
