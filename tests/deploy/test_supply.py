"""What a release is made of: every version locked with its hashes, every licence known, and a list of it all."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, files, packages_distributions
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


def _brought():
    """By package of the locks what it brings along besides its own code: fonts, scripts of browsers, and libraries of others."""
    found = {}
    for name in sorted({name for extra in licences.LOCKS for name in licences.locked(extra)} - licences.OWN):
        try:
            paths = [path.as_posix() for path in files(name) or ()]
        except PackageNotFoundError:
            continue
        taken = licences.WITHOUT.get(name, "-")
        kept = [path for path in paths if not path.startswith(taken)]
        brings = [
            path
            for path in kept
            if path.endswith((".ttf", ".otf", ".pfb", ".woff", ".woff2", ".js", ".mjs", ".css", ".ico"))
            or re.search(r"\.libs/|\.so\.\d|\.dylib$|\.dll$", path)
        ]
        if brings:
            found[name] = brings
    return found


def test_what_packages_bring_along_is_listed():
    """A package that begins to, or a new one: somebody looks at whose it is, and writes it down in scripts/licences.py."""
    brought, listed = _brought(), {name.rpartition(", in ")[2] for name, _, _ in licences.FILES}
    assert {"nicegui", "fastapi-offline"} <= set(brought)
    assert set(brought) - listed == set()
    elements = {
        match[1] for path in brought["nicegui"] if (match := re.match(r"nicegui/(elements/\w+)/(?:dist|lib)/", path))
    }
    assert len(elements) > 8
    notice = (ROOT / "NOTICE.md").read_text(encoding="utf-8")
    assert [name for name in elements if f"({name})" not in notice] == []


def test_what_is_taken_out_of_packages_is_taken_out_of_every_release():
    for folder in licences.WITHOUT.values():
        assert folder in (ROOT / "scripts" / "slim.py").read_text(encoding="utf-8")
        assert f"site-packages/{folder}" in (ROOT / "deploy" / "compose" / "Dockerfile").read_text(encoding="utf-8")


def test_what_is_imported_is_asked_for():
    """A package that comes with another may be gone with its next version, and its versions have no bound of ours."""
    optional = PROJECT["optional-dependencies"]
    texts = [
        *PROJECT["dependencies"],
        *(text for extra in ("agent", "center", "replay", "demo") for text in optional[extra]),
    ]
    asked = {canonicalize_name(Requirement(text).name) for text in texts} | {
        "pydantic-core"
    }  # of which pydantic names one version
    owners = packages_distributions()
    rooms = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
    missing = set()
    for path in (path for room in rooms for path in room.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names:
                of = {canonicalize_name(owner) for owner in owners.get(name, ())} - {"nhip"}
                missing |= {f"{path.relative_to(ROOT)}: {name}"} if of and not of & asked else set()
    assert missing == set()


def test_the_list_of_a_release_names_what_the_locks_name(tmp_path):
    subprocess.run([str(ROOT / "scripts" / "sbom"), str(tmp_path)], check=True, cwd=ROOT, capture_output=True)
    for extra in licences.LOCKS:
        made = json.loads((tmp_path / f"nhip-{extra}.cdx.json").read_text(encoding="utf-8"))
        assert made["bomFormat"] == "CycloneDX"
        assert made["metadata"]["component"]["name"] == "nhip"
        listed = sorted((canonicalize_name(item["name"]), item["version"]) for item in made["components"])
        locked = licences.locked(extra).items()
        assert listed == sorted((canonicalize_name(name), version) for name, versions in locked for version in versions)
