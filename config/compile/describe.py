"""The description of a site that the gateway sends to the center, and the hash that identifies a configuration."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

from config.compile.compile import compile_calendar, products_of
from config.devices.kinds import Device
from config.site.machine import FromCounts, MachineModel, ProfileUse, is_operator
from config.site.model import ProductModel, Site
from config.site.values import ValueModel, kept_values
from config.templates.state_profiles import load_profiles, parameters_of, rules_of
from oee.model.calendars import Calendar, Rotation, Shift
from oee.model.conditions import parse
from oee.model.machine import OPERATOR
from oee.model.states import State

_WITHOUT_EFFECT: Final = (
    "site", "gateway", "name", "center", "metrics", "values", "recordings", "andon", "targets", "reject_causes", "trade",
    "maintenance",
    "tariff",
)  # fmt: skip
"""Sections of a site file that do not affect results."""
_SHOWN_ONLY: Final = {
    "machines": ("name", "kind"),
    "products": ("name", "verified"),
    "reasons": ("name", "machines", "icon", "photo", "maintenance"),
    "lines": ("name", "stations"),
}
"""By section the keys of its items that do not."""


def describe(site: Site, valid_from_ns: int = 0) -> dict[str, Any]:
    """The fields of the `site` message.

    valid_from_ns: since when this configuration has been in force [ns UTC]; where a product has several ideal times,
    the one in force then is given (the last one if 0).
    """
    return description(site)(valid_from_ns)


def description(site: Site) -> Callable[[int], dict[str, Any]]:
    """`describe` as a function of time that does not reference the site: its models of ten thousand tags would be the
    largest object in an agent's memory.
    """
    calendars = {name: compile_calendar(site, name) for name in ("", *site.calendars)}
    names = {key: product.name or _named(key) for key, product in site.products.items()}
    ideals = {key: product.ideals for key, product in products_of(site, "").items()}
    fields = {
        "config_hash": config_hash(site),
        "name": site.name or _named(site.site),
        "timezone": site.timezone,
        "formula": site.formula,
        "machines": {key: _machine(site, key, machine) for key, machine in site.machines.items()},
        "reasons": {
            key: {
                "name": reason.name or _named(key),
                "state": reason.state.word,
                "maintenance": reason.maintenance or "",
            }
            for key, reason in site.reasons.items()
        },
        "lines": {
            key: {
                "name": dict(line.name),
                "flow": line.flow,
                "constraint": line.constraint,
                "stations": list(line.stations),
            }
            for key, line in site.lines.items()
        },
        "calendars": {key: _calendar(calendar) for key, calendar in calendars.items()},
        "values": _values(site),
        "targets": [
            {
                "line": item.line,
                "machine": item.machine,
                "product": item.product,
                "since": item.since,
                "values": item.values,
            }
            for item in site.targets
        ],
        "maintenance": {
            key: {
                "machine": task.machine,
                "name": task.name or _named(key),
                "kind": task.kind,
                "every_days": task.every_days,
                "first": task.first,
                "tolerance": task.tolerance,
            }
            for key, task in site.maintenance.items()
        },
        "trade": site.trade or "",
        "tariff_per_kwh": site.tariff,
    }
    verified = {key: _verified(product) for key, product in site.products.items()}

    def at(valid_from_ns: int) -> dict[str, Any]:
        products = {
            key: {"name": name, **_ideal(ideals[key], valid_from_ns), **verified[key]} for key, name in names.items()
        }
        return {**fields, "valid_from_ns": valid_from_ns, "products": products}

    return at


def values_of(site: Site) -> dict[str, ValueModel]:
    """How each process value is sent, by `device.tag`."""
    return kept_values(site.values, [f"{device}.{tag}" for device, model in site.devices.items() for tag in model.tags])


def _values(site: Site) -> dict[str, Any]:
    """By tag its unit and the machines that use its device."""
    users: dict[str, list[str]] = {}
    for key, machine in site.machines.items():
        for device in {tag.partition(".")[0] for tag in tags_of(site, machine)}:
            users.setdefault(device, []).append(key)
    out: dict[str, dict[str, Any]] = {}
    same: dict[tuple[str, str], dict[str, Any]] = {}
    for name in values_of(site):
        device, _, tag = name.partition(".")
        model = site.devices[device].tags.get(tag)
        unit = model.unit if model else ""
        out[name] = same.setdefault((device, unit), {"unit": unit, "machines": users.get(device, [])})
    return out


def _named(key: str) -> dict[str, str]:
    return {"vi": key, "en": key}


def _verified(product: ProductModel) -> dict[str, Any]:
    """Of the ideal time, of the last one that somebody verified where there are several."""
    of_all = [product.verified, *(item.verified for item in product.ideals)]
    given = [item for item in of_all if item is not None]
    last = max(given, key=lambda item: item.day, default=None)
    return {"verified": last.day.isoformat(), "verified_by": last.by} if last else {}


def _machine(site: Site, key: str, machine: MachineModel) -> dict[str, Any]:
    return {
        "name": machine.name or _named(key),
        "line": machine.line,
        "calendar": machine.calendar,
        "period_s": _period_s(site, machine),
        "minor_stop_at_most_s": machine.minor_stop_at_most,
        "kind": machine.kind or "",
        "quality": _quality(machine),
        "states": _states(site, machine),
    }


def _quality(machine: MachineModel) -> str:
    """Who tells good pieces from rejects."""
    counters = machine.pieces.counters()
    told = [counters[key] for key in ("good", "reject") if key in counters]
    if not told:
        return "none"
    return "operator" if any(map(is_operator, told)) else "plc"


def _states(site: Site, machine: MachineModel) -> list[str]:
    """States that its rules, its gap between pieces and its reasons by signal can show, as words, in order."""
    gap, profiles = machine.gap(), load_profiles()
    found = {State.RUNNING} if isinstance(machine.state, FromCounts) else set()
    found |= {gap.state} if gap else set()
    for line in machine.lines():
        if isinstance(line, ProfileUse):
            profile = profiles[line.profile]
            found |= {rule.state for rule in rules_of(profile, parameters_of(profile, line.tags))}
        else:
            found |= {line.state} | ({site.reasons[line.reason].state} if line.reason else set())
    found |= {site.reasons[key].state for key in machine.reason.map.values()} if machine.reason else set()
    return [state.word for state in State if state in found]


def tags_of(site: Site, machine: MachineModel) -> frozenset[str]:
    """Every tag that a machine's numbers depend on."""
    tags = {use.tag for use in machine.pieces.counters().values() if not is_operator(use)}
    for line in machine.lines():
        if isinstance(line, ProfileUse):
            tags |= set(line.tags.values())
        elif line.when is not None:
            tags |= parse(line.when).tags
    named = [machine.pieces.cavities, machine.reason.tag if machine.reason else ""]
    named += [] if machine.product in site.products else [machine.product]
    return frozenset(tags | {name for name in named if name and name != OPERATOR})


