"""Corrections: what people say and what is described otherwise becomes differences.

A turn looks at what waits in the outbox's file and takes one machine after the other:

1. The machine stands still; its rows wait, the others go on, and so do the devices.
2. Everything that is known of it goes to disk, so that the journal is complete.
3. What reaches no further back than the settled time is one more step at the same time; what reaches further is
   computed again from the checkpoint before it, in a thread (`oee.engine.correction`).
4. Differences, carry, checkpoints and the declarations' outcome are stored in one transaction; only then the machine
   goes on. Killed before, nothing has happened and the next start does it again; killed after, it is done.

Where the checkpoint is gone the edit is refused with its reason; it stays in the file and is told to whoever asked.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from agent.compute.pipeline import Pipeline
from agent.outbox import declarations as declared
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.file import Outbox
from agent.outbox.journal import Journal, Material
from agent.outbox.packing import Part, split
from agent.process.health import Health
from agent.store import hearing
from agent.store.commit import Committer, Correction
from agent.store.machine_digest import forget_outdated, outdated
from oee.engine import step as engine
from oee.engine.correction import Recomputation, earliest_change, latest_base, recompute, with_declarations
from oee.model.declarations import Declaration
from oee.model.facts import MINUTE_NS
from oee.model.samples import Samples

_LOG: Final = logging.getLogger("nhip.agent.corrections")
SiteNews = Callable[[int], tuple[Sequence[tuple[str, Any]], Mapping[str, str]]]
"""The `site` body that is valid from a time [ns] on, as contents and settings of a commit."""


@dataclass(frozen=True)
class _Found:
    """What a machine's declarations came to. outcome: id to "" or why it is refused."""

    before: engine.EngineState
    state: engine.EngineState
    live: engine.MachineSnapshot | None
    parts: Sequence[Part]
    outcome: Mapping[str, str]
    base_ns: int = 0
    again: Recomputation | None = None


