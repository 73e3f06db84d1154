"""The console as a browser sees it: a real center over a real store, a real Chromium, nothing mocked."""

import re
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from console_browser import Plant
from console_plant import EVIL, EVIL_IMAGE
from playwright.sync_api import expect
from servers import PATIENCE_S, eventually

from center.console.draw.goals import signed
from words import duration, number, percent, say

pytestmark = pytest.mark.browser
MACHINE = "/machine/van-long/press-2"
LANGUAGES = ("vi", "en")


def shift_row(plant: Plant, machine: str) -> dict:
    """The shift that is on at 19:23: today's B."""
    rows = plant.ask("trend", site="van-long", machine=machine, bucket="shift", **{"from": today(plant)})["rows"]
    return next(row for row in rows if row["shift"] == "B")


def today(plant: Plant) -> str:
    return plant.ask("health")["time"][:10]


@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
@pytest.mark.parametrize("path", ["/", MACHINE, f"{MACHINE}?span=7d&bucket=day", "/?site=van-long&order=worst"])
def test_pages_open_quietly_and_fit_the_screen(tabs, path, lang, width):
    page = tabs(path, lang, width)
    expect(page.locator("html")).to_have_attribute("lang", "vi" if lang == "vi" else "en-US")
    expect(page.locator(".chip").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if "machine" in path:
        page.wait_for_selector(".chart-trend svg path", state="attached")


def test_the_fleet_counts_what_the_live_picture_says(tabs, plant):
    page = tabs("/")
    rows = plant.ask("live")
    running = sum(row["state"] == "running" for row in rows)
    unknown = sum(row["state"] == "unknown" for row in rows)
    assert running == 2
    assert unknown == 2
    expect(page.locator("#n-running b")).to_have_text(str(running))
    expect(page.locator("#n-unknown b")).to_have_text(str(unknown))
    expect(page.locator("#n-stopped b")).to_have_text(str(len(rows) - running - unknown))
    expect(page.locator(".card")).to_have_count(len(rows))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_card_has_the_api_s_numbers(tabs, plant, lang):
    page = tabs("/?site=van-long", lang)
    card = page.locator(f".card[href='{MACHINE}?span=shift']")
    row, live = shift_row(plant, "press-2"), plant.ask("live", site="van-long")
    kpis = row["kpis"]
    expect(card.locator(".big")).to_have_text(percent(kpis["oee"], lang).replace("\u00a0", ""))
    for kpi in ("availability", "performance", "quality"):
        expect(card.locator(f".f-{kpi} span")).to_have_text(percent(kpis[kpi], lang, 0))
    said = next(item for item in live if item["machine"] == "press-2")
    expect(card.locator(".under b")).to_have_text(number(said["pieces"], lang))
    expect(card.locator(".chip")).to_have_text("Kẹt khuôn" if lang == "vi" else "Die jam")
    assert kpis["coverage"] > 0.95
    expect(card.locator(".trust")).to_have_count(0)


def test_a_silent_gateway_is_unknown_and_never_stopped(tabs):
    page = tabs("/?site=hoa-binh")
    expect(page.locator(".card.s-unknown")).to_have_count(2)
    expect(page.locator(".card .chip").first).to_have_text(say("console.offline", "en"))
    expect(page.locator("#n-stopped b")).to_have_text("0")
    expect(page.locator(".gate.away")).to_have_count(1)
    expect(page.locator(".card .trust").first).to_contain_text(re.compile(r"Coverage \d+%"))
    sewing = page.locator(".card", has_text="Sewing machine 3")
    expect(sewing.locator(".of")).to_contain_text("A × P")  # quality is not known
    expect(sewing.locator(".why")).to_contain_text(say("why_null.quality_not_known", "en"))
    expect(sewing.locator(".why")).to_contain_text("OEE is at most")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_machine_s_tiles_have_the_api_s_numbers(tabs, plant, lang):
    page = tabs(f"{MACHINE}?span=today", lang)
    row = plant.ask("trend", site="van-long", machine="press-2", bucket="all", **{"from": today(plant)})["rows"][0]
    for kpi in ("oee", "availability", "performance", "quality", "coverage"):
        expect(page.locator(f"#kpi-{kpi}")).to_have_text(percent(row["kpis"][kpi], lang).replace("\u00a0", ""))
    for kpi in ("mtbf_s", "mttr_s", "mean_stop_s"):
        value_s = row["kpis"][kpi]
        shown = "–" if value_s is None else duration(value_s * 1000, lang)
        expect(page.locator(f"#kpi-{kpi}")).to_have_text(shown)
    expect(page.locator("#kpi-pieces_total")).to_have_text(number(row["sums"]["pieces_total"], lang))
    expect(page.locator("#kpi-stops")).to_have_text(number(row["sums"]["stops"], lang))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_page_can_be_read_before_its_scripts_run(tabs, lang):
    page = tabs(f"{MACHINE}?span=24h", lang, complain=False)
    shown = page.locator("#kpi-oee").inner_text()
    expect(page.locator("#first-paint")).to_have_count(0)
    page.route("**/quasar.umd*", lambda route: route.abort())

    def is_drawn():  # what takes longer than a moment to query follows by itself
        page.reload(wait_until="commit")
        page.wait_for_selector("#first-paint h1")
        return page.locator("#first-paint #kpi-oee").count() == 1

    eventually(is_drawn)
    expect(page.locator("#kpi-oee")).to_have_text(shown)
    assert page.locator("body > :visible").evaluate_all("found => found.map((item) => item.id)") == ["first-paint"]
    assert page.locator("#first-paint").get_attribute("inert") == "", "a click before the page is live would be lost"
    trend = page.locator("#first-paint .chart-trend")
    assert trend.inner_html() == "", "what is below the figures is drawn once"
    assert trend.bounding_box()["height"] > 100, "but has its place"


def test_null_is_a_dash_with_its_reason(tabs):
    page = tabs("/machine/hoa-binh/sew-3")
    expect(page.locator("#kpi-quality")).to_have_text("–")
    why = say("why_null.quality_not_known", "en")
    expect(page.locator(".tile.f-quality .why")).to_have_text(why)
    page.locator(".tile.f-quality").hover()
    expect(page.locator("#tip")).to_contain_text(why)
    expect(page.locator("#tip")).to_contain_text(say("console.formula.quality", "en"))


def test_stops_are_those_of_the_api_and_turn_page_by_page(tabs, plant):
    page = tabs(f"{MACHINE}?span=7d")
    expect(page.locator(".window")).to_contain_text("–")
    start = page.locator(".window").inner_text()[:10]
    stops = plant.ask("stops", site="van-long", machine="press-2", **{"from": start})["rows"]
    rows = page.locator("table.stops tbody tr")
    expect(rows).to_have_count(12)
    expect(rows.first.locator(".at")).to_contain_text(stops[0]["start"][11:19])
    page.get_by_label(say("console.earlier", "en"), exact=True).click()
    expect(rows.first.locator(".at")).to_contain_text(stops[12]["start"][11:19])
    expect(page.locator(".pager")).to_contain_text(f"13–24 of {len(stops)}")


@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
def test_a_stop_gets_its_reason(tabs, plant, lang, width):
    page = tabs(MACHINE, lang, width)
    link = page.locator(".explain").first
    asked = parse_qs(urlsplit(link.get_attribute("href")).query)
    link.click()
    page.wait_for_selector("form")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    form = page.locator(".ask form")
    assert form.locator("input:checked").count() == 0
    form.get_by_label("Kẹt khuôn" if lang == "vi" else "Die jam").check()
    form.locator("button").click()
    expect(page.locator(".became")).to_contain_text(say("console.declared.sent", lang))
    page.reload()
    expect(page.locator("ul.rows li").first).to_contain_text("Kẹt khuôn" if lang == "vi" else "Die jam")
    (newest, *_) = plant.ask("declarations", site="van-long", machine="press-2")["rows"]
    assert (newest["value"], newest["state"]) == ("die-jam", "sent")
    times = [datetime.fromisoformat(newest[name]) for name in ("start", "end")]
    assert times == [datetime.fromisoformat(asked[name][0]) for name in ("from", "to")]
    page.locator("nav.crumbs a").click()
    expect(page.locator("h1")).to_have_text("Máy dập 2" if lang == "vi" else "Press 2")


def test_a_link_that_is_drawn_anew_under_the_finger_is_followed(tabs):
    """As the list of stops is with each length of a stop that goes on; but not where another link has come to its place."""
    page = tabs(f"{MACHINE}?span=24h")
    page.evaluate("""() => {
        window.followed = [];
        addEventListener("click", (event) => (followed.push(event.target.closest("a")?.search), event.preventDefault()));
    }""")
    links = page.locator(".drawn:not(.waits) table.stops .explain")
    first, second = (links.nth(at).get_attribute("href") for at in (0, 1))
    for drawn in (first, second):
        links.first.scroll_into_view_if_needed()
        box = links.first.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        links.first.evaluate(
            """(link, href) => {
                const list = link.closest(".drawn");
                list.innerHTML = list.innerHTML;
                list.querySelector(".explain").setAttribute("href", href);
            }""",
            drawn,
        )
        page.mouse.up()
        assert [search for search in page.evaluate("followed") if search] == ["?" + first.partition("?")[2]]


def test_what_cannot_be_declared_is_said_in_place(tabs, plant):
    page = tabs("/declare/van-long/press-2?from=2026-03-02T08:00:00&to=2026-03-02T07:00:00", "en", complain=False)
    form = page.locator("details[open] form")
    form.get_by_label("Die jam").check()
    form.locator("button").click()
    expect(page.locator(".said.bad")).to_contain_text("later than")
    assert tabs("/declare/van-long/nothing", "en", complain=False).locator("h1").text_content()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_more_rejects_than_pieces_are_asked_about_before_they_count(tabs, plant, lang):
    window = "from=2026-03-02T08:00:00&to=2026-03-02T09:00:00&field=rejects"
    page = tabs(f"/declare/van-long/press-1?{window}", lang, complain=False)
    before = plant.ask("declarations", site="van-long", machine="press-1")["rows"]
    form = page.locator("details[open] form")
    form.locator("input[name=value]").fill("999999")
    form.locator("button").click()
    expect(page.locator(".doubted")).to_contain_text("999999")
    assert plant.ask("declarations", site="van-long", machine="press-1")["rows"] == before
    page.get_by_role("button", name=say("console.declare.confirm", lang)).click()
    expect(page.locator(".became")).to_contain_text("999999")
    (newest, *older) = plant.ask("declarations", site="van-long", machine="press-1")["rows"]
    assert (newest["field"], newest["value"]) == ("rejects", "999999")
    assert older == before


def test_a_range_can_be_chosen_and_stays_in_the_address(tabs):
    page = tabs(MACHINE)
    before = page.locator("#kpi-pieces_total").inner_text()
    page.get_by_role("button", name=say("console.span.30d", "en")).click()
    expect(page.locator("#kpi-pieces_total")).not_to_have_text(before)
    page.get_by_role("button", name=say("bucket.week", "en")).click()
    page.wait_for_url("**/machine/van-long/press-2?span=30d&bucket=week")
    expect(page.get_by_role("button", name=say("bucket.hour", "en"))).to_be_disabled()
    expect(page.locator(".days").first.locator("svg.band")).to_have_count(30)
    page.reload()
    expect(page.locator(".seg .on", has_text=say("bucket.week", "en"))).to_be_visible()


def test_what_was_clicked_on_the_card_is_found_on_the_page(tabs):
    """The card shows this shift, and so does the page that it opens."""
    page = tabs("/")
    card = page.locator(".card", has_text="Press 2")
    expect(card.locator(".big")).to_contain_text("%")
    on_card = re.search(r"[\d.]+", card.locator(".big").inner_text())[0]
    card.click()
    expect(page.locator(".seg .on", has_text=say("console.span.shift", "en"))).to_be_visible()
    expect(page.locator("#kpi-oee")).to_contain_text(on_card)
    expect(page.locator(".window")).to_contain_text(say("console.shift", "en", name="B"))
    page.get_by_role("button", name=say("console.span.last_shift", "en")).click()
    expect(page.locator(".window")).to_contain_text(say("console.shift", "en", name="A"))


def test_any_days_can_be_chosen(tabs, plant):
    page = tabs(f"{MACHINE}?span=yesterday")
    day = datetime.fromisoformat(today(plant)) - timedelta(days=1)
    expect(page.locator(".window")).to_contain_text("–")
    of_yesterday = page.locator("#kpi-pieces_total").inner_text()
    page.get_by_role("button", name=say("console.span.today", "en")).click()
    expect(page.locator("#kpi-pieces_total")).not_to_have_text(of_yesterday)
    page.get_by_label(say("console.dates.first", "en")).fill(f"{day:%Y-%m-%d}")
    expect(page.locator("#kpi-pieces_total")).to_have_text(of_yesterday)
    page.wait_for_url(f"**?span=dates&bucket=hour&first={day:%Y-%m-%d}&last={day:%Y-%m-%d}")
    page.get_by_label(say("console.dates.last", "en")).fill(today(plant))
    expect(page.locator(".days").first.locator("svg.band")).to_have_count(2)
    page.reload()
    expect(page.locator(".days").first.locator("svg.band")).to_have_count(2)
    expect(page.get_by_label(say("console.dates.last", "en"))).to_have_value(today(plant))


@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
def test_every_page_leads_to_the_others(tabs, lang, width):
    page = tabs(MACHINE, lang, width)
    for name in ("work.title", "delivery.title", "console.fleet"):
        pages = page.locator(".pages-menu" if width < 1000 else "header")
        if width < 1000:
            pages.locator("summary").click()
        pages.get_by_role("link", name=say(name, lang)).first.click()
        expect(page.locator("nav.pages [aria-current]")).to_have_text(say(name, lang))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_screen_in_the_hall_says_when_it_is_cut_off(tabs, lang):
    page = tabs("/?site=van-long&screen=hall", lang, 1920, complain=False)
    expect(page.locator(".hall-clock")).to_contain_text(":")
    expect(page.locator(".top")).to_be_hidden()
    expect(page.locator(".card .big").first).to_contain_text("%")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.set_offline(True)
    expect(page.locator(".cut-off")).to_be_visible()
    expect(page.locator(".cut-off")).to_contain_text(say("console.hall.cut", lang))
    page.context.set_offline(False)
    expect(page.locator(".cut-off")).to_be_hidden()


def test_language_and_theme_are_kept(tabs):
    for locale in ("de-DE", "vi-VN"):  # CENTER.yaml says vi
        page = tabs("/", lang="", locale=locale)
        expect(page.locator("#n-running span")).to_have_text(say("console.group.running", "vi"))
    page = tabs("/", lang="", locale="vi-VN")
    page.get_by_role("button", name="EN", exact=True).click()
    expect(page.locator("#n-running span")).to_have_text(say("console.group.running", "en"))
    page.get_by_role("button", name=say("console.theme", "en")).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto(page.url + MACHINE.removeprefix("/"))
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator(".tile.lead .label")).to_contain_text(say("console.kpi.oee", "en"))


