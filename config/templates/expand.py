"""Templates: many similar machines from one block.

    templates:
      press:
        variables: [n, host]
        devices:
          press-${n}-plc: {kind: ..., host: ${host}, tags: {...}}
        machines:
          press-${n}: {state: [{when: "press-${n}-plc.running", is: running}, {is: unplanned_stop}]}
    use:
      - {template: press, with: [{n: 1, host: 192.0.2.11}, {n: 2, host: 192.0.2.12}]}

The text of a variable replaces `${name}` in keys and values before validation; the result is the same as if it had been
written by hand. Errors refer to the template's own line, or to the row's where the row gave the value. See `variables`
for what a variable may be and `fill` for how optional ones disappear. There is no arithmetic and no nesting: who needs
them can generate the file.

`{equipment: ..., with: ...}` uses a template that comes with the program: see `equipment`. Errors in it refer to the
row, the only thing that the user can change.
"""

from dataclasses import dataclass, replace
from typing import Final

from config.site.machine import MachineModel
from config.templates.equipment import Equipment, equipment, equipment_ids
from config.templates.fill import Filler, TemplateRow
from config.templates.variables import read_variables, row_of
from config.yaml.complaints import Complaint, Path, SourceMap, nearest
from config.yaml.tree import Map, Node, Scalar, Seq

SECTIONS: Final = ("devices", "machines", "products", "reasons", "lines", "calendars", "recordings")
USE_KEYS: Final = ("template", "equipment", "with")


@dataclass(frozen=True)
class _Place:
    """Collects complaints. made: the line of the row that made an entry, by section and name."""

    file: str
    complaints: list[Complaint]
    made: dict[tuple[str, str], int]

    def say(self, node: Node, path: Path, code: str, value: object = "", **values: str | int) -> None:
        source = SourceMap(self.file, {path: node.line})
        self.complaints.append(source.complain(code, path, value, severity="error", **values))


@dataclass(frozen=True)
class _Made:
    """What a row adds to a section. line: of the row."""

    section: str
    body: Map
    line: int


def expand(root: Map, file: str) -> tuple[Map, list[Complaint]]:
    """The tree with every `use` expanded and without `templates` and `use`, and what is wrong with them."""
    place = _Place(file, [], {})
    templates, uses = root.get("templates"), root.get("use")
    sections = {key.text: node for key, node in root.pairs if key.text not in ("templates", "use")}
    keys = {key.text: key for key, _ in root.pairs}
    if templates is not None and not isinstance(templates, Map):
        place.say(templates, ("templates",), "wants_mapping")
    if uses is not None and not isinstance(uses, Seq):
        place.say(uses, ("use",), "wants_list")
    templates_map = templates if isinstance(templates, Map) else Map((), 0)
    for key, template in templates_map.pairs:
        _check_template(key, template, place)
    for number, use in enumerate(uses.items if isinstance(uses, Seq) else ()):
        for item in _instances(use, ("use", number), templates_map, place):
            keys.setdefault(item.section, Scalar(item.section, plain=True, line=item.body.line))
            sections[item.section] = _merge(sections.get(item.section), item, place)
    pairs = tuple((keys[name], node) for name, node in sections.items())
    return Map(pairs, root.line), place.complaints


def template_lines(root: Map) -> frozenset[int]:
    """The lines within `templates`: a mistake there is repeated for every row."""

    def below(node: Node) -> set[int]:
        if isinstance(node, Map):
            return {key.line for key, _ in node.pairs}.union(*(below(item) for _, item in node.pairs))
        if isinstance(node, Seq):
            return set().union(*(below(item) for item in node.items))
        return {node.line}

    templates = root.get("templates")
    return frozenset(below(templates)) if templates is not None else frozenset()


def _check_template(key: Scalar, template: Node, place: _Place) -> None:
    path: Path = ("templates", key.text)
    if not isinstance(template, Map):
        place.say(template, path, "wants_mapping")
        return
    for name, node in template.pairs:
        allowed = ("variables", *SECTIONS)
        if name.text not in allowed:
            near = nearest(name.text, allowed)
            place.say(name, (*path, name.text), "unknown_key", near=near, known=", ".join(allowed))
        elif name.text == "variables":
            place.complaints.extend(read_variables(node, (*path, "variables"), place.file)[1])
        elif not isinstance(node, Map):
            place.say(node, (*path, name.text), "wants_mapping")


