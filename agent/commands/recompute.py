"""The command `nhip recompute`. Imports are lazy."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.commands.site_arguments import (
    or_fail,
    outbox_option,
    parse_time,
    read_site,
    refusal_text,
    require_known,
    say,
    site_argument,
    site_time,
)
from cli.exits import MISCONFIGURED, fail
from cli.options import json_option, lang_option
from cli.terminal import show_json

if TYPE_CHECKING:
    from agent.outbox.declarations import RecomputeRequest
    from config import Site


@click.command()
@site_argument
@click.option("--from", "since", default="")
@click.option("--machine", "machines", multiple=True)
@outbox_option
@json_option
@lang_option
def recompute(
    site_file: Path, since: str, machines: tuple[str, ...], outbox: Path | None, as_json: bool, lang: str
) -> None:
    """Recomputes the last days with SITE as it is now (ideal times, calendar, reasons, states) and sends the
    differences. A running agent does this in the background; if none is running, this command does it.
    """
    site, path = read_site(site_file, lang), outbox or site_file.with_suffix(".outbox")
    for name in machines:
        require_known("machine", name, list(site.machines), lang)
    from_ns = parse_time("--from", since, site, lang) if since else 0
    names = machines or tuple(site.machines)
    running = or_fail(lambda: _request(site, site_file, path, names, from_ns, lang), lang)
    rows = or_fail(lambda: _with_progress_bar(site, path, names, lang, running=running), lang)
    if as_json:
        show_json([vars(item) for item in rows])
    else:
        _print(rows, site, lang)
    sys.exit(0 if all(item.state == "done" for item in rows) else 1)


def _request(site: "Site", file: Path, path: Path, names: Sequence[str], from_ns: int, lang: str) -> bool:
    """Stores the request; returns whether an agent is running, which will carry it out."""
    from agent.commands.outbox_access import is_agent_running, outbox_transaction
    from agent.corrections.machine_digest import CONFIG
    from agent.outbox.declarations import request_recompute
    from config import config_hash

    running = is_agent_running(path)
    with outbox_transaction(path) as db:
        settings = dict(db.execute("select key, value from settings"))
        if running and settings.get(CONFIG) != config_hash(site):
            fail(say("recompute.other_file", lang, file=file), MISCONFIGURED)
        request_recompute(db, names, from_ns, time.time_ns())
    return running


def _with_progress_bar(
    site: "Site", path: Path, names: Sequence[str], lang: str, *, running: bool
) -> "list[RecomputeRequest]":
    from cli.terminal import progress

    with progress() as report_progress:
        done: set[str] = set()

        def report(name: str, share: float) -> None:
            text = say("recompute.working", lang, machine=name)
            report_progress(text, len(done - {name}) + share, len(names))
            if share >= 1.0:
                done.add(name)

        rows = _watch(path, names, report) if running else _run_offline(site, path, report)
    return [item for item in rows if item.machine in names]


def _run_offline(site: "Site", path: Path, report: Callable[[str, float], None]) -> "list[RecomputeRequest]":
    import asyncio

    from agent.corrections.offline import recompute as offline

    return asyncio.run(offline(site, path, report))


def _watch(path: Path, names: Sequence[str], report: Callable[[str, float], None]) -> "list[RecomputeRequest]":
    """Waits until the running agent has handled all requests, or has ended."""
    from agent.commands.outbox_access import is_agent_running, outbox_transaction
    from agent.outbox.declarations import recompute_requests

    while True:
        with outbox_transaction(path) as db:
            rows = [item for item in recompute_requests(db) if item.machine in names]
        for item in rows:
            if item.state != "new":
                report(item.machine, 1.0)
        if all(item.state != "new" for item in rows) or not is_agent_running(path):
            return rows
        time.sleep(0.3)


def _print(rows: "Sequence[RecomputeRequest]", site: "Site", lang: str) -> None:
    for item in rows:
        if item.state == "done":
            since = site_time(item.base_ns or 0, site, lang)
            click.echo(say("recompute.done", lang, machine=item.machine, since=since))
        elif item.state == "refused":
            click.echo(say("recompute.refused", lang, machine=item.machine, why=refusal_text(item.why, site, lang)))
    unfinished = any(item.state == "new" for item in rows)
    click.echo(say("recompute.stopped_early" if unfinished else "recompute.sends", lang), err=unfinished)


COMMANDS = (recompute,)
