"""The agent process: entry point, wiring, and orderly shutdown.

Independent tasks: the devices (supervisor), the tick (once a second, rows to facts), the commits (every 10 s, facts to
envelopes on disk), the corrections (declarations about the past to differences) and the uplink (envelopes to the center).
"""

import asyncio
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from adapters.kinds import open_all
from agent.clock.clock import GatewayClock
from agent.clock.dating import Dating
from agent.clock.files import undated_path
from agent.clock.system import System, SystemClock
from agent.compute.pipeline import Pipeline, closed_until_ns, computed_until_ns
from agent.corrections.corrections import Corrections
from agent.corrections.damaged_states import sound_carries
from agent.corrections.outdated import report_outdated
from agent.corrections.redating import Redating, clock_in_progress
from agent.devices.freshness import Freshness
from agent.devices.recorder import Recorder, rules
from agent.devices.supervisor import Supervisor
from agent.feed.acquisition import Acquisition, deliver
from agent.feed.history import HistoryImport, ImportProgress
from agent.feed.live import LiveFeed
from agent.feed.time_moves import TimeMoves
from agent.outbox.journal.schema import WINDOW_NS
from agent.outbox.outbox import BUDGET_MB
from agent.outbox.recovery import Opened, open_outbox
from agent.process.child import run_in_child
from agent.process.health import Health
from agent.process.periodic import every, on_event
from agent.reports.local import agent_now, close_local, open_local
from agent.reports.starting import when_disk_allows
from agent.reports.status import GatewayReport, live_machines
from agent.store.commit import Committer
from agent.store.outbox_thread import all_streams
from agent.store.site import SiteRevision
from agent.uplink.budget import Budget, DataPlan, Level, Part
from agent.uplink.data_estimate import expected
from agent.uplink.mqtt.broker import broker_of
from agent.uplink.reception import UplinkHooks
from agent.uplink.sender import Sender
from agent.uplink.stream_window import SendLimits
from agent.uplink.uplink import Uplink
from cli.files import write_whole
from cli.service import tell as tell_manager
from cli.signals import run_until_signal
from config import Site, StateProfile, compile_site, description, keep_profiles, load_profiles, values_of
from config.devices.kinds import stale_after_s
from oee.model.machine import Machine
from wire.bodies import LiveCall
from wire.values import MOST_ROWS

if TYPE_CHECKING:
    from agent.andon.andon import Andon

_LOG: Final = logging.getLogger("nhip.agent")
_TICK_S: Final = 1.0
_CORRECT_S: Final = 1.0
_DRAIN_S: Final = 5.0
_GIVE_UP_S: Final = 4.0
_END_S: Final = 25.0
"""How long after a signal the agent may live [s]: less than a service manager's patience (deploy/systemd)."""
_DATA: Final = "data_spent"
"""The outbox's setting that holds the data that the month has used so far (`Budget.saved`)."""
_COLLECT: Final = (50_000, 20, 50)
"""Thresholds of the garbage collector: tens of thousands of rows come and go without cycles, so rare collections are
cheaper and delay no task."""
_SWITCH_S: Final = 0.0005
"""How long the threads that compute and store may keep the event loop waiting [s]; Python's default is ten times that."""


@dataclass(frozen=True)
class Options:
    """commit_every_s: how often facts go to disk [s]; budget_mb: how large the outbox may grow [MB]; ready_file:
    written when the devices are being read; progress: called with the progress of an import of history; limits: when to
    send again (`SendLimits`); metrics: `host:port` for Prometheus, instead of the site file's; window_ns: how far
    corrections reach back [ns]; system: the source of time, None for the one that the agent runs on;
    lang: of what the log says of faults.
    """

    commit_every_s: float = 10.0
    budget_mb: int = BUDGET_MB
    ready_file: Path | None = None
    progress: ImportProgress = lambda _: None
    limits: SendLimits = field(default_factory=SendLimits)
    metrics: str = ""
    window_ns: int = WINDOW_NS
    system: System | None = None
    lang: str = "en"


