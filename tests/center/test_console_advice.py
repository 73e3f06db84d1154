"""The pages of advice: pictures from the evidence, names escaped, and a dismissal in a real browser."""

import re
from dataclasses import replace
from datetime import datetime

import httpx
import pytest
from advice_plant import SITE, fill, opened
from histories import NULL, PLANTED, START_NS, ZONE, history
from markupsafe import escape
from playwright.sync_api import expect
from servers import PATIENCE_S

from center.api.advice.finding_answers import detail, finding
from center.console.advice import cards
from center.console.advice.pictures import picture
from center.console.draw import time_labels
from center.console.draw.plot import PlotLevel, PlotMark, plot
from center.model.kept_finding import KeptFinding
from center.model.viewer import EVERYTHING
from oee.advice.catalogue import rules, watched
from oee.advice.finding import Gain
from oee.advice.life import FindingRecord
from words import LANGUAGES

EVIL = "<script>window.broken = 1</script>"


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    made = opened("duckdb", tmp_path_factory.mktemp("pages"), START_NS + 10**18)
    machines = {"m-1": {"name": {"vi": EVIL, "en": EVIL}, "line": "stamping"}}
    fill(made, {"m-1": (replace(NULL, weeks=1), 1)}, SITE, machines=machines, name={"vi": EVIL, "en": EVIL})
    yield made
    made.store.close()


def row(center, key, **changes):
    found = watched(rules()[key].find(history(PLANTED[key], 1)))[0]
    record = FindingRecord(found, "open", START_NS, START_NS, START_NS, Gain(20, 90), Gain(20, 90))
    return {**detail(center, EVERYTHING, KeptFinding("ab", SITE, record)), **changes}


@pytest.mark.parametrize("key", sorted(PLANTED))
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_rule_has_a_picture_of_its_evidence(center, key, lang):
    answer = row(center, key)
    drawn = picture(answer, ZONE, lang)
    values = re.findall(r'class="(?:dot|col)[ "]', drawn)
    series = answer["evidence"]["series"]
    counts = {"wear_out": len(series.get("at_h", ())) + 1, "repeat_failure": len(series.get("at_h", ())) + 1}
    counts |= {"micro_cluster": 12, "no_reason": 4, "unscheduled": 4, "counter_suspect": 4, "startup_reject": 12}
    counts |= {"bottleneck": 2 * len(series.get("starved", ())), "cyclic_stop": 36}
    counts |= {"changeover_sequence": len(series.get("saving_min", ()))}
    assert len(values) == counts.get(key, answer["evidence"]["n"])
    assert "nan" not in drawn
    whole = cards.page(answer, EVIL, ZONE, may_dismiss=True, lang=lang)
    assert EVIL not in whole
    assert "&lt;script&gt;" in whole
    assert all(escape(answer[part][lang]) in whole for part in ("question", "countermeasure", "doubt"))
    assert ("20–90" in whole) != (answer["about_data"] or not rules()[key].in_minutes)