class Corrections:
    """Takes up declarations and recomputations, a machine at a time. `turn` is called again and again."""

    def __init__(
        self,
        committer: Committer,
        pipeline: Pipeline,
        stepping: asyncio.Lock,
        health: Health,
        now_ns: Callable[[], int],
        site_news: SiteNews = lambda _: ((), {}),
        *,
        progress: Callable[[str, float], None] = lambda _name, _share: None,
    ) -> None:
        """stepping: held by whoever lets the pipeline step; progress: told of a machine which share is computed [1]."""
        self._committer, self._pipeline, self._stepping, self._health = committer, pipeline, stepping, health
        self._now_ns, self._site_news, self._progress = now_ns, site_news, progress
        self._heard: list[tuple[Declaration, ...]] = []
        self._asked: tuple[str, ...] = ()
        self._outcomes: dict[str, str] = {}
        self.busy = asyncio.Lock()
        """Held during a turn: whoever feeds whole blocks or ends the run waits for it."""
        self.on_outcome: Callable[[], None] = lambda: None

    @property
    def echo(self) -> dict[str, str]:
        """Of the declarations that the center's latest message holds those that are decided: "" or why refused."""
        return {number: self._outcomes[number] for number in self._asked if number in self._outcomes}

    def hear(self, declarations: Iterable[Declaration]) -> None:
        """The center's message: everything that it waits for an echo of."""
        said = tuple(declarations)
        self._asked = tuple(item.id for item in said)
        if said not in self._heard:  # it comes again until it is echoed, however long a disk refuses
            self._heard.append(said)

    async def turn(self) -> None:
        """Takes up what waits. What the disk refuses waits for the next turn."""
        async with self.busy:
            try:
                await self._write_down()
                waiting, todo = await self._committer.do(_waiting)
                for name in dict.fromkeys(item.machine for item in waiting):
                    await self._take(name, [item for item in waiting if item.machine == name])
                if any(item.state == "new" for item in todo):
                    await self._compute_again(todo)
            except (CannotStore, CorruptOutbox):
                return  # the committer has said so

    async def _write_down(self) -> None:
        while self._heard:
            found = await self._committer.do(partial(_hear, self._heard[0]))
            self._heard.pop(0)
            self._outcomes = {number: why for number, why in self._outcomes.items() if number in self._asked} | found
            self.on_outcome()

    # declarations

    async def _take(self, name: str, news: list[Declaration]) -> None:
        machines = {name: 0} if name in self._pipeline.tags else {}
        outcome = {item.id: hearing.impossible(item, machines, self._now_ns()) for item in news}
        news = [item for item in news if not outcome[item.id]]
        if not news:
            await self._committer.do(lambda outbox: outbox.within(lambda db: declared.decide(db, outcome.items())))
            self._decided(outcome)
            return
        async with self._stepping:
            self._pipeline.hold(name)
        try:
            if await self._committer.commit(final=True):
                found = await self._hear_once(name, news)
                outcome |= found.outcome
                await self._store(
                    name, found, lambda db: declared.decide(db, outcome.items()), lambda: self._decided(outcome)
                )
        finally:
            self._pipeline.release(name)

    async def _hear_once(self, name: str, news: list[Declaration]) -> _Found:
        """An edit that the core stumbles over is refused: it must not be tried for ever."""
        try:
            return await self._hear_out(name, news)
        except (CannotStore, CorruptOutbox):
            raise
        except Exception:  # noqa: BLE001  # a loop that must survive; counted
            self._failed(name)
            before = self._pipeline.state(name)
            return _Found(before, before, None, (), {item.id: "failed" for item in news})

    async def _hear_out(self, name: str, news: list[Declaration]) -> _Found:
        before = self._pipeline.state(name)
        known = await self._committer.do(lambda outbox: outbox.within(lambda db: declared.known(db, name)))
        crossed = hearing.crossing([*known, *news])
        outcome = {item.id: crossed.get(item.id, "") for item in news}
        news = [item for item in news if not outcome[item.id]]
        if not news:
            return _Found(before, before, None, (), outcome)
        outcome |= {item.id: crossed[item.id] for item in known if item.id in crossed}
        reach_ns = earliest_change(news, known)
        said = [item for item in (*known, *news) if not outcome.get(item.id)]
        if reach_ns >= before.settled_ns:
            return await asyncio.to_thread(self._step, name, before, said, outcome)
        if (material := await self._material(name, latest_base(reach_ns, said))) is None:
            return await self._too_old(name, before, news, known)
        return await asyncio.to_thread(self._again, name, before, material, said, outcome)

    async def _too_old(
        self, name: str, before: engine.EngineState, news: list[Declaration], known: list[Declaration]
    ) -> _Found:
        """Each by itself: those that reach no further than the journal are heard, the others refused."""
        if len(news) > 1:
            why = {item.id: await self._reachable(name, item, known) for item in news}
            if any(not text for text in why.values()):
                later = await self._hear_out(name, [item for item in news if not why[item.id]])
                refused = {number: text for number, text in why.items() if text}
                return _Found(**(vars(later) | {"outcome": {**refused, **later.outcome}}))
        earliest = await self._earliest_ns(name)
        return _Found(before, before, None, (), {item.id: hearing.too_old(earliest) for item in news})

    async def _reachable(self, name: str, item: Declaration, known: list[Declaration]) -> str:
        earliest = await self._earliest_ns(name)
        reach_ns = latest_base(earliest_change([item], known), [*known, item])
        return "" if earliest is not None and reach_ns >= earliest else hearing.too_old(earliest)

    async def _material(self, name: str, at_most_ns: int) -> Material | None:
        tags, until_ns = self._pipeline.machine(name).tags(), self._pipeline.state(name).until_ns
        return await self._committer.do(
            lambda outbox: outbox.within(lambda _: outbox.journal.material(name, at_most_ns, tags, until_ns))
        )

    async def _earliest_ns(self, name: str) -> int | None:
        tags, until_ns = self._pipeline.machine(name).tags(), self._pipeline.state(name).until_ns
        return await self._committer.do(
            lambda outbox: outbox.within(lambda _: outbox.journal.earliest_ns(name, tags, until_ns))
        )

    def _step(
        self, name: str, before: engine.EngineState, said: Sequence[Declaration], outcome: Mapping[str, str]
    ) -> _Found:
        until_ns = before.until_ns
        machine = self._pipeline.machine(name)
        step = engine.step(
            machine, with_declarations(before, said), {}, (), until_ns, until_ns // MINUTE_NS * MINUTE_NS
        )
        part = Part(name, step.facts, step.losses, step.stops.rows())
        return _Found(before, step.state, step.live, [part] if len(part) else [], outcome)

    def _again(
        self,
        name: str,
        before: engine.EngineState,
        material: Material,
        said: Sequence[Declaration],
        outcome: Mapping[str, str],
    ) -> _Found:
        found = recompute(
            self._pipeline.machine(name), material.base, self._blocks(name, material), said, material.sent
        )
        parts = split(Part(name, found.facts, found.losses, found.stops))
        return _Found(before, found.state, found.live, parts, outcome, material.base.settled_ns, found)

    def _blocks(self, name: str, material: Material) -> Iterator[tuple[Samples, int]]:
        for number, block in enumerate(material.blocks()):
            self._progress(name, number / len(material.chunks))
            yield block
        self._progress(name, 1.0)

    async def _store(
        self,
        name: str,
        found: _Found,
        also: Callable[[sqlite3.Connection], None],
        done: Callable[[], None],
        contents: Sequence[tuple[str, Any]] = (),
        settings: Mapping[str, str] | None = None,
    ) -> bool:
        def write(journal: Journal, envelopes: Sequence[tuple[str, int]]) -> None:
            journal.record({}, envelopes)
            if found.again is not None:
                journal.corrected(name, found.base_ns, found.again)
            also(journal.db)

        correction = Correction(
            name, found.before, found.state, found.live, found.parts, write, contents, settings or {}
        )
        if not await self._committer.correct(correction):
            return False
        self._health.count("corrections")
        self._health.count("correction_rows", sum(map(len, found.parts)))
        done()
        return True

    def _failed(self, name: str) -> None:
        self._health.count("corrections_failed")
        _LOG.exception("correction failed machine=%s", name)

    def _decided(self, outcome: Mapping[str, str]) -> None:
        self._outcomes |= {number: why for number, why in outcome.items() if number in self._asked}
        for number, why in outcome.items():
            if why:
                self._health.count("declarations_refused")
                _LOG.warning("declaration refused id=%s why=%r", number, why)
            else:
                self._health.count("declarations_done")
        self.on_outcome()

    # recomputations

    async def _compute_again(self, asked: Sequence[declared.Recompute]) -> None:
        """The first that is not done yet. When all machines were asked for, the `site` body goes with the last one, valid
        from where they began: the center counts scheduled time by it."""
        todo = next(item for item in asked if item.state == "new")
        last = [item.state for item in asked].count("new") == 1
        name = todo.machine
        if name not in self._pipeline.tags:
            await self._recomputed(todo, f"unknown_machine {name}")
            return
        async with self._stepping:
            self._pipeline.hold(name)
        try:
            if not await self._committer.commit(final=True):
                return
            before = self._pipeline.state(name)
            material = await self._material(name, max(todo.from_ns, 0)) or await self._earliest(name)
            if material is None:
                await self._recomputed(todo, "no_journal")
                return
            known = await self._committer.do(lambda outbox: outbox.within(lambda db: declared.known(db, name)))
            try:
                found = await asyncio.to_thread(self._again, name, before, material, known, {})
            except Exception:  # noqa: BLE001  # as in `_hear_once`
                self._failed(name)
                await self._recomputed(todo, "failed")
                return
            base_ns = self._valid_from_ns(material)
            begun = [item.base_ns for item in asked if item.base_ns is not None and item.asked_ns == todo.asked_ns]
            whole = last and {item.machine for item in asked if item.asked_ns == todo.asked_ns} >= set(
                self._pipeline.tags
            )
            contents, settings = self._site_news(min([base_ns, *begun])) if whole else ((), {})

            def also(db: sqlite3.Connection) -> None:
                declared.recomputed(db, todo, base_ns=base_ns)
                forget_outdated(db, name)

            await self._store(
                name,
                found,
                also,
                lambda: self._health.count("machines_recomputed"),
                contents,
                settings,
            )
            old = await self._committer.do(lambda outbox: outdated(outbox.settings()))
            self._health.gauge("machines_outdated", float(len(old)))
        finally:
            self._pipeline.release(name)

    @staticmethod
    def _valid_from_ns(material: Material) -> int:
        if material.base.settled_ns:
            return material.base.settled_ns
        firsts = [int(column.t_ns[0]) for rows, _ in material.blocks() for column in rows.values() if len(column)]
        return min(firsts, default=0)

    async def _earliest(self, name: str) -> Material | None:
        earliest = await self._earliest_ns(name)
        return None if earliest is None else await self._material(name, earliest)

    async def _recomputed(self, asked: declared.Recompute, why: str) -> None:
        _LOG.warning("machine not recomputed machine=%s why=%s", asked.machine, why)
        await self._committer.do(lambda outbox: outbox.within(lambda db: declared.recomputed(db, asked, why)))


def _hear(said: Sequence[Declaration], outbox: Outbox) -> dict[str, str]:
    def add(db: sqlite3.Connection) -> dict[str, str]:
        declared.add(db, said, "center")
        return declared.outcomes(db, [item.id for item in said])

    return outbox.within(add)


def _waiting(outbox: Outbox) -> tuple[list[Declaration], list[declared.Recompute]]:
    def look(db: sqlite3.Connection) -> tuple[list[Declaration], list[declared.Recompute]]:
        return declared.waiting(db), declared.recomputes(db)

    return outbox.within(look)
