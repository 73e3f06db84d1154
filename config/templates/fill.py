"""Fills a template with the values of one row. Pure.

`${name}` is replaced in keys and values alike. Two rules let one template serve machines with and without a signal,
where its variable is optional and the row does not give it:

* a key whose whole value is that variable is dropped (`line: ${line}`);
* a mapping with `only_with: name` is dropped with all its content
  (`{only_with: alarm, when: "${id}-io.alarm", is: breakdown}`), and `{only_with: name, value: ..., else: ...}` is one
  of the two values (`reject: {only_with: bad, value: "${id}-io.bad", else: operator}`).

For a value that is one variable (`host: ${host}`), complaints refer to the row's line: that is the line to correct.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from config.yaml.complaints import Complaint, Path, SourceMap, nearest
from config.yaml.tree import Map, Node, Scalar, Seq

ONLY_WITH: Final = "only_with"
_CHOICE: Final = {ONLY_WITH, "value", "else"}
_VARIABLE: Final = re.compile(r"\$\{\s*([\w-]*)\s*\}")


@dataclass(frozen=True)
class TemplateRow:
    """One use of a template. left_out: optional variables that it does not give; line: the line to report for
    everything, None for the template's own lines.
    """

    values: Mapping[str, Scalar]
    left_out: frozenset[str] = frozenset()
    line: int | None = None


@dataclass
class Filler:
    """Fills one template and collects complaints."""

    file: str
    row: TemplateRow
    complaints: list[Complaint] = field(default_factory=list)

    def map(self, node: Map, path: Path) -> Map:
        """A mapping, filled, without what is dropped."""
        pairs = []
        for key, given in node.pairs:
            where, item = (*path, key.text), self._chosen(given)
            if key.text == ONLY_WITH or item is None:
                continue
            name = self._scalar(key, where)
            filled = self._node(item, where)
            pairs.append((self._at(name, item), filled))
        return Map(tuple(pairs), self._line(node.line))

    def _node(self, node: Node, path: Path) -> Node:
        if isinstance(node, Map):
            return self.map(node, path)
        if isinstance(node, Scalar):
            return self._scalar(node, path)
        chosen = [(place, item) for place, given in enumerate(node.items) if (item := self._chosen(given)) is not None]
        return Seq(tuple(self._node(item, (*path, place)) for place, item in chosen), self._line(node.line))

    def _chosen(self, node: Node) -> Node | None:
        """The node itself, one of its two alternatives, or None if it is dropped."""
        if isinstance(node, Scalar):
            match = _VARIABLE.fullmatch(node.text.strip())
            return None if match is not None and match[1] in self.row.left_out else node
        condition = node.get(ONLY_WITH) if isinstance(node, Map) else None
        if not isinstance(node, Map) or not isinstance(condition, Scalar):
            return node
        is_given = condition.text not in self.row.left_out
        if node.get("value") is not None and {key.text for key, _ in node.pairs} <= _CHOICE:
            return node.get("value" if is_given else "else")
        return node if is_given else None

    def _scalar(self, node: Scalar, path: Path) -> Scalar:
        def put(match: re.Match[str]) -> str:
            name = match[1]
            if name in self.row.values:
                return self.row.values[name].text
            self._complain(node, path, match[0], name)
            return match[0]

        text = _VARIABLE.sub(put, node.text)
        return Scalar(text, node.plain, self._line(self._whole(node) or node.line))

    def _complain(self, node: Scalar, path: Path, written: str, name: str) -> None:
        near, known = nearest(name, self.row.values), ", ".join(self.row.values)
        code = "variable_left_out" if name in self.row.left_out else "unknown_variable"
        source = SourceMap(self.file, {path: self._line(node.line)})
        self.complaints.append(source.complain(code, path, written, near=near, known=known, name=name))

    def _whole(self, node: Node) -> int:
        """The line of the row's value if the scalar consists of that variable alone; 0 otherwise."""
        match = _VARIABLE.fullmatch(node.text.strip()) if isinstance(node, Scalar) else None
        value = self.row.values.get(match[1]) if match else None
        return value.line if value is not None else 0

    def _at(self, key: Scalar, item: Node) -> Scalar:
        """The key, at the line of its value if the value comes entirely from the row."""
        return Scalar(key.text, key.plain, self._whole(item) or key.line)

    def _line(self, own: int) -> int:
        return own if self.row.line is None else self.row.line
