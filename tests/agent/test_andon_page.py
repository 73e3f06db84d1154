"""The page at the machine over real sockets: a real PLC, a real outbox, the server that tablets reach."""

import asyncio
import json
import re
import sqlite3
import ssl
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from andon_agent import READING, SECURE, Page, answers, plc, process, served, site_file
from certificates import Authority
from servers import free_port, until

import agent.andon
from agent.andon.http import server
from agent.run import Options

FILES = sorted((Path(agent.andon.__file__).parent / "page").iterdir())


async def test_what_a_tablet_sees_and_enters(tmp_path):
    metrics = free_port()
    async with served(tmp_path, metrics=f"127.0.0.1:{metrics}") as (page, device, stops):
        await answers(page)
        seen = await page.page(lambda found: len(found["questions"]) == 2 and found["shifts"][0]["bars"])
        assert [item["stop_ms"] for item in seen["questions"]] == stops[::-1]
        shift = seen["shifts"][0]
        assert shift["name"] == "A"
        assert shift["target"]["pieces"] == 20000
        assert shift["times"]["unplanned_stop"] == 1_500_000
        assert shift["kpis"]["oee"] is None
        assert seen["ask_rejects"] is None
        await page.listen(lambda found: found.get("live", {}).get("state") == "running")
        await page.listen(lambda found: found.get("hello", {}).get("trusted"))

        reply = await page.enter("reason", stop_ms=stops[0], parts=[{"reason": "jam"}])
        assert reply["state"] == "saved"
        assert (await page.enter("product", value="1"))["state"] == "saved"
        assert (await page.enter("rejects", add=2, cause="scratch"))["state"] == "saved"
        assert (await page.enter("call", value="maintenance"))["state"] == "saved"
        seen = await page.page(
            lambda found: (
                found["shifts"][0]["times"].get("breakdown") == 900_000 and found["entries"][0]["outcome"] == "done"
            )
        )
        assert [item["stop_ms"] for item in seen["questions"]] == [stops[1]]
        assert seen["shifts"][0]["counts"]["rejects"] == 2
        assert seen["shifts"][0]["causes"] == {"scratch": 2}
        assert seen["product"] == "1"
        assert [call["kind"] for call in seen["calls"]] == ["maintenance"]
        assert seen["reasons"] == ["jam", "late", "meal"]

        device.coils[0] = False
        await page.listen(lambda found: found.get("live", {}).get("state") == "minor_stop")
        tech = (await page.client.get("/tech.json?device=plc")).json()
        assert {tag["name"]: tag["value"] for tag in tech["tags"]}["run"] is False
        assert tech["devices"][0]["condition"] == "up"
        assert tech["outbox"]["connected"] is None

        async with httpx.AsyncClient(trust_env=False) as other:  # one server, two addresses, each with its own paths
            assert "nhip_agent_andon" not in (await other.get(f"http://127.0.0.1:{metrics}/metrics")).text
            assert "nhip_agent_uptime_seconds" in (await other.get(f"http://127.0.0.1:{metrics}/metrics")).text
            assert (await other.get(f"http://127.0.0.1:{metrics}/site.json")).status_code == 404
        assert (await page.client.get("/metrics")).status_code == 404
        assert device.functions == READING, "nothing was written to the PLC"


