"""The page at the machine as people use it: a real Chromium over a real agent and PLC, taps, and everything that breaks."""

import json
import re
import sqlite3
import time
from contextlib import contextmanager

import pytest
from accessibility import axe, severe_faults
from andon_agent import Page, answers, process, site_file
from andon_browser import LANGUAGES, SHOP, SIZES, Loop, Tablets, shop
from browser import chromium
from edge_plc import Plc
from playwright.sync_api import expect
from servers import PATIENCE_S, eventually, free_port

from words import say

pytestmark = pytest.mark.browser
SHEETS = {
    "reason": [".question"], "count": ["[data-act=count]"], "call": ["[data-act=call]"], "planned": ["[data-act=planned]"],
    "product": ["[data-act=product]"], "order": ["[data-act=order]"], "note": ["[data-act=note]"],
    "stops": ["[data-act=stops]"], "entries": ["[data-act=entries]"], "setup": ["[data-act=setup]"],
    "split": [".question", "[data-act=split]"],
}  # fmt: skip
SMALL = """() => [...document.querySelectorAll("button, a, input:not([type=range]), textarea")]
    .filter((item) => item.checkVisibility ? item.checkVisibility() : item.offsetParent)
    .map((item) => [item.outerHTML.slice(0, 90), item.getBoundingClientRect()])
    .filter(([, box]) => box.width < 48 || box.height < 48).map(([html, box]) => `${html} ${box.width}x${box.height}`)"""
WIDE = """() => [...document.querySelectorAll("body, body *:not(.tabs *)")]
    .filter((item) => item.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(item).opacity !== "0")
    .map((item) => item.outerHTML.slice(0, 90)).concat(document.documentElement.scrollWidth > innerWidth ? ["page"] : [])"""
CUT = """() => [...document.querySelectorAll(".wall-card, .wall-card *")]
    .filter((item) => item.scrollWidth > item.clientWidth + 1 && item.clientWidth && getComputedStyle(item).textOverflow !== "ellipsis"
        || item.matches(".wall-card") && item.scrollHeight > item.clientHeight + 1).map((item) => item.outerHTML.slice(0, 90))"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def press(tmp_path_factory):
    """A shop of three machines with an hour of history."""
    causes = {"scratch": {"name": {"vi": "Xước", "en": "Scratch"}}}
    with shop(tmp_path_factory.mktemp("andon"), **SHOP, reject_causes=causes) as found:
        yield found


@pytest.fixture
def tablets(browser):
    found = Tablets(browser)
    yield found
    found.close()
    assert found.complaints == []


def tap(page, *selectors):
    for selector in selectors:
        page.locator(selector).first.click()


def entries(place):
    """The entries on the gateway's disk, in the order in which they came."""
    with sqlite3.connect(f"file:{place}?mode=ro", uri=True) as db:
        rows = db.execute("select id, kind, machine, at_ns, data from andon_entries order by rowid").fetchall()
    return [
        {"id": key, "kind": kind, "machine": machine, "at_ns": at_ns, **json.loads(data)}
        for key, kind, machine, at_ns, data in rows
    ]


def entries_of(shop, tablet):
    """The entries that the gateway has of a tablet."""
    return [item for item in entries(shop.outbox) if item["tablet"] == tablet]


