"""The command `nhip report`. What it runs is imported only when it is used."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from center.commands.with_center import with_center
from cli.exits import FAILED, fail
from cli.options import json_option, lang_option
from cli.terminal import show_json


@click.command()
@click.argument("where", metavar="CENTER.yaml|URL")
@click.argument("site")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--shift", default="")
@click.option("--line", default="")
@click.option("--which", type=click.Choice(["last", "this", "today", "yesterday"]), default="last")
@click.option("--pdf", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@lang_option
def report(
    where: str,
    site: str,
    day: datetime | None,
    shift: str,
    line: str,
    which: Any,
    pdf: Path | None,
    as_json: bool,
    lang: str,
) -> None:
    """Reports a shift or a day of SITE: result against target, losses, stops, pieces, trust, open calls."""
    from functools import partial

    from center.commands.reported import AskedReport, as_pdf, as_text, report_from
    from center.model.times import BadQuestion
    from cli.files import replacing
    from words import say

    asked = AskedReport(site, day.date() if day else None, shift, line, which)
    try:
        answer = with_center(where, lang, partial(report_from, asked))
    except BadQuestion as error:
        fail(say("report.cannot", lang, detail=error), FAILED)
    except LookupError as error:
        fail(say("report.unknown_site", lang, detail=error), FAILED)
    if pdf:
        try:
            with replacing(pdf) as file:
                file.write(as_pdf(answer, lang))
        except OSError as error:
            fail(say("report.not_saved", lang, file=pdf, detail=error), FAILED)
    if as_json:
        show_json({**answer})
    elif pdf:
        click.echo(say("report.saved", lang, file=pdf))
    else:
        click.echo(as_text(answer, lang), nl=False)


COMMANDS = (report,)
