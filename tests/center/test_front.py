"""The center's port under strangers: half-sent heads and bodies, too many connections, too large requests."""

import json
import random
import re
import select
import socket
import ssl
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest
from certificates import Authority
from servers import PATIENCE_S, eventually, free_port
from whole_center import ROOT, Center

from center.run.bodies import LARGE_OF_ONE

LIMITS = "connections: {total: 40, from_one_address: 20, head: 2s, body: 2s, unread: 2s}\n"
HALF = b"GET /login HTTP/1.1\r\nHost: cen"
WHOLE = b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    made = Center(tmp_path_factory.mktemp("front"), LIMITS)
    with made.stack, made.up().as_administrator():
        yield made


@pytest.fixture
def stranger(center):
    """Opens connections from addresses of this machine: stranger(n, data) is the n-th address's."""
    with ExitStack() as stack:

        def connect(number, data=b""):
            link = socket.create_connection(
                ("127.0.0.1", center.port), timeout=PATIENCE_S, source_address=(f"127.0.0.{number}", 0)
            )
            stack.callback(link.close)
            if data:
                link.sendall(data)
            return link

        yield connect


def is_closed(link):
    """Whether the other end has closed, without waiting and whatever it said before."""
    link.setblocking(False)
    try:
        while link.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def said(link):
    """All that the other end says until it closes."""
    link.settimeout(PATIENCE_S)
    heard = b""
    with suppress(ConnectionResetError):
        while more := link.recv(65_536):
            heard += more
    return heard


def test_half_sent_heads_of_one_address_keep_nobody_out(center, stranger):
    links = []
    for _ in range(60):
        link = stranger(2)
        with suppress(OSError):  # refused already
            link.sendall(HALF)
        links.append(link)
    eventually(lambda: sum(map(is_closed, links)) >= 40)  # at most 20 are held
    assert stranger(3, WHOLE).recv(12) == b"HTTP/1.1 200"
    eventually(lambda: all(map(is_closed, links)))  # and none of them for long
    assert stranger(2, WHOLE).recv(12) == b"HTTP/1.1 200"
    with center.as_administrator() as client:
        counts = client.get("/metrics").text
    assert float(re.search(r"^nhip_center_connections_refused_total (\S+)", counts, re.MULTILINE)[1]) >= 40


def test_silent_connections_make_room_for_those_who_ask(stranger):
    links = [stranger(number, HALF) for number in (4, 5, 6, 7) for _ in range(15)]
    for number in range(8, 28):
        assert stranger(number, WHOLE).recv(12) == b"HTTP/1.1 200"
    eventually(lambda: all(map(is_closed, links)))


def test_a_second_head_has_its_deadline_too(stranger):
    link = stranger(2, WHOLE)
    assert link.recv(65_536).startswith(b"HTTP/1.1 200")
    link.sendall(HALF)
    said(link)  # ends


def test_a_head_that_goes_on_and_on_is_refused(stranger):
    link = stranger(2, b"GET /login HTTP/1.1\r\n")
    with pytest.raises(OSError):
        for number in range(100_000):
            link.sendall(b"X-%d: %s\r\n" % (number, b"a" * 1000))