@pytest.mark.parametrize("key", ["changeover_sequence", "no_reason", "unscheduled", "counter_suspect"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_columns_of_weeks_say_which_weeks(center, key, lang):
    answer = row(center, key)
    series = answer["evidence"]["series"]
    starts = series["at_s" if key == "unscheduled" else "week_s"]
    begun = [time_labels.day(datetime.fromtimestamp(start_s, ZONE), lang) for start_s in starts]
    drawn = picture(answer, ZONE, lang).partition('class="xs"')[2]
    below = re.findall(r"<span[^>]*>([^<]*)</span>", drawn)
    assert len(begun) >= 4
    assert (' class="' in drawn) == (len(begun) > 7), "each in the middle of its column, unless it would be cut off"
    assert (below[0], below[-1]) == (begun[0], begun[-1])
    assert len(below) == min(len(begun), 5)
    older = answer | {"evidence": answer["evidence"] | {"series": {k: v for k, v in series.items() if k != "week_s"}}}
    assert 'class="col' in picture(older, ZONE, lang), "findings that an earlier version kept have no starts"


def test_what_is_not_known_is_still_shown(center):
    unknown = row(center, "slow_start", rule="from_the_future", name={"vi": "from_the_future", "en": "x"})
    assert picture(unknown, ZONE, "vi") is None
    assert "from_the_future" in cards.page(unknown, "x", ZONE, may_dismiss=False, lang="vi")


def test_the_worklist_says_where_it_frees_time_only(center):
    plain = row(center, "slow_start")
    rows = [
        plain | {"at_constraint": True, "growing": True},
        plain | {"at_constraint": False},
        plain | {"about_data": True, "gain_min": None},
        plain | {"stage": "watch"},
        plain | {"stage": "unheard of"},
    ]
    shown = cards.worklist(rows, {SITE: {"vi": "Vân Long", "en": "Van Long"}}, "vi")
    assert [text in shown for text in ("Nút thắt", "Không phải nút thắt", "Đang nặng thêm", "Số liệu sai")] == [
        True
    ] * 4
    assert shown.count('class="gain"') == 3
    assert "Đã xác nhận · 3" in shown
    assert "<details" in shown
    assert "Chưa có phát hiện nào" in cards.worklist([], {}, "vi")
    assert cards.untrusted([], {}, "vi") is None


def test_what_is_wrong_with_the_data_of_several_machines_is_one_item_after_another(center):
    """19 findings about reasons must not push what can be acted on below the first screen."""
    doubt = row(center, "no_reason")
    several = [
        doubt | {"id": f"f{i}", "machine": f"m-{i % 3}", "machine_name": {"vi": f"Máy {i % 3}", "en": f"m-{i % 3}"}}
        for i in range(7)
    ]
    plain = row(center, "slow_start")
    shown = cards.worklist(
        [*several, plain, plain | {"id": "other"}], {SITE: {"vi": "Vân Long", "en": "Van Long"}}, "en"
    )
    assert shown.count("<details") == 1
    assert "7 findings about the data of 3 machines: m-0, m-1, m-2." in shown
    assert shown.index("<details") < shown.index(plain["name"]["en"]), "trust stays first"
    assert all(f"/advice/f{i}" in shown for i in range(7)), "each is still there"
    alone = cards.worklist([doubt], {SITE: {"vi": "x", "en": "x"}}, "en")
    assert "<details" not in alone


def test_a_plot_stays_within_its_frame():
    drawn = plot(
        [PlotMark(0, -3), PlotMark(2, 9, strong=True, tip="<")], [PlotLevel(4, "<b>")], [(0, "a"), (2, "b")], [(5, "5")]
    )
    places = [float(value) for value in re.findall(r"(?:left|bottom|width):([\d.]+)%", drawn)]
    assert places
    assert all(0 <= value <= 100 for value in places)
    assert "<b>" not in drawn
    assert 'data-tip="&lt;"' in drawn
    assert plot([])
    nothing = plot([PlotMark(0, 0), PlotMark(1, 0)], columns=True)
    assert re.findall(r"height:([\d.]+)%", nothing) == ["0.00", "0.00"]


def test_a_finding_of_an_unknown_machine_has_a_page(center):
    found = watched(rules()["slow_start"].find(history(PLANTED["slow_start"], 1)))[0]
    record = FindingRecord(replace(found, machine="gone"), "open", 1, 1, 1, Gain(1, 2), Gain(1, 2))
    assert finding(center, EVERYTHING, KeptFinding("ab", SITE, record))["machine_name"] == {}


# in a browser


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    from console_browser import served_by

    with served_by(
        "advice_console_plant.py", tmp_path_factory.mktemp("advice-console"), "--kinds", "early_end,slow_start"
    ) as found:
        yield found


@pytest.mark.browser
def test_a_finding_is_found_read_and_dismissed(url, chromium):
    for lang, width in (("vi", 390), ("en", 1400)):
        context = chromium.new_context(viewport={"width": width, "height": 900})
        context.add_cookies([{"name": "nhip_lang", "value": lang, "url": url}])
        page = context.new_page()
        complaints = []
        page.on("pageerror", lambda error, told=complaints: told.append(str(error)))
        page.goto(url)
        if width < 1000:
            page.locator(".pages-menu summary").click()
        page.locator(f"header {'.drop' if width < 1000 else 'nav.pages'} a[href='/advice']").click()
        expect(page.locator(".finding.open")).to_have_count(2)
        assert page.locator(".finding").first.locator(".plate.all").count() == 1, "the constraint comes first"
        page.locator(".finding").first.click()
        expect(page.locator(".plot .dot")).not_to_have_count(0)
        for path in ("/advice", page.url.removeprefix(url)):
            page.goto(url + path)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0
        assert complaints == []
        context.close()
    page = chromium.new_page()
    page.goto(f"{url}/advice")
    page.locator(".finding.open").last.click()
    page.locator(".fold.add summary").click()
    page.locator("textarea").fill("Họp giao ca đầu giờ")
    page.locator(".fold.add button").click()
    expect(page.locator("dd", has_text="Họp giao ca đầu giờ")).to_have_count(1)
    assert page.locator(".fold.add").count() == 0
    page.goto(f"{url}/advice")
    expect(page.locator(".finding.open")).to_have_count(1)
    rows = httpx.get(f"{url}/api/v1/findings", timeout=PATIENCE_S).json()["rows"]
    assert [item["reason"] for item in rows if item["stage"] == "dismissed"] == ["Họp giao ca đầu giờ"]
    page.goto(f"{url}/advice/0123456789abcdef")
    expect(page.locator(".sorry h1")).to_have_count(1)
