"""Reports of the gateway about itself: `status` and `live` for the center, metrics for Prometheus."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from agent.devices.lost_tags import group_faults
from agent.devices.supervisor import DeviceHealth
from agent.feed.acquisition import Acquisition
from agent.process.health import Rate
from agent.reports.went_back import read_note
from agent.store.outbox_thread import OutboxThread
from agent.uplink.sender import Sender
from oee.engine.step import EngineState, MachineSnapshot
from wire.bodies import (
    MOST_COUNTER_STEPS,
    MOST_FAULT_TAGS,
    MOST_FAULTS,
    MOST_TROUBLE,
    CounterStep,
    DeviceFault,
    LiveCall,
    LiveMachine,
    Notice,
    Status,
    WentBack,
)

_TOLD_FOR_NS: Final = 86_400_000_000_000


def live_machines(
    snapshots: Mapping[str, MachineSnapshot], calls: Mapping[str, list[LiveCall]]
) -> dict[str, LiveMachine]:
    """The machines for the `live` message. calls: open calls for help by machine."""
    return {
        name: LiveMachine(
            state=item.state.word,
            since_ns=item.since_ns,
            reason=item.reason,
            product=item.product,
            shift=item.shift,
            calendar=item.calendar.word,
            pieces=item.pieces,
            calls=calls.get(name, []),
        )
        for name, item in snapshots.items()
    }


def counter_steps(states: Mapping[str, EngineState], now_ns: int) -> list[CounterStep]:
    """What counters did besides counting in the last day, the latest ones, in order of time. states: by machine."""
    steps = [
        CounterStep(machine=machine, role=item.role, at_ns=item.t_ns, kind=item.kind, old=item.old, new=item.new)
        for machine, state in states.items()
        for item in state.oddities
        if 0 <= now_ns - item.t_ns <= _TOLD_FOR_NS
    ]
    return sorted(steps, key=lambda step: (step.at_ns, step.machine, step.role))[-MOST_COUNTER_STEPS:]


def device_faults(devices: Mapping[str, DeviceHealth]) -> list[DeviceFault]:
    """Why devices do not answer, then why tags of those that do cannot be read. devices: by name."""
    away = [
        DeviceFault(device=name, code=item.fault.code, values=dict(item.fault.values), extent=item.fault.extent)
        for name, item in devices.items()
        if item.fault is not None
    ]
    tags = [
        DeviceFault(
            device=name,
            code=fault.code,
            values=dict(fault.values),
            extent=fault.extent,
            tags=lost[:MOST_FAULT_TAGS],
            count=len(lost),
        )
        for name, item in devices.items()
        if item.fault is None
        for fault, lost in group_faults(item.tag_faults)
    ]
    return [*away, *tags][:MOST_FAULTS]


def installed_version() -> str:
    """The installed version; "" in a checkout that was never installed."""
    try:
        return version("nhip")
    except PackageNotFoundError:
        return ""


@dataclass
class GatewayReport:
    """Builds reports from the agent's parts. tags: how many each device has; echo: outcomes of declarations, by id;
    closed_ns: facts of all machines before this time are on disk, None before the first [ns UTC]; notices: what people at
    the machines said, for the center; oldest_ns: when the oldest envelope without a receipt was sealed [ns UTC], None if
    none waits; went_back: of the version that did not start, for as long as this process runs.
    """

    acquisition: Acquisition
    tags: Mapping[str, int]
    config_hash: str
    sender: Sender
    outbox: OutboxThread
    echo: Callable[[], dict[str, str]]
    closed_ns: int | None = None
    notices: Callable[[], list[Notice]] = list
    _rate: Rate = field(default_factory=Rate)
    oldest_ns: int | None = None
    went_back: WentBack | None = field(default_factory=read_note)

    async def measure(self) -> None:
        """Measures what waits in the outbox and how fast tags are read; to be called after each commit."""
        self.oldest_ns, outbox_mb = await self.outbox.backlog()
        if outbox_mb is not None:
            self.acquisition.health.gauge("outbox_mb", round(outbox_mb, 3))
        self._rate.sample(time.monotonic(), self.acquisition.health.snapshot().get("tags_read", 0))

    def status(self) -> Status:
        """The `status` message as of now."""
        return Status(
            online=True,
            at_ns=self.acquisition.clock.now_ns(),
            generation=self.sender.generation,
            marks={name: item.marks.mark for name, item in self.sender.streams.items()},
            config_hash=self.config_hash,
            waiting=self.sender.waiting,
            oldest_ns=self.oldest_ns if self.sender.waiting else None,
            version=installed_version(),
            went_back=self.went_back,
            devices={name: item.condition == "up" for name, item in self.acquisition.devices.items()},
            faults=device_faults(self.acquisition.devices),
            health={**self.acquisition.health.snapshot(), **self._totals(), **self._shares()},
            trouble=self.outbox.trouble[:MOST_TROUBLE],
            closed_ns=self.closed_ns,
            ask=self.acquisition.clock.center_time.ask(),
            clock=self.acquisition.clock.report(
                self.acquisition.dating.undated_since_ns, self.acquisition.dating.undated_rows
            ),
            declared=self.echo(),
            counters=self._counter_steps(),
            notices=self.notices(),
        )

    def _counter_steps(self) -> list[CounterStep]:
        states = {name: run.state for name, run in self.acquisition.pipeline.runs.items()}
        return counter_steps(states, self.acquisition.clock.now_ns())

    def _totals(self) -> dict[str, float]:
        devices = self.acquisition.devices.values()
        return {
            "polls": sum(item.polls for item in devices),
            "polls_skipped": sum(item.skipped for item in devices),
            "poll_failures": sum(item.failures for item in devices),
            "steps_failed": self.acquisition.pipeline.failures,
            "pending_rows": self.acquisition.pipeline.uncommitted.rows,
            "values_recorded": self.acquisition.recorder.recorded,
            "values_lost": self.acquisition.recorder.lost,
            "cannot_store": float(bool(self.outbox.trouble)),
            "paused": float(self.acquisition.pipeline.paused),
        }

    def _shares(self) -> dict[str, float]:
        """Values that are left out while they are unknown."""
        out: dict[str, float] = {}
        late = [late_s for item in self.acquisition.devices.values() if (late_s := item.late_p99_s()) is not None]
        if late:
            out["poll_late_p99_s"] = round(max(late), 4)
        if (rate := self._rate.per_s) is not None:
            out["tags_per_s"] = round(rate, 2)
        if (share := self.acquisition.pipeline.unknown.share) is not None:
            out["unknown_share"] = round(share, 5)
        off = [item.clock_off_s for item in self.acquisition.devices.values() if item.clock_off_s is not None]
        if off:
            furthest_s: float = max(off, key=abs)
            out["device_clock_off_s"] = round(furthest_s, 3)
        return out

    async def metrics(self, *, connected: bool) -> str:
        """The answer to Prometheus. connected: whether the broker answers."""
        from agent.reports.metrics import Readings, metrics_text  # noqa: PLC0415  # costs a megabyte, so only where metrics are on

        oldest_ns, outbox_mb = await self.outbox.backlog()
        return metrics_text(
            Readings(
                devices=self.acquisition.devices,
                tags=self.tags,
                machines=self.acquisition.dating.live,
                sender=self.sender,
                health=self.acquisition.health.snapshot()
                | {
                    "steps_failed": self.acquisition.pipeline.failures,
                    "values_recorded": self.acquisition.recorder.recorded,
                    "values_lost": self.acquisition.recorder.lost,
                },
                connected=connected,
                cannot_store=bool(self.outbox.trouble),
                unknown_share=self.acquisition.pipeline.unknown.share,
                tags_per_s=self._rate.per_s,
                oldest_s=None if oldest_ns is None else (self.acquisition.clock.now_ns() - oldest_ns) / 1e9,
                outbox_mb=outbox_mb,
                clock=self.acquisition.clock.report(
                    self.acquisition.dating.undated_since_ns, self.acquisition.dating.undated_rows
                ),
            )
        )