async def test_the_page_itself(tmp_path):
    async with served(tmp_path, history=False) as (page, _, _):
        await answers(page)
        answer = await page.client.get("/")
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["content-encoding"] == "gzip"
        again = await page.client.get("/", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
        plain = await page.client.get("/app.js", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.headers["content-type"].startswith("text/javascript")
        worker = (await page.client.get("/sw.js")).text
        assert "{version}" not in worker
        shell = set(re.findall(r'"(/[\w.-]*)"', worker)) - {"/site.json", "/words.json", "/photo/"}
        for path in shell:
            assert (await page.client.get(path)).status_code == 200, path
        modules = {f"/{file.name}" for file in FILES if file.suffix in (".js", ".css")} - {"/sw.js"}
        assert modules < shell, "everything that the page loads is kept for the time without a gateway"
        words = (await page.client.get("/words.json")).json()["words"]
        assert words["andon.call_help"] == {"vi": "Gọi hỗ trợ", "en": "Call for help"}
        manifest = (await page.client.get("/manifest.webmanifest")).json()
        for icon in manifest["icons"]:
            assert (await page.client.get(icon["src"])).status_code == 200
        site = (await page.client.get("/site.json")).json()
        assert site["machines"]["m-1"]["counts"] == ["rejects", "rework"]
        assert (await page.client.get("/nothing")).status_code == 404
        assert (await page.client.get("/photo/jam")).status_code == 404


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.suffix in (".js", ".css", ".html")], ids=lambda file: file.name
)
def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inserted_as_markup(file):
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.|innerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)
    assert not re.search(r"\son\w+=|style=\"", text), "the policy forbids them"


YOUNGER = {
    ".js": (
        r"\.(at|findLast|findLastIndex|toSorted|toReversed|toSpliced|groupBy|hasOwn|withResolvers|fromAsync|isWellFormed)\(",
        r"\b(structuredClone|randomUUID|reportError|scheduler|startViewTransition|showPicker|checkVisibility)\b",
        r"AbortSignal\.(timeout|any)|\bstatic \{|#\w+ in |\binert\b|popover|CloseWatcher|EyeDropper|WeakRef\?|/v[;,.)]",
        r"^(const|let|export const)? ?.*^await |import\.meta\.resolve|with \{ ?type",
    ),
    ".css": (
        r":(is|where|has|not\([^)]*,|user-valid|open|modal)\b",
        r"@(layer|container|property|scope|starting-style|supports selector)|color-mix|oklch|lab\(|light-dark|\d[dsl]v[hw]\b",
        r"(^|[ ;{])(inset|aspect-ratio|translate|scale|rotate|text-wrap|content-visibility|field-sizing)\s*:|overflow: clip|subgrid",
        r"rgb\([^)]* / |[0-9)] / [0-9]|^\s*&|margin-trim|:focus-visible\(|\b(round|mod|sin|pow)\(",
    ),
}
"""What browsers learned after Chrome 86 (October 2020); what they pass over without harm (accent-color, scrollbar-width) is left out."""


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.suffix in YOUNGER and file.name != "sw.js"], ids=lambda file: file.name
)
def test_old_tablets_understand_it(file):
    text = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = [match.group() for rule in YOUNGER[file.suffix] for match in re.finditer(rule, text, re.MULTILINE)]
    assert found == []
    assert text.count("{") == text.count("}"), "no nesting was left open"


def test_the_rules_know_what_is_younger():
    for suffix, samples in {
        ".js": ("a.at(-1)", "structuredClone(x)", "AbortSignal.timeout(5)", "list.toSorted()", "Object.hasOwn(a, b)"),
        ".css": (
            "a:has(b) {",
            ".x { inset: 0 }",
            "height: 100dvh",
            "@container (x)",
            "color: rgb(0 0 0 / 5%)",
            ":is(a, b)",
        ),
    }.items():
        for sample in samples:
            assert any(re.search(rule, sample, re.MULTILINE) for rule in YOUNGER[suffix]), sample


async def test_a_pin_is_asked_for_and_cannot_be_guessed(tmp_path):
    (tmp_path / "pin").write_text("123456\n")
    async with served(tmp_path, history=False, andon={"pin_file": "pin"}) as (page, _, _):
        await answers(page)
        for path in ("/site.json", "/events", "/tech.json", "/photo/jam"):
            assert (await page.client.get(path)).status_code == 401
        assert (await page.send(page.entry("note", value="x"))).status_code == 401
        statuses = [
            (await page.client.post("/pin", json={"pin": f"{n:04}"}, headers=SECURE)).status_code for n in range(7)
        ]
        assert statuses == [403] * 5 + [429] * 2
        right = await page.client.post("/pin", json={"pin": "123456"}, headers=SECURE)
        assert right.status_code == 429, "who guessed waits, even with the right one"
        wait_s = right.json()["wait_s"]
        assert 0 < wait_s <= 60


