"""The command `nhip declare`. Imports are lazy."""

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
from cli.terminal import show_json

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
@click.option(
    "--to",
    "until",
    default="",
    help="End; without it products and orders hold until further notice, reasons until the machine runs.",
)
@click.option("--who", default=lambda: os.environ.get("USER", ""), help="Who declares this.")
@click.option("--product", default="", help="For rejects and rework: the product.")
@click.option("--replaces", default="", help="Id of the declaration that this one replaces.")
@outbox_option
@json_option
@lang_option
def declare(site_file: Path, machine: str | None, field: str | None, outbox: Path | None, **options: Any) -> None:
    """Declares the reason, state, product, order, rejects, rework, planned_stop or changeover of a MACHINE of SITE; an
    empty VALUE withdraws. Without a machine, lists the declarations and their outcomes.

    It may be about the last days: the agent corrects the numbers, at its next start if it is not running now.
    """
    lang, as_json = options["lang"], options["as_json"]
    site, path = read_site(site_file, lang), outbox or site_file.with_suffix(".outbox")
    if machine is None:
        _list(path, site, lang, as_json)
        return
    if field is None:
        fail(say("declare.no_machine", lang), MISCONFIGURED)
    declaration = _new_declaration(site, machine, field, options)
    state, why = _declare(path, declaration)
    if as_json:
        show_json({"id": declaration.id, "state": state, "why": why})
    else:
        click.echo(_row_text(declaration, state, "" if state == "new" else why, site, lang))
        if state == "new":
            click.echo(say("declare.kept" if why else "declare.waits", lang, file=path))
    sys.exit(1 if state == "refused" else 0)


def _new_declaration(site: "Site", machine: str, field: Any, options: dict[str, Any]) -> "Declaration":
    import uuid

    from oee.model.declarations import Declaration

    lang, value = options["lang"], options["value"]
    require_known("machine", machine, list(site.machines), lang)
    if value and field in ("reason", "product"):
        require_known(field, value, list(site.reasons if field == "reason" else site.products), lang)
    start_ns = parse_time("--from", options["since"], site, lang)
    end_ns = parse_time("--to", options["until"], site, lang) if options["until"] else None
    return Declaration(
        uuid.uuid4().hex,
        time.time_ns(),
        machine,
        start_ns,
        end_ns,
        field,
        value,
        options["who"],
        options["product"],
        options["replaces"],
    )


def _declare(path: Path, declaration: "Declaration") -> tuple[str, str]:
    """Stores the declaration and waits for the agent. Its state, and why it was refused; `new`, `no agent` if none runs."""
    from agent.commands.outbox_access import is_agent_running, outbox_transaction
    from agent.outbox import declarations as declared

    def add() -> None:
        with outbox_transaction(path) as db:
            declared.add(db, [declaration], "gateway")

    def outcome() -> dict[str, str]:
        with outbox_transaction(path) as db:
            return declared.outcomes(db, [declaration.id])

    or_fail(add)
    until_s = time.monotonic() + _WAIT_S
    while or_fail(lambda: is_agent_running(path)):
        decided = or_fail(outcome)
        if declaration.id in decided:
            return ("refused" if decided[declaration.id] else "done"), decided[declaration.id]
        if time.monotonic() > until_s:
            return "new", ""
        time.sleep(0.3)
    return "new", "no agent"


def _list(path: Path, site: "Site", lang: str, as_json: bool) -> None:
    from dataclasses import asdict

    from agent.commands.outbox_access import outbox_transaction
    from agent.outbox import declarations as declared

    def read_latest() -> "list[StoredDeclaration]":
        with outbox_transaction(path) as db:
            return declared.latest(db, 50)

    rows: list[StoredDeclaration] = or_fail(read_latest)
    if as_json:
        show_json([asdict(row) for row in rows])
    elif not rows:
        click.echo(say("declare.none", lang))
    for row in [] if as_json else rows:
        click.echo(_row_text(row.declaration, row.state, row.why, site, lang))


def _row_text(declaration: "Declaration", state: str, why: str, site: "Site", lang: str) -> str:
    from oee.model.declarations import CLASSIFYING, ENTRIES

    open_end = "declare.until_it_runs" if declaration.field in CLASSIFYING else "declare.open_end"
    end = say(open_end, lang) if declaration.end_ns is None else site_time(declaration.end_ns, site, lang)
    if (
        state == "done"
        and declaration.field in ENTRIES
        and declaration.value
        and (declaration.end_ns or 0) > time.time_ns()
    ):
        outcome = say("declare.state.waits", lang, until=end)  # a period's count is applied when the period is over
    else:
        outcome = say(f"declare.state.{state}", lang, why=refusal_text(why, site, lang))
    return say(
        "declare.line",
        lang,
        machine=declaration.machine,
        field=say(f"declare.field.{declaration.field}", lang),
        value=declaration.value or "''",
        start=site_time(declaration.start_ns, site, lang),
        end=end,
        who=declaration.who or "?",
        outcome=outcome,
    )


COMMANDS = (declare,)
