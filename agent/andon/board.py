"""Keeps what tablets see up to date.

Two parts of a machine are made apart: `live` (what it does, up to once a second) and `machine` (shift, questions, entries,
calls; after each commit that has something of it, and after each entry).
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from agent.andon.desk import DAY_NS, read_said
from agent.andon.http.audience import Audience
from agent.andon.views.tally import MachineTally
from agent.andon.views.view import AndonMachine, live_view, machine_view, recent_shifts
from agent.compute.delta import Delta
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.journal.past import sent_hour, sent_hours
from agent.outbox.outbox import Outbox
from agent.store.outbox_thread import OutboxThread
from agent.view.offered import Beginning, beginnings
from oee.engine.correction import Sent
from oee.engine.step import MachineSnapshot
from oee.model.facts import HOUR_NS, MS_NS
from wire.bodies import LiveCall

_REFRESH_S: Final = 30.0
"""How often a machine's page is made anew even if nothing happened: time passes."""
_UNDECIDED_S: Final = 2.0
"""How often while the declarations of an entry are being computed."""
_HELLO_S: Final = 10.0
_AT_MOST_EVERY_S: Final = 0.2
_FAR_NS: Final = 2**62
_BEGINNINGS_NS: Final = 60_000_000_000
_READ_WAIT_S: Final = 0.1
"""Between two hours of the journal that are read while machines are watched."""


