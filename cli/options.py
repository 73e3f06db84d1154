"""Options shared by many commands: `--lang`, `--json`, durations (`90s`, `1h30min`) and ranges of numbers (`1-10,255`).

Imported at the start of every command, so it loads click and the list of languages only.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import click

from words.languages import LANGUAGES, language_of


class Duration(click.ParamType[float]):
    """A duration [s]: `500ms`, `90s`, `1h30min`, or a plain number of seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """In seconds [s]; a usage error says what to write instead."""
        if isinstance(value, (int, float)) or re.fullmatch(r"\d+(\.\d+)?", value):
            return float(value)
        from config.yaml.times import parse_duration

        try:
            return parse_duration(value)
        except ValueError:
            self.fail(said("cli.no_duration", value=value), param, ctx)


class NumberRanges(click.ParamType[tuple[int, ...]]):
    """Numbers and ranges from 0 to `most`: `1-10,255`."""

    name = "numbers"

    def __init__(self, most: int) -> None:
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Each number once, in the order given."""
        if isinstance(value, tuple):
            return value
        out: list[int] = []
        for part in value.split(","):
            match = re.fullmatch(r"\s*(\d{1,5})(?:\s*-\s*(\d{1,5}))?\s*", part)
            if match is None or not int(match[1]) <= int(match[2] or match[1]) <= self._most:
                self.fail(said("cli.no_range", value=part, most=self._most), param, ctx)
            out += range(int(match[1]), int(match[2] or match[1]) + 1)
        return tuple(dict.fromkeys(out))


_SPOKEN: ContextVar[str] = ContextVar("spoken", default="")


@contextmanager
def spoken(lang: str) -> Iterator[None]:
    """Within the block the terminal's language is this one; "" leaves it to the environment."""
    token = _SPOKEN.set(lang)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def terminal_language() -> str:
    """The language that the command line names, else Vietnamese where the environment asks for it, else English."""
    return _SPOKEN.get() or language_of(os.environ)


def said(key: str, **values: Any) -> str:
    """A sentence in the terminal's language, where none was passed on."""
    from words import say

    return say(key, terminal_language(), **values)


lang_option = click.option("--lang", type=click.Choice(LANGUAGES), default=terminal_language)
json_option = click.option("--json", "as_json", is_flag=True)
