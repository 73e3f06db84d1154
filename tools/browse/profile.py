"""An equipment profile's nodes in the address space of a server, found by the standard's browse names. Pure.

Companion specifications fix browse names, not node ids. A variable of a profile lists the places where its node may lie:
browse names from the machine's own object on. Where the node of a way's first variable is found, that object is known,
and everything else is taken from its place below the same object, or is absent: what lies elsewhere belongs to another
machine. Each machine is taken in its own way, since an old and a new one may stand on one server.

Gateways often write several levels into one name (`Machine.ProductionStatus`): a dot or a slash within a name separates
levels too.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from adapters.browsing import Browsed, BrowsedNode, is_single, part_of
from config.templates.equipment import Equipment
from config.templates.variables import BrowsePlace, Variable

_LEVELS = re.compile(r"[./\\]")
ANY = "*"
"""A level of any name; a variable's is the one that the machine's first node has there (the same channel)."""


@dataclass(frozen=True)
class Found:
    """A variable's node. steps: browse names from the machine's object to it; place: as the profile has it."""

    node: BrowsedNode
    steps: tuple[str, ...]
    place: BrowsePlace

    @property
    def value(self) -> object:
        """The value that a tag would hold; None if there is none at the moment."""
        return part_of(self.node.value, int(self.place.index) if self.place.index else None, _parts(self.place))

    @property
    def text(self) -> str:
        """`Admin/ProdProcessedCount[0].AccCount`."""
        return str(BrowsePlace(self.steps, self.place.index, self.place.field))

    @property
    def reads(self) -> bool:
        """Whether the node holds what its place says."""
        return self.node.kind == "variable" and is_single(self.value)

    @property
    def may_read(self) -> bool:
        """Whether it may at another time: a machine that is off, or a state machine in no state, has no values."""
        return self.reads or (self.node.kind == "variable" and self.node.value is None)


@dataclass(frozen=True)
class Match:
    """One machine: the path of its object, each variable's node, and for an absent one, nodes of its name elsewhere.
    others: further nodes that could be its first (other channels).
    """

    path: tuple[str, ...]
    nodes: dict[str, Found]
    others: tuple[Found, ...] = ()
    elsewhere: Mapping[str, tuple[BrowsedNode, ...]] = field(default_factory=dict)


class Tree:
    """What was walked, by levels of names. A name of several levels makes nodes of its own between."""

    def __init__(self, browsed: Browsed) -> None:
        self.items = {item.node: item for item in browsed.nodes}
        self._root = browsed.root
        self._down: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._up: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for parent, below in browsed.children.items():
            for name, node in below:
                self._link(parent, [part for part in _LEVELS.split(name) if part] or [name], node)

    def _link(self, parent: str, names: Sequence[str], node: str) -> None:
        for name in names[:-1]:
            between = f"{parent}\n{name}"
            self._edge(parent, name, between)
            parent = between
        self._edge(parent, names[-1], node)

    def _edge(self, parent: str, name: str, node: str) -> None:
        if node not in self._down[parent][name]:
            self._down[parent][name].append(node)
            self._up[node].append((name, parent))

    def above(self, node: str, place: BrowsePlace) -> Iterable[tuple[str, tuple[str, ...]]]:
        """Objects from which the place leads to this node, with the names of its levels."""
        reached: list[tuple[str, tuple[str, ...]]] = [(node, ())]
        for level in reversed(place.levels):
            reached = [
                (parent, (name, *names))
                for at, names in reached
                for name, parent in self._up[at]
                if level in (name, ANY)
            ]
        return reached

    def below(self, root: str, place: BrowsePlace, bound: Sequence[str]) -> Iterable[Found]:
        """Nodes at a place of an object. bound: the names that its `*` stand for."""
        names = iter(bound)
        steps = [next(names, ANY) if level == ANY else level for level in place.levels]
        reached: list[tuple[str, tuple[str, ...]]] = [(root, ())]
        for step in steps:
            reached = [
                (node, (*path, name))
                for at, path in reached
                for name in (self._down[at] if step == ANY else (step,))
                for node in self._down[at].get(name, ())
            ]
        return (Found(self.items[node], path, place) for node, path in reached if node in self.items)

    def path(self, root: str) -> tuple[str, ...]:
        """The path of a machine's object, as people see it."""
        if root in self.items:
            return self.items[root].path
        if root == self._root:
            return ()
        parent, _, name = root.rpartition("\n")  # a level within a name
        return (*self.path(parent), name)


def matches_of(profile: Equipment, browsed: Browsed) -> list[Match]:
    """The machines that match this profile, by path; none if no way of it is there wholly."""
    tree = Tree(browsed)
    ways = _ways(profile)
    begun: dict[str, list[tuple[int, Found]]] = defaultdict(list)
    for number, way in enumerate(ways):
        for root, first in _firsts(way[0], tree):
            begun[root].append((number, first))
    matches = []
    for root, firsts in begun.items():
        match = _match(profile, tree, root, [(ways[number], first) for number, first in firsts])
        if match is not None:
            matches.append(match)
    return _with_elsewhere(profile, tree, _each_once(matches))


