"""What a site file says that the page needs: of each machine, and of all of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent.andon.entries.interpret import Offer
from agent.andon.views.view import AndonMachine
from config import Site
from config.site.andon import CALLS, AndonModel
from oee.kpi.maintenance import PlannedTask
from oee.kpi.targets import Target
from oee.model.machine import Machine

_CALL_ICONS: Final = {"maintenance": "wrench", "quality": "scale", "material": "box", "leader": "people"}


def andon_machines(site: Site, machines: Mapping[str, Machine], window_ns: int) -> dict[str, AndonMachine]:
    """Each machine as its page knows it. window_ns: how far corrections reach back [ns]."""
    andon = site.andon or AndonModel.model_validate({})
    targets = tuple(Target(item.values, item.line, item.machine, item.product, item.since) for item in site.targets)
    return {
        name: AndonMachine(
            Offer(
                machine,
                _of_machine(name, {key: item.machines for key, item in site.reasons.items()}),
                tuple(site.products),
                (*CALLS, *(key for key in andon.calls if key not in CALLS)),
                _of_machine(name, {key: item.machines for key, item in site.reject_causes.items()}),
                {
                    key: PlannedTask(item.every_days, item.first, None, item.tolerance)
                    for key, item in site.maintenance.items()
                    if item.machine == name
                },
            ),
            site.machines[name].line,
            targets,
            site.formula,
            round(andon.remind * 1e9),
            window_ns,
        )
        for name, machine in machines.items()
    }


def _of_machine(machine: str, wanted: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(key for key, machines in wanted.items() if not machines or machine in machines)


def photos(site: Site) -> dict[str, Path]:
    """The photos of reasons."""
    return {key: Path(item.photo) for key, item in site.reasons.items() if item.photo}


def site_view(site: Site, by_name: Mapping[str, AndonMachine]) -> dict[str, Any]:
    """What every page of this gateway needs once: names, and what may be entered where."""
    andon = site.andon or AndonModel.model_validate({})
    return {
        "site": site.site,
        "gateway": site.gateway,
        "name": site.name,
        "timezone": site.timezone,
        "pin": bool(andon.pin_file),
        "center": site.center is not None,
        "machines": {
            key: {
                "name": item.name,
                "line": item.line,
                "counts": list(by_name[key].offer.counts),
                "causes": list(by_name[key].offer.causes),
                "product_by_hand": by_name[key].offer.product_by_hand,
                "counter": bool(by_name[key].offer.machine.pieces.counters()),
                "minor_ms": by_name[key].offer.machine.minor_stop_at_most_ns // 1_000_000,
            }
            for key, item in site.machines.items()
        },
        "lines": {key: item.name for key, item in site.lines.items()},
        "products": {key: item.name for key, item in site.products.items()},
        "reasons": {
            key: {"name": item.name, "state": item.state.word, "icon": item.icon, "photo": bool(item.photo)}
            for key, item in site.reasons.items()
        },
        "causes": {key: item.name for key, item in site.reject_causes.items()},
        "calls": {key: {"name": {}, "icon": _CALL_ICONS[key]} for key in CALLS}
        | {key: {"name": item.name, "icon": item.icon or _CALL_ICONS.get(key)} for key, item in andon.calls.items()},
        "tasks": {key: item.name for key, item in site.maintenance.items()},
        "devices": sorted(site.devices),
    }
