"""axe-core finds no serious or critical fault on any page of the console, in both languages, on phones and screens; none
scrolls sideways, and sentences begin with a capital. Pages of advice and actions: test_console_actions.py.
"""

import pytest
from accessibility import axe
from console_browser import faults, quiet_tabs, served
from console_plant import PASSWORD
from playwright.sync_api import expect

from words import LANGUAGES, say

pytestmark = pytest.mark.browser
LOADED = {
    "/": ".card .score .big, .card .score b",
    "/?screen=hall": ".hall-clock b",
    "/machine/van-long/press-2?span=24h": "table.stops tbody tr",
    "/machine/van-long/press-2?span=7d&stops=unexplained": "table.stops tbody tr",
    "/work": ".work .rows",
    "/alerts": "#channels",
    "/losses": ".top-losses a",
    "/comparison": "table.compared",
    "/report/van-long": ".report-tiles",
    "/targets/van-long": ".fold",
    "/months/van-long": ".month .empty",
    "/maintenance/van-long": "form.add",
    "/delivery": ".coverage",
    "/declare/van-long/press-2": ".fold",
    "/declare/van-long/press-2/many": ".rows.many li",
    "/no/such/page": ".sorry",
}
"""By address what is there when the page is complete."""
OWN = ("/account", "/admin", "/admin/tokens", "/admin/audit", "/admin/machines")


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """The console over three days of history, with open alerts."""
    with served(tmp_path_factory.mktemp("console"), "--days", "3", "--alerts") as found:
        yield found


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("path", LOADED)
def test_a_page_has_no_serious_fault(tabs, path, width, lang):
    axe()
    page = tabs(path, lang, width, complain=False)
    page.wait_for_selector(LOADED[path])
    assert faults(page) == []


def test_nor_in_the_dark(tabs):
    for path in ("/", "/machine/van-long/press-2?span=24h", "/report/van-long"):
        page = tabs(path, complain=False)
        page.locator("[data-flip-theme]").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.wait_for_selector(LOADED[path])
        assert faults(page) == []


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """The console of a center with accounts."""
    with served(tmp_path_factory.mktemp("guarded"), "--accounts", "--days", "1") as found:
        yield found


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("width", [390, 1400])
def test_login_account_and_administration_have_none(guarded, chromium, width, lang):
    axe()
    with quiet_tabs(guarded, chromium) as open_page:
        page = open_page("/login", lang, width, complain=False)
        assert faults(page) == []
        page.fill("input[name=name]", "hoa")
        page.fill("input[name=password]", PASSWORD)
        page.get_by_role("button", name=say("login.go", lang)).click()
        page.wait_for_url(f"{guarded.url}/")
        for path in OWN:
            page.goto(guarded.url + path)
            page.wait_for_selector("main.page")
            assert faults(page) == [], path
