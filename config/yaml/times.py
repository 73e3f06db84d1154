"""Durations, times of day, weekdays and breaks in configuration files and options."""

import re
from typing import Annotated, Any, Final

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


DAY_S: Final = 86_400
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})")
_TEXT: Final = WithJsonSchema({"type": "string"})


def parse_clock(text: Any) -> int:
    """A wall-clock time `HH:MM` between 00:00 and 24:00 as seconds after midnight [s].

    Raises `InvalidValue` with code `bad_clock` for anything else.
    """
    match = _CLOCK.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is not None and int(match[2]) < 60:
        seconds = int(match[1]) * 3600 + int(match[2]) * 60
        if seconds <= DAY_S:
            return seconds
    raise InvalidValue("bad_clock", 'not a time of day; write hours and minutes, for example "06:00"')


def parse_break(text: Any) -> tuple[int, int]:
    """A break `HH:MM-HH:MM` as seconds after midnight, start and end [s].

    Raises `InvalidValue` with code `bad_break`, or `bad_clock` for one of its times.
    """
    if isinstance(text, tuple):
        return text
    parts = re.split(r"\s*[-–]\s*", text) if isinstance(text, str) else []
    if len(parts) != 2:
        raise InvalidValue("bad_break", 'not a break; write its start and end, for example "10:00-10:15"')
    return parse_clock(parts[0]), parse_clock(parts[1])


def parse_days(text: Any) -> frozenset[int]:
    """Weekdays, 0 is Monday: `mon-sat`, `sat,sun`, `fri-mon`, a list of such, or `daily`.

    Raises `InvalidValue` with code `bad_days` for anything else.
    """
    if isinstance(text, frozenset):
        return text
    words = text if isinstance(text, list) else str(text).split(",")
    days: set[int] = set()
    for word in words:
        first, _, last = str(word).strip().lower().partition("-")
        if first == "daily":
            days.update(range(7))
            continue
        if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
            raise InvalidValue("bad_days", "not days of the week; write for example mon-sat or sat,sun")
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


Clock = Annotated[int, BeforeValidator(parse_clock), _TEXT]
"""In the file `"06:00"`, in the program seconds after local midnight [s]."""

Break = Annotated[tuple[int, int], BeforeValidator(parse_break), _TEXT]
"""In the file `"10:00-10:15"`, in the program two times of day [s]."""

Days = Annotated[frozenset[int], BeforeValidator(parse_days), _TEXT]
"""In the file `mon-sat`, in the program weekday numbers, 0 is Monday."""
