"""How many live pages one account has: a real center, pages as a program asks for them, and websockets without a browser."""

import re
from contextlib import ExitStack

import httpx
import pytest
from servers import PATIENCE_S, eventually
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from whole_center import Center, run

from center.commands import accounts as door

MOST = 6
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    made = Center(tmp_path_factory.mktemp("live"), f"connections: {{live_pages: {MOST}}}\n")
    with made.stack:
        made.filled()
        made.passwords = {"hoa": made.password}
        for name in ("lan", "minh"):
            told = run(door.user, "add", made.file, name, "--role", "admin", "--generate", "--lang", "en")
            made.passwords[name] = told.split()[-1]
        yield made


@pytest.fixture
def logged_in(center):
    with ExitStack() as stack:

        def one(name):
            client = stack.enter_context(httpx.Client(base_url=center.url, trust_env=False, timeout=PATIENCE_S))
            eventually(lambda: client.get("/login").status_code == 200)
            assert client.post("/login", data={"name": name, "password": center.passwords[name]}).status_code == 303
            return client

        yield one


@pytest.fixture
def socket(center):
    """Opens a websocket with a client's cookies; more: of its query."""
    with ExitStack() as stack:

        def one(client, more=""):
            cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            headers = {"Cookie": cookies, "Origin": center.url}
            opened = connect(f"{center.url.replace('http', 'ws')}{SOCKET}{more}", additional_headers=headers)
            stack.callback(opened.close)
            return opened

        yield one


def looked_at(client, socket):
    """A page that a browser shows."""
    page = client.get("/")
    assert page.status_code == 200
    number = re.search(r"client_id.{1,20}?([0-9a-f-]{36})", page.text)[1]
    opened = socket(
        client, f"&client_id={number}&implicit_handshake=true&tab_id=t{number}&document_id=d&next_message_id=0"
    )
    opened.send("40")
    eventually(lambda: str(opened.recv(timeout=PATIENCE_S)).startswith("40"))
    return opened


def test_pages_that_nobody_looks_at_make_room(logged_in):
    client = logged_in("lan")
    assert {client.get("/").status_code for _ in range(3 * MOST)} == {200}


def test_whoever_has_too_many_open_is_told_and_nobody_else(logged_in, socket):
    client, other = logged_in("minh"), logged_in("hoa")
    opened = [looked_at(client, socket) for _ in range(MOST)]
    refused = client.get("/", headers={"Accept-Language": "en"})
    assert refused.status_code == 429
    assert "You have too many pages of the center open" in refused.text
    assert '<a class="go" href="">Try again</a>' in refused.text, "the fleet would be refused too"
    assert other.get("/").status_code == 200
    assert client.get("/api/v1/sites").status_code == 200
    assert client.get("/account").status_code == 200
    for each in opened:
        each.close()
    eventually(lambda: client.get("/").status_code == 200)  # half a minute later: a browser may come back


def test_connections_are_counted_too_whatever_they_are_for(logged_in, socket):
    client, other = logged_in("lan"), logged_in("hoa")
    opened = [socket(client) for _ in range(MOST)]
    with pytest.raises(InvalidStatus) as refused:
        socket(client)
    assert refused.value.response.status_code == 429
    socket(other)
    opened[0].close()

    def again():
        try:
            return socket(client)
        except InvalidStatus:
            return None

    eventually(again)


def test_requests_in_place_of_a_websocket_are_counted_too(logged_in):
    """A proxy may pass on nothing else."""
    client = logged_in("hoa")
    polled = SOCKET.replace("websocket", "polling")
    begun = [client.get(polled) for _ in range(MOST + 1)]
    assert [answer.status_code for answer in begun].count(200) >= MOST - 1
    assert begun[-1].status_code == 429


def test_strangers_open_none_and_leave_nothing(center, logged_in):
    """Each costs what a refused request costs; none of them is still there."""
    for _ in range(100):
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{center.url.replace('http', 'ws')}{SOCKET}")
        assert refused.value.response.status_code == 403
    assert logged_in("hoa").get("/").status_code == 200
