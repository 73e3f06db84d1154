"""Between the devices and the pipeline: rows of steady time go in, rows of gateway time come out.

While the clock is trusted they pass at once. While it is not they are held (`agent.clock.undated_rows`), nothing is computed for good,
and a sketch (a second pipeline, whose facts nobody takes) tells what the machines are doing. When trust comes, what was
held is fed with its true times, so that the facts are those of a gateway whose clock was right all along.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from adapters.contract import Row
from agent.clock.clock import Clock
from agent.clock.undated_rows import Held
from agent.compute.pipeline import Pipeline, computed_until_ns, snapshots, tags_used_until_ns
from agent.devices.freshness import ONLINE, Freshness
from agent.process.health import Health
from oee.engine.step import MachineSnapshot
from oee.model.facts import MS_NS
from oee.model.machine import Machine
from oee.model.states import Quality

_LOG: Final = logging.getLogger("nhip.agent.clock")
_ROWS_AT_ONCE: Final = 20_000


class Dating:
    """The place where rows get their dates."""

    def __init__(
        self,
        clock: Clock,
        pipeline: Pipeline,
        machines: Mapping[str, Machine],
        deliver: Callable[[list[Row]], None],
        held: Path,
        health: Health,
    ) -> None:
        """deliver: takes rows of gateway time, the pipeline's among others; held: the file for what has no date yet."""
        self._clock, self._pipeline, self._machines, self._health = clock, pipeline, machines, health
        self._deliver, self._path = deliver, held
        self._held: Held | None = None
        self._sketch: Pipeline | None = None
        self._mark_ns = 0

    @property
    def holds(self) -> bool:
        """Whether rows wait for their dates."""
        return self._held is not None

    @property
    def live(self) -> dict[str, MachineSnapshot]:
        """What the machines are doing; while rows are held, since when is a guess."""
        return snapshots(self._sketch or self._pipeline)

    @property
    def held_since_ns(self) -> int | None:
        """Since when rows wait [ns, gateway time as it is guessed now]; None if they do not."""
        since_ns = self._held.since_ns if self._held else None
        return None if since_ns is None else since_ns + self._base_ns

    @property
    def held_rows(self) -> int:
        """How many rows wait on disk."""
        return self._held.rows if self._held else 0

    @property
    def _base_ns(self) -> int:
        return self._clock.origin_ns + self._clock.correction_ns

    def begin(self, freshness: Freshness) -> None:
        """Live data begin: every tag is a gap from its last confirmation on."""
        now_ns, correction_ns = self._clock.steady_ns(), self._clock.correction_ns
        if self._clock.trusted and not self._path.exists():
            last_ns = {tag: t_ns - correction_ns for tag, t_ns in tags_used_until_ns(self._pipeline).items()}
            self.feed(freshness.start(now_ns, last_ns))
            return
        self._held = held = Held(self._path, self._clock.boot)
        if held.lost:
            self._health.count("held_lost")
            _LOG.error(
                "held rows lost why=%r cure=%r",
                "the gateway was switched off before anybody could say what time it was",
                "let it reach the center or an NTP server, or confirm the time with `nhip clock confirm`",
            )
        self._sketch = Pipeline(self._machines, {})
        if not self._clock.trusted:
            _LOG.warning("clock not trusted cure=%r", "NTP, the center, or `nhip clock confirm`; facts wait until then")
        tags = {tag for names in self._pipeline.tags.values() for tag in names}
        last_ns = dict.fromkeys(tags, held.until_ns + self._clock.origin_ns) if held.until_ns else {}
        self.feed(freshness.start(now_ns, last_ns))

    def feed(self, rows: list[Row]) -> None:
        """Takes rows of steady time."""
        if self._held is None:
            self._deliver(_moved(rows, self._clock.correction_ns))
            return
        self._held.add(_moved(rows, -self._clock.origin_ns))
        if self._sketch:
            self._sketch.feed_rows(rows)

    def advance(self, marks_ns: Mapping[str, int], *, idle_ns: int = 0) -> int:
        """Computes every machine up to its watermark [steady ns]; returns for how many there was something to do."""
        if self._held is None:
            correction_ns = self._clock.correction_ns
            marks = {name: t_ns + correction_ns for name, t_ns in marks_ns.items()}
            return self._pipeline.advance(marks, idle_ns=idle_ns)
        if self._sketch is None:
            return 0
        self._mark_ns = min(marks_ns.values(), default=self._clock.steady_ns())
        count = self._sketch.advance(marks_ns, idle_ns=idle_ns)
        self._sketch.take()
        return count

    def keep(self) -> None:
        """Puts what is held on disk, as far as it is complete."""
        if self._held is None or not self._mark_ns:
            return
        try:
            self._held.write(self._mark_ns - self._clock.origin_ns)
        except OSError as error:
            self._health.count("held_refused")
            if self._health.snapshot()["held_refused"] == 1:
                _LOG.error("held rows cannot be stored why=%r", str(error))

    async def release(self, commit: Callable[[], Awaitable[bool]], stop: asyncio.Event) -> None:
        """The clock is trusted: feeds what was held, and stores what comes of it. Rows that come meanwhile wait.

        Ends early when `stop` is set; the next run then goes on from there.
        """
        held = self._held
        assert held is not None
        self._clock.dates_from(
            held.since_ns if held.since_ns is not None else self._clock.steady_ns() - self._clock.origin_ns
        )
        again = held.base_ns is not None
        base_ns = held.base_ns if held.base_ns is not None else self._base_ns
        told_ns = max(computed_until_ns(self._pipeline).values(), default=0)
        if not again:
            self._deliver(self._ends_of_last_run())
            try:
                held.dated(base_ns)
            except OSError:
                self._health.count("held_refused")
        past: dict[str, Row] = {}
        count = 0
        for block in held.blocks():
            until_ns = block.until_ns + base_ns
            if until_ns <= told_ns:  # fed by the run before, or time that is told already
                past |= {row.tag: row for row in block.rows if not again}
                continue
            rows = [*_late(past, told_ns), *_moved(block.rows, base_ns)]
            self._deliver(rows)
            past, count = {}, count + len(rows)
            if count >= _ROWS_AT_ONCE:
                count = 0
                if not await self._compute(until_ns, commit, stop):
                    return
        if held.until_ns and not await self._compute(held.until_ns + base_ns, commit, stop):
            return
        rest = held.rest(self._clock.steady_ns() - self._clock.origin_ns)
        self._held = self._sketch = None
        self._deliver([*_late(past, told_ns), *_moved(rest, base_ns)])
        held.remove()
        _LOG.info("held rows dated rows=%d moved_s=%.3f", held.rows, self._clock.correction_ns / 1e9)

    async def _compute(self, until_ns: int, commit: Callable[[], Awaitable[bool]], stop: asyncio.Event) -> bool:
        await asyncio.to_thread(self._pipeline.advance, dict.fromkeys(self._machines, until_ns))
        while not stop.is_set():
            if await commit():
                return True
            await asyncio.sleep(1.0)
        return False

    def _ends_of_last_run(self) -> list[Row]:
        """What the run before knew last became unknown with its end."""
        return [
            Row(tag, t_ns, 0, Quality.GOOD) if tag.endswith(f".{ONLINE}") else Row(tag, t_ns, None, Quality.GAP)
            for tag, t_ns in tags_used_until_ns(self._pipeline).items()
        ]

    def hold(self) -> None:
        """From now on rows wait, in memory, until `go_on`: what was dated before them is being dated anew."""
        self._held, self._mark_ns = Held(self._path, self._clock.boot), 0

    def go_on(self) -> None:
        """What waited follows what was dated anew."""
        held, self._held = self._held, None
        if held:
            self._deliver(_moved(held.rest(0), self._base_ns))
            held.remove()


def _moved(rows: list[Row], by_ns: int) -> list[Row]:
    if not by_ns:
        return rows
    new = tuple.__new__  # the short way: every row of a gateway passes here
    return [new(Row, (tag, t_ns + by_ns, value, quality, source)) for tag, t_ns, value, quality, source in rows]


def _late(latest: Mapping[str, Row], told_ns: int) -> list[Row]:
    """Values of time that is told already hold from its end on, and from after the gap that begins there."""
    return [row._replace(t_ns=told_ns + 2 * MS_NS) for row in latest.values()]
