"""The greatest losses and comparisons over several sites: sums that agree with every other answer, and the pages' numbers."""

import re
from dataclasses import replace
from datetime import datetime
from itertools import combinations
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from console_plant import ZONE, make
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from center.api.app import create_app
from center.model.viewer import EVERYTHING
from center.queries.across.compare import machines_of
from center.queries.across.top_losses import GROUPS, NO_STOPS, LossFilter, top_losses
from center.queries.losses import losses
from center.queries.question import Question
from center.queries.waterfall import waterfall_steps
from oee.kpi import kpi
from oee.model.calendars import to_ns
from words import hours, number, percent, say

NOW = to_ns(datetime(2026, 3, 5, 19, 23, tzinfo=ZONE))
EVERY_LOSS = LossFilter()
SUBSETS = [chosen for size in range(len(GROUPS) + 1) for chosen in combinations(GROUPS, size)]


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    made = make(tmp_path_factory.mktemp("top") / "console.duckdb", 2, NOW)
    yield made
    made.store.close()


def question(minutes=2 * 1440, until=0):
    end = NOW // 60_000_000_000 * 60_000_000_000 - until * 60_000_000_000
    return Question(EVERYTHING, "", start_ns=end - minutes * 60_000_000_000, end_ns=end)


def asked(center, by, wanted=EVERY_LOSS, window=None):
    return top_losses(center, window or question(), machines_of(center, EVERYTHING, [], []), ZONE, by, wanted)


@settings(max_examples=40)
@given(st.sampled_from(SUBSETS), st.integers(1, 2880), st.integers(0, 600))
def test_the_whole_is_the_same_however_it_is_grouped(center, by, minutes, until):
    """Scheduled time less fully productive time of every machine, to the microsecond."""
    window = question(minutes, until)
    answer = asked(center, by, window=window)
    whole_us = 0
    for site in ("van-long", "hoa-binh"):
        of_site = Question(EVERYTHING, site, start_ns=window.start_ns, end_ns=window.end_ns)
        steps = {row["step"]: row["us"] for row in waterfall_steps(center, replace(of_site, by=()))["rows"]}
        whole_us += steps.get("scheduled", 0) - steps.get("fully_productive", 0)
    assert answer["total_us"] == whole_us == sum(row["us"] for row in answer["rows"])
    assert [row["us"] for row in answer["rows"]] == sorted((row["us"] for row in answer["rows"]), reverse=True)
    keys = [tuple(row[name] for name in by) for row in answer["rows"]]
    assert len(set(keys)) == len(keys)


def test_stops_are_those_of_losses_to_the_millisecond(center):
    answer = asked(center, ("site", "machine", "state", "reason"))
    mine = {(row["site"], row["machine"], row["state"], row["reason"]): row["us"] for row in answer["rows"]}
    theirs = {}
    for site in ("van-long", "hoa-binh"):
        window = question()
        of_site = Question(EVERYTHING, site, start_ns=window.start_ns, end_ns=window.end_ns, by=("machine", "state", "reason"))  # fmt: skip
        for row in losses(center, of_site)["rows"]:
            theirs[site, row["machine"], row["state"], row["reason"]] = row["ms"] * 1000
    assert theirs == {key: us for key, us in mine.items() if key[2] not in NO_STOPS}
    assert any(key[2] == "slow_cycles" for key in mine)


@pytest.mark.parametrize(
    ("wanted", "column", "keys"),
    [
        (LossFilter(states=("breakdown",)), "state", {"breakdown"}),
        (LossFilter(reasons=("die-jam",)), "reason", {"die-jam"}),
        (LossFilter(reasons=("",), states=("unplanned_stop",)), "reason", {""}),
        (LossFilter(products=("1",)), "product", {"1"}),
        (LossFilter(shifts=("B",)), "shift", {"B"}),
        (LossFilter(lines=("stamping",)), "line", {"stamping"}),
    ],
)
def test_a_filter_keeps_the_rows_that_have_it(center, wanted, column, keys):
    every = asked(center, tuple(dict.fromkeys((column, "state", "machine", "reason"))))["rows"]
    kept = [row for row in every if row[column] in keys and (not wanted.states or row["state"] in wanted.states)]
    answer = asked(center, ("machine",), wanted)
    assert kept
    assert answer["total_us"] == sum(row["us"] for row in kept)
    assert asked(center, tuple(dict.fromkeys((column, "state", "machine", "reason"))), wanted)["rows"] == kept


async def test_the_api_answers_so_and_as_a_file(center):
    transport = httpx.ASGITransport(create_app(center))
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        answer = await client.get("/top-losses", params={"by": "machine,reason", "state": "breakdown"})
        rows = answer.json()["rows"]
        assert rows
        assert set(rows[0]) == {"machine", "reason", "us", "pieces"}
        assert answer.json()["total_us"] == sum(row["us"] for row in rows)
        file = await client.get("/top-losses", params={"by": "site,machine", "format": "csv"})
        assert file.text.splitlines()[0].lstrip("\ufeff").split(",")[:4] == ["site", "site_name", "machine", "machine_name"]  # fmt: skip
        for wrong in ({"by": "beauty"}, {"site": "nowhere"}, {"machine": "press-1"}):
            assert (await client.get("/top-losses", params=wrong)).status_code in (404, 422)


