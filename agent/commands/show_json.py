"""A gateway as plain data, for programs: what `nhip show --json` prints."""

from datetime import UTC, datetime
from typing import Any

from agent.commands.show_watch import GatewayView
from agent.view.machine import MachineView
from agent.view.questions import OpenQuestion
from oee.kpi.shift import ShiftFigures


def as_json(view: GatewayView) -> dict[str, Any]:
    """Times are ISO 8601 in the site's zone, lengths of time [ms], ratios [1]; null is not known."""
    now = view.heard.now
    agent: dict[str, Any] = {"running": view.running, "heard": view.heard.why or "answered"}
    if now is not None:
        agent |= {"pid": now.pid, "since": _iso(now.began_ns, view), "addresses": now.addresses}
    return {
        "site": view.site.site,
        "file": view.file,
        "at": _iso(view.at_ns, view),
        "agent": agent,
        "clock": now.status.clock.model_dump() if now and now.status.clock else None,
        "center": _center(view),
        "questions": [_question(item) for item in view.about("")],
        "machines": [_machine(item, view) for item in view.machines],
        "devices": {name: item.model_dump() for name, item in now.devices.items()} if now else {},
        "tags": {name: item.model_dump() for name, item in now.tags.items()} if now else {},
    }


def _iso(t_ns: int | None, view: GatewayView) -> str | None:
    return (
        None if t_ns is None else datetime.fromtimestamp(t_ns // 1_000_000_000, UTC).astimezone(view.zone).isoformat()
    )


def _center(view: GatewayView) -> dict[str, Any] | None:
    if view.site.center is None:
        return None
    status = view.heard.now.status if view.heard.now else None
    return {
        "generation": view.generation,
        "waiting": status.waiting if status else None,
        "oldest": _iso(status.oldest_ns, view) if status else None,
    }


def _question(item: OpenQuestion) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "values": dict(item.values),
        "fault": item.fault.model_dump() if item.fault is not None else None,
        "command": item.command or None,
        "file_lines": list(item.file_lines),
    }


def _machine(machine: MachineView, view: GatewayView) -> dict[str, Any]:
    now = machine.now
    return {
        "machine": machine.machine.id,
        "state": now.state.word if now else None,
        "since": _iso(now.since_ns, view) if now else None,
        "reason": now.reason if now else "",
        "product": now.product if now else None,
        "calendar": now.calendar.word if now else None,
        "pieces": now.pieces if now else None,
        "shift": _shift(machine.figures, view, on=machine.on) if machine.figures else None,
        "lost": [{"state": item.state.word, "reason": item.reason, "ms": item.ms} for item in machine.lost],
        "made": [{"product": name, "pieces": count} for name, count in machine.made],
        "stops": [
            {
                "start": _iso(stop.start_ns, view),
                "end": _iso(stop.end_ns, view),
                "state": stop.state.word,
                "reason": stop.reason,
                "by": stop.by,
                "product": stop.product,
            }
            for stop in machine.stops
        ],
        "questions": [_question(item) for item in view.about(machine.machine.id)],
    }


def _shift(figures: ShiftFigures, view: GatewayView, *, on: bool) -> dict[str, Any]:
    return {
        "name": figures.shift.name,
        "start": _iso(figures.shift.start_ns, view),
        "end": _iso(figures.shift.end_ns, view),
        "on": on,
        "from": _iso(figures.from_ns, view),
        "until": _iso(figures.until_ns, view),
        "scheduled_ms": figures.scheduled_ms,
        "pieces": figures.pieces,
        "rejects": figures.rejects,
        "not_judged": figures.not_judged,
        **figures.kpis.values,
        "why_null": figures.kpis.why_null,
        "flags": list(figures.kpis.flags),
    }
