"""Orders that people declare: what was done for each, laid over the recording when it is asked for."""

import json

import plants
import pytest
from click.testing import CliRunner

import nhip
from oee.model.facts import FACT_COLUMNS

DAY = 86_400
SAID = """machine,start,end,field,value
press-1,2026-09-21T06:30:00+07:00,,order,WO-1
press-1,2026-09-21T09:30:15.250+07:00,,order,WO-2
press-1,2026-09-21T11:00:00+07:00,2026-09-21T13:00:00+07:00,order,RUSH
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("orders")
    (out / "site.yaml").write_text(plants.SITE, encoding="utf-8")
    (out / "samples").mkdir()
    plants.write_csv(out / "samples" / "press.csv", *plants.history(DAY))
    (out / "samples" / "declarations.csv").write_text(SAID, encoding="utf-8")
    return out


def call(folder, *arguments):
    command = ["replay", str(folder / "site.yaml"), "--samples", str(folder / "samples"), *arguments]
    found = CliRunner().invoke(nhip.main, command)
    assert "Traceback" not in found.output
    return found


def rows(folder, by):
    told = json.loads(call(folder, "--json", "--by", by).stdout)
    return [row for row in told["rows"] if "total" not in row], told


def test_orders_and_the_time_without_one_sum_to_the_whole(folder):
    apart, told = rows(folder, "machine,order")
    assert [row["order"] for row in apart] == ["", "RUSH", "WO-1", "WO-2"]
    (whole,) = (row for row in told["rows"] if row.get("total") == "machine")
    for name in (*FACT_COLUMNS, "scheduled_ms"):
        assert sum(row[name] for row in apart) == whole[name], name


def test_the_kpis_of_an_order_are_over_its_execution_time(folder):
    """ISO 22400-2: AOET from the order's start to its end; throughput, allocation and process ratio are over it."""
    apart, _ = rows(folder, "machine,order")
    row = next(row for row in apart if row["order"] == "WO-1")
    assert row["order_ms"] == 10_815_250
    assert row["order_execution_s"] == 10_815.25
    assert row["throughput_per_hour"] == pytest.approx(row["pieces_total"] / (10_815.25 / 3600))
    busy_ms = row["scheduled_ms"] - row["planned_stop_ms"]
    assert row["allocation_ratio"] == pytest.approx(busy_ms / 10_815_250)
    assert row["production_process_ratio"] == pytest.approx(row["running_ms"] / 10_815_250)
    assert apart[0]["why_null"]["allocation_ratio"] == "no_order"


def test_an_order_lasts_over_one_that_came_between(folder):
    """WO-2 goes on after the rush: its execution time is all of it, its sums only its own."""
    _, told = rows(folder, "order")
    orders = {row["order"]: row for row in told["orders"]}
    assert orders["RUSH"]["order_ms"] == 7_200_000
    assert orders["WO-2"]["start"] == "2026-09-21T09:30:15.250+07:00"
    assert orders["WO-2"]["end"] is None
    assert orders["WO-2"]["pieces_total"] < next(row for row in told["rows"] if row.get("order") == "WO-2")["order_ms"]


def test_a_part_of_an_order_has_no_execution_time(folder):
    apart, _ = rows(folder, "order,shift")
    assert all(row["order_ms"] is None and row["why_null"]["order_execution_s"] == "no_order" for row in apart)
    assert {row["shift"] for row in apart} == {"A", "B"}


@pytest.mark.parametrize(("lang", "word"), [("vi", "Đơn hàng"), ("en", "Orders")])
def test_they_are_shown(folder, lang, word, tmp_path):
    page = tmp_path / "page.html"
    found = call(folder, "--lang", lang, "--html", str(page))
    assert word in found.stdout
    assert "WO-2" in found.stdout
    assert word in page.read_text(encoding="utf-8")
