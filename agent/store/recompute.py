"""Recomputing on the outbox of a gateway whose agent does not run: the same corrections, without devices and network."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from agent.compute.pipeline import Pipeline
from agent.outbox.declarations import Recompute, recomputes
from agent.outbox.recovery import open_outbox
from agent.process.health import Health
from agent.store.commit import Committer, all_streams
from agent.store.corrections import Corrections
from agent.store.machine_digest import changes
from agent.store.site import SiteNews
from agent.uplink.sender import Sender
from config import Site, compile_site, description, load_profiles

Progress = Callable[[str, float], None]
"""Told again and again: which machine, and which share of it is done [1]."""


async def recompute(site: Site, path: Path, progress: Progress) -> list[Recompute]:
    """Does everything that waits in the file, and returns what became of the recomputations.

    Stops early when the disk refuses. Raises `OutboxInUse` if an agent runs, `UnknownFormat` or `CannotStore`.
    """
    outbox = (await asyncio.to_thread(open_outbox, path, time.time_ns())).outbox
    machines = compile_site(site, load_profiles())
    pipeline, health = Pipeline(machines, outbox.carries()), Health()
    committer = Committer(
        outbox,
        pipeline,
        Sender(all_streams(outbox)),
        health,
        time.time_ns,
        author=f"{site.site}/{site.gateway}",
    )
    news = SiteNews(description(site), time.time_ns)
    corrections = Corrections(committer, pipeline, asyncio.Lock(), health, time.time_ns, news, progress=progress)
    try:
        await committer.set(changes(outbox.settings(), machines, time.time_ns()))
        left = -1
        while (waiting := [item for item in outbox.within(recomputes) if item.state == "new"]) and len(waiting) != left:
            left = len(waiting)
            await corrections.turn()
        return outbox.within(recomputes)
    finally:
        await committer.close()
