"""The command `nhip declare`. Imports are lazy."""

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
    """Declares something about a MACHINE of SITE: reason, state, product, order, rejects, rework, planned_stop or
    changeover, and its VALUE; an empty value withdraws. Without a machine: the declarations and their outcomes.

    It may be about the last days; the agent, running or not, works out the difference.
    """
    lang, as_json = more["lang"], more["as_json"]
    site, path = read_site(site_file, lang), outbox or site_file.with_suffix(".outbox")
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
    require_known("machine", machine, list(site.machines), lang)
    if value and field in ("reason", "product"):
        require_known(field, value, list(site.reasons if field == "reason" else site.products), lang)
    start_ns = parse_time("--from", more["since"], site, lang)
    end_ns = parse_time("--to", more["until"], site, lang) if more["until"] else None
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
    """State and reason of refusal, after waiting for the agent; without one `new` and `no agent`."""
    from agent.commands.outbox_access import is_agent_running, outbox_transaction
    from agent.outbox import declarations as declared

    def add() -> None:
        with outbox_transaction(path) as db:
            declared.add(db, [item], "gateway")

    def outcome() -> dict[str, str]:
        with outbox_transaction(path) as db:
            return declared.outcomes(db, [item.id])

    or_fail(add)
    until_s = time.monotonic() + _WAIT_S
    while or_fail(lambda: is_agent_running(path)):
        found = or_fail(outcome)
        if item.id in found:
            return ("refused" if found[item.id] else "done"), found[item.id]
        if time.monotonic() > until_s:
            return "new", ""
        time.sleep(0.3)
    return "new", "no agent"


def _list(path: Path, site: "Site", lang: str, as_json: bool) -> None:
    from dataclasses import asdict

    from agent.commands.outbox_access import outbox_transaction
    from agent.outbox import declarations as declared

    def look() -> "list[StoredDeclaration]":
        with outbox_transaction(path) as db:
            return declared.latest(db, 50)

    rows: list[StoredDeclaration] = or_fail(look)
    if as_json:
        click.echo(json.dumps([asdict(item) for item in rows], ensure_ascii=False))
    elif not rows:
        click.echo(say("declare.none", lang))
    for item in [] if as_json else rows:
        click.echo(_line(item.declaration, item.state, item.why, site, lang))


def _line(item: "Declaration", state: str, why: str, site: "Site", lang: str) -> str:
    end = say("declare.open_end", lang) if item.end_ns is None else site_time(item.end_ns, site, lang)
    return say(
        "declare.line",
        lang,
        machine=item.machine,
        field=say(f"declare.field.{item.field}", lang),
        value=item.value or "''",
        start=site_time(item.start_ns, site, lang),
        end=end,
        who=item.who or "?",
        outcome=say(f"declare.state.{state}", lang, why=refusal_text(why, site, lang)),
    )


COMMANDS = (declare,)
