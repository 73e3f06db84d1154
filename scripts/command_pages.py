"""command_pages.py FOLDER: the manual pages of `nhip` and its completion for bash and zsh, made from the help of its commands."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from click.shell_completion import BashComplete, ZshComplete
from click.testing import CliRunner

import nhip
from words import say


def main() -> int:
    """Writes nhip.1, nhip.vi.1, nhip.bash and nhip.zsh."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for lang, name in (("en", "nhip.1"), ("vi", "nhip.vi.1")):
        (folder / name).write_text(manual(lang), encoding="utf-8")
    for kind, name in ((BashComplete, "nhip.bash"), (ZshComplete, "nhip.zsh")):
        completion = kind(nhip.main, {}, "nhip", "_NHIP_COMPLETE")
        text = completion.source_template % completion.source_vars()
        (folder / name).write_text(text.lstrip(), encoding="utf-8")
    return 0


def manual(lang: str) -> str:
    """The manual page in troff: the help of every command, as it is shown in a terminal of 80 columns."""
    day = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC).date()
    lines = [f'.TH NHIP 1 "{day}" "Nhip"', *_section("manual.name", lang)]
    lines += [f"nhip \\- {say('manual.summary', lang)}", *_section("manual.commands", lang)]
    for words in (), *_commands(nhip.main, ()):
        lines += [f'.SS "{" ".join(("nhip", *words))}"', *_verbatim(_help(words, lang))]
    lines += [*_section("manual.files", lang), *_verbatim(say("manual.files_text", lang))]
    return "\n".join(lines) + "\n"


def _section(key: str, lang: str) -> list[str]:
    return [f'.SH "{say(key, lang).upper()}"']


def _verbatim(text: str) -> list[str]:
    lines = [line.replace("\\", "\\e").replace("-", "\\-") for line in text.strip().splitlines()]
    return [".nf", *(f"\\&{line}" for line in lines), ".fi"]


def _help(words: tuple[str, ...], lang: str) -> str:
    return (
        CliRunner()
        .invoke(nhip.main, [*words, "--help", "--lang", lang], prog_name="nhip", env={"COLUMNS": "80"})
        .output
    )


def _commands(group: click.Group, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*above, name))
        else:
            yield *above, name


if __name__ == "__main__":
    sys.exit(main())