def looks_right(page, lang):
    assert page.evaluate(SMALL) == [], "everything that is tapped has 48 px"
    assert page.evaluate(WIDE) == [], "nothing is wider than the window"
    text = page.inner_text("body")
    assert not re.search(r"\b(andon|state|calendar|why_null|duration|clock|declare)\.[a-z_]+", text), (
        "every word is translated"
    )
    assert page.get_attribute("html", "lang") == lang


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("size", SIZES)
def test_no_view_has_a_serious_fault_of_accessibility(press, tablets, size, lang):
    axe()
    page = tablets.open(press.url, lang=lang, size=size)
    page.wait_for_selector(".question")
    assert severe_faults(page) == []
    for name in ("reason", "count", "stops"):
        tap(page, *SHEETS[name])
        expect(page.locator(f"dialog[data-name={name}]")).to_be_visible()
        assert severe_faults(page) == [], name
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
    for path in ("wall", "tech/plc"):
        page.goto(f"{press.url}/#/{path}")
        page.wait_for_selector(".wall-card, .tech td.value")
        assert severe_faults(page) == [], path


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("size", SIZES)
def test_every_view_fits_and_can_be_tapped_with_gloves(press, tablets, size, lang):
    page = tablets.open(press.url, lang=lang, size=size)
    page.wait_for_selector(".question")
    looks_right(page, lang)
    for name, taps in SHEETS.items():
        tap(page, *taps)
        expect(page.locator(f"dialog[data-name={name}]")).to_be_visible()
        looks_right(page, lang)
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)
    for path in ("wall", "wall/dap", "tech/plc"):
        page.goto(f"{press.url}/#/{path}")
        page.wait_for_selector(".wall-card, .tech td.value")
        looks_right(page, lang)
        assert page.evaluate(CUT) == [], "nothing is cut on the wall"
    if size == "wall":
        page.goto(f"{press.url}/#/wall")
        page.wait_for_selector(".wall-card")
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), "a wall screen is not scrolled"


def test_a_stop_gets_its_reason_in_two_taps(press, tablets):
    page = tablets.open(press.url, name="hai cham", path="/#/m/m-2")
    expect(page.locator(".question")).to_have_count(2)
    tap(page, ".question", "[data-act=choose]")
    expect(page.locator(".question")).to_have_count(1)
    [found] = eventually(lambda: entries_of(press, "hai cham"))
    assert (found["kind"], found["machine"], found["stop_ms"], found["parts"]) == (
        "reason", "m-2", press.stops[1], [{"reason": "jam"}],
    )  # fmt: skip
    tap(page, "#toast [data-act=undo]")
    expect(page.locator(".question")).to_have_count(2)
    eventually(
        lambda: [item["kind"] for item in entries_of(press, "hai cham")] == ["reason", "take_back"]
    )  # sent after it is shown


def test_a_stop_with_two_reasons(press, tablets):
    page = tablets.open(press.url, name="hai", path="/#/m/m-3")
    expect(page.locator(".question")).to_have_count(2)
    tap(page, ".question >> nth=1", "[data-act=split]", "[data-act=split-move] >> nth=1")
    tap(page, "[data-act=choose] >> nth=1")
    expect(page.locator(".half").first).to_contain_text("Chờ vật tư")
    tap(page, "[data-act=choose] >> nth=0")
    [found] = eventually(lambda: entries_of(press, "hai"))
    assert [part["reason"] for part in found["parts"]] == ["late", "jam"]
    assert found["parts"][0]["until_ms"] == press.stops[0] + 540_000
    tap(page, "[data-act=stops]")
    expect(page.locator(".question.told")).not_to_have_count(0)


def test_numbers_calls_notes_and_what_a_glove_taps_twice(press, tablets):
    page = tablets.open(press.url, name="số", path="/#/m/m-3")
    page.wait_for_selector("[data-act=add]")
    page.locator("[data-act=add]").first.dblclick()
    tap(page, "[data-act=count]", "[data-act=count-cause]", "[data-act=key] >> nth=7", "[data-act=key] >> nth=10")
    page.locator("[data-act=count-save]").dblclick()
    expect(page.locator(".k-rejects b")).to_have_text("22")
    tap(page, "[data-act=call]")
    page.locator("[data-act=call-for]").first.dblclick()
    expect(page.locator(".call")).to_have_count(1)
    page.locator("[data-act=step]").first.dblclick()
    tap(page, "[data-act=call]")
    expect(page.locator(".call-choice").first).to_be_disabled()
    tap(page, "[data-act=close]")
    tap(page, "[data-act=note]")
    page.fill("textarea", "Đã thay khuôn.\nXem lại  dầu \U0001f468\u200d\U0001f527")
    page.locator("form [type=submit]").dblclick()
    tap(page, "[data-act=planned]", "[data-act=plan]")
    tap(page, "[data-act=order]")
    page.fill("dialog input", "LSX 2026/11")
    tap(page, "form [type=submit]")
    found = eventually(lambda: (rows := entries_of(press, "số")) and len(rows) == 8 and rows)
    assert [(item["kind"], item.get("add"), item.get("value")) for item in found] == [
        ("rejects", 1, None), ("rejects", 1, None), ("rejects", 20, None), ("call", None, "maintenance"),
        ("step", None, "on_the_way"), ("note", None, "Đã thay khuôn. Xem lại dầu \U0001f468\U0001f527"),
        ("planned_stop", None, None), ("order", None, "LSX 2026/11"),
    ]  # fmt: skip
    tap(page, "[data-act=step] >> nth=-1")
    expect(page.locator(".call")).to_have_count(0)
    expect(page.locator(".note.bad")).to_have_count(0)