@pytest.mark.parametrize("path", ["/", "/machine/hoa-binh/cut-1?span=30d"])
def test_what_the_shop_floor_calls_things_is_text(tabs, path):
    page = tabs(path)
    expect(page.get_by_role("heading", name=EVIL)).to_be_visible()
    if "machine" in path:
        expect(page.locator(".pareto .name", has_text="onerror").first).to_be_visible()
        page.locator(".pareto .step", has_text="onerror").first.hover()
        expect(page.locator("#tip")).to_contain_text("onerror")
    for part in page.locator("rect[data-tip]").all()[-2:]:
        part.hover(force=True)
    assert page.evaluate("window.broken") is None
    assert page.locator("img").count() == 0, EVIL_IMAGE


def test_files_whose_address_changes_with_them_are_kept_by_the_browser(plant):
    with httpx.Client(base_url=plant.url, trust_env=False, timeout=PATIENCE_S) as client:
        page = client.get(MACHINE).text
        files = re.findall(r'["(](/(?:console/|_nicegui/[\d.]+/static/)[^"()]+\.(?:css|js))[")]', page)
        assert len(files) >= 8
        for file in files:
            assert client.get(file).headers["Cache-Control"].startswith("public, max-age=31536000"), file


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/machine/van-long/press-99", "console.unknown_machine"),
        ("/machine/nowhere/press-1", "console.unknown_machine"),
        ("/?site=nowhere", "console.unknown_site"),
        ("/nowhere", "console.no_page"),
    ],
)
def test_what_does_not_exist_is_a_friendly_page(tabs, plant, path, key, lang):
    page = tabs(path, lang, complain=False)  # a browser logs every 404
    last = path.rpartition("/")[2].rpartition("=")[2]
    expect(page.locator("h1")).to_have_text(say(key, lang, machine=last, site=last))
    assert httpx.get(plant.url + path, trust_env=False, timeout=PATIENCE_S).status_code == 404
    page.get_by_role("link", name=say("console.to_fleet", lang)).click()
    expect(page.locator(".card").first).to_be_visible()


