"""Options of many commands: `--lang`, `--json`, and durations such as `90s` or `1h30min`.

Imported at the start of every command, so it loads click and the list of languages only.
"""

import os
import re
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
        from config.yaml.durations import parse_duration

        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def terminal_language() -> str:
    """Vietnamese where the environment asks for it, else English."""
    return language_of(os.environ)


lang_option = click.option(
    "--lang", type=click.Choice(LANGUAGES), default=terminal_language, help="Language of what is printed."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
