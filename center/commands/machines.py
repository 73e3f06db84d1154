"""The command `nhip machine`. What it runs is imported only when it is used."""

from datetime import datetime

import click

from center.commands.with_center import with_center
from cli.exits import FAILED, fail
from cli.options import json_option, lang_option
from cli.terminal import show_json, show_table

_where = click.argument("where", metavar="CENTER.yaml|URL")


@click.group()
def machine() -> None:
    """Machines that the center knows, also retired ones: no site file names them any more."""


@machine.command("list")
@_where
@json_option
@lang_option
def list_(where: str, as_json: bool, lang: str) -> None:
    """Lists all machines, and since when retired ones are."""
    from center.commands.connect import machines_of
    from words import say

    rows = with_center(where, lang, machines_of)
    if as_json:
        show_json({"rows": rows})
        return
    headings = [say(f"machine.column.{key}", lang) for key in ("site", "id", "name", "gateway", "retired")]
    show_table(
        headings,
        [
            [row["site"], row["id"], row["name"].get(lang, ""), row["gateway"], _since(row["retired"], lang)]
            for row in rows
        ],
    )


def _since(retired: str | None, lang: str) -> str:
    from words import moment

    return moment(datetime.fromisoformat(retired), lang) if retired else ""


@machine.command()
@_where
@click.argument("site")
@click.argument("machine_id", metavar="MACHINE")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@lang_option
def delete(where: str, site: str, machine_id: str, yes: bool, as_json: bool, lang: str) -> None:
    """Deletes what was recorded of a retired machine, as of a trial; the audit trail says who did it."""
    from center.commands.connect import RunningCenter, StoppedCenter
    from center.contract.store import StoreRefused
    from center.ingest.settle import StillNamed
    from words import say

    if not yes and not click.confirm(say("machine.ask", lang, machine=machine_id, site=site), err=True):
        fail(say("machine.kept", lang), FAILED)

    def work(center: RunningCenter | StoppedCenter) -> None:
        center.delete_machine(site, machine_id)

    try:
        with_center(where, lang, work)
    except LookupError:
        fail(say("machine.unknown", lang, machine=machine_id, site=site), FAILED)
    except StillNamed:
        fail(say("admin.still_named", lang, id=machine_id), FAILED)
    except StoreRefused as error:
        fail(say("admin.not_deleted", lang, id=machine_id, detail=error), FAILED)
    if as_json:
        show_json({"site": site, "machine": machine_id})
    else:
        click.echo(say("admin.deleted", lang, id=machine_id))


COMMANDS = (machine,)
