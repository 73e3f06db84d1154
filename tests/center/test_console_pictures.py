"""The pictures of the console in a real browser: what is clicked leads to its stops, by mouse, keyboard and address."""

import re
from contextlib import suppress
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect
from servers import eventually

from words import number, percent, say

pytestmark = pytest.mark.browser
MACHINE = "/machine/van-long/press-2"
LANGUAGES = ("vi", "en")


def window_of(page, plant) -> dict:
    """The window that the page shows, as the API names it: that of the link of a file."""
    expect(page.locator(".file a").first).to_be_visible()
    query = parse_qs(urlsplit(page.locator(".file a").first.get_attribute("href")).query)
    return {name: query[name][0] for name in ("site", "machine", "from", "to")}


def listed(page) -> int:
    """How many stops the list has."""
    return int(page.locator(".pager").inner_text().split()[-1].replace(",", "").replace(".", ""))


@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
def test_a_bar_of_the_pareto_leads_to_its_stops_and_back(tabs, plant, lang, width):
    page = tabs(f"{MACHINE}?span=7d", lang, width)
    window = window_of(page, plant)
    wanted = plant.ask("stops", **window, state="breakdown", reason="die-jam", order="longest")["rows"]
    every = plant.ask("stops", **window)["rows"]
    bar = page.locator(".pareto a", has_text="Kẹt khuôn" if lang == "vi" else "Die jam")
    bar.click()
    page.wait_for_url("**&states=breakdown&reason=die-jam")
    expect(page.locator(".picked .pill")).to_have_count(1)
    expect(page.locator(".pager")).to_contain_text(str(len(wanted)))
    assert listed(page) == len(wanted) < len(every)
    rows = page.locator("table.stops tbody tr")
    expect(rows.first.locator(".at")).to_contain_text(wanted[0]["start"][11:19])
    expect(page.locator("#stops")).to_be_in_viewport()
    page.reload()
    expect(page.locator(".pager")).to_contain_text(f"{min(12, len(wanted))} ")
    assert listed(page) == len(wanted)
    page.go_back()
    expect(page.locator(".picked .pill")).to_have_count(0)
    expect(page.locator(".pager")).to_contain_text(str(len(every)))
    shared = tabs(bar.get_attribute("href"), lang, width)
    expect(shared.locator(".pager")).to_contain_text(str(len(wanted)))
    shared.locator(".picked .pill").click()
    expect(shared.locator(".picked .pill")).to_have_count(0)


def test_a_step_of_the_waterfall_and_a_big_loss_lead_to_their_stops(tabs, plant):
    page = tabs(f"{MACHINE}?span=7d")
    window = window_of(page, plant)
    for picture, name, states in (
        (".fall:not(.six):not(.pareto)", say("waterfall.setup", "en"), ["setup"]),
        (".six", say("loss.breakdown", "en"), ["breakdown", "unplanned_stop", "starved", "blocked"]),
    ):
        page.locator(f"{picture} a.step", has_text=name).click()
        page.wait_for_url(f"**states={'%2C'.join(states)}")
        wanted = plant.ask("stops", **window, state=states)["rows"]
        expect(page.locator(".pager")).to_contain_text(f"of {len(wanted)}")
    expect(page.locator(".six .step")).to_have_count(6)
    assert page.locator(".six a.step", has_text=say("loss.reduced_speed", "en")).count() == 0


