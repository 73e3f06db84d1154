"""Columns of a device's file: which are known, which of them the numbers depend on, and their type.

A *wide* file has a column for each tag, a *long* one a row for each value, with columns for its tag and its value.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, Literal

from config import RecordingModel, Site
from config.site.recordings import DATE, IGNORED, OFFSET, QUALITY, ROLES, TAG, TIME, VALUE
from oee.model.machine import Machine
from replay.read.conflicts import Conflicts

Kind = Literal["number", "text", "any"]
_TIME_NAMES: Final = ("time", "timestamp", "datetime", "date time", "date/time", "date_time")
"""What the time column may be called, in any case; `time` itself always is."""
_UNIT: Final = re.compile(r"(.*\S)\s*(\[[^\[\]]*\]|\([^()]*\))")
ONLINE: Final = "online"


@dataclass(frozen=True)
class Columns:
    """Positions of a file's columns. tags: position to (full tag name, kind) of the columns to be read; date, offset: of a
    time in several columns; tag, value, quality: of a long file, which has the kinds of its tags in `kinds` and no `tags`.
    """

    time: int
    tags: Mapping[int, tuple[str, Kind]] = field(default_factory=dict)
    date: int | None = None
    offset: int | None = None
    tag: int | None = None
    value: int | None = None
    quality: int | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    @property
    def is_long(self) -> bool:
        """Whether each row holds one value."""
        return self.tag is not None

    def wanted(self) -> list[int]:
        """The positions of all columns to be read, in the file's order."""
        parts = (self.time, self.date, self.offset, self.tag, self.value, self.quality)
        return sorted({*self.tags, *(part for part in parts if part is not None)})


def recording_of(site: Site, device: str) -> RecordingModel:
    """How the device's file is written."""
    return site.recordings.get(device) or RecordingModel.model_validate({})


def used_tags(machines: Mapping[str, Machine]) -> frozenset[str]:
    """Every tag that some machine's numbers depend on."""
    return frozenset().union(*(machine.tags() for machine in machines.values()))


def counters_of(machines: Mapping[str, Machine]) -> frozenset[str]:
    """Every tag that some machine counts with."""
    return frozenset(item.tag for machine in machines.values() for item in machine.pieces.counters().values())


def kind_of(site: Site, machines: Mapping[str, Machine], tag: str) -> Kind:
    """The type of the tag's column according to the site file; `any` where only the device knows it."""
    device, _, name = tag.partition(".")
    if tag in counters_of(machines) or any(tag == machine.pieces.cavities for machine in machines.values()):
        return "number"
    if name in recording_of(site, device).counts.values():
        return "number"
    model = site.devices[device].tags.get(name) if device in site.devices else None
    value_type = getattr(model, "value_type", None)
    if name == ONLINE:
        return "number"
    return "any" if value_type is None else "text" if value_type == "string" else "number"


