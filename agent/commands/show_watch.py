"""Watches one gateway from beside it: reads its outbox and asks its agent, without ever keeping either waiting."""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from agent.commands.outbox_access import is_agent_running, outbox_snapshot
from agent.corrections.machine_digest import outdated
from agent.outbox import declarations
from agent.outbox.disk import CannotStore, CorruptOutbox, noted_trouble
from agent.view.machine import Committed, MachineView, begin_of_interest_ns, machine_view
from agent.view.now import Heard, ask
from agent.view.offered import Beginning, Offered, beginnings
from agent.view.questions import OpenQuestion, SiteFacts, gateway_questions, questions_about
from config import Site, compile_site, config_hash, load_profiles
from oee.engine import step as engine
from oee.engine.state import EngineState
from oee.engine.step import MachineSnapshot
from oee.model.facts import MS_NS, Stop
from oee.model.machine import Machine
from oee.model.states import CLASS_BY_WORD, STATE_BY_WORD, CalendarClass, State
from wire.bodies import LiveMachine
from wire.envelope import Unsound

MOST_TAGS: Final = 500
"""With more tags than this an agent is not asked for all of them every second."""
_DECLARATIONS: Final = 50
_DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True)
class GatewayView:
    """A gateway at `at_ns` [ns UTC; its own time while its agent runs]. running: whether an agent has the outbox open;
    generation: the center's, "" before its first receipt; questions: those of the gateway first, then by machine.
    """

    site: Site
    file: str
    at_ns: int
    heard: Heard
    running: bool
    generation: str
    machines: tuple[MachineView, ...]
    questions: tuple[OpenQuestion, ...]

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.site.timezone)

    @property
    def computed_ns(self) -> int:
        """Up to when some machine is computed [ns UTC]; 0 if none is."""
        return max((machine.computed_ns for machine in self.machines), default=0)

    def about(self, machine: str) -> list[OpenQuestion]:
        """The questions about one machine, or with "" about the gateway."""
        return [question for question in self.questions if question.machine == machine]


