"""An address space as text, and as tags for the site file. Pure."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapters.browsing import BrowsedNode, is_single

_LEVELS = re.compile(r"[./\\]")
_PLAIN = re.compile(r"[A-Za-z_][\w.-]*")
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
    """A line of the site file for each node that may be a tag, the first element of an array, and each field of a
    structure; names are unique.
    """
    taken: set[str] = set()
    lines = []
    for node in nodes:
        if node.kind == "variable":
            for names, selected, note in _parts(node):
                name = _unique((*node.path, *names), taken)
                taken.add(name)
                quote = "'" if '"' in node.node else '"'
                lines.append(f"{name}: {{node: {quote}{node.node}{quote}{selected}}}{note}")
    return lines


def _parts(node: BrowsedNode) -> Iterable[tuple[tuple[str, ...], str, str]]:
    """What a node can give to tags: names beyond its own, the keys that select it, and a comment."""
    value, selected, note = node.value, "", ""
    if isinstance(value, list) and value:
        selected, note = ", index: 0", f"  # index: 0 … {len(value) - 1}" if len(value) > 1 else ""
        value = value[0]
    if is_single(value):
        is_state = node.data_type == "NodeId" and node.browse_path[-2:] == ("CurrentState", "Id")
        yield (), selected + (", state_name: true" if is_state else ""), note
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if is_single(item):
                yield (name,), f"{selected}, field: {_quoted(name)}", note


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def shown_value(value: Any, longest: int = 40) -> str:
    """A value as short text: `[11, 22]` for an array, `{ID: 1, Count: 5}` for a structure."""
    if isinstance(value, list | tuple):
        text = f"[{', '.join(shown_value(item) for item in value[:longest])}]"
    elif isinstance(value, Mapping):
        text = f"{{{', '.join(f'{name}: {shown_value(item)}' for name, item in value.items())}}}"
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