def _period_s(site: Site, machine: MachineModel) -> float:
    periods_s = []
    for name in tags_of(site, machine):
        device, _, tag = name.partition(".")
        if device in site.devices and tag in site.devices[device].tags:
            periods_s.append(site.devices[device].period_s(tag))
    return max(periods_s, default=1.0)


def _ideal(ideals: tuple[Any, ...], valid_from_ns: int) -> dict[str, Any]:
    if not ideals:
        return {"ideal_s": None, "source": ""}
    past = [ideal for ideal in ideals if not valid_from_ns or ideal.since_ns <= valid_from_ns]
    current = past[-1] if past else ideals[0]
    return {"ideal_s": current.us / 1_000_000, "source": current.source}


def _shift(shift: Shift) -> dict[str, Any]:
    return {
        "name": shift.name,
        "weekdays": sorted(shift.weekdays),
        "start_s": shift.start_s,
        "end_s": shift.end_s,
        "breaks": [list(pause) for pause in shift.breaks],
    } | (_rotation(shift.rotation) if shift.rotation else {})


def _rotation(rotation: Rotation) -> dict[str, Any]:
    return {"rotation": {"days": rotation.days, "start": rotation.start.isoformat(), "on": sorted(rotation.on)}}


def _calendar(calendar: Calendar) -> dict[str, Any]:
    return {
        "shifts": [_shift(shift) for shift in calendar.shifts],
        "exceptions": {day.isoformat(): [_shift(shift) for shift in some] for day, some in calendar.exceptions.items()},
    }


def config_hash(site: Site) -> str:
    """A short hash of everything that results depend on: 16 hexadecimal digits.

    Names, addresses, process values, the connection to the center, how recorded files are written, targets and what the
    page at the machine offers are left out, since no result of the gateway changes with them; so are values equal to their
    defaults, so that a new key in a later version does not change the hash of an old file.
    """
    written = site.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={*_WITHOUT_EFFECT, "devices"})
    for section, names in _SHOWN_ONLY.items():
        for item in written.get(section, {}).values():
            for key in names:
                item.pop(key, None)
    for product in written.get("products", {}).values():
        for item in (*product.get("at", {}).values(), *product.get("ideals", ())):
            item.pop("verified", None)
    texts = {key: _text(item) for key, item in written.items()}
    texts["devices"] = _object({name: _device_text(device) for name, device in site.devices.items()})
    return hashlib.sha256(_object(texts).encode()).hexdigest()[:16]


def _device_text(device: Device) -> str:
    """One device at a time: ten thousand tags as dictionaries at once would be the peak of an agent's memory."""
    included = {"kind", "tags", "every", "stale_after"}
    return _text(device.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=included))


def _text(item: Any) -> str:
    return json.dumps(_sorted_sets(item), sort_keys=True, ensure_ascii=False)


def _object(texts: dict[str, str]) -> str:
    """A JSON object from the texts of its values, as `_text` would write it."""
    return "{" + ", ".join(f"{_text(key)}: {texts[key]}" for key in sorted(texts)) + "}"


def _sorted_sets(item: Any) -> Any:
    """Weekdays are sets, which JSON would write in no particular order."""
    if isinstance(item, dict):
        return {
            key: sorted(below) if key == "days" and not isinstance(below, int) else _sorted_sets(below)
            for key, below in item.items()
        }
    return [_sorted_sets(below) for below in item] if isinstance(item, list) else item
