"""Imports recorded history through the pipeline, before the agent goes live."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.compute.pipeline import Pipeline, computed_until_ns
from agent.corrections.corrections import Corrections
from agent.feed.history_files import blocks, days, first_ns
from agent.store.commit import Committer
from agent.uplink.sender import Sender

ImportProgress = Callable[[dict[str, Any]], None]
"""Called after each day and at the end, with what has been imported."""
_RETRY_S: Final = 1.0


@dataclass(frozen=True)
class HistoryImport:
    """announce_site: announces the site as described now, valid from a time [ns] on."""

    pipeline: Pipeline
    committer: Committer
    corrections: Corrections
    sender: Sender
    announce_site: Callable[[int], None]
    progress: ImportProgress

    async def run(self, folder: Path, stop: asyncio.Event) -> None:
        """Feeds the folder's days, with a commit after each block; ends between blocks if `stop` is set."""
        count = 0
        async for day in days(folder, stop):
            if count == 0:
                self.announce_site(first_ns(day))
            count += 1
            for samples, until_ns in blocks(day, min(computed_until_ns(self.pipeline).values(), default=0)):
                async with self.corrections.busy:
                    await asyncio.to_thread(self.pipeline.feed, samples, until_ns)
                while not await self.committer.commit() and not stop.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), _RETRY_S)
                if stop.is_set():
                    return
            self.progress({"history_day": count, "until_ns": day.until_ns, "waiting": self.sender.waiting})
        written = {name: item.last for name, item in self.sender.streams.items()}
        self.progress({"history_days": count, "done": not stop.is_set(), "written": written})
