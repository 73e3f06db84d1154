"""A gateway's metrics, as text for Prometheus. Pure: all values are given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import Metric

from agent.devices.supervisor import DeviceHealth
from agent.uplink.sender import Sender
from oee.engine.step import MachineSnapshot
from oee.model.states import State
from wire.bodies import Clock
from wire.marks import count, holes
from wire.prometheus import by_label, counter, gauge, labelled, render

_OWN_NAME: Final = {"envelopes_sealed", "envelopes_sent", "tags_read", "receipts"}
_DATA: Final = {"data_used_mb", "data_forecast_mb", "data_limit_mb", "data_level"}
_UPLINK_UP, _UPLINK_UP_HELP = "nhip_agent_uplink_up", "1 while the broker answers."
_CANNOT_STORE, _CANNOT_STORE_HELP = "nhip_agent_cannot_store", "1 while the disk refuses."
_GAUGES: Final = {"rss_mb", "cpu_s", "uptime_s", "outbox_mb", "mqtt_version"} | _DATA


@dataclass(frozen=True)
class Readings:
    """The agent as of one moment. health: `Health.snapshot`; tags: how many each device has; unknown_share [1],
    tags_per_s [1/s], oldest_s [s] and outbox_mb [MB] are None where they are unknown.
    """

    devices: Mapping[str, DeviceHealth]
    tags: Mapping[str, int]
    machines: Mapping[str, MachineSnapshot]
    sender: Sender
    health: Mapping[str, float]
    connected: bool
    cannot_store: bool
    unknown_share: float | None
    tags_per_s: float | None
    oldest_s: float | None
    outbox_mb: float | None
    clock: Clock


def metrics_text(now: Readings) -> str:
    """The answer to a scrape."""
    return render([*_acquisition(now), *_clock(now), *_delivery(now), *_process(now.health)])


def waiting_text(health: Mapping[str, float], *, connected: bool) -> str:
    """The answer to a scrape while the agent waits for its disk."""
    refused = gauge(_CANNOT_STORE, _CANNOT_STORE_HELP, 1.0)
    return render([gauge(_UPLINK_UP, _UPLINK_UP_HELP, float(connected)), refused, *_process(health)])


def _acquisition(now: Readings) -> list[Metric]:
    devices = now.devices
    return [
        by_label(
            "nhip_agent_device_up",
            "gauge",
            "1 while the device answers.",
            "device",
            {name: float(item.condition == "up") for name, item in devices.items()},
        ),
        by_label("nhip_agent_device_tags", "gauge", "Tags of the device.", "device", dict(now.tags)),
        gauge("nhip_agent_tags_per_second", "Tags confirmed a second, over the latest seconds.", now.tags_per_s),
        counter("nhip_agent_tags_read_total", "Tags confirmed by a device.", now.health.get("tags_read", 0)),
        by_label(
            "nhip_agent_polls_total",
            "counter",
            "Reads.",
            "device",
            {name: item.polls for name, item in devices.items()},
        ),
        by_label(
            "nhip_agent_polls_skipped_total",
            "counter",
            "Reads skipped because the one before took too long.",
            "device",
            {name: item.skipped for name, item in devices.items()},
        ),
        by_label(
            "nhip_agent_poll_failures_total",
            "counter",
            "Reads and connects that failed.",
            "device",
            {name: item.failures for name, item in devices.items()},
        ),
        by_label(
            "nhip_agent_poll_late_p99_seconds",
            "gauge",
            "By how much the latest 1 % of the last thousand reads began late, at least.",
            "device",
            {name: item.late_p99_s() for name, item in devices.items()},
        ),
        by_label(
            "nhip_agent_device_clock_off_seconds",
            "gauge",
            "Gateway time minus the device's own clock, where it has a readable one.",
            "device",
            {name: item.clock_off_s for name, item in devices.items()},
        ),
        by_label(
            "nhip_agent_machine_unknown",
            "gauge",
            "1 while the machine's state is unknown.",
            "machine",
            {name: float(item.state is State.UNKNOWN) for name, item in now.machines.items()},
        ),
        gauge(
            "nhip_agent_unknown_share", "Share of the time computed since the start that is unknown.", now.unknown_share
        ),
    ]


def _clock(now: Readings) -> list[Metric]:
    clock = now.clock
    trusted = {"by": clock.by}
    return [
        labelled(
            "nhip_agent_clock_trusted",
            "gauge",
            "1 while the time is trusted: NTP, the center or a person confirms it.",
            [(trusted, float(clock.by != "nobody"))],
        ),
        gauge(
            "nhip_agent_clock_error_seconds",
            "Gateway time minus the latest evidence of NTP, the center or a person.",
            clock.error_s,
        ),
        counter("nhip_agent_clock_moves_total", "Steps of gateway time.", clock.moves),
        gauge("nhip_agent_clock_last_move_seconds", "Size of the latest step of gateway time.", clock.last_move_s),
        gauge("nhip_agent_system_clock_error_seconds", "The system's clock minus gateway time.", clock.wall_error_s),
        counter(
            "nhip_agent_system_clock_steps_total",
            "Steps of the system's clock, which gateway time does not follow.",
            clock.wall_steps,
        ),
        gauge("nhip_agent_held_rows", "Rows that wait for a trusted time.", clock.held_rows),
    ]


def _delivery(now: Readings) -> list[Metric]:
    marks, health = [item.marks for item in now.sender.streams.values()], now.health
    settled = sum(map(count, marks))
    missing = sum(last - first + 1 for item in marks for first, last in holes(item))
    return [
        gauge(_UPLINK_UP, _UPLINK_UP_HELP, float(now.connected)),
        gauge(_CANNOT_STORE, _CANNOT_STORE_HELP, float(now.cannot_store)),
        gauge("nhip_agent_outbox_waiting", "Envelopes on disk without a receipt.", now.sender.waiting),
        gauge("nhip_agent_outbox_oldest_seconds", "Age of the oldest envelope without a receipt.", now.oldest_s),
        gauge("nhip_agent_outbox_megabytes", "Size of the outbox's content.", now.outbox_mb),
        counter("nhip_agent_envelopes_sealed_total", "Envelopes sealed.", now.health.get("envelopes_sealed", 0)),
        counter(
            "nhip_agent_envelopes_sent_total",
            "Envelopes published, repetitions included.",
            now.health.get("envelopes_sent", 0),
        ),
        gauge("nhip_agent_envelopes_receipted", "Envelopes that the center has settled.", settled),
        gauge("nhip_agent_envelopes_holes", "Envelopes missing at the center below others that it has.", missing),
        counter("nhip_agent_receipts_total", "Receipts received.", now.health.get("receipts", 0)),
        gauge("nhip_agent_data_month_megabytes", "Data sent and received this month.", health.get("data_used_mb")),
        gauge(
            "nhip_agent_data_forecast_megabytes",
            "Data of this month, forecast for its end.",
            health.get("data_forecast_mb"),
        ),
        gauge("nhip_agent_data_limit_megabytes", "The month's data limit.", health.get("data_limit_mb") or None),
        gauge(
            "nhip_agent_data_level",
            "0: everything is sent; 1: no process values, live thinned; 2: almost no live.",
            health.get("data_level"),
        ),
    ]


def _process(health: Mapping[str, float]) -> list[Metric]:
    events = {name: value for name, value in sorted(health.items()) if name not in _OWN_NAME | _GAUGES}
    return [
        by_label("nhip_agent_events_total", "counter", "Everything else that is counted.", "event", dict(events)),
        gauge("process_resident_memory_bytes", "Resident memory.", health["rss_mb"] * 2**20),
        counter("process_cpu_seconds_total", "CPU time, user and system.", health["cpu_s"]),
        gauge("nhip_agent_uptime_seconds", "Age of this process.", health["uptime_s"]),
    ]
