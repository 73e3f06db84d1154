"""`nhip show` beside a real agent that reads a real PLC, without one, and without ever standing in an agent's way."""

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from edge_plc import plc, site_file
from servers import PATIENCE_S, until

import nhip
from agent.commands.outbox_access import is_agent_running
from agent.commands.where import where_to_look
from agent.outbox.disk import OutboxInUse, lock
from agent.view import now as local
from config import load_site
from words import say

ROOT = Path(__file__).parents[2]


def says(*words, code=0):
    found = CliRunner().invoke(nhip.main, [str(word) for word in words])
    assert found.exit_code == code, found.output
    return found.output


async def shown(site, *more):
    return json.loads(await asyncio.to_thread(says, "show", site, "--json", *more))


def without_center(folder, port, clock="system", **changes):
    path = site_file(folder, port, 1, clock)
    text = path.read_text(encoding="utf-8").replace('center: {broker: "mqtt://127.0.0.1:1"}\n', "")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


@asynccontextmanager
async def agent(site, *more, lang="en"):
    """A real one, as a person starts it. Yields the process; `said()` is what it has said so far."""
    log = site.with_suffix(".log")
    with log.open("ab") as out:
        command = [sys.executable, "-m", "nhip", "agent", str(site), "--commit-every", "500ms", "--lang", lang, *more]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=out, stderr=out)
    process.said = lambda: log.read_text(encoding="utf-8")
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), PATIENCE_S)
            finally:
                if process.returncode is None:
                    process.kill()


async def test_it_tells_what_machines_devices_and_tags_are_doing(tmp_path):
    async with plc() as machine:
        site = without_center(tmp_path, machine.port)
        async with agent(site) as process:
            await until(lambda: local.socket_path(tmp_path / "site.outbox").exists(), what=process.said)
            assert "nhip show" in process.said()
            assert "Test shop" in process.said()
            machine.coils[0], machine.holding[0] = True, 7

            async def holds(condition):
                for _ in range(600):
                    if condition(view := await shown(site)):
                        return view
                    await asyncio.sleep(0.1)
                pytest.fail(f"{view}\n{process.said()}")

            view = await holds(
                lambda view: view["machines"][0]["state"] == "running" and view["machines"][0]["pieces"] == 0
            )
            assert view["agent"]["running"] is True
            assert view["agent"]["pid"] == process.pid
            assert view["center"] is None
            assert view["clock"]["by"] != "nobody"
            assert view["devices"]["plc"]["condition"] == "up"
            assert view["tags"]["plc.count"]["value"] == 7
            assert view["tags"]["plc.count"]["quality"] == "good"
            machine.holding[0] = 12
            await holds(lambda view: view["machines"][0]["pieces"] == 5)
            machine.coils[0] = False
            view = await holds(lambda view: view["machines"][0]["state"] == "minor_stop")
            await machine.stop()
            view = await holds(lambda view: view["machines"][0]["state"] == "unknown")
            assert view["tags"]["plc.count"]["quality"] == "gap"
            (question,) = [item for item in view["questions"] if item["kind"] == "device"]
            assert question["command"] == f"nhip check {site}"
            assert question["fault"]["code"] in {"port_closed", "closed_by_peer"}
            printed = await asyncio.to_thread(says, "show", site, "--once", "--lang", "vi")
            assert "plc không trả lời" in printed
            sentences = [say(f"fault.{code}", "vi").rstrip(".") for code in ("port_closed", "closed_by_peer")]
            assert any(sentence in " ".join(printed.split()) for sentence in sentences), printed
            assert "Không có trung tâm" in printed


