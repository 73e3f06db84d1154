"""Modbus TCP against libmodbus, and mbpoll beside us: two programs that nobody here wrote say the same as we do."""

import asyncio
import re
import subprocess
import time
from contextlib import contextmanager

from rounds import open_device
from rtu_lines import libmodbus_unit
from servers import PATIENCE_S, free_port

from adapters.contract import NotConnected
from adapters.modbus.model import ModbusTcpDevice
from oee.model.states import Quality

OPTIONS = {"holding": "4", "input": "3", "coil": "0", "discrete": "1"}


def mbpoll(port, table, first, count, *more):
    """What mbpoll reads, by address from 0; it counts from 1."""
    command = ["mbpoll", "-m", "tcp", "-p", str(port), "-a", "1", "-t", OPTIONS[table], "-r", str(first + 1),
               "-c", str(count), "-1", *more, "127.0.0.1"]  # fmt: skip
    said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S).stdout
    return {int(at) - 1: int(value) for at, value in re.findall(r"^\[(\d+)\]:\s+(-?\d+)", said, re.MULTILINE)}


@contextmanager
def other_master(port):
    """mbpoll, once it is answered, for as long as it is needed."""
    command = ["stdbuf", "-oL", "mbpoll", "-m", "tcp", "-p", str(port), "-a", "1", "-r", "1", "-l", "100", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            while "[1]" not in (line := process.stdout.readline()):
                assert line, "mbpoll ended"
            yield
        finally:
            process.kill()


async def test_mbpoll_and_we_read_the_same(tmp_path):
    port = free_port()
    tags = {f"{table}{at}": {table: at} for table in OPTIONS for at in range(20, 40)}
    tags |= {"wide": {"holding": 100, "type": "uint32"}, "swapped": {"holding": 100, "type": "uint32", "order": "CDAB"}}
    tags["nowhere"] = {"holding": 5000}
    given = {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "timeout": "2s", "tags": tags}
    with libmodbus_unit(port, tmp_path):
        adapter = open_device(ModbusTcpDevice.model_validate(given), time.time_ns)
        await adapter.connect()
        reading = await adapter.read()
        await adapter.close()  # it serves one client at a time
        ours = {row.tag: row.value for row in reading.rows}
        assert (ours["wide"], ours["swapped"]) == ((100 << 16) + 101, (101 << 16) + 100)
        assert [(row.tag, row.quality) for row in reading.rows if row.value is None] == [("nowhere", Quality.BAD)]
        for table in OPTIONS:
            theirs = await asyncio.to_thread(mbpoll, port, table, 20, 20)
            assert theirs == {at: int(ours[f"{table}{at}"]) for at in range(20, 40)}


async def test_a_server_that_has_one_socket_to_give(tmp_path):
    """libmodbus serves one client: while another master holds it we wait, and take no value from nowhere."""
    port = free_port()
    given = {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "timeout": "500ms", "tags": {"a": {"holding": 5}}}
    adapter = open_device(ModbusTcpDevice.model_validate(given), time.time_ns)
    with libmodbus_unit(port, tmp_path):
        with other_master(port):
            gentle = None
            try:
                await adapter.connect()
                await adapter.read()
            except NotConnected as error:
                gentle = error.gentle
            assert gentle, "the one who holds it may be the operator's panel"
            await adapter.close()
        for _ in range(20):
            try:
                await adapter.connect()
                assert [row.value for row in (await adapter.read()).rows] == [5]
                break
            except NotConnected:
                await adapter.close()
                await asyncio.sleep(0.1)
        else:
            raise AssertionError("the socket is free and we do not get it")
        await adapter.close()
