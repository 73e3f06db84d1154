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

FIELDS: Final = ("reason", "state", "product", "order", "rejects", "rework", "planned_stop", "changeover", "maintained")
_WITH_USUAL_TIMES: Final = ("rejects", "rework", "product", "order")
_WAIT_S: Final = 30.0
_S: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * _S
_BEHIND_NS: Final = 5 * _S
"""So far behind the present every machine is computed, so that a count up to now is applied at once."""
_SEARCHED_NS: Final = 2 * _DAY_NS
"""How far back it is looked up whether there was a stop at all: it takes a second or two for a day."""


@click.command()
@site_argument
@click.argument("machine", required=False)
@click.argument("field", metavar="[FIELD]", required=False, type=click.Choice(FIELDS))
@click.argument("value", default="")
@click.option(
    "--from",
    "since",
    default="",
)
@click.option(
    "--to",
    "until",
    default="",
)
@click.option("--who", default=lambda: os.environ.get("USER", ""))
@click.option("--product", default="")
@click.option("--replaces", default="")
@click.option("--yes", is_flag=True)
@outbox_option
@json_option
@lang_option
def declare(site_file: Path, machine: str | None, field: str | None, outbox: Path | None, **options: Any) -> None:
    """Declares the reason, state, product, order, rejects, rework, planned_stop or changeover of a MACHINE of SITE, or that
    a task of its maintenance plan was done (maintained); an empty VALUE withdraws. Without a machine, lists the declarations and their outcomes.

    It may be about the last days: the agent corrects the numbers, at its next start if it is not running now.
    """
    lang, as_json = options["lang"], options["as_json"]
    site, path = read_site(site_file, lang), outbox or site_file.with_suffix(".outbox")
    if machine is None:
        _list(path, site, lang, as_json)
        return
    if field is None:
        fail(say("declare.no_machine", lang), MISCONFIGURED)
    if field == "maintained":
        from agent.commands.maintained import declare_maintained

        declare_maintained(site, path, machine, options)
    declaration = _new_declaration(site, path, machine, field, options)
    doubt = "" if options["yes"] else _doubt(path, declaration, site, lang)
    if doubt:
        if as_json:
            show_json({"id": "", "state": "doubted", "why": doubt, "effect": ""})
        else:
            click.echo(say("declare.doubted", lang, why=doubt))
        sys.exit(1)
    state, why = _declare(path, declaration, lang)
    effect = "" if state == "refused" else _effect(path, declaration, lang)
    if as_json:
        show_json({"id": declaration.id, "state": state, "why": why, "effect": effect})
    else:
        click.echo(_row_text(declaration, state, "" if state == "new" else why, site, lang, effect))
        if state == "new":
            click.echo(say("declare.kept" if why else "declare.waits", lang, file=path))
    sys.exit(1 if state == "refused" else 0)


def _new_declaration(site: "Site", outbox: Path, machine: str, field: Any, options: dict[str, Any]) -> "Declaration":
    import uuid

    from oee.model.declarations import Declaration

    lang, value = options["lang"], options["value"]
    require_known("machine", machine, list(site.machines), lang)
    if value and field in ("reason", "product"):
        require_known(field, value, list(site.reasons if field == "reason" else site.products), lang)
    since, until, now_ns = options["since"], options["until"], _gateway_ns(outbox)
    named = bool(since) or not value or field not in _WITH_USUAL_TIMES
    start_ns = parse_time("--from", since, site, lang) if named else _usual_start_ns(site, machine, field, now_ns)
    end_ns = parse_time("--to", until, site, lang) if until else _usual_end_ns(field, value, now_ns)
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


def _gateway_ns(outbox: Path) -> int:
    """The time as the running agent has it, else that of this computer [ns UTC, whole seconds]."""
    from agent.view.now import ask

    now = ask(outbox).now
    now_ns = now.status.at_ns if now else time.time_ns()
    return now_ns - now_ns % _S


def _usual_start_ns(site: "Site", machine: str, field: str, now_ns: int) -> int:
    """The start that people mean if they name none: of counts the shift's, of products and orders now."""
    from config import compile_site, load_profiles
    from oee.kpi.shift import shift_at
    from oee.model.declarations import ENTRIES

    if field in ENTRIES:
        shift = shift_at(compile_site(site, load_profiles())[machine].calendar, now_ns)
        return shift.start_ns if shift else now_ns - _DAY_NS
    return now_ns


def _usual_end_ns(field: str, value: str, now_ns: int) -> int | None:
    from oee.model.declarations import ENTRIES

    return now_ns - _BEHIND_NS if field in ENTRIES and value else None


def _effect(path: Path, item: "Declaration", lang: str) -> str:
    """`no_stop` if a reason is about a time in which the outbox knows no stop, so that nothing can follow from it; else ""."""
    from agent.commands.outbox_access import outbox_snapshot
    from agent.view.offered import stops_between
    from oee.model.states import State

    if item.field not in ("reason", "planned_stop") or not item.value or time.time_ns() - item.start_ns > _SEARCHED_NS:
        return ""
    end_ns = item.end_ns or time.time_ns()

    def search() -> bool:
        with outbox_snapshot(path) as db:
            return any(stop.state != State.UNKNOWN for stop in stops_between(db, item.machine, item.start_ns, end_ns))

    return "" if or_fail(search, lang) else "no_stop"


def _doubt(path: Path, item: "Declaration", site: "Site", lang: str) -> str:
    """Why somebody should look again at an entry before it counts, in words; "" if it can be right."""
    from agent.commands.outbox_access import outbox_snapshot
    from agent.view.offered import sums_between
    from oee.kpi.entries import MoreThanMade, more_than_made
    from oee.model.declarations import ENTRIES

    if item.field not in ENTRIES or item.end_ns is None or time.time_ns() - item.start_ns > _SEARCHED_NS:
        return ""
    end_ns = item.end_ns

    def compare() -> MoreThanMade | None:
        with outbox_snapshot(path) as db:
            sums = sums_between(db, item.machine, item.start_ns, end_ns, item.product)
        return more_than_made(item.field, item.value, sums)

    found = or_fail(compare, lang)
    if found is None:
        return ""
    span = {"start": site_time(item.start_ns, site, lang), "end": site_time(end_ns, site, lang)}
    return say("declare.above_pieces", lang, made=found.made, bad=found.bad, **span)


def _declare(path: Path, declaration: "Declaration", lang: str) -> tuple[str, str]:
    """Stores the declaration and waits for the agent. Its state, and why it was refused; `new`, `no agent` if none runs."""
    from agent.commands.outbox_access import is_agent_running, outbox_transaction
    from agent.outbox import declarations as declared

    def add() -> None:
        with outbox_transaction(path) as db:
            declared.add(db, [declaration], "gateway")

    def outcome() -> dict[str, str]:
        with outbox_transaction(path) as db:
            return declared.outcomes(db, [declaration.id])

    or_fail(add, lang)
    until_s = time.monotonic() + _WAIT_S
    while or_fail(lambda: is_agent_running(path), lang):
        decided = or_fail(outcome, lang)
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

    rows = or_fail(read_latest, lang)
    if as_json:
        show_json([asdict(row) for row in rows])
    elif not rows:
        click.echo(say("declare.none", lang))
    for row in [] if as_json else rows:
        click.echo(_row_text(row.declaration, row.state, row.why, site, lang))


def _row_text(declaration: "Declaration", state: str, why: str, site: "Site", lang: str, effect: str = "") -> str:
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
    elif effect:
        outcome = say(f"declare.effect.{effect}", lang)
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