@dataclass
class _Disk:
    """What was read of an outbox. refused: declarations of the last day that were refused, why by what they are."""

    offered: Offered
    began: Mapping[str, Beginning] = field(default_factory=dict)
    states: dict[str, EngineState] = field(default_factory=dict)
    outdated: Sequence[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    generation: str = ""


class Watch:
    """Looks at a gateway again and again. Between looks nothing is open."""

    def __init__(self, site: Site, file: Path, outbox: Path, machine: str = "", lang: str = "en") -> None:
        """file: the site file as the person names it; machine: only this one, "" for all; lang: of why nothing is stored."""
        machines = compile_site(site, load_profiles())
        self.machines: dict[str, Machine] = {machine: machines[machine]} if machine else dict(machines)
        self._site, self._file, self._outbox, self._lang = site, file, outbox, lang
        self._config_hash = config_hash(site)
        self._disk = _Disk(Offered(0))
        self._carries: dict[str, bytes] = {}
        self._seen: tuple[tuple[int, int, int], ...] = ()

    def look(self, *, tags: bool = True) -> GatewayView:
        """The gateway as of now. tags: with the last value of every tag. Raises `CannotStore`, `CorruptOutbox` or
        `UnknownFormat` if the outbox cannot be read.
        """
        heard = ask(self._outbox, tags=tags)
        now_ns = heard.now.status.at_ns if heard.now else time.time_ns()
        running = heard.now is not None or is_agent_running(self._outbox)
        self._read(now_ns)
        views = tuple(self._machine(machine, heard, now_ns) for machine in self.machines.values())
        facts = SiteFacts(
            str(self._file), ZoneInfo(self._site.timezone), tuple(self._site.products), tuple(self._site.reasons)
        )
        questions = self._about_gateway(facts, heard, running=running)
        questions += [question for view in views for question in questions_about(view, facts, now_ns)]
        return GatewayView(
            self._site, str(self._file), now_ns, heard, running, self._disk.generation, views, tuple(questions)
        )

    def _about_gateway(self, facts: SiteFacts, heard: Heard, *, running: bool) -> list[OpenQuestion]:
        now = heard.now
        silent = {name: item.error for name, item in now.devices.items() if item.error} if now else {}
        troubled = noted_trouble(self._outbox, self._lang) or (now.status.trouble if now else "")
        clock_by = now.status.clock.by if now and now.status.clock else ""
        other = now is not None and now.status.config_hash != self._config_hash
        return gateway_questions(
            facts,
            running=running,
            other_file=other,
            clock_by=clock_by,
            trouble=troubled,
            devices=silent,
            faults=now.status.faults if now else (),
            outdated=self._disk.outdated,
            refused=self._disk.refused,
        )

    def _machine(self, machine: Machine, heard: Heard, now_ns: int) -> MachineView:
        state, began = self._disk.states.get(machine.id), self._disk.began.get(machine.id)
        if heard.now is not None:
            live = heard.now.machines.get(machine.id)
            now = None if live is None else _snapshot(live)
        else:
            now = None if state is None else engine.preview(machine, state, {}, state.until_ns + MS_NS)
        offered, from_ns = self._disk.offered, begin_of_interest_ns(machine, now_ns)
        disk = Committed(
            offered.facts_of(machine.id),
            offered.losses_of(machine.id),
            _latest([*offered.stops_of(machine.id), *(state.baseline.stops.values() if state else ())]),
            began.watched_from(from_ns) if began else 0,
            state.until_ns if state else 0,
        )
        return machine_view(machine, now, disk, now_ns, self._site.formula)

    def _read(self, now_ns: int) -> None:
        """Reads what is new on disk."""
        seen = tuple(_signature(path) for path in (self._outbox, Path(f"{self._outbox}-wal")))
        since_ns = min((begin_of_interest_ns(item, now_ns) for item in self.machines.values()), default=now_ns)
        if seen[0] == _NOTHING or (seen == self._seen and since_ns == self._disk.offered.since_ns):
            return
        if since_ns != self._disk.offered.since_ns or seen[0][0] != (self._seen or seen)[0][0]:
            self._disk, self._carries = _Disk(Offered(since_ns)), {}  # another day, or another file in its place
        with self._snapshot() as db:
            if db is None:
                return
            settings = dict(db.execute("select key, value from settings"))
            self._disk.generation = settings.get("generation", "")
            self._disk.outdated = tuple(name for name in outdated(settings) if name in self.machines)
            self._disk.began = beginnings(db)
            try:
                self._disk.offered.read(db)
            except Unsound as error:
                raise CorruptOutbox("unsound", path=self._outbox, error=error) from error
            self._disk.refused = _refused(db, now_ns)
            for name, data in db.execute("select machine, data from carry"):
                if name in self.machines and self._carries.get(name) != data:
                    self._disk.states[name], self._carries[name] = engine.load(data), data
        self._seen = seen

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection | None]:
        """The outbox, None while an agent is still creating it."""
        with ExitStack() as stack:
            try:
                db = stack.enter_context(outbox_snapshot(self._outbox))
            except CannotStore as error:
                if error.key != "missing":
                    raise
                yield None
                return
            yield db


_NOTHING: Final = (0, 0, 0)


def _signature(path: Path) -> tuple[int, int, int]:
    """Changes whenever the file does: inode, size, time of the last change."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return _NOTHING
    return found.st_ino, found.st_size, found.st_mtime_ns


def _snapshot(live: LiveMachine) -> MachineSnapshot:
    return MachineSnapshot(
        STATE_BY_WORD.get(live.state, State.UNKNOWN),
        live.since_ns,
        live.reason,
        live.product,
        live.shift,
        CLASS_BY_WORD.get(live.calendar, CalendarClass.SCHEDULED),
        live.pieces,
    )


def _latest(stops: Sequence[Stop]) -> list[Stop]:
    """The latest revision of each stop, in order of time, without those that a correction made vanish."""
    by_id = {stop.id: stop for stop in sorted(stops, key=lambda stop: stop.revision)}
    return sorted((stop for stop in by_id.values() if stop.end_ns != stop.start_ns), key=lambda stop: stop.start_ns)


def _refused(db: sqlite3.Connection, now_ns: int) -> dict[str, str]:
    has_table = db.execute("select 1 from sqlite_master where name = 'declarations'").fetchone()
    return {
        f"{item.declaration.machine} {item.declaration.field} {item.declaration.value}": item.why
        for item in (declarations.latest(db, _DECLARATIONS) if has_table else ())
        if item.state == "refused" and now_ns - item.declaration.made_ns < _DAY_NS
    }
