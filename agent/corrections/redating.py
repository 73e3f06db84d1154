"""Redating: if gateway time turns out to have been wrong since it was trusted, everything dated with it is corrected.

The rows are in the journal, so each machine is computed again from the checkpoint before that time, over the same rows
with their true times. The result is sent as differences: keys of the wrong hours get differences to zero, those of the
true hours their values, in one transaction with the machine's state and its journal.

The pending work is written into the outbox's settings (`redate.<machine>`: from, by [ns]), together with the new time
(`redating_clock`), before that time is kept; a machine's entry is deleted with its correction. So after a kill the next
start does the rest, with the new time, and nothing moves twice. Where the journal does not reach back so far, the wrong
hours stay as they are, which is counted and logged.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.compute.delta import Delta, offered, split
from agent.compute.pipeline import Pipeline
from agent.corrections.archive import MachineArchive
from agent.corrections.recomputation import SiteRevisionAt
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.journal.past import MachinePast
from agent.outbox.journal.recording import record
from agent.outbox.journal.spans import replace_checkpoints, replace_rows
from agent.outbox.outbox import Also
from agent.process.health import Health
from agent.store.commit import Committer, Correction
from oee.engine.correction import Recomputation, recompute
from oee.model.declarations import Declaration
from oee.model.facts import MS_NS
from oee.model.samples import Series, between

_LOG: Final = logging.getLogger("nhip.agent.clock")
_PREFIX: Final = "redate."
_CLOCK: Final = "redating_clock"
_RETRY_S: Final = 1.0


@dataclass(frozen=True)
class TimeShift:
    """Times from from_ns on were wrong: the true ones are by_ns later [ns], or earlier where it is negative."""

    from_ns: int
    by_ns: int


def _before(t_ns: int) -> int:
    """The latest time of the engine, which counts in whole milliseconds, at which nothing from `t_ns` on is known: a
    checkpoint at the very beginning of a machine already holds the wrong time [ns].
    """
    return t_ns // MS_NS * MS_NS - 1


def redated(spans: Sequence[Delta], shift: TimeShift) -> list[Delta]:
    """The spans of rows with their true times. No row moves to before rows that were dated with another base."""
    columns = [rows for span in spans for rows in (span.samples or {}).values()]
    earlier = [int(t_ns) for rows in columns for t_ns in rows.t_ns if t_ns < shift.from_ns]
    floor_ns = max(earlier, default=-MS_NS) + MS_NS
    out: list[Delta] = []
    for span in spans:
        from_ns = out[-1].until_ns if out else span.from_ns
        until_ns = span.until_ns
        if until_ns > shift.from_ns:
            until_ns = max(until_ns + shift.by_ns, floor_ns, from_ns)
        samples = {tag: _shifted(rows, shift, floor_ns) for tag, rows in (span.samples or {}).items()}
        out.append(Delta(span.machine, from_ns, until_ns, span.tags, samples))
    return out


def _shifted(rows: Series, shift: TimeShift, floor_ns: int) -> Series:
    t_ns = np.where(rows.t_ns < shift.from_ns, rows.t_ns, np.maximum(rows.t_ns + shift.by_ns, floor_ns))
    last = np.append(t_ns[1:] != t_ns[:-1], True) if len(t_ns) else np.zeros(0, np.bool_)
    return Series(t_ns[last], rows.value[last], rows.quality[last])


def clock_in_progress(settings: Mapping[str, str]) -> str:
    """The new time by which the outbox is being redated (`GatewayClock.kept`); "" if it is not."""
    return settings.get(_CLOCK, "") if any(key.startswith(_PREFIX) for key in settings) else ""


class Redating:
    """Redates what the outbox's settings request."""

    def __init__(
        self,
        committer: Committer,
        pipeline: Pipeline,
        health: Health,
        revise_site: SiteRevisionAt = lambda _: ((), {}),
    ) -> None:
        self._committer, self._pipeline, self._health = committer, pipeline, health
        self._archive, self._revise_site = MachineArchive(committer.thread, pipeline), revise_site

    async def request(self, shift: TimeShift, clock: str = "") -> None:
        """Writes to disk that all machines are to be redated, and the new time (`GatewayClock.kept`). Raises
        `CannotStore` or `CorruptOutbox`.
        """
        settings = {f"{_PREFIX}{name}": json.dumps([shift.from_ns, shift.by_ns]) for name in self._pipeline.runs}
        settings[_CLOCK] = clock

        def write(db: sqlite3.Connection) -> None:
            db.executemany("insert or replace into settings values (?, ?)", settings.items())

        await self._committer.thread.do(lambda outbox: outbox.within(write))

    async def run(self, stop: asyncio.Event) -> bool:
        """Redates the requested machines one by one; nothing may step or be corrected meanwhile. Retries while the disk
        refuses. False if `stop` was set before all was done: the next start continues.
        """
        while not stop.is_set():
            try:
                settings = await self._committer.thread.do(lambda outbox: outbox.settings())
                pending = [
                    (key.removeprefix(_PREFIX), text) for key, text in settings.items() if key.startswith(_PREFIX)
                ]
                if not pending:
                    return True
                await self._redate(*pending[0], last=len(pending) == 1)
            except (CannotStore, CorruptOutbox):
                await asyncio.sleep(_RETRY_S)
        return False

    async def _redate(self, machine: str, text: str, *, last: bool) -> None:
        shift = TimeShift(*json.loads(text))
        if machine not in self._pipeline.runs or not self._pipeline.runs[machine].state.until_ns:
            await self._give_up(machine, "")
            return
        if not await self._committer.commit(final=True):
            await asyncio.sleep(_RETRY_S)
            return
        before = self._pipeline.runs[machine].state
        past = await self._archive.past(machine, _before(min(shift.from_ns, shift.from_ns + shift.by_ns)))
        past = past or await self._archive.past(machine, _before(shift.from_ns))
        if past is None:
            await self._give_up(machine, "the journal does not reach back so far")
            return
        declarations = await self._archive.declarations(machine)
        try:
            spans, recomputed = await asyncio.to_thread(self._recompute, past, declarations, shift)
        except Exception:  # noqa: BLE001  # the other machines and the devices must continue; counted
            _LOG.exception("dating anew failed machine=%s", machine)
            await self._give_up(machine, "its rows cannot be computed again")
            return
        contents, settings = self._revise_site(shift.from_ns + shift.by_ns) if last and shift.by_ns < 0 else ((), {})
        offers = split(offered(machine, recomputed, recomputed.stops))
        also = _rewrite(past, spans, recomputed)
        await self._store(
            Correction(machine, before, recomputed.state, recomputed.live, offers, also, contents, settings)
        )

    def _recompute(
        self, past: MachinePast, declarations: Sequence[Declaration], shift: TimeShift
    ) -> tuple[list[Delta], Recomputation]:
        base_ns = past.base.settled_ns
        spans = redated(list(past.spans()), shift)
        blocks = [
            ({tag: between(rows, base_ns, span.until_ns) for tag, rows in (span.samples or {}).items()}, span.until_ns)
            for span in spans
        ]
        machine = self._pipeline.runs[past.machine].machine
        return spans, recompute(machine, past.base, blocks, declarations, past.sent, retract_later=True)

    async def _store(self, correction: Correction) -> None:
        if await self._committer.correct(correction):
            self._health.count("machines_dated_anew")
            self._health.count("correction_rows", sum(map(len, correction.offers)))
        else:
            await asyncio.sleep(_RETRY_S)

    async def _give_up(self, machine: str, why: str) -> None:
        if why:
            self._health.count("machines_not_dated_anew")
            _LOG.error("machine not dated anew machine=%s why=%r", machine, why)
        await self._committer.thread.do(lambda outbox: outbox.within(lambda db: _done(db, machine)))


def _rewrite(past: MachinePast, spans: Iterable[Delta], recomputed: Recomputation) -> Also:
    """What is written with the correction: the journal with the true times, and the deletion of the machine's entry."""

    def write(db: sqlite3.Connection, envelopes: Sequence[tuple[str, int]]) -> None:
        replace_rows(db, past.machine, past.base.settled_ns, spans)
        record(db, (), envelopes)
        replace_checkpoints(db, past.machine, past.base.settled_ns, recomputed)
        _done(db, past.machine)

    return write


def _done(db: sqlite3.Connection, machine: str) -> None:
    db.execute("delete from settings where key = ?", (f"{_PREFIX}{machine}",))
