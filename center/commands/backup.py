"""The command `nhip backup`. What it runs is imported only when it is used."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from center.commands.with_center import with_center
from cli.exits import fail
from cli.options import json_option, lang_option
from cli.terminal import show_json

if TYPE_CHECKING:
    from center.commands.connect import RunningCenter, StoppedCenter


@click.command()
@click.argument("where", metavar="CENTER.yaml|URL")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@json_option
@lang_option
def backup(where: str, folder: Path, as_json: bool, lang: str) -> None:
    """Copies what the center keeps on its own disk into FOLDER; the center may keep running."""
    from center.commands.connect import CannotSave
    from center.runtime.backup import PARTS, CannotCopy
    from words import number, say

    def save(center: "RunningCenter | StoppedCenter") -> tuple[list[Path], list[str]]:
        saved, elsewhere = [], []
        for part in PARTS:
            try:
                saved.append(center.save(part, folder))
            except LookupError as error:
                elsewhere.append(str(error))
        return saved, elsewhere

    try:
        folder.mkdir(parents=True, exist_ok=True)
        saved, elsewhere = with_center(where, lang, save)
    except (CannotCopy, CannotSave, OSError) as error:
        fail(say("backup.failed", lang, detail=error), 1)
    if as_json:
        files = [{"file": str(path), "bytes": path.stat().st_size} for path in saved]
        show_json({"files": files, "elsewhere": elsewhere})
        return
    for path in saved:
        click.echo(say("backup.saved", lang, file=path, megabytes=number(path.stat().st_size / 1e6, lang, 1)))
    for reason in elsewhere:
        click.echo(say("backup.elsewhere", lang, reason=reason))
    click.echo(say("backup.too", lang))


COMMANDS = (backup,)