async def test_the_right_pin_is_asked_for_once(tmp_path):
    (tmp_path / "pin").write_text("2468")
    async with served(tmp_path, history=False, andon={"pin_file": "pin"}) as (page, _, _):
        await answers(page)
        assert (await page.client.post("/pin", json={"pin": "1"}, headers=SECURE)).status_code == 403
        right = await page.client.post("/pin", json={"pin": "2468"}, headers=SECURE)
        assert right.status_code == 200
        assert "HttpOnly" in right.headers["set-cookie"]
        assert "samesite=strict" in right.headers["set-cookie"].lower()
        assert (await page.client.get("/site.json")).status_code == 200
        cookie = dict(page.client.cookies)
    async with served(tmp_path, history=False, andon={"pin_file": "pin"}) as (page, _, _):
        await answers(page)
        page.client.cookies.update(cookie)
        assert (await page.client.get("/site.json")).status_code == 200, "a restart asks nobody again"
    (tmp_path / "pin").write_text("9753")
    async with served(tmp_path, history=False, andon={"pin_file": "pin"}) as (page, _, _):
        await answers(page)
        page.client.cookies.update(cookie)
        assert (await page.client.get("/site.json")).status_code == 401, "another PIN ends it"


async def test_foreign_pages_and_names_are_refused(tmp_path):
    async with served(tmp_path, history=False, andon={"names": ["andon.test"]}) as (page, _, _):
        await answers(page)
        host = page.client.base_url.netloc.decode()
        assert (await page.client.get("/site.json", headers={"host": "evil.example"})).status_code == 421
        assert (await page.client.get("/site.json", headers={"host": "andon.test"})).status_code == 200
        note = page.entry("note", value="x")
        assert (await page.send(note, origin="http://evil.example")).status_code == 403
        assert (await page.send(note, **{"sec-fetch-site": "cross-site"})).status_code == 403
        bare = await page.client.post("/entries", json={"entries": [note]})
        form = await page.client.post(
            "/entries", content=json.dumps({"entries": [note]}), headers={"x-nhip-andon": "1"}
        )
        assert (bare.status_code, form.status_code) == (403, 403)
        assert (await page.send(note, origin=f"http://{host}")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"entries": 1}',
        b"{" * 20_000,
        b'{"entries": [' + b"1," * 40_000 + b"1]}",
        b'{"entries": [NaN]}',
        b"\xff",
    ],
)
async def test_whatever_is_sent_costs_one_answer(tmp_path, body):
    async with served(tmp_path, history=False) as (page, _, _):
        await answers(page)
        answer = await page.client.post("/entries", content=body, headers=SECURE)
        assert answer.status_code in (200, 400, 413)
        assert (await page.enter("note", value="still there"))["state"] == "saved"


@pytest.mark.parametrize(("head_s", "ended"), [(3600.0, 34), (0.5, 130)], ids=["one too many", "too late"])
async def test_connections_that_ask_nothing_leave_files_for_the_devices(tmp_path, monkeypatch, head_s, ended):
    monkeypatch.setattr(server, "_HEAD_S", head_s)
    async with served(tmp_path, history=False) as (page, _, _):
        await answers(page)
        await page.client.aclose()
        found, port = [], page.client.base_url.port

        async def half_a_question():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                with suppress(ConnectionError):
                    writer.write(b"GET / HTTP/1.1\r\nHost: ")
                    await reader.read()
                found.append(writer)
            finally:
                writer.close()

        asking = [asyncio.create_task(half_a_question()) for _ in range(130)]
        await until(lambda: len(found) >= ended)
        assert len(found) == ended
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        page.client = httpx.AsyncClient(base_url=page.client.base_url, trust_env=False)
        await answers(page)