def test_a_body_that_does_not_come(stranger):
    kind = b"Content-Type: application/x-www-form-urlencoded\r\n"
    link = stranger(2, b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n" + kind + b"Content-Length: 100\r\n\r\nname=")
    assert said(link).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("length", [True, False])
def test_a_body_that_is_too_large_is_not_read(center, length):
    """Whether it says so or not; and an announced one is refused unsent."""
    text = json.dumps({"text": "a" * 100_000}).encode()
    content = text if length else iter([text[:50_000], text[50_000:]])
    with center.as_administrator() as client:
        answer = client.post("/api/v1/declarations", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (413, "bad_question")
        assert client.get("/api/v1/sites").status_code == 200


def test_a_route_may_take_more(center):
    with center.as_administrator() as client:
        where = {"url": "/api/v1/envelopes?site=a&gateway=b", "headers": {"Content-Type": "application/x-ndjson"}}
        assert client.post(content=b"nonsense\n" * 20_000, **where).status_code == 422  # it was read
        assert client.post(content=b"", **where).status_code == 200
        assert (center.trail()[0]["what"], center.trail()[0]["about"]) == ("envelopes.imported", "a/b")
        refused = client.post(content=(b"a" * 2**20 for _ in range(17)), **where)
    assert refused.status_code == 413


def test_a_few_large_bodies_are_read_at_once(center, stranger):
    """Whoever may send one makes the center hold what has arrived, for as long as the deadline allows."""
    lines = {"url": "/api/v1/envelopes?site=a&gateway=b", "content": b"nonsense\n" * 20_000}
    kind = {"Content-Type": "application/x-ndjson"}
    with center.as_administrator() as client:
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        head = f"POST {lines['url']} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000000\r\n\r\n"
        links = [stranger(2, head.encode() + b"x" * 100_000) for _ in range(LARGE_OF_ONE + 1)]
        (refused,) = eventually(lambda: select.select(links, [], [], 0)[0])
        heard = said(refused)
        assert heard.startswith(b"HTTP/1.1 429")
        assert b"retry-after" in heard.lower()
        assert client.post(headers=kind, **lines).status_code == 422, (
            "it was read: another address has places of its own"
        )
        nobody = stranger(2, head.replace("Cookie", "Cake").encode() + b"x" * 100_000)
        assert said(nobody).startswith(b"HTTP/1.1 401"), "and takes no place"
        for link in links:
            link.close()
        there = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=there, base_url=center.url, cookies=client.cookies, timeout=PATIENCE_S) as same:
            eventually(lambda: same.post(headers=kind, **lines).status_code == 422)


def test_requests_that_are_none(center, stranger):
    """Random bytes, whole and broken requests: each is answered or closed, and the center goes on."""
    chance = random.Random(14)
    parts = [WHOLE, HALF, b"POST /login HTTP/1.1\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: -1\r\n", b"\r\n",
             b"Content-Length: 99999999999999999999\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"\x16\x03\x01",
             b"Sec-WebSocket-Version: 13\r\n", b"zz\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"Host: \xff\r\n",
             b"GET //..%2f%00 HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n", b"Cookie: nhip_session=%s\r\n" % (b"=" * 3000)]  # fmt: skip
    for _ in range(150):
        data = b"".join(chance.choice(parts) for _ in range(chance.randint(1, 6))) + chance.randbytes(
            chance.randint(0, 40)
        )
        link = stranger(chance.randint(30, 60))
        with suppress(OSError):
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
    assert stranger(2, WHOLE).recv(12) == b"HTTP/1.1 200"
    assert center.process.poll() is None


def test_a_flood_of_logins_delays_logins_only(center):
    """Each from an address of its own: some are hashed, the others refused at once; a question needs none of these places."""

    def guess(number):
        local = httpx.HTTPTransport(local_address=f"127.0.0.{100 + number}")
        with httpx.Client(base_url=center.url, transport=local, timeout=PATIENCE_S) as client:
            answer = client.post("/login", data={"name": "hoa", "password": f"guess {number}"})
            return answer.status_code, answer.headers.get("retry-after")

    with center.as_administrator() as client, ThreadPoolExecutor(30) as pool:
        guesses = [pool.submit(guess, number) for number in range(60)]
        asked = 0
        while not all(each.done() for each in guesses):
            assert client.get("/api/v1/sites").status_code == 200
            asked += 1
        assert asked
    counts = Counter(each.result() for each in guesses)
    assert set(counts) == {(401, None), (503, "3")}
    with center.as_administrator():
        pass


def test_unfinished_handshakes_are_counted_and_closed(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("center")
    more = f"{LIMITS}https: {{certificate: {certificate}, key: {key}}}\n"
    made = Center(tmp_path / "tls", more)
    with made.stack:
        made.up()
        links = [socket.create_connection(("127.0.0.1", made.port)) for _ in range(60)]
        eventually(lambda: sum(map(is_closed, links)) >= 40)
        eventually(lambda: all(map(is_closed, links)))
        trusting = ssl.create_default_context(cafile=authority.file)
        with httpx.Client(verify=trusting, trust_env=False, timeout=PATIENCE_S) as client:
            at = f"https://127.0.0.1:{made.port}/login"
            eventually(lambda: client.get(at).status_code == 200)
            answer = client.get(at)
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            form = {"name": "hoa", "password": made.password}
            cookies = client.post(at, data=form).headers.get_list("set-cookie")
        assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-nhip_session", "__Host-nhip_browser"}
        for cookie in cookies:
            assert {"secure", "httponly", "samesite=lax", "path=/"} <= {
                part.strip().lower() for part in cookie.split(";")
            }


_SHORT_OF_FILES = """
import asyncio, logging, os, resource, socket, sys
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from center.run.connections import Connections
from config import ConnectionsModel

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})

async def main():
    logging.basicConfig(stream=sys.stderr)
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    config = Config(app, http=H11Protocol, lifespan="off")
    config.load()
    state = ServerState()
    told = asyncio.Semaphore(0)
    taken = Connections(
        listener, lambda: H11Protocol(config, state, {}), ConnectionsModel(), count=lambda name: name == "files_short" and told.release()
    )
    taken.start()
    await asyncio.to_thread(int)  # later there is no file left from which to load what that needs
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 3, hard))
    print("ready", flush=True)
    for _ in range(3):
        await told.acquire()
    print("short", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
"""


def test_short_of_files_it_waits_and_says_so_once():
    port = free_port()
    with ExitStack() as stack:
        child = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", _SHORT_OF_FILES, str(port)], cwd=ROOT, text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )  # fmt: skip
        stack.callback(child.kill)
        assert child.stdout.readline() == "ready\n"
        links = [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) for _ in range(10)]
        assert child.stdout.readline() == "short\n"
        child.stdin.write("more\n")
        child.stdin.flush()
        link = links[-1]
        link.sendall(WHOLE)
        assert link.recv(12) == b"HTTP/1.1 204"
        child.stdin.close()
        assert len(child.stderr.read().splitlines()) == 1
        for each in links:
            each.close()


def test_every_answer_says_what_may_run_in_it(center):
    """Plain pages run our own files only; live ones what NiceGUI needs; data nothing. Nobody frames any of them."""
    with center.as_administrator() as client:
        policies = {}
        for path in ("/account", "/", "/api/v1/sites", "/metrics", "/console/fonts.css", "/nowhere", "/api/v1/docs"):
            answer = client.get(path)
            policies[path] = answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert "frame-ancestors 'none'" in policies[path]
            assert "strict-transport-security" not in answer.headers  # reached without encryption
    assert policies["/account"].endswith("script-src 'self'")
    assert policies["/"].endswith("script-src 'self' 'unsafe-inline' 'unsafe-eval'")
    assert policies["/api/v1/sites"].startswith("default-src 'none'")


def test_whoever_does_not_read_its_answers_is_let_go(center, stranger):
    """What waits for it is memory that others need."""

    def unread():
        return float(
            re.search(r"^nhip_center_answers_unread_total (\S+)", client.get("/metrics").text, re.MULTILINE)[1]
        )

    with center.as_administrator() as client:
        before = unread()
        link = stranger(9)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asked = WHOLE.replace(b"/login", b"/console/fonts.css") + WHOLE

        def more():
            link.setblocking(False)
            with suppress(BlockingIOError, ConnectionError):
                link.sendall(asked * 200)
            return unread() > before

        eventually(more)


_UNREAD = """
import asyncio, socket, sys
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from center.run.connections import Connections
from config import ConnectionsModel

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(40_000_000)})

async def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    config = Config(app, http=H11Protocol, lifespan="off", access_log=False)
    config.load()
    state = ServerState()
    told = lambda name: print(name, flush=True)
    Connections(listener, lambda: H11Protocol(config, state, {}), ConnectionsModel(), count=told).start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
"""


def test_so_much_waits_for_one_address_and_no_more(stranger):
    """Two answers of 40 MB for one that does not read are one too many; another gets his, as slowly as he likes."""
    port = free_port()
    with ExitStack() as stack:
        command = [sys.executable, "-c", _UNREAD, str(port)]
        child = stack.enter_context(
            subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        stack.callback(child.kill)
        assert child.stdout.readline() == "ready\n"

        def asks(number):
            link = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{number}", 0))
            stack.callback(link.close)
            link.sendall(WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            return link

        reader = asks(3)
        assert reader.recv(1) == b"H"
        for _ in range(2):
            asks(2)
        assert child.stdout.readline() == "answers_unread\n"
        assert len(said(reader)) > 40_000_000
