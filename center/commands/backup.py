"""The command `nhip backup`. What it runs is imported only when it is used."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from center.commands.with_center import with_center
from cli.exits import fail
from cli.options import json_option, lang_option
from cli.terminal import show_json

if TYPE_CHECKING:
    from center.accounts.audit import ChainCheck
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
        trail = _write_manifest(folder, saved)
    except (CannotCopy, CannotSave, OSError) as error:
        fail(say("backup.failed", lang, detail=error), 1)
    if as_json:
        files = [{"file": str(path), "bytes": path.stat().st_size} for path in saved]
        show_json(
            {
                "files": files,
                "elsewhere": elsewhere,
                "audit_head": trail.head if trail else "",
                "audit": trail and vars(trail),
            }
        )
        sys.exit(_status(trail))
    for path in saved:
        click.echo(say("backup.saved", lang, file=path, megabytes=number(path.stat().st_size / 1e6, lang, 1)))
    for reason in elsewhere:
        click.echo(say("backup.elsewhere", lang, reason=reason))
    if trail and trail.broken is None:
        click.echo(say("backup.head", lang, head=trail.head))
    elif trail:
        click.echo(say("audit.broken", lang, number=trail.broken, sound=trail.entries), err=True)
    click.echo(say("backup.too", lang))
    sys.exit(_status(trail))


def _status(trail: "ChainCheck | None") -> int:
    """Everything is saved; but a trail that was changed must not go unnoticed where nobody reads what a backup prints."""
    return 1 if trail and trail.broken is not None else 0


def _write_manifest(folder: Path, saved: list[Path]) -> "ChainCheck | None":
    """Writes down what the backup consists of: sizes, SHA-256, and what the check of the copy's audit trail found, which is
    returned; None if the trail is kept elsewhere.
    """
    import hashlib
    import json
    import time

    from sqlalchemy import create_engine

    from center.accounts.audit import verify
    from cli.files import write_whole

    files, trail = [], None
    for path in saved:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files.append({"file": path.name, "bytes": path.stat().st_size, "sha256": digest})
        if path.suffix == ".sqlite":
            engine = create_engine(f"sqlite:///file:{path}?immutable=1&mode=ro&uri=true")
            try:
                trail = verify(engine)
            finally:
                engine.dispose()
    manifest = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "files": files,
        "audit": trail and vars(trail),
    }
    write_whole(folder / "manifest.json", json.dumps(manifest, indent=1), 0o600)
    return trail


COMMANDS = (backup,)
