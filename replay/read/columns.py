"""Columns of a device's file: which are known, which of them the numbers depend on, and their type."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from config import Site
from oee.model.machine import Machine
from replay.read.conflicts import Conflicts

Kind = Literal["number", "text", "any"]
TIME: Final = "time"
_TIME_NAMES: Final = ("time", "timestamp")
"""What the time column may be called, in any case; `time` itself always is."""
ONLINE: Final = "online"


@dataclass(frozen=True)
class Columns:
    """time: position of the time column; tags: position to (full tag name, kind) of the columns to be read."""

    time: int
    tags: Mapping[int, tuple[str, Kind]]


def used_tags(machines: Mapping[str, Machine]) -> frozenset[str]:
    """Every tag that some machine's numbers depend on."""
    return frozenset().union(*(machine.tags() for machine in machines.values()))


def counters_of(machines: Mapping[str, Machine]) -> frozenset[str]:
    """Every tag that some machine counts with."""
    return frozenset(item.tag for machine in machines.values() for item in machine.pieces.counters().values())


def kind_of(site: Site, machines: Mapping[str, Machine], tag: str) -> Kind:
    """The type of the tag's column according to the site file; `any` where only the device knows it."""
    if tag in counters_of(machines) or any(tag == machine.pieces.cavities for machine in machines.values()):
        return "number"
    device, _, name = tag.partition(".")
    model = site.devices[device].tags.get(name) if device in site.devices else None
    value_type = getattr(model, "value_type", None)
    if name == ONLINE:
        return "number"
    return "any" if value_type is None else "text" if value_type == "string" else "number"


def _time_column(names: Sequence[str], known: Collection[str]) -> int | None:
    """Position of the only column that is called like a time and is no tag; None where `time` itself is there."""
    written = [name.strip() for name in names]
    alike = [at for at, name in enumerate(written) if name.lower() in _TIME_NAMES and name not in known]
    return alike[0] if len(alike) == 1 and TIME not in written else None


def match(
    names: Sequence[str], device: str, site: Site, machines: Mapping[str, Machine], file: str, conflicts: Conflicts
) -> Columns | None:
    """Columns by their names in the header; None without a time column."""
    known = set(site.devices[device].tags) | {ONLINE}
    needed = {tag.partition(".")[2] for tag in used_tags(machines) if tag.partition(".")[0] == device}
    time: int | None = None
    seen: set[str] = set()
    tags: dict[int, tuple[str, Kind]] = {}
    time_column = _time_column(names, known)
    for position, written in enumerate(names):
        name = TIME if position == time_column else written.strip().removeprefix(f"{device}.")
        if name in seen:
            conflicts.add(file, 1, "duplicate_column", name)
            continue
        seen.add(name)
        if name == TIME:
            time = position
        elif name not in known:
            near = get_close_matches(name, [TIME, *known], 1)
            conflicts.add(file, 1, "unknown_column", written.strip(), near=near[0] if near else "", device=device)
        elif name in needed:
            tag = f"{device}.{name}"
            tags[position] = (tag, kind_of(site, machines, tag))
    for name in sorted(needed - seen - {ONLINE}):
        users = [key for key, machine in machines.items() if f"{device}.{name}" in machine.tags()]
        conflicts.add(file, 1, "missing_column", name, machines=", ".join(users))
    if time is None:
        conflicts.add(file, 1, "no_time_column")
        return None
    return Columns(time, tags)
