"""An equipment profile's nodes in the address space of a server, found by the standard's browse names. Pure.

Companion specifications fix browse names, not node ids. A variable of a profile therefore lists suffixes of the browse
path of its node, the most specific first. Each node that matches the profile's first such variable is a machine; of the
other variables, the nodes nearest to it are taken, except those nearer to another machine. Gateways often write several
levels into one name (`Machine.ProductionStatus`): a dot or a slash within a name separates levels too.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.browsing import BrowsedNode
from config.templates.equipment import Equipment
from config.templates.variables import Variable

_LEVELS = re.compile(r"[./\\]")


@dataclass(frozen=True)
class Match:
    """One machine: the path of its first node, and each variable's node."""

    path: tuple[str, ...]
    nodes: dict[str, BrowsedNode]


def matches_of(profile: Equipment, items: Sequence[BrowsedNode]) -> list[Match]:
    """The machines that match this profile; none if its required nodes are missing."""
    wanted = [item for item in profile.variables.values() if item.browse]
    if not wanted:
        return []
    first, *rest = sorted(wanted, key=lambda item: not item.required)
    anchors = _ending(first, items)
    out = []
    for anchor in anchors:
        nodes = {first.name: anchor}
        rivals = [_levels(item) for item in anchors if item is not anchor]
        for variable in rest:
            item = _nearest(variable, items, _levels(anchor), rivals)
            if item is not None:
                nodes[variable.name] = item
        if all(item.name in nodes for item in wanted if item.required):
            out.append(Match(anchor.path, nodes))
    return out


def row_of(profile: Equipment, number: int, url: str, match: Match, given: dict[str, str]) -> dict[str, str]:
    """A row of `use` for a machine. given: what else the connection needs."""
    names = [item.name for item in profile.variables.values() if item.required]
    prefix = profile.variables["machine"].example.rpartition("-")[0]
    defaults = {"machine": f"{prefix}-{number}", "url": url}
    nodes = {name: item.node for name, item in match.nodes.items()}
    return {name: defaults[name] for name in names if name in defaults} | given | nodes


def _ending(variable: Variable, items: Sequence[BrowsedNode]) -> list[BrowsedNode]:
    """The readable items whose browse path ends with the variable's first suffix that any of them has."""
    for suffix in variable.browse:
        levels = tuple(suffix.split("/"))
        matching = [item for item in items if item.readable and _levels(item)[-len(levels) :] == levels]
        if matching:
            return matching
    return []


def _nearest(
    variable: Variable, items: Sequence[BrowsedNode], anchor: tuple[str, ...], rivals: Sequence[tuple[str, ...]]
) -> BrowsedNode | None:
    closest = [
        item
        for item in _ending(variable, items)
        if all(_shared(_levels(item), anchor) >= _shared(_levels(item), rival) for rival in rivals)
    ]
    return max(closest, key=lambda item: _shared(_levels(item), anchor), default=None)


def _levels(item: BrowsedNode) -> tuple[str, ...]:
    return tuple(level for name in item.browse_path for level in _LEVELS.split(name) if level)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    count = 0
    for one_level, other_level in zip(one, other, strict=False):
        if one_level != other_level:
            break
        count += 1
    return count
