"""The commands `nhip import` and `nhip quarantine`. What they run is imported only when they are used."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.exits import fail, fail_misconfigured
from cli.options import json_option, lang_option

if TYPE_CHECKING:
    from center.commands.connect import RunningCenter, StoppedCenter
    from center.ingest.manual_import import ImportCounts
    from wire.offline_transfer import TransferItem

AT_ONCE = 200
_AT_ONCE_BYTES = 4 * 2**20


def _at(where: str, lang: str, work: Callable[["RunningCenter | StoppedCenter"], Any]) -> Any:
    """Does something with a center, running or not, and ends the command with a sentence where that fails."""
    from center.commands.connect import CannotReach, connect
    from center.contract.store import StoreUnavailable
    from config import Misconfigured
    from words import say

    try:
        center = connect(where)
        try:
            return work(center)
        finally:
            center.close()
    except Misconfigured as error:
        fail_misconfigured(error, lang)
    except CannotReach as error:
        fail(say(error.key, lang, **error.values), 2 if error.key == "hand.not_loopback" else 1)
    except StoreUnavailable as error:
        fail(say("hand.store_away", lang, detail=error), 1)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--center", "where", required=True, metavar="CENTER.yaml|URL", help="The center, running or not.")
@json_option
@lang_option
def bring_in(file: Path, where: str, as_json: bool, lang: str) -> None:
    """Brings in a FILE that `nhip outbox --export` wrote; again as often as one likes, nothing is counted twice."""
    from wire.offline_transfer import NotTransferFile
    from words import say

    try:
        with file.open("rb") as lines:
            outcome = _at(where, lang, lambda center: _import(center, lines))
    except NotTransferFile as error:
        fail(say(f"import.not_parcel.{error.code}", lang, file=file, value=error.value), 2)
    except OSError as error:
        fail(say("import.cannot_read", lang, file=file, detail=error.strerror or error), 2)
    if as_json:
        click.echo(json.dumps(outcome, ensure_ascii=False))
    else:
        click.echo(say("import.from", lang, file=file, author=outcome["author"], written=outcome["written"]))
        click.echo(say("import.taken", lang, **{name: outcome[name] for name in _COUNTS}))
        for line in outcome["damaged"]:
            click.echo(say("import.damaged", lang, **line))
        if not outcome["complete"]:
            click.echo(say("import.cut_off", lang))
    whole = outcome["complete"] and not outcome["unsound"] and not outcome["refused"]
    sys.exit(0 if whole else 1)


_COUNTS = ("envelopes", "settled", "skipped", "unsound", "refused")


def _import(center: "RunningCenter | StoppedCenter", lines: Any) -> dict[str, Any]:
    from center.ingest.manual_import import ImportCounts
    from wire.offline_transfer import DamagedLine, TransferEnd, read_head, unpack

    first = lines.readline()
    head = read_head(first)
    marks = center.settled(head.site, head.gateway)
    taken, skipped, damaged, complete = ImportCounts(), 0, [], False
    some: list[TransferItem] = []

    def send() -> "ImportCounts":
        nonlocal some
        ready, some = some, []
        return center.deliver(head.site, head.gateway, ready) if ready else ImportCounts()

    for item in unpack(first, lines):
        if isinstance(item, TransferEnd):
            complete = item.complete
        elif isinstance(item, DamagedLine):
            damaged.append({"line": item.number, "why": item.why})
        elif _is_there(item, marks):
            skipped += 1
        else:
            some.append(item)
            if len(some) >= AT_ONCE or sum(len(one.data) for one in some) > _AT_ONCE_BYTES:
                taken += send()
    taken += send()
    counts = asdict(taken) | {"skipped": skipped}
    counts["envelopes"] += skipped
    counts["settled"] += skipped
    author = f"{head.site}/{head.gateway}"
    return {"author": author, "written": head.written, **counts, "damaged": damaged, "complete": complete}


def _is_there(item: "TransferItem", marks: dict[str, int]) -> bool:
    from wire.envelope import Unsound, open_envelope

    try:
        envelope = open_envelope(item.data)
    except Unsound:
        return False
    return envelope.seq <= marks.get(envelope.stream, 0)


@click.group()
def quarantine() -> None:
    """What the center did not understand or did not believe."""


@quarantine.command("list")
@click.argument("where", metavar="CENTER.yaml|URL")
@json_option
@lang_option
def list_(where: str, as_json: bool, lang: str) -> None:
    """Lists it, the newest first."""
    from words import say

    rows = _at(where, lang, lambda center: center.quarantined())
    if as_json:
        click.echo(json.dumps({"rows": rows, "count": len(rows)}, ensure_ascii=False))
        return
    click.echo(say("quarantine.count", lang, count=len(rows)) if rows else say("quarantine.empty", lang))
    for row in rows:
        click.echo(say("quarantine.row", lang, **row))


@quarantine.command()
@click.argument("where", metavar="CENTER.yaml|URL")
@click.argument("number", type=int)
@json_option
@lang_option
def show(where: str, number: int, as_json: bool, lang: str) -> None:
    """Shows one payload, and what of it can be read."""
    from words import say

    try:
        found = _at(where, lang, lambda center: center.show(number))
    except LookupError:
        fail(say("quarantine.unknown", lang, id=number), 1)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo(say("quarantine.row", lang, **{name: found[name] for name in ("id", "at", "topic", "bytes", "reason")}))
    click.echo(say("quarantine.settled" if found["settled"] else "quarantine.unsettled", lang))
    if found["envelope"]:
        told = {name: found["envelope"][name] for name in ("stream", "seq", "sealed")}
        click.echo(say("quarantine.envelope", lang, **told))
    if found["unreadable"]:
        click.echo(say("quarantine.unreadable", lang, why=found["unreadable"]))
    else:
        click.echo(json.dumps(found["content"], ensure_ascii=False, indent=2))


@quarantine.command()
@click.argument("where", metavar="CENTER.yaml|URL")
@click.argument("numbers", type=int, nargs=-1, required=True)
@json_option
@lang_option
def replay(where: str, numbers: tuple[int, ...], as_json: bool, lang: str) -> None:
    """Tries payloads again: after an update of the center, or after a machine was handed over."""
    from words import say

    def one(center: "RunningCenter | StoppedCenter", number: int) -> dict[str, Any]:
        try:
            return center.replay(number)
        except LookupError:
            return {"id": number, "released": False, "reason": say("quarantine.unknown", lang, id=number)}

    rows = _at(where, lang, lambda center: [one(center, number) for number in numbers])
    if as_json:
        click.echo(json.dumps({"rows": rows}, ensure_ascii=False))
    else:
        for row in rows:
            key = "quarantine.released" if row["released"] else "quarantine.kept"
            click.echo(say(key, lang, **{name: row[name] for name in ("id", "reason")}))
    sys.exit(0 if all(row["released"] for row in rows) else 1)


@click.command()
@click.argument("where", metavar="CENTER.yaml|URL")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@json_option
@lang_option
def backup(where: str, folder: Path, as_json: bool, lang: str) -> None:
    """Copies what the center keeps on its own disk into FOLDER; the center may go on running."""
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
        saved, elsewhere = _at(where, lang, save)
    except (CannotCopy, CannotSave, OSError) as error:
        fail(say("backup.failed", lang, detail=error), 1)
    if as_json:
        files = [{"file": str(path), "bytes": path.stat().st_size} for path in saved]
        click.echo(json.dumps({"files": files, "elsewhere": elsewhere}, ensure_ascii=False))
        return
    for path in saved:
        click.echo(say("backup.saved", lang, file=path, megabytes=number(path.stat().st_size / 1e6, lang, 1)))
    for reason in elsewhere:
        click.echo(say("backup.elsewhere", lang, reason=reason))
    click.echo(say("backup.too", lang))


COMMANDS = (bring_in, quarantine, backup)
