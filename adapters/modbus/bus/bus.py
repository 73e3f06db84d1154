"""What carries requests to the units that share it: a socket, or a serial line."""

from typing import Protocol

from adapters.contract import NotConnected
from adapters.modbus.plan import Request


class Bus(Protocol):
    """One request at a time."""

    peer: str

    async def join(self, user: object, timeout_s: float, pause_s: float) -> None:
        """Opens the bus unless it is open. Raises `NotConnected`, `DeviceMisconfigured`."""
        ...

    def leave(self, user: object) -> None:
        """Closes the bus if nobody else uses it; never raises."""
        ...

    async def ask(self, unit: int, request: Request, timeout_s: float) -> bytes:
        """The bytes of the values. Raises `TimeoutError` if no answer came, `ExceptionResponse`, `NotConnected`."""
        ...

    def silence(self, unit: int, timeout_s: float) -> NotConnected:
        """What to raise when `unit` did not answer."""
        ...
