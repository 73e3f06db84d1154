"""The command line in its reader's language: the help of every command, the list of commands by who uses them, and what click
says by itself.

Help is in the message catalogue. `help.<command>` is a command's text, its first sentence the line in a list; `.examples` are
its examples; `help.<command>.<parameter>` explains an option, `help.any.<parameter>` one that many commands share. The words of
a command in a group are joined by dots: `help.scan.modbus.rate`. `help.type.<name>` is the placeholder of a value. Where the
catalogue has no text, the command's own is shown.

click asks gettext for its own sentences, each module under the name `_`; here they are looked up in the catalogue by their
English text (`click.*`), so that nothing has to be compiled or installed.
"""

import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import click

from cli.exits import MISCONFIGURED, Interruptible, fail
from cli.options import spoken, terminal_language
from words.languages import LANGUAGES

_ENGLISH: Final = "en"
_OWN_PLACEHOLDERS: Final[dict[click.Option, str | None]] = {}
"""The placeholder that an option was declared with; the others follow the language."""
_TYPE_NAMES: Final[dict[click.ParamType[Any], str]] = {}
"""What click calls a type of path or of number in English."""
_NUMBERS: Final = (type(click.INT), type(click.FLOAT))


class FrontDoor(Interruptible):
    """The whole command line. sections: keys of `help.section.<key>` to its commands, both in the order of use."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.sections: dict[str, Sequence[click.Command]] = {}
        self.params.append(language_option())
        _translate_click()

    def add_section(self, key: str, commands: Sequence[click.Command]) -> None:
        """Adds commands that the same people use."""
        self.sections[key] = commands
        for command in commands:
            self.add_command(command)
            if isinstance(command, click.Group):
                command.params.append(language_option())

    def main(self, args: Sequence[str] | None = None, *positional: Any, **more: Any) -> Any:
        """As click's, in the language that `--lang` names anywhere in the line, else in that of the environment. A part that is not
        installed is named: a gateway has not what only a center needs.
        """
        given = list(sys.argv[1:] if args is None else args)
        if not positional:
            more["prog_name"] = more.get("prog_name") or "nhip"
        with spoken(_named_language(given)):
            for command in (self, *_all_commands(self)):
                command.context_class = _Context
                _name_types(command)
            try:
                return super().main(given, *positional, **more)
            except ModuleNotFoundError as error:
                from words import say

                fail(say("cli.not_installed", terminal_language(), module=error.name, why=error), MISCONFIGURED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        """The commands in their sections."""
        from words import say

        lang = terminal_language()
        for key, commands in self.sections.items():
            with formatter.section(say(f"help.section.{key}", lang)):
                formatter.write_dl([(command.name or "", command.get_short_help_str(500)) for command in commands])


def language_option() -> click.Option:
    """`--lang` of a group of commands, which is for what stands behind it and for its own help."""
    return click.Option(["--lang"], type=click.Choice(LANGUAGES), expose_value=False)


class _Context(click.Context):
    """Describes its command before any of its texts is shown."""

    def get_help(self) -> str:
        _describe(self.command, _words(self))
        return super().get_help()

    def get_usage(self) -> str:
        _describe(self.command, _words(self))
        return super().get_usage()


def _words(ctx: click.Context) -> tuple[str, ...]:
    """The words of the command within `nhip`."""
    above = _words(ctx.parent) if ctx.parent else ()
    return (*above, ctx.command.name or "") if ctx.parent else ()


def _named_language(args: Sequence[str]) -> str:
    for number, word in enumerate(args):
        if word == "--":
            break
        name, _, value = word.partition("=")
        value = value or (args[number + 1] if number + 1 < len(args) else "")
        if name == "--lang" and value in LANGUAGES:
            return value
    return ""


def _all_commands(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from _all_commands(command)


def _describe(command: click.Command, words: Sequence[str]) -> None:
    """Gives a command, its options and the commands below it their texts."""
    lang, key = terminal_language(), ".".join(("help", *(words or ("nhip",))))
    texts = _texts(key)
    command.help = texts[key][lang] if key in texts else command.help
    command.options_metavar = texts["help.options"][lang]
    if isinstance(command, click.Group):
        command.subcommand_metavar = texts["help.subcommand"][lang]
        for name, below in command.commands.items():
            below_key = ".".join(("help", *words, name))
            text = _texts(below_key).get(below_key)
            below.short_help = _first_sentence(text[lang]) if text else below.short_help
    if examples := texts.get(f"{key}.examples"):
        command.epilog = f"\b\n{texts['help.examples'][lang]}\n{textwrap.indent(examples[lang], '  ')}"
    for parameter in command.get_params(click.Context(command)):
        if isinstance(parameter, click.Option):
            _describe_option(parameter, key, texts, lang)


def _texts(key: str) -> Mapping[str, Mapping[str, str]]:
    """The catalogue, as far as it is needed for the help of this command: one file, unless it is not in it."""
    from words.catalogue import catalogue, subject

    return subject("help") if key in subject("help") else catalogue()


def _describe_option(option: click.Option, key: str, texts: Mapping[str, Mapping[str, str]], lang: str) -> None:
    name = "help" if "--help" in option.opts else option.name
    own, shared = f"{key}.{name}", f"help.any.{name}"
    if text := texts.get(own) or texts.get(shared):
        option.help = text[lang].format()
    placeholder = _OWN_PLACEHOLDERS.setdefault(option, option.metavar)
    english = _TYPE_NAMES.get(option.type, option.type.name)
    kind = f"help.type.{english}".replace(" ", "_")
    if placeholder is None and kind in texts and not (option.is_flag or option.count):
        option.metavar = texts[kind][lang]


def _name_types(command: click.Command) -> None:
    """Types keep what they are called from the time when they were made; a sentence about a wrong value names the type."""
    for parameter in command.params:
        if isinstance(parameter.type, (click.Path, *_NUMBERS)):
            parameter.type.name = _translated(_TYPE_NAMES.setdefault(parameter.type, parameter.type.name))


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]


# what click says by itself


def _translate_click() -> None:
    """Has click ask the catalogue for its sentences."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "click":
            for asked, answer in (("_", _translated), ("ngettext", _translated_plural)):
                if callable(getattr(module, asked, None)):
                    setattr(module, asked, answer)


def _translated(message: str) -> str:
    lang = terminal_language()
    return message if lang == _ENGLISH else _sentences(lang).get(message, message)


def _translated_plural(one: str, many: str, number: int) -> str:
    return _translated(one if number == 1 else many)


@cache
def _sentences(lang: str) -> Mapping[str, str]:
    """English sentences of click to those of another language."""
    from words.catalogue import subject

    return {entry[_ENGLISH]: entry[lang] for entry in subject("click").values()}
