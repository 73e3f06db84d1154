"""Cross-checks of recordings: devices, columns, names, words, zones."""

from collections.abc import Iterator
from zoneinfo import available_timezones

from config.check.calendars import is_zone
from config.site.model import Site
from config.site.names import ONLINE, DefinedNames, missing_tag
from config.site.recordings import DATE, IGNORED, ROLES, TAG, TIME, VALUE, RecordingModel
from config.yaml.complaints import Complaint, Path, SourceMap, nearest


def check_recordings(site: Site, names: DefinedNames, source: SourceMap) -> Iterator[Complaint]:
    """Everything wrong with how recorded files are described."""
    for device, model in site.recordings.items():
        path: Path = ("recordings", device)
        if device not in names.devices:
            near, known = nearest(device, names.devices), ", ".join(sorted(names.devices))
            yield source.complain("unknown_device", path, device, device=device, near=near, known=known)
            continue
        yield from _check_columns(device, model, names, path, source)
        yield from _check_words(model, path, source)
        if model.timezone and not is_zone(model.timezone):
            near = nearest(model.timezone, available_timezones())
            yield source.complain("unknown_zone", (*path, "timezone"), model.timezone, near=near)


def _check_columns(
    device: str, model: RecordingModel, names: DefinedNames, path: Path, source: SourceMap
) -> Iterator[Complaint]:
    own = {tag.partition(".")[2] for tag in names.tags if tag.startswith(f"{device}.")}
    columns = [(name, (*path, "columns", place)) for place, name in enumerate(model.columns)]
    named = [(name, (*path, "names", written)) for written, name in model.names.items()]
    for name, where in (*columns, *named):
        if name not in own and name not in ROLES and name != IGNORED:
            near, known = nearest(name, {*own, *ROLES}), ", ".join([*sorted(own), *ROLES, IGNORED])
            yield source.complain("unknown_column", where, name, near=near, known=known)
    for tag, counted in model.counts.items():
        for name in (tag, counted):
            if name not in own or name == ONLINE:
                yield missing_tag(f"{device}.{name}", names, (*path, "counts", tag), source)
        if tag == counted:
            yield source.complain("counts_itself", (*path, "counts", tag), tag)
    written = [name for name in model.columns if name != IGNORED]
    for place, name in enumerate(model.columns):
        if name != IGNORED and name in model.columns[:place]:
            yield source.complain("column_twice", (*path, "columns", place), name)
    if written and TIME not in written and DATE not in written:
        yield source.complain("columns_without_time", (*path, "columns"))
    if (TAG in written) != (VALUE in written) and not {TAG, VALUE} & own:
        yield source.complain("half_a_long_table", (*path, "columns"), missing=VALUE if TAG in written else TAG)


def _check_words(model: RecordingModel, path: Path, source: SourceMap) -> Iterator[Complaint]:
    seen: dict[str, float] = {}
    for word, value in model.words.items():
        if seen.setdefault(word.strip().casefold(), value) != value:
            yield source.complain("word_twice", (*path, "words", word), word)
