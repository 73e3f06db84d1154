"""Between the devices and the pipeline: rows of steady time go in, rows of gateway time come out.

While the clock is trusted they pass at once. While it is not they are buffered (`agent.clock.undated_rows`), no facts are
computed, and a second pipeline, the sketch, whose facts are discarded, shows what the machines are doing. Once the clock is
trusted, the buffered rows are fed with their true times, so that the facts are those of a gateway whose clock was right
all along.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from adapters.contract import Row
from agent.clock.backfill import Backfill, ends_of_last_run, moved
from agent.clock.clock import GatewayClock
from agent.clock.undated_rows import UndatedRows
from agent.compute.pipeline import Pipeline, computed_until_ns, snapshots, tags_used_until_ns
from agent.devices.freshness import Freshness
from agent.process.health import Health
from oee.engine.step import MachineSnapshot
from oee.model.machine import Machine

_LOG: Final = logging.getLogger("nhip.agent.clock")


class Dating:
    """Dates rows, at once or when the clock is trusted."""

    def __init__(
        self,
        clock: GatewayClock,
        pipeline: Pipeline,
        machines: Mapping[str, Machine],
        deliver: Callable[[list[Row]], None],
        undated: Path,
        health: Health,
    ) -> None:
        """deliver: takes rows of gateway time, the pipeline's among others; undated: the file of undated rows."""
        self._clock, self._pipeline, self._machines, self._health = clock, pipeline, machines, health
        self._deliver, self._path = deliver, undated
        self._undated: UndatedRows | None = None
        self._sketch: Pipeline | None = None
        self._mark_ns = 0

    @property
    def buffering(self) -> bool:
        """Whether rows wait for their dates."""
        return self._undated is not None

    @property
    def live(self) -> dict[str, MachineSnapshot]:
        """What the machines are doing; while rows are buffered, the `since_ns` are guesses."""
        return snapshots(self._sketch or self._pipeline)

    @property
    def undated_since_ns(self) -> int | None:
        """Since when rows wait [ns, gateway time as estimated now]; None if none wait."""
        since_ns = self._undated.since_ns if self._undated else None
        return None if since_ns is None else since_ns + self._clock.base_ns

    @property
    def undated_rows(self) -> int:
        """How many rows wait on disk."""
        return self._undated.rows if self._undated else 0

    def begin(self, freshness: Freshness) -> None:
        """Begins live data: every tag is a gap from its last confirmation on."""
        now_ns, correction_ns = self._clock.steady_ns(), self._clock.correction_ns
        if self._clock.trusted and not self._path.exists():
            last_ns = {tag: t_ns - correction_ns for tag, t_ns in tags_used_until_ns(self._pipeline).items()}
            self.feed(freshness.start(now_ns, last_ns))
            return
        self._undated = undated = UndatedRows(self._path, self._clock.boot)
        if undated.lost:
            self._health.count("held_lost")
            _LOG.error(
                "undated rows lost why=%r cure=%r",
                "the gateway was switched off before its clock could be trusted",
                "let it reach the center or an NTP server, or confirm the time with `nhip clock confirm`",
            )
        self._sketch = Pipeline(self._machines, {})
        if not self._clock.trusted:
            _LOG.warning("clock not trusted cure=%r", "NTP, the center, or `nhip clock confirm`; facts wait until then")
        tags = {tag for names in self._pipeline.tags.values() for tag in names}
        last_ns = dict.fromkeys(tags, undated.until_ns + self._clock.origin_ns) if undated.until_ns else {}
        self.feed(freshness.start(now_ns, last_ns))

    def feed(self, rows: list[Row]) -> None:
        """Takes rows of steady time."""
        if self._undated is None:
            self._deliver(moved(rows, self._clock.correction_ns))
            return
        self._undated.add(moved(rows, -self._clock.origin_ns))
        if self._sketch:
            self._sketch.feed_rows(rows)

    def advance(self, marks_ns: Mapping[str, int], *, idle_ns: int = 0) -> int:
        """Computes every machine up to its watermark [steady ns]; returns how many had something to compute."""
        if self._undated is None:
            correction_ns = self._clock.correction_ns
            marks = {name: t_ns + correction_ns for name, t_ns in marks_ns.items()}
            return self._pipeline.advance(marks, idle_ns=idle_ns)
        if self._sketch is None:
            return 0
        self._mark_ns = min(marks_ns.values(), default=self._clock.steady_ns())
        count = self._sketch.advance(marks_ns, idle_ns=idle_ns)
        self._sketch.take()
        return count

    def flush(self) -> None:
        """Writes buffered rows up to the watermark to disk."""
        if self._undated is None or not self._mark_ns:
            return
        try:
            self._undated.write(self._mark_ns - self._clock.origin_ns)
        except OSError as error:
            self._health.count("held_refused")
            if self._health.snapshot()["held_refused"] == 1:
                _LOG.error("undated rows cannot be stored why=%r", str(error))

    async def release(self, commit: Callable[[], Awaitable[bool]], stop: asyncio.Event) -> None:
        """The clock is trusted now: feeds the buffered rows and stores the facts. Rows that arrive meanwhile wait.

        Ends early when `stop` is set; the next run then continues from there.
        """
        undated = self._undated
        assert undated is not None
        mono_ns = self._clock.steady_ns() - self._clock.origin_ns
        self._clock.dates_from(mono_ns if undated.since_ns is None else undated.since_ns)
        resumed = undated.base_ns is not None
        base_ns = self._clock.base_ns if undated.base_ns is None else undated.base_ns
        computed_ns = max(computed_until_ns(self._pipeline).values(), default=0)
        if not resumed:
            self._deliver(ends_of_last_run(self._pipeline))
            try:
                undated.dated(base_ns)
            except OSError:
                self._health.count("held_refused")
        backfill = Backfill(self._pipeline, self._deliver, commit, stop, computed_ns, resumed)
        if not await backfill.run(undated, base_ns):
            return
        unwritten = undated.take_unwritten(self._clock.steady_ns() - self._clock.origin_ns)
        self._undated = self._sketch = None
        self._deliver(backfill.after_late(moved(unwritten, base_ns)))
        undated.remove()
        _LOG.info("undated rows dated rows=%d moved_s=%.3f", undated.rows, self._clock.correction_ns / 1e9)

    def pause(self) -> None:
        """Buffers rows in memory until `resume`, while earlier rows are redated."""
        self._undated, self._mark_ns = UndatedRows(self._path, self._clock.boot), 0

    def resume(self) -> None:
        """Feeds the rows that were buffered since `pause`."""
        undated, self._undated = self._undated, None
        if undated:
            self._deliver(moved(undated.take_unwritten(0), self._clock.base_ns))
            undated.remove()
