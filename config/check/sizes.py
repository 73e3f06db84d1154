"""How much a site file may hold: as much as a center accepts of one gateway."""

from collections.abc import Iterator, Mapping, Sequence

from config.site.model import CalendarModel, ExceptionModel, ShiftModel, Site
from config.site.values import kept_values
from config.yaml.complaints import Complaint, Path, SourceMap
from oee.model import limits


def check_sizes(site: Site, source: SourceMap) -> Iterator[Complaint]:
    """What is too long or too much."""
    tags = [f"{device}.{tag}" for device, model in site.devices.items() for tag in model.tags] if site.values else []
    counts = {
        "machines": (len(site.machines), limits.MOST_MACHINES),
        "products": (len(site.products), limits.MOST_PRODUCTS),
        "reasons": (len(site.reasons), limits.MOST_REASONS),
        "lines": (len(site.lines), limits.MOST_LINES),
        "calendars": (len(site.calendars) + 1, limits.MOST_CALENDARS),
        "devices": (len(site.devices), limits.MOST_DEVICES),
        "targets": (len(site.targets), limits.MOST_TARGETS),
        "maintenance": (len(site.maintenance), limits.MOST_TASKS),
        "values": (len(kept_values(site.values, tags)), limits.MOST_VALUES),
    }
    for section, (count, most) in counts.items():
        yield from _many(count, most, (section,), source)
    yield from _calendar(site.calendar(""), (), source)
    for name, calendar in site.calendars.items():
        yield from _calendar(calendar, ("calendars", name), source)
    yield from _names(site, source)


def _many(count: int, most: int, path: Path, source: SourceMap) -> Iterator[Complaint]:
    if count > most:
        yield source.complain("too_many", path, count=count, most=most)


def _calendar(calendar: CalendarModel, path: Path, source: SourceMap) -> Iterator[Complaint]:
    yield from _shifts(calendar.shifts, (*path, "shifts"), source)
    yield from _many(sum(map(_days, calendar.exceptions)), limits.MOST_EXCEPTIONS, (*path, "exceptions"), source)
    for number, item in enumerate(calendar.exceptions):
        yield from _shifts(item.shifts, (*path, "exceptions", number, "shifts"), source)


def _days(item: ExceptionModel) -> int:
    return max((item.last - item.first).days, 0) + 1 if item.last else 1


def _shifts(shifts: Sequence[ShiftModel], path: Path, source: SourceMap) -> Iterator[Complaint]:
    yield from _many(len(shifts), limits.MOST_SHIFTS, path, source)
    for number, shift in enumerate(shifts):
        yield from _long(shift.name, (*path, number, "name"), source)
        yield from _many(len(shift.breaks), limits.MOST_BREAKS, (*path, number, "breaks"), source)


def _names(site: Site, source: SourceMap) -> Iterator[Complaint]:
    """Names, and the keys by which things are counted."""
    named: dict[str, Mapping[str, Mapping[str, str]]] = {
        "machines": {key: item.name for key, item in site.machines.items()},
        "products": {key: item.name for key, item in site.products.items()},
        "reasons": {key: item.name for key, item in site.reasons.items()},
        "lines": {key: item.name for key, item in site.lines.items()},
    }
    for text in site.name.values():
        yield from _long(text, ("name",), source)
    for section, names in named.items():
        for key, name in names.items():
            for text in {key, *name.values()}:
                yield from _long(text, (section, key), source)


def _long(text: str, path: Path, source: SourceMap) -> Iterator[Complaint]:
    if len(text) > limits.MOST_CHARACTERS:
        yield source.complain("too_long", path, text, count=len(text), most=limits.MOST_CHARACTERS)
