"""`nhip replay --advice`: what a recording of six weeks says to improve, in text, JSON and the page."""

import json
from datetime import timedelta

import numpy as np
import plants
import pytest
from click.testing import CliRunner

import nhip

WEEKS = 6
CYCLE_S = 60
SHIFT_S = 8 * 3600


def late_starts(weeks, late_s):
    """Changes only: a press that begins each shift late, stops now and then, and makes a piece a minute."""
    rng = np.random.default_rng(3)
    midnight = plants.START.replace(hour=0)
    times, running, strokes, made = [midnight], [0], [0], 0
    for day in range(7 * weeks):
        for begin_s in (6 * 3600, 14 * 3600):
            at = begin_s + late_s * rng.uniform(0.5, 1.5)
            while at < begin_s + SHIFT_S - 600:
                until = min(at + rng.exponential(3000), begin_s + SHIFT_S - 30)
                pieces = np.arange(at, until, CYCLE_S)
                times += [midnight + timedelta(days=day, seconds=float(round(second))) for second in pieces]
                running += [1] * len(pieces)
                strokes += range(made, made + len(pieces))
                made += len(pieces)
                times.append(midnight + timedelta(days=day, seconds=round(until) + 0.5))
                running.append(0)
                strokes.append(made)
                at = until + rng.uniform(60, 600)
    order = np.argsort(np.array([when.timestamp() for when in times]), kind="stable")
    columns = {
        "running": np.array(running)[order],
        "alarm": np.zeros(len(order), np.int64),
        "strokes": np.array(strokes)[order],
        "rejects": np.zeros(len(order), np.int64),
    }
    return [times[k] for k in order], columns


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("late")
    (out / "site.yaml").write_text(plants.SITE.replace("ideal: 4s", "ideal: 55s"), encoding="utf-8")
    for name, weeks in (("samples", WEEKS), ("short", 1)):
        (out / name).mkdir()
        plants.write_csv(out / name / "press.csv", *late_starts(weeks, 900))
    return out


def call(folder, *arguments, samples="samples"):
    command = ["replay", str(folder / "site.yaml"), "--samples", str(folder / samples), *arguments]
    found = CliRunner().invoke(nhip.main, command)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_json_and_page_say_what_was_confirmed(folder, tmp_path):
    page = tmp_path / "page.html"
    told = json.loads(call(folder, "--json", "--advice", "--html", str(page), "--lang", "vi"))["advice"]
    row = next(item for item in told["rows"] if item["rule"] == "slow_start")
    assert (row["key"], row["stage"], row["machine"]) == (["shift_start"], "open", "press-1")
    assert row["figures"]["lost_min"] == pytest.approx(14, abs=3)
    assert 0 < row["gain_min"]["low"] < row["gain_min"]["high"]
    assert len(row["evidence"]["series"]["lost_min"]) == row["evidence"]["n"]
    assert told["night"] == "2026-11-01T00:00:00+07:00"
    assert told["untrusted"] == []
    written = page.read_text(encoding="utf-8")
    assert row["says"]["vi"] in written
    assert "Gợi ý cải tiến" in written


def test_the_terminal_says_it_too_and_nothing_unless_it_is_asked(folder):
    shown = call(folder, "--advice", "--lang", "en")
    assert "What to improve" in shown
    assert "Slow start" in shown
    plain = json.loads(call(folder, "--json", samples="short"))
    assert "advice" not in plain


def test_a_week_is_too_short_for_advice_and_says_so(folder):
    told = json.loads(call(folder, "--json", "--advice", samples="short"))["advice"]
    assert told["rows"] == []
    assert [item["why"] for item in told["untrusted"]] == [["too_short"]]
    assert "3 weeks" in call(folder, "--advice", "--lang", "en", samples="short")
