"""Deciding about a second box in the console: a real center that two boxes of one gateway send to, a real Chromium."""

import re
import time
from contextlib import contextmanager

import httpx
import pytest
from browser import chromium as started_chromium
from center_plant import STREAM, envelope, running, site_body
from markupsafe import escape
from playwright.sync_api import expect
from servers import PATIENCE_S, eventually
from whole_center import Center, run

from center.commands import accounts as door
from oee.model.facts import MINUTE_NS
from wire.bodies import Status
from wire.envelope import pack_message, seal
from words import say

pytestmark = pytest.mark.browser
OLD, NEW, SITE = STREAM, "00000000000000bb", "00000000000000cc"
SITES = ("van-long", "hoa-binh", "an-phat")


def two_boxes(center, site):
    """The old box has counted; a spare with the same bundle is heard in turn with it, and sends two envelopes."""
    gateway = center.gateway if site == "van-long" else center.gateway_of(site)
    start_ns = time.time_ns() // MINUTE_NS * MINUTE_NS - 30 * MINUTE_NS
    machine = f"press-{site}"

    def settled(stream, seq, first):
        gateway.send(envelope(seq, running(start_ns + first * MINUTE_NS, 3, machine), stream=stream))
        return gateway.mark(stream) >= seq

    def described():
        gateway.send(seal(SITE, 1, 1, site_body([machine])).data, kind="site")
        return gateway.mark(SITE)

    eventually(described, every_s=0.3)
    eventually(lambda: settled(OLD, 1, 0), every_s=0.3)
    for stream in (OLD, NEW, OLD):
        marks = {stream: 0, stream[::-1]: 0}
        gateway.send(pack_message(Status(online=True, at_ns=time.time_ns(), marks=marks)), kind="status")
    eventually(lambda: gateway.receipts[-1].boxes > 1, what="that two boxes are told")
    for seq, first in ((1, 3), (2, 6)):
        eventually(lambda seq=seq, first=first: settled(NEW, seq, first), every_s=0.3)


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    made = Center(tmp_path_factory.mktemp("boxes"))
    with made.stack:
        run(door.user, "add", made.file, "lan", "--role", "engineer", "--site", "van-long", "--generate")
        made.up()
        for site in SITES:
            two_boxes(made, site)
        yield made


@pytest.fixture(scope="module")
def chromium():
    with started_chromium() as found:
        yield found


@pytest.fixture
def admin(center):
    with client_of(center, "hoa", center.password) as made:
        yield made


@contextmanager
def client_of(center, name, password):
    headers = {"Accept": "text/html"}
    with httpx.Client(base_url=center.url, trust_env=False, timeout=PATIENCE_S, headers=headers) as client:
        assert client.post("/login", data={"name": name, "password": password}).status_code == 303
        yield client


def gateway_row(client, site):
    (row,) = client.get("/api/v1/gateways", params={"site": site}).json()
    return row


@pytest.mark.parametrize(
    ("site", "act", "lang", "width"), [("van-long", "accept", "vi", 390), ("hoa-binh", "discard", "en", 1280)]
)
def test_an_administrator_decides_on_the_delivery_page(center, chromium, admin, site, act, lang, width):
    assert gateway_row(admin, site)["held"]["envelopes"] == 2
    context = chromium.new_context(viewport={"width": width, "height": 844})
    context.add_cookies([{"name": "nhip_lang", "value": lang, "url": center.url}])
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    page.goto(f"{center.url}/delivery?site={site}")
    page.fill("[name=name]", "hoa")
    page.fill("[name=password]", center.password)
    page.click("form button.go")
    page.locator("a.decide").click()
    expect(page.locator("h1")).to_have_text(say("boxes.title", lang, gateway="main"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    form = page.locator(".decision", has=page.locator(f"[value={act}]"))
    expect(form).to_contain_text(say(f"boxes.{act}.so", lang))
    go = say(f"boxes.{act}.go", lang)

    form.get_by_label(say("admin.confirm_id", lang, id="main")).fill("something else")
    form.get_by_role("button", name=go).click()
    expect(page.locator(".said.bad")).to_have_text(say("boxes.not_confirmed", lang, id="main"))
    assert gateway_row(admin, site)["held"]["envelopes"] == 2

    form.get_by_label(say("admin.confirm_id", lang, id="main")).fill("main")
    form.get_by_role("button", name=go).click()
    expect(page.locator(".said.good")).to_have_text(say(f"boxes.done.{act}", lang, count="2", kept="0"))
    expect(page.locator(".decision")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("nav.crumbs a").click()
    page.wait_for_selector(".card.gateway")
    expect(page.locator("a.decide")).to_have_count(0)
    context.close()

    assert gateway_row(admin, site)["held"] is None
    counted = sum(row["stored"] for row in admin.get("/api/v1/delivery", params={"site": site}).json()["rows"])
    assert counted == (4 if act == "accept" else 2), "the site body and one envelope of the old box; and two of the new"
    entry = center.trail()[0]
    assert (entry["what"], entry["about"], entry["who"], entry["address"]) == (
        f"boxes.{act}",
        f"{site}/main",
        "hoa",
        "127.0.0.1",
    )
    assert escape(say(f"audit.what.boxes.{act}", "vi", about=f"{site}/main")) in admin.get("/admin/audit").text


def test_a_decision_that_is_sent_twice_is_made_once(center, admin):
    """A second "accept" would hand everything back to the other box."""
    where = "/delivery/an-phat/main"
    (streams,) = set(re.findall(r'name="streams"[^>]*value="([^"]*)"', admin.get(where).text))
    assert NEW in streams.split()
    before = len(center.trail())
    data = {"act": "accept", "streams": streams, "confirm": "main"}
    assert [admin.post(where, data=data).status_code for _ in range(2)] == [200, 409]
    assert len(center.trail()) == before + 1
    assert say("boxes.nothing", "vi") in admin.get(where).text
    for wrong in ({"act": "burn"}, {"confirm": "Main"}, {"confirm": ""}):
        assert admin.post(where, data=data | wrong).status_code == 422


@pytest.mark.parametrize("path", ["/delivery/van-long/other", "/delivery/nowhere/main"])
def test_of_nothing_there_is_a_page(admin, path):
    assert admin.get(path).status_code == 404
    assert admin.post(path, data={"act": "discard", "confirm": "main", "streams": ""}).status_code == 404


def test_it_is_for_administrators(center):
    password = run(door.user, "password", center.file, "lan", "--generate", "--lang", "en").split()[-1]
    with client_of(center, "lan", password) as engineer:
        data = {"act": "discard", "confirm": "main", "streams": NEW}
        for path in ("/delivery/van-long/main", "/delivery/hoa-binh/main"):
            assert [engineer.get(path).status_code, engineer.post(path, data=data).status_code] == [403, 403]
        assert "decide" not in engineer.get("/delivery").text
    assert httpx.post(f"{center.url}/delivery/van-long/main", data=data, trust_env=False).status_code == 401
