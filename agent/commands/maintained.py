"""`nhip declare SITE.yaml MACHINE maintained TASK`: says that a task of the site file's maintenance plan was done. Imports are lazy."""

import sys
import time
import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from agent.commands.site_arguments import or_fail, parse_time, require_known, say
from cli.exits import MISCONFIGURED, fail
from cli.terminal import show_json

if TYPE_CHECKING:
    from config import Site

FIELD: Final = "maintained"
_BACK: Final = timedelta(days=62)


def declare_maintained(site: "Site", outbox: Path, machine: str, options: dict[str, Any]) -> None:
    """Keeps it in the outbox for the center: for the oldest due date about then of which nobody has said so. Ends the command."""
    from zoneinfo import ZoneInfo

    from agent.commands.outbox_access import outbox_transaction
    from agent.outbox import entries
    from agent.outbox.entries import AndonEntry
    from oee.kpi.maintenance import PlannedTask, due_between
    from oee.model.calendars import local_date
    from words import day_text

    lang, key = options["lang"], options["value"]
    known = [name for name, task in site.maintenance.items() if task.machine == machine]
    require_known("machine", machine, list(site.machines), lang)
    require_known(FIELD, key, known, lang)
    if site.andon is None or site.center is None:
        fail(say("declare.maintained.not_sent", lang), MISCONFIGURED)
    at_ns = parse_time("--from", options["since"], site, lang) if options["since"] else time.time_ns()
    task, day = site.maintenance[key], local_date(ZoneInfo(site.timezone), at_ns)
    plan = PlannedTask(task.every_days, task.first, None, task.tolerance)
    earliest, latest = max(day - _BACK, task.first), day + timedelta(days=task.every_days - 1)

    def keep() -> date | None:
        with outbox_transaction(outbox) as db:
            made = entries.since(db, at_ns - (_BACK.days + task.every_days) * 86_400_000_000_000, machine)
            said = {str(item.data["due"]) for item in made if item.kind == FIELD and item.data.get("value") == key}
            open_ = [row.due for row in due_between(plan, earliest, latest, {}) if row.due.isoformat() not in said]
            if not open_:
                return None
            data = {"tablet": options["who"] or "nhip", "value": key, "due": open_[0].isoformat()}
            entries.add(db, AndonEntry(f"cli{uuid.uuid4().hex[:20]}-1", at_ns, machine, FIELD, data, (), 1))
            return open_[0]

    due = or_fail(keep, lang)
    if due is None:
        fail(say("declare.maintained.nothing_due", lang, task=task.name.get(lang, key)), MISCONFIGURED)
    if options["as_json"]:
        show_json({"task": key, "due": due.isoformat(), "done": day.isoformat()})
    else:
        told = {"task": task.name.get(lang, key), "due": day_text(due, lang), "day": day_text(day, lang)}
        click.echo(say("declare.maintained.kept", lang, **told))
    sys.exit(0)
