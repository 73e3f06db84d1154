"""pydantic's errors as complaints, with path, line and value as they stand in the file."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from config.yaml.complaints import Complaint, InvalidValue, Path, SourceMap, nearest

_WANTS: Final = {
    "string": "wants_text", "int": "wants_whole_number", "float": "wants_number", "bool": "wants_yes_no",
    "dict": "wants_mapping", "model": "wants_mapping", "mapping": "wants_mapping", "date": "wants_date",
    "list": "wants_list", "tuple": "wants_list",
}  # fmt: skip
_LIMITS: Final = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "≥", "max_length": "≤"}


def complaints_of(error: ValidationError, model: type[BaseModel], data: Any, source: SourceMap) -> list[Complaint]:
    """A complaint for each of pydantic's errors about `data`."""
    schema = _schema(model)
    items = error.errors(include_url=False)
    return [_complaint(item, schema, data, source) for item in items if not _is_redundant(item, items)]


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _is_redundant(item: Any, items: list[Any]) -> bool:
    """Whether a list is reported as too short only because all its items are invalid, which is reported for each."""
    loc = item["loc"]
    return item["type"] == "too_short" and any(
        len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in items
    )


def _complaint(item: Any, schema: Mapping[str, Any], data: Any, source: SourceMap) -> Complaint:
    kind, context = item["type"], item.get("ctx", {})
    path, value = place(item["loc"], data, absent=kind == "missing")
    if item["loc"] and item["loc"][-1] == "[key]":  # for pydantic, the key itself is invalid
        value = path[-1]
    if isinstance(context.get("error"), InvalidValue):
        return source.complain(context["error"].code, path, value, **context["error"].values)
    if "code" in context:  # of a model outside of this room
        return source.complain(context["code"], path, value, **{key: context[key] for key in context if key != "code"})
    if kind == "state_shape":
        return source.complain("state_shape", path, value)
    if kind == "missing":
        return source.complain("missing_key", path, example=_example(schema, path, data))
    if kind == "extra_forbidden":
        known = sorted(_known_keys(schema, path[:-1], data))
        return source.complain("unknown_key", path, near=nearest(str(path[-1]), known), known=", ".join(known))
    if kind in ("literal_error", "enum"):
        known = re.findall(r"'([^']*)'", context["expected"])
        return source.complain("not_one_of", path, value, known=", ".join(known), near=nearest(str(value), known))
    if kind == "union_tag_invalid":
        key = context["discriminator"].strip("'")
        known = re.findall(r"'([^']*)'", context["expected_tags"])
        near = nearest(context["tag"], known)
        return source.complain("not_one_of", (*path, key), context["tag"], known=", ".join(known), near=near)
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        return source.complain("missing_key", (*path, key), example=_example(schema, (*path, key), data))
    wants = _WANTS.get(kind.split("_")[0])
    if wants and kind.endswith(("_type", "_parsing", "_from_float")):
        return source.complain(wants, path, value)
    limit = next((f"{sign} {context[name]:g}" for name, sign in _LIMITS.items() if name in context), "")
    if limit:
        code = "too_short" if kind in ("string_too_short", "too_short") else "out_of_range"
        return source.complain(code, path, value, limit=limit)
    return source.complain("invalid", path, value, detail=item["msg"].removeprefix("Value error, "))


def place(location: tuple[Any, ...], data: Any, *, absent: bool = False) -> tuple[Path, Any]:
    """The path in the file that a location denotes (pydantic adds names of branches), and the value there."""
    path: list[str | int] = []
    here = data
    for index, part in enumerate(location):
        if (isinstance(here, dict) and part in here) or (isinstance(here, list) and isinstance(part, int)):
            here = here[part]
            path.append(part)
        elif absent and index == len(location) - 1:
            path.append(part)
            here = None
    return tuple(path), here


def _branches(node: Mapping[str, Any], schema: Mapping[str, Any], here: Any) -> Iterator[Mapping[str, Any]]:
    """The schemas without references and alternatives that may apply to a value."""
    if "$ref" in node:
        yield from _branches(schema["$defs"][node["$ref"].rsplit("/", 1)[1]], schema, here)
        return
    options = [option for key in ("anyOf", "oneOf", "allOf") for option in node.get(key, ())]
    if not options:
        kind = node.get("properties", {}).get("kind", {}).get("const")
        if kind is None or not isinstance(here, dict) or here.get("kind", kind) == kind:
            yield node
    for option in options:
        yield from _branches(option, schema, here)


def _at(schema: Mapping[str, Any], path: Path, data: Any) -> list[Mapping[str, Any]]:
    """The schemas that may apply at a path."""
    nodes, here = list(_branches(schema, schema, data)), data
    for part in path:
        children: list[Mapping[str, Any]] = []
        if isinstance(here, dict):
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        for node in nodes:
            child = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
            if child is None and isinstance(node.get("additionalProperties"), dict):
                child = node["additionalProperties"]
            if child is not None:
                children += _branches(child, schema, here)
        nodes = children
    return nodes


def _known_keys(schema: Mapping[str, Any], path: Path, data: Any) -> set[str]:
    keys = {key for node in _at(schema, path, data) for key in node.get("properties", {})}
    return keys | {"templates", "use"} if path == () and "devices" in keys else keys


def _example(schema: Mapping[str, Any], path: Path, data: Any) -> str:
    """A line that would fill a missing key, from the model's example."""
    key = path[-1]
    for node in _at(schema, path[:-1], data):
        described = node.get("properties", {}).get(key, {})
        for example in described.get("examples", ()):
            return f"{key}: {example}"
        if "const" in described:
            return f"{key}: {described['const']}"
    return f"{key}: ..."