async def test_https_with_a_certificate_of_ones_own(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway")
    andon = {"certificate": str(certificate), "key": str(key)}
    async with served(tmp_path, history=False, andon=andon) as (page, _, _):
        secure = ssl.create_default_context(cafile=str(authority.file))
        page.client = httpx.AsyncClient(base_url=page.client.base_url, verify=secure, trust_env=False)
        await answers(page)
        assert (await page.client.get("/site.json")).status_code == 200


@pytest.mark.parametrize("fault", ["port", "pin", "certificate"])
async def test_without_its_page_the_agent_runs_on(tmp_path, fault, caplog):
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    (tmp_path / "pin").write_text("12")
    andon = {
        "port": {"listen": f"127.0.0.1:{port}"},
        "pin": {"pin_file": "pin"},
        "certificate": {"certificate": "pin", "key": "pin"},
    }[fault]
    ready = tmp_path / "ready"
    async with served(tmp_path, history=False, andon=andon, options=Options(commit_every_s=0.5, ready_file=ready)) as (
        _,
        device,
        _,
    ):
        await until(lambda: ready.exists() and device.requests > 3)
        assert "andon" in caplog.text
    taken.close()


async def test_a_person_confirms_the_clock(tmp_path):
    system = StoppedSystem()
    options = Options(commit_every_s=0.5, system=system)
    async with served(tmp_path, history=False, clock="guarded", options=options) as (page, _, _):
        await answers(page)
        seen = await page.listen(lambda found: "hello" in found)
        assert seen["hello"]["trusted"] is False
        assert (await page.enter("rejects", add=1)) == {"id": "tablet-1", "state": "later", "why": "clock"}
        for wrong in ({"at_ms": "now"}, {"at_ms": -1}, {}, []):
            assert (await page.client.post("/clock", json=wrong, headers=SECURE)).status_code == 400
        answer = await page.client.post("/clock", json={"at_ms": time.time_ns() // 1_000_000}, headers=SECURE)
        assert answer.status_code == 200
        await page.listen(lambda found: "hello" in found and found["hello"]["trusted"])
        assert (await page.enter("note", value="Đã giao ca"))["state"] == "saved"


class StoppedSystem:
    """A system whose wall clock nobody vouches for."""

    def wall_ns(self):
        return 1_600_000_000_000_000_000 + time.monotonic_ns()

    def mono_ns(self):
        return time.monotonic_ns()

    def boot(self):
        return "this-boot"

    def ntp(self):
        return None


async def test_killed_between_tap_and_commit(tmp_path):
    """Whatever was called saved is there, what was not is sent again, and everything counts once."""
    port = free_port()
    async with plc() as device:
        device.coils[0] = True
        site = site_file(tmp_path, device.port, andon={"listen": f"127.0.0.1:{port}"})
        page, kept, saved = Page(f"http://127.0.0.1:{port}"), [], set()
        kept += [page.entry("rejects", add=1) for _ in range(60)]
        waiting = list(kept)
        for round_ in range(5):
            async with process(tmp_path, site) as child:
                await answers(page)
                while waiting:
                    batch = waiting[:3]
                    if len(saved) >= 10 * (round_ + 1) and round_ < 4:
                        asyncio.get_running_loop().call_later(0.001 * round_, child.kill)
                    try:
                        answer = await page.send(*batch)
                    except httpx.TransportError:
                        break
                    replies = answer.json()["entries"]
                    assert {reply["state"] for reply in replies} == {"saved"}, replies
                    saved |= {reply["id"] for reply in replies}
                    waiting = waiting[3:]
                if round_ == 4:
                    seen = await page.page(lambda found: (found["shifts"][0]["counts"]["rejects"] or 0) >= 60)
                    assert seen["shifts"][0]["counts"]["rejects"] == 60
            with sqlite3.connect(tmp_path / "outbox.db") as db:
                there = {key for (key,) in db.execute("select id from andon_entries")}
            assert saved <= there
        assert there == {item["id"] for item in kept}
        await page.client.aclose()
