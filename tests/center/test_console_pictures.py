"""The pictures of the console in a real browser: what is clicked leads to its stops, by mouse, keyboard and address."""

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from words import say

pytestmark = pytest.mark.browser
MACHINE = "/machine/van-long/press-2"


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
    page.locator("svg.band").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("rect.at")).to_have_count(1)
    expect(page.locator("#tip.shown")).to_contain_text("·")
    told = page.locator("#tip").inner_text().splitlines()[-1][:8]
    page.keyboard.press("Enter")
    expect(rows.first.locator(".at")).to_contain_text(told)
    expect(rows).to_have_count(1)
