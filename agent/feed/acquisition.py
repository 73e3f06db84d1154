"""The parts that a row passes through on its way from a device to facts."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.contract import Row
from agent.clock.clock import GatewayClock
from agent.clock.dating import Dating
from agent.compute.pipeline import Pipeline
from agent.devices.freshness import Freshness
from agent.devices.recorder import Recorder
from agent.devices.supervisor import DeviceHealth
from agent.process.health import Health


@dataclass
class Acquisition:
    """freshness: until when tags are confirmed; dating: dates rows by the clock; pipeline: computes facts from them;
    recorder: selects process values for the center; computing: held while the pipeline steps; devices: their counters,
    by name.
    """

    clock: GatewayClock
    freshness: Freshness
    dating: Dating
    pipeline: Pipeline
    recorder: Recorder
    health: Health
    devices: Mapping[str, DeviceHealth] = field(default_factory=dict)
    computing: asyncio.Lock = field(default_factory=asyncio.Lock)


def deliver(pipeline: Pipeline, recorder: Recorder, rows: list[Row]) -> None:
    """Passes rows of gateway time on to pipeline and recorder."""
    pipeline.feed_rows(rows)
    recorder.feed(rows)
