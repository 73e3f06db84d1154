"""nginx and Caddy, with the files of deploy/proxy, in front of centers with and without a root path: what a browser does, and
every address that a page gives it.
"""

import re
import ssl
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from browser import chromium as started_chromium
from center_plant import child
from certificates import Authority
from playwright.sync_api import expect
from servers import PATIENCE_S, free_port
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from whole_center import Center

from config import TAKEN
from words import say

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
MACHINE = "/machine/van-long/press-1"
DECLARE = "/declare/van-long/press-1"
PAGES = ("/", "/?order=worst", MACHINE, f"{MACHINE}?span=7d", DECLARE, "/delivery", "/report/van-long", "/months/van-long", "/maintenance/van-long", "/targets/van-long", "/advice", "/account", "/admin", "/admin/tokens",
         "/admin/machines", "/admin/audit", "/nowhere")  # fmt: skip
FILES = (".js", ".css", ".mjs", ".ico", ".woff2")
HTML = {"Accept": "text/html"}
# file, what is changed in it, the center's root path by its own file, and from outside
SETUPS = {
    "nginx": ("nginx.conf", {}, "", ""),
    "nginx-passes-it-on": ("nginx-root-path.conf", {}, "/nhip", "/nhip"),
    "nginx-cuts-it-off": ("nginx-root-path.conf", {"8080;": "8080/;"}, "/nhip", "/nhip"),
    "nginx-says-it": (
        "nginx-root-path.conf", {"8080;": "8080/;", 'X-Forwarded-Prefix "";': "X-Forwarded-Prefix /nhip;"}, "", "/nhip",
    ),
    "caddy": ("Caddyfile", {}, "", ""),
    "caddy-passes-it-on": ("Caddyfile.root-path", {}, "/nhip", "/nhip"),
    "caddy-cuts-it-off": ("Caddyfile.root-path", {"handle /nhip": "handle_path /nhip"}, "/nhip", "/nhip"),
}  # fmt: skip
NGINX = """daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; user root; worker_processes 1;
events {{}}
http {{ access_log off; {temporary} include {folder}/nhip.conf; }}
"""


def behind(root_path):
    return "proxy: 127.0.0.1\n" + (f"root_path: {root_path}\n" if root_path else "")


def placed(text, places):
    for old, new in places.items():
        assert old in text, old
        text = text.replace(old, str(new))
    return text


def nginx(folder, text, port, center, tls):
    plain = free_port()
    places = {"listen 443": f"listen 127.0.0.1:{port}", "listen 80": f"listen 127.0.0.1:{plain}",
              "/etc/nhip/tls/center.pem": tls[0], "/etc/nhip/tls/center.key": tls[1]}  # fmt: skip
    (folder / "nhip.conf").write_text(placed(text, places | {"127.0.0.1:8080": f"127.0.0.1:{center}"}))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, temporary=temporary))
    return ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")], plain


def caddy(folder, text, port, center, tls):
    plain = free_port()
    host = re.search(r"^([\w.]+) \{$", text, re.MULTILINE)[1]
    places = {
        f"{host} {{": f"https://127.0.0.1:{port} {{\n\ttls {tls[0]} {tls[1]}",
        "127.0.0.1:8080": f"127.0.0.1:{center}",
    }
    head = f"{{\n\tadmin off\n\thttp_port {plain}\n\thttps_port {port}\n\tstorage file_system {folder}\n}}\n"
    (folder / "Caddyfile").write_text(head + placed(text, places))
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")], plain


class Shown:
    """A center behind a proxy, as it is reached from outside."""

    def __init__(self, folder, setup, centers, tls, authority):
        name, changes, inner, self.root = SETUPS[setup]
        self.center, self.port, self.authority = centers[inner], free_port(), authority
        folder.mkdir()
        text = placed((ROOT / "deploy" / "proxy" / name).read_text(), changes)
        make = nginx if name.startswith("nginx") else caddy
        self.command, self.plain = make(folder, text, self.port, self.center.port, tls)
        self.origin = f"https://127.0.0.1:{self.port}"
        self.url = self.origin + self.root

    def client(self, **more):
        context = ssl.create_default_context(cafile=self.authority)
        return httpx.Client(verify=context, trust_env=False, timeout=PATIENCE_S, http2=False, **more)

    def log_in(self, client, target="", **headers):
        data = {"name": "hoa", "password": self.center.password, "next": target}
        return client.post(f"{self.url}/login", data=data, headers=headers)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """All setups, side by side."""
    folder = tmp_path_factory.mktemp("proxies")
    authority = Authority(folder)
    tls = authority.issue("server")
    with ExitStack() as stack:
        centers = {root: Center(folder / f"center{len(root)}", behind(root)) for root in ("", "/nhip")}
        for center in centers.values():
            stack.push(center.stack)
        made = {}
        for setup in SETUPS:
            made[setup] = Shown(folder / setup, setup, centers, tls, authority.file)
            stack.enter_context(child(made[setup].command, made[setup].port))
        for center in centers.values():
            center.filled()
        yield made


@pytest.fixture(scope="module")
def chromium():
    with started_chromium() as found:
        yield found


