"""What Prometheus hears from an agent: over a real port, from a real PLC on."""

import asyncio
import os
import re
import threading
import time
from pathlib import Path

import pytest
from edge_brokers import free_port
from edge_plc import plc, site_file
from scraped import samples
from servers import PATIENCE_S

from agent.outbox.recovery import open_outbox
from agent.process.health import Health
from agent.process.periodic import every
from agent.reports.metrics_http import serve
from agent.run import Agent, Options
from config import load_site
from wire.prometheus import gauge, labelled, render


async def ask(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    return answer.decode()


async def scrape(port):
    answer = await ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK")
    return {name: float(value) for name, value in re.findall(r"^([^#]\S*) (\S+)$", body, re.MULTILINE)}


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110  # it happens in other tasks
            await asyncio.sleep(0.05)


def held_bytes():
    """What this process holds: the tests', in which the agent runs here."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_from_the_plc_to_the_scrape(tmp_path):
    port = free_port()
    async with plc() as machine:
        site = site_file(tmp_path, machine.port, 9)
        site.write_text(f"metrics: 127.0.0.1:{port}\n" + site.read_text(encoding="utf-8"), encoding="utf-8")
        opened = open_outbox(tmp_path / "outbox.db", 1)
        agent = Agent(load_site(site), opened, Options(commit_every_s=0.1), tmp_path)
        stop = asyncio.Event()
        life = asyncio.create_task(agent.run(stop, None))

        async def polled():
            try:
                return (await scrape(port)).get('nhip_agent_polls_total{device="plc"}', 0) > 3
            except OSError:
                return False

        await until(polled)
        found = await scrape(port)
        stop.set()
        await life
    assert found['nhip_agent_device_up{device="plc"}'] == 1
    assert found['nhip_agent_device_tags{device="plc"}'] == 2
    assert found["nhip_agent_tags_read_total"] >= 6
    assert 0 <= found['nhip_agent_poll_late_p99_seconds{device="plc"}'] < 5
    assert found["nhip_agent_uplink_up"] == 0
    assert found["nhip_agent_outbox_waiting"] == found["nhip_agent_envelopes_sealed_total"] == 1  # the site's own
    assert 0 <= found["nhip_agent_outbox_oldest_seconds"] < 60
    assert found["nhip_agent_envelopes_receipted"] == found["nhip_agent_envelopes_holes"] == 0
    assert found['nhip_agent_clock_trusted{by="ntp"}'] == 1
    assert abs(found["nhip_agent_clock_error_seconds"]) < 5
    assert abs(found["nhip_agent_system_clock_error_seconds"]) < 5
    assert found["nhip_agent_held_rows"] == 0
    assert found["process_resident_memory_bytes"] == pytest.approx(held_bytes(), rel=0.3)


async def test_a_port_that_is_taken_stops_no_measurement(tmp_path):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    taken = server.sockets[0].getsockname()[1]
    async with plc() as machine:
        site = load_site(site_file(tmp_path, machine.port, 9))
        options = Options(metrics=f"127.0.0.1:{taken}")
        agent = Agent(site, open_outbox(tmp_path / "outbox.db", 1), options, tmp_path)
        stop = asyncio.Event()
        life = asyncio.create_task(agent.run(stop, None))

        async def polls():
            return agent.supervisor.health["plc"].polls > 1

        await until(polls)
        stop.set()
        await life
    assert agent.health.snapshot()["metrics_cannot_listen"] == 1
    server.close()


async def test_nothing_else_is_answered():
    async def text():
        return "x 1\n"

    server = await serve("127.0.0.1:0", text)
    port = server.sockets[0].getsockname()[1]
    for request, status in (
        (b"GET / HTTP/1.1\r\n\r\n", "404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"nonsense\r\n\r\n", "405"),
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200"),
    ):
        assert (await ask(port, request)).startswith(f"HTTP/1.1 {status}")
    assert (await ask(port, b"HEAD /metrics HTTP/1.1\r\n\r\n")).endswith("\r\n\r\n")
    assert await ask(port, b"x" * 40_000) == ""  # more than a head may be
    server.close()


def test_the_text_is_what_the_format_says():
    labels = {"device": 'a "b" \\ c\nd', "x": "y"}
    text = render([labelled("n_total", "counter", "Two\nlines.", [(labels, 3), ({}, 0.1)]), gauge("none", "", None)])
    assert text.splitlines()[:2] == ["# HELP n_total Two\\nlines.", "# TYPE n_total counter"]
    assert samples(text) == samples(
        '# HELP n_total Two\\nlines.\n# TYPE n_total counter\nn_total{device="a \\"b\\" \\\\ c\\nd",x="y"} 3\n'
        "n_total 0.1\n"
    )


async def test_a_turn_that_was_begun_ends_although_its_rhythm_is_cancelled():
    done, begun, may_end = [], asyncio.Event(), asyncio.Event()

    async def turn():
        begun.set()
        await may_end.wait()
        done.append(1)

    task = asyncio.create_task(every(0.01, turn, Health()))
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert done == []
    may_end.set()
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    assert done == [1]


async def test_the_last_beat_waits_for_the_one_that_runs(tmp_path):
    """Two computations of one machine at once would offer its minutes twice."""
    async with plc() as machine:
        agent = Agent(
            load_site(site_file(tmp_path, machine.port, 9)), open_outbox(tmp_path / "outbox.db", 1), Options(), tmp_path
        )
        at_once, most, begun = threading.Semaphore(1), [], threading.Event()

        def slow(*_args, **_more):
            most.append(at_once.acquire(blocking=False))
            begun.set()
            time.sleep(0.1)  # so that another one would meet it
            at_once.release()

        agent.pipeline.advance = slow
        task = asyncio.create_task(every(0.01, agent.feed.tick, agent.health))
        await asyncio.to_thread(begun.wait, PATIENCE_S)
        task.cancel()
        await agent.feed.tick(last=True)
        await agent.committer.thread.close()
    assert most == [True, True]
