"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the checkout.

A block's info string says what it is: `diff recipe=NAME` changes files, `python recipe=NAME file=PATH` is a new file,
`sh recipe=NAME` is run. Blocks of a recipe are followed in their order.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```(\w+) recipe=([\w-]+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = sorted({match[2] for match in BLOCK.finditer(PAGE)})


@pytest.fixture
def copy(tmp_path):
    """A copy of what is in the checkout, without its environment and history."""
    skipped = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "demo-data", "images")
    shutil.copytree(ROOT, tmp_path / "nhip", ignore=skipped)
    return tmp_path / "nhip"


def test_every_recipe_is_there():
    assert RECIPES == ["command", "device-kind", "kpi", "store"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_does_what_it_says(recipe, copy):
    for kind, name, file, text in BLOCK.findall(PAGE):
        if name != recipe:
            continue
        if kind == "diff":
            _change(copy, text)
        elif kind == "sh":
            _run(copy, text)
        else:
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            (copy / file).write_text(text, encoding="utf-8")


def _change(copy, text):
    """Applies a diff without line numbers: what is kept and removed must stand in the file exactly once."""
    for part in re.split(r"^--- a/", text, flags=re.MULTILINE)[1:]:
        head, *hunks = re.split(r"^@@.*\n", part, flags=re.MULTILINE)
        path = copy / head.split("\n")[0]
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            old = path.read_text(encoding="utf-8")
            assert old.count(before) == 1, f"{path.relative_to(copy)} does not hold once:\n{before}"
            path.write_text(old.replace(before, after), encoding="utf-8")


def _run(copy, text):
    """Runs each line as a person in the copy would; `python` is the one that runs the tests."""
    environment = os.environ | {"PYTHONPATH": str(copy), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-euc", text], cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
