"""The command `nhip alerts`. What it runs is imported only when it is used."""

import sys
from pathlib import Path

import click

from cli.exits import FAILED, fail, fail_misconfigured
from cli.options import json_option, lang_option
from cli.terminal import show_json


@click.group()
def alerts() -> None:
    """Alerts: try the channels."""


@alerts.command("test")
@click.argument("center", metavar="CENTER.yaml", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--channel", default="")
@json_option
@lang_option
def test(center: Path, channel: str, as_json: bool, lang: str) -> None:
    """Sends a test message to every recipient of every channel, and says which have it."""
    from center.outgoing.alerts.trial import try_channels
    from config import Misconfigured, load_center
    from words import say

    try:
        settings = load_center(center)
    except Misconfigured as error:
        fail_misconfigured(error, lang)
    known = settings.alerts.channels if settings.alerts else {}
    if not known:
        fail(say("alert.no_channels", lang), FAILED)
    if channel and channel not in known:
        fail(say("alert.no_channel", lang, channel=channel, known=", ".join(known)), FAILED)
    results = []
    for outlet, why in try_channels(settings, channel, lang):
        results.append({"outlet": outlet, "sent": not why, "why": why})
        if not as_json:
            key = "alert.failed" if why else "alert.tried"
            click.echo(say(key, lang, outlet=outlet, why=why) if why else say(key, lang, outlet=outlet))
    if as_json:
        show_json({"results": results})
    sys.exit(0 if all(item["sent"] for item in results) else FAILED)


COMMANDS = (alerts,)