def row_of(profile: Equipment, number: int, url: str, match: Match, given: dict[str, str]) -> dict[str, str]:
    """A row of `use` for a machine. given: what else the connection needs."""
    names = [item.name for item in profile.variables.values() if item.required]
    prefix = profile.variables["machine"].example.rpartition("-")[0]
    defaults = {"machine": f"{prefix}-{number}", "url": url}
    nodes: dict[str, str] = {}
    for name, found in match.nodes.items():
        nodes[name] = found.node.node
        parts = {f"{name}_index": found.place.index, f"{name}_field": found.place.field}
        nodes |= {key: text for key, text in parts.items() if text}
    return {name: defaults[name] for name in names if name in defaults} | given | nodes


def _ways(profile: Equipment) -> list[list[Variable]]:
    """The sets of variables of which a machine must have one wholly."""
    if profile.ways:
        return [[profile.variables[name] for name in way] for way in profile.ways]
    needed = [item for item in profile.variables.values() if item.browse and item.required]
    return [needed] if needed else []


def _firsts(variable: Variable, tree: Tree) -> list[tuple[str, Found]]:
    """Nodes of a variable, each with the machine's object by its most specific place."""
    out = []
    for node, item in sorted(tree.items.items(), key=lambda pair: pair[1].path):
        for place in variable.browse:
            found = [(root, Found(item, names, place)) for root, names in tree.above(node, place)]
            usable = [pair for pair in found if pair[1].may_read]
            out += usable
            if usable:
                break
    return out


def _match(
    profile: Equipment, tree: Tree, root: str, firsts: Sequence[tuple[Sequence[Variable], Found]]
) -> Match | None:
    """A machine in the first of its ways whose nodes all have values, else in the first whose nodes are all there."""
    for needs_values in (True, False):
        for way, first in firsts:
            bound = [name for name, level in zip(first.steps, first.place.levels, strict=True) if level == ANY]
            nodes = {way[0].name: first}
            for variable in (*way[1:], *optional(profile, way[0].name)):
                found = _at(tree, root, variable, bound)
                if found is not None:
                    nodes[variable.name] = found
            if all(item.name in nodes and (nodes[item.name].reads or not needs_values) for item in way):
                others = tuple(other for same, other in firsts if same is way and other.node is not first.node)
                return Match(tree.path(root), nodes, others)
    return None


def optional(profile: Equipment, first: str) -> list[Variable]:
    """The variables that a machine may lack. first: of the way in which it is read."""
    of_ways = {name for way in profile.ways for name in way}
    return [
        item
        for item in profile.variables.values()
        if item.browse and item.optional and item.name not in of_ways and item.only_with in {"", first}
    ]


def _at(tree: Tree, root: str, variable: Variable, bound: Sequence[str]) -> Found | None:
    """A variable's node below a machine's object: the first that has a value, else the first that may have one."""
    found = [item for place in variable.browse for item in tree.below(root, place, bound)]
    return next((item for item in found if item.reads), None) or next((item for item in found if item.may_read), None)


def _each_once(matches: Sequence[Match]) -> list[Match]:
    """Without a machine that is only another view of one: its first node is the same, and it has fewer."""
    best: dict[str, Match] = {}
    for match in sorted(matches, key=lambda item: (-len(item.nodes), item.path)):
        best.setdefault(next(iter(match.nodes.values())).node.node, match)
    return sorted(best.values(), key=lambda item: item.path)


def _with_elsewhere(profile: Equipment, tree: Tree, matches: Sequence[Match]) -> list[Match]:
    """The same, with what lies elsewhere on the server under the name of what a machine lacks."""
    taken = {found.node.node for match in matches for found in match.nodes.values()}

    def near(variable: Variable, match: Match) -> tuple[BrowsedNode, ...]:
        end = min(variable.browse, key=lambda place: len(place.levels))
        others = [other.path for other in matches if other is not match and other.path]
        return tuple(
            item
            for node, item in tree.items.items()
            if node not in taken
            and not any(item.path[: len(path)] == path for path in others)
            and any(tree.above(node, end))
        )

    def elsewhere(match: Match) -> dict[str, tuple[BrowsedNode, ...]]:
        absent = [item for item in optional(profile, next(iter(match.nodes))) if item.name not in match.nodes]
        return {item.name: items for item in absent if (items := near(item, match))}

    return [replace(match, elsewhere=elsewhere(match)) for match in matches]


def _parts(place: BrowsePlace) -> tuple[str, ...]:
    return tuple(place.field.split(".")) if place.field else ()
