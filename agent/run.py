"""The edge process: wires devices, pipeline, outbox and uplink, and ends them in order.

Tasks that wait for none of each other: the devices (supervisor), the beat (once a second: rows become facts), the
commits (every 10 s: facts become envelopes on disk), the corrections (what people say about the past becomes
differences) and the uplink (envelopes reach the center).
"""

import asyncio
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from adapters.contract import Reading, Row
from agent.clock.clock import Clock, held_path
from agent.clock.dating import Dating
from agent.clock.guard import Verdict
from agent.clock.system import System, SystemClock
from agent.compute.pipeline import Pipeline
from agent.devices.freshness import Freshness
from agent.devices.open import open_all
from agent.devices.recorder import Recorder, rules
from agent.devices.supervisor import Supervisor
from agent.feed.history_files import blocks, days, first_ns
from agent.feed.pacing import Pacing
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.file import BUDGET_MB
from agent.outbox.journal import WINDOW_NS
from agent.outbox.recovery import Opened, open_outbox
from agent.process.child import run_in_child
from agent.process.health import Health, Rate
from agent.process.periodic import every, on_event
from agent.reports.live import live_machines, own_version
from agent.store.commit import Committer, all_streams
from agent.store.corrections import Corrections
from agent.store.machine_digest import CONFIG, changes, outdated
from agent.store.redating import Redating, Step, new_time
from agent.store.site import SiteNews
from agent.uplink.broker import broker_of
from agent.uplink.budget import Budget, Level, Part, Plan
from agent.uplink.data_estimate import expected
from agent.uplink.sender import Sender
from agent.uplink.stream_window import SendLimits
from agent.uplink.uplink import Hooks, Uplink
from cli.signals import run_until_signal
from config import Site, compile_site, description, load_profiles, load_site, values_of
from config.devices.kinds import stale_after_s
from wire.bodies import Status
from wire.values import MOST_ROWS

_LOG: Final = logging.getLogger("nhip.agent")
_BEAT_S: Final = 1.0
_CORRECT_S: Final = 1.0
_DRAIN_S: Final = 5.0
_GIVE_UP_S: Final = 10.0
_DATA: Final = "data_spent"
"""The outbox's setting that holds what the month's data have cost so far."""
_COLLECT: Final = (50_000, 20, 50)
"""Rows come and go by the ten thousand and hold no cycles: looking for those rarely is cheaper, and stops nobody."""
_SWITCH_S: Final = 0.0005
"""How long the threads that compute and store may keep the devices' rhythm waiting [s]; Python's own is ten times that."""

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Options:
    """commit_every_s: how often facts go to disk [s]; budget_mb: how large the outbox may grow [MB]; ready_file:
    written when the devices are being read; progress: told about the import of history; limits: when to send again;
    metrics: `host:port` at which Prometheus may ask, instead of the site file's; system: what is asked for the time,
    None: the one that the agent runs on.
    """

    commit_every_s: float = 10.0
    budget_mb: int = BUDGET_MB
    ready_file: Path | None = None
    progress: Progress = lambda _: None
    limits: SendLimits = field(default_factory=SendLimits)
    metrics: str = ""
    window_ns: int = WINDOW_NS
    system: System | None = None


