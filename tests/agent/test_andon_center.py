"""What people at the machines said beside numbers reaches a real center through a real broker, each once, whenever it is there."""

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress

import httpx
import pytest
import servers
from andon_agent import ROOT, answers, served
from andon_plant import AndonGateway, form
from servers import PATIENCE_S, free_port, mosquitto_command, until

from agent.andon.notices import Notices
from wire.bodies import MOST_NOTICES


@contextmanager
def process(folder, command, name):
    with (folder / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        yield child
    finally:
        child.kill()
        child.wait()


class Center:
    """A center in a process of its own, which may be killed."""

    def __init__(self, folder, broker):
        self.folder, self.port = folder, free_port()
        self.file = folder / "center.yaml"
        self.file.write_text(
            f"accounts: off\nbroker: mqtt://127.0.0.1:{broker}\nlisten: 127.0.0.1:{self.port}\n"
            f"store: {{kind: duckdb, file: {folder / 'center.duckdb'}}}\n"
        )

    @asynccontextmanager
    async def running(self):
        with process(self.folder, [sys.executable, "-m", "nhip", "center", str(self.file)], "center"):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}/api/v1", trust_env=False) as client:
                self.client = client
                yield

    async def ask(self, path, **query):
        with suppress(httpx.TransportError):
            answer = await self.client.get(path, params=query)
            if answer.status_code == 200:
                found = answer.json()
                return found["rows"] if isinstance(found, dict) else found
        return None

    async def wait(self, path, condition, **query):
        """The answer's rows, as soon as they are as asked."""
        until_s, rows = time.monotonic() + PATIENCE_S, None
        while rows is None or not condition(rows):
            assert time.monotonic() < until_s, (path, rows)
            await asyncio.sleep(0.05)
            rows = await self.ask(path, **query)
        return rows


async def test_a_calls_life_reaches_the_center(tmp_path):
    broker = free_port()
    center = Center(tmp_path, broker)
    with process(tmp_path, mosquitto_command(tmp_path, broker), "broker"):
        await until(lambda: servers.answers(broker))
        async with served(tmp_path, history=False, center={"broker": f"mqtt://127.0.0.1:{broker}"}) as (page, _, _):
            await answers(page)
            called = await page.enter("call", value="maintenance")
            assert called["state"] == "saved"
            for number in range(MOST_NOTICES + 5):
                assert (await page.enter("note", value=f"Ca {number}"))["state"] == "saved"
            wrong = await page.enter("rejects", add=5, cause="scratch")
            assert (await page.enter("take_back", entry=wrong["id"]))["state"] == "saved"
            async with center.running():
                await center.wait("/notices", lambda rows: len(rows) == MOST_NOTICES + 7)
                [call] = await center.wait("/calls", bool)
                assert (call["machine"], call["kind"], call["step"], call["by"], call["arrived"]) == (
                    "m-1", "maintenance", "called", "andon/tablet", None,
                )  # fmt: skip
                [live] = await center.wait("/live", lambda rows: rows and rows[0]["calls"])
                assert live["calls"] == [{"kind": "maintenance", "step": "called", "since": call["called"]}]
                assert (await page.enter("step", call=called["id"], value="arrived"))["state"] == "saved"
                await center.wait("/calls", lambda rows: rows[0]["arrived"] is not None)
            assert (await page.enter("step", call=called["id"], value="solved"))["state"] == "saved"
            async with center.running():  # it was killed, and forgot what it had said
                [call] = await center.wait("/calls", lambda rows: rows and rows[0]["solved"] is not None)
                assert call["id"] == called["id"]
                assert call["called"] <= call["arrived"] <= call["solved"]
                assert await center.ask("/calls", only_open=True) == []
                await center.wait("/live", lambda rows: rows and not rows[0]["calls"])
                rows = await center.ask("/notices")
                texts = [row["text"] for row in rows if row["kind"] == "note"]
                assert sorted(texts) == sorted(f"Ca {number}" for number in range(MOST_NOTICES + 5))
                counts = [(row["about"], row["count"]) for row in rows if row["kind"] == "rejects"]
                assert sorted(counts) == [("scratch", -5), ("scratch", 5)]


@pytest.fixture
async def gateway(tmp_path):
    made = AndonGateway(tmp_path / "outbox.db", set(), 600)
    yield made
    await made.close()


async def test_a_center_that_never_confirms_gets_none(gateway):
    notices, news = Notices(gateway.committer.thread), []
    notices.changed = lambda: news.append(1)
    await gateway.go(480)
    assert await gateway.enter(form("call", 1, value="maintenance"), form("note", 2, value="x")) == ["saved"] * 2
    await notices.read()
    assert notices.waiting == []
    news.clear()
    await notices.confirmed([])
    assert news == [1], "now they go"
    assert [(item.id, item.kind, item.about, item.text) for item in notices.waiting] == [
        ("tablet-1", "call", "maintenance", ""),
        ("tablet-2", "note", "", "x"),
    ]
    await notices.confirmed(["tablet-1", "somebody-elses"])
    assert [item.id for item in notices.waiting] == ["tablet-2"]
    again = Notices(gateway.committer.thread)
    await again.read()
    await again.confirmed([])
    assert [item.id for item in again.waiting] == ["tablet-2"], "what was confirmed stays so after a restart"
    await again.confirmed(["tablet-2"])
    assert again.waiting == []


async def test_an_entry_that_is_a_number_alone_is_no_notice(gateway):
    notices = Notices(gateway.committer.thread)
    await gateway.go(480)
    assert await gateway.enter(form("rejects", 1, add=5), form("rejects", 2, add=3, cause="scratch")) == ["saved"] * 2
    assert await gateway.enter(form("take_back", 3, entry="tablet-2")) == ["saved"]
    await notices.read()
    await notices.confirmed([])
    found = {item.id: (item.kind, item.about, item.count) for item in notices.waiting}
    assert found == {"tablet-2": ("rejects", "scratch", 3), "tablet-3": ("rejects", "scratch", -3)}