def test_a_store_that_is_away_is_said_in_words_and_comes_back(tabs, plant):
    plant.away.touch()
    try:
        page = tabs(f"{MACHINE}?span=7d&bucket=hour")
        expect(page.locator(".banner")).to_contain_text(say("console.store_away", "en"))
        expect(page.locator(".chip").first).to_be_visible()
    finally:
        plant.away.unlink()
    page.get_by_role("button", name=say("console.span.24h", "en")).click()
    expect(page.locator("#kpi-oee")).to_be_visible()
    expect(page.locator(".banner")).to_have_count(0)


def moving(page, places):
    """How many of these places show that something is on its way, instead of staying white."""
    told = "all => all.filter(e => e.offsetHeight > 50 && getComputedStyle(e).animationName === 'wait').length"
    return page.locator(places).evaluate_all(told)


def test_a_page_does_not_wait_for_a_slow_store(tabs, plant):
    slow = plant.away.with_name("slow")
    slow.touch()
    try:
        page = tabs("/machine/van-long/inj-8?span=7d&bucket=hour")
        expect(page.locator(".chip").first).to_be_visible()
        expect(page.locator("#kpi-oee")).to_have_count(0)
        assert moving(page, ".tiles, .minis, .chart-trend, .panel > .drawn") == 8
        fleet = tabs("/?site=van-long")
        expect(fleet.locator(".chip").first).to_be_visible()
        known = fleet.locator(".card .big").count()  # another test may have asked for them just now
        assert moving(fleet, ".card > .numbers, .card > .hours") == (0 if known else 8)
    finally:
        slow.unlink()
    expect(page.locator("#kpi-oee")).to_contain_text("%")
    expect(page.locator("table.stops tbody tr").first).to_be_visible()
    assert moving(page, ".tiles, .minis, .chart-trend, .panel > .drawn") == 0
    expect(fleet.locator(".card .big")).to_have_count(4)


