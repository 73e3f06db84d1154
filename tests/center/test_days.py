"""What each role does in a day, walked through in a browser, in both languages, on a phone and on a screen."""

import re

import pytest
from console_browser import quiet_tabs, served
from console_plant import PASSWORD
from playwright.sync_api import expect

from words import LANGUAGES, percent, say

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """The console of a center with accounts and open alerts, over eight days of history."""
    with served(tmp_path_factory.mktemp("days"), "--accounts", "--alerts", "--days", "8") as found:
        yield found


@pytest.fixture(params=[(lang, width) for lang in LANGUAGES for width in (390, 1400)], ids=str)
def enter(request, plant, chromium):
    """Logs a person in: the fleet's page."""
    lang, width = request.param
    with quiet_tabs(plant, chromium) as open_page:

        def entered(name):
            page = open_page("/login", lang, width, complain=False)
            page.fill("[name=name]", name)
            page.fill("[name=password]", PASSWORD)
            page.get_by_role("button", name=say("login.go", lang)).click()
            page.wait_for_selector(".card .score .big, .card .score b")
            return page

        entered.lang, entered.width = lang, width
        yield entered


def test_a_shift_leader_opens_the_day_explains_the_longest_stop_and_reads_the_report(enter):
    page, lang = enter("hung"), enter.lang
    page.locator("a.card").first.click()
    page.wait_for_url(re.compile("span=shift"))
    page.wait_for_selector(".tiles .tile .value")
    page.get_by_role("button", name=say("console.span.24h", lang), exact=True).click()
    page.get_by_role("button", name=say("console.stops.order.unexplained", lang)).click()
    page.wait_for_url(re.compile("stops=unexplained"))
    page.wait_for_selector(".drawn:not(.waits) table.stops")  # until then it is the list of before
    page.locator("table.stops .explain").first.click()
    asked = page.locator(".ask")
    expect(asked).to_contain_text(say("console.declare.ask.reason", lang))
    asked.locator(".pick").first.click()
    asked.get_by_role("button", name=say("console.declare.send", lang)).click()
    expect(page.locator(".became")).to_contain_text(say("console.declared.sent", lang))
    site = page.url.split("/declare/")[1].split("/")[0]
    page.goto(f"{page.url.split('/declare/')[0]}/report/{site}")
    expect(page.locator(".report-tiles")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= enter.width


def test_whoever_looks_at_a_machine_sees_its_open_alerts_and_is_led_to_them(enter):
    page, lang = enter("hung"), enter.lang
    home = page.url.rstrip("/")
    page.goto(f"{home}/machine/hoa-binh/sew-3")
    band = page.locator("a.alert-band")  # of its gateway: the machine itself has none
    expect(band).to_have_count(1)
    expect(band).to_contain_text("main")
    band.click()
    page.wait_for_url(re.compile(r"/alerts\?site=hoa-binh#alert-2$"))
    row = page.locator("#alert-2:target")
    expect(row).to_be_in_viewport()
    expect(row.get_by_role("button", name=say("alert.take", lang))).to_be_visible()
    page.goto(f"{home}/work")
    page.locator(".work a.act", has_text=say("work.act.alert", lang)).click()
    page.wait_for_url(re.compile("#alert-2$"))
    assert page.evaluate("document.documentElement.scrollWidth") <= enter.width


def test_a_shift_leader_explains_many_stops_at_once_and_takes_that_back(enter):
    page, lang = enter("hung"), enter.lang
    page.goto(f"{page.url.rstrip('/')}/machine/hoa-binh/sew-3?span=24h&stops=unexplained")
    page.wait_for_selector("table.stops tbody tr")
    page.get_by_role("link", name=say("console.many", lang)).click()
    page.locator(".pick").first.click()
    for tick in page.locator(".rows.many .tick input").all()[:2]:
        tick.check()
    page.get_by_role("button", name=say("console.declare.send", lang)).click()
    expect(page.locator(".became")).to_contain_text(say("console.many.sent", lang, n=2))
    page.get_by_role("button", name=say("console.many.take_back", lang, n=2)).click()
    expect(page.locator(".became")).to_contain_text(say("console.many.sent", lang, n=4))
    assert page.evaluate("document.documentElement.scrollWidth") <= enter.width


def test_a_production_manager_compares_a_week_with_its_target_and_takes_the_report_along(enter):
    page, lang = enter("lan"), enter.lang
    home = page.url.rstrip("/")
    page.goto(f"{home}/targets/van-long")
    page.get_by_text(say("target.add", lang), exact=True).click()
    page.select_option("[name=place]", "/press-2")
    page.select_option("[name=kind]", "oee")
    page.fill("[name=value]", "71,5" if lang == "vi" else "71.5%")
    page.get_by_role("button", name=say("target.add_submit", lang)).click()
    expect(page.locator(".said.good")).to_be_visible()
    page.goto(f"{home}/machine/van-long/press-2?span=7d")
    expect(page.locator(".tile.lead .goal")).to_contain_text(percent(0.715, lang))
    expect(page.get_by_role("heading", name=say("console.losses", lang), exact=True)).to_be_visible()
    page.goto(f"{home}/report/van-long?which=yesterday")
    link = page.get_by_role("link", name=say("report.pdf", lang))
    answer = page.request.get(f"{home}{link.get_attribute('href')}")
    assert (answer.status, answer.body()[:5]) == (200, b"%PDF-")


def test_a_center_engineer_goes_from_the_worklist_to_the_act_that_ends_a_row(enter):
    page, lang = enter("lan"), enter.lang
    home = page.url.rstrip("/")
    page.goto(f"{home}/work")
    page.wait_for_selector(".work .act")
    shown = page.locator("main.page").inner_text()
    assert "Hòa Bình" not in shown
    assert "Hoa Binh" not in shown
    explain = page.locator(".work .act[href*='stops=unexplained'], .work .act[href*='/machine/']").first
    explain.click()
    page.wait_for_selector("table.stops tbody tr")
    page.goto(f"{home}/delivery?site=van-long")
    expect(page.locator(".coverage").first).to_be_visible()
    expect(page.locator("main.page")).to_contain_text(say("delivery.title", lang))


def test_an_administrator_adds_an_account_and_finds_it_in_the_trail(enter):
    page, lang = enter("hoa"), enter.lang
    home, name = page.url.rstrip("/"), f"minh-{lang}-{enter.width}"
    page.goto(f"{home}/admin")
    page.click(".fold.add summary")
    page.fill(".fold.add [name=name]", name)
    page.check(".fold.add [value=hoa-binh]")
    page.click(".fold.add button.go")
    expect(page.locator(".once code")).to_be_visible()
    expect(page.locator("main.page")).to_contain_text(name)
    page.goto(f"{home}/admin/audit")
    expect(page.locator("main.page")).to_contain_text(name)
    page.goto(f"{home}/targets/hoa-binh")
    expect(page.get_by_text(say("target.add", lang), exact=True)).to_be_visible()