class Agent:
    """One gateway's parts, wired. `run` is the life of it."""

    def __init__(self, site: Site, opened: Opened, options: Options, files: Path) -> None:
        """files: folder for certificates that the site file does not place."""
        self.site = site.model_copy(update={"devices": {}})  # the models of ten thousand tags are no use later
        self.options = options
        self._tag_counts = {name: len(device.tags) for name, device in site.devices.items()}
        self.health = Health()
        outbox = opened.outbox
        machines = compile_site(site, load_profiles())
        self.pipeline = Pipeline(machines, outbox.carries())
        self.clock = Clock(
            max(self.pipeline.until_ns.values(), default=0),
            outbox=outbox.path,
            system=options.system or SystemClock(believed=site.clock == "system"),
            kept=new_time(outbox.settings()),
        )
        held = held_path(outbox.path)
        self.dating = Dating(self.clock, self.pipeline, machines, self._take, held, self.health)
        self.recorder = Recorder(rules(values_of(site)))
        streams = all_streams(outbox, values=bool(self.recorder))
        self.sender = Sender(streams, outbox.settings().get("generation", ""), options.limits)
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
        self.freshness = Freshness({name: stale_after_s(device) for name, device in site.devices.items()})
        self.supervisor = Supervisor(
            open_all(site.devices, self.clock.steady_ns, files),
            self._on_reading,
            {name: device.retry_every for name, device in site.devices.items()},
        )
        self._computing = asyncio.Lock()
        self._describe = description(site)
        site_news = SiteNews(self._describe, self.clock.now_ns)
        self.corrections = Corrections(
            self.committer, self.pipeline, self._computing, self.health, self.clock.now_ns, site_news
        )
        self.redating = Redating(self.committer, self.pipeline, self.health, site_news)
        self.uplink = self._uplink(outbox.settings().get(_DATA, ""), expected(site))
        self._config_hash, self._settings = str(self._describe(0)["config_hash"]), outbox.settings()
        self._online: dict[str, bool] = {}
        self._news = asyncio.Event()
        self._rest_until_s = 0.0
        self._leisure = Pacing()
        self._told_site = self._half_dated = False
        self._oldest_ns: int | None = None
        self._rate = Rate()
        self._stop = asyncio.Event()
        if self.uplink:
            self.committer.on_commit = self.uplink.nudge
            self.corrections.on_outcome = self.uplink.status_changed

    def _uplink(self, spent: str, a_day: dict[Part, float]) -> Uplink | None:
        link = self.site.center
        if link is None:
            return None
        broker = broker_of(link, self.site.site, self.site.gateway)
        budget = Budget(Plan(link.data_mb, link.data_from_day, a_day), spent, self._data_level)
        self.committer.more_settings = lambda: {_DATA: budget.saved()}
        hooks = Hooks(
            self.committer.read,
            self.committer.learned,
            self.status,
            self.clock.now_ns,
            self.clock.answered,
            self.corrections.hear,
            lambda: self.clock.trusted,
        )
        return Uplink(
            broker,
            self.sender,
            hooks,
            self.health,
            site=self.site.site,
            gateway=self.site.gateway,
            retry_at_most_s=link.retry_at_most,
            budget=budget,
        )

    def _data_level(self, level: Level) -> None:
        """What the month's data allow has changed."""
        self.recorder.paused = level is not Level.ALL
        if level is Level.ALL:
            _LOG.warning("data budget: process values and live go on")
        else:
            _LOG.error(
                "data budget short month_mb=%s stopped=%r cure=%r",
                self.site.center and self.site.center.data_mb,
                "process values; live is thinned" if level is Level.THIN else "process values and almost all of live",
                "facts and stops go on; raise center.data_mb or send fewer values",
            )

    # what happens again and again

    def _on_reading(self, device: str, reading: Reading) -> None:
        self.health.count("tags_read", len(reading.confirmed))
        self.dating.feed(self.freshness.fed(device, reading))
        if not self.dating.holds:
            at_ns = reading.t_ns + self.clock.correction_ns
            self.recorder.confirmed(device, replace(reading, t_ns=at_ns))
        if self.uplink and self.pipeline.news:
            self._news.set()

    def _take(self, rows: list[Row]) -> None:
        """Rows of gateway time."""
        self.pipeline.feed_rows(rows)
        self.recorder.feed(rows)

    async def preview(self) -> None:
        """What has changed reaches the screens at once; on a slow gateway as often as a tenth of a core allows."""
        async with self._computing:
            began_s = time.monotonic()
            await asyncio.to_thread(self.pipeline.preview)
            spent_s = time.monotonic() - began_s
        if self.uplink:
            self.uplink.show(live_machines(self.dating.live))
        await asyncio.sleep(10 * spent_s)

    async def beat(self, *, last: bool = False) -> None:
        """Rows become facts, up to where every tag is confirmed or known to be a gap.

        On a slow gateway with many machines it comes less often than called, so that it takes a quarter of a core at
        most and the devices keep their rhythm.
        """
        verdict = self.clock.look()
        if verdict.moved_ns and not verdict.begins:
            self._half_dated = not await self._time_moved(verdict)
        if self._half_dated:
            return  # told to stop: the next start dates the rest anew before anything else is computed
        if self.uplink and self.clock.asks_again:
            self.uplink.status_changed()
        now_ns = self.clock.steady_ns()
        self.dating.feed(self.freshness.tick(now_ns))
        if not self.dating.holds:
            self.recorder.tick(self.clock.now_ns())
        marks = {name: self.freshness.watermark_ns(tags, now_ns) for name, tags in self.pipeline.tags.items()}
        async with self._computing:
            if self.clock.trusted and self.dating.holds:
                await self._date_held()
            began_s = time.monotonic()
            if last or began_s >= self._rest_until_s:
                idle_ns = 0 if last else round(self._leisure.wait_s(len(marks)) * 1e9)
                count = await asyncio.to_thread(self.dating.advance, marks, idle_ns=idle_ns)
                spent_s = time.monotonic() - began_s
                self._leisure.took(spent_s, count)
                self._rest_until_s = time.monotonic() + 3 * spent_s
        online = {name: item.condition == "up" for name, item in self.supervisor.health.items()}
        if self.uplink:
            self.uplink.show(live_machines(self.dating.live))
            if online != self._online:
                self.uplink.status_changed()
        self._online = online

    async def commit(self, *, final: bool = False) -> None:
        """Facts become envelopes on disk."""
        if self.dating.holds:
            async with self._computing:
                await asyncio.to_thread(self.dating.keep)
        had_trouble = bool(self.committer.trouble)
        await self.committer.commit(final=final)
        self._oldest_ns, outbox_mb = await self.committer.backlog()
        if outbox_mb is not None:
            self.health.gauge("outbox_mb", round(outbox_mb, 3))
        self._rate.sample(time.monotonic(), self.health.snapshot().get("tags_read", 0))
        if self.uplink and bool(self.committer.trouble) != had_trouble:
            self.uplink.status_changed()

    async def _commit_full(self) -> None:
        """Process values fill an envelope long before the next commit where there are thousands a second: they then
        do not wait for it in memory, nor are they all packed at once.
        """
        if self.recorder.waiting >= MOST_ROWS:
            await self.committer.store_values()

    def status(self) -> Status:
        """What the center is told about this gateway."""
        devices = self.supervisor.health
        totals = {
            "polls": sum(item.polls for item in devices.values()),
            "polls_skipped": sum(item.skipped for item in devices.values()),
            "poll_failures": sum(item.failures for item in devices.values()),
            "steps_failed": self.pipeline.failures,
            "pending_rows": self.pipeline.pending_rows,
            "values_recorded": self.recorder.recorded,
            "values_lost": self.recorder.lost,
            "cannot_store": float(bool(self.committer.trouble)),
            "paused": float(self.pipeline.paused),
        }
        late = [late_s for item in devices.values() if (late_s := item.late_p99_s()) is not None]
        if late:
            totals["poll_late_p99_s"] = round(max(late), 4)
        if (rate := self._rate.per_s) is not None:
            totals["tags_per_s"] = round(rate, 2)
        if (share := self.pipeline.unknown_share) is not None:
            totals["unknown_share"] = round(share, 5)
        off = [item.clock_off_s for item in devices.values() if item.clock_off_s is not None]
        if off:
            furthest_s: float = max(off, key=abs)
            totals["device_clock_off_s"] = round(furthest_s, 3)
        return Status(
            online=True,
            at_ns=self.clock.now_ns(),
            generation=self.sender.generation,
            marks={name: item.marks.mark for name, item in self.sender.streams.items()},
            config_hash=self._config_hash,
            waiting=self.sender.waiting,
            oldest_ns=self._oldest_ns if self.sender.waiting else None,
            version=own_version(),
            devices={name: item.condition == "up" for name, item in devices.items()},
            health={**self.health.snapshot(), **totals},
            ask=self.clock.ask(),
            clock=self.clock.told(self.dating.held_since_ns, self.dating.held_rows),
            declared=self.corrections.echo,
        )

    async def metrics(self) -> str:
        """What Prometheus is told."""
        from agent.reports.metrics import Readings, metrics_text  # noqa: PLC0415  # a megabyte, where metrics are on

        oldest_ns, outbox_mb = await self.committer.backlog()
        return metrics_text(
            Readings(
                devices=self.supervisor.health,
                tags=self._tag_counts,
                machines=self.dating.live,
                sender=self.sender,
                health=self.health.snapshot()
                | {
                    "steps_failed": self.pipeline.failures,
                    "values_recorded": self.recorder.recorded,
                    "values_lost": self.recorder.lost,
                },
                connected=bool(self.uplink and self.uplink.connected),
                cannot_store=bool(self.committer.trouble),
                unknown_share=self.pipeline.unknown_share,
                tags_per_s=self._rate.per_s,
                oldest_s=None if oldest_ns is None else (self.clock.now_ns() - oldest_ns) / 1e9,
                outbox_mb=outbox_mb,
                clock=self.clock.told(self.dating.held_since_ns, self.dating.held_rows),
            )
        )

    async def _open_metrics(self) -> asyncio.Server | None:
        listen = self.options.metrics or self.site.metrics or ""
        if not listen:
            return None
        from agent.reports.metrics_http import serve  # noqa: PLC0415  # as above

        try:
            return await serve(listen, self.metrics)
        except (OSError, ValueError) as error:
            self.health.count("metrics_cannot_listen")
            _LOG.error(  # a port that is taken is no reason to stop measuring
                "metrics cannot listen at=%s why=%r cure=%r", listen, str(error), "give `metrics` another port"
            )
            return None

    # the life

    async def run(self, stop: asyncio.Event, history: Path | None) -> None:
        """From the first envelope to the offline status."""
        self._stop = stop
        await self._compare_descriptions()
        uplink = asyncio.create_task(self.uplink.run(), name="uplink") if self.uplink else None
        metrics = await self._open_metrics()
        try:
            if history is not None:
                await self._import(history, stop)
            if not stop.is_set():
                await self._live(stop)
            await self.commit(final=True)
            if self.uplink and uplink:
                await self.uplink.drain(_DRAIN_S)
                await self.commit()  # what the last receipts said
        finally:
            if metrics:
                metrics.close()
            if self.uplink and uplink:
                self.uplink.stop()
                await asyncio.wait([uplink], timeout=_GIVE_UP_S)
                uplink.cancel()
            await self.committer.close()

    async def _compare_descriptions(self) -> None:
        """Machines that are described otherwise than when their past was computed: somebody should know."""
        machines = {name: self.pipeline.machine(name) for name in self.pipeline.tags}
        found = changes(self._settings, machines, self.clock.now_ns())
        await self.committer.set({**found, CONFIG: self._config_hash})
        old = outdated(found)
        self.health.gauge("machines_outdated", float(len(old)))
        if old:
            _LOG.warning(
                "past computed otherwise machines=%s why=%r cure=%r",
                ",".join(old),
                "the site file describes them differently since then: ideal time, calendar, state or reasons",
                "nhip recompute SITE.yaml computes the last days again",
            )

    async def _live(self, stop: asyncio.Event) -> None:
        self.clock.look()
        self._half_dated = not await self.redating.run(stop)  # what a run before did not come to
        if self.clock.trusted and not self._told_site:
            self._tell_site(self.clock.now_ns())
        await self.commit()
        self.dating.begin(self.freshness)
        tasks = [
            asyncio.create_task(self.supervisor.run(), name="devices"),
            asyncio.create_task(every(_BEAT_S, self.beat, self.health), name="beat"),
            asyncio.create_task(on_event(self._news, self.preview, self.health), name="glimpses"),
            asyncio.create_task(every(self.options.commit_every_s, self.commit, self.health), name="commits"),
            asyncio.create_task(every(_BEAT_S, self._commit_full, self.health), name="full envelopes"),
            asyncio.create_task(every(_CORRECT_S, self.corrections.turn, self.health), name="corrections"),
        ]
        if self.options.ready_file:
            self.options.ready_file.write_text(json.dumps({"pid": os.getpid(), "at_ns": self.clock.now_ns()}))
        stopped = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopped):
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        async with self.corrections.busy:  # a correction that has begun ends first
            await self.beat(last=True)

    async def _import(self, history: Path, stop: asyncio.Event) -> None:
        """Feeds recorded days, an envelope for each block; stops between blocks when asked to.

        While it waits for the next day, what the receipts say goes to disk all the same.
        """
        tasks = [
            asyncio.create_task(every(self.options.commit_every_s, self.commit, self.health), name="commits"),
            asyncio.create_task(every(_CORRECT_S, self.corrections.turn, self.health), name="corrections"),
        ]
        try:
            await self._feed_days(history, stop)
        finally:
            for task in tasks:
                task.cancel()

    async def _feed_days(self, history: Path, stop: asyncio.Event) -> None:
        count = 0
        async for day in days(history, stop):
            if count == 0:
                self._tell_site(first_ns(day))
            count += 1
            for samples, until_ns in blocks(day, min(self.pipeline.until_ns.values(), default=0)):
                async with self.corrections.busy:
                    await asyncio.to_thread(self.pipeline.feed, samples, until_ns)
                while not await self.committer.commit() and not stop.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), 1.0)
                if stop.is_set():
                    return
            self.options.progress({"history_day": count, "until_ns": day.until_ns, "waiting": self.sender.waiting})
        written = {name: item.last for name, item in self.sender.streams.items()}
        self.options.progress({"history_days": count, "done": not stop.is_set(), "written": written})

    async def _date_held(self) -> None:
        """Trust has come: what waited for it goes on its way."""
        if not self._told_site:
            self._tell_site(self.clock.now_ns() if self.dating.held_since_ns is None else self.dating.held_since_ns)
        # final: large states too, since what is committed is not read again from the held file, which then goes
        await self.dating.release(partial(self.committer.commit, final=True), self._stop)

    async def _time_moved(self, verdict: Verdict) -> bool:
        """Gateway time was moved at once while it was trusted. False if that was not done to its end."""
        if self.dating.holds:  # nothing was dated yet
            self.clock.keep()
            return True
        if not verdict.always:
            async with self.corrections.busy, self._computing:
                self.pipeline.resume(self.clock.now_ns())
            self.clock.keep()
            return True
        self.dating.hold()
        step = Step(self.clock.dated_from_ns - verdict.moved_ns, verdict.moved_ns)
        before_ns = self.clock.correction_ns - verdict.moved_ns
        now_ns = self.clock.steady_ns()
        marks = {
            name: self.freshness.watermark_ns(tags, now_ns) + before_ns for name, tags in self.pipeline.tags.items()
        }
        async with self.corrections.busy, self._computing:
            await asyncio.to_thread(self.pipeline.advance, marks)
            with suppress(CannotStore, CorruptOutbox):  # the committer has said so; the wrong hours then stay
                await self.redating.ask(step, self.clock.kept())
                self.clock.keep()
                if not await self.redating.run(self._stop):
                    return False
            self.pipeline.shift(verdict.moved_ns)
            self.recorder.shift(verdict.moved_ns)
            self.dating.go_on()
        return True

    def _tell_site(self, valid_from_ns: int) -> None:
        self._told_site = True
        self.committer.tell_site(self._describe(valid_from_ns), valid_from_ns)


