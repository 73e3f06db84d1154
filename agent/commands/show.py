"""The command `nhip show`. Imports are lazy."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent.commands.site_arguments import or_fail, outbox_option, read_site, require_known, site_argument
from cli.options import json_option, lang_option

if TYPE_CHECKING:
    from agent.commands.show_watch import GatewayView, Watch

_EVERY_S: Final = 1.0


@click.command()
@site_argument
@click.option("--once", is_flag=True)
@click.option("--machine", default="")
@outbox_option
@json_option
@lang_option
def show(site_file: Path, once: bool, machine: str, outbox: Path | None, as_json: bool, lang: str) -> None:
    """Shows what the gateway of SITE knows, with or without a center: machines, this shift's OEE, stops, what is missing and
    how to supply it, devices and last values. The agent may be running.
    """
    from agent.commands.show_json import as_json as plain
    from agent.commands.show_watch import MOST_TAGS, Watch
    from cli.terminal import show_json

    site = read_site(site_file, lang)
    if machine:
        require_known("machine", machine, list(site.machines), lang)
    watch = Watch(site, site_file, outbox or site_file.with_suffix(".outbox"), machine, "en" if as_json else lang)
    few = sum(len(device.tags) for device in site.devices.values()) <= MOST_TAGS
    if as_json:
        show_json(plain(or_fail(watch.look, lang)))
    elif once or not sys.stdout.isatty():
        _print(or_fail(watch.look, lang), lang)
    else:
        _follow(watch, lang, tags=few)


def _print(view: "GatewayView", lang: str) -> None:
    from agent.commands.show_screen import screen_of
    from cli.terminal import screen

    screen().print(screen_of(view, lang))


def _follow(watch: "Watch", lang: str, *, tags: bool) -> None:
    from rich.live import Live

    from agent.commands.show_screen import screen_of
    from cli.terminal import screen

    def look() -> "GatewayView":
        return or_fail(lambda: watch.look(tags=tags), lang)

    try:
        with Live(screen_of(look(), lang, tags=tags), console=screen(), screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(_EVERY_S)
                live.update(screen_of(look(), lang, tags=tags), refresh=True)
    except KeyboardInterrupt:
        pass
    _print(look(), lang)  # what was on the screen last stays in the terminal


COMMANDS = (show,)
