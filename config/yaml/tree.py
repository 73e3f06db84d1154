"""YAML 1.2 as a tree with line numbers.

The usual loaders discard lines, quotes and repeated keys, which a good error message about a typing mistake needs. So
the file is only composed, never constructed; scalars are resolved here by the core schema of YAML 1.2 (2009, section
10.3.2): `06:00`, `on` and `no` are text, and dates stay text as well.

The braces of a template's `${name}` would open a flow mapping. They are replaced by two private-use characters while
YAML is parsed, so that `${name}` needs no quotes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from config.yaml.complaints import Complaint, Path, SourceMap, dotted

_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_VARIABLE: Final = re.compile(r"\$\{([^{}\n]*)\}")
_WORDS: Final = {"": None, "~": None, "true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Scalar:
    """Text as written; plain: without quotes, so that it may be a number."""

    text: str
    plain: bool
    line: int


@dataclass(frozen=True)
class Map:
    """Keys and values in the file's order."""

    pairs: tuple[tuple[Scalar, "Node"], ...]
    line: int

    def get(self, key: str) -> "Node | None":
        """The value of a key, or None."""
        return next((value for name, value in self.pairs if name.text == key), None)


@dataclass(frozen=True)
class Seq:
    """Items in order."""

    items: tuple["Node", ...]
    line: int


Node = Scalar | Map | Seq


def read_tree(text: str, file: str) -> tuple[Map, list[Complaint]]:
    """The tree of a YAML text, and what is wrong with it (an empty tree if it is not YAML)."""
    marked = _VARIABLE.sub("\ue000\\1\ue001", text)
    try:
        root = YAML(typ="safe", pure=True).compose(marked)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        return Map((), 0), [_no_yaml(text, file, line, str(error.problem))]
    except ReaderError as error:
        return Map((), 0), [_no_yaml(text, file, marked.count("\n", 0, error.position) + 1, str(error.reason))]
    if not isinstance(root, MappingNode):
        return Map((), 0), [Complaint(file, 1, "", "", "empty_file" if root is None else "wants_mapping")]
    complaints: list[Complaint] = []
    tree = _node(root, (), complaints, file, ())
    assert isinstance(tree, Map)  # the root is a mapping
    return tree, complaints


def _no_yaml(text: str, file: str, line: int, problem: str) -> Complaint:
    hint = text.splitlines()[line - 1].strip() if 0 < line <= len(text.splitlines()) else ""
    code = "bad_yaml_tab" if "'\\t'" in problem else "bad_yaml"
    return Complaint(file, line, "", hint[:60], code, {"detail": _restore_braces(problem)})


def _node(raw: Any, path: Path, complaints: list[Complaint], file: str, above: tuple[int, ...]) -> Node:
    line = raw.start_mark.line + 1
    source = SourceMap(file, {path: line})
    if id(raw) in above:
        complaints.append(source.complain("alias_loop", path))
        return Scalar("", plain=True, line=line)
    if str(raw.tag).startswith("!"):
        complaints.append(source.complain("unknown_yaml_tag", path, raw.tag))
    above = (*above, id(raw))
    if isinstance(raw, ScalarNode):
        return Scalar(_restore_braces(raw.value), raw.style is None, line)
    if isinstance(raw, SequenceNode):
        items = tuple(_node(item, (*path, i), complaints, file, above) for i, item in enumerate(raw.value))
        return Seq(items, line)
    pairs: list[tuple[Scalar, Node]] = []
    seen: dict[str, int] = {}
    for key, value in raw.value:
        key_line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            complaints.append(Complaint(file, key_line, dotted(path), "", "complex_key"))
            continue
        name = _restore_braces(key.value)
        where = (*path, name)
        if name in seen:
            complaints.append(SourceMap(file, {where: key_line}).complain("duplicate_key", where, first=seen[name]))
            continue
        seen[name] = key_line
        node = _node(value, where, complaints, file, above)
        pairs.append((Scalar(name, key.style is None, key_line), node))
    return Map(tuple(pairs), line)


def _restore_braces(text: str) -> str:
    return text.replace("\ue000", "${").replace("\ue001", "}")


def resolve(scalar: Scalar) -> Any:
    """A scalar as None, bool, int, float or str."""
    text = scalar.text
    if not scalar.plain:
        return text
    if text in _WORDS or (text.lower() in _WORDS and text in (text.upper(), text.capitalize())):
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if _FLOAT.fullmatch(text):
        return float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf").replace(".NaN", "nan"))
    return text


def value(node: Node) -> Any:
    """A tree as plain Python; keys are text as written."""
    if isinstance(node, Scalar):
        return resolve(node)
    if isinstance(node, Seq):
        return [value(item) for item in node.items]
    return {key.text: value(item) for key, item in node.pairs}


def lines(node: Node) -> dict[Path, int]:
    """Every path of a tree and its line."""
    return dict(_lines(node, ()))


def _lines(node: Node, path: Path) -> Iterator[tuple[Path, int]]:
    if isinstance(node, Map):
        for key, item in node.pairs:
            yield (*path, key.text), key.line
            yield from _lines(item, (*path, key.text))
    elif isinstance(node, Seq):
        for index, item in enumerate(node.items):
            yield (*path, index), item.line
            yield from _lines(item, (*path, index))
