"""axe-core in a page that is open: faults that keep people from reading or using it."""

import re
from pathlib import Path

import pytest
from servers import CACHE

SCRIPT = Path(__file__).parent.parent / "scripts" / "axe"
SEVERE = ("serious", "critical")


def axe():
    """The library's text; without it the test is skipped."""
    (version,) = re.findall(r"^version=(\S+)$", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
    folder = CACHE / f"axe-core-{version}"
    if not (folder / ".done").exists():
        pytest.skip(f"no axe-core {version} in {folder}: run scripts/axe, which needs npm")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


def severe_faults(page):
    """Serious and critical faults of a page of Playwright: rule, element and what is wrong with it."""
    page.evaluate(axe())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']} {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in SEVERE
        for node in rule["nodes"]
    ]
