"""An address space that can be walked, as `nhip browse` shows it: what a kind with browsable servers offers. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any, Protocol

Login = tuple[str, str]
"""User and password, where they are in no file."""


@dataclass(frozen=True)
class Walk:
    """node: where to begin, "" at the top; depth: levels below it; most: nodes after which to stop."""

    node: str = ""
    depth: int = 6
    most: int = 2000


@dataclass(frozen=True)
class BrowsedNode:
    """One node. path: as the server names it to people; node: its id with the namespace by URI; kind: its node class
    in lower case; status: as the server named it, "Good" where it is; value, data_type: of a variable; browse_path:
    the same as `path` in names for programs, which do not change with the language.
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
        """Its own name."""
        return self.path[-1]

    @property
    def readable(self) -> bool:
        """Whether it may be a tag: a variable that holds one number, text or truth value."""
        return self.kind == "variable" and isinstance(self.value, bool | int | float | str)


@dataclass(frozen=True)
class Browsed:
    """nodes in the order of the tree; cut: there was more than the walk was allowed to see."""

    nodes: Sequence[BrowsedNode]
    cut: bool


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

        settings: of the site file, as they were typed; files: folder for files that they do not place;
        on_progress: told how many nodes were seen. Raises `NotConnected`, `DeviceMisconfigured`, and pydantic's
        `ValidationError` where the site file would refuse the settings.
        """
        ...
