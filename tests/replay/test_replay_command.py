"""The command as people and programs call it."""

import json
import re
from datetime import timedelta

import plants
import pytest
from click.testing import CliRunner

import nhip
from oee.kpi import kpi
from oee.model.facts import FACT_COLUMNS
from oee.model.states import State

DAY = 86_400


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("press")
    (out / "site.yaml").write_text(plants.SITE, encoding="utf-8")
    (out / "samples").mkdir()
    plants.write_csv(out / "samples" / "press.csv", *plants.history(2 * DAY))
    return out


def call(folder, *arguments, samples="samples"):
    command = ["replay", str(folder / "site.yaml"), "--samples", str(folder / samples), *arguments]
    return CliRunner().invoke(nhip.main, command)


def as_json(folder, *arguments):
    found = call(folder, "--json", "--lang", "en", *arguments)
    return found, json.loads(found.stdout)


def test_json_has_rows_totals_losses_stops_and_window(folder):
    found, told = as_json(folder, "--by", "machine,shift")
    assert found.exit_code == 0
    assert told["window"] == {
        "from": "2026-09-21T05:00:00+07:00",
        "to": "2026-09-23T04:59:59+07:00",
        "ms": (2 * DAY - 1) * 1000,
    }
    assert [(row["machine"], row["shift"]) for row in told["rows"][:2]] == [("press-1", "A"), ("press-1", "B")]
    assert told["rows"][0]["scheduled_ms"] == 2 * (8 * 3600 - 900) * 1000
    assert [row["total"] for row in told["rows"][2:]] == ["machine", "site"]
    for row in told["rows"]:
        assert set(FACT_COLUMNS) <= set(row)
        assert all((row[key] is None) == (key in row["why_null"]) for key in kpi.KPI_KEYS)
    site = told["rows"][-1]
    for name in FACT_COLUMNS:
        assert site[name] == sum(row[name] for row in told["rows"][:2])
    for state in State:
        if state not in (State.RUNNING, State.UNKNOWN):
            lost = sum(row["ms"] for row in told["losses"] if row["state"] == state.word)
            assert lost == site[f"{state.word}_ms"]
    assert told["stops"]
    assert told["stops_left_out"] == 0
    assert told["conflicts"] == []


def test_ratios_come_from_sums(folder):
    _, told = as_json(folder, "--by", "machine,shift", "--formula", "iso22400")
    for row in told["rows"]:
        result = kpi.compute(row, scheduled_ms=row["scheduled_ms"], all_ms=row["all_ms"], formula="iso22400")
        assert {key: row[key] for key in kpi.KPI_KEYS} == result.values


def test_by_product_the_calendar_cannot_tell(folder):
    _, told = as_json(folder, "--by", "product")
    assert told["rows"][0]["product"] == "1"
    assert told["rows"][0]["scheduled_ms"] is None
    assert told["rows"][0]["why_null"]["coverage"] == "no_calendar"
    assert told["rows"][-1]["coverage"] == pytest.approx(1.0)


def test_days_between_from_and_to_are_parts_of_the_whole(folder):
    _, whole = as_json(folder, "--by", "machine,day")
    _, first = as_json(folder, "--to", "2026-09-22")
    _, second = as_json(folder, "--from", "2026-09-22")
    for name in FACT_COLUMNS:
        assert whole["rows"][-1][name] == first["rows"][-1][name] + second["rows"][-1][name]
    assert whole["rows"][-1]["scheduled_ms"] == first["rows"][-1]["scheduled_ms"] + second["rows"][-1]["scheduled_ms"]
    assert [row["day"] for row in whole["rows"][:2]] == ["2026-09-21", "2026-09-22"]


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_tables_are_printed_in_both_languages(folder, lang):
    found = call(folder, "--lang", lang)
    assert found.exit_code == 0
    assert {"vi": "Máy dập 1", "en": "Press 1"}[lang] in found.stdout
    assert {"vi": "Chỉ số", "en": "Key figures"}[lang] in found.stdout


def test_what_is_wrong_in_the_input_makes_it_1(folder):
    bad = folder / "bad"
    bad.mkdir(exist_ok=True)
    times, columns = plants.history(4000)
    times[2000:2100] = [when - timedelta(seconds=500) for when in times[2000:2100]]
    plants.write_csv(bad / "press.csv", times, columns)
    found = call(folder, "--json", "--lang", "en", samples="bad")
    assert found.exit_code == 1
    (item,) = json.loads(found.stdout)["conflicts"]
    assert (item["file"], item["line"], item["code"], item["count"]) == ("press.csv", 2002, "clock_back", 100)
    assert "press.csv:2002: time:" in item["text"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "colour"], "--by colour"),
        (["--from", "noon"], "--from noon"),
        (["--html", "/nowhere/at/all.html"], "/nowhere/at/all.html"),
    ],
)
def test_what_cannot_be_asked_is_2(folder, arguments, said):
    found = call(folder, "--lang", "en", *arguments)
    assert found.exit_code == 2
    assert said in found.stderr


def test_no_folder_and_a_bad_site_are_2(folder):
    assert call(folder, samples="nowhere").exit_code == 2
    (folder / "broken.yaml").write_text("site: [", encoding="utf-8")
    command = ["replay", str(folder / "broken.yaml"), "--samples", str(folder / "samples")]
    found = CliRunner().invoke(nhip.main, command)
    assert found.exit_code == 2
    assert "broken.yaml" in found.stderr


def test_an_empty_folder_is_1(folder):
    (folder / "empty").mkdir(exist_ok=True)
    found = call(folder, "--json", samples="empty")
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert (told["window"], told["rows"]) == (None, [])


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_page_asks_for_nothing_and_says_its_figures(folder, lang):
    path = folder / f"report-{lang}.html"
    found = call(folder, "--lang", lang, "--html", str(path))
    assert found.exit_code == 0
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert page.count("<svg") == page.count("</svg>")
    assert {"vi": "Tổn thất lớn nhất", "en": "Largest losses"}[lang] in page
    assert "nhip 0" in page