def test_more_rejects_than_pieces_are_asked_about_and_can_be_right(press, tablets):
    page = tablets.open(press.url, name="nhiều", path="/#/m/m-3")
    page.wait_for_selector("[data-act=add]")
    tap(page, "[data-act=count]", *["[data-act=key] >> nth=2"] * 5)
    page.locator("[data-act=count-save]").dblclick()
    expect(page.locator("dialog[data-name=doubt]")).to_contain_text(re.compile(r"\d{2,3}\.\d{3}\D+\d"))
    assert page.evaluate(SMALL) == page.evaluate(WIDE) == []
    tap(page, "[data-act=doubt-change]")
    expect(page.locator("#typed")).to_have_text("99.999")
    tap(page, "[data-act=close]")
    assert entries_of(press, "nhiều") == []
    tap(page, "[data-act=count]", *["[data-act=key] >> nth=2"] * 5, "[data-act=count-save]")
    page.locator("[data-act=doubt-sure]").dblclick()
    [found] = eventually(lambda: entries_of(press, "nhiều"))
    assert (found["kind"], found["add"]) == ("rejects", 99_999)
    expect(page.locator("dialog")).to_have_count(0)
    tap(page, "[data-act=add]")  # one more is as doubtful
    expect(page.locator("dialog[data-name=doubt]")).to_be_visible()
    tap(page, "[data-act=close]", "[data-act=entries]", "dialog [data-act=undo] >> nth=0")
    eventually(lambda: [item["kind"] for item in entries_of(press, "nhiều")] == ["rejects", "take_back"])
    expect(page.locator(".k-rejects b")).to_have_text(re.compile(r"^(–|\d{1,2})$"))
    tap(page, "[data-act=add]")
    expect(page.locator("#toast")).to_contain_text("+1")


def test_the_way_back_closes_what_is_open_and_nothing_else(press, tablets):
    page = tablets.open(press.url, path="/#/m/m-2")
    tap(page, "[data-act=planned]")
    page.go_back()
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator("main.machine")).to_be_visible()
    for _ in range(3):
        tap(page, "[data-act=note]", "[data-act=close]")
    tap(page, ".question", "[data-act=split]", "[data-act=close]")
    expect(page.locator("dialog")).to_have_count(0)
    tap(page, ".tab >> nth=0")
    expect(page).to_have_url(re.compile("m-1"))
    page.go_back()
    expect(page).to_have_url(re.compile("m-2"))
    expect(page.locator("dialog")).to_have_count(0)


