"""A stream of bytes to a serial line, through a port of this machine or a converter on the network."""

import asyncio
from typing import Any

from adapters.contract import NotConnected


class Channel(asyncio.Protocol):
    """What came and was not taken yet. Ends when the other side closes or the port is gone."""

    def __init__(self) -> None:
        self.ended = ""
        self.heard_s = float("-inf")
        self._clock = asyncio.get_running_loop().time
        self._buffer = bytearray()
        self._came = asyncio.Event()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """For transports: this is where to write."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """For transports: bytes came."""
        self._buffer += data
        self.heard_s = self._clock()
        self._came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """For transports: nothing more will come."""
        self.ended = self.ended or (str(exc) if exc else "the peer closed the connection")
        self._came.set()

    def write(self, data: bytes) -> None:
        """Sends. Raises `ConnectionError` if the channel has ended."""
        if self.ended:
            raise ConnectionError(self.ended)
        self._transport.write(data)

    def take(self, size: int | None = None) -> bytes:
        """What has come, up to `size` bytes."""
        taken = bytes(self._buffer[:size])
        del self._buffer[: len(taken)]
        return taken

    async def exactly(self, size: int) -> bytes:
        """The next `size` bytes. Raises `ConnectionError` if they will not come any more."""
        while len(self._buffer) < size:
            if self.ended:
                raise ConnectionError(self.ended)
            self._came.clear()
            await self._came.wait()
        return self.take(size)

    def close(self) -> None:
        """At once; never raises."""
        self.ended = self.ended or "closed by us"
        if self._transport is not None:
            self._transport.abort()


async def open_tcp(host: str, port: int, timeout_s: float) -> Channel:
    """Through a converter. Raises `NotConnected`."""
    peer = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            _, channel = await asyncio.get_running_loop().create_connection(Channel, host, port)
    except TimeoutError as error:
        raise NotConnected(f"{peer}: no connection within {timeout_s:g} s; is the converter on?") from error
    except OSError as error:
        raise NotConnected(f"{peer}: {error.strerror or error}") from error
    return channel
