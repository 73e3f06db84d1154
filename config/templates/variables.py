"""Variables of a template: the values that each row must or may give, with defaults. Pure.

`variables: [n, host]` requires both. As a mapping, each has properties:

    variables:
      host: {name: {vi: Địa chỉ IP, en: IP address}, example: 192.168.1.31}
      unit: {default: 1}
      alarm: {optional: true}
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from config.templates.fill import ONLY_WITH, TemplateRow
from config.yaml.complaints import Complaint, Path, SourceMap, nearest
from config.yaml.tree import Map, Node, Scalar, Seq, resolve

KEYS: Final = ("name", "example", "default", "optional", "browse", ONLY_WITH)


@dataclass(frozen=True)
class BrowsePlace:
    """Where a node lies on an OPC UA server. levels: browse names from the machine's own object on, `*` for any one;
    index, field: what is wanted of its value, where that is an array or a structure.
    """

    levels: tuple[str, ...]
    index: str = ""
    field: str = ""

    def __str__(self) -> str:
        """`Admin/ProdProcessedCount[0].AccCount`."""
        return (
            "/".join(self.levels) + (f"[{self.index}]" if self.index else "") + (f".{self.field}" if self.field else "")
        )


@dataclass(frozen=True)
class Variable:
    """One variable. default: its value where a row gives none; names: display name by language; example: a typical
    value; browse: where its node may lie, the most specific place first; only_with: another variable without which this
    one means nothing.
    """

    name: str
    default: Scalar | None = None
    optional: bool = False
    names: Mapping[str, str] | None = None
    example: str = ""
    browse: tuple[BrowsePlace, ...] = ()
    only_with: str = ""

    @property
    def required(self) -> bool:
        """Whether each row must give a value."""
        return self.default is None and not self.optional


def read_variables(node: Node | None, path: Path, file: str) -> tuple[dict[str, Variable], list[Complaint]]:
    """The variables of a template, and what is wrong with their declaration."""
    if node is None:
        return {}, []
    if isinstance(node, Seq):
        return {item.text: Variable(item.text) for item in node.items if isinstance(item, Scalar)}, []
    if isinstance(node, Scalar):
        return {}, [_at(file, node, path, "wants_list")]
    variables: dict[str, Variable] = {}
    complaints: list[Complaint] = []
    for key, item in node.pairs:
        where = (*path, key.text)
        if not isinstance(item, Map):
            complaints.append(_at(file, item, where, "wants_mapping"))
            continue
        for name, _ in item.pairs:
            if name.text not in KEYS:
                near, known = nearest(name.text, KEYS), ", ".join(KEYS)
                complaints.append(_at(file, name, (*where, name.text), "unknown_key", near=near, known=known))
        variables[key.text] = _variable(key.text, item)
    return variables, complaints


def _variable(name: str, node: Map) -> Variable:
    default, optional, example = node.get("default"), node.get("optional"), node.get("example")
    only_with = node.get(ONLY_WITH)
    return Variable(
        name,
        default if isinstance(default, Scalar) else None,
        optional=isinstance(optional, Scalar) and resolve(optional) is True,
        names=_names(node.get("name")),
        example=example.text if isinstance(example, Scalar) else "",
        browse=_places(node.get("browse")),
        only_with=only_with.text if isinstance(only_with, Scalar) else "",
    )


def _names(node: Node | None) -> dict[str, str]:
    if isinstance(node, Scalar):
        return {"vi": node.text, "en": node.text}
    if isinstance(node, Map):
        return {key.text: item.text for key, item in node.pairs if isinstance(item, Scalar)}
    return {}


def _places(node: Node | None) -> tuple[BrowsePlace, ...]:
    """Places written as a path, or as `{path: ..., index: 0, field: AccCount}`."""
    items: Iterable[Node] = node.items if isinstance(node, Seq) else (node,) if node is not None else ()
    out = []
    for item in items:
        parts = (
            {key.text: value.text for key, value in item.pairs if isinstance(value, Scalar)}
            if isinstance(item, Map)
            else {}
        )
        path = item.text if isinstance(item, Scalar) else parts.get("path", "")
        out.append(BrowsePlace(tuple(path.split("/")), parts.get("index", ""), parts.get("field", "")))
    return tuple(out)


def row_of(
    node: Node, variables: Mapping[str, Variable], path: Path, file: str, also: Iterable[str] = ()
) -> tuple[TemplateRow, list[Complaint]]:
    """The values of one row, with defaults, and what is wrong with it. also: keys that are allowed beside the variables."""
    if not isinstance(node, Map):
        return TemplateRow({}), [_at(file, node, path, "wants_mapping")]
    allowed, complaints = set(also), []
    values: dict[str, Scalar] = {}
    for key, item in node.pairs:
        where = (*path, key.text)
        if key.text in variables and isinstance(item, Scalar):
            values[key.text] = item
        elif key.text in variables:
            complaints.append(_at(file, item, where, "wants_text"))
        elif key.text not in allowed:
            known = [*variables, *sorted(allowed)]
            near = nearest(key.text, known)
            complaints.append(_at(file, key, where, "unknown_key", near=near, known=", ".join(known)))
    for name, variable in variables.items():
        if node.get(name) is not None:
            continue
        if variable.default is not None:
            values[name] = Scalar(variable.default.text, variable.default.plain, 0)
        elif not variable.optional:
            example = f"{name}: {variable.example or '...'}"
            complaints.append(_at(file, node, (*path, name), "missing_key", example=example))
            values[name] = Scalar(f"${{{name}}}", plain=True, line=node.line)
    return TemplateRow(values, frozenset(set(variables) - set(values))), complaints


def _at(file: str, node: Node, path: Path, code: str, **values: str) -> Complaint:
    return SourceMap(file, {path: node.line}).complain(code, path, severity="error", **values)
