"""The command `nhip declare`. What it runs is imported only when it is used."""

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from agent.commands.past_options import (
    among,
    asked,
    load,
    local,
    moment,
    outbox_option,
    refusal,
    say,
    site_argument,
)
from cli.exits import MISCONFIGURED, fail
from cli.options import json_option, lang_option

if TYPE_CHECKING:
    from agent.outbox.declarations import StoredDeclaration
    from config import Site
    from oee.model.declarations import Declaration

FIELDS: Final = ("reason", "state", "product", "order", "rejects", "rework", "planned_stop", "changeover")
_WAIT_S: Final = 30.0


@click.command()
@site_argument
@click.argument("machine", required=False)
@click.argument("field", required=False, type=click.Choice(FIELDS))
@click.argument("value", default="")
@click.option("--from", "since", default="", help="Start: 08:10, or 2026-03-02T08:10.")
@click.option("--to", "until", default="", help="End; products and orders hold until further notice without it.")
@click.option("--who", default=lambda: os.environ.get("USER", ""), help="Who says so.")
@click.option("--product", default="", help="For rejects and rework: the product meant.")
@click.option("--replaces", default="", help="Id of the declaration that this one replaces.")
@outbox_option
@json_option
@lang_option
def declare(site_file: Path, machine: str | None, field: str | None, outbox: Path | None, **more: Any) -> None:
    """Says something about a MACHINE of SITE: reason, state, product, order, rejects, rework, planned_stop or
    changeover, and its VALUE; an empty value takes back. Without a machine: what was said, and what became of it.

    It may be about the last days; the agent, running or not, works out the difference.
    """
    lang, as_json = more["lang"], more["as_json"]
    site, path = load(site_file, lang), outbox or site_file.with_suffix(".outbox")
    if machine is None:
        _list(path, site, lang, as_json)
        return
    if field is None:
        fail(say("declare.no_machine", lang), MISCONFIGURED)
    item = _item(site, machine, field, more)
    state, why = _declare(path, item)
    if as_json:
        click.echo(json.dumps({"id": item.id, "state": state, "why": why}))
    else:
        click.echo(_line(item, state, "" if state == "new" else why, site, lang))
        if state == "new":
            click.echo(say("declare.kept" if why else "declare.waits", lang, file=path))
    sys.exit(1 if state == "refused" else 0)


def _item(site: "Site", machine: str, field: Any, more: dict[str, Any]) -> "Declaration":
    import uuid

    from oee.model.declarations import Declaration

    lang, value = more["lang"], more["value"]
    among("machine", machine, list(site.machines), lang)
    if value and field in ("reason", "product"):
        among(field, value, list(site.reasons if field == "reason" else site.products), lang)
    start_ns = moment("--from", more["since"], site, lang)
    end_ns = moment("--to", more["until"], site, lang) if more["until"] else None
    return Declaration(
        uuid.uuid4().hex,
        time.time_ns(),
        machine,
        start_ns,
        end_ns,
        field,
        value,
        more["who"],
        more["product"],
        more["replaces"],
    )


def _declare(path: Path, item: "Declaration") -> tuple[str, str]:
    """State and reason after a while; without an agent `new` and a word why it waits."""
    from agent.commands.requests import agent_runs, asking
    from agent.outbox import declarations as declared

    def add() -> None:
        with asking(path) as db:
            declared.add(db, [item], "gateway")

    def outcome() -> dict[str, str]:
        with asking(path) as db:
            return declared.outcomes(db, [item.id])

    asked(add)
    until_s = time.monotonic() + _WAIT_S
    while asked(lambda: agent_runs(path)):
        found = asked(outcome)
        if item.id in found:
            return ("refused" if found[item.id] else "done"), found[item.id]
        if time.monotonic() > until_s:
            return "new", ""
        time.sleep(0.3)
    return "new", "no agent"


def _list(path: Path, site: "Site", lang: str, as_json: bool) -> None:
    from dataclasses import asdict

    from agent.commands.requests import asking
    from agent.outbox import declarations as declared

    def look() -> "list[StoredDeclaration]":
        with asking(path) as db:
            return declared.latest(db, 50)

    rows: list[StoredDeclaration] = asked(look)
    if as_json:
        click.echo(json.dumps([asdict(item) for item in rows], ensure_ascii=False))
    elif not rows:
        click.echo(say("declare.none", lang))
    for item in [] if as_json else rows:
        click.echo(_line(item.declaration, item.state, item.why, site, lang))


def _line(said: "Declaration", state: str, why: str, site: "Site", lang: str) -> str:
    end = say("declare.open_end", lang) if said.end_ns is None else local(said.end_ns, site, lang)
    return say(
        "declare.line",
        lang,
        machine=said.machine,
        field=say(f"declare.field.{said.field}", lang),
        value=said.value or "''",
        start=local(said.start_ns, site, lang),
        end=end,
        who=said.who or "?",
        outcome=say(f"declare.state.{state}", lang, why=refusal(why, site, lang)),
    )


COMMANDS = (declare,)
