"""When gateway time turns out to have been wrong since it was believed: everything that was dated with it moves.

The rows are in the journal, so each machine is computed again from the checkpoint before that time, over the same rows
with their true times, and what it comes to goes out as differences: the keys of the wrong hours get differences to zero,
those of the true ones their values, together in one transaction with the machine's state and its journal.

What is to be done stands in the outbox's settings (`redate.<machine>`: from, by [ns]) before the new time is kept, with
that time beside it (`redating_clock`), and a machine's entry goes with its correction: killed in between, the next start
does the rest, by the new time, so that nothing moves twice. Where the journal does not
reach back so far, the wrong hours stay as they are, which is counted and said.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from agent.compute.pipeline import Pipeline
from agent.outbox import declarations as declared
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.journal import Fed, Journal, Material
from agent.outbox.packing import Part, split
from agent.process.health import Health
from agent.store.commit import Committer, Correction
from oee.engine import step as engine
from oee.engine.correction import Recomputation, recompute
from oee.model.declarations import Declaration
from oee.model.facts import MS_NS
from oee.model.samples import Series, between

News = tuple[Sequence[tuple[str, Any]], Mapping[str, str]]
SiteNews = Callable[[int], News]
"""The `site` body that is valid from a time [ns] on, as contents and settings of a commit."""
_LOG: Final = logging.getLogger("nhip.agent.clock")
_PREFIX: Final = "redate."
_CLOCK: Final = "redating_clock"
_AGAIN_S: Final = 1.0


@dataclass(frozen=True)
class Step:
    """Times from from_ns on were off: they are by_ns later [ns]; earlier where it is negative."""

    from_ns: int
    by_ns: int


def moved(parts: Sequence[Fed], step: Step) -> list[Fed]:
    """Stretches of rows with their true times. None moves to before what somebody else dated."""
    earlier = [
        int(t_ns) for part in parts for rows in part.samples.values() for t_ns in rows.t_ns if t_ns < step.from_ns
    ]
    floor_ns = max(earlier, default=-MS_NS) + MS_NS
    out: list[Fed] = []
    for part in parts:
        from_ns = out[-1].until_ns if out else part.from_ns
        until_ns = part.until_ns
        if until_ns > step.from_ns:
            until_ns = max(until_ns + step.by_ns, floor_ns, from_ns)
        samples = {tag: _moved(rows, step, floor_ns) for tag, rows in part.samples.items()}
        out.append(Fed(from_ns, until_ns, samples, part.tags))
    return out


def _moved(rows: Series, step: Step, floor_ns: int) -> Series:
    t_ns = np.where(rows.t_ns < step.from_ns, rows.t_ns, np.maximum(rows.t_ns + step.by_ns, floor_ns))
    last = np.append(t_ns[1:] != t_ns[:-1], True) if len(t_ns) else np.zeros(0, np.bool_)
    return Series(t_ns[last], rows.value[last], rows.quality[last])


def new_time(settings: Mapping[str, str]) -> str:
    """The time that the outbox is being dated anew by (`Clock.kept`); "" if it is not."""
    return settings.get(_CLOCK, "") if any(key.startswith(_PREFIX) for key in settings) else ""


class Redating:
    """Dates anew what the outbox's settings ask for."""

    def __init__(
        self, committer: Committer, pipeline: Pipeline, health: Health, site_news: SiteNews = lambda _: ((), {})
    ) -> None:
        self._committer, self._pipeline, self._health, self._site_news = committer, pipeline, health, site_news

    async def ask(self, step: Step, clock: str = "") -> None:
        """Keeps on disk that all machines are to be dated anew, and the new time (`Clock.kept`). Raises `CannotStore` or
        `CorruptOutbox`.
        """
        asked = {f"{_PREFIX}{name}": json.dumps([step.from_ns, step.by_ns]) for name in self._pipeline.tags}
        asked[_CLOCK] = clock

        def write(db: sqlite3.Connection) -> None:
            db.executemany("insert or replace into settings values (?, ?)", asked.items())

        await self._committer.do(lambda outbox: outbox.within(write))

    async def run(self, stop: asyncio.Event) -> bool:
        """Does what is asked for, machine by machine; nothing may step or be corrected meanwhile. Waits for a disk that
        refuses. False if `stop` was set before all was done: the next start goes on.
        """
        while not stop.is_set():
            try:
                asked = await self._committer.do(lambda outbox: outbox.settings())
                todo = [(key.removeprefix(_PREFIX), text) for key, text in asked.items() if key.startswith(_PREFIX)]
                if not todo:
                    return True
                await self._machine(*todo[0], last=len(todo) == 1)
            except (CannotStore, CorruptOutbox):
                await asyncio.sleep(_AGAIN_S)
        return False

    async def _machine(self, name: str, text: str, *, last: bool) -> None:
        step = Step(*json.loads(text))
        if name not in self._pipeline.tags or not self._pipeline.state(name).until_ns:
            await self._give_up(name, "")
            return
        if not await self._committer.commit(final=True):
            await asyncio.sleep(_AGAIN_S)
            return
        before = self._pipeline.state(name)
        material = await self._material(name, min(step.from_ns, step.from_ns + step.by_ns))
        material = material or await self._material(name, step.from_ns)
        if material is None:
            await self._give_up(name, "the journal does not reach back so far")
            return
        said = await self._committer.do(lambda outbox: outbox.within(lambda db: declared.known(db, name)))
        try:
            parts, found = await asyncio.to_thread(self._again, name, material, said, step)
        except Exception:  # noqa: BLE001  # the other machines and the devices must go on; counted
            _LOG.exception("dating anew failed machine=%s", name)
            await self._give_up(name, "its rows cannot be computed again")
            return
        news = self._site_news(step.from_ns + step.by_ns) if last and step.by_ns < 0 else ((), {})
        await self._store(name, before, material, parts, found, news)

    async def _material(self, name: str, at_most_ns: int) -> Material | None:
        tags, until_ns = self._pipeline.tags[name], self._pipeline.state(name).until_ns
        return await self._committer.do(
            lambda outbox: outbox.within(lambda _: outbox.journal.material(name, at_most_ns, tags, until_ns))
        )

    def _again(
        self, name: str, material: Material, said: Sequence[Declaration], step: Step
    ) -> tuple[list[Fed], Recomputation]:
        base_ns = material.base.settled_ns
        parts = moved(list(material.parts()), step)
        blocks = [
            ({tag: between(rows, base_ns, part.until_ns) for tag, rows in part.samples.items()}, part.until_ns)
            for part in parts
        ]
        return parts, recompute(
            self._pipeline.machine(name), material.base, blocks, said, material.sent, retract_later=True
        )

    async def _store(
        self,
        name: str,
        before: engine.EngineState,
        material: Material,
        parts: list[Fed],
        found: Recomputation,
        news: News,
    ) -> None:
        def write(journal: Journal, envelopes: Sequence[tuple[str, int]]) -> None:
            journal.redated(name, material.base.settled_ns, parts)
            journal.record({}, envelopes)
            journal.corrected(name, material.base.settled_ns, found)
            journal.db.execute("delete from settings where key = ?", (f"{_PREFIX}{name}",))

        offered = split(Part(name, found.facts, found.losses, found.stops))
        if await self._committer.correct(Correction(name, before, found.state, found.live, offered, write, *news)):
            self._health.count("machines_dated_anew")
            self._health.count("correction_rows", sum(map(len, offered)))
        else:
            await asyncio.sleep(_AGAIN_S)

    async def _give_up(self, name: str, why: str) -> None:
        if why:
            self._health.count("machines_not_dated_anew")
            _LOG.error("machine not dated anew machine=%s why=%r", name, why)

        def write(db: sqlite3.Connection) -> Any:
            return db.execute("delete from settings where key = ?", (f"{_PREFIX}{name}",))

        await self._committer.do(lambda outbox: outbox.within(write))