class Agent:
    """One gateway's parts, wired. `run` starts and stops them."""

    def __init__(self, site: Site, opened: Opened, options: Options, files: Path) -> None:
        """files: folder for certificates that the site file does not place."""
        self.site = site.model_copy(update={"devices": {}})  # the models of ten thousand tags are not needed later
        self.options, self.health = options, Health()
        outbox, machines = opened.outbox, compile_site(site, load_profiles())
        self.outbox_settings, self._describe = outbox.settings(), description(site)
        self.pipeline = Pipeline(machines, sound_carries(outbox, machines, time.time_ns(), self.health))
        self.clock = GatewayClock(
            max(computed_until_ns(self.pipeline).values(), default=0),
            outbox=outbox.path,
            system=options.system or SystemClock(believed=site.clock == "system"),
            kept=clock_in_progress(self.outbox_settings),
        )
        self.recorder = Recorder(rules(values_of(site)))
        streams = all_streams(outbox, values=bool(self.recorder))
        self.sender = Sender(streams, self.outbox_settings.get("generation", ""), options.limits)
        deliver_rows, undated = partial(deliver, self.pipeline, self.recorder), undated_path(outbox.path)
        self.dating = Dating(self.clock, self.pipeline, machines, deliver_rows, undated, self.health)
        self.freshness = Freshness({name: stale_after_s(device) for name, device in site.devices.items()})
        acquisition = Acquisition(self.clock, self.freshness, self.dating, self.pipeline, self.recorder, self.health)
        self.committer = Committer(
            outbox,
            self.pipeline,
            self.sender,
            self.health,
            self.clock.now_ns,
            recorder=self.recorder,
            author=f"{site.site}/{site.gateway}",
            window_ns=options.window_ns,
        )
        revise_site = SiteRevision(self._describe, self.clock.now_ns, self.committer.site)
        self.corrections = Corrections(
            self.committer, self.pipeline, acquisition.computing, self.health, self.clock.now_ns, revise_site
        )
        self.redating = Redating(self.committer, self.pipeline, self.health, revise_site)
        self.moves = TimeMoves(acquisition, self.committer, self.corrections, self.redating, self.announce_site)
        self.feed = LiveFeed(acquisition, self.moves)
        self.supervisor = Supervisor(
            open_all(site.devices, self.clock.steady_ns, files),
            self.feed.on_reading,
            {name: device.retry_every for name, device in site.devices.items()},
            options.lang,
        )
        acquisition.devices = self.supervisor.health
        self.report = GatewayReport(
            acquisition,
            {name: len(device.tags) for name, device in site.devices.items()},
            str(self._describe(0)["config_hash"]),
            self.sender,
            self.committer.thread,
            lambda: self.corrections.inbox.echo,
        )
        self.acquisition, self.path = acquisition, outbox.path
        self.uplink = self._connect(expected(site))
        self.andon = _prepare_andon(self, site, machines) if site.andon else None

    def _connect(self, bytes_a_day: dict[Part, float]) -> Uplink | None:
        """The uplink, with callbacks to and from the other parts; None without a center. bytes_a_day: expected traffic by part."""
        center = self.site.center
        if center is None:
            return None
        plan = DataPlan(center.data_mb, center.data_from_day, bytes_a_day)
        budget = Budget(
            plan, self.outbox_settings.get(_DATA, ""), lambda level: _follow_data_level(self.recorder, plan, level)
        )
        self.committer.more_settings = lambda: {_DATA: budget.saved()}
        uplink = Uplink(
            broker_of(center, self.site.site, self.site.gateway),
            self.sender,
            UplinkHooks(
                self.committer.thread.read,
                self.committer.receipted,
                self.report.status,
                self.clock.now_ns,
                self.clock.center_time.answered,
                self.corrections.inbox.receive,
                lambda: self.clock.trusted,
                self.clock.center_time.greeted,
                self.committer.upkeep.divide,
                self.committer.thread.note_link,
                noted=lambda ids: self.andon.noted(ids) if self.andon else None,
                known=lambda knows: self.committer.site.learn(knows, self.clock.now_ns()),
            ),
            self.health,
            site=self.site.site,
            gateway=self.site.gateway,
            retry_at_most_s=center.retry_at_most,
            budget=budget,
        )
        self.committer.on_commit = uplink.nudge
        self.corrections.inbox.on_outcome = self.feed.status_changed = uplink.announcements.status_changed
        self.feed.shows.append(lambda found: uplink.announcements.show(live_machines(found, _calls(self))))
        return uplink

    def announce_site(self, valid_from_ns: int) -> None:
        """Has the next commit send the `site` body, valid from then on [ns]."""
        self.committer.site.announce(self._describe(valid_from_ns), valid_from_ns)

    async def commit(self, *, final: bool = False) -> None:
        """Commits facts as envelopes to disk. final: see `Committer.commit`."""
        if self.dating.buffering:
            async with self.acquisition.computing:
                await asyncio.to_thread(self.dating.flush)
        trouble, closed_ns = self.committer.thread.trouble, closed_until_ns(computed_until_ns(self.pipeline))
        if await self.committer.commit(final=final):
            self.report.closed_ns = closed_ns
        await self.report.measure()
        if self.uplink and self.committer.thread.trouble != trouble:
            self.uplink.announcements.status_changed()

    async def _commit_full(self) -> None:
        """Stores process values as soon as they fill an envelope: at thousands a second they neither wait in memory for
        the next commit nor are all packed at once.
        """
        if self.recorder.waiting >= MOST_ROWS:
            await self.committer.store_values()

    async def run(self, stop: asyncio.Event, history: Path | None) -> None:
        """Runs from the first envelope to the offline status. history: recorded files to import first."""
        await report_outdated(
            self.committer.thread,
            self.outbox_settings,
            self.pipeline,
            self.report.config_hash,
            self.clock.now_ns(),
            self.health,
        )
        uplink = asyncio.create_task(self.uplink.run(), name="uplink") if self.uplink else None
        listen = self.options.metrics or self.site.metrics or ""
        metrics = await _open_pages(self, listen)
        addresses = {"metrics": f"http://{listen}/metrics"} if listen else {}
        addresses |= {"andon": self.andon.address} if self.andon and self.andon.address else {}
        local = await open_local(
            self.path, partial(agent_now, self.report, self.clock.steady_ns(), addresses), self.health
        )
        try:
            if history is not None:
                await self._import(history, stop)
            if not stop.is_set():
                await self._live(stop)
            await self.commit(final=True)
            if self.uplink and uplink:
                await self.uplink.drain(_DRAIN_S)
                await self.commit()  # what the last receipts settle
        finally:
            if metrics:
                metrics.close()
            close_local(local, self.path)
            if self.andon:
                await self.andon.close()
            if self.uplink and uplink:
                self.uplink.stop()
                await asyncio.wait([uplink], timeout=_GIVE_UP_S)
                uplink.cancel()
            await self.committer.thread.close()

    async def _import(self, history: Path, stop: asyncio.Event) -> None:
        """Imports history; meanwhile commits and corrections run, also while it waits for the next day."""
        tasks = [
            self._every(self.options.commit_every_s, self.commit),
            self._every(_CORRECT_S, self.corrections.run_pending),
        ]
        try:
            await HistoryImport(
                self.pipeline, self.committer, self.corrections, self.sender, self.announce_site, self.options.progress
            ).run(history, stop)
        finally:
            for task in tasks:
                task.cancel()

    def _every(self, period_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        return asyncio.create_task(every(period_s, work, self.health), name=work.__name__)

    async def _live(self, stop: asyncio.Event) -> None:
        await self.moves.begin(stop)
        await self.commit()
        self.dating.begin(self.freshness)
        tasks = [
            asyncio.create_task(self.supervisor.run(), name="devices"),
            asyncio.create_task(on_event(self.feed.news, self.feed.preview, self.health), name="preview"),
            self._every(_TICK_S, self.feed.tick),
            self._every(self.options.commit_every_s, self.commit),
            self._every(_TICK_S, self._commit_full),
            self._every(_CORRECT_S, self.corrections.run_pending),
        ]
        _write_ready(self.options.ready_file, self.clock.now_ns())
        stopped = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopped):
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        self.corrections.interrupt()
        async with self.corrections.busy:  # what a correction is storing is completed first
            await self.feed.tick(last=True)


