"""The command `nhip quarantine`. What it runs is imported only when it is used."""

import sys
from typing import TYPE_CHECKING, Any

import click

from center.commands.with_center import with_center
from cli.exits import fail
from cli.options import json_option, lang_option
from cli.terminal import show_json

if TYPE_CHECKING:
    from center.commands.connect import RunningCenter, StoppedCenter


@click.group()
def quarantine() -> None:
    """What the center did not understand or did not accept."""


@quarantine.command("list")
@click.argument("where", metavar="CENTER.yaml|URL")
@json_option
@lang_option
def list_(where: str, as_json: bool, lang: str) -> None:
    """Lists quarantined payloads, the newest first."""
    from words import say

    rows = with_center(where, lang, lambda center: center.quarantined())
    if as_json:
        show_json({"rows": rows, "count": len(rows)})
        return
    click.echo(say("quarantine.count", lang, count=len(rows)) if rows else say("quarantine.empty", lang))
    for row in rows:
        click.echo(say("quarantine.row", lang, **row))


@quarantine.command()
@click.argument("where", metavar="CENTER.yaml|URL")
@click.argument("number", type=int)
@json_option
@lang_option
def show(where: str, number: int, as_json: bool, lang: str) -> None:
    """Shows one payload, as far as it can be decoded."""
    from words import say

    try:
        payload = with_center(where, lang, lambda center: center.show(number))
    except LookupError:
        fail(say("quarantine.unknown", lang, id=number), 1)
    if as_json:
        show_json(payload)
        return
    click.echo(
        say("quarantine.row", lang, **{name: payload[name] for name in ("id", "at", "topic", "bytes", "reason")})
    )
    click.echo(say("quarantine.settled" if payload["settled"] else "quarantine.unsettled", lang))
    if payload["envelope"]:
        header = {name: payload["envelope"][name] for name in ("stream", "seq", "sealed")}
        click.echo(say("quarantine.envelope", lang, **header))
    if payload["unreadable"]:
        click.echo(say("quarantine.unreadable", lang, why=payload["unreadable"]))
    else:
        show_json(payload["content"])


@quarantine.command()
@click.argument("where", metavar="CENTER.yaml|URL")
@click.argument("numbers", type=int, nargs=-1, required=True)
@json_option
@lang_option
def replay(where: str, numbers: tuple[int, ...], as_json: bool, lang: str) -> None:
    """Retries payloads: after an update of the center, or after a machine was handed over."""
    from words import say

    def replay_one(center: "RunningCenter | StoppedCenter", number: int) -> dict[str, Any]:
        try:
            return center.replay(number)
        except LookupError:
            return {"id": number, "released": False, "reason": say("quarantine.unknown", lang, id=number)}

    rows = with_center(where, lang, lambda center: [replay_one(center, number) for number in numbers])
    if as_json:
        show_json({"rows": rows})
    else:
        for row in rows:
            key = "quarantine.released" if row["released"] else "quarantine.kept"
            click.echo(say(key, lang, **{name: row[name] for name in ("id", "reason")}))
    sys.exit(0 if all(row["released"] for row in rows) else 1)


def _decision(act: str) -> None:
    """Adds a command for a decision about the streams that are held: of two boxes that ran as one gateway."""

    @quarantine.command(act)
    @click.argument("where", metavar="CENTER.yaml|URL")
    @click.argument("whose", metavar="SITE/GATEWAY")
    @click.option("--stream", default="")
    @json_option
    @lang_option
    def decide(where: str, whose: str, stream: str, as_json: bool, lang: str) -> None:
        from words import say

        site, _, gateway = whose.partition("/")
        try:
            outcome = with_center(where, lang, lambda center: center.decide(act, site, gateway, stream))
        except LookupError:
            fail(say("quarantine.nothing_held", lang, whose=whose), 1)
        if as_json:
            show_json(outcome)
            return
        count, kept = outcome["envelopes"], outcome["kept"]
        click.echo(say(f"quarantine.{act}", lang, count=count, whose=whose))
        if kept:
            click.echo(say("quarantine.counted_already", lang, count=kept, whose=whose))


_decision("accept")
_decision("discard")

COMMANDS = (quarantine,)
