"""Opens an outbox file, damaged or not.

A damaged file is renamed, with its WAL, to `<file>.corrupt-<time>` and never deleted. Envelopes that can still be read
and whose digest is sound go into the new file under their old streams, so that they are still delivered. Engine states are
not kept, since they may not match. New envelopes go to new streams, since which numbers of the old ones were used is not
known for certain.

The new file is written as `<file>.recovering`, and renamed to `<file>.recovered` once it is complete; only then is the
damaged one set aside, and the new one takes its place. So a kill or a full disk at any moment loses nothing: what is
complete is used by the next start, what is not is made again.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from agent.outbox import declarations, entries
from agent.outbox.disk import CannotStore, CorruptOutbox, lock
from agent.outbox.envelopes import adopt
from agent.outbox.eviction import reserve_path
from agent.outbox.outbox import BUDGET_MB, Outbox
from agent.outbox.streams import EnvelopeKey, OutboxStream
from wire.envelope import Unsound, open_envelope
from wire.marks import NO_MARKS, decode_marks

_CHECK_UP_TO_BYTES: Final = 64 * 2**20  # a check reads the whole file: seconds on an SD card
_BELONGS: Final = ("", "-wal", "-shm", ".lock", ".reserve")


@dataclass(frozen=True)
class Opened:
    """An open outbox. message: "", or what was damaged and what was done; saved: how many envelopes were kept."""

    outbox: Outbox
    message: str = ""
    saved: int = 0


def open_outbox(path: Path, now_ns: int, *, budget_mb: int = BUDGET_MB, thorough: bool = False) -> Opened:
    """Opens or creates the file; a damaged one is set aside and its sound envelopes are kept. On a full disk the reserve
    is used: the center's receipts may be what makes room.

    thorough: check even a large file page by page. Raises `OutboxInUse`, `UnknownFormat` or `CannotStore`.
    """
    message, saved = "", 0
    if _recovered(path).exists():
        message = _take_over(path, now_ns, "the last start was interrupted while it recovered a damaged outbox")
    try:
        outbox = _open(path, budget_mb, thorough=thorough)
    except CorruptOutbox as error:
        saved = _recover_file(path, budget_mb)
        message = _take_over(path, now_ns, f"{error}; {saved} sound envelopes were kept")
        outbox = Outbox(path, budget_mb=budget_mb)
    return Opened(outbox, message, saved)


def _open(path: Path, budget_mb: int, *, thorough: bool) -> Outbox:
    """Opens the file and reads what a start needs."""
    try:
        outbox = Outbox(path, budget_mb=budget_mb)
    except CannotStore:
        reserve = reserve_path(path)
        if not reserve.exists():
            raise
        with suppress(OSError):
            reserve.unlink()
        outbox = Outbox(path, budget_mb=budget_mb)
    try:
        if thorough or outbox.file.used_bytes() <= _CHECK_UP_TO_BYTES:
            outbox.file.check()
        outbox.streams()
        outbox.carries()
        outbox.settings()
    except BaseException:
        outbox.close()
        raise
    return outbox


def _recovered(path: Path) -> Path:
    return path.with_name(f"{path.name}.recovered")


def _recover_file(path: Path, budget_mb: int) -> int:
    """Writes the complete new file beside the damaged one; returns how many envelopes it holds."""
    target = path.with_name(f"{path.name}.recovering")
    try:
        with lock(path):
            _remove(target)
            with closing(Outbox(target, budget_mb=budget_mb)) as outbox:
                saved = _recover(path, outbox)
            target.rename(_recovered(path))
            _sync_folder(path.parent)
            _remove(target)
    except OSError as error:
        raise CannotStore("not_recovered", path=path, target=target, error=error) from error
    return saved


def _take_over(path: Path, now_ns: int, why: str) -> str:
    """Sets the damaged file aside, if that was not done, and puts the recovered one into its place. Returns what to
    report.
    """
    try:
        with lock(path):
            aside = _set_aside(path, now_ns)
            _recovered(path).rename(path)
            _sync_folder(path.parent)
    except OSError as error:
        raise CannotStore("not_replaced", path=path, target=_recovered(path), error=error) from error
    return (
        f"{why}; it was set aside as {aside.name}, and new streams begin. Time since the last start that never reached "
        f"the center may be missing. Keep {aside.name} for analysis, and check the disk or memory card"
    )


def _remove(target: Path) -> None:
    for suffix in _BELONGS:
        Path(f"{target}{suffix}").unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _set_aside(path: Path, now_ns: int) -> Path:
    stamp = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside, number = path.with_name(f"{path.name}.corrupt-{stamp}"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    for suffix in ("-wal", ""):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    Path(f"{path}-shm").unlink(missing_ok=True)
    return aside


def _recover(damaged: Path, outbox: Outbox) -> int:
    """Copies what is sound in a damaged file; returns how many envelopes."""
    db = sqlite3.connect(damaged, isolation_level=None)
    db.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        _adopt_declarations(db, outbox)
        said: list[Any] = []
        with suppress(sqlite3.Error):
            said = entries.all_rows(db)
        outbox.within(lambda new: entries.adopt(new, said))
        sound = {key: (sealed_ns, data) for key, sealed_ns, data in _sound_envelopes(db)}
        states = _streams(db, sound)
        with suppress(sqlite3.Error):
            db.execute("pragma journal_mode=delete")
    finally:
        db.close()
    envelopes = [(key, *sealed) for key, sealed in sorted(sound.items(), key=lambda item: item[1][0])]
    count = outbox.within(lambda new: adopt(new, states.values(), envelopes))
    outbox.file.checkpoint()  # what is renamed afterwards is the file without its WAL
    return count


def _adopt_declarations(db: sqlite3.Connection, outbox: Outbox) -> None:
    """Copies the declarations, if they can be read. Those that hold until further notice are followed again, since the
    engine states are new; the others are kept for the record.
    """
    rows: list[Any] = []
    with suppress(sqlite3.Error):
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
