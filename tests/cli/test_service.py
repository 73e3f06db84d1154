"""What a service manager hears, from a real agent and from a loop that stands still."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from servers import PATIENCE_S

from cli import service
from cli.signals import run_until_signal


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A socket as systemd opens one, and its address as the environment says it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        name = f"nhip-{os.getpid()}-{time.monotonic_ns()}"
        address = f"@{name}" if request.param == "abstract" else str(tmp_path / "notify")
        heard.bind(f"\0{name}" if request.param == "abstract" else address)
        heard.settimeout(PATIENCE_S)
        yield heard, address


def hears(heard, wanted):
    """Waits for this message; what came before it."""
    before = []
    while (said := heard.recv(100).decode()) != wanted:
        before.append(said)
    return before


def test_an_agent_is_ready_then_alive_then_stops(manager, tmp_path):
    heard, address = manager
    site = tmp_path / "site.yaml"
    site.write_text('site: x\ntimezone: UTC\nmachines: {}\nshifts: [{name: A, from: "06:00", to: "14:00"}]\n')
    environment = os.environ | {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "300000"}
    agent = subprocess.Popen([sys.executable, "-m", "nhip", "agent", str(site)], env=environment)
    try:
        assert set(hears(heard, "READY=1")) <= {"WATCHDOG=1"}
        assert hears(heard, "WATCHDOG=1") == []
        agent.send_signal(signal.SIGTERM)
        assert set(hears(heard, "STOPPING=1")) <= {"WATCHDOG=1"}
        assert agent.wait(PATIENCE_S) == 0
    finally:
        agent.kill()
        agent.wait()


def test_a_loop_that_stands_still_is_silent(manager, monkeypatch):
    heard, address = manager
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    during = []

    async def stuck(_stop):
        await asyncio.to_thread(hears, heard, "WATCHDOG=1")
        while _heard_now(heard):
            pass
        threading.Event().wait(0.2)  # what a deadlock does
        during.extend(_heard_now(heard))

    run_until_signal(stuck)
    assert during == []


def _heard_now(heard):
    """What lies in the socket."""
    found = []
    while select.select([heard], [], [], 0)[0]:
        found.append(heard.recv(100))
    return found


def test_without_a_manager_nothing_is_told():
    service.tell("READY=1", {})
    assert service.sign_of_life_s({}) is None
    assert service.sign_of_life_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) is None
    assert service.sign_of_life_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}) == 10.0


def test_a_manager_that_has_gone_stops_nobody(tmp_path):
    service.tell("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})
