"""A PLC's registers behind a real Modbus TCP server. Read-only: every write is refused and counted."""

import asyncio
import logging
from typing import Final, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulator.plc.signals import ModbusRegister

_BITS: Final = 32
_REGISTERS: Final = 256
_TABLES: Final = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


class ModbusPlc:
    """One server on one address. Requests are answered from one image of all tables, replaced as a whole by `show`;
    before the first one the PLC answers that it is busy.
    """

    def __init__(self, places: dict[str, ModbusRegister], host: str, port: int) -> None:
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        self._places = places
        self._host = host
        self._port = port
        self._image: dict[str, list[int]] | None = None
        self._server: ModbusTcpServer | None = None
        self.writes_refused = 0

    @property
    def address(self) -> str:
        """`host:port`, known after the first `open`."""
        return f"{self._host}:{self._port}"

    async def open(self) -> None:
        """Listens; from the second time on at the same port. OSError or RuntimeError: the port is taken."""
        if self._server:
            return
        bits = [SimData(0, count=_BITS, values=False, datatype=DataType.BITS)]
        words = [SimData(0, count=_REGISTERS, values=0, datatype=DataType.REGISTERS)]
        device = SimDevice(1, simdata=(bits, list(bits), words, list(words)), action=self._answer)
        server = ModbusTcpServer(device, address=(self._host, self._port))
        await server.serve_forever(background=True)
        self._server = server
        if not self._port:
            listener = cast(asyncio.Server, server.transport)
            self._port = listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Closes the port and every connection, as a PLC without power does."""
        if self._server:
            server, self._server = self._server, None
            await server.shutdown()  # type: ignore[no-untyped-call]

    def show(self, tags: dict[str, int | bool]) -> None:
        """Puts these values into the tables, all at once."""
        image = {
            "coil": [0] * (_BITS // 16),
            "discrete": [0] * (_BITS // 16),
            "holding": [0] * _REGISTERS,
            "input": [0] * _REGISTERS,
        }
        for tag, value in tags.items():
            _put(image[self._places[tag].table], self._places[tag], int(value))
        self._image = image

    async def _answer(
        self,
        function_code: int,
        _start: int,
        _address: int,
        _count: int,
        registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if written is not None or function_code not in _TABLES:
            self.writes_refused += 1
            return ExcCodes.ILLEGAL_FUNCTION
        if self._image is None:
            return ExcCodes.DEVICE_BUSY
        words = self._image[_TABLES[function_code]]
        registers[: len(words)] = words
        return None


def _put(words: list[int], place: ModbusRegister, value: int) -> None:
    if place.table in {"coil", "discrete"}:
        words[place.address // 16] |= value << (place.address % 16)
    elif place.bit is not None:
        words[place.address] |= value << place.bit
    elif place.type == "uint16":
        words[place.address] = value
    else:
        halves = [value >> 16, value & 0xFFFF]
        words[place.address : place.address + 2] = halves if place.order == "ABCD" else halves[::-1]
