"""The technician's view: devices, tags with their last values, clock, outbox. What a laptop at the cabinet needs to see."""

from collections.abc import Callable
from typing import Any

from agent.devices.freshness import KnownValue
from agent.reports.status import GatewayReport, installed_version
from oee.model.facts import MS_NS
from oee.model.states import Quality


def tech_view(report: GatewayReport, connected: Callable[[], bool | None], device: str) -> dict[str, Any]:
    """connected: whether the center's broker answers, None without a center; device: whose tags to show, "" for none."""
    parts, sender = report.acquisition, report.sender
    clock, now_ns = parts.clock, parts.clock.steady_ns()
    return {
        "now_ms": clock.now_ns() // MS_NS,
        "version": installed_version(),
        "clock": clock.report(parts.dating.undated_since_ns, parts.dating.undated_rows).model_dump(mode="json")
        | {"trusted": clock.trusted},
        "devices": [
            {
                "id": name,
                "condition": item.condition,
                "error": item.error[:300],
                "fault": None if item.fault is None else {"code": item.fault.code, "values": dict(item.fault.values)},
                "tags": report.tags.get(name, 0),
                "reads": item.polls,
                "failures": item.failures,
                "late_p99_s": item.late_p99_s(),
                "age_s": _age_s(item.last_read_ns, now_ns),
                "clock_off_s": item.clock_off_s,
            }
            for name, item in parts.devices.items()
        ],
        "outbox": {
            "connected": connected(),
            "waiting": sender.waiting,
            "oldest_ms": None if report.oldest_ns is None else report.oldest_ns // MS_NS,
            "mb": parts.health.snapshot().get("outbox_mb"),
            "trouble": report.outbox.trouble,
        },
        "process": {key: parts.health.snapshot()[key] for key in ("rss_mb", "cpu_s", "uptime_s")},
        "device": device,
        "tags": [_tag(name, tag, now_ns) for name, tag in parts.freshness.known(device).items()] if device else [],
    }


def _tag(name: str, tag: KnownValue, now_ns: int) -> dict[str, Any]:
    value = tag.value if isinstance(tag.value, (bool, int, float, str)) or tag.value is None else str(tag.value)
    if isinstance(value, float) and not -1e300 < value < 1e300:
        value = str(value)  # JSON has no infinity
    return {
        "name": name.partition(".")[2],
        "value": value[:200] if isinstance(value, str) else value,
        "quality": "stale" if tag.quality is Quality.GAP and tag.confirmed_ns is not None else tag.quality.name.lower(),
        "age_s": _age_s(tag.confirmed_ns, now_ns),
    }


def _age_s(at_ns: int | None, now_ns: int) -> float | None:
    return None if at_ns is None else round((now_ns - at_ns) / 1e9, 1)
