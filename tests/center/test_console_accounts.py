"""Login, administration and tenants as browsers see them: a real center, a real Chromium, real websockets."""

import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from accounts_plant import cookie
from browser import chromium as started_chromium
from console_plant import PASSWORD
from playwright.sync_api import expect
from prepared import preparable
from servers import PATIENCE_S, eventually
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from center.accounts import audit, people, sessions
from center.accounts.audit import Actor
from center.accounts.schema import open_accounts
from words import percent, say

pytestmark = pytest.mark.browser
FOREIGN = {
    "lan": r"hoa-binh|Hoa Binh|Hòa Bình|sew-3|cut-1|Sewing",
    "hung": r"van-long|Van Long|Vân Long|press-|inj-|Press",
}
OWN = {"lan": "/machine/van-long/press-2", "hung": "/machine/hoa-binh/sew-3"}
OTHERS = {"lan": "/machine/hoa-binh/sew-3", "hung": "/machine/van-long/press-2"}


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accounts")
    script = Path(__file__).with_name("console_plant.py")
    command = [sys.executable, preparable(str(script)), "--accounts", "--days", "1", "--dir", str(folder)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            eventually(lambda: (folder / "url").exists() or process.poll() is not None)
            assert process.poll() is None, (folder / "log").read_text()
            yield folder, (folder / "url").read_text()
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def engine(plant):
    return open_accounts(f"sqlite:///{plant[0]}/accounts.sqlite")


@pytest.fixture(scope="module")
def chromium():
    with started_chromium() as found:
        yield found


@pytest.fixture
def open_page(plant, chromium):
    contexts = []

    def made(path="/", lang="en", width=1280):
        context = chromium.new_context(viewport={"width": width, "height": 844})
        contexts.append(context)
        context.add_cookies([{"name": "nhip_lang", "value": lang, "url": plant[1]}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.goto(plant[1] + path)
        return page

    yield made
    for context in contexts:
        context.close()


def log_in(page, name, password=PASSWORD):
    page.fill("[name=name]", name)
    page.fill("[name=password]", password)
    page.click("form button.go")
    return page


@pytest.mark.parametrize(("lang", "width"), [("vi", 390), ("en", 1280)])
def test_from_the_login_to_the_page_that_was_asked_for(open_page, lang, width):
    page = open_page("/?order=worst", lang, width)
    expect(page.locator("h1")).to_have_text(say("login.title", lang))
    log_in(page, "hoa", "not the password")
    expect(page.locator(".said")).to_have_text(say("login.wrong", lang))
    log_in(page, "hoa")
    page.wait_for_selector(".card")
    assert page.url.endswith("/?order=worst")
    for path in ("/account", "/admin", "/admin/tokens", "/admin/audit"):
        page.goto(re.sub(r"/\?.*", path, page.url) if "?" in page.url else page.url.replace(page.url[page.url.index("/", 8) :], path))  # fmt: skip
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if path == "/account":
            expect(page.locator("main")).to_contain_text(say("accounts.role.admin", lang))
    page.click(".menu summary")
    page.get_by_role("button", name=say("account.logout", lang)).click()
    expect(page.locator("h1")).to_have_text(say("login.title", lang))
    page.go_back()
    expect(page.locator("h1")).to_have_text(say("login.title", lang))


@pytest.mark.parametrize("name", ["lan", "hung"])
def test_a_console_shows_nothing_of_another_s_site(open_page, name):
    """What the server sent and what the websocket added, on every page, also on the refusals."""
    page = log_in(open_page(), name)
    page.wait_for_selector(".card .big")
    heard = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))))
    page.reload()
    page.wait_for_selector(".card .big")
    while not heard:
        page.wait_for_timeout(100)
    page.wait_for_timeout(2500)  # live pictures and numbers have come over the websocket
    shown = page.content() + " ".join(heard)
    assert not re.search(FOREIGN[name], shown)
    home = page.url.rstrip("/")
    for path in (OTHERS[name], f"/?site={OTHERS[name].split('/')[2]}"):
        answer = page.goto(home + path)
        assert answer.status == 404
        missing = page.goto(home + path.replace("van-long", "nowhere").replace("hoa-binh", "nowhere"))
        assert missing.status == 404
    assert page.goto(home + OWN[name]).status == 200
    page.wait_for_selector(".tile")
    assert not re.search(FOREIGN[name], page.content())
    for path in ("/admin", "/admin/tokens", "/admin/audit"):
        assert page.goto(home + path).status == 403
        expect(page.locator("h1")).to_have_text(say("admin.only", "en"))


