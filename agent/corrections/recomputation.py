"""Requested recomputations: computes a machine's past again with its current description."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from agent.corrections.corrector import Interrupted, MachineCorrector
from agent.corrections.machine_digest import forget_outdated, outdated
from agent.outbox import declarations
from agent.outbox.declarations import RecomputeRequest
from agent.outbox.journal.past import MachinePast
from agent.store.site import CommitExtras

_LOG: Final = logging.getLogger("nhip.agent.corrections")

SiteRevisionAt = Callable[[int], CommitExtras]
"""The `site` body that is valid from a time [ns] on, as contents and settings of a commit."""


async def recompute_next(
    corrector: MachineCorrector, requests: Sequence[RecomputeRequest], revise_site: SiteRevisionAt
) -> None:
    """Handles the first pending request. If all machines were requested, the last one also sends the `site` body, valid from
    where they began, since the center counts scheduled time by it. Raises `CannotStore`, `CorruptOutbox` or `Interrupted`.
    """
    request = next(item for item in requests if item.state == "new")
    machine = request.machine
    if machine not in corrector.pipeline.runs:
        await _refuse(corrector, request, f"unknown_machine {machine}")
        return
    async with corrector.held(machine) as committed:
        if not committed:
            return
        before = corrector.pipeline.runs[machine].state
        past = await corrector.archive.past(machine, max(request.from_ns, 0))
        past = past or await corrector.archive.earliest_past(machine)
        if past is None:
            await _refuse(corrector, request, "no_journal" if before.until_ns else "nothing_computed")
            return
        known = await corrector.archive.declarations(machine)
        try:
            corrected = await asyncio.to_thread(corrector.recompute, machine, before, past, known)
        except Interrupted:
            raise
        except Exception:  # noqa: BLE001  # a loop that must survive; counted
            corrector.failed(machine)
            await _refuse(corrector, request, "failed")
            return
        base_ns = _valid_from_ns(past)
        contents, settings = _site_revision(corrector, request, requests, base_ns, revise_site)

        def also(db: sqlite3.Connection) -> None:
            declarations.decide_recompute(db, request, base_ns=base_ns)
            forget_outdated(db, machine)

        if await corrector.store(machine, corrected, also, contents, settings):
            corrector.health.count("machines_recomputed")
        outdated_machines = await corrector.committer.thread.do(lambda outbox: outdated(outbox.settings()))
        corrector.health.gauge("machines_outdated", float(len(outdated_machines)))


def _site_revision(
    corrector: MachineCorrector,
    request: RecomputeRequest,
    requests: Sequence[RecomputeRequest],
    base_ns: int,
    revise_site: SiteRevisionAt,
) -> CommitExtras:
    """The `site` body, if this is the last of requests for all machines."""
    same_command = [item for item in requests if item.asked_ns == request.asked_ns]
    is_last = [item.state for item in requests].count("new") == 1
    if not is_last or not {item.machine for item in same_command} >= set(corrector.pipeline.runs):
        return (), {}
    return revise_site(min([base_ns, *(item.base_ns for item in same_command if item.base_ns is not None)]))


def _valid_from_ns(past: MachinePast) -> int:
    if past.base.settled_ns:
        return past.base.settled_ns
    firsts = [int(column.t_ns[0]) for rows, _ in past.blocks() for column in rows.values() if len(column)]
    return min(firsts, default=0)


async def _refuse(corrector: MachineCorrector, request: RecomputeRequest, why: str) -> None:
    _LOG.warning("machine not recomputed machine=%s why=%s", request.machine, why)
    await corrector.committer.thread.do(
        lambda outbox: outbox.within(lambda db: declarations.decide_recompute(db, request, why))
    )
