"""Durations in configuration files and options: `500ms`, `1s`, `5min`, `1h30min`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from config.yaml.complaints import InvalidValue

_UNIT_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|h|d)\s*")


def parse_duration(text: str) -> float:
    """`text` in seconds [s]; parts add up (`1h30min`). ValueError says what to write instead.

    >>> parse_duration("500ms"), parse_duration("1h30min")
    (0.5, 5400.0)
    """
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text).strip():
        raise ValueError(f"{text!r} is no duration; write a number with its unit: 500ms, 1s, 5min, 2h or 1d")
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)


def _seconds(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith("-"):
        raise InvalidValue("negative_duration", "a duration cannot be negative")
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise InvalidValue("bad_duration", str(error)) from error
    raise InvalidValue("bad_duration", "no unit; write it as text: 500ms, 1s, 5min, 2h or 1d")


_SCHEMA = WithJsonSchema({"type": "string", "examples": ["500ms", "1s", "5min", "2h"]})

Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0), _SCHEMA]
"""In the file a text with a unit, in the program seconds [s]; greater than 0."""

DurationOrZero = Annotated[float, BeforeValidator(_seconds), Field(ge=0), _SCHEMA]
"""As `Duration`, and `0s` is allowed."""