def _calls(agent: Agent) -> Mapping[str, list[LiveCall]]:
    """Open calls for help by machine."""
    return agent.andon.board.calls if agent.andon else {}


def _prepare_andon(agent: Agent, site: Site, machines: Mapping[str, Machine]) -> "Andon":
    """The page at the machine. site: with its devices."""
    from agent.andon.andon import Andon  # noqa: PLC0415  # a web server, so only where it is asked for

    andon = Andon(site, machines, agent.committer, agent.report, agent.outbox_settings, agent.options.window_ns)
    andon.connected = lambda: agent.uplink.connected if agent.uplink else None
    agent.committer.on_stored = andon.board.stored
    agent.feed.shows.append(andon.board.show)
    agent.report.notices = lambda: andon.notices.waiting
    if agent.uplink:
        andon.notices.changed = agent.uplink.announcements.status_changed
    return andon


async def _open_pages(agent: Agent, listen: str) -> asyncio.Server | None:
    """Opens the page at the machine, and for Prometheus a server of its own where the page's does not answer it. listen:
    where Prometheus is answered, "" if nowhere.
    """
    report, uplink = agent.report, agent.uplink

    def metrics() -> Awaitable[str]:
        return report.metrics(connected=bool(uplink and uplink.connected))

    if (agent.andon and await agent.andon.open(listen, metrics)) or not listen:
        return None
    from agent.reports.metrics_http import open_metrics  # noqa: PLC0415  # costs a megabyte, so only where metrics are on

    return await open_metrics(listen, metrics, agent.health)


