"""The guide for technicians: the same commands in both languages, each as the program takes it; its files are valid."""

import re
import shlex
import textwrap
from pathlib import Path

import pytest

import nhip
from config import parse_site, read_site
from simulator.factory import load
from simulator.plc.signals import PLCS

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDES = {"en": DOCS / "commissioning.md", "vi": DOCS / "commissioning.vi.md"}


def blocks(lang, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDES[lang].read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(lang):
    lines = [line for block in blocks(lang, "sh") for line in block.splitlines()]
    text = GUIDES[lang].read_text(encoding="utf-8")
    inline = re.findall(r"`(nhip [^`]+)`", text)
    return [shlex.split(line, comments=True) for line in (*lines, *inline)]


def test_both_languages_show_the_same_commands():
    assert commands("vi") == commands("en")
    assert len(commands("en")) > 10


@pytest.mark.parametrize("command", [words for words in commands("en") if words[0] == "nhip"], ids=" ".join)
def test_each_command_is_one(command):
    group, words = nhip.main, command[1:]
    while hasattr(group, "commands") and words:
        group, words = group.commands[words[0]], words[1:]
    if words:
        group.make_context(group.name, list(words))


@pytest.mark.parametrize("lang", GUIDES)
def test_what_is_to_be_pasted_is_valid(lang):
    tags, uses = blocks(lang, "yaml")
    site, _ = parse_site(f'site: x\ntimezone: UTC\n{uses}\nshifts: [{{name: A, from: "06:00", to: "14:00"}}]\n')
    assert set(site.machines) == {"sew-1", "sew-2"}
    device = f'devices:\n  m:\n    kind: opcua\n    url: "opc.tcp://127.0.0.1:4840"\n{textwrap.indent(tags, "    ")}'
    site, _ = parse_site(f"site: x\ntimezone: UTC\n{device}\nmachines: {{}}\n")
    assert set(site.devices["m"].tags) == {"third", "made", "state"}


def test_the_factory_to_practise_on_and_its_site_file():
    factory = load(DOCS / "practice-factory.yaml")
    assert [machine.port for machine in factory.machines] == [15020, 48400]
    site, _ = read_site(DOCS / "practice-site.yaml")
    assert set(site.machines) == {machine.id for machine in factory.machines}
    lathe, packer = (PLCS[machine.plc].places for machine in factory.machines)
    read, nodes = site.devices["lathe"].tags, site.devices["pack-1-opc"].tags
    assert ("discrete", read["running"].discrete) == lathe["running"][:2]
    assert ("holding", read["parts"].holding, read["parts"].type, read["parts"].order) == lathe["parts"][:4]
    assert {tag.node.rpartition("s=")[2] for tag in nodes.values()} <= {node.name for node in packer.values()}
