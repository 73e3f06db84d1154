"""Templates: many like machines from one block.

    templates:
      press:
        variables: [n, host]
        devices:
          press-${n}-plc: {kind: modbus_tcp, host: ${host}, tags: {...}}
        machines:
          press-${n}: {state: [{when: "press-${n}-plc.running", is: running}, {is: unplanned_stop}]}
    use:
      - {template: press, with: [{n: 1, host: 192.0.2.11}, {n: 2, host: 192.0.2.12}]}

The text of a variable replaces `${name}` in keys and values before anything is checked; what comes out is the
same as if it had been written by hand, so whatever is wrong in it is said about the template's own line. There is
no arithmetic and no nesting: whoever needs them has a generator already.
"""

import re
from collections.abc import Mapping
from typing import Final

from config.complaints import Complaint, Path, Source
from config.suggest import nearest
from config.tree import Map, Node, Scalar, Seq

SECTIONS: Final = ("devices", "machines", "products", "reasons", "lines", "calendars")
_VARIABLE: Final = re.compile(r"\$\{\s*([\w-]*)\s*\}")


def expand(root: Map, file: str) -> tuple[Map, list[Complaint]]:
    """The tree with every `use` written out and without `templates` and `use`, and what is wrong with them."""
    complaints: list[Complaint] = []
    templates, uses = root.get("templates"), root.get("use")
    sections = {key.text: node for key, node in root.pairs if key.text not in ("templates", "use")}
    keys = {key.text: key for key, _ in root.pairs}
    if templates is not None and not isinstance(templates, Map):
        complaints.append(_at(file, templates, ("templates",), "wants_mapping"))
    if uses is not None and not isinstance(uses, Seq):
        complaints.append(_at(file, uses, ("use",), "wants_list"))
    known = templates if isinstance(templates, Map) else Map((), 0)
    for key, template in known.pairs:
        complaints += _check_template(file, key, template)
    for number, use in enumerate(uses.items if isinstance(uses, Seq) else ()):
        for name, node in _instances(use, ("use", number), known, file, complaints):
            keys.setdefault(name, Scalar(name, plain=True, line=node.line))
            sections[name] = _merge(sections.get(name), node, name, file, complaints)
    pairs = tuple((keys[name], node) for name, node in sections.items())
    return Map(pairs, root.line), complaints


def _at(file: str, node: Node, path: Path, code: str, value: object = "", **values: str | int) -> Complaint:
    return Source(file, {path: node.line}).complain(code, path, value, severity="error", **values)


def _check_template(file: str, key: Scalar, template: Node) -> list[Complaint]:
    path: Path = ("templates", key.text)
    if not isinstance(template, Map):
        return [_at(file, template, path, "wants_mapping")]
    complaints = []
    for name, node in template.pairs:
        allowed = ("variables", *SECTIONS)
        if name.text not in allowed:
            near = nearest(name.text, allowed)
            complaints.append(_at(file, name, (*path, name.text), "unknown_key", near=near, known=", ".join(allowed)))
        elif name.text == "variables" and not isinstance(node, Seq):
            complaints.append(_at(file, node, (*path, "variables"), "wants_list"))
        elif name.text != "variables" and not isinstance(node, Map):
            complaints.append(_at(file, node, (*path, name.text), "wants_mapping"))
    return complaints


def _instances(use: Node, path: Path, templates: Map, file: str, complaints: list[Complaint]) -> list[tuple[str, Map]]:
    """The sections that one `use` adds."""
    if not isinstance(use, Map):
        complaints.append(_at(file, use, path, "wants_mapping"))
        return []
    for key, _ in use.pairs:
        if key.text not in ("template", "with"):
            near = nearest(key.text, ("template", "with"))
            complaints.append(_at(file, key, (*path, key.text), "unknown_key", near=near, known="template, with"))
    name, rows = use.get("template"), use.get("with")
    if not isinstance(name, Scalar) or not isinstance(rows, Seq):
        missing = "with" if isinstance(name, Scalar) else "template"
        example = {"template": "template: press", "with": "with: [{n: 1}, {n: 2}]"}[missing]
        complaints.append(_at(file, use, (*path, missing), "missing_key", example=example))
        return []
    template = templates.get(name.text)
    if not isinstance(template, Map):
        known = [key.text for key, _ in templates.pairs]
        complaints.append(
            _at(file, name, (*path, "template"), "unknown_template", name.text, near=nearest(name.text, known))
        )
        return []
    declared = template.get("variables")
    variables = [item.text for item in declared.items if isinstance(item, Scalar)] if isinstance(declared, Seq) else []
    out: list[tuple[str, Map]] = []
    for number, row in enumerate(rows.items):
        values = _row(row, (*path, "with", number), variables, file, complaints)
        for key, node in template.pairs:
            if key.text in SECTIONS and isinstance(node, Map):
                filled = _fill(node, values, ("templates", name.text, key.text), file, complaints)
                assert isinstance(filled, Map)  # filling keeps the shape
                out.append((key.text, filled))
    return out


def _row(row: Node, path: Path, variables: list[str], file: str, complaints: list[Complaint]) -> dict[str, Scalar]:
    if not isinstance(row, Map):
        complaints.append(_at(file, row, path, "wants_mapping"))
        return {}
    values = {key.text: node for key, node in row.pairs if isinstance(node, Scalar) and key.text in variables}
    for key, node in row.pairs:
        if not isinstance(node, Scalar):
            complaints.append(_at(file, node, (*path, key.text), "wants_text"))
        elif key.text not in variables:
            near, known = nearest(key.text, variables), ", ".join(variables)
            complaints.append(_at(file, key, (*path, key.text), "unknown_key", near=near, known=known))
    for name in variables:
        if row.get(name) is None:
            complaints.append(_at(file, row, (*path, name), "missing_key", example=f"{name}: ..."))
            values[name] = Scalar(f"${{{name}}}", plain=True, line=row.line)
    return values


def _fill(node: Node, values: Mapping[str, Scalar], path: Path, file: str, complaints: list[Complaint]) -> Node:
    if isinstance(node, Scalar):
        return _fill_scalar(node, values, path, file, complaints)
    if isinstance(node, Seq):
        items = tuple(_fill(item, values, (*path, i), file, complaints) for i, item in enumerate(node.items))
        return Seq(items, node.line)
    pairs = []
    for key, item in node.pairs:
        where = (*path, key.text)
        filled = _fill_scalar(key, values, where, file, complaints)
        pairs.append((filled, _fill(item, values, where, file, complaints)))
    return Map(tuple(pairs), node.line)


def _fill_scalar(
    node: Scalar, values: Mapping[str, Scalar], path: Path, file: str, complaints: list[Complaint]
) -> Scalar:
    def put(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            near, known = nearest(name, values), ", ".join(values)
            complaints.append(_at(file, node, path, "unknown_variable", match[0], near=near, known=known))
            return match[0]
        return values[name].text

    return Scalar(_VARIABLE.sub(put, node.text), node.plain, node.line)


def _merge(old: Node | None, new: Map, section: str, file: str, complaints: list[Complaint]) -> Map:
    before = old if isinstance(old, Map) else Map((), new.line)
    first = {key.text: key.line for key, _ in before.pairs}
    for key, _ in new.pairs:
        if key.text in first:
            complaints.append(_at(file, key, (section, key.text), "duplicate_key", first=first[key.text]))
    added = tuple((key, node) for key, node in new.pairs if key.text not in first)
    return Map(before.pairs + added, before.line)