async def test_it_says_that_nothing_is_computed_until_somebody_confirms_the_time(tmp_path):
    async with plc() as machine:
        site = without_center(tmp_path, machine.port, clock="guarded")
        async with agent(site) as process:
            await until(lambda: local.socket_path(tmp_path / "site.outbox").exists(), what=process.said)
            view = await shown(site)
            if view["clock"]["by"] == "nobody":  # else NTP keeps this computer's time
                assert [item["command"] for item in view["questions"]] == [f"nhip clock confirm {site}"]
                says("clock", "confirm", site, "--yes")
            for _ in range(600):
                view = await shown(site)
                if view["clock"]["by"] != "nobody":
                    break
                await asyncio.sleep(0.1)
            assert view["questions"] == []


async def test_without_an_agent_it_says_so_and_shows_what_is_on_disk(tmp_path):
    site = without_center(tmp_path, 9)
    view = await shown(site)
    assert view["agent"] == {"running": False, "heard": "none"}
    assert [item["command"] for item in view["questions"]] == [f"nhip agent {site}"]
    assert "No agent is running, and there are no data yet" in says("show", site, "--lang", "en")
    async with plc() as machine:
        site = without_center(tmp_path, machine.port)
        machine.coils[0] = True
        async with agent(site) as process:
            for _ in range(600):
                view = await shown(site)
                if view["machines"][0]["state"] == "running":
                    break
                await asyncio.sleep(0.1)
            assert view["machines"][0]["state"] == "running", process.said()
        assert process.returncode == 0
    assert not local.socket_path(tmp_path / "site.outbox").exists()
    view = await shown(site)
    assert view["agent"]["running"] is False
    assert view["machines"][0]["state"] in ("running", "unknown")  # as of the last commit
    assert "No agent is running. What follows is as of" in says("show", site, "--lang", "en")


async def test_an_agent_that_was_killed_is_not_taken_for_one_that_runs(tmp_path):
    async with plc() as machine:
        site = without_center(tmp_path, machine.port)
        outbox = tmp_path / "site.outbox"
        async with agent(site) as process:
            await until(lambda: local.ask(outbox).now is not None, what=process.said)
            process.kill()
            await process.wait()
        assert local.socket_path(outbox).exists()
        assert (await shown(site))["agent"] == {"running": False, "heard": "none"}
        async with agent(site) as process:
            await until(lambda: local.ask(outbox).now is not None, what=process.said)


async def test_an_agent_starts_while_others_look(tmp_path):
    """Commands that ask whether an agent runs take its lock for an instant: that must not keep one from starting."""
    outbox = tmp_path / "site.outbox"
    looking = True

    async def look():
        while looking:
            await asyncio.to_thread(is_agent_running, outbox)

    lookers = [asyncio.create_task(look()) for _ in range(4)]
    try:
        for _ in range(30):
            handle = await asyncio.to_thread(lock, outbox)
            assert is_agent_running(outbox)
            handle.close()
    finally:
        looking = False
        await asyncio.gather(*lookers)
    handle = lock(outbox)
    with pytest.raises(OutboxInUse):
        lock(outbox)
    handle.close()
    assert not is_agent_running(outbox)


async def test_an_agent_without_a_socket_is_still_seen_to_run(tmp_path):
    site = without_center(tmp_path, 9)
    handle = lock(tmp_path / "site.outbox")
    try:
        view = await shown(site)
        assert view["agent"] == {"running": True, "heard": "none"}
        assert "cannot be asked" in says("show", site, "--lang", "en")
    finally:
        handle.close()


async def test_a_socket_is_found_in_a_folder_of_any_name(tmp_path):
    folder = tmp_path / ("xưởng " * 20)
    folder.mkdir()
    assert len(os.fsencode(folder)) > 108
    async with plc() as machine:
        site = without_center(folder, machine.port)
        async with agent(site) as process:
            await until(lambda: local.ask(folder / "site.outbox").now is not None, what=process.said)
            mode = stat.S_IMODE(local.socket_path(folder / "site.outbox").stat().st_mode)
            readers = stat.S_IMODE((folder / "site.outbox").stat().st_mode) & 0o444
            assert mode == readers | readers >> 1


