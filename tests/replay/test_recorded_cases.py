"""Every folder of `tests/cases` is a recorded stretch of a factory and what must come out of it.

    config.yaml         a site file
    samples.csv         the samples of its only device; or samples/<device>.csv or .parquet
    declarations.csv    what people said (optional)
    facts.csv           every sum that is not zero, a row for each machine, date, shift, class and product
    error.txt           everything told about the input, a line each: `file:line column: code (value) xN`

A case has facts.csv, error.txt or both; without error.txt nothing may be wrong with its input. To add one, make a
folder; what the program found stands in the failing assertion, to be checked by hand and then written down.
"""

import csv
import io
import shutil
from pathlib import Path

import pytest

from config import load_site
from oee.model.facts import FACT_COLUMNS
from oee.model.states import CLASS_BY_WORD, CalendarClass
from replay import replay
from replay.rows import day_of

CASES = sorted(path for path in (Path(__file__).parent.parent / "cases").iterdir() if path.is_dir())
KEYS = ("machine", "date", "shift", "calendar", "product")


def run(case, folder):
    site = load_site(case / "config.yaml")
    if (case / "samples").is_dir():
        shutil.copytree(case / "samples", folder, dirs_exist_ok=True)
    if (case / "samples.csv").exists():
        (device,) = site.devices
        shutil.copy(case / "samples.csv", folder / f"{device}.csv")
    if (case / "declarations.csv").exists():
        shutil.copy(case / "declarations.csv", folder / "declarations.csv")
    return replay(site, folder)


def facts_of(outcome):
    """Rows as they stand in facts.csv."""
    found = {
        (key.machine, day_of(key.business_date), key.shift, CalendarClass(key.calendar).word, key.product): {
            name: value for name, value in zip(FACT_COLUMNS, row.tolist()) if value
        }
        for key, row in outcome.totals.facts.items()
    }
    return {key: row for key, row in found.items() if row}


def read_facts(path):
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        tuple(row[name] for name in KEYS): {name: int(row[name]) for name in row if name not in KEYS and row[name]}
        for row in rows
    }


def as_csv(facts):
    columns = [name for name in FACT_COLUMNS if any(name in row for row in facts.values())]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*KEYS, *columns])
    for key in sorted(facts, key=lambda key: (key[0], key[1], key[2], CLASS_BY_WORD[key[3]], key[4])):
        writer.writerow([*key, *(facts[key].get(name, "") for name in columns)])
    return out.getvalue()


def as_lines(outcome):
    return [
        f"{item.file}:{item.line}{' ' + item.key if item.key else ''}: {item.code}"
        f"{f' ({item.value})' if item.value else ''}{f' x{item.count}' if item.count > 1 else ''}"
        f"{' [note]' if item.severity == 'note' else ''}"
        for item in outcome.conflicts
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case, tmp_path):
    assert (case / "facts.csv").exists() or (case / "error.txt").exists(), "a case says what must come out"
    outcome = run(case, tmp_path)
    told = as_lines(outcome)
    if (case / "error.txt").exists():
        assert told == (case / "error.txt").read_text(encoding="utf-8").splitlines()
    else:
        assert [line for line in told if not line.endswith("[note]")] == []
    if (case / "facts.csv").exists():
        found = facts_of(outcome)
        assert found == read_facts(case / "facts.csv"), as_csv(found)