class ColumnNames:
    """What the columns of one device's file are called."""

    def __init__(self, device: str, site: Site) -> None:
        self.known = {*site.devices[device].tags, ONLINE}
        self._device = device
        self._given = {_plain(written): name for written, name in recording_of(site, device).names.items()}
        self._folded = {name.casefold(): name for name in self.known}

    def meant(self, written: str) -> str:
        """The tag or role that a name in the file stands for; the name itself if there is none."""
        given = self._given.get(_plain(written))
        if given is not None:
            return given
        name = written.strip().removeprefix(f"{self._device}.")
        unit = _UNIT.fullmatch(name)
        for candidate in (name, unit[1] if unit else name):
            found = candidate if candidate in self.known else self._folded.get(candidate.casefold())
            if found is not None:
                return found
        return name.lower() if name.lower() in (DATE, TAG, VALUE, QUALITY) else name

    def tag(self, written: str) -> str:
        """The full name of the tag that a name in a long file stands for, "" if there is none; `-` for one that the site
        file leaves out."""
        name = self.meant(written)
        return f"{self._device}.{name}" if name in self.known else IGNORED if name == IGNORED else ""

    def nearest(self, name: str) -> str:
        """The most similar name that would be understood, or ""."""
        near = get_close_matches(name, [TIME, *self.known], 1)
        return near[0] if near else ""


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def match(
    written: Sequence[str],
    device: str,
    site: Site,
    machines: Mapping[str, Machine],
    file: str,
    conflicts: Conflicts,
    line: int = 1,
) -> Columns | None:
    """Columns by their names in the header (or, without one, in the site file); None without a time column. line: the
    header's."""
    names = ColumnNames(device, site)
    meant = _with_time([names.meant(name) for name in written], written, names.known)
    roles: dict[str, int] = {}
    tags: dict[int, str] = {}
    for position, name in enumerate(meant):
        if name in names.known and name not in tags.values():
            tags[position] = name
        elif name in ROLES and name not in roles:
            roles[name] = position
        elif name in tags.values() or name in roles:
            conflicts.add(file, line, "duplicate_column", name)
        elif name != IGNORED:
            near = names.nearest(name)
            conflicts.add(file, line, "unknown_column", written[position].strip(), near=near, device=device)
    if TIME not in roles and DATE in roles:
        roles[TIME] = roles.pop(DATE)
    is_long = TAG in roles and VALUE in roles
    for name in () if is_long else sorted({TAG, VALUE, QUALITY} & roles.keys()):
        near = names.nearest(name)
        conflicts.add(file, line, "unknown_column", written[roles.pop(name)].strip(), near=near, device=device)
    if TIME not in roles:
        conflicts.add(file, line, "no_time_column", "", ", ".join(name.strip() for name in written))
        return None
    needed = needed_of(device, site, machines)
    if not is_long:
        report_missing(needed - {*tags.values()}, device, site, machines, file, line, conflicts)
    for name in sorted(recording_of(site, device).counts.keys() & {*tags.values()}):
        conflicts.add(file, line, "counted_anyway", name, severity="note", tag=recording_of(site, device).counts[name])
    kinds: dict[str, Kind] = {
        f"{device}.{name}": kind_of(site, machines, f"{device}.{name}") for name in sorted(needed)
    }
    read = {position: (full, kinds[full]) for position, name in tags.items() if (full := f"{device}.{name}") in kinds}
    return Columns(
        roles[TIME],
        {} if is_long else read,
        roles.get(DATE),
        roles.get(OFFSET),
        roles.get(TAG) if is_long else None,
        roles.get(VALUE) if is_long else None,
        roles.get(QUALITY) if is_long else None,
        kinds if is_long else {},
    )


def needed_of(device: str, site: Site, machines: Mapping[str, Machine]) -> set[str]:
    """The device's tags that have to be read: those that numbers depend on, and what is counted in place of a counter."""
    counts = recording_of(site, device).counts
    needed = {tag.partition(".")[2] for tag in used_tags(machines) if tag.partition(".")[0] == device}
    return (needed - counts.keys()) | {counts[name] for name in needed & counts.keys()}


def report_missing(
    names: Collection[str],
    device: str,
    site: Site,
    machines: Mapping[str, Machine],
    file: str,
    line: int,
    conflicts: Conflicts,
) -> None:
    """Reports tags that numbers depend on and that the file does not have."""
    counts = recording_of(site, device).counts
    for name in sorted(set(names) - {ONLINE}):
        needing = {f"{device}.{tag}" for tag in (name, *(tag for tag, counted in counts.items() if counted == name))}
        users = [key for key, machine in machines.items() if needing & machine.tags()]
        conflicts.add(file, line, "missing_column", name, machines=", ".join(users))


def _with_time(meant: Sequence[str], written: Sequence[str], known: Collection[str]) -> list[str]:
    """The names, with `time` for the only one that is called like a time, where there is none."""
    alike = [at for at, name in enumerate(written) if _plain(name) in _TIME_NAMES and meant[at] not in known]
    if TIME in meant or len(alike) != 1:
        return list(meant)
    return [TIME if at == alike[0] else name for at, name in enumerate(meant)]
