"""Opens an outbox in whatever state the disk left it.

A damaged file is renamed, with its WAL, to `<file>.corrupt-<time>` and never deleted. What can still be read from it
and whose digest is sound goes into the new file under its old stream, so that it is still delivered; the engine
states do not: they may not belong to it. New envelopes go to new streams, since which numbers of the old ones were
used up is not known for sure.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from agent.outbox import declarations
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.envelopes import adopt
from agent.outbox.outbox import BUDGET_MB, Outbox
from agent.outbox.streams import EnvelopeKey, OutboxStream
from wire.envelope import Unsound, open_envelope
from wire.marks import NO_MARKS, decode_marks

_CHECK_UP_TO_BYTES: Final = 64 * 2**20  # a check reads the whole file: seconds on an SD card


@dataclass(frozen=True)
class Opened:
    """An open outbox. message: "" or what was wrong and what was done about it; saved: envelopes kept."""

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
        for suffix in ("-wal", ""):  # the main file last: until it is gone the next start tries again
            with suppress(FileNotFoundError):
                Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
        Path(f"{path}-shm").unlink(missing_ok=True)
    except OSError as error:
        raise CannotStore(f"cannot set {path} aside as {aside.name}: {error}") from error
    return aside


def _recover(aside: Path, outbox: Outbox) -> int:
    """Takes over what is sound in a file that was set aside; returns how many envelopes."""
    db = sqlite3.connect(aside, isolation_level=None)
    db.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        with suppress(sqlite3.Error, CannotStore):
            _adopt_declarations(db, outbox)
        sound = {key: (sealed_ns, data) for key, sealed_ns, data in _sound_envelopes(db)}
        states = _streams(db, sound)
        with suppress(sqlite3.Error):
            db.execute("pragma journal_mode=delete")
    finally:
        db.close()
    envelopes = [(key, *rest) for key, rest in sorted(sound.items(), key=lambda item: item[1][0])]
    return outbox.within(lambda new: adopt(new, states.values(), envelopes))


def _adopt_declarations(db: sqlite3.Connection, outbox: Outbox) -> None:
    """Takes over declarations as far as they can be read. Those that hold until further notice are followed again, since
    the engine states are new; the rest is for the record."""
    found = declarations.all_rows(db)
    outbox.within(lambda new: declarations.adopt(new, found))
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
    """What is known of each stream that a sound envelope names; where its row is lost, nothing is settled."""
    rows: list[Any] = []
    with suppress(sqlite3.Error):
        rows = db.execute("select stream, kind, mark, beyond from streams where current >= 0").fetchall()
    out: dict[str, OutboxStream] = {}
    for stream, kind, mark, beyond in rows:
        known = NO_MARKS
        with suppress(ValueError, TypeError):
            known = decode_marks(mark, beyond)
        out[stream] = OutboxStream(str(stream), str(kind), 0, 0, known, current=False)
    for key in sound:
        state = out.get(key.stream) or OutboxStream(key.stream, "facts", 0, 0, current=False)
        out[key.stream] = replace(state, last=max(state.last, key.seq))
    return {stream: state for stream, state in out.items() if state.last}
