"""An OPC UA address space as text, and as ready tags for the site file. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_LEVELS = re.compile(r"[./\\]")
_SEPARATORS = re.compile(r"\W+")


@dataclass(frozen=True)
class Item:
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

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "path": list(self.path),
            "node": self.node,
            "kind": self.kind,
            "type": self.data_type,
            "value": self.value if self.readable else shown_value(self.value),
            "status": self.status,
            "source_time": self.source_time.isoformat() if self.source_time else None,
        }


def node_text(identifier: str, namespaces: Sequence[str]) -> str:
    """`ns=2;s=Name` with the namespace's URI; as it is in the standard's own namespace, or where it has no URI.

    >>> node_text("ns=1;s=Shots", ["http://opcfoundation.org/UA/", "urn:m"])
    'nsu=urn:m;s=Shots'
    """
    match = re.fullmatch(r"ns=(\d+);(.*)", identifier, re.DOTALL)
    if match is None:
        return identifier
    number = int(match[1])
    if number == 0:
        return match[2]
    uri = namespaces[number] if number < len(namespaces) else ""
    return f"nsu={uri};{match[2]}" if uri and ";" not in uri else identifier


def folded(text: str) -> str:
    """Text as it is compared in a search: without case and accents, so that `nhiet do` finds `Nhiệt độ`."""
    plain = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def matches(item: Item, text: str) -> bool:
    """Whether name or node id contain the text."""
    wanted = folded(text)
    return wanted in folded(item.name) or wanted in folded(item.node)


def tag_lines(items: Iterable[Item]) -> list[str]:
    """A line of the site file for each item that may be a tag; names are unique."""
    taken: set[str] = set()
    lines = []
    for item in items:
        if item.readable:
            name = _unique(item.path, taken)
            taken.add(name)
            lines.append(
                f'{name}: {{node: "{item.node}"}}' if '"' not in item.node else f"{name}: {{node: '{item.node}'}}"
            )
    return lines


def shown_value(value: Any, longest: int = 40) -> str:
    """A value as short text."""
    if isinstance(value, list | tuple):
        text = f"[{len(value)}]"
    elif isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _unique(path: Sequence[str], taken: set[str]) -> str:
    """The shortest end of the path that names nothing else yet, as a name for expressions: `prod_processed_count`."""
    parts = [word for step in path for level in _LEVELS.split(step) if (word := _snake(level))]
    name = "t"
    for length in range(1, len(parts) + 1):
        name = "_".join(parts[-length:])
        name = name if name[0].isalpha() else f"t_{name}"
        if name not in taken:
            return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _snake(text: str) -> str:
    """`ProdProcessedCount` as `prod_processed_count`."""
    humps = "".join(
        f"_{letter}" if letter.isupper() and before.islower() else letter
        for before, letter in zip(" " + text, text, strict=False)
    )
    return _SEPARATORS.sub("_", humps).strip("_").lower()