class Seen:
    """A browser of its own. asked: every address; failed: what was refused, and what a script complained of."""

    def __init__(self, chromium):
        self.asked, self.failed = [], []
        self.context = chromium.new_context(ignore_https_errors=True, locale="en")
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.context.on("response", self._answered)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_S * 1000)
        self.page.on("websocket", lambda socket: self.asked.append(socket.url.replace("wss://", "https://")))
        self.page.on("pageerror", lambda error: self.failed.append(str(error)))

    def _answered(self, answer):
        if answer.status >= 400:
            self.failed.append((answer.status, answer.url))

    def elsewhere(self, home):
        return [url for url in self.asked if not url.startswith((home, "data:", "blob:"))]

    def cookies(self, url):
        return {item["name"]: item for item in self.context.cookies(url)}


def log_in(page, password):
    page.locator("[data-set-lang=en]").click()
    expect(page.locator("h1")).to_have_text(say("login.title", "en"))
    page.fill("[name=name]", "hoa")
    page.fill("[name=password]", password)
    page.click("form button.go")


def declare(page):
    """A planned stop in the first minutes of today."""
    fold = page.locator("details.fold.add", has=page.locator("[name=field][value=planned_stop]"))
    fold.locator("summary").click()
    today = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 7 * 3600))
    for name, value in (("value", "họp"), ("from", f"{today}T00:00"), ("to", f"{today}T00:05")):
        fold.locator(f"[name={name}]").fill(value)
    fold.locator("button.go").click()
    expect(page.locator(".became")).to_contain_text("họp")


@pytest.mark.parametrize("setup", ["nginx", "nginx-passes-it-on", "caddy-cuts-it-off"])
def test_a_day_in_a_browser(shown, chromium, setup):
    here, seen = shown[setup], Seen(chromium)
    page = seen.page
    page.goto(here.url + MACHINE)
    log_in(page, here.center.password)
    page.wait_for_selector(".tile")
    assert page.url == here.url + MACHINE
    page.locator(".crumbs a").first.click()
    page.wait_for_selector(".card .big")
    assert page.url == f"{here.url}/"

    before = page.evaluate("performance.timeOrigin")
    for state in ("breakdown", "running"):  # no reload: what is new comes over the websocket
        here.center.live(state)
        expect(page.locator(".card .chip").first).to_contain_text(say(f"state.{state}", "en"))
    assert page.evaluate("performance.timeOrigin") == before
    assert any("/_nicegui_ws/socket.io/" in url and "transport=websocket" in url for url in seen.asked)

    page.locator("a.card").first.click()
    page.wait_for_selector(".tile")
    page.get_by_text(say("console.span.7d", "en"), exact=True).click()
    page.wait_for_url(lambda url: url.startswith(f"{here.url}{MACHINE}?") and "span=7d" in url)
    with page.expect_download() as download:
        page.locator("a[download]").first.click()
    assert download.value.suggested_filename.endswith(".xlsx")

    page.goto(here.url + DECLARE)
    declare(page)
    assert page.url.startswith(f"{here.url}{DECLARE}?")
    page.locator("nav.crumbs a").first.click()
    page.wait_for_selector(".tile")

    kept = seen.cookies(f"{here.url}/")
    host = "" if here.root else "__Host-"  # a cookie of the whole host where the center has all of it
    assert {name: item["path"] for name, item in kept.items()} == dict.fromkeys(
        (f"{host}nhip_session", f"{host}nhip_browser", "nhip_lang"), here.root or "/"
    )
    held = kept[f"{host}nhip_session"]
    assert (held["secure"], held["httpOnly"], held["sameSite"]) == (True, True, "Lax")
    page.click(".right .menu summary")
    page.get_by_role("button", name=say("account.logout", "en")).click()
    expect(page.locator("h1")).to_have_text(say("login.title", "en"))
    assert page.url == f"{here.url}/login"
    assert set(seen.cookies(f"{here.url}/")) == {f"{host}nhip_browser", "nhip_lang"}
    seen.context.close()
    assert (seen.failed, seen.elsewhere(f"{here.url}/")) == ([], [])


def addresses(text):
    """Every address in a page: of links, forms, scripts and styles, also where HTML or JSON lies inside of JSON; not what a
    form's choices are called.
    """
    return set(re.findall(r"""(?<!value=)(?<!value=\\)["'(]\\?(/[A-Za-z_][^"'\\\s<>)]*)""", text.replace("&amp;", "&")))


@pytest.fixture(params=SETUPS)
def here(request, shown):
    return shown[request.param]


