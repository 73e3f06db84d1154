"""What a replay tells besides KPIs: waterfall, six big losses, changeovers by pair, ideal times that were learned."""

import json

import numpy as np
import plants
import pytest
from click.testing import CliRunner

import nhip
from words import say

SITE = plants.SITE.replace(
    "rejects: {holding: 102, type: uint16}", "rejects: {holding: 102}\n      recipe: {holding: 103}"
)
SITE = SITE.replace('product: "1"', "product: press.recipe").replace(
    "ideal: 4s}", 'ideal: 4s}\n  "2": {name: Nắp B, ideal: 12s, source: timed, since: 2026-01-01}'
)
DAY = 86_400
CHANGES = ((7, 600, "1", "2"), (9, 420, "2", "1"), (12, 900, "1", "2"), (15, 500, "2", "1"), (23, 700, "1", "2"))
"""Hour after 05:00, seconds from the last old piece to the first new one, products. The last lies outside the shifts."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A press that makes product 1 every 5 s and product 2 every 10 s, changes over, and jams once for 20 minutes."""
    out = tmp_path_factory.mktemp("insights")
    running, recipe = np.ones(DAY, np.int64), np.ones(DAY, np.int64)
    alarm, made = np.zeros(DAY, np.int64), np.zeros(DAY, np.int64)
    for hour, length, _, product in CHANGES:
        first = hour * 3600
        running[first + 10 : first + length] = 0
        recipe[first + 60 :] = int(product)
    running[20_000:21_200], alarm[20_000:21_200] = 0, 12
    cycle = np.where(recipe == 1, 5, 10)
    second = np.arange(DAY)
    made[(second % cycle == 0) & (running == 1)] = 1
    for hour, length, _, _ in CHANGES:
        made[hour * 3600 + 1 : hour * 3600 + length] = 0
        made[[hour * 3600, hour * 3600 + length]] = 1
    columns = {
        "running": running,
        "alarm": alarm,
        "strokes": made.cumsum(),
        "rejects": (made.cumsum() // 50),
        "recipe": recipe,
    }
    (out / "site.yaml").write_text(SITE, encoding="utf-8")
    (out / "samples").mkdir()
    times, _ = plants.history(DAY)
    plants.write_csv(out / "samples" / "press.csv", times, columns)
    return out


def call(folder, *arguments):
    found = CliRunner().invoke(
        nhip.main, ["replay", str(folder / "site.yaml"), "--samples", str(folder / "samples"), *arguments]
    )
    assert found.exit_code == 0, found.output
    return found


@pytest.fixture(scope="module")
def told(folder):
    return json.loads(call(folder, "--json", "--by", "machine").stdout)


def test_a_row_for_each_group_and_totals_even_where_they_say_the_same(told):
    assert [(row.get("total"), row.get("machine")) for row in told["rows"]] == [
        (None, "press-1"),
        ("machine", "press-1"),
        ("site", None),
    ]


def test_changeovers_are_told_by_pair(told):
    """Each change of the schedule, from the last old piece to the first new one; the one at 04:00 cost nothing."""
    pairs = {(row["product"], row["to_product"]): row for row in told["changeovers"]["pairs"]}
    there, back = pairs[("1", "2")], pairs[("2", "1")]
    assert (there["count"], there["total_ms"], there["best_ms"]) == (2, 1_500_000, 600_000)
    assert (back["count"], back["median_ms"], back["elapsed_ms"]) == (2, 460_000, 920_000)
    assert (told["changeovers"]["still_open"], told["changeovers"]["unpaired"]) == (0, 0)


def test_the_waterfall_begins_with_all_time_and_sums(told):
    rows = told["waterfall"]
    totals = [row for row in rows if row["group"] == ""]
    assert totals[0]["key"] == "all_time"
    assert totals[0]["us"] == told["window"]["ms"] * 1000
    for above, below in zip(totals[:-1], totals[1:], strict=True):
        assert below["us"] == above["us"] - sum(row["us"] for row in rows if row["of"] == above["key"])


def test_six_big_losses_are_those_of_the_waterfall(told):
    fall = {row["key"]: row["us"] for row in told["waterfall"]}
    six = [row for row in told["six_big_losses"] if row["machine"] == "press-1"]
    assert [row["number"] for row in six] == [1, 2, 3, 4, 5, 6]
    assert {row["loss"]: row["us"] for row in six}["setup"] == fall["setup"] == 2_420_000_000
    assert (
        sum(row["us"] for row in six)
        == fall["busy"] - fall["without_ideal"] - fall["not_judged"] - fall["fully_productive"]
    )
    site = [row for row in told["six_big_losses"] if row["machine"] is None]
    assert [row["us"] for row in site] == [row["us"] for row in six]


def test_the_pareto_is_of_all_that_was_lost_however_it_is_grouped(told):
    """By reason, machine, product and shift the same microseconds are put in order; shares sum to 1."""
    whole = sum(row["us"] for row in told["pareto"]["state"])
    for name, rows in told["pareto"].items():
        assert sum(row["us"] for row in rows) == whole, name
        assert [row["us"] for row in rows] == sorted((row["us"] for row in rows), reverse=True)
        assert sum(row["share"] or 0 for row in rows) == pytest.approx(1)
    assert {row["shift"] for row in told["pareto"]["shift"]} == {"A", "B"}
    six = sum(row["us"] for row in told["six_big_losses"] if row["machine"] == "press-1")
    assert whole == six


def test_ideal_times_are_proposed_with_evidence_and_not_applied(told):
    ideals = {row["product"]: row for row in told["ideal_times"]}
    assert abs(ideals["1"]["proposed_us"] - 5_000_000) < 50_000
    assert abs(ideals["2"]["proposed_us"] - 10_000_000) < 100_000
    assert (ideals["2"]["set_us"], ideals["2"]["set_source"], ideals["2"]["set_since"]) == (
        12_000_000,
        "timed",
        "2026-01-01",
    )
    assert ideals["1"]["evidence"]["cycles"] > 5000
    site = told["rows"][-1]
    assert site["ideal_total_us"] % 4_000_000 == 0, "computed with what is set, 4 s and 12 s"


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_terminal_and_page_show_them_too(folder, lang, tmp_path):
    page = tmp_path / "report.html"
    text = call(folder, "--lang", lang, "--html", str(page)).stdout
    html = page.read_text(encoding="utf-8")
    for key in ("six_losses", "changeovers", "ideals_learned"):
        assert say(f"replay.{key}", lang) in text
        assert say(f"replay.{key}", lang) in html
    assert "Nắp B" in text
