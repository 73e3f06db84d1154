"""A byte stream to a serial line, through a port of this machine or a converter on the network."""

import asyncio
from typing import Any

from adapters.connection_faults import os_code
from adapters.modbus.bus.faults import LostLine


class Channel(asyncio.Protocol):
    """Buffers received bytes until they are taken. ended: why it has ended (the peer
    closed, the port is gone), or "" while it is open; ended_code: the same as a code of the message catalogue.
    """

    def __init__(self) -> None:
        self.ended = self.ended_code = ""
        self._buffer = bytearray()
        self._received = asyncio.Event()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Called by the transport when it is open."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the transport with received bytes."""
        self._buffer += data
        self._received.set()

    def connection_lost(self, exc: Exception | None, code: str = "") -> None:
        """Called by the transport at its end. code: of the message catalogue, where the transport knows better."""
        if not self.ended:
            self.ended = str(exc) if exc else "the peer closed the connection"
            self.ended_code = code or (os_code(exc) if exc else "closed_by_peer")
        self._received.set()

    def write(self, data: bytes) -> None:
        """Sends. Raises `ConnectionError` if the channel has ended."""
        if self.ended:
            raise ConnectionError(self.ended)
        self._transport.write(data)

    def take(self, size: int | None = None) -> bytes:
        """Removes and returns up to `size` received bytes (default: all)."""
        taken = bytes(self._buffer[:size])
        del self._buffer[: len(taken)]
        return taken

    async def exactly(self, size: int) -> bytes:
        """Waits for the next `size` bytes. Raises `ConnectionError` if the channel ends first."""
        while len(self._buffer) < size:
            if self.ended:
                raise ConnectionError(self.ended)
            self._received.clear()
            await self._received.wait()
        return self.take(size)

    def close(self) -> None:
        """Closes immediately; never raises."""
        self.ended = self.ended or "closed by us"
        if self._transport is not None:
            self._transport.abort()


async def open_tcp(host: str, port: int, timeout_s: float) -> Channel:
    """A channel through a converter on the network. Raises `LostLine`."""
    peer = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            _, channel = await asyncio.get_running_loop().create_connection(Channel, host, port)
    except TimeoutError as error:
        reason = f"no connection within {timeout_s:g} s; is the converter on?"
        raise LostLine(peer, reason, "connect_timeout") from error
    except OSError as error:
        raise LostLine(peer, error.strerror or str(error), os_code(error)) from error
    return channel