async def run(
    site_path: Path,
    outbox_path: Path,
    history: Path | None = None,
    stop: asyncio.Event | None = None,
    options: Options | None = None,
    read: Callable[[Path], Site] = load_site,
) -> None:
    """Runs the agent until `stop` is set.

    history: a folder of recorded files to be fed first; read: reads the site file. Raises
    `config.Misconfigured`, `agent.outbox.disk.OutboxInUse`, `UnknownFormat` or `CannotStore` before anything has been started.
    """
    options = options or Options()
    site = read(site_path)
    opened = await asyncio.to_thread(open_outbox, outbox_path, time.time_ns(), budget_mb=options.budget_mb)
    if opened.message:
        _LOG.error("outbox damaged message=%r", opened.message)
    try:
        agent = Agent(site, opened, options, outbox_path.with_suffix(".certificates"))
    except BaseException:
        opened.outbox.close()
        raise
    del site  # see Agent
    await agent.run(stop or asyncio.Event(), history)


def _read_apart(site_path: Path) -> Site:
    site = run_in_child(lambda: load_site(site_path))
    gc.collect()
    gc.freeze()  # what is known by now lives as long as the process: no later collection shall look at it
    return site


def main(site_path: Path, outbox_path: Path, history: Path | None = None, options: Options | None = None) -> None:
    """The same as a process: SIGTERM and SIGINT drain it; a second one ends it at once."""
    gc.set_threshold(*_COLLECT)
    sys.setswitchinterval(_SWITCH_S)
    with suppress(KeyboardInterrupt):
        run_until_signal(
            lambda stop: run(site_path, outbox_path, history, stop, options, _read_apart), second_signal_kills=True
        )
    sys.stdout.flush()
