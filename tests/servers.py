"""Servers that tests start beside themselves: Mosquitto and the embedded broker as child processes on loopback."""

import asyncio
import hashlib
import os
import random
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 120.0
"""How long a test waits for what must happen: it costs nothing where it happens, on however busy a machine."""
_AMQTT = """
import asyncio, logging, sys
logging.disable(logging.CRITICAL)
from amqtt.broker import Broker
async def main():
    broker = Broker({
        "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:" + sys.argv[1]}},
        "timeout_disconnect_delay": 0,
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    })
    await broker.start()
    await asyncio.Event().wait()
asyncio.run(main())
"""


def free_port():
    """A port that stays free while its server is killed and started again: below those that systems give to clients."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.SystemRandom().randint(20_000, 32_000)))
            return probe.getsockname()[1]


def answers(port):
    """Whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def eventually(condition, within_s=PATIENCE_S, every_s=0.02, what=""):
    """What the condition comes to, as soon as that is true."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if found := condition():
            return found
        time.sleep(every_s)
    raise AssertionError(_missed(condition, within_s, what))


async def until(condition, within_s=PATIENCE_S, every_s=0.01, what=""):
    """The same beside an event loop's other tasks."""
    until_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < until_s, _missed(condition, within_s, what)
        await asyncio.sleep(every_s)
    return found


def _missed(condition, within_s, what):
    return f"not within {within_s} s: {what() if callable(what) else what or condition}"


def mosquitto_command(folder, port, extra="allow_anonymous true\n", *, persistent=False):
    """Without persistence it forgets sessions, queues and retained messages at its end; with it, it writes them down
    when it ends in order and every half hour (Mosquitto's default), so that a kill costs what came since.
    """
    kept = folder / f"mosquitto-{port}"
    if persistent:
        kept.mkdir(exist_ok=True)
    memory = f"persistence true\npersistence_location {kept}/\n" if persistent else "persistence false\n"
    config = folder / f"mosquitto-{port}.conf"
    config.write_text(f"listener {port} 127.0.0.1\n{memory}user root\n{extra}")
    return ["mosquitto", "-c", str(config)]


def amqtt_command(port):
    """The broker that `nhip demo` embeds; it keeps nothing."""
    return [sys.executable, "-c", _AMQTT, str(port)]


CACHE = Path(os.environ.get("NHIP_CACHE") or Path.home() / ".cache" / "nhip")
_BROKERS = Path(__file__).parent / "brokers"


def built(script, folder, *sources):
    """Where a script of scripts/ puts what it builds of these sources."""
    text = b"".join((folder / source).read_bytes() for source in sources)
    return CACHE / "bin" / f"{script}-{hashlib.sha256(text).hexdigest()[:12]}"


def mochi_command(folder, port, **limits):
    """mochi-mqtt; limits: packet_bytes, unacknowledged. It keeps nothing."""
    options = [f"-{name.replace('_', '-')}={value}" for name, value in limits.items()]
    return [_installed("mochi-mqtt", "mochi-2.7.9/mochi"), f"-port={port}", *options]


def aedes_command(folder, port):
    """aedes, MQTT 3.1.1; it keeps nothing."""
    _installed("aedes", "aedes-1.2.0/.done")
    return ["node", str(_BROKERS / "aedes" / "broker.js"), str(CACHE / "aedes-1.2.0"), str(port)]


def hivemq_command(folder, port):
    """HiveMQ CE."""
    return [*_java("hivemq-2025.4"), "HiveMq", str(port), str(folder / "hivemq")]


def moquette_command(folder, port):
    """moquette; it keeps nothing."""
    return [*_java("moquette-0.17"), "Moquette", str(port)]


def _java(name):
    _installed(name, f"{name}/.done")
    return ["java", "-Xmx200m", "-cp", f"{CACHE / name}:{CACHE / name / 'lib'}/*"]


def _installed(name, file):
    """The path of a broker that scripts/brokers has installed; skips the test without it."""
    if not (CACHE / file).exists():
        import pytest  # benchmarks use this module too

        pytest.skip(f"no {name} here: scripts/brokers, scripts/peer-brokers")
    return str(CACHE / file)
