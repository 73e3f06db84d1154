"""Recomputes in the outbox of a gateway whose agent is not running: the same corrections, without devices and network."""

import asyncio
import time
from pathlib import Path

from agent.compute.pipeline import Pipeline
from agent.corrections.corrections import Corrections
from agent.corrections.corrector import Progress
from agent.corrections.damaged_states import sound_carries
from agent.corrections.machine_digest import changes
from agent.outbox.declarations import RecomputeRequest, recompute_requests
from agent.outbox.recovery import open_outbox
from agent.process.health import Health
from agent.store.commit import Committer
from agent.store.outbox_thread import all_streams
from agent.store.site import SiteRevision
from agent.uplink.sender import Sender
from config import Site, compile_site, description, load_profiles


async def recompute(site: Site, path: Path, progress: Progress) -> list[RecomputeRequest]:
    """Does all pending corrections in the file, and returns the recompute requests with their outcomes.

    Stops early if the disk refuses. Raises `OutboxInUse` if an agent runs, `UnknownFormat` or `CannotStore`.
    """
    outbox = (await asyncio.to_thread(open_outbox, path, time.time_ns())).outbox
    machines = compile_site(site, load_profiles())
    health = Health()
    try:
        pipeline = Pipeline(machines, sound_carries(outbox, machines, time.time_ns(), health))
    except BaseException:
        outbox.close()
        raise
    author = f"{site.site}/{site.gateway}"
    committer = Committer(outbox, pipeline, Sender(all_streams(outbox)), health, time.time_ns, author=author)
    revise_site = SiteRevision(description(site), time.time_ns, committer.site)
    corrections = Corrections(committer, pipeline, asyncio.Lock(), health, time.time_ns, revise_site, progress=progress)
    try:
        now_ns = time.time_ns()
        await committer.thread.keep_settings(changes(outbox.settings(), machines, now_ns), now_ns)
        before = -1
        while (waiting := _waiting(outbox.within(recompute_requests))) and waiting != before:
            before = waiting
            await corrections.run_pending()
        return outbox.within(recompute_requests)
    finally:
        await committer.thread.close()


def _waiting(requests: list[RecomputeRequest]) -> int:
    return sum(item.state == "new" for item in requests)
