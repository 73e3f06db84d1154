"""The command `nhip outbox`. Imports are lazy."""

from dataclasses import asdict
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.commands.site_arguments import outbox_and_site
from cli.exits import MISCONFIGURED, fail
from cli.options import json_option, lang_option
from cli.terminal import show_json

if TYPE_CHECKING:
    from agent.commands.outbox_summary import OutboxSummary
    from config import Site

_MINUTE_NS = 60_000_000_000
_path = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=_path)
@click.option("--export", "target", type=_path)
@click.option("--as", "author", default="")
@json_option
@lang_option
def outbox(file: Path, target: Path | None, author: str, as_json: bool, lang: str) -> None:
    """Shows what waits for the center in the outbox of FILE (SITE.yaml or its .outbox), since when and how much; the agent may
    be running.
    """
    from agent.commands.outbox_summary import summarize
    from agent.outbox.disk import OutboxError

    file, site = outbox_and_site(file)
    try:
        summary = summarize(file)
        exported = None if target is None else _export(file, target, author or summary.author, lang)
    except OutboxError as error:
        fail(error.text(lang), MISCONFIGURED)
    if as_json:
        more = {} if target is None else {"exported": exported, "file": str(target)}
        content = asdict(summary) | {"link": [item.model_dump() for item in summary.link]}
        content = {key: value for key, value in content.items() if key not in ("trouble", "link") or value}
        show_json(content | {"waiting": summary.waiting} | more)
    else:
        _print(summary, file, site, lang)
        if target is not None:
            from words import say

            click.echo(say("outbox.exported", lang, count=exported, file=target))


def _print(summary: "OutboxSummary", file: Path, site: "Site | None", lang: str) -> None:
    from agent.outbox.disk import noted_trouble
    from words import link_trouble, number, say

    zone = _zone(site.timezone if site else summary.timezone)
    has_center = site is None or site.center is not None
    author = summary.author or say("outbox.nobody", lang)
    megabytes = number(summary.file_bytes / 1e6, lang, 1)
    click.echo(say("outbox.head", lang, author=author, megabytes=megabytes, outbox=summary.outbox))
    _print_waiting(summary, zone, lang, has_center=has_center)
    _print_closed(summary.closed_ns, zone, lang)
    if summary.trouble:
        click.echo(say("outbox.trouble", lang, why=noted_trouble(file, lang) or summary.trouble))
    for item in summary.link:
        click.echo(link_trouble(item.code, item.values, lang))
    for stream in summary.streams:
        condition = say(f"outbox.condition.{stream.condition}", lang)
        click.echo(say("outbox.stream", lang, **asdict(stream) | {"condition": condition}))
        if stream.oldest_ns is not None and has_center:
            values = _waiting_values(stream.waiting, stream.waiting_bytes, stream.oldest_ns, zone, lang)
            click.echo(say("outbox.stream_waits", lang, **values))
        if stream.lost and stream.condition != "retired":
            click.echo(say("outbox.lost", lang, count=stream.lost))
    if summary.outdated:
        click.echo(say("outbox.outdated", lang, machines=", ".join(summary.outdated)))


def _zone(name: str) -> tzinfo | None:
    """The site's time zone; None, this computer's, where it is not known."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError):  # described by a program with other zones
        return None


def _print_waiting(summary: "OutboxSummary", zone: tzinfo | None, lang: str, *, has_center: bool) -> None:
    from words import say

    sent_streams = [stream for stream in summary.streams if stream.condition != "retired"]
    oldest_ns = min((stream.oldest_ns for stream in sent_streams if stream.oldest_ns is not None), default=None)
    if oldest_ns is None:
        click.echo(say("outbox.nothing_waits" if summary.generation else "outbox.nothing_sealed", lang))
        return
    size = sum(stream.waiting_bytes for stream in sent_streams)
    values = _waiting_values(summary.waiting, size, oldest_ns, zone, lang)
    click.echo(say("outbox.waits" if has_center else "outbox.stays", lang, **values))
    if has_center and not summary.generation:
        click.echo(say("outbox.no_center", lang))


def _print_closed(closed_ns: dict[str, int], zone: tzinfo | None, lang: str) -> None:
    """Up to when facts are closed, and the machines that are further behind than one minute."""
    import time

    from cli.times import time_text
    from words import duration, say

    if not closed_ns:
        return
    newest_ns = max(closed_ns.values())
    age = duration((time.time_ns() - newest_ns) // 1_000_000, lang)
    click.echo(say("outbox.closed", lang, until=time_text(newest_ns, zone, lang), age=age))
    for machine, until_ns in closed_ns.items():
        if newest_ns - until_ns > _MINUTE_NS:
            click.echo(say("outbox.behind", lang, machine=machine, until=time_text(until_ns, zone, lang)))


def _waiting_values(count: int, size: int, oldest_ns: int, zone: tzinfo | None, lang: str) -> dict[str, Any]:
    import time

    from cli.times import time_text
    from words import duration, number

    return {
        "count": number(count, lang),
        "kilobytes": number(size / 1e3, lang, 1),
        "since": time_text(oldest_ns, zone, lang),
        "age": duration((time.time_ns() - oldest_ns) // 1_000_000, lang),
    }


def _export(file: Path, target: Path, author: str, lang: str) -> int:
    from datetime import UTC, datetime

    from agent.commands.outbox_summary import waiting_envelopes
    from cli.files import replacing
    from wire.offline_transfer import TransferHead, pack
    from wire.topics import ID
    from words import say

    site, _, gateway = author.partition("/")
    if not (ID.fullmatch(site) and ID.fullmatch(gateway)):
        key = "outbox.bad_author" if author else "outbox.no_author"
        fail(say(key, lang, author=author, file=file), MISCONFIGURED)
    head = TransferHead(site, gateway, datetime.now(UTC).isoformat(timespec="seconds"))
    lines = 0
    try:
        with replacing(target) as out:
            for line in pack(head, waiting_envelopes(file)):
                out.write(line)
                lines += 1
    except OSError as error:
        fail(say("outbox.cannot_write", lang, file=target, detail=error), MISCONFIGURED)
    return lines - 2  # without the head and the end


COMMANDS = (outbox,)
