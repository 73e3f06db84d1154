"""One socket to a host and port, shared by the units behind it, one request at a time.

A response counts only if its transaction number is that of the request; late responses are discarded; a socket that the
peer closes fails the request immediately. A silent unit does not close the socket for the others, unless the next
request, to whichever unit, is not answered either.
"""

import asyncio

from adapters.contract import NotConnected
from adapters.modbus.bus.frames_tcp import HEADER, InvalidFrame, head, request_frame, response_values
from adapters.modbus.plan import Request


class SharedSocket:
    """A connection that opens when its first user joins and closes when its last one leaves."""

    def __init__(self, host: str, port: int) -> None:
        self.peer = f"{host}:{port}"
        self._host, self._port = host, port
        self._lock = asyncio.Lock()
        self._users: set[object] = set()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._head: bytes | None = None
        self._transaction = 0
        self._silences = 0
        self._answered = False
        self._end_reason = "not connected yet"

    async def join(self, user: object, timeout_s: float, pause_s: float) -> None:
        """Opens the socket unless it is open. Raises `NotConnected`."""
        async with self._lock:
            if self._writer is None:
                await self._open(timeout_s, pause_s)
            self._users.add(user)

    def leave(self, user: object) -> None:
        """Closes the socket if nobody else uses it."""
        self._users.discard(user)
        if not self._users:
            self._drop("closed by us")

    async def ask(self, unit: int, request: Request, timeout_s: float) -> bytes:
        """The bytes of the values. Raises `TimeoutError` if no response came, `ExceptionResponse` if the device refuses,
        `NotConnected` if the socket is gone or received something else than Modbus.
        """
        async with self._lock:
            if self._reader is None or self._writer is None:
                raise self._lost(self._end_reason)
            self._transaction = (self._transaction + 1) & 0xFFFF
            try:
                async with asyncio.timeout(timeout_s):
                    self._writer.write(
                        request_frame(self._transaction, unit, request.table, request.start, request.count)
                    )
                    body = await self._answer(self._reader, unit)
                self._answered, self._silences = True, 0
                return response_values(body, request.table, request.start, request.count)
            except TimeoutError:
                self._silences += 1
                if self._silences > 1:
                    self._drop("two questions in a row were not answered")
                raise
            except asyncio.IncompleteReadError as error:
                raise self._fail("the peer closed the connection") from error
            except (OSError, InvalidFrame) as error:
                raise self._fail(str(error) or type(error).__name__) from error

    def silence(self, unit: int, timeout_s: float) -> NotConnected:
        """What to raise when `unit` did not answer."""
        return self._lost(f"unit {unit} did not answer within {timeout_s:g} s")

    async def _open(self, timeout_s: float, pause_s: float) -> None:
        self._answered, self._silences, self._head = False, 0, None
        try:
            async with asyncio.timeout(timeout_s):
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        except TimeoutError as error:
            raise NotConnected(f"{self.peer}: no connection within {timeout_s:g} s; is the device on?") from error
        except OSError as error:
            raise NotConnected(f"{self.peer}: {error.strerror or error}") from error
        if pause_s:
            await asyncio.sleep(pause_s)

    async def _answer(self, reader: asyncio.StreamReader, unit: int) -> bytes:
        while True:
            if self._head is None:  # kept, so that a timeout between header and body loses nothing
                self._head = await reader.readexactly(HEADER.size)
            transaction, answering, size = head(self._head)
            body = await reader.readexactly(size)
            self._head = None
            if transaction == self._transaction:
                if answering != unit:
                    raise InvalidFrame(f"unit {unit} was asked, unit {answering} answered")
                return body

    def _fail(self, reason: str) -> NotConnected:
        self._drop(reason)
        return self._lost(reason)

    def _lost(self, reason: str) -> NotConnected:
        return NotConnected(f"{self.peer}: {reason}", gentle=not self._answered)

    def _drop(self, reason: str) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            self._end_reason = reason
        self._reader = self._writer = self._head = None