@pytest.mark.parametrize("setup", ["caddy", "nginx-passes-it-on", "nginx-says-it", "caddy-cuts-it-off"])
def test_every_address_is_one_of_the_center_s_from_outside(shown, setup):
    here = shown[setup]
    with here.client(headers=HTML) as client:
        assert here.log_in(client).headers["location"] == f"{here.root}/"
        found = set()
        for path in PAGES:
            answer = client.get(here.url + path)
            assert answer.status_code == (404 if path == "/nowhere" else 200), path
            found |= addresses(answer.text) - {here.root}
        wrong = [address for address in found if not address.startswith(f"{here.root}/")]
        assert wrong == []
        inner = {address.removeprefix(here.root) for address in found}
        assert {address.split("/")[1].partition("?")[0] for address in inner} - {""} <= TAKEN, (
            "a root path may be none of them"
        )
        wanted = ("/logout", "/account", "/admin/users", "/admin/machines", MACHINE, DECLARE, "/delivery?site=van-long")
        assert [path for path in wanted if path not in inner] == []
        for address in sorted(found):
            path = urlsplit(address).path.removeprefix(here.root)
            if path.endswith(FILES) or path.startswith(("/api", "/delivery", "/machine", "/report", "/targets")):
                # a day whose first shift has not begun has no report
                wanted_status = (200, 422) if "/report" in path else (200,)
                assert client.get(here.origin + address).status_code in wanted_status, address
        docs = client.get(f"{here.url}/api/v1/docs").text
        linked = addresses(docs)
        assert len(linked) >= 3
        for address in linked - {f"{here.root}/api/v1/docs/oauth2-redirect", "/api/v1/docs/oauth2-redirect"}:
            assert address.startswith(f"{here.root}/")
            assert client.get(here.origin + address).status_code == 200, address


def test_programs(here):
    with here.client() as client:
        assert client.get(f"{here.url}/api/v1/sites").status_code == 401
        here.log_in(client)
        described = client.get(f"{here.url}/api/v1/openapi.json").json()
        assert described.get("servers", []) == ([{"url": here.root}] if here.root else [])
        answer = client.get(f"{here.url}/api/v1/machines", params={"site": "van-long", "limit": 1})
        (following,) = re.findall("<(.*)>", answer.headers["link"])
        assert following.startswith(f"{here.root}/api/v1/machines?")
        assert [row["id"] for row in client.get(urljoin(here.url, following)).json()] == ["press-2"]
        assert "is no" in client.get(f"{here.url}/api/v1/nothing").json()["detail"]
        file = client.get(f"{here.url}/api/v1/trend", params={"site": "van-long", "machine": "press-1", "from": "2026-01-01", "format": "csv"})  # fmt: skip
        assert "attachment" in file.headers["content-disposition"]
        assert client.get(here.url).status_code in (200, 307, 308), "without the last slash"


def test_who_asks_and_what_the_browser_makes_up(here):
    """Headers that only a proxy may send, sent through the proxy."""
    forged = {"X-Forwarded-For": "198.51.100.9", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil",
              "X-Forwarded-Host": "evil.example", "Forwarded": "for=198.51.100.9;proto=http;host=evil.example"}  # fmt: skip
    with here.client(headers=HTML | forged) as client:
        assert client.get(f"{here.url}{MACHINE}").headers["location"].startswith(f"{here.root}/login?next=%2Fmachine")
        page = client.get(f"{here.url}/login")
        assert page.status_code == 200
        assert "evil" not in page.text
        answer = here.log_in(client)
        assert answer.headers["location"] == f"{here.root}/"
        held = [part.strip() for part in answer.headers["set-cookie"].lower().split(";")]
        assert {f"path={here.root or '/'}", "httponly", "samesite=lax", "secure"} <= set(held)
        assert "evil" not in client.get(f"{here.url}/").text
    assert here.center.trail()[0]["address"] == "127.0.0.1"
    with here.client() as client:
        assert client.get(f"{here.url}/metrics").status_code == 401, "the proxy is not somebody at the center's machine"


def test_a_login_leads_out_of_nowhere(here):
    with here.client() as client:
        for target in (
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/%2e%2e/other",
            "https://evil.example",
        ):
            assert here.log_in(client, target).headers["location"] == f"{here.root}/"
        assert here.log_in(client, MACHINE).headers["location"] == here.root + MACHINE
        assert here.log_in(client, MACHINE, Origin="https://evil.example").status_code == 403
        assert here.log_in(client, MACHINE, Origin=here.origin).status_code == 303


def test_a_websocket_is_for_pages_of_this_center(here):
    with here.client() as client:
        here.log_in(client)
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    context = ssl.create_default_context(cafile=here.authority)
    address = f"wss://127.0.0.1:{here.port}{here.root}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    more = {"proxy": None, "open_timeout": PATIENCE_S, "ssl": context}
    with connect(address, origin=here.origin, additional_headers={"Cookie": cookie}, **more) as socket:
        assert "sid" in socket.recv()
    for wrong in (
        {"origin": "https://evil.example", "additional_headers": {"Cookie": cookie}},
        {"origin": here.origin},
    ):
        with pytest.raises(InvalidStatus) as caught, connect(address, **wrong, **more):
            pass
        assert caught.value.response.status_code == 403


@pytest.mark.parametrize("setup", ["nginx", "nginx-passes-it-on"])
def test_unencrypted_requests_are_sent_to_the_encrypted_port(shown, setup):
    """Caddy does so by itself, for host names."""
    answer = httpx.get(f"http://127.0.0.1:{shown[setup].plain}{shown[setup].root}{MACHINE}", trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (301, f"https://127.0.0.1{shown[setup].root}{MACHINE}")
