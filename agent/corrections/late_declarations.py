"""Follows declarations about a held machine: with one step, a computation from a checkpoint, or a refusal.

A declaration that reaches further back than the journal is refused with the earliest time that can still be corrected;
it stays in the file with the reason.
"""

import asyncio
from collections.abc import Mapping, Sequence

from agent.corrections import validate
from agent.corrections.corrector import Corrected, Interrupted, MachineCorrector
from agent.outbox.disk import CannotStore, CorruptOutbox
from oee.engine.correction import earliest_change, latest_base
from oee.model.declarations import Declaration

Followed = tuple[Corrected, Mapping[str, str]]
"""The correction, and by id "" or why a declaration is refused."""


async def follow(corrector: MachineCorrector, machine: str, new: Sequence[Declaration]) -> Followed:
    """Follows the declarations that can be followed. If the engine fails they are refused, so that they are not tried
    forever. Raises `CannotStore`, `CorruptOutbox` or `Interrupted`.
    """
    try:
        return await _follow(corrector, machine, new)
    except (CannotStore, CorruptOutbox, Interrupted):
        raise
    except Exception:  # noqa: BLE001  # a loop that must survive; counted
        corrector.failed(machine)
        return corrector.unchanged(machine), {item.id: "failed" for item in new}


async def _follow(corrector: MachineCorrector, machine: str, new: Sequence[Declaration]) -> Followed:
    known = await corrector.archive.declarations(machine)
    conflicts = validate.conflicting([*known, *new])
    outcome = {item.id: conflicts.get(item.id, "") for item in new}
    new = [item for item in new if not outcome[item.id]]
    if not new:
        return corrector.unchanged(machine), outcome
    outcome |= {item.id: conflicts[item.id] for item in known if item.id in conflicts}
    standing = [item for item in (*known, *new) if not outcome.get(item.id)]
    from_ns, before = earliest_change(new, known), corrector.pipeline.runs[machine].state
    if from_ns >= before.settled_ns:
        return await asyncio.to_thread(corrector.step, machine, before, standing), outcome
    past = await corrector.archive.past(machine, latest_base(from_ns, standing))
    if past is None:
        return await _follow_reachable(corrector, machine, new, known)
    return await asyncio.to_thread(corrector.recompute, machine, before, past, standing), outcome


async def _follow_reachable(
    corrector: MachineCorrector, machine: str, new: Sequence[Declaration], known: Sequence[Declaration]
) -> Followed:
    """Follows the declarations that reach no further back than the journal, and refuses the others."""
    earliest_ns = await corrector.archive.earliest_ns(machine)
    refused = {}
    for item in new if len(new) > 1 else ():
        base_ns = latest_base(earliest_change([item], known), [*known, item])
        if earliest_ns is None or base_ns < earliest_ns:
            refused[item.id] = validate.too_old(earliest_ns)
    if len(refused) == len(new) or len(new) == 1:
        return corrector.unchanged(machine), {item.id: validate.too_old(earliest_ns) for item in new}
    corrected, outcome = await _follow(corrector, machine, [item for item in new if item.id not in refused])
    return corrected, {**refused, **outcome}
