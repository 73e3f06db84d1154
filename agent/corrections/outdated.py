"""Reports machines whose past was computed with another description."""

import logging
from collections.abc import Mapping
from typing import Final

from agent.compute.pipeline import Pipeline
from agent.corrections.machine_digest import CONFIG, changes, outdated
from agent.process.health import Health
from agent.store.outbox_thread import OutboxThread

_LOG: Final = logging.getLogger("nhip.agent")


async def report_outdated(
    thread: OutboxThread,
    settings: Mapping[str, str],
    pipeline: Pipeline,
    config_hash: str,
    now_ns: int,
    health: Health,
) -> None:
    """At a start: stores digests of the current descriptions, and counts and logs the outdated machines."""
    digests = changes(settings, {name: run.machine for name, run in pipeline.runs.items()}, now_ns)
    await thread.keep_settings({**digests, CONFIG: config_hash}, now_ns)
    outdated_machines = outdated(digests)
    health.gauge("machines_outdated", float(len(outdated_machines)))
    if outdated_machines:
        _LOG.warning(
            "past computed otherwise machines=%s why=%r cure=%r",
            ",".join(outdated_machines),
            "the site file describes them differently since then: ideal time, calendar, state or reasons",
            "nhip recompute SITE.yaml computes the last days again",
        )
