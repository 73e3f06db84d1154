"""The table of one quarter: which cells are shown. Pure.

A cell holds one measure of the machines of one kind in one trade; its parent holds the same of all trades. Whoever knows a
parent and all children but one knows that one too. So a parent is shown only if none of its children is hidden, or several
are and these together may be shown themselves.

Who belongs to the table is fixed for a calendar year. A site that withdraws is left out from the next quarter on, and with it
every cell that it was in, until the year ends: the difference of two quarters would be its own figure.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Final

from oee.benchmark.disclosure import Quartiles, band, may_be_shown, quartiles

ALL_TRADES: Final = ""
"""The trade of a parent."""
STEPS: Final = {
    "oee": 0.01,
    "availability": 0.01,
    "performance": 0.01,
    "quality": 0.01,
    "minor_stop_share": 0.01,
    "setup_share": 0.01,
    "unplanned_share": 0.01,
    "changeover_min": 1.0,
}
"""The measures, and to which step what is shown of them is rounded: a point of a ratio, a minute of the median changeover."""


@dataclass(frozen=True)
class Contribution:
    """What one site brings to a cell. measure: one of `STEPS`; weight_ms: its machines' busy time in the quarter [ms]; value: in
    the measure's unit.
    """

    site: str
    trade: str
    kind: str
    measure: str
    weight_ms: int
    value: float


@dataclass(frozen=True, order=True)
class CellKey:
    """trade: `ALL_TRADES` for a parent; kind: of machines."""

    measure: str
    kind: str
    trade: str


@dataclass(frozen=True)
class ShownCell:
    """What everybody may see of a cell. sites: how many contribute, as a band; quartiles: rounded to the measure's step."""

    sites: str
    quartiles: Quartiles


_Group = tuple[Contribution, ...]


def shown_cells(
    contributions: Iterable[Contribution], members: Collection[str], withdrawn: Collection[str] = ()
) -> dict[CellKey, ShownCell]:
    """The cells that may be shown, parents included; what is missing is hidden, for whichever reason.

    contributions: one a site and cell, those of sites that withdrew too, or the cells that they were in could not be told;
    members: the sites fixed for this year; withdrawn: those of them that took their consent back since. Raises `ValueError`
    for a site that contributes twice to one measure of one kind: it has one trade.
    """
    children = _by_cell(item for item in contributions if item.site in members)
    parents: dict[CellKey, dict[CellKey, _Group]] = {}
    for key, group in children.items():
        parents.setdefault(CellKey(key.measure, key.kind, ALL_TRADES), {})[key] = group
    shown = {}
    for parent, below in parents.items():
        hidden = [group for group in below.values() if not _is_safe(group, withdrawn)]
        everybody = _together(below.values())
        rest_is_safe = not hidden or (len(hidden) > 1 and _is_safe(_together(hidden), withdrawn))
        if rest_is_safe and _is_safe(everybody, withdrawn):
            shown[parent] = everybody
        shown |= {key: group for key, group in below.items() if _is_safe(group, withdrawn)}
    return {key: _cell(group, STEPS[key.measure]) for key, group in sorted(shown.items())}


def members_of_year(consented: Mapping[str, int], first_ns: int) -> frozenset[str]:
    """The sites that are fixed when a year's first table is made at `first_ns`: those that had consented by then [ns UTC]."""
    return frozenset(site for site, since_ns in consented.items() if since_ns <= first_ns)


def _by_cell(contributions: Iterable[Contribution]) -> dict[CellKey, _Group]:
    cells: dict[CellKey, list[Contribution]] = {}
    seen: set[tuple[str, str, str]] = set()
    for item in contributions:
        place = (item.measure, item.kind, item.site)
        if place in seen:
            raise ValueError(f"site {item.site!r} contributes twice to {item.measure} of {item.kind}")
        seen.add(place)
        cells.setdefault(CellKey(item.measure, item.kind, item.trade), []).append(item)
    return {key: tuple(cell) for key, cell in cells.items()}


def _together(groups: Iterable[_Group]) -> _Group:
    return tuple(item for group in groups for item in group)


def _is_safe(group: _Group, withdrawn: Collection[str]) -> bool:
    return not any(item.site in withdrawn for item in group) and may_be_shown([item.weight_ms for item in group])


def _cell(group: _Group, step: float) -> ShownCell:
    exact = quartiles([item.value for item in group])
    return ShownCell(band(len(group)), Quartiles(*(round(round(value / step) * step, 6) for value in astuple(exact))))