def test_without_a_network_entries_wait_and_come_once(press, tablets):
    page = tablets.open(press.url, name="mất mạng", complain=False)
    page.wait_for_selector("[data-act=add]")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    page.context.set_offline(True)
    for _ in range(3):
        tap(page, "[data-act=add]")
    tap(page, "#toast [data-act=undo]")
    expect(page.locator(".queue")).to_contain_text("4")
    page.reload()
    page.wait_for_selector("[data-act=add]")
    expect(page.locator(".banner.bad")).to_be_visible()
    expect(page.locator(".queue")).to_contain_text("4")
    tap(page, "[data-act=add]")
    assert entries_of(press, "mất mạng") == []
    page.context.set_offline(False)
    expect(page.locator(".queue")).to_have_count(0)
    found = entries_of(press, "mất mạng")
    assert [item["kind"] for item in found] == ["rejects"] * 4 + ["take_back"], "what it is about comes before it"
    assert found[-1]["entry"] == found[2]["id"]
    assert len({item["id"] for item in found}) == 5
    expect(page.locator(".note.bad")).to_have_count(0)


def test_two_windows_of_one_tablet_are_one(press, tablets):
    context = tablets.tablet(press.url, name="hai cửa sổ")
    first, second = (tablets.window(context, press.url, complain=False) for _ in range(2))
    first.wait_for_selector("[data-act=add]")
    context.set_offline(True)
    tap(first, "[data-act=add]")
    expect(second.locator(".queue")).to_contain_text("1")
    tap(second, "[data-act=add]")
    expect(first.locator(".queue")).to_contain_text("2")
    first.close()
    context.set_offline(False)
    expect(second.locator(".queue")).to_have_count(0)
    assert [item["id"].partition("-")[2] for item in entries_of(press, "hai cửa sổ")] == ["1", "2"]


def test_of_two_tablets_the_later_one_sees_the_first(press, tablets):
    first = tablets.open(press.url, name="một", path="/#/m/m-1")
    second = tablets.open(press.url, name="hai trễ", path="/#/m/m-1", complain=False)
    for page in (first, second):
        expect(page.locator(".question")).to_have_count(2)
    second.context.set_offline(True)
    tap(second, ".question", "[data-act=choose] >> nth=1")
    expect(second.locator(".queue")).to_contain_text("1")
    tap(first, ".question", "[data-act=choose] >> nth=0")
    eventually(lambda: entries_of(press, "một"))
    second.context.set_offline(False)
    expect(second.locator(".note.warn")).to_contain_text(say("andon.overtaken", "vi", tablet="một"))
    tap(second, "[data-act=use-mine]")
    found = eventually(lambda: (rows := entries_of(press, "hai trễ")) and len(rows) == 2 and rows)
    assert found[0]["overtaken"] == found[1]["saw"] == entries_of(press, "một")[0]["id"]
    expect(second.locator(".note.warn")).to_have_count(0)


def test_who_changes_his_mind_without_a_network_is_not_told_that_somebody_was_first(press, tablets):
    page = tablets.open(press.url, name="đổi ý", path="/#/m/m-2", complain=False)
    page.wait_for_selector(".question")
    page.context.set_offline(True)
    tap(
        page,
        ".question",
        "[data-act=choose] >> nth=0",
        "[data-act=stops]",
        ".question.told",
        "[data-act=choose] >> nth=1",
    )
    expect(page.locator(".queue")).to_contain_text("2")
    page.context.set_offline(False)
    found = eventually(lambda: (rows := entries_of(press, "đổi ý")) and len(rows) == 2 and rows)
    assert (found[1]["saw"], "overtaken" in found[1]) == (found[0]["id"], False)
    expect(page.locator(".note")).to_have_count(0)


def test_a_full_tablet_says_that_it_keeps_nothing_and_sends_all_the_same(press, tablets):
    page = tablets.open(press.url, name="đầy", complain=False)
    page.wait_for_selector("[data-act=add]")
    page.context.set_offline(True)
    page.evaluate(
        "() => { IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); }; }"
    )
    tap(page, "[data-act=add]")
    expect(page.locator(".banner.warn")).to_contain_text(say("andon.only_memory", "vi"))
    page.context.set_offline(False)
    expect(page.locator(".queue")).to_have_count(0)
    expect(page.locator(".banner.warn")).to_have_count(0)
    assert [item["add"] for item in entries_of(press, "đầy")] == [1]