async def test_a_comparison_of_groups_is_a_ratio_of_sums(center):
    """A site's OEE from the sums of its machines, as the KPIs compute it, and what is no group is refused."""
    transport = httpx.ASGITransport(create_app(center))
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        window = {"from": "2026-03-04", "to": "2026-03-05T19:00:00+07:00", "site": "van-long"}
        machines = (await client.get("/compare", params=window)).json()["rows"]
        for by in ("site", "line", "shift"):
            rows = (await client.get("/compare", params=window | {"by": by})).json()["rows"]
            for name in ("running_ms", "pieces_total", "ideal_good_us"):
                assert sum(row["sums"][name] for row in rows) == sum(row["sums"][name] for row in machines)
            assert sum(row["scheduled_ms"] for row in rows) == sum(row["scheduled_ms"] for row in machines)
            for row in rows:
                assert row["kpis"]["oee"] == kpi.compute(row["sums"], scheduled_ms=row["scheduled_ms"]).values["oee"]
        assert (await client.get("/compare", params=window | {"by": "beauty"})).status_code == 422


# in a browser


@pytest.mark.browser
@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
@pytest.mark.parametrize("by", ["reason", "state", "product", "shift", "machine", "line", "site"])
def test_the_page_has_the_api_s_numbers(tabs, plant, by, lang, width):
    page = tabs(f"/losses?span=yesterday&by={by}", lang, width)
    words = dict(parse_qsl(urlsplit(page.locator(".file a").get_attribute("href")).query))
    answer = plant.ask("top-losses", **{name: words[name] for name in ("from", "to", "by")})
    shown = [row for row in answer["rows"] if row["us"] > 0]
    bars = page.locator(".pareto .step")
    expect(bars).to_have_count(len(shown))
    whole_us = sum(row["us"] for row in shown)
    for at, row in enumerate(shown):
        expect(bars.nth(at).locator(".num")).to_have_text(hours(row["us"] / 1000, lang))
        expect(bars.nth(at).locator("em")).to_have_text(percent(row["us"] / whole_us, lang))
    expect(page.locator(".panel-head .note")).to_contain_text(hours(answer["total_us"] / 1000, lang))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_bar_leads_to_the_machines_and_they_to_their_stops(tabs, plant, lang):
    page = tabs("/", lang)
    page.locator("nav.pages").get_by_role("link", name=say("losses.title", lang)).click()
    page.get_by_role("link", name=say("console.span.yesterday", lang), exact=True).click()
    page.locator("a.step", has_text="Kẹt khuôn" if lang == "vi" else "Die jam").click()
    page.wait_for_url("**reason=die-jam**by=machine")
    expect(page.locator(".picked .pill")).to_have_count(1)
    name = page.locator("a.step .name").first.inner_text()
    page.locator("a.step").first.click()
    page.wait_for_url("**/machine/**states=breakdown**reason=die-jam**")
    expect(page.locator("h1")).to_have_text(name.split(" · ")[0])
    query = dict(parse_qsl(urlsplit(page.url).query))
    assert query["span"] == "yesterday"
    expect(page.locator(".pager")).to_contain_text(re.compile(r"\d"))
    window = dict(parse_qsl(urlsplit(page.locator(".file a").first.get_attribute("href")).query))
    found = plant.ask("stops", site=window["site"], machine=window["machine"], **{"from": window["from"], "to": window["to"]}, state="breakdown", reason="die-jam")["rows"]  # fmt: skip
    expect(page.locator(".pager")).to_contain_text(number(len(found), lang))
    page.go_back()
    expect(page.locator(".picked .pill")).to_have_count(1)
    page.locator(".picked .pill").click()
    expect(page.locator(".picked .pill")).to_have_count(0)


@pytest.mark.browser
@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
@pytest.mark.parametrize("by", ["machine", "line", "shift", "product", "site"])
def test_the_comparison_has_the_api_s_numbers(tabs, plant, by, lang, width):
    page = tabs(f"/comparison?span=yesterday&by={by}", lang, width)
    words = dict(parse_qsl(urlsplit(page.locator(".file a").get_attribute("href")).query))
    answer = plant.ask("compare", **{name: words[name] for name in ("from", "to", "by", "order")})
    lost = plant.ask("top-losses", **{name: words[name] for name in ("from", "to")}, by=f"site,{by},state,reason")[
        "rows"
    ]
    rows = page.locator(".compared tbody tr")
    expect(rows).to_have_count(len(answer["rows"]))
    for at, row in enumerate(answer["rows"]):
        kpis, line = row["kpis"], rows.nth(at)
        expect(line.locator(".c-oee > b")).to_have_text(percent(kpis["oee"], lang))
        for factor in ("availability", "performance", "quality"):
            expect(line.locator(f".c-{factor} b")).to_have_text(percent(kpis[factor], lang))
        low, high, coverage = kpis["oee_low"], kpis["oee_high"], kpis["coverage"]
        if (low is not None and high - low > 0.02) or (coverage is not None and coverage < 0.98):
            expect(line.locator(".c-oee small").last).to_contain_text(percent(coverage, lang))
            expect(line.locator(".c-oee small").last).to_contain_text(percent(high, lang))
        mine = [item for item in lost if item["site"] == row["site"] and (by == "site" or item[by] == row[by])]
        worst = next(item for item in mine if item["us"] > 0 and item["state"] != "planned_stop")
        expect(line.locator(".c-worst small")).to_have_text(hours(worst["us"] / 1000, lang))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