def test_an_open_page_ends_with_the_right_to_see_it(open_page, engine):
    people.add_user(engine, 1, Actor("test"), "tam", role="factory", sites=["hoa-binh"], password=PASSWORD)
    page = log_in(open_page(), "tam")
    expect(page.locator(".card")).to_have_count(2)
    people.change_user(engine, 2, Actor("test"), "tam", role="engineer", sites=["van-long"])
    expect(page.locator(".card")).to_have_count(4)
    people.disable_user(engine, 3, Actor("test"), "tam")
    expect(page.locator("h1")).to_have_text(say("login.title", "en"))


def test_an_administrator_s_day(open_page, engine):
    page = log_in(open_page("/admin"), "hoa")
    page.click(".fold.add summary")
    page.fill(".fold.add [name=name]", "Minh")
    page.check(".fold.add [value=hoa-binh]")
    page.click(".fold.add button.go")
    password = page.locator(".once code").inner_text()
    theirs = log_in(open_page(), "minh", password)
    expect(theirs.locator(".card")).to_have_count(2)
    theirs.goto(theirs.url + "account")
    for name, text in (("old", password), ("new", "short"), ("again", "short")):
        theirs.fill(f"[name={name}]", text)
    theirs.evaluate("document.querySelector('main form').noValidate = true")
    theirs.click("main form button.go")
    expect(theirs.locator(".said")).to_contain_text("at least 10")
    for name, text in (("old", password), ("new", "something longer"), ("again", "something longer")):
        theirs.fill(f"[name={name}]", text)
    theirs.click("main form button.go")
    expect(theirs.locator(".said.good")).to_be_visible()
    page.goto(page.url.replace("/admin/users", "/admin"))
    row = page.locator(".rows > li", has_text="minh")
    row.locator(".fold summary").click()
    row.get_by_role("button", name=say("admin.disable", "en")).click()
    expect(page.locator(".rows > li.off", has_text="minh")).to_have_count(1)
    theirs.goto(theirs.url)
    expect(theirs.locator("h1")).to_have_text(say("login.title", "en"))
    told = [(row.what, row.who) for row in audit.entries(engine)[0] if row.about == "minh"]
    assert told == [
        ("user.disabled", "hoa"),
        ("login", "minh"),
        ("user.password", "minh"),
        ("login", "minh"),
        ("user.added", "hoa"),
    ]
    page.goto(page.url[: page.url.index("/", 8)] + "/admin/audit")
    expect(page.locator(".trail li").first).to_contain_text("minh")


# over plain HTTP

NAMES = {
    "lan": r"Hoa Binh|Hòa Bình|Sewing machine|Máy may",
    "hung": r"Van Long|Vân Long|Press \d|Máy dập|Injection|Máy ép",
}
"""What only the center could know of a site that is not theirs; its id may stand in an answer that repeats the address."""


@pytest.mark.parametrize("name", ["lan", "hung"])
def test_no_page_shows_what_is_another_s(plant, engine, name):
    """Every page that the console has; a new one is among them without being told."""
    paths = (plant[0] / "pages").read_text().split()
    assert {"/", "/machine/{site}/{machine_id:path}", "/delivery"} <= set(paths)
    assert {"/report/{site}", "/targets/{site}", "/declare/{site}/{machine}"} <= set(paths)
    _, _, site, machine = OTHERS[name].split("/")
    user = people.check_password(engine, name, PASSWORD)
    held = cookie(engine, sessions.open_session(engine, time.time_ns(), Actor("test"), user))
    for path in paths:
        filled = re.sub(r"\{(\w+)(:path)?\}", lambda word: {"site": site}.get(word[1], machine), path)
        for asked in (filled, f"{filled}?site={site}", f"{filled}?site={site}&machine={machine}&gateway=main"):
            answer = ask(plant, "GET", asked, headers=held | {"Accept": "text/html"})
            assert not re.search(NAMES[name], answer.text), asked
            if path == filled and asked == filled:
                assert answer.status_code == 200, asked
                assert site not in answer.text, asked


