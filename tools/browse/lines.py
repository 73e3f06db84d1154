"""An address space as text, and as tags for the site file. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from adapters.browsing import BrowsedNode

_LEVELS = re.compile(r"[./\\]")
_SEPARATORS = re.compile(r"\W+")


def as_json(node: BrowsedNode) -> dict[str, Any]:
    """A node as plain data."""
    return {
        "path": list(node.path),
        "node": node.node,
        "kind": node.kind,
        "type": node.data_type,
        "value": node.value if node.readable else shown_value(node.value),
        "status": node.status,
        "source_time": node.source_time.isoformat() if node.source_time else None,
    }


def folded(text: str) -> str:
    """Text normalised for search: without case and accents, so that `nhiet do` finds `Nhiệt độ`."""
    plain = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def matches(node: BrowsedNode, text: str) -> bool:
    """Whether name or node id contain the text."""
    wanted = folded(text)
    return wanted in folded(node.name) or wanted in folded(node.node)


def tag_lines(nodes: Iterable[BrowsedNode]) -> list[str]:
    """A line of the site file for each node that may be a tag; names are unique."""
    taken: set[str] = set()
    lines = []
    for node in nodes:
        if node.readable:
            name = _unique(node.path, taken)
            taken.add(name)
            quote = "'" if '"' in node.node else '"'
            lines.append(f"{name}: {{node: {quote}{node.node}{quote}}}")
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
    """A unique name for expressions from the shortest sufficient end of the path: `prod_processed_count`."""
    words = [word for step in path for level in _LEVELS.split(step) if (word := _snake(level))]
    name = "t"
    for length in range(1, len(words) + 1):
        name = "_".join(words[-length:])
        name = name if name[0].isalpha() else f"t_{name}"
        if name not in taken:
            return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _snake(text: str) -> str:
    """`ProdProcessedCount` as `prod_processed_count`."""
    separated = "".join(
        f"_{letter}" if letter.isupper() and before.islower() else letter
        for before, letter in zip(" " + text, text, strict=False)
    )
    return _SEPARATORS.sub("_", separated).strip("_").lower()
