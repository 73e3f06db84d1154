"""What a release is made of: every version locked with its hashes, every licence known, and a list of it all."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import licences

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(extra):
    return [Requirement(text) for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra])]


@pytest.mark.parametrize("extra", licences.LOCKS)
def test_a_lock_fits_what_the_project_asks_for(extra):
    """After a changed requirement: scripts/lock."""
    locked = {canonicalize_name(name): versions for name, versions in licences.locked(extra).items()}
    for requirement in requirements(extra):
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name}: run scripts/lock"
        wrong = [version for version in locked[name] if not requirement.specifier.contains(version)]
        assert not wrong, f"{name} {wrong}: run scripts/lock"


@pytest.mark.parametrize("extra", licences.LOCKS)
def test_every_version_of_a_lock_has_its_hashes(extra):
    """pip refuses a file in which one has none (`--require-hashes`), and what is not what the hash says."""
    text = (ROOT / "deploy" / "locks" / f"{extra}.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert len(entries) == sum(map(len, licences.locked(extra).values())) > 20
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in re.sub(r"#.*", "", text), "a release is not bound to one package index"


def test_every_requirement_has_an_upper_bound():
    """A version that nobody has tried is not taken by itself; zones of the world are data, and the newest is right."""
    texts = [
        *PROJECT["dependencies"],
        *PROJECT["optional-dependencies"]["agent"],
        *PROJECT["optional-dependencies"]["center"],
    ]
    found = {Requirement(text).name: {part.operator for part in Requirement(text).specifier} for text in texts}
    assert {name for name, operators in found.items() if not operators & {"<", "==", "<="}} <= {"tzdata"}


def test_what_is_shipped_has_a_licence_that_somebody_decided_about():
    notice = (ROOT / "NOTICE.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([\w.-]+) \| [^|]+ \| (.+?) \| (?:gateways|centers)", notice, re.MULTILINE))
    wanted = {name for extra in licences.LOCKS for name in licences.locked(extra)}
    assert set(rows) == wanted, "run scripts/licences.py"
    for name, licence in rows.items():
        assert licences.unknown(licence) == set(), name
        assert licences.licence_of(name) in (None, licence), f"{name}: run scripts/licences.py"
    for _name, licence, _whose in licences.FILES:
        assert licences.unknown(licence) == set()


def test_a_licence_that_nobody_decided_about_is_named():
    assert licences.unknown("MIT OR GPL-3.0-only") == {"GPL-3.0-only"}
    assert licences.unknown("MIT AND (Apache-2.0 OR BSD-3-Clause)") == set()


def test_fonts_and_pictures_of_others_are_listed():
    """A file that is no text of ours is in a folder that NOTICE.md names."""
    folders = {path.parent.relative_to(ROOT).as_posix() for ending in ("ttf", "woff", "woff2", "otf")
               for room in ("agent", "center", "words") for path in (ROOT / room).rglob(f"*.{ending}")}  # fmt: skip
    notice = (ROOT / "NOTICE.md").read_text(encoding="utf-8")
    assert folders
    assert [folder for folder in folders if folder not in notice] == []


def test_the_list_of_a_release_names_what_the_locks_name(tmp_path):
    subprocess.run([str(ROOT / "scripts" / "sbom"), str(tmp_path)], check=True, cwd=ROOT, capture_output=True)
    for extra in licences.LOCKS:
        made = json.loads((tmp_path / f"nhip-{extra}.cdx.json").read_text(encoding="utf-8"))
        assert made["bomFormat"] == "CycloneDX"
        assert made["metadata"]["component"]["name"] == "nhip"
        listed = sorted((canonicalize_name(item["name"]), item["version"]) for item in made["components"])
        locked = licences.locked(extra).items()
        assert listed == sorted((canonicalize_name(name), version) for name, versions in locked for version in versions)
