"""The worklist: what needs somebody is there once, the heaviest first, and leads to where it is ended."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import console_plant as plant
import httpx
import pytest

from center.api.app import create_app
from center.console.worklist import rows as work
from center.console.worklist.page import add_worklist_page, site_work
from center.model.targets import SaidTarget
from center.model.viewer import EVERYTHING
from oee.model.calendars import to_ns
from words import duration, percent, say

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
PRESS = work.ListedMachine("van-long", "press-1", "Press 1", "stamping", may_declare=True)
GOOD = {
    "machine": "press-1", "scheduled_ms": 3_600_000, "flags": [], "why_null": {},
    "kpis": {"oee": 0.7, "performance": 0.9, "quality": 0.97, "coverage": 0.999},
}  # fmt: skip


def of(row, machine=PRESS):
    return [(item.group, item.act) for item in work.machine_work(machine, GOOD | row, "en")]


def test_a_machine_whose_numbers_hold_is_no_work():
    assert of({}) == []
    assert of({"scheduled_ms": 0, "kpis": GOOD["kpis"] | {"coverage": 0.1}}) == []  # nothing was planned
    assert of({"scheduled_ms": None}) == []


@pytest.mark.parametrize(
    ("row", "act"),
    [
        ({"kpis": GOOD["kpis"] | {"coverage": 0.97}}, "holes"),
        ({"flags": ["performance_above_1"]}, "look"),
        ({"why_null": {"oee": "quality_not_known", "quality": "quality_not_known"}}, "rejects"),
        ({"why_null": {"oee": "no_ideal_time"}}, "look"),
        ({"kpis": GOOD["kpis"] | {"coverage": 0.9}, "flags": ["rejects_above_pieces"]}, "holes"),  # the first is enough
    ],
)
def test_what_keeps_a_machine_from_being_trusted_is_named_once(row, act):
    assert of(row) == [("trust", say(f"work.act.{act}", "en"))]


def test_who_may_not_declare_is_not_sent_to_the_form():
    row = GOOD | {"why_null": {"quality": "quality_not_known"}}
    (item,) = work.machine_work(replace(PRESS, may_declare=False), row, "en")
    assert "/declare/" not in item.url
    (item,) = work.machine_work(PRESS, row, "en")
    assert item.url == "/declare/van-long/press-1?field=rejects"


def gap(points, minutes, kind="oee"):
    return {"kind": kind, "target": 0.8, "actual": 0.8 + points / 100, "points": points, "minutes": minutes}


def test_below_target_the_most_minutes_come_first_and_a_hair_is_none():
    rows = [("a", gap(-2.0, -30.0)), ("b", gap(-9.0, -20.0)), ("c", gap(-0.4, -500.0)), ("d", gap(3.0, 50.0))]
    found = [
        item
        for name, missed in rows
        for item in work.machine_work(replace(PRESS, name=name), GOOD | {"targets": [missed]}, "en")
    ]
    ordered = work.in_order(found)
    assert [item.whose for item in ordered["target"]] == ["a", "b"]
    assert "2.0 points below" in ordered["target"][0].sentence
    assert duration(30 * 60_000, "en") in ordered["target"][0].sentence
    assert of({"targets": [gap(-9.0, None, "quality")]}) == []


def test_stops_without_a_reason_by_their_total():
    short = work.reasons_work(replace(PRESS, name="short"), [60_000] * 3, "vi")
    long = work.reasons_work(replace(PRESS, name="long"), [600_000], "vi", all_of_them=False)
    none = work.reasons_work(PRESS, [], "vi")
    ordered = work.in_order([*short, *long, *none])["reasons"]
    assert [item.whose for item in ordered] == ["long", "short"]
    assert ordered[0].sentence.startswith("Ít nhất 1 ")
    assert "stops=unexplained" in ordered[0].url


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    made = plant.make(
        tmp_path_factory.mktemp("work") / "facts.duckdb", 3, to_ns(datetime(2026, 3, 5, 19, 23, tzinfo=ZONE))
    )
    aims = [SaidTarget("van-long", "", "", "", None, "oee", 0.9, "lan", 1)]
    made.said_targets.connect(lambda site: [item for item in aims if item.site == site])
    yield made
    made.store.close()


async def page(center, path="/work", lang="en"):
    app = create_app(center)
    add_worklist_page(app, center, declares=True)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get(path, headers={"Accept-Language": lang})
        api = await client.get("/api/v1/stops", params={"site": "van-long", "machine": "press-2", "unexplained": "true",
                                                         "from": "2026-02-27T00:00:00+07:00", "limit": "100000"})  # fmt: skip
        trend = await client.get("/api/v1/trend", params={"site": "van-long", "machine": "press-2", "bucket": "all",
                                                           "from": "2026-02-27T00:00:00+07:00"})  # fmt: skip
        return answer, api.json()["rows"], trend.json()["rows"][0]


async def test_every_figure_of_the_page_is_the_api_s(center):
    answer, stops, total = await page(center)
    assert answer.status_code == 200
    found = [item for item in site_work(center, EVERYTHING, "van-long", "en", "/", True) if item.whose == "Press 2"]
    by_group = {item.group: item for item in found}
    assert by_group["reasons"].sentence.startswith(f"{len(stops)} stops")
    assert percent(total["kpis"]["oee"], "en") in by_group["target"].sentence
    for item in found:
        assert item.sentence in answer.text
    assert "press-2?span=7d&amp;stops=unexplained" in answer.text


async def test_a_site_can_be_chosen_and_the_page_speaks_both_languages(center):
    one, _, _ = await page(center, "/work?site=hoa-binh", "vi")
    assert say("work.group.trust", "vi") in one.text
    assert "Hòa Bình" in one.text
    assert "press-2" not in one.text
    assert say("work.no_target", "vi") in one.text  # hoa-binh has none; van-long has
    nobody, _, _ = await page(center, "/work?site=nowhere")
    assert say("work.group.trust.none", "en") in nobody.text
