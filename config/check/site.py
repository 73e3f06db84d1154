"""Cross-checks between the blocks of a site file."""

from collections.abc import Iterator
from typing import Any

from config.check.andon import check_andon
from config.check.calendars import check_calendars
from config.check.machines import Profiles, check_machines
from config.check.recordings import check_recordings
from config.check.sizes import check_sizes
from config.devices.device import DeviceModel
from config.site.model import LineModel, ProductAt, ProductModel, Site
from config.site.names import ONLINE, DefinedNames
from config.site.values import check_values
from config.yaml.complaints import Complaint, Path, SourceMap, nearest
from oee.model.conditions import BadExpression, parse
from oee.model.states import State


def check_site(site: Site, names: DefinedNames, profiles: Profiles, source: SourceMap) -> Iterator[Complaint]:
    """Everything wrong, and every warning, between the blocks of a site file."""
    yield from check_sizes(site, source)
    yield from check_calendars(site, source)
    yield from _check_devices(site, source)
    yield from _check_shared_lines(site, source)
    yield from check_machines(site, names, profiles, source)
    for key, product in site.products.items():
        yield from _check_product(product, names, ("products", key), source)
    for key, reason in site.reasons.items():
        if reason.state in (State.RUNNING, State.UNKNOWN):
            yield source.complain("reason_is_no_stop", ("reasons", key, "is"), reason.state.word)
    yield from _check_lines(site, names, source)
    yield from check_values(site.values, names, source)
    yield from check_recordings(site, names, source)
    yield from check_andon(site, names, source)


def _check_devices(site: Site, source: SourceMap) -> Iterator[Complaint]:
    for device, model in site.devices.items():
        for tag in model.tags:
            path = ("devices", device, "tags", tag)
            if tag == ONLINE:
                yield source.complain("tag_name_taken", path, tag)
            elif not _is_word(tag):
                yield source.complain("bad_word", path, tag)


def _is_word(tag: str) -> bool:
    try:
        return parse(f"x.{tag}").tags == {f"x.{tag}"}
    except BadExpression:
        return False


def _check_product(product: ProductModel, names: DefinedNames, path: Path, source: SourceMap) -> Iterator[Complaint]:
    yield from _check_ideals(product, path, source)
    for machine, differs in product.at.items():
        where = (*path, "at", machine)
        if machine not in names.machines:
            near, known = nearest(machine, names.machines), ", ".join(sorted(names.machines))
            yield source.complain("unknown_machine", where, machine, near=near, known=known)
        yield from _check_ideals(differs, where, source)


def _check_ideals(item: ProductAt, path: Path, source: SourceMap) -> Iterator[Complaint]:
    if item.ideal is not None and item.ideals:
        yield source.complain("ideal_twice", (*path, "ideals"))
    seen = set()
    for number, dated in enumerate(item.ideals):
        if dated.since in seen:
            yield source.complain("same_since", (*path, "ideals", number), dated.since or "")
        seen.add(dated.since)
    for number, seconds in enumerate([item.ideal, *(dated.ideal for dated in item.ideals)]):
        if seconds is not None and seconds < 1e-3:
            spot = (*path, "ideals", number - 1, "ideal") if number else (*path, "ideal")
            yield source.complain("ideal_too_short", spot, f"{seconds:g}s")


def _check_lines(site: Site, names: DefinedNames, source: SourceMap) -> Iterator[Complaint]:
    for name, line in site.lines.items():
        path = ("lines", name, "constraint")
        stations = [key for key, machine in site.machines.items() if machine.line == name]
        if line.constraint and line.constraint not in names.machines:
            near, known = nearest(line.constraint, names.machines), ", ".join(sorted(names.machines))
            yield source.complain("unknown_machine", path, line.constraint, near=near, known=known)
        elif line.constraint in site.machines and line.constraint not in stations:
            yield source.complain("constraint_elsewhere", path, line.constraint, line=name)
        elif line.flow == "serial" and not line.constraint:
            yield source.complain("no_constraint", ("lines", name), severity="warning", line=name)
        yield from _check_order(line, stations, name, names, source)


def _check_order(
    line: LineModel, stations: list[str], name: str, names: DefinedNames, source: SourceMap
) -> Iterator[Complaint]:
    """`stations`, where it is given: all machines of the line, each once."""
    where = ("lines", name, "stations")
    for number, key in enumerate(line.stations):
        if key not in names.machines:
            near, known = nearest(key, names.machines), ", ".join(sorted(names.machines))
            yield source.complain("unknown_machine", (*where, number), key, near=near, known=known)
        elif key not in stations:
            yield source.complain("station_elsewhere", (*where, number), key, line=name)
        elif key in line.stations[:number]:
            yield source.complain("station_twice", (*where, number), key)
    missing = [key for key in stations if key not in line.stations]
    if line.stations and missing:
        yield source.complain("station_missing", where, missing=", ".join(missing), line=name)


def _check_shared_lines(site: Site, source: SourceMap) -> Iterator[Complaint]:
    """Every error and warning about devices that share a line, and the warnings of each device."""
    first_on: dict[tuple[str, str], tuple[str, DeviceModel]] = {}
    for name, device in site.devices.items():
        if device.line:
            other_name, other = first_on.setdefault((device.kind, device.line), (name, device))
            other_settings = other.line_settings()
            for key, setting in device.line_settings().items():
                if setting != other_settings[key]:
                    where = ("devices", name, key)
                    yield source.complain(
                        "modbus_line_differs",
                        where,
                        _word(setting),
                        other=other_name,
                        theirs=_word(other_settings[key]),
                    )
        yield from device.warnings(name, source)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}s"
    return "–" if value is None else str(value)
