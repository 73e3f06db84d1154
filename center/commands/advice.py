"""The commands `nhip advice` and `nhip actions`. What it runs is imported only when it is used."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from center.commands.with_center import with_center
from cli.exits import FAILED, fail
from cli.options import json_option, lang_option
from cli.terminal import OnProgress, progress, show_json, show_table

if TYPE_CHECKING:
    from center.commands.connect import RunningCenter, StoppedCenter

Answer = dict[str, Any]
Ask = Callable[["RunningCenter | StoppedCenter", str, OnProgress], Answer]


@click.command()
@click.argument("where", metavar="CENTER.yaml|URL")
@click.argument("site", default="")
@json_option
@lang_option
def advice(where: str, site: str, as_json: bool, lang: str) -> None:
    """What to improve on which machine, at constraints first, with what it could bring.

    A running center answers with what it found last night. One that does not run looks now, machine by machine; stopped in
    between, it goes on where it was.
    """
    _answer(where, site, _asked, _show, as_json=as_json, lang=lang)


def _answer(where: str, site: str, ask: Ask, show: Callable[[Answer, str], None], *, as_json: bool, lang: str) -> None:
    from words import say

    with progress(quiet=as_json) as report:
        try:
            answer = with_center(where, lang, lambda center: ask(center, site, report))
        except LookupError:
            fail(say("advice_list.unknown_site", lang, site=site), FAILED)
    if as_json:
        show_json(answer)
    else:
        show(answer, lang)


def _on_each(report: OnProgress) -> Callable[[str, int, int], bool]:
    """Reports each step of a job, and has it go on."""

    def on_each(name: str, done: int, of: int) -> bool:
        report(name, done, of)
        return True

    return on_each


def _asked(center: "RunningCenter | StoppedCenter", site: str, report: OnProgress) -> Answer:
    from center.commands.connect import RunningCenter

    if isinstance(center, RunningCenter):
        answer: Answer = center.request(f"/findings?site={quote(site)}" if site else "/findings")
        return answer
    from center.api.advice import finding_answers as answers
    from center.database import findings as database
    from center.model.viewer import EVERYTHING
    from center.queries.question import sites_of
    from center.runtime.advice.night import night_of, run_nights

    state, engine = center.state, database.open_findings(center.settings.database_url)
    try:
        sites = sites_of(state, EVERYTHING, site)
        night_ns = night_of(state.now_ns(), state.zone)
        run_nights(state, engine, night_ns, _on_each(report), site)
        kept, trusts = database.kept_findings(engine, sites), database.trusts(engine, sites)
        return dict(answers.findings(state, EVERYTHING, kept, trusts, night_ns))
    finally:
        engine.dispose()


def _show(answer: Answer, lang: str) -> None:
    from words import say
    from words.findings import gain_text

    if answer["night"] is None:
        click.echo(say("advice_list.no_night", lang))
    columns = ("site", "machine", "name", "stage", "gain", "says")
    rows = [
        [
            row["site"],
            row["machine_name"].get(lang, row["machine"]),
            row["name"][lang],
            say(f"advice_stage.{row['stage']}", lang),
            gain_text(row["gain_min"], lang),
            row["says"][lang],
        ]
        for row in answer["rows"]
        if row["stage"] in ("open", "likely", "watch")
    ]
    if rows:
        show_table([say(f"advice_list.column.{name}", lang) for name in columns], rows)
    else:
        click.echo(say("advice_list.nothing", lang))
    for item in answer["untrusted"]:
        name = item["machine_name"].get(lang, item["machine"])
        click.echo(say("advice_list.untrusted", lang, site=item["site"], machine=name, why=item["says"][lang]))


@click.command()
@click.argument("where", metavar="CENTER.yaml|URL")
@click.argument("site", default="")
@json_option
@lang_option
def actions(where: str, site: str, as_json: bool, lang: str) -> None:
    """What is done against losses, what it brought, and what all of it brought together, failures included.

    A running center answers with what it has. One that does not run judges now what is due.
    """
    _answer(where, site, _asked_actions, _show_actions, as_json=as_json, lang=lang)


def _asked_actions(center: "RunningCenter | StoppedCenter", site: str, report: OnProgress) -> Answer:
    from center.commands.connect import RunningCenter

    if isinstance(center, RunningCenter):
        answer: Answer = center.request(f"/actions?site={quote(site)}" if site else "/actions")
        return answer
    from center.api.advice import action_answers
    from center.database import actions as database
    from center.database.findings import open_findings
    from center.model.viewer import EVERYTHING
    from center.queries.question import sites_of
    from center.runtime.advice.judging import run_actions
    from oee.advice.gain.action import total

    state, engine = center.state, open_findings(center.settings.database_url)
    try:
        database.prepare_actions(engine)
        sites = sites_of(state, EVERYTHING, site)
        run_actions(state, engine, _on_each(report), site)
        kept = database.kept_actions(engine, sites)
        return dict(action_answers.actions(state, EVERYTHING, kept, total([item.record for item in kept])))
    finally:
        engine.dispose()


def _show_actions(answer: Answer, lang: str) -> None:
    from words import say
    from words.actions import range_text
    from words.catalogue import NOTHING

    if not answer["rows"]:
        click.echo(say("action_list.empty", lang))
        return
    columns = ("site", "machines", "what", "state", "result", "minutes")
    rows = []
    for row in answer["rows"]:
        verdict, exploratory = row["verdict"], say("action_page.exploratory", lang) if row["exploratory"] else ""
        result = ", ".join(text for text in (verdict["name"][lang] if verdict else "", exploratory) if text)
        minutes = range_text(verdict["minutes"], lang, "minutes") if verdict and verdict["minutes"] else NOTHING
        named = [name.get(lang, key) for key, name in zip(row["machines"], row["machine_names"], strict=True)]
        rows.append([row["site"], ", ".join(named), row["what"], row["state_name"][lang], result or NOTHING, minutes])
    show_table([say(f"action_list.column.{name}", lang) for name in columns], rows)
    if sum(answer["total"]["counts"].values()):
        whole = range_text(answer["total"]["minutes"], lang, "minutes")
        click.echo(say("action_list.column.total", lang, minutes=whole))


COMMANDS = (advice, actions)