def test_a_segment_of_the_band_leads_to_its_stop_by_mouse_and_by_keys(tabs, plant):
    page = tabs(f"{MACHINE}?span=24h")
    window = window_of(page, plant)
    stops = {stop["start"][11:19]: stop for stop in plant.ask("stops", **window)["rows"]}
    segments = page.locator("rect.s[data-pick]")
    expect(segments.first).to_be_visible()
    widths = segments.evaluate_all("parts => parts.map(part => part.getBoundingClientRect().width)")
    assert len(widths) > 10
    segment = segments.nth(widths.index(max(widths)))
    segment.hover()
    begin = page.locator("#tip").inner_text().splitlines()[-1][:8]
    segment.click()
    page.wait_for_url("**within=**")
    rows = page.locator("table.stops tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first.locator(".at")).to_contain_text(begin)
    expect(rows.first).to_contain_text(say(f"state.{stops[begin]['state']}", "en"))
    assert eventually(lambda: _picked_by_keys(page, rows), every_s=1)
    expect(rows).to_have_count(1)


def _picked_by_keys(page, rows):
    """Whether keys led to the stop that they told; a page that is drawn anew between two keys takes the focus with it."""
    page.locator(".days svg.band").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tip.shown")).to_contain_text("·")
    told = page.locator("#tip").inner_text().splitlines()[-1][:8]
    page.keyboard.press("Enter")
    with suppress(AssertionError):
        expect(rows.first.locator(".at")).to_contain_text(told, timeout=10_000)
        return True
    return False


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_point_of_the_trend_leads_to_the_stops_of_its_shift(tabs, plant, lang):
    page = tabs(f"{MACHINE}?span=7d&bucket=shift", lang)
    points = page.locator(".chart-trend .area a")
    expect(points.first).to_be_visible()
    rows = plant.ask("trend", **window_of(page, plant), bucket="shift")["rows"]
    expect(points).to_have_count(len(rows))
    shown = [row for row in rows if row["kpis"]["oee"] is not None]
    point = points.nth(rows.index(shown[-2]))
    for kpi in ("oee", "availability", "performance", "quality", "coverage"):
        expect(point).to_have_attribute("data-tip", re.compile(re.escape(percent(shown[-2]["kpis"][kpi], lang))))
    point.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**within=**")
    day, shift = shown[-2]["start"][:10], shown[-2]["shift"]
    begin, end = {"A": ("06:00", "14:00"), "B": ("14:00", "22:00")}[shift]
    found = plant.ask("stops", site="van-long", machine="press-2", **{"from": f"{day}T{begin}:00+07:00", "to": f"{day}T{end}:00+07:00"})["rows"]  # fmt: skip
    expect(page.locator(".picked .pill")).to_contain_text(f"{begin} ")
    expect(page.locator(".pager")).to_contain_text(str(len(found)))
    assert listed(page) == len(found)
    page.locator(".chart-trend summary").click()
    for row in shown:
        expect(page.locator(".chart-trend tbody")).to_contain_text(percent(row["kpis"]["oee"], lang))


def test_the_period_before_is_laid_over_and_the_address_says_so(tabs, plant):
    page = tabs(f"{MACHINE}?span=today")
    window = window_of(page, plant)
    expect(page.locator("path.l-before")).to_have_count(0)
    page.get_by_role("button", name=say("console.over.before", "en")).click()
    page.wait_for_url("**over=before")
    expect(page.locator("path.l-before.dots")).to_have_count(1)
    earlier = {name: (datetime.fromisoformat(window[name]) - timedelta(days=1)).isoformat() for name in ("from", "to")}
    rows = plant.ask("trend", **window | earlier, bucket="hour")["rows"]
    then = {row["start"][11:13]: row["kpis"]["oee"] for row in rows if row["kpis"]["oee"] is not None}
    assert len(then) > 8
    page.locator(".chart-trend summary").click()
    for hour, oee in then.items():
        line = page.locator(".chart-trend tbody tr", has_text=f", {hour}:00")
        expect(line.locator("td").last).to_have_text(percent(oee, "en"))
    page.reload()
    expect(page.locator("path.l-before.dots")).to_have_count(1)
    page.get_by_role("button", name=say("console.over.none", "en")).click()
    expect(page.locator("path.l-before")).to_have_count(0)
    page.go_back()
    expect(page.locator("path.l-before.dots")).to_have_count(1)


def test_zoom_by_drawing_across_by_buttons_and_back(tabs, plant):
    page = tabs(f"{MACHINE}?span=7d&bucket=day")
    area = page.locator(".chart-trend .area")
    expect(page.locator(".chart-trend .area a").first).to_be_visible()
    whole = window_of(page, plant)
    count, box = page.locator(".chart-trend .area a").count(), area.bounding_box()
    days = [row["start"] for row in plant.ask("trend", **whole, bucket="day")["rows"]]
    page.mouse.move(box["x"] + box["width"] * (1.5 / count), box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (2.2 / count), box["y"] + 70, steps=4)
    expect(page.locator(".drawn-across")).to_have_count(1)
    page.mouse.up()
    page.wait_for_url("**span=dates**")
    query = parse_qs(urlsplit(page.url).query)
    assert query["first"] == [f"{days[1][:10]}T06:00"]
    assert query["last"] == [f"{days[2][:10]}T22:00"]
    assert "within" not in query, "drawing is no click"
    expect(page.locator(".chart-trend .area a")).to_have_count(2 if query["bucket"] == ["day"] else 40)
    total = plant.ask("trend", site="van-long", machine="press-2", bucket="all", **{"from": f"{query['first'][0]}:00+07:00", "to": f"{query['last'][0]}:00+07:00"})["rows"][0]  # fmt: skip
    expect(page.locator("#kpi-pieces_total")).to_have_text(number(total["sums"]["pieces_total"], "en"))
    page.get_by_label(say("console.zoom.in", "en")).click()
    page.wait_for_url(f"**first={days[1][:10]}T16%3A00**")
    page.get_by_label(say("console.zoom.earlier", "en")).click()
    page.wait_for_url(f"**last={days[1][:10]}T16%3A00**")
    page.get_by_label(say("console.zoom.out", "en")).click()
    page.wait_for_url(f"**last={days[2][:10]}T02%3A00**")
    for _ in range(4):
        page.go_back()
    page.wait_for_url("**span=7d&bucket=day")
    expect(page.locator(".chart-trend .area a")).to_have_count(count)


_TOUCHING = """() => [...document.querySelectorAll("td.bars i")].filter((bar) => {
  const text = document.createRange(); text.selectNodeContents(bar.parentElement.nextElementSibling);
  return bar.getBoundingClientRect().right + 2 > text.getBoundingClientRect().left; }).length"""
"""Bars that run into the figure beside them."""
_CUT = """(words) => [...document.querySelectorAll(".card .chip > span")].filter((item) => {
  item.textContent = words; return item.scrollWidth > item.clientWidth + 1; }).length"""
_UNEVEN = """() => [...document.querySelectorAll(".compared tbody tr")].filter((row) =>
  new Set(["availability", "performance", "quality"].map((kpi) => Math.round(row.querySelector(`.c-${kpi} .bar`).getBoundingClientRect().top)))
  .size > 1).length"""


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_covers_or_cuts_what_is_to_be_read(tabs, lang, width):
    page = tabs("/report/van-long?which=yesterday", lang, width)
    assert page.locator("td.bars i").count() > 5
    assert page.evaluate(_TOUCHING) == 0
    page.goto(page.url.split("/report")[0] + "/comparison?span=7d")
    page.wait_for_selector(".compared .c-quality .bar")
    assert page.evaluate(_UNEVEN) == 0
    page.goto(page.url.split("/comparison")[0] + "/?screen=hall")
    page.wait_for_selector(".card .chip")
    assert page.evaluate(_CUT, say("state.unplanned_stop", lang)) == 0
