"""The command `nhip import`. What it runs is imported only when it is used."""

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from center.commands.with_center import with_center
from cli.exits import fail
from cli.options import json_option, lang_option
from cli.terminal import show_json

if TYPE_CHECKING:
    from center.commands.connect import RunningCenter, StoppedCenter
    from center.ingest.manual_import import ImportCounts
    from wire.offline_transfer import TransferItem

AT_ONCE = 200
_BYTES_AT_ONCE = 4 * 2**20
_COUNTS = ("envelopes", "settled", "skipped", "unsound", "refused")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--center", "where", required=True, metavar="CENTER.yaml|URL")
@json_option
@lang_option
def import_file(file: Path, where: str, as_json: bool, lang: str) -> None:
    """Imports a FILE written by `nhip outbox --export`; repeating it is safe, nothing is counted twice."""
    from wire.offline_transfer import NotTransferFile
    from words import say

    try:
        with file.open("rb") as lines:
            outcome = with_center(where, lang, lambda center: _import(center, lines))
    except NotTransferFile as error:
        fail(say(f"import.not_parcel.{error.code}", lang, file=file, value=error.value), 2)
    except OSError as error:
        fail(say("import.cannot_read", lang, file=file, detail=error), 2)
    if as_json:
        show_json(outcome)
    else:
        click.echo(say("import.from", lang, file=file, author=outcome["author"], written=outcome["written"]))
        click.echo(say("import.taken", lang, **{name: outcome[name] for name in _COUNTS}))
        for line in outcome["damaged"]:
            click.echo(say("import.damaged", lang, **line))
        if not outcome["complete"]:
            click.echo(say("import.cut_off", lang))
    succeeded = outcome["complete"] and not outcome["unsound"] and not outcome["refused"]
    sys.exit(0 if succeeded else 1)


@dataclass
class _Sender:
    """Sends envelopes to the center in batches that fit into one request."""

    center: "RunningCenter | StoppedCenter"
    site: str
    gateway: str
    counts: "ImportCounts"
    pending: "list[TransferItem]" = field(default_factory=list)

    def add(self, item: "TransferItem") -> None:
        self.pending.append(item)
        if len(self.pending) >= AT_ONCE or sum(len(one.data) for one in self.pending) > _BYTES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        if self.pending:
            self.counts += self.center.import_envelopes(self.site, self.gateway, self.pending)
            self.pending = []


def _import(center: "RunningCenter | StoppedCenter", lines: BinaryIO) -> dict[str, Any]:
    from center.ingest.manual_import import ImportCounts
    from wire.offline_transfer import DamagedLine, TransferEnd, read_head, unpack

    first = lines.readline()
    head = read_head(first)
    marks = center.settled_marks(head.site, head.gateway)
    sender = _Sender(center, head.site, head.gateway, ImportCounts())
    skipped, damaged, complete = 0, [], False
    for item in unpack(first, lines):
        if isinstance(item, TransferEnd):
            complete = item.complete
        elif isinstance(item, DamagedLine):
            damaged.append({"line": item.number, "why": item.why})
        elif _is_settled(item, marks):
            skipped += 1
        else:
            sender.add(item)
    sender.flush()
    counts = asdict(sender.counts) | {"skipped": skipped}
    counts["envelopes"] += skipped
    counts["settled"] += skipped
    author = f"{head.site}/{head.gateway}"
    return {"author": author, "written": head.written, **counts, "damaged": damaged, "complete": complete}


def _is_settled(item: "TransferItem", marks: dict[str, int]) -> bool:
    from wire.envelope import Unsound, open_envelope

    try:
        envelope = open_envelope(item.data)
    except Unsound:
        return False
    return envelope.seq <= marks.get(envelope.stream, 0)


COMMANDS = (import_file,)
