"""Every folder of cases holds a site file and exactly what is wrong with it: `line key: code (value) -> nearest`."""

from pathlib import Path

import pytest

import config
import words

CASES = sorted((Path(__file__).parent / "cases").iterdir())


def as_line(item):
    value = f" ({item.value})" if item.value else ""
    near = f" -> {item.values['near']}" if item.values.get("near") else ""
    kind = "" if item.severity == "error" else " [warning]"
    return f"{item.line} {item.key}: {item.code}{value}{near}{kind}"


def found_in(path):
    try:
        return config.read_site(path)[1]
    except config.Misconfigured as error:
        return error.complaints


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_complaints(case):
    found = [as_line(item) for item in found_in(case / "site.yaml")]
    assert found == (case / "error.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_complaint_has_sentences(case):
    for item in found_in(case / "site.yaml"):
        for language in words.LANGUAGES:
            text = words.complaint(item, language)
            assert item.key in text
            assert "{" not in text.replace("{when", "").replace("{is", "") or "{{" not in text
