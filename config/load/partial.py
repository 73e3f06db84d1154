"""Partial validation: check what is left of a site file of which some parts are invalid.

One mistake must not hide the next: invalid parts are removed, first as little as possible and then more, until the
rest is a `Site` on which the cross-checks can run.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from config.site.model import Site
from config.yaml.complaints import Complaint, Path, SourceMap, dotted
from config.yaml.translate import complaints_of, place

_BY_NAME: Final = frozenset(
    {"devices", "machines", "products", "reasons", "lines", "calendars", "values", "recordings"}
)
_FROM_ABSENCE: Final = frozenset({"gap_without_counter", "pieces_without_total"})
_PLACEHOLDERS: Final[Mapping[str, Any]] = {"site": "x", "timezone": "UTC"}


def validate(data: dict[str, Any], source: SourceMap) -> tuple[Site | None, list[Complaint], frozenset[Path]]:
    """The site without its invalid parts (None if nothing is left); the complaints; and the paths that were removed."""
    broken: set[Path] = set()
    complaints: list[Complaint] = []
    remaining = data
    for depth in (0, 3, 2, 1):  # keys below a section: its entries' keys, its entries, all of it
        if depth:
            remaining = _without(remaining, {path[: depth if path[0] in _BY_NAME else 1] for path in broken})
        try:
            return Site.model_validate(remaining), complaints, frozenset(broken)
        except ValidationError as error:
            complaints = complaints or complaints_of(error, Site, data, source)
            broken |= {place(item["loc"], remaining)[0] or item["loc"][:1] for item in error.errors(include_url=False)}
    return None, complaints, frozenset(broken)


def is_consequence(complaint: Complaint, broken: frozenset[Path]) -> bool:
    """Whether a cross-check may complain only because invalid parts were removed."""
    if complaint.severity == "warning":
        return bool(broken)
    blocks = {dotted(path[:2]) for path in broken}
    return complaint.code in _FROM_ABSENCE and any(complaint.key.startswith(block) for block in blocks)


def _without(data: dict[str, Any], paths: set[Path]) -> dict[str, Any]:
    """A copy without these paths, and with placeholders for required keys."""
    return {
        **{key: item for key, item in _PLACEHOLDERS.items() if key not in data or (key,) in paths},
        **_cut(data, paths),
    }


def _cut(item: Any, paths: set[Path]) -> Any:
    if not isinstance(item, dict) or not paths:
        return item
    return {
        key: _cut(below, {path[1:] for path in paths if len(path) > 1 and path[0] == key})
        for key, below in item.items()
        if (key,) not in paths
    }
