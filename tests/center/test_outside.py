"""Who may say from where a request comes and under which path the center is shown; and where a login leads."""

import asyncio

import pytest
from accounts_plant import PASSWORD, Plant
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

import nhip
from center.accounts.identify import COOKIE
from center.api.outside import Outside, inside, is_unencrypted, outside
from center.console.document import add_error_pages
from center.console.session.login import add_login_pages
from config import TAKEN, root_path_of
from words import say

PROXY, BROWSER = "10.0.0.4", "198.51.100.7"
PROXIES = ("127.0.0.1/32", "10.0.0.0/24")
SEGMENTS = st.from_regex(r"[A-Za-z0-9._~-]{1,9}", fullmatch=True)
PATHS = st.lists(st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=6)).map(
    lambda parts: "/" + "/".join(parts)
)


@st.composite
def root_paths(draw):
    parts = draw(st.lists(SEGMENTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3))
    return "/" + "/".join(parts) if parts[0].lower() not in TAKEN else "/nhip"


class Asked:
    """What the application inside is asked."""

    def __init__(self, path="/", peer=PROXY, kind="http", root_path="", proxies=PROXIES, **headers):
        self.scope, self.sent = None, []
        lines = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        scope = {"type": kind, "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
                 "client": (peer, 5), "scheme": "http", "headers": lines}  # fmt: skip
        asyncio.run(Outside(self, root_path, proxies)(scope, self._never, self._send))

    async def __call__(self, scope, _receive, _send):
        self.scope, self.link = scope, outside("/delivery")
        self.inside, self.unencrypted = inside(HTTPConnection(scope)), is_unencrypted(HTTPConnection(scope))

    async def _never(self):
        raise AssertionError

    async def _send(self, message):
        self.sent.append(message)


@given(root_paths(), PATHS.filter(lambda path: path.split("/")[1].lower() in TAKEN or path == "/"))
@settings(max_examples=60)
def test_whether_a_proxy_passes_the_root_path_on_or_cuts_it_off_is_the_same(root_path, path):
    cut, passed = (Asked(asked, root_path=root_path) for asked in (path, root_path + path))
    assert cut.scope == passed.scope
    assert (cut.inside, cut.link) == (path, f"{root_path}/delivery")
    assert outside("/delivery") == "/delivery", "it ends with the request"


def test_the_root_path_itself_is_the_first_page():
    asked = Asked("/nhip", root_path="/nhip")
    assert (asked.inside, asked.scope["path"]) == ("/", "/nhip/")
    assert Asked("/nhipx", root_path="/nhip").inside == "/nhipx"


@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=30))
@settings(max_examples=100)
def test_what_a_believed_proxy_calls_the_prefix_leads_to_no_other_host(said):
    asked = Asked(x_forwarded_prefix=said)
    if asked.scope is None:
        assert asked.sent[0]["status"] == 400
    else:
        assert asked.scope["root_path"] == root_path_of(said.strip())
        assert not asked.link.startswith(("//", "/\\"))
        assert asked.link.startswith("/")


