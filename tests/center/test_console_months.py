"""An engineer makes a maintenance plan, says what was done, issues last month's report, and signs it: in a real browser."""

import io
from datetime import date, timedelta

import pytest
from console_browser import faults, quiet_tabs, served
from playwright.sync_api import expect
from pypdf import PdfReader

from center.outgoing.monthly.archive import ATTACHED
from center.outgoing.monthly.content import content_of, digest_of
from words import say

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    with served(tmp_path_factory.mktemp("months"), "--days", "36") as found:
        yield found


@pytest.fixture
def tabs(plant, chromium):
    with quiet_tabs(plant, chromium) as open_page:
        yield open_page


@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1400)])
def test_from_the_plan_to_a_signed_report(tabs, lang, width):
    page = tabs("/maintenance/van-long", lang, width, complain=False)  # a refused form has status 422
    title = f"Thay dầu {lang}"
    first = (date.today() - timedelta(days=20)).isoformat()  # noqa: DTZ011  # the plant's clock is this machine's
    page.select_option("[name=machine]", "press-1")
    page.fill("[name=title]", title)
    page.fill("[name=every_days]", "10")
    page.fill("[name=first]", first)
    page.get_by_role("button", name=say("maintenance.add", lang)).click()
    expect(page.locator(".said.good")).to_be_visible()
    task = page.locator(".plan > li", has_text=title)
    expect(task.locator(".due-overdue").first).to_be_visible()
    task.locator("[name=note]").first.fill("lọc mới")
    task.get_by_role("button", name=say("maintenance.say_done", lang)).first.click()
    expect(page.locator(".plan > li", has_text=title)).to_contain_text("lọc mới")
    expect(page.locator(".plan > li", has_text=title).locator(".due-late")).to_have_count(1)
    assert faults(page) == []

    page.get_by_role("link", name=say("months.link", lang)).click()
    page.wait_for_url("**/months/van-long")
    page.get_by_role("button", name=say("months.show_draft", lang)).click()
    expect(page.locator(".r-objectives")).to_be_visible()
    why = page.locator("[name=why]")
    if why.count():  # the other language's walk has issued it
        why.fill("Khai báo muộn")
    page.locator(".month form.no-print button").click()
    expect(page.locator(".said.good")).to_contain_text("SHA-256")
    digest = page.locator(".said.good").inner_text().split()[-1]
    with page.expect_download() as download:
        page.get_by_role("link", name=say(f"months.pdf.{lang}", lang)).click()
    (sums,) = PdfReader(io.BytesIO(download.value.path().read_bytes())).attachments[ATTACHED]
    assert digest_of(sums) == digest
    assert any(task.title == title for task in content_of(sums).tasks)
    expect(page.locator(".r-issue")).to_contain_text(digest)

    page.select_option("[name=meaning]", "reviewed")
    page.fill("[name=position]", "Trưởng phòng")
    page.get_by_role("button", name=say("months.sign", lang), exact=True).click()
    expect(page.locator(".rows", has_text=say("monthly.sign.reviewed", lang)).first).to_contain_text("Trưởng phòng")
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
