"""A bus: carries requests to the units that share it, over a socket or a serial line."""

from typing import Protocol

from adapters.contract import NotConnected
from adapters.modbus.plan import Request


class Bus(Protocol):
    """Sends one request at a time. peer: host and port, or the serial port."""

    peer: str

    async def join(self, user: object, timeout_s: float, pause_s: float) -> None:
        """Opens the bus unless it is open. Raises `NotConnected`, `DeviceMisconfigured`."""
        ...

    def leave(self, user: object) -> None:
        """Closes the bus if nobody else uses it; never raises."""
        ...

    async def ask(self, unit: int, request: Request, timeout_s: float) -> bytes:
        """Sends a request; the bytes of the values. Raises `TimeoutError` without a response, `ExceptionResponse`,
        `NotConnected`.
        """
        ...

    def silence(self, unit: int, timeout_s: float) -> NotConnected:
        """The error to raise when `unit` did not respond."""
        ...