@pytest.mark.parametrize(("answer", "why"), [(b"{}", "foreign"), (b"", "foreign"), (None, "silent")])
async def test_an_answer_that_does_not_come_or_cannot_be_read_is_told_apart(tmp_path, answer, why):
    async def reply(reader, writer):
        await reader.readline()
        if answer is not None:
            writer.write(answer)
            writer.close()

    outbox = tmp_path / "site.outbox"
    server = await asyncio.start_unix_server(reply, str(local.socket_path(outbox)))
    heard = await asyncio.to_thread(local.ask, outbox, timeout_s=0.5)
    assert heard == local.Heard(None, why)
    server.close()


async def test_who_connects_and_says_nothing_disturbs_nobody(tmp_path):
    async with plc() as machine:
        site = without_center(tmp_path, machine.port)
        outbox = tmp_path / "site.outbox"
        async with agent(site) as process:
            await until(lambda: local.ask(outbox).now is not None, what=process.said)
            silent = [socket.socket(socket.AF_UNIX) for _ in range(20)]
            for connection in silent:
                connection.connect(str(local.socket_path(outbox)))
                connection.sendall(b"x" * 10)
            assert (await asyncio.to_thread(local.ask, outbox)).now is not None
            for connection in silent:
                connection.close()
            assert (await asyncio.to_thread(local.ask, outbox)).now.status.health["uptime_s"] > 0


async def test_a_second_agent_is_refused_in_the_readers_language(tmp_path):
    site = without_center(tmp_path, 9)
    handle = lock(tmp_path / "site.outbox")
    try:
        async with agent(site, lang="vi") as process:
            await asyncio.wait_for(process.wait(), PATIENCE_S)
        assert process.returncode == 1, "a service manager tries again: a command may have had the file"
        assert "đang do agent khác dùng" in process.said()
    finally:
        handle.close()


async def test_an_outbox_that_an_agent_is_just_creating_is_none_yet(tmp_path):
    site = without_center(tmp_path, 9)
    (tmp_path / "site.outbox").touch()
    view = await shown(site)
    assert view["machines"][0]["state"] is None
    assert "there is no outbox" in says("outbox", site, "--lang", "en", code=2)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("", ["nhip show", "names no center"]),
        ("andon: {listen: 127.0.0.1:8091}\n", ["nhip show", "http://127.0.0.1:8091"]),
        ('center: {broker: "mqtts://a.example:8883"}\n', ["nhip show", "mqtts://a.example:8883"]),
    ],
)
def test_where_to_look_is_said_of_everything_that_there_is(tmp_path, extra, said):
    site = without_center(tmp_path, 9)
    site.write_text(site.read_text(encoding="utf-8") + extra, encoding="utf-8")
    for lang in ("en", "vi"):
        text = where_to_look(load_site(site), site, tmp_path / "site.outbox", "127.0.0.1:9464", lang)
        assert "http://127.0.0.1:9464/metrics" in text
        assert all(part in text for part in (said if lang == "en" else said[:1]))


def test_an_unknown_machine_is_refused_with_those_that_there_are(tmp_path):
    site = without_center(tmp_path, 9)
    assert "m-1" in says("show", site, "--machine", "m-2", code=2)


async def test_on_a_terminal_it_follows_until_ctrl_c_and_leaves_the_last_picture(tmp_path):
    site = without_center(tmp_path, 9)
    leader, follower = os.openpty()
    command = [sys.executable, "-m", "nhip", "show", str(site), "--lang", "vi"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=follower, stdout=follower, stderr=follower, env=os.environ | {"TERM": "xterm"}
    )
    os.close(follower)
    written = bytearray()

    def read():
        with suppress(OSError):
            while data := os.read(leader, 65536):
                written.extend(data)

    reading = asyncio.create_task(asyncio.to_thread(read))
    frame = "Xưởng thử".encode()
    await until(lambda: written.count(frame) >= 2)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    await reading
    os.close(leader)
    assert frame in bytes(written).rpartition(b"\x1b[?1049l")[2], "the alternate screen is left, the picture stays"
    assert b"Traceback" not in written