class Board:
    """The machines' pages. `stored` and `show` are called by the agent; `run` keeps everything current.

    tallies: what the pages are computed from; live: what the machines are doing; audience: the open pages; calls: open
    calls for help by machine.
    """

    def __init__(
        self,
        thread: OutboxThread,
        machines: Mapping[str, AndonMachine],
        now_ns: Callable[[], int],
        hello: Callable[[], dict[str, Any]],
    ) -> None:
        """now_ns: gateway time; hello: what every page is told now and then: the time, and whether it is trusted."""
        self.tallies = {
            name: MachineTally(about.offer.machine.minor_stop_at_most_ns) for name, about in machines.items()
        }
        self.live: Mapping[str, MachineSnapshot] = {}
        self.audience = Audience(lambda: _json(hello()))
        self.calls: dict[str, list[LiveCall]] = {}
        self._machines, self._thread, self._now_ns, self._hello = machines, thread, now_ns, hello
        self._greeted: dict[str, Any] = {}
        self._beginnings: tuple[int, Mapping[str, Beginning]] = (0, {})
        self._loaded_ns: dict[str, int] = {}
        self._forget_ns: dict[str, int] = {}
        self._due: dict[str, float] = dict.fromkeys(machines, 0.0)
        self._news = asyncio.Event()

    def stored(self, deltas: Sequence[Delta]) -> None:
        """A commit or a correction was stored."""
        for delta in deltas:
            if len(delta) and delta.machine in self.tallies:
                self.tallies[delta.machine].add(delta.facts, delta.stops)
                self.changed({delta.machine})

    def show(self, snapshots: Mapping[str, MachineSnapshot]) -> None:
        """What the machines are doing now; called about once a second."""
        before, self.live = self.live, snapshots
        self._greet()
        for name, live in snapshots.items():
            if (earlier := before.get(name)) != live:
                self.audience.put(name, "live", _json({"id": name, **live_view(live)}))
                if earlier is None or _summary(earlier) != _summary(live):
                    self.changed({name})

    def changed(self, machines: Iterable[str]) -> None:
        """Has these machines' pages made anew."""
        self._due |= dict.fromkeys(machines, 0.0)
        self._news.set()

    def _greet(self, *, always: bool = False) -> None:
        """Tells all pages the time, and what else changed for all of them."""
        hello = self._hello()
        lasting = {key: value for key, value in hello.items() if key != "now_ms"}
        if always or lasting != self._greeted:
            self._greeted = lasting
            self.audience.put("", "hello", _json(hello))

    async def load(self) -> None:
        """Reads the last shifts from the journal. Everything must be committed and gathered (`commit(final=True)`), and
        nothing may be computed meanwhile.
        """
        for name, about in self._machines.items():
            shifts = recent_shifts(about, self._now_ns())
            since_ns = min((shift.start_ns for shift in shifts), default=self._now_ns() - DAY_NS)
            self._loaded_ns[name] = since_ns - since_ns % HOUR_NS
            await self._read(name, self._loaded_ns[name], _FAR_NS, sums=True)

    async def run(self) -> None:
        """Makes pages anew when they are due, until cancelled; meanwhile it reads the older stops, hour by hour."""
        older, loop = asyncio.create_task(self._read_older(), name="andon older stops"), asyncio.get_running_loop()
        hello_s = 0.0
        try:
            while True:
                self._news.clear()
                if hello_s <= loop.time():
                    hello_s = loop.time() + _HELLO_S
                    self._greet(always=True)
                for name in [name for name, due_s in self._due.items() if due_s <= loop.time()]:
                    await self._make(name, loop.time())
                await asyncio.sleep(_AT_MOST_EVERY_S)
                wait_s = min([hello_s, *self._due.values()]) - loop.time()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), max(wait_s, 0.0))
        finally:
            older.cancel()

    async def _make(self, name: str, now_s: float) -> None:
        about, tally, live, now_ns = self._machines[name], self.tallies[name], self.live.get(name), self._now_ns()
        if now_ns >= self._forget_ns.get(name, 0):
            self._forget_ns[name] = now_ns + HOUR_NS
            _forget(about, tally, now_ns)
        copy = tally.copy()

        def make(outbox: Outbox) -> tuple[str, bool, list[LiveCall]]:
            said, began = outbox.within(lambda db: (read_said(db, name, now_ns), self._began(db, name, now_ns)))
            watched_from = began.watched_from if began else _since_its_start
            page = machine_view(about, copy, live, said, now_ns, watched_from)
            undecided = any(item.state == "new" for item in (said.outcomes or {}).values())
            return _json({"id": name, **page}), undecided, [_live_call(call) for call in page["calls"]]

        self._due[name] = now_s + _REFRESH_S
        with suppress(CannotStore, CorruptOutbox):  # counted and logged by the outbox's thread
            text, undecided, self.calls[name] = await self._thread.do(make)
            self.audience.put(name, "machine", text)
            if undecided:
                self._due[name] = now_s + _UNDECIDED_S

    def _began(self, db: sqlite3.Connection, name: str, now_ns: int) -> Beginning | None:
        """When the machine entered the outbox, None before it is there; called in the outbox's thread."""
        if name not in self._beginnings[1] or now_ns - self._beginnings[0] > _BEGINNINGS_NS:
            self._beginnings = now_ns, beginnings(db)
        return self._beginnings[1].get(name)

    async def _read_older(self) -> None:
        for name, about in self._machines.items():
            until_ns = self._loaded_ns.get(name, self._now_ns())
            await self._read(name, self._now_ns() - about.window_ns, until_ns, sums=False)
            self.changed({name})

    async def _read(self, name: str, from_ns: int, until_ns: int, *, sums: bool) -> None:
        """Adds what the journal holds of these hours. sums: else only stops, with pauses between the hours."""
        tally = self.tallies[name]
        with suppress(CannotStore, CorruptOutbox):  # counted and logged by the outbox's thread
            hours = await self._thread.do(
                lambda outbox: outbox.within(lambda db: sent_hours(db, name, from_ns, until_ns))
            )
            for hour_ns in hours:
                sent = await self._read_hour(name, hour_ns)
                for key, row in sent.facts.sums.items() if sums else ():
                    tally.add_sum(key, row)
                for stop in sent.stops.values():
                    if stop.id not in tally.stops:
                        tally.add_stop(stop)
                await asyncio.sleep(0 if sums else _READ_WAIT_S)

    async def _read_hour(self, name: str, hour_ns: int) -> Sent:
        """What was sent of an hour, as of now: nothing of the machine was stored while it was read."""
        while True:
            version = self.tallies[name].version
            sent = await self._thread.do(lambda outbox: outbox.within(lambda db: sent_hour(db, name, hour_ns)))
            if self.tallies[name].version == version:
                return sent or Sent()


def _forget(about: AndonMachine, tally: MachineTally, now_ns: int) -> None:
    """Drops what is neither shown nor asked about any more."""
    shifts = recent_shifts(about, now_ns)
    before_ns = min([now_ns - about.window_ns, *(shift.start_ns for shift in shifts)])
    tally.forget(min((shift.business_date for shift in shifts), default=now_ns // DAY_NS - 1), before_ns)


def _live_call(call: Mapping[str, Any]) -> LiveCall:
    return LiveCall(kind=call["kind"], step=call["step"], since_ns=call["at_ms"]["called"] * MS_NS)


def _since_its_start(start_ns: int) -> int:
    return start_ns


def _summary(live: MachineSnapshot) -> tuple[object, ...]:
    return live.state, live.reason, live.product, live.shift


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
