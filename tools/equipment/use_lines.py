"""The lines of a site file that use an equipment profile. Pure."""

import json
import re
from collections.abc import Mapping, Sequence

from config.templates.equipment import Equipment

_PLAIN = re.compile(r"[\w./+-]+")


def use_lines(profile: Equipment, given: Mapping[str, str]) -> str:
    """`use:` with one row. given: variable, or another key of a machine or device, to its value as text."""
    return f"use:\n{use_item(profile, [given])}"


def use_item(profile: Equipment, rows: Sequence[Mapping[str, str]]) -> str:
    """One item of `use` with its rows."""
    lines = [f"  - equipment: {profile.id}", "    with:", *(f"      - {row_text(row)}" for row in rows)]
    return "\n".join(lines)


def row_text(given: Mapping[str, str]) -> str:
    """A row in braces; values that YAML could interpret are quoted."""
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in given.items()) + "}"


def _value(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