@pytest.mark.parametrize("off", ["+ 3 * 365 * 86400000", "- 40 * 86400000"], ids=["fast", "slow"])
def test_the_gateway_s_time_counts_whatever_the_tablet_says(press, tablets, off):
    clock = f"const right = Date.now; Date.now = () => right() {off};"
    name = f"sai giờ {off[0] == '+'}"
    page = tablets.open(press.url, name=name, script=clock, complain=False)
    page.wait_for_selector("[data-act=add]")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    tap(page, "[data-act=add]")
    expect(page.locator(".queue")).to_contain_text("1")
    page.reload()
    page.wait_for_selector("[data-act=add]")
    page.context.set_offline(False)
    [found] = eventually(lambda: entries_of(press, name))
    assert abs(found["at_ns"] - time.time_ns()) < PATIENCE_S * 1e9


def test_the_page_can_be_installed(press, tablets):
    page = tablets.open(press.url)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    session = page.context.new_cdp_session(page)
    assert session.send("Page.getAppManifest")["errors"] == []
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [item for item in errors if item["errorId"] != "in-incognito"] == []
    kept = page.evaluate(
        "caches.keys().then((keys) => caches.open(keys[0])).then((one) => one.keys()).then((all) => all.length)"
    )
    assert kept >= 15


def test_a_pin_is_typed_once(tmp_path, browser):
    (tmp_path / "pin").write_text("2468")
    tablets = Tablets(browser)
    with shop(tmp_path, history=False, andon={"pin_file": "pin"}) as found:
        page = tablets.open(found.url, complain=False)
        for pin, words in (("1111", "andon.pin_wrong"), ("2468", "")):
            for digit in pin:
                page.locator(f"[data-act=pin-key][data-with='{digit}']").click()
            tap(page, "[data-act=pin-send]")
            if words:
                expect(page.locator("#pin-words")).to_contain_text(say(words, "vi"))
        page.wait_for_selector(".hero")
        page.reload()
        page.wait_for_selector(".hero")
        tablets.close()


@contextmanager
def killable(folder, thread):
    """A page whose agent runs in a process that may be killed: gives its address, and starts it again on demand."""
    port, device = free_port(), Plc()
    thread.run(device.start())
    device.coils[0] = True
    site = site_file(folder, device.port, andon={"listen": f"127.0.0.1:{port}"})
    page, running = Page(f"http://127.0.0.1:{port}"), []

    def start():
        context = process(folder, site)
        child = thread.run(context.__aenter__())
        running.append(context)
        thread.run(answers(page))
        return child

    try:
        yield f"http://127.0.0.1:{port}", start
    finally:
        for context in running:
            thread.run(context.__aexit__(None, None, None))
        thread.run(page.client.aclose())
        thread.run(device.stop())


@pytest.mark.slow
def test_killed_under_taps_every_tap_counts_once(tmp_path, browser):
    thread, tablets = Loop(), Tablets(browser)
    with killable(tmp_path, thread) as (url, start):
        child = start()
        page = tablets.open(url, name="bị giết", complain=False)
        page.wait_for_selector("[data-act=add]")
        page.evaluate(
            "() => { window.taps = 0; window.tapping = setInterval(() => { document.querySelector('[data-act=add]').click(); window.taps += 1; }, 60); }"
        )
        for _ in range(2):
            before = len(entries(tmp_path / "outbox.db"))
            eventually(lambda before=before: len(entries(tmp_path / "outbox.db")) > before + 5)
            child.kill()
            child = start()
        page.evaluate("clearInterval(window.tapping)")
        expect(page.locator(".queue")).to_have_count(0)
        taps = page.evaluate("window.taps")
        found = entries(tmp_path / "outbox.db")
        assert [item["id"].partition("-")[2] for item in found] == [str(number + 1) for number in range(taps)]
        expect(page.locator(".k-rejects b")).to_have_text(re.sub(r"\B(?=(\d{3})+$)", ".", str(taps)))
        tablets.close()
    thread.end()
