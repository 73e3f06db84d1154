"""A bus: carries requests to the units that share it, over a socket or a serial line."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from adapters.contract import NotConnected
from adapters.modbus.bus.channel import Channel, open_tcp
from adapters.modbus.bus.line import LineSettings, SerialLine
from adapters.modbus.bus.probes import MOST_SILENCES
from adapters.modbus.bus.socket import SharedSocket
from adapters.modbus.bus.timing import UNKNOWN_PACE, pace
from adapters.modbus.model import ModbusRtuDevice, ModbusTcpDevice
from adapters.modbus.plan import Request


class Bus(Protocol):
    """Sends one request at a time. peer: host and port, or the serial port."""

    peer: str

    async def join(self, user: object, timeout_s: float, pause_s: float) -> None:
        """Opens the bus unless it is open. Raises `LostDevice`, `LostLine`, `LineTaken`."""
        ...

    def leave(self, user: object) -> None:
        """Closes the bus if nobody else uses it; never raises."""
        ...

    async def ask(self, unit: int, request: Request, timeout_s: float) -> bytes:
        """Sends a request; the bytes of the values. Raises `TimeoutError` without a response, `ExceptionResponse`,
        `LostDevice`, `LostLine`, `LostUnit`, `LineTaken`.
        """
        ...

    def silence(self, unit: int, timeout_s: float) -> NotConnected:
        """The error to raise when `unit` did not respond."""
        ...


def network_bus(group: Sequence[ModbusTcpDevice], most_silences: int = MOST_SILENCES) -> Bus:
    """The bus of devices with one host and port. most_silences: see `LineSettings`."""
    first = group[0]
    if first.framing == "tcp":
        return SharedSocket(first.host, first.port)
    pause_s = max(device.pause_between_requests for device in group)
    settings = LineSettings(
        UNKNOWN_PACE, first.listen, pause_s, echo=first.echo, reopens=False, most_silences=most_silences
    )
    return SerialLine(first.line, settings, partial(open_tcp, first.host, first.port))


def serial_bus(group: Sequence[ModbusRtuDevice], most_silences: int = MOST_SILENCES) -> Bus:
    """The serial line of units that share it; validation of the site file ensures that their settings agree.

    most_silences: see `LineSettings`.
    """
    from adapters.modbus.bus.serial_port import open_serial  # noqa: PLC0415  # a gateway without serial lines does not need pyserial

    first = group[0]

    async def connect(_timeout_s: float) -> Channel:
        return open_serial(first)

    pause_s = max(device.pause_between_requests for device in group)
    settings = LineSettings(
        pace(first.baud, first.bits_per_character), first.listen, pause_s, echo=first.echo, most_silences=most_silences
    )
    return SerialLine(first.port, settings, connect)
