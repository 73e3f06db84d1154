"""The command `nhip monthly`. What it runs is imported only when it is used."""

import re
from functools import partial
from pathlib import Path

import click

from center.commands.with_center import with_center
from cli.exits import FAILED, MISCONFIGURED, fail
from cli.options import json_option, lang_option
from cli.terminal import show_json, show_table


@click.command()
@click.argument("where", metavar="CENTER.yaml|URL")
@click.argument("site")
@click.argument("month", required=False, default="")
@click.option("--revision", type=click.IntRange(min=0), default=0)
@click.option("--issue", is_flag=True)
@click.option("--why", default="")
@click.option("--draft", is_flag=True)
@click.option("--pdf", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--pdf-lang", type=click.Choice(["vi", "en", "both"]), default="vi")
@json_option
@lang_option
def monthly(
    where: str,
    site: str,
    month: str,
    revision: int,
    why: str,
    pdf: Path | None,
    pdf_lang: str,
    *,
    issue: bool,
    draft: bool,
    as_json: bool,
    lang: str,
) -> None:
    """Monthly TPM reports of SITE: lists the issues, shows a MONTH, issues it, saves its PDF."""
    from center.commands.issued import AskedMonth, MonthTold, month_from
    from center.model.times import BadQuestion
    from cli.files import replacing
    from words import say

    if month and not re.fullmatch(r"\d{4}-\d\d", month):
        fail(say("monthly_command.month", lang, month=month), MISCONFIGURED)
    if (issue or draft or pdf) and not month:
        fail(say("monthly_command.which", lang), MISCONFIGURED)
    if draft and (issue or pdf):
        fail(say("monthly_command.draft_only", lang), MISCONFIGURED)
    asked = AskedMonth(site, month, revision, why, pdf_lang if pdf else "", issue=issue, draft=draft)
    try:
        told: MonthTold = with_center(where, lang, partial(month_from, asked))
    except BadQuestion as error:
        fail(say("monthly_command.cannot", lang, detail=error), FAILED)
    except LookupError as error:
        fail(say("monthly_command.unknown", lang, detail=error), FAILED)
    if pdf:
        try:
            with replacing(pdf) as file:
                file.write(told.pdf)
        except OSError as error:
            fail(say("report.not_saved", lang, file=pdf, detail=error), FAILED)
    if as_json:
        show_json(told.content if month and not issue else {"issues": told.issues})
    elif pdf:
        click.echo(say("report.saved", lang, file=pdf))
    elif month and not issue:
        click.echo(told.text(lang), nl=False)
    elif told.issues:
        heads = [say(f"monthly_command.head.{key}", lang) for key in ("month", "revision", "made", "by", "digest")]
        keys = ("month", "revision", "made", "made_by", "digest")
        show_table(heads, [[str(row[key]) for key in keys] for row in told.issues])
    else:
        click.echo(say("months.none", lang))


COMMANDS = (monthly,)