def test_a_page_that_fails_says_so_in_words(tabs, plant):
    broken = plant.away.with_name("broken")
    broken.touch()
    try:
        page = tabs("/machine/van-long/inj-7?span=7d", "vi", complain=False)
        expect(page.get_by_text(re.compile(say("console.broken", "vi")))).to_be_visible()
    finally:
        broken.unlink()


def test_numbers_that_fail_after_the_page_has_opened_say_so_above_them(tabs, plant):
    slow, broken = plant.away.with_name("slow"), plant.away.with_name("broken")
    slow.touch()
    broken.touch()
    try:
        page = tabs("/machine/van-long/inj-8?span=30d", complain=False)
        expect(page.locator(".chip").first).to_be_visible()
        slow.unlink()
        expect(page.locator(".banner")).to_contain_text(say("console.broken", "en"))
    finally:
        slow.unlink(missing_ok=True)
        broken.unlink()


def test_an_address_of_the_api_that_does_not_exist_is_no_page(plant):
    answer = httpx.get(f"{plant.url}/api/v1/nowhere", trust_env=False, timeout=PATIENCE_S)
    assert answer.status_code == 404
    assert answer.json()["error"] == "unknown"


@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
def test_the_page_of_deliveries(tabs, lang, width):
    page = tabs("/delivery", lang, width)
    expect(page.locator(".gateway")).to_have_count(2)
    expect(page.locator(".gateway").first).to_contain_text(say("delivery.trouble.clock", lang))
    expect(page.locator(".coverage tbody tr").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
def test_a_target_is_set_seen_everywhere_and_withdrawn(tabs, plant, lang, width):
    page = tabs("/targets/van-long", lang, width, complain=False)  # a refused form has status 422
    page.get_by_text(say("target.add", lang), exact=True).click()
    page.select_option("[name=place]", "/press-1")
    page.select_option("[name=kind]", "oee")
    page.fill("[name=value]", "150")
    page.get_by_role("button", name=say("target.add_submit", lang)).click()
    expect(page.locator(".said.bad")).to_contain_text("150")
    page.get_by_text(say("target.add", lang), exact=True).click()
    page.select_option("[name=place]", "/press-1")
    page.fill("[name=value]", "71,5" if lang == "vi" else "71.5%")
    page.get_by_role("button", name=say("target.add_submit", lang)).click()
    expect(page.locator(".said.good")).to_be_visible()
    expect(page.locator(".rows.aims")).to_contain_text(percent(0.715, lang))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    (gap,) = shift_row(plant, "press-1")["targets"]
    beside = say("target.beside", lang, target=percent(0.715, lang))
    points = say("console.points", lang, points=signed(gap["points"], lang, 1))
    fleet = tabs("/?site=van-long", lang, width)
    card = fleet.locator(".card", has=fleet.locator("[title=press-1]"))
    expect(card.locator(".goal")).to_contain_text(f"{beside}{points}")
    machine = tabs("/machine/van-long/press-1", lang, width)
    expect(machine.locator(".tile.lead .goal")).to_contain_text(beside)
    expect(machine.locator(".chart-trend .keys", has_text=say("target.line", lang)).first).to_be_visible()
    page.get_by_role("button", name=say("target.withdraw", lang), exact=True).click()
    expect(page.locator(".said.good")).to_have_text(say("target.withdrawn", lang))
    assert "targets" not in shift_row(plant, "press-1")


@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
def test_the_report_of_a_shift_is_read_and_another_day_chosen(tabs, plant, lang, width):
    page = tabs("/?site=van-long", lang, width)
    page.get_by_text(say("report.title", lang), exact=True).first.click()
    page.wait_for_url("**/report/van-long")
    told = plant.ask("report", site="van-long")
    expect(page.locator("h1")).to_contain_text(say("console.shift", lang, name=told["shift"]))
    for row in told["machines"]:
        expect(page.locator(".r-results")).to_contain_text(percent(row["kpis"]["oee"], lang))
    expect(page.locator(".r-unexplained")).to_contain_text(number(told["unexplained"]["count"], lang))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_text(say("report.yesterday", lang), exact=True).click()
    day = plant.ask("report", site="van-long", which="yesterday")
    expect(page.locator(".report-tiles")).to_contain_text(number(day["pieces"]["pieces"], lang))
    page.select_option("[name=shift]", "A")
    page.select_option("[name=line]", "stamping")
    page.get_by_role("button", name=say("report.show", lang)).click()
    expect(page.locator("h1")).to_contain_text(say("console.shift", lang, name="A"))
    expect(page.locator(".r-results tbody tr")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_text(say("report.pdf", lang), exact=True).click()
    assert download.value.suggested_filename == f"nhip-van-long-stamping-{day['date']}-A.pdf"
