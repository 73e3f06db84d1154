"""Process values as curves: no extreme and no gap is lost, however few parts there are; at the API and on a machine's page."""

import math
import re
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import expect

from center.console.machine.value_charts import figure
from center.contract.store import ValueBins
from center.queries.values.curves import curve
from words import say

ROWS = st.lists(st.tuples(st.integers(-50, 599), st.one_of(st.none(), st.integers(-9, 9))), max_size=40)
MACHINE = "/machine/van-long/press-2"


def binned(rows, width):
    """What the store's contract says of these rows (second, number or None), by bins of so many seconds from 0 on."""
    bins = {}
    for second, value in sorted(dict(rows).items()):
        bins.setdefault(max(second // width, -1) if second >= 0 else -1, []).append(
            math.nan if value is None else float(value)
        )
    if -1 in bins:
        bins[-1] = bins[-1][-1:]
    places = sorted(bins)
    known = [[number for number in bins[place] if not math.isnan(number)] for place in places]
    return ValueBins(
        np.array(["t"] * len(places), object),
        np.array(places, np.int64),
        np.array([min(numbers, default=math.nan) for numbers in known], np.float64),
        np.array([max(numbers, default=math.nan) for numbers in known], np.float64),
        np.array([bins[place][-1] for place in places], np.float64),
        np.array([any(map(math.isnan, bins[place])) for place in places], np.bool_),
    )


@given(ROWS, st.integers(1, 90))
def test_decimation_keeps_extremes_and_gaps(rows, width):
    """Second by second a value holds until the next row: a part's lowest and highest are exactly those of its seconds, and a
    second without a value marks it."""
    count = -(-600 // width)
    held, by_second, values = math.nan, dict(sorted(dict(rows).items())), []
    for second in range(-50, count * width):
        held = (math.nan if by_second[second] is None else float(by_second[second])) if second in by_second else held
        values.append(held)
    seconds = values[50:]
    low, high, unknown = curve(binned(rows, width), count, count)
    for place in range(count):
        part = seconds[place * width : (place + 1) * width]
        before = seconds[place * width - 1] if place else values[49]
        known = [value for value in (before, *part) if not math.isnan(value)]
        assert low[place] == min(known, default=None)
        assert high[place] == max(known, default=None)
        assert unknown[place] >= any(math.isnan(value) for value in part)
        if unknown[place]:
            assert any(math.isnan(value) for value in (before, *part))
    assert max((value for value in high if value is not None), default=None) == max((v for v in (*seconds, values[49]) if not math.isnan(v)), default=None)  # fmt: skip


@given(ROWS, st.integers(0, 12))
def test_after_the_gateway_was_last_heard_of_nothing_is_known(rows, until):
    low, high, unknown = curve(binned(rows, 60), 10, until)
    assert low[until:] == high[until:] == [None] * max(10 - until, 0)
    assert all(unknown[until:])


@pytest.mark.browser
@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
def test_values_stand_under_the_states_with_the_api_s_numbers(tabs, plant, lang, width):
    page = tabs(f"{MACHINE}?span=today", lang, width)
    expect(page.locator(".curve-of")).to_have_count(2)
    words = dict(parse_qsl(urlsplit(page.locator(".file a").first.get_attribute("href")).query))
    answer = plant.ask("values/curves", **{name: words[name] for name in ("site", "machine", "from", "to")})
    assert [row["tag"] for row in answer["series"]] == ["press-plc.current", "press-plc.oil_temp"]
    raw = plant.ask("values", site="van-long", tag="press-plc.oil_temp", limit="100000", **{name: words[name] for name in ("from", "to")})  # fmt: skip
    numbers = [value for value in raw["series"][0]["value"] if value is not None]
    temp = answer["series"][1]
    assert max(value for value in temp["high"] if value is not None) == max(numbers) == 78.5
    assert min(value for value in temp["low"] if value is not None) == min(numbers)
    gaps = sum(temp["unknown"]) * answer["every_s"]
    assert 3600 <= gaps <= 3600 + 2 * answer["every_s"] + 60
    for row in answer["series"]:
        low = min(value for value in row["low"] if value is not None)
        high = max(value for value in row["high"] if value is not None)
        box = page.locator(f".curve-of[data-tag='{row['tag']}']")
        expect(box.locator(".curve-head")).to_have_text(f"{row['tag']}{figure(low, (low, high), lang)} – {figure(high, (low, high), lang)} {row['unit']}")  # fmt: skip
    expect(page.locator(".curve-of[data-tag='press-plc.oil_temp'] .gap")).to_have_count(1)
    expect(page.locator(".band-of-values svg.band")).to_have_count(1)
    expect(page.locator(".band-of-values svg.band")).to_have_attribute(
        "aria-label", re.compile(r"\d\d:\d\d – .*\d\d:\d\d")
    )
    box = page.locator(".curve-of").last
    area, band = (page.locator(name).last.bounding_box() for name in (".curve .area", ".band-of-values svg.band"))
    assert abs(area["x"] - band["x"]) < 1.5
    assert abs(area["width"] - band["width"]) < 1.5
    box.locator("summary").click()
    expect(box.locator("tbody")).to_contain_text(say("console.values.unknown", lang))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_drawing_across_a_curve_zooms_and_other_machines_have_none(tabs):
    page = tabs(f"{MACHINE}?span=today")
    area = page.locator(".curve .area").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 24, steps=4)
    page.mouse.up()
    page.wait_for_url("**span=dates**")
    expect(page.locator(".curve-of")).to_have_count(2)
    other = tabs("/machine/van-long/press-1?span=today")
    expect(other.locator(".machine-page:not(.loading)")).to_have_count(1)
    expect(other.locator(".curve-of")).to_have_count(0)
    expect(other.get_by_role("heading", name=say("console.values", "en"))).to_be_hidden()
