"""What the README says is so: its commands are commands, its center runs, its extras and rooms exist."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from servers import PATIENCE_S, eventually, free_port
from test_architecture import MAY_IMPORT

import nhip
from config import load_site

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"en": ROOT / "README.md", "vi": ROOT / "README.vi.md"}
INSTALLING = [*PAGES.values(), ROOT / "deploy/README.md", ROOT / "deploy/README.vi.md", ROOT / "docs/replay.md"]


def text(page):
    return page.read_text(encoding="utf-8")


def blocks(lang, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", text(PAGES[lang]), re.MULTILINE | re.DOTALL)


def commands(lang):
    """The `nhip` lines, without what only chooses the language."""
    lines = [shlex.split(line, comments=True) for block in blocks(lang, "sh") for line in block.splitlines()]
    named = [words for words in lines if words and Path(words[0]).name == "nhip"]
    return [
        [word for at, word in enumerate(words) if "--lang" not in words[max(at - 1, 0) : at + 1]] for words in named
    ]


def test_both_languages_show_the_same_commands():
    assert [words[1:] for words in commands("vi")] == [words[1:] for words in commands("en")]
    assert {"show", "agent", "check", "declare", "enroll", "replay"} <= {words[1] for words in commands("en")}


@pytest.mark.parametrize("command", commands("en"), ids=" ".join)
def test_each_command_is_one(command):
    group, words = nhip.main, command[1:]
    while hasattr(group, "commands"):
        group, words = group.commands[words[0]], words[1:]
    group.make_context(group.name, list(words))


@pytest.mark.parametrize("page", INSTALLING, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_is_installed_is_here_and_needs_no_index_that_has_it(page):
    extras = set(tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["optional-dependencies"])
    named = re.findall(r"pip (install|wheel)((?: -\S+)*(?: wheels)?) ['\"](\S*?)\[(\w+)\]['\"]", text(page))
    assert named
    for _, options, package, extra in named:
        assert extra in extras
        assert package == "." or "--no-index" in options


@pytest.mark.parametrize("lang", PAGES)
def test_pages_and_files_that_are_linked_exist(lang):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(PAGES[lang]))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_complete_site_file_is_valid():
    assert load_site(ROOT / "config/examples/van-long.yaml").machines


def test_the_table_of_rooms_is_complete():
    assert re.findall(r"^\| `(\w+)/` \|", text(PAGES["en"]), re.MULTILINE) == [
        *(
            "oee",
            "wire",
            "config",
            "adapters",
            "agent",
            "center",
            "simulator",
            "replay",
            "tools",
            "cli",
            "demo",
            "words",
        ),
    ]
    assert len(MAY_IMPORT) == 12


@pytest.mark.parametrize("lang", PAGES)
def test_the_center_file_and_its_commands_make_a_center(lang, tmp_path):
    """As a newcomer does it: the file is pasted, the commands are typed in their order."""
    (center_file,) = blocks(lang, "yaml")
    port = free_port()
    for old, new in (("127.0.0.1:8080", f"127.0.0.1:{port}"), ("1883", str(free_port()))):
        center_file = center_file.replace(old, new)
    (tmp_path / "CENTER.yaml").write_text(center_file, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def start(words, **more):
        line = [sys.executable, "-m", *words]
        return subprocess.Popen(line, cwd=tmp_path, env=environment, text=True, **more)

    typed = [words for words in commands(lang) if "CENTER.yaml" in words]
    assert [words[1] for words in typed] == ["user", "enroll", "center"]
    said = []
    for words in typed[:2]:
        process = start(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said.append(process.communicate(timeout=PATIENCE_S)[0])
        assert process.returncode == 0, said
    password = said[0].split()[-1]  # made up where nobody can be asked, and printed once
    assert (tmp_path / "van-long.main.bundle").exists()
    with (tmp_path / "log").open("w") as log:
        center = start([*typed[2], "--ready-file", "ready"], stdout=log, stderr=log)
    try:
        eventually((tmp_path / "ready").exists, what=(tmp_path / "log").read_text)
        asked = {"base_url": f"http://127.0.0.1:{port}", "headers": {"accept": "text/html"}, "trust_env": False}
        assert f"http://127.0.0.1:{port}/api/v1/docs" in (tmp_path / "log").read_text()
        with httpx.Client(**asked, timeout=PATIENCE_S) as browser:
            assert browser.get("/", follow_redirects=True).url.path == "/login"
            assert browser.post("/login", data={"name": "hoa", "password": password}).status_code == 303
            for page in ("/api/v1/docs", "/", "/admin"):
                assert browser.get(page).status_code == 200, page
    finally:
        center.send_signal(signal.SIGTERM)
        assert center.wait(PATIENCE_S) == 0
