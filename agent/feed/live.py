"""Live rows: passes the readings of devices to the pipeline, and has facts computed once a second."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from adapters.contract import Reading
from agent.feed.acquisition import Acquisition
from agent.feed.pacing import Pacing
from agent.feed.time_moves import TimeMoves
from oee.engine.step import MachineSnapshot


class LiveFeed:
    """Feeds the pipeline. `tick` and `preview` are called periodically, by tasks of their own.

    news: set when a reading has rows that may change what a machine is doing; shows: called with what the machines are
    doing; status_changed: called when the next `status` should be sent at once.
    """

    def __init__(self, acquisition: Acquisition, moves: TimeMoves) -> None:
        self._acquisition, self._moves = acquisition, moves
        self._clock, self._dating, self._pipeline = acquisition.clock, acquisition.dating, acquisition.pipeline
        self._pacing = Pacing()
        self._paused_until_s = 0.0
        self._online: dict[str, bool] = {}
        self.news = asyncio.Event()
        self.shows: list[Callable[[Mapping[str, MachineSnapshot]], None]] = []
        self.status_changed: Callable[[], None] = lambda: None

    def on_reading(self, device: str, reading: Reading) -> None:
        """Takes the reading of a device."""
        self._acquisition.health.count("tags_read", len(reading.confirmed))
        self._dating.feed(self._acquisition.freshness.fed(device, reading))
        if not self._dating.buffering:
            at_ns = reading.t_ns + self._clock.correction_ns
            self._acquisition.recorder.confirmed(device, replace(reading, t_ns=at_ns))
        if self.shows and self._pipeline.has_news:
            self.news.set()

    async def preview(self) -> None:
        """Shows changes at once; on a slow gateway as often as a tenth of a core allows."""
        async with self._acquisition.computing:
            began_s = time.monotonic()
            await asyncio.to_thread(self._pipeline.preview)
            spent_s = time.monotonic() - began_s
        self._show()
        await asyncio.sleep(10 * spent_s)

    def _show(self) -> None:
        live = self._dating.live if self.shows else {}
        for show in self.shows:
            show(live)

    async def tick(self, *, last: bool = False) -> None:
        """Computes facts up to where every tag is confirmed or known to be a gap. last: of all machines, due or not.

        On a slow gateway with many machines it computes less often than it is called, so that it takes at most a
        quarter of a core and the devices are read on time.
        """
        if not await self._moves.follow():
            return
        if self._clock.center_time.is_urgent:
            self.status_changed()
        now_ns = self._clock.steady_ns()
        self._dating.feed(self._acquisition.freshness.tick(now_ns))
        if not self._dating.buffering:
            self._acquisition.recorder.tick(self._clock.now_ns())
        marks = {
            name: self._acquisition.freshness.watermark_ns(tags, now_ns) for name, tags in self._pipeline.tags.items()
        }
        async with self._acquisition.computing:
            await self._moves.date_waiting()
            await self._advance(marks, last=last)
        self._show()
        online = {name: item.condition == "up" for name, item in self._acquisition.devices.items()}
        if online != self._online:
            self._online = online
            self.status_changed()

    async def _advance(self, marks: Mapping[str, int], *, last: bool) -> None:
        began_s = time.monotonic()
        if not last and began_s < self._paused_until_s:
            return
        idle_ns = 0 if last else round(self._pacing.wait_s(len(marks)) * 1e9)
        count = await asyncio.to_thread(self._dating.advance, marks, idle_ns=idle_ns)
        spent_s = time.monotonic() - began_s
        self._pacing.took(spent_s, count)
        self._paused_until_s = time.monotonic() + 3 * spent_s