def _write_ready(ready_file: Path | None, now_ns: int) -> None:
    """Says in a file that the devices are being read. If it cannot be written they are read all the same."""
    if ready_file:
        try:
            write_whole(ready_file, json.dumps({"pid": os.getpid(), "at_ns": now_ns}))
        except OSError as error:
            _LOG.error("ready file not written file=%s why=%r", ready_file, str(error))


def _follow_data_level(recorder: Recorder, plan: DataPlan, level: Level) -> None:
    """Pauses or resumes process values, as the month's data budget says, and logs it."""
    recorder.paused = level is not Level.ALL
    if level is Level.ALL:
        _LOG.warning("data budget: process values and live go on")
    else:
        _LOG.error(
            "data budget short month_mb=%s stopped=%r cure=%r",
            plan.limit_mb,
            "process values; live is thinned" if level is Level.THIN else "process values and almost all of live",
            "facts and stops go on; raise center.data_mb or send fewer values",
        )


async def run(
    site_path: Path,
    outbox_path: Path,
    history: Path | None = None,
    stop: asyncio.Event | None = None,
    options: Options | None = None,
    read: Callable[[Path], Site] | None = None,
    on_open: Callable[[], None] = lambda: None,
) -> None:
    """Runs the agent until `stop` is set.

    history: a folder of recorded files to be imported first; read: reads the site file, in this process if None; on_open: called once the outbox is
    open and nothing stands in the way. While the disk refuses the outbox, the agent waits (`agent.reports.starting`). Raises
    `config.Misconfigured`, `agent.outbox.disk.OutboxInUse` or `UnknownFormat` before anything has been started.
    """
    options, stop = options or Options(), stop or asyncio.Event()
    site = (read or _load_site)(site_path)

    async def start(site: Site) -> Agent:
        opened = await asyncio.to_thread(open_outbox, outbox_path, time.time_ns(), budget_mb=options.budget_mb)
        if opened.message:
            _LOG.error("outbox damaged message=%r", opened.message)
        try:
            return Agent(site, opened, options, outbox_path.with_suffix(".certificates"))
        except BaseException:
            opened.outbox.close()
            raise

    agent = await when_disk_allows(partial(start, site), site, options.metrics or site.metrics or "", stop)
    del site  # the agent keeps the parts that it needs
    if agent is not None:
        on_open()
        await agent.run(stop, history)


def _load_site(path: Path) -> Site:
    from config import load_site  # noqa: PLC0415  # with the reader of YAML, which ends with the child that loads it

    return load_site(path)


def main(
    site_path: Path,
    outbox_path: Path,
    history: Path | None = None,
    options: Options | None = None,
    tell: Callable[[Site], str] = lambda _: "",
) -> None:
    """Runs the agent as a process: SIGTERM and SIGINT stop it in order, a second one at once.

    tell: what it says at its start, on the error stream; called in the child process that reads the site file.
    """
    gc.set_threshold(*_COLLECT)
    sys.setswitchinterval(_SWITCH_S)
    said = ""

    def load_and_tell(path: Path) -> tuple[Site, Mapping[str, StateProfile], str]:
        site = _load_site(path)
        return site, load_profiles(), tell(site)

    def read(path: Path) -> Site:
        nonlocal said
        site, profiles, said = run_in_child(partial(load_and_tell, path))
        keep_profiles(profiles)
        gc.collect()
        gc.freeze()  # objects loaded so far live as long as the process, so collections need not scan them
        return site

    def greet() -> None:
        tell_manager("READY=1")
        if said:
            print(said, file=sys.stderr, flush=True)  # noqa: T201  # a command prints

    with suppress(KeyboardInterrupt):
        run_until_signal(
            lambda stop: run(site_path, outbox_path, history, stop, options, read, greet),
            second_signal_kills=True,
            within_s=_END_S,
        )
    sys.stdout.flush()
