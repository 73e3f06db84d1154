"""The command line speaks the reader's language: help, lists, and what click says when something is wrong."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import nhip
from cli.options import spoken
from words.catalogue import catalogue


def all_commands(group=nhip.main, above=()):
    for name, command in group.commands.items():
        yield (*above, name), command
        if isinstance(command, click.Group):
            yield from all_commands(command, (*above, name))


COMMANDS = dict(all_commands())
SAME = re.compile(
    r"^(nhip .*|--\S+|-h, --help|\[.*\]|[\d.<>=x;: -]+|SITE\S*|CENTER\S*|FILE|.*\|.*|[A-Z_\[\]./: |-]+|\S+\.(yaml|html|json|nhip))$"
)
"""What is the same in both languages: commands, names, placeholders, values."""


def says(*words, code=0, env=None):
    found = CliRunner().invoke(nhip.main, list(words), env={"NHIP_LANG": "", "LANG": "C", "LC_ALL": "", **(env or {})})
    assert found.exit_code == code, found.output
    return found.output


def sentences(text):
    """Pieces of text with three words or more, without the examples."""
    for line in re.split(r"\n +(?:Examples|Ví dụ):\n", text)[0].splitlines():
        for piece in re.split(r" {2,}", line.strip()):
            if len(piece.split()) >= 3 and not SAME.match(piece):
                yield piece


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=lambda words: " ".join(words) or "nhip")
def test_every_command_has_its_help_in_both_languages(words):
    vi, en = (says(*words, "--help", "--lang", lang) for lang in ("vi", "en"))
    assert vi.startswith("Cách dùng: ")
    assert en.startswith("Usage: ")
    only_english = set(sentences(vi)) & set(sentences(en))
    assert only_english == set()
    assert words == () or ".".join(("help", *words)) in catalogue()
    command = COMMANDS.get(words, nhip.main)
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
    for name in getattr(command, "commands", {}):
        assert re.search(rf"^  {name} +\S", vi, re.MULTILINE)


def test_a_command_without_texts_shows_its_own_instead_of_failing():
    @click.command()
    @click.option("--depth", help="How deep.")
    def dig(depth):
        """Digs a hole."""

    nhip.main.add_command(dig)
    try:
        said = says("--lang", "vi", "dig", "--help")
        assert "Digs a hole." in said
        assert "How deep." in said
        assert says("--help").startswith("Usage: ")
    finally:
        del nhip.main.commands["dig"]


def test_every_text_of_help_belongs_to_something():
    known = {"help.nhip", "help.options", "help.subcommand", "help.examples", "help.any.help", "help.any.version"}
    options = {}
    for words, command in COMMANDS.items():
        key = ".".join(("help", *words))
        known |= {key, f"{key}.examples"}
        options |= {f"{key}.{item.name}": item for item in command.params if isinstance(item, click.Option)}
    shared = {f"help.any.{item.name}" for item in options.values()}
    sections = {f"help.section.{key}" for key in nhip.main.sections}
    kinds = {key for key in catalogue() if key.startswith("help.type.")}
    found = {key for key in catalogue() if key.startswith("help.")}
    assert found - known - set(options) - shared - sections - kinds == {"help.nhip.examples"}
    assert {f"help.section.{key}" for key in nhip.main.sections} <= found


def test_every_command_that_takes_a_site_file_calls_it_so():
    for words, command in COMMANDS.items():
        for argument in command.params:
            if isinstance(argument, click.Argument) and argument.name in (
                "site_file",
                "center_file",
                "center",
                "factory",
            ):
                assert argument.metavar in ("SITE.yaml", "CENTER.yaml", "FACTORY.yaml"), words


def test_every_command_is_in_one_section():
    placed = [command.name for commands in nhip.main.sections.values() for command in commands]
    assert sorted(placed) == sorted(nhip.main.commands)


@pytest.mark.parametrize("words", [words for words, command in COMMANDS.items()], ids=" ".join)
def test_examples_are_commands(words):
    entry = catalogue().get(".".join(("help", *words, "examples")))
    if entry is None:
        return
    for lang, text in entry.items():
        for line in text.format().splitlines():
            typed = shlex.split(line.split("    ")[0])
            assert typed[:1] == ["nhip"]
            assert tuple(typed[1 : 1 + len(words)]) == words, lang
            command = COMMANDS[words]
            with spoken(lang):
                command.make_context(command.name, typed[1 + len(words) :])


@pytest.mark.parametrize(
    ("line", "vi", "en"),
    [
        ("chek", "Không có lệnh 'chek'. Có phải ý bạn là 'check'?", "No such command 'chek'"),
        ("check", "Thiếu tham số 'SITE.yaml'", "Missing argument 'SITE.yaml'"),
        ("check x.yaml y.yaml", "Thừa tham số (y.yaml)", "unexpected extra argument (y.yaml)"),
        ("check --foo x.yaml", "Không có tùy chọn '--foo'", "No such option '--foo'"),
        ("check x.yaml --for 3x", "“3x” không phải khoảng thời gian", "'3x' is no duration"),
        ("check x.yaml --for", "Tùy chọn '--for' cần một giá trị", "Option '--for' requires an argument"),
        ("check /", "Tệp '/' là một thư mục", "File '/' is a directory"),
        ("declare x.yaml m rejcts 3", "'rejcts' không nằm trong: 'reason'", "'rejcts' is not one of 'reason'"),
        ("scan modbus a --units 5-1", "“5-1” không phải dãy số", "'5-1' is not a range"),
        ("scan modbus a --rate 1000", "1000.0 không nằm trong khoảng", "1000.0 is not in the range"),
        ("scan modbus a --step x", "'x' không phải số nguyên.", "'x' is not a valid integer range."),
        ("demo --days x", "'x' không phải số.", "'x' is not a valid float."),
        ("demo --folder /etc/passwd", "Thư Mục '/etc/passwd' là một tệp", "Directory '/etc/passwd' is a file"),
        ("report c.yaml s --date 1.2.", "'1.2.' không đúng dạng", "'1.2.' does not match the format"),
        ("scan modbus a:b:c", "“a:b:c” không phải địa chỉ", "'a:b:c' is no address"),
        ("bytes a", "hãy cho một trong --holding", "give one of --holding"),
        ("bytes a --coil 1", "hãy cho --shows", "give --shows"),
        ("simulate", "Thiếu tham số 'FACTORY.yaml'", "Missing argument 'FACTORY.yaml'"),
    ],
)
def test_what_is_wrong_is_said_in_the_readers_language(line, vi, en):
    for lang, said in (("vi", vi), ("en", en)):
        words = line.split()
        found = says(*words, "--lang", lang, code=2) if words[-1] != "--for" else says("--lang", lang, *words, code=2)
        assert said in found
        assert found.startswith(("Cách dùng: ", "Lỗi: ") if lang == "vi" else ("Usage: ", "Error: "))


@pytest.mark.parametrize(
    "line", [["--lang", "vi", "--help"], ["--help", "--lang=vi"], ["scan", "--lang", "vi", "--help"]]
)
def test_the_language_may_be_named_anywhere(line):
    assert says(*line).startswith("Cách dùng: ")
    assert says("check", "--help", env={"NHIP_LANG": "vi"}).startswith("Cách dùng: ")
    assert says("check", "--help", "--lang", "en", env={"NHIP_LANG": "vi"}).startswith("Usage: ")


def test_a_language_before_the_command_holds_for_what_it_says_too(tmp_path):
    assert "Không đọc được tệp" in says("--lang", "vi", "check", str(tmp_path / "no.yaml"), code=2)
    assert "cannot be read" in says("check", str(tmp_path / "no.yaml"), code=2), "it ends with the command"


def test_the_program_calls_itself_nhip_however_it_is_started():
    root = Path(nhip.__file__).parent
    found = subprocess.run(
        [sys.executable, "-m", "nhip", "scan"], cwd=root, capture_output=True, text=True, check=False
    )
    assert re.match(r"(Usage|Cách dùng): nhip scan ", found.stdout + found.stderr)


def test_a_language_that_there_is_not_is_refused():
    assert "'fr' is not one of 'vi', 'en'" in says("check", "x.yaml", "--lang", "fr", code=2)


def said_by_click():
    """The sentences of the installed click that people can see: not those for its developers, editors and shells."""
    root = Path(click.__file__).parent
    for name in ("core", "exceptions", "parser", "formatting", "termui", "types", "decorators"):
        for node in ast.walk(ast.parse((root / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "ngettext"):
                yield from (part.value for part in node.args[:2] if isinstance(part, ast.Constant))


NOT_USED = re.compile(
    r"[Dd]eprecat|declar|defined|Boolean option|iterable|Unknown color|Press any key|UUID|start character"
    r"|%\(prog\)s|Choice\(|len_type|env var|Confirm the action"
)
"""What click says to those who write commands, and of types that no command here has."""


def test_what_click_says_is_translated():
    own = {entry["en"] for key, entry in catalogue().items() if key.startswith("click.")}
    missing = {text for text in said_by_click() if text not in own and not NOT_USED.search(text)}
    assert missing == set()
