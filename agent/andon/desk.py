"""Takes entries: reads what is known, decides, and writes the entry with its declarations, all in one transaction."""

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.andon.entries.answers import answers
from agent.andon.entries.forms import Form, ReasonForm, Reply, StateForm, read_form
from agent.andon.entries.interpret import Accepted, Refused, Situation, interpret
from agent.andon.views.tally import MachineTally
from agent.andon.views.view import AndonMachine, Said, recent_shifts
from agent.outbox import declarations, entries
from agent.outbox.entries import AndonEntry
from agent.outbox.outbox import Outbox
from agent.process.health import Health
from agent.store.outbox_thread import OutboxThread
from oee.engine.step import MachineSnapshot
from oee.model.facts import MS_NS
from oee.model.states import State

_LOG: Final = logging.getLogger("nhip.agent.andon")
DAY_NS: Final = 86_400_000_000_000
REACH_NS: Final = 15 * DAY_NS
"""How far back entries and declarations are looked at: the oldest entry that a tablet may still send, and a day."""


def read_said(db: sqlite3.Connection, machine: str, now_ns: int) -> Said:
    """What people entered at a machine in the last days. Within the caller's transaction."""
    made = entries.since(db, now_ns - REACH_NS, machine)
    declared = declarations.standing_since(db, machine, now_ns - REACH_NS)
    return Said(made, entries.outcomes(db, made), {item.id: item for item in declared})


@dataclass(frozen=True)
class _Machine:
    """What is known of a machine besides what people said. since_ns: when its standstill began, None if it runs."""

    about: AndonMachine
    tally: MachineTally
    since_ns: int | None


class Desk:
    """Takes the entries of tablets. written: called with the machines that got a new entry."""

    def __init__(
        self,
        thread: OutboxThread,
        machines: Mapping[str, AndonMachine],
        tallies: Mapping[str, MachineTally],
        live: Callable[[], Mapping[str, MachineSnapshot]],
        now_ns: Callable[[], int],
        health: Health,
        *,
        trusted: Callable[[], bool] = lambda: True,
    ) -> None:
        """live: what the machines are doing; now_ns: gateway time; trusted: whether it is known."""
        self._thread, self._machines, self._tallies = thread, machines, tallies
        self._live, self._now_ns, self._health, self._trusted = live, now_ns, health, trusted
        self.written: Callable[[set[str]], None] = lambda _: None

    async def take(self, sent: Sequence[Any]) -> list[Reply]:
        """A reply for each entry, in their order. Raises `CannotStore` or `CorruptOutbox`: then none was kept."""
        forms: list[tuple[Form | None, str, str]] = []
        for data in sent:
            try:
                form = read_form(data)
                forms.append((form, form.id, ""))
            except ValueError as error:
                name = data.get("id", "") if isinstance(data, dict) else ""
                forms.append((None, str(name)[:100], f"unreadable {error}"[:200]))
        if not self._trusted():
            return [_reply(key, "later", why="clock") for _, key, _ in forms]
        known = {
            form.machine: self._machine(form.machine) for form, _, _ in forms if form and form.machine in self._machines
        }
        replies, machines = await self._thread.do(lambda outbox: self._write(outbox, forms, known))
        self._health.count("andon_entries", sum(reply["state"] == "saved" for reply in replies))
        self._health.count("andon_refused", sum(reply["state"] == "refused" for reply in replies))
        if machines:
            self.written(machines)
        return replies

    def _machine(self, name: str) -> _Machine:
        live = self._live().get(name)
        stands = live is not None and live.state is not State.RUNNING
        return _Machine(self._machines[name], self._tallies[name].copy(), live.since_ns if live and stands else None)

    def _write(
        self, outbox: Outbox, forms: Sequence[tuple[Form | None, str, str]], known: Mapping[str, _Machine]
    ) -> tuple[list[Reply], set[str]]:
        machines: set[str] = set()

        def write(db: sqlite3.Connection) -> list[Reply]:
            out = []
            for form, key, why in forms:
                if form is None:
                    out.append(_reply(key, "refused", why=why))
                elif form.machine not in known:
                    out.append(_reply(key, "refused", why="unknown_machine"))
                else:
                    reply, is_new = self._take(db, form, known[form.machine])
                    out.append(reply)
                    machines.update([form.machine] if is_new else [])
            return out

        return outbox.within(write), machines

    def _take(self, db: sqlite3.Connection, form: Form, machine: _Machine) -> tuple[Reply, bool]:
        if before := entries.find(db, form.id):
            return _kept(db, before), False
        now_ns = self._now_ns()
        said = read_said(db, form.machine, now_ns)
        standing = said.declarations or {}
        here = Situation(
            machine.about.offer,
            max([now_ns, *(item.made_ns + 1 for item in standing.values())]),
            recent_shifts(machine.about, now_ns - form.ago_ms * MS_NS),
            machine.tally.stops,
            machine.since_ns,
            said.entries,
            standing,
        )
        try:
            decided = interpret(form, here)
        except Exception:  # noqa: BLE001  # one entry must not keep a tablet's others from being taken; counted as refused
            _LOG.exception("entry failed id=%s kind=%s", form.id, form.kind)
            decided = Refused("failed")
        if not isinstance(decided, Accepted):
            return _reply(form.id, "refused", why=decided.why), False
        entries.add(db, decided.entry)
        declarations.add(db, decided.declarations, "gateway")
        if decided.overtaken and isinstance(form, ReasonForm | StateForm):
            other = answers(said.entries).get(form.stop_ms)
            return _reply(form.id, "overtaken", other=_short(other) if other else {"id": decided.overtaken}), True
        return _reply(form.id, "saved"), True


def _kept(db: sqlite3.Connection, entry: AndonEntry) -> Reply:
    """The same reply to an entry that came before."""
    overtaken = entry.data.get("overtaken")
    if not overtaken:
        return _reply(entry.id, "saved")
    other = entries.find(db, str(overtaken))
    return _reply(entry.id, "overtaken", other=_short(other) if other else {"id": str(overtaken)})


def _short(entry: AndonEntry) -> Reply:
    return {"id": entry.id, "at_ms": entry.at_ns // MS_NS, **entry.data}


def _reply(key: str, state: str, **more: Any) -> Reply:
    return {"id": key, "state": state, **more}
