"""Acts on changes of the gateway's clock: dates rows that wait for a trusted time, and redates those with a wrong time.

The pipeline does not step meanwhile (`computing`), and while rows are redated no correction runs (`Corrections.busy`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from agent.clock.guard import Verdict
from agent.corrections.corrections import Corrections
from agent.corrections.redating import Redating, TimeShift
from agent.feed.acquisition import Acquisition
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.store.commit import Committer


class TimeMoves:
    """incomplete: redating was stopped half-way. The next start does the rest before anything else is computed, so this run
    must not compute any more.
    """

    def __init__(
        self,
        acquisition: Acquisition,
        committer: Committer,
        corrections: Corrections,
        redating: Redating,
        announce_site: Callable[[int], None],
    ) -> None:
        """announce_site: announces the site as described now, valid from a time [ns] on."""
        self._acquisition, self._clock, self._dating = acquisition, acquisition.clock, acquisition.dating
        self._committer, self._corrections, self._redating = committer, corrections, redating
        self._announce_site = announce_site
        self._stop = asyncio.Event()
        self.incomplete = False

    async def begin(self, stop: asyncio.Event) -> None:
        """Before live data: completes the redating that the previous run left."""
        self._stop = stop
        self._clock.check()
        self.incomplete = not await self._redating.run(stop)
        if self._clock.trusted and not self._committer.site.announced:
            self._announce_site(self._clock.now_ns())

    async def follow(self) -> bool:
        """To be called once a second: acts on the clock's verdict. False if nothing may be computed."""
        verdict = self._clock.check()
        if verdict.moved_ns and not verdict.begins:
            self.incomplete = not await self._move(verdict)
        return not self.incomplete

    async def date_waiting(self) -> None:
        """Feeds the undated rows, once the clock is trusted. The caller holds `computing`."""
        if not (self._clock.trusted and self._dating.buffering):
            return
        if not self._committer.site.announced:
            since_ns = self._dating.undated_since_ns
            self._announce_site(self._clock.now_ns() if since_ns is None else since_ns)
        # final: large states too, since the file of undated rows is removed once they are committed
        await self._dating.release(partial(self._committer.commit, final=True), self._stop)

    async def _move(self, verdict: Verdict) -> bool:
        """Gateway time was stepped while it was trusted. False if the consequences could not be completed."""
        pipeline = self._acquisition.pipeline
        if self._dating.buffering:  # nothing was dated yet
            self._clock.keep()
            return True
        if not verdict.always:
            async with self._corrections.busy, self._acquisition.computing:
                pipeline.resume(self._clock.now_ns())
            self._clock.keep()
            return True
        self._dating.pause()
        shift = TimeShift(self._clock.dated_from_ns - verdict.moved_ns, verdict.moved_ns)
        before_ns = self._clock.correction_ns - verdict.moved_ns
        now_ns = self._clock.steady_ns()
        marks = {
            name: self._acquisition.freshness.watermark_ns(tags, now_ns) + before_ns
            for name, tags in pipeline.tags.items()
        }
        async with self._corrections.busy, self._acquisition.computing:
            await asyncio.to_thread(pipeline.advance, marks)
            with suppress(CannotStore, CorruptOutbox):  # counted and logged by the outbox; the wrong hours then stay
                await self._redating.request(shift, self._clock.kept())
                self._clock.keep()
                if not await self._redating.run(self._stop):
                    return False
            pipeline.shift(verdict.moved_ns)
            self._acquisition.recorder.shift(verdict.moved_ns)
            self._dating.resume()
        return True
