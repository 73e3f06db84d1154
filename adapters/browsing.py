"""Browsing the address space of a server, for `nhip browse`: what a kind with browsable servers offers. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Any, Protocol

Login = tuple[str, str]
"""User and password, where no file holds them."""


@dataclass(frozen=True)
class Walk:
    """How far to walk. node: where to begin, "" for the top; depth: levels below it; most: nodes after which to stop."""

    node: str = ""
    depth: int = 6
    most: int = 2000


@dataclass(frozen=True)
class BrowsedNode:
    """One node. path: as the server names it to people; node: its id with the namespace by URI; kind: its node class
    in lower case; status: as the server named it, "Good" where it is; value, data_type: of a variable, an array as a
    list, a structure as a mapping of its fields; browse_path: the same as `path` in names for programs, which do not
    change with the language.
    """

    depth: int
    path: tuple[str, ...]
    node: str
    kind: str
    data_type: str = ""
    value: Any = None
    status: str = ""
    source_time: datetime | None = None
    browse_path: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path[-1]

    @property
    def readable(self) -> bool:
        """Whether it may be a tag: a variable that holds one number, text or truth value."""
        return self.kind == "variable" and is_single(self.value)


def is_single(value: Any) -> bool:
    """Whether it is one number, text or truth value."""
    return isinstance(value, bool | int | float | str)


def part_of(value: Any, index: int | None = None, path: Sequence[str] = ()) -> Any:
    """The element of an array, then the field of a structure in it; None where there is none."""
    if index is not None:
        value = value[index] if isinstance(value, list) and index < len(value) else None
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


@dataclass(frozen=True)
class Browsed:
    """The result of a walk. nodes: in the order of the tree, each once; cut: there were more nodes than the walk allowed;
    children: for each node that was walked, browse name and id of everything below it, since a node may be below several;
    root: the id of the node where it began; interrupted: the walk was cancelled, and values may be missing.
    """

    nodes: Sequence[BrowsedNode]
    cut: bool
    children: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    root: str = ""
    interrupted: bool = False


class Browser(Protocol):
    """Walks servers of one kind."""

    async def __call__(
        self,
        url: str,
        settings: Mapping[str, str],
        files: PurePath,
        walk: Walk,
        login: Login | None,
        on_progress: Callable[[int], None],
    ) -> Browsed:
        """The nodes of the server at `url`.

        settings: keys of the site file, as they were typed; files: folder for certificates that they do not place;
        on_progress: called with the number of nodes seen so far. Cancelled, it returns what it has seen. Raises
        `NotConnected`, `DeviceMisconfigured`, and pydantic's `ValidationError` where the site file would refuse the settings.
        """
        ...