def test_engineers_set_targets_and_a_factory_reads_them(plant, engine):
    form = {"kind": "oee", "value": "61", "product": "", "since": ""}
    for name, site, place, status in (
        ("lan", "hoa-binh", "/sew-3", 404),
        ("lan", "van-long", "/sew-3", 404),
        ("lan", "van-long", "/press-2", 200),
        ("hung", "hoa-binh", "/sew-3", 403),
        ("hoa", "hoa-binh", "/sew-3", 200),
    ):
        headers = {"Cookie": _cookie_of(engine, name), "Accept": "text/html"}
        answer = ask(plant, "POST", f"/targets/{site}", headers=headers, data=form | {"place": place})
        assert answer.status_code == status, (name, site, place, answer.text)
    reader = {"Cookie": _cookie_of(engine, "hung"), "Accept": "text/html"}
    page = ask(plant, "GET", "/targets/hoa-binh", headers=reader).text
    assert percent(0.61, "vi") in page
    assert 'action="/targets/' not in page, "a factory's own targets stand in its site file"
    assert ask(plant, "GET", "/report/hoa-binh", headers={"Cookie": _cookie_of(engine, "hung")}).status_code == 200


def _cookie_of(engine, name):
    user = people.check_password(engine, name, PASSWORD)
    return cookie(engine, sessions.open_session(engine, time.time_ns(), Actor("test"), user))["Cookie"]


def ask(plant, method, path, **more):
    with httpx.Client(base_url=plant[1], trust_env=False, timeout=PATIENCE_S) as client:
        return client.request(method, path, **more)


def test_guessing_is_slowed_down_and_said(plant):
    for number in range(6):
        answer = ask(plant, "POST", "/login", data={"name": "nobody", "password": "x"})
        assert answer.status_code == (401 if number < 5 else 429)
    assert "Try again in" in answer.text or "Hãy thử lại" in answer.text
    assert ask(plant, "POST", "/login", data={"name": "lan", "password": PASSWORD}).status_code == 303


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_a_login_leads_nowhere_else(plant, target):
    answer = ask(plant, "POST", "/login", data={"name": "lan", "password": PASSWORD, "next": target})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    held = answer.headers["set-cookie"].lower()
    assert "httponly" in held
    assert "samesite=lax" in held


@pytest.mark.parametrize(
    "path", ["/admin", "/admin/tokens", "/admin/audit", "/account", "/", "/machine/van-long/press-2", "/_nicegui/x"]
)
def test_every_page_asks_who_it_is(plant, path):
    answer = ask(plant, "GET", path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")


def test_what_changes_accounts_is_for_administrators(plant, engine):
    user = people.check_password(engine, "lan", PASSWORD)
    key = sessions.open_session(engine, time.time_ns(), Actor("test"), user)
    held = cookie(engine, key)
    for path in ("/admin/users", "/admin/users/hoa/disable", "/admin/users/lan/change", "/admin/tokens", "/admin/tokens/x/revoke"):  # fmt: skip
        data = {"name": "lan", "role": "admin", "scope": "read", "all_sites": "1"}
        assert ask(plant, "POST", path, data=data, headers=held).status_code == 403
    assert {item.name: item.role for item in people.users(engine)}["lan"] == "engineer"


def test_a_websocket_without_a_session_is_refused(plant):
    url = plant[1].replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with pytest.raises(InvalidStatus) as caught, connect(url, proxy=None, open_timeout=PATIENCE_S):
        pass
    assert caught.value.response.status_code == 403
    assert ask(plant, "GET", "/_nicegui_ws/socket.io/?EIO=4&transport=polling").status_code == 401
