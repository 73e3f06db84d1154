"""Servers for the tools to talk to, on an event loop of their own, since the commands bring one themselves."""

import asyncio
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner
from ruamel.yaml import YAML
from servers import PATIENCE_S

sys.path.append(str(Path(__file__).parent.parent / "adapters"))

from faulty_modbus import FaultyModbus, faulty_modbus
from opcua_plant import (
    STANDARDS_SERVER,
    gathered,
    has_node_opcua,
    make_server_certificate,
    node_modules,
    node_running,
    running,
)
from opcua_server import URI
from rounds import driven, listen
from rtu_lines import converter, libmodbus_unit, other_master, serial_line, units

import nhip


@contextmanager
def in_background(opened):
    """Enters an asynchronous context manager on a loop in a thread; yields what it gives."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    value = asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(PATIENCE_S)
    try:
        yield value
    finally:
        asyncio.run_coroutine_threadsafe(_end(opened), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


async def _end(opened):
    """Leaves it, and ends what it left behind: servers of connections that nobody closed."""
    await opened.__aexit__(None, None, None)
    mine = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not mine]
    await asyncio.wait(left, timeout=2) if left else None


def modbus(**settings):
    """A server of `FaultyModbus`."""
    return in_background(faulty_modbus(**settings))


def only(*runs, function=3):
    """What refuses every address outside the runs (first, last)."""
    held = {address for first, last in runs for address in range(first, last + 1)}
    return {(function, address) for address in range(65536) if address not in held}


def run(*arguments, lang="en", answers=""):
    """The command as a person types it. Has exit_code, stdout, stderr, output."""
    return CliRunner().invoke(nhip.main, [*map(str, arguments), "--lang", lang], input=answers)


def write_yaml(path, data):
    writer = YAML()
    writer.allow_unicode = True
    with path.open("w", encoding="utf-8") as file:
        writer.dump(data, file)
    return path


__all__ = [
    "STANDARDS_SERVER", "URI", "FaultyModbus", "converter", "driven", "gathered", "has_node_opcua",
    "in_background", "libmodbus_unit", "listen", "make_server_certificate", "modbus", "node_modules", "node_running", "only", "other_master", "run", "running",
    "serial_line", "units", "write_yaml",
]  # fmt: skip
