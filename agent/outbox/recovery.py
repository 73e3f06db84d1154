"""Opens an outbox file, damaged or not.

A damaged file is renamed, with its WAL, to `<file>.corrupt-<time>` and never deleted. Envelopes that can still be read
and whose digest is sound go into the new file under their old streams, so that they are still delivered. Engine states are
not kept, since they may not match. New envelopes go to new streams, since which numbers of the old ones were used is not
known for certain.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from agent.outbox import declarations, entries
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.envelopes import adopt
from agent.outbox.outbox import BUDGET_MB, Outbox
from agent.outbox.streams import EnvelopeKey, OutboxStream
from wire.envelope import Unsound, open_envelope
from wire.marks import NO_MARKS, decode_marks

_CHECK_UP_TO_BYTES: Final = 64 * 2**20  # a check reads the whole file: seconds on an SD card


@dataclass(frozen=True)
class Opened:
    """An open outbox. message: "", or what was damaged and what was done; saved: how many envelopes were kept."""

    outbox: Outbox
    message: str = ""
    saved: int = 0


def open_outbox(path: Path, now_ns: int, *, budget_mb: int = BUDGET_MB, thorough: bool = False) -> Opened:
    """Opens or creates the file; a damaged one is set aside and its sound envelopes are kept.

    thorough: check even a large file page by page. Raises `OutboxInUse`, `UnknownFormat` or `CannotStore`.
    """
    try:
        outbox = Outbox(path, budget_mb=budget_mb)
        try:
            if thorough or path.stat().st_size <= _CHECK_UP_TO_BYTES:
                outbox.file.check()
            outbox.streams()
            outbox.carries()
            outbox.settings()
        except CorruptOutbox:
            outbox.close()
            raise
    except CorruptOutbox as error:
        aside = _set_aside(path, now_ns)
        outbox = Outbox(path, budget_mb=budget_mb)
        saved = _recover(aside, outbox)
        message = (
            f"{error}; it was set aside as {aside.name}, {saved} sound envelopes were kept, and new streams begin. "
            f"Time since the last start that never reached the center may be missing. Keep {aside.name} for analysis, "
            "and check the disk or memory card"
        )
        return Opened(outbox, message, saved)
    return Opened(outbox)


def _set_aside(path: Path, now_ns: int) -> Path:
    stamp = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside, number = path.with_name(f"{path.name}.corrupt-{stamp}"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    try:
        for suffix in ("-wal", ""):  # the main file last: while it is in place, the next start tries again
            with suppress(FileNotFoundError):
                Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
        Path(f"{path}-shm").unlink(missing_ok=True)
    except OSError as error:
        raise CannotStore(f"cannot set {path} aside as {aside.name}: {error}") from error
    return aside


def _recover(aside: Path, outbox: Outbox) -> int:
    """Copies what is sound in a file that was set aside; returns how many envelopes."""
    db = sqlite3.connect(aside, isolation_level=None)
    db.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        with suppress(sqlite3.Error, CannotStore):
            _adopt_declarations(db, outbox)
        with suppress(sqlite3.Error, CannotStore):
            said = entries.all_rows(db)
            outbox.within(lambda new: entries.adopt(new, said))
        sound = {key: (sealed_ns, data) for key, sealed_ns, data in _sound_envelopes(db)}
        states = _streams(db, sound)
        with suppress(sqlite3.Error):
            db.execute("pragma journal_mode=delete")
    finally:
        db.close()
    envelopes = [(key, *sealed) for key, sealed in sorted(sound.items(), key=lambda item: item[1][0])]
    return outbox.within(lambda new: adopt(new, states.values(), envelopes))


def _adopt_declarations(db: sqlite3.Connection, outbox: Outbox) -> None:
    """Copies the declarations, if they can be read. Those that hold until further notice are followed again, since the
    engine states are new; the others are kept for the record.
    """
    rows = declarations.all_rows(db)
    outbox.within(lambda new: declarations.adopt(new, rows))
    outbox.within(declarations.follow_again)


def _sound_envelopes(db: sqlite3.Connection) -> Iterator[tuple[EnvelopeKey, int, bytes]]:
    """Envelopes with a sound digest: from the front as far as pages are readable, else from the back."""
    for query in ("select data from envelopes order by id", "select data from envelopes order by id desc"):
        with suppress(sqlite3.Error):
            for (data,) in db.execute(query):
                with suppress(Unsound, TypeError):
                    envelope = open_envelope(data)
                    yield EnvelopeKey(envelope.stream, envelope.seq), envelope.sealed_ns, data
            return


def _streams(db: sqlite3.Connection, sound: dict[EnvelopeKey, tuple[int, bytes]]) -> dict[str, OutboxStream]:
    """Each stream with a sound envelope; where its row is lost, nothing counts as settled."""
    rows: list[Any] = []
    with suppress(sqlite3.Error):
        rows = db.execute("select stream, kind, mark, beyond from streams where current >= 0").fetchall()
    out: dict[str, OutboxStream] = {}
    for stream, kind, mark, beyond in rows:
        marks = NO_MARKS
        with suppress(ValueError, TypeError):
            marks = decode_marks(mark, beyond)
        out[stream] = OutboxStream(str(stream), str(kind), 0, 0, marks, current=False)
    for key in sound:
        state = out.get(key.stream) or OutboxStream(key.stream, "facts", 0, 0, current=False)
        out[key.stream] = replace(state, last=max(state.last, key.seq))
    return {stream: state for stream, state in out.items() if state.last}
