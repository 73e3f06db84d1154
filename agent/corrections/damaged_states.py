"""Engine states that cannot be read: set aside with the reason, and computed again.

A commit stores a machine's state, the rows that led to it and what it offered in one transaction. So the journal's last
checkpoint and the rows after it give the same state once more, and nothing is sent twice; where the site file describes
the machine differently since then, the difference is sent, as with any correction. Without a journal the machine starts
over after the last minute of which anything was sent, and the time until its tags are read again is unknown.
"""

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from agent.compute.delta import offered, split
from agent.outbox import declarations
from agent.outbox.disk import CannotStore
from agent.outbox.envelopes import newest
from agent.outbox.journal import recording
from agent.outbox.journal.past import MachinePast, read_past
from agent.outbox.journal.spans import replace_checkpoints
from agent.outbox.outbox import Outbox
from agent.outbox.packing import bodies
from agent.process.health import Health
from agent.store.site import KNOWS
from oee.engine import step as engine
from oee.engine.correction import Recomputation, recompute
from oee.engine.state import EngineState
from oee.model.declarations import Declaration
from oee.model.facts import MINUTE_NS
from oee.model.machine import Machine
from wire.bodies import CYCLES, read_facts_body
from wire.envelope import Unsound, decode_content, open_envelope

_LOG: Final = logging.getLogger("nhip.agent.outbox")
_LATEST_NS: Final = 2**62
_NEWEST: Final = 2000
"""Envelopes that are searched for the last minute of a machine: each minute of a machine is in one of them."""


def sound_carries(outbox: Outbox, machines: Mapping[str, Machine], now_ns: int, health: Health) -> dict[str, bytes]:
    """Each machine's engine state on disk, all of which can be read: those that could not be are replaced, on disk too.

    Raises `CannotStore` or `CorruptOutbox`.
    """
    carries = outbox.carries()
    for name, machine in machines.items():
        try:
            if name in carries:
                engine.load(carries[name])
        except ValueError as error:
            state = _replace(outbox, machine, carries[name], str(error), now_ns)
            health.count("states_set_aside")
            carries[name] = engine.dump(state)
    return carries


def _replace(outbox: Outbox, machine: Machine, data: Any, why: str, now_ns: int) -> EngineState:
    aside = _set_aside(outbox.path, machine.id, data, why, now_ns)
    found = _from_journal(outbox, machine)
    if found is None:
        state, outcome = _begin_again(outbox, machine.id, now_ns), "the machine starts over: its journal is of no use"
    else:
        base_ns, recomputed = found
        state, outcome = recomputed.state, "computed again from the journal"
        offers = split(offered(machine.id, recomputed, recomputed.stops))

        def also(db: sqlite3.Connection, envelopes: Sequence[tuple[str, int]]) -> None:
            recording.record(db, (), envelopes)
            replace_checkpoints(db, machine.id, base_ns, recomputed)

        histograms = CYCLES in outbox.settings().get(KNOWS, "").split(",")
        contents = [("facts", body) for body in bodies(offers, histograms=histograms)]
        outbox.commit(contents, {machine.id: engine.dump(state)}, now_ns, also=also)
    _LOG.error(
        "engine state damaged machine=%s why=%r outcome=%r kept=%s cure=%r",
        machine.id,
        why,
        outcome,
        aside.name,
        "check the disk or memory card; keep that file for analysis",
    )
    return state


def _set_aside(path: Path, machine: str, data: Any, why: str, now_ns: int) -> Path:
    """Writes what was found into a file beside the outbox: a line of JSON that says why, then the bytes."""
    stamp = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.state-{machine}-{stamp}")
    head = json.dumps({"machine": machine, "why": why}, ensure_ascii=False).encode()
    try:
        aside.write_bytes(head + b"\n" + (data if isinstance(data, bytes) else str(data).encode(errors="replace")))
    except OSError as error:
        raise CannotStore("state_not_set_aside", machine=machine, aside=aside, error=error) from error
    return aside


def _from_journal(outbox: Outbox, machine: Machine) -> tuple[int, Recomputation] | None:
    """The machine computed again from the journal's last checkpoint [ns]; None if the journal cannot serve."""
    past, known = outbox.within(lambda db: _past(db, machine))
    if past is None:
        return None
    try:
        return past.base.settled_ns, recompute(machine, past.base, past.blocks(), known, past.sent)
    except Exception:  # noqa: BLE001  # the others must start; this one starts over
        _LOG.exception("engine state not computed again machine=%s", machine.id)
        return None


def _past(db: sqlite3.Connection, machine: Machine) -> tuple[MachinePast | None, list[Declaration]]:
    recording.gather(db, {})
    return read_past(db, machine.id, _LATEST_NS, machine.tags()), declarations.followed(db, machine.id)


@dataclass
class _LastSent:
    """The last minute of a machine of which anything was sent [ns]; -1 for none."""

    machine: str
    minute_ns: int = -1

    def look(self, data: bytes) -> None:
        try:
            body = decode_content(open_envelope(data))
            facts, losses, _ = read_facts_body(body)
        except (Unsound, ValueError, KeyError, TypeError):  # a `dropped` envelope, or one that is damaged itself
            return
        for table in (facts, losses):
            times = table.minute_ns[table.machine == self.machine]
            self.minute_ns = max(self.minute_ns, int(times.max()) if len(times) else -1)


def _begin_again(outbox: Outbox, machine: str, now_ns: int) -> EngineState:
    """Stores and returns a state that begins after everything that was sent, so that nothing counts twice."""
    last = _LastSent(machine)
    for data in newest(outbox.file, "facts", _NEWEST):
        last.look(data)
    start_ns = last.minute_ns + MINUTE_NS if last.minute_ns >= 0 else 0
    state = EngineState(settled_ns=start_ns, until_ns=start_ns, since_ns=start_ns)

    def also(db: sqlite3.Connection, _envelopes: Sequence[tuple[str, int]]) -> None:
        declarations.follow_again(db, machine)

    outbox.commit([], {machine: engine.dump(state)}, now_ns, also=also)
    return state
