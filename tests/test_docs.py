"""Documentation that is made from code is as the code has it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oee.kpi.kpi import KPIS, ORDER_KPIS
from words.catalogue import catalogue

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"en": "docs/kpis.md", "vi": "docs/kpis.vi.md"}


def run(root, *arguments):
    return subprocess.run(
        [sys.executable, str(root / "scripts" / "kpi_docs.py"), *arguments], capture_output=True, text=True
    )


@pytest.fixture
def copy(tmp_path):
    """A checkout of what the generator needs, to break."""
    for name in ("oee", "words"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("kpi_docs.py", "kpi_docs.yaml", "kpi_docs.vi.yaml"):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    (tmp_path / "docs").mkdir()
    for name in PAGES.values():
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_kpi_pages_are_up_to_date():
    found = run(ROOT, "--check")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(("lang", "name"), PAGES.items())
def test_every_kpi_has_its_row(lang, name):
    page = (ROOT / name).read_text(encoding="utf-8")
    for kpi in (*KPIS, *ORDER_KPIS):
        row = next(line for line in page.splitlines() if line.startswith(f"| `{kpi.key}` |"))
        assert row.count("|") == 9
        assert catalogue()[f"kpi.{kpi.key}"][lang] in row
        assert f"| {kpi.symbol} |" in row


def test_a_changed_formula_fails_the_check_and_the_generator_cures_it(copy):
    page = copy / PAGES["en"]
    page.write_text(page.read_text(encoding="utf-8").replace("OEE_min", "OEE_low"), encoding="utf-8")
    found = run(copy, "--check")
    assert (found.returncode, found.stdout) == (1, "docs/kpis.md: out of date; run scripts/kpi_docs\n")
    assert "OEE_low" in page.read_text(encoding="utf-8")

    assert run(copy).returncode == 0

    assert run(copy, "--check").returncode == 0
    assert page.read_text(encoding="utf-8") == (ROOT / PAGES["en"]).read_text(encoding="utf-8")


def test_a_phrase_without_vietnamese_is_named(copy):
    table = copy / "oee" / "kpi" / "kpi.py"
    table.write_text(
        table.read_text(encoding="utf-8").replace('"pieces / B"', '"pieces / busy time"'), encoding="utf-8"
    )
    found = run(copy, "--check")
    assert found.returncode == 2
    assert "add the Vietnamese for 'pieces / busy time'" in found.stderr
    assert "remove 'pieces / B'" in found.stderr


PROSE = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", "findings/*.md")
    for path in ROOT.glob(pattern)
)
ROOM_NAMES = "oee|wire|config|words|cli|adapters|agent|center|replay|tools|simulator|demo"
SOURCE_FILE = re.compile(rf"`((?:{ROOM_NAMES}|tests|bench|scripts)/[\w/.-]*\w\.\w+)`")
MODULE = re.compile(rf"`((?:{ROOM_NAMES})(?:\.[a-z_]\w*){(2,)})")


@pytest.mark.parametrize("name", PROSE)
def test_files_and_modules_that_pages_name_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    text = re.sub(r"^```\w+ recipe=.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    missing = [path for path in SOURCE_FILE.findall(text) if not (ROOT / path).exists()]
    missing += [dotted for dotted in MODULE.findall(text) if not _is_module_or_name_in_one(dotted)]
    assert missing == []


def _is_module_or_name_in_one(dotted):
    *folders, last = dotted.split(".")
    place = ROOT.joinpath(*folders)
    if (place / last).is_dir() or (place / f"{last}.py").exists():
        return True
    source = place.with_suffix(".py") if folders else None
    return source is not None and source.exists() and re.search(rf"\b{last}\b", source.read_text(encoding="utf-8"))