@pytest.mark.parametrize(
    "said", ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a/../b", "/api"]
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_prefix_that_is_none_is_refused(said, kind):
    asked = Asked(kind=kind, x_forwarded_prefix=said)
    assert asked.scope is None
    if kind == "http":
        assert b"X-Forwarded-Prefix" in asked.sent[1]["body"]
    else:
        assert asked.sent == [{"type": "websocket.close", "code": 1008}]


FORGED = {"x_forwarded_for": "203.0.113.9", "x_forwarded_proto": "https", "x_forwarded_prefix": "/evil"}


@pytest.mark.parametrize("peer", [BROWSER, "10.0.1.4", "not an address"])
def test_nobody_else_is_believed(peer):
    asked = Asked(peer=peer, **FORGED)
    assert (asked.scope["client"][0], asked.scope["scheme"], asked.link) == (peer, "http", "/delivery")
    assert b"x-forwarded-prefix" not in dict(asked.scope["headers"]), "NiceGUI would take anybody's word for it"
    assert not Asked(peer=peer, x_forwarded_proto="http").unencrypted


@pytest.mark.parametrize("peer", [PROXY, "127.0.0.1"])
def test_a_proxy_that_the_file_names_is_believed(peer):
    asked = Asked(peer=peer, **FORGED)
    assert (asked.scope["client"][0], asked.scope["scheme"], asked.link) == ("203.0.113.9", "https", "/evil/delivery")
    assert not asked.unencrypted
    assert Asked(peer=peer, x_forwarded_proto="http").unencrypted
    assert not Asked(peer=peer).unencrypted, "it does not say"
    chain = Asked(peer=peer, x_forwarded_for=f"1.2.3.4, {BROWSER}, 10.0.0.9")
    assert chain.scope["client"][0] == BROWSER, "what the browser itself had put in front is not"


def test_the_file_s_root_path_wins():
    assert Asked(root_path="/nhip", x_forwarded_prefix="/other").link == "/nhip/delivery"


@pytest.fixture
def pages(tmp_path):
    """Accounts behind a proxy under /nhip; `ask` as the proxy asks."""
    made = Plant(tmp_path, f"sqlite:///{tmp_path}/a.sqlite")
    add_login_pages(made.app, made.center, made.accounts)
    add_error_pages(made.app, made.center)
    made.add("hoa", "admin")
    made.app = Outside(made.app, "/nhip", PROXIES)
    yield made
    made.close()


WRONG = ["//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example", "https://evil.example",
         "javascript:alert(1)", "/../other", "/machine/../../other", "/%2e%2e/other", "/.%2E/other", "/%2E./other", "/./x",
         "/..\\other", "/%5c..%5cother", "/login", "/login?next=/", "", " /delivery", "nhip"]  # fmt: skip


@pytest.mark.parametrize("target", WRONG)
def test_a_login_leads_nowhere_else(pages, target):
    browser = pages.browser(PROXY)
    answer = browser.post("/nhip/login", data={"name": "hoa", "password": PASSWORD, "next": target})
    assert (answer.status_code, answer.headers["location"]) == (303, "/nhip/")
    again = browser.get("/nhip/login", params={"next": target})
    assert (again.status_code, again.headers["location"]) == (303, "/nhip/")


@pytest.mark.parametrize("target", ["/machine/van-long/press-1?span=7d&bucket=day", "/?order=worst", "/declare/a/b%20c", "/a//b"])  # fmt: skip
def test_a_login_leads_to_what_was_asked_for(pages, target):
    browser = pages.browser(PROXY)
    asked = browser.get(f"/nhip{target}")
    assert asked.status_code == 303
    path, _, query = asked.headers["location"].partition("?")
    assert path == "/nhip/login"
    form = browser.get(asked.headers["location"]).text
    assert 'action="/nhip/login"' in form
    answer = browser.post(path, data={"name": "hoa", "password": PASSWORD, "next": target})
    assert answer.headers["location"] == f"/nhip{target}"
    held = answer.headers["set-cookie"].lower()
    assert [word in held for word in (f"{COOKIE}=", "path=/nhip;", "httponly", "samesite=lax")] == [True] * 4
    left = browser.post("/nhip/logout")
    assert left.headers["location"] == "/nhip/login"
    assert "path=/nhip;" in left.headers["set-cookie"], "else the browser would keep it"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_logs_in_without_encryption(pages, method):
    fields = {"name": "hoa", "password": PASSWORD}
    for scheme, status in (("http", 403), ("https", 200 if method == "GET" else 303)):
        headers = {"X-Forwarded-Proto": scheme}
        data = fields if method == "POST" else None
        answer = pages.browser(PROXY).ask(method, "/nhip/login", data=data, headers=headers)
        assert answer.status_code == status
    answer = pages.browser(PROXY).ask(method, "/nhip/login", headers={"X-Forwarded-Proto": "http"})
    assert say("login.unencrypted.help", "vi") in answer.text
    assert "set-cookie" not in answer.headers


def test_another_origin_logs_nobody_in(pages):
    """Login CSRF: a page elsewhere that would log somebody into an account of the attacker's."""
    data = {"name": "hoa", "password": PASSWORD}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://center"},
        {"Origin": "null"},
    ):
        answer = pages.browser(PROXY).post("/nhip/login", data=data, headers=headers)
        assert answer.status_code == 403, headers
        assert "set-cookie" not in answer.headers
    answer = pages.browser(PROXY).post("/nhip/login", data=data, headers={"Origin": "http://proxy.example"})
    assert "a proxy must pass on Host" in answer.json()["detail"]


def test_a_bad_root_path_is_told_at_the_start(tmp_path):
    file = tmp_path / "center.yaml"
    file.write_text("broker: mqtt://127.0.0.1:9\nstore: {kind: duckdb}\nroot_path: nhip\n")
    done = CliRunner().invoke(nhip.main, ["center", str(file), "--lang", "en"])
    assert done.exit_code == 2
    assert f"{file}:3: root_path: nhip cannot be a root path." in done.stderr