def _instances(use: Node, path: Path, templates: Map, place: _Place) -> list[_Made]:
    """The sections that one `use` adds."""
    if not isinstance(use, Map):
        place.say(use, path, "wants_mapping")
        return []
    for key, _ in use.pairs:
        if key.text not in USE_KEYS:
            near = nearest(key.text, USE_KEYS)
            place.say(key, (*path, key.text), "unknown_key", near=near, known=", ".join(USE_KEYS))
    name = use.get("template") or use.get("equipment")
    rows = use.get("with")
    if not isinstance(name, Scalar) or not isinstance(rows, Seq):
        missing = "with" if isinstance(name, Scalar) else "template"
        example = {"template": "template: press", "with": "with: [{n: 1}, {n: 2}]"}[missing]
        place.say(use, (*path, missing), "missing_key", example=example)
        return []
    if use.get("template") is None:
        return _equipment(name, rows, path, place)
    if use.get("equipment") is not None:
        place.say(use, (*path, "equipment"), "template_or_equipment")
    return _template(name, rows, path, templates, place)


def _template(name: Scalar, rows: Seq, path: Path, templates: Map, place: _Place) -> list[_Made]:
    template = templates.get(name.text)
    if not isinstance(template, Map):
        near = nearest(name.text, [key.text for key, _ in templates.pairs])
        place.say(name, (*path, "template"), "unknown_template", name.text, near=near)
        return []
    variables, _ = read_variables(template.get("variables"), (), place.file)
    out: list[_Made] = []
    for number, node in enumerate(rows.items):
        row, errors = row_of(node, variables, (*path, "with", number), place.file)
        place.complaints.extend(errors)
        filled = _filled(template, row, ("templates", name.text), place)
        out += [_Made(section, body, node.line) for section, body in filled]
    return out


def _equipment(name: Scalar, rows: Seq, path: Path, place: _Place) -> list[_Made]:
    profile = equipment(name.text)
    if profile is None:
        known = equipment_ids()
        near = nearest(name.text, known)
        place.say(name, (*path, "equipment"), "unknown_equipment", name.text, near=near, known=", ".join(known))
        return []
    out: list[_Made] = []
    for number, node in enumerate(rows.items):
        row, errors = row_of(node, profile.variables, (*path, "with", number), place.file, profile.override_keys())
        place.complaints.extend(errors)
        if not _check_way(node, profile, (*path, "with", number), place):
            continue
        sections = _filled(profile.body, replace(row, line=node.line), ("equipment", profile.id), place)
        out += [_Made(section, _overridden(section, body, node, profile), node.line) for section, body in sections]
    return out


def _check_way(row: Node, profile: Equipment, path: Path, place: _Place) -> bool:
    """Whether a row gives exactly one of the profile's ways, wholly."""
    given = {key.text for key, _ in row.pairs} if isinstance(row, Map) else set()
    begun = [way for way in profile.ways if given & set(way)]
    if not profile.ways or (len(begun) == 1 and set(begun[0]) <= given):
        return True
    place.say(row, path, "one_way", ways=" | ".join(", ".join(way) for way in profile.ways))
    return False


def _overridden(section: str, body: Map, row: Node, profile: Equipment) -> Map:
    """The machines or devices of a profile with the row's overrides."""
    given = row.pairs if isinstance(row, Map) else ()
    is_machine = section == "machines"
    extra = [
        (key, node)
        for key, node in given
        if key.text in profile.override_keys() and (key.text in MachineModel.model_fields) == is_machine
    ]
    if not extra:
        return body
    return Map(tuple((key, _override(item, extra)) for key, item in body.pairs), body.line)


def _override(below: Node, extra: list[tuple[Scalar, Node]]) -> Node:
    if not isinstance(below, Map):
        return below
    new = {key.text for key, _ in extra}
    kept = tuple((key, item) for key, item in below.pairs if key.text not in new)
    replaced = []
    for key, item in extra:
        old = below.get(key.text)
        is_more_tags = key.text == "tags" and isinstance(old, Map) and isinstance(item, Map)
        replaced.append((key, _override(old, list(item.pairs)) if is_more_tags else item))  # type: ignore[arg-type,union-attr]
    return Map((*kept, *replaced), below.line)


def _filled(template: Map, row: TemplateRow, path: Path, place: _Place) -> list[tuple[str, Map]]:
    filler = Filler(place.file, row, place.complaints)
    return [
        (key.text, filler.map(node, (*path, key.text)))
        for key, node in template.pairs
        if key.text in SECTIONS and isinstance(node, Map)
    ]


def _merge(old: Node | None, new: _Made, place: _Place) -> Map:
    before = old if isinstance(old, Map) else Map((), new.body.line)
    first = {key.text: key.line for key, _ in before.pairs}
    for key, _ in new.body.pairs:
        made = (new.section, key.text)
        if key.text in first:
            row = Scalar(key.text, plain=True, line=new.line)
            place.say(row, made, "duplicate_key", first=place.made.get(made, first[key.text]))
        else:
            place.made[made] = new.line
    added = tuple((key, node) for key, node in new.body.pairs if key.text not in first)
    return Map(before.pairs + added, before.line)
