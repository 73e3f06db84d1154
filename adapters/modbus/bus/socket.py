"""One socket to a host and port, shared by the units behind it, one request at a time.

A response counts only if it belongs to the open request (`transactions`) and names the unit that was asked; late
responses are discarded; a socket that the peer closes fails the request immediately. A silent unit does not close the
socket for the others, unless the next request, to whichever unit, is not answered either.

Many servers close connections that were idle for some seconds. So a socket whose end is found before the request is
sent, or while the server that answered before has not sent a byte of the response, is opened again and asked once more.
"""

import asyncio
from collections.abc import Mapping

from adapters.connection_faults import os_code
from adapters.modbus.bus.faults import AskedRange, ExceptionResponse, InvalidFrame, LostDevice, LostUnit, UnfitResponse
from adapters.modbus.bus.frames_tcp import HEADER, head, request_frame, response_values
from adapters.modbus.bus.transactions import Transactions
from adapters.modbus.plan import Request

ANY_UNIT = frozenset({0, 255})
"""Identifiers of a device that is its own server: whatever it echoes, the transaction ties the response."""
_CLOSED = ("the peer closed the connection", "closed_by_peer")
_CUT = ("the peer closed the connection within an answer", "cut_answer")


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
        self._numbers = Transactions()
        self._opening = (0.0, 0.0)
        self._reopens = False
        self._failures: dict[int, InvalidFrame] = {}
        self._silences = 0
        self._answered = False
        self._end: tuple[str, str, Mapping[str, str] | None] = ("not connected yet", "connection_failed", None)

    async def join(self, user: object, timeout_s: float, pause_s: float) -> None:
        """Opens the socket unless it is open. Raises `LostDevice`."""
        async with self._lock:
            if self._writer is None:
                await self._open(timeout_s, pause_s)
            self._users.add(user)

    def leave(self, user: object) -> None:
        """Closes the socket if nobody else uses it."""
        self._users.discard(user)
        if not self._users:
            self._drop("closed by us", "connection_failed")

    async def ask(self, unit: int, request: Request, timeout_s: float) -> bytes:
        """The bytes of the values. Raises `TimeoutError` if no response came, or one that does not fit (its cause),
        `ExceptionResponse` if the device refuses, `LostDevice` if the socket is gone or what it sends is no Modbus.
        """
        async with self._lock:
            await self._ensure_open()
            try:
                return await self._exchange(unit, request, timeout_s)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                answered, partial = self._answered, self._head is not None or bool(getattr(error, "partial", b""))
                failure = self._drop(*(_CUT if partial else _CLOSED))
                if not answered or partial:
                    raise failure from error
            await self._open(*self._opening)
            self._answered = True
            try:
                return await self._exchange(unit, request, timeout_s)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise self._drop(*_CLOSED) from error

    def silence(self, unit: int, timeout_s: float) -> LostUnit | LostDevice:
        """What to raise when `unit` did not answer, or not fittingly."""
        why = self._failures.get(unit)
        gentle = not self._answered
        if why is not None:
            return LostUnit(self.peer, unit, str(why), why.code, gentle=gentle, values=why.values)
        text = f"unit {unit} did not answer within {timeout_s:g} s"
        return self._lost(text, "peer_silent") if gentle else LostUnit(self.peer, unit, text)

    async def _ensure_open(self) -> None:
        """Opens again what has ended while nobody asked."""
        if self._reader is not None and (self._reader.at_eof() or self._reader.exception() is not None):
            self._drop(*_CLOSED, reopens=self._answered)
        if self._reader is None:
            if not (self._users and self._reopens):
                raise self._lost(*self._end)
            answered = self._answered
            await self._open(*self._opening)
            self._answered = answered

    async def _exchange(self, unit: int, request: Request, timeout_s: float) -> bytes:
        assert self._reader is not None  # opened before
        assert self._writer is not None
        fits = False
        try:
            async with asyncio.timeout(timeout_s):
                number = self._numbers.next()
                self._writer.write(request_frame(number, unit, request.table, request.start, request.count))
                answering, body = await self._answer(self._reader)
            fits, self._silences = True, 0
            _check_unit(unit, answering)
            self._answered = True
            values = response_values(body, AskedRange(unit, request.table, request.start, request.count))
        except UnfitResponse as error:
            self._failures[unit] = error
            raise TimeoutError from error
        except ExceptionResponse:
            self._failures.pop(unit, None)
            raise
        except TimeoutError:
            raise TimeoutError from self._silent(unit)
        except InvalidFrame as error:
            raise self._drop(str(error), error.code, values=error.values) from error
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            raise self._drop(error.strerror or str(error), os_code(error)) from error
        finally:
            if not fits:
                self._numbers.unanswered()
                if self._numbers.own:  # its late response could not be told from another
                    self._drop("a request was not answered", "connection_failed", reopens=True)
        self._failures.pop(unit, None)
        return values

    def _silent(self, unit: int) -> InvalidFrame | None:
        """Notes that nothing fitting came; what came instead, if anything did."""
        if not self._silences:  # else it is out of step since then
            self._failures.pop(unit, None)
        self._silences += 1
        if self._numbers.stray is not None:
            asked, answered = self._numbers.sent, self._numbers.stray
            text = f"transaction {asked} was asked, {answered} answered"
            self._failures[unit] = InvalidFrame(text, "transaction_not_echoed", asked=asked, answered=answered)
        elif self._head is not None:
            text = f"unit {unit} announced an answer of which the rest did not come"
            self._failures[unit] = InvalidFrame(text, "cut_answer")
        if self._silences > 1:
            self._drop("two questions in a row were not answered", "peer_silent", reopens=True)
        return self._failures.get(unit)

    async def _open(self, timeout_s: float, pause_s: float) -> None:
        self._opening = (timeout_s, pause_s)
        self._answered, self._silences, self._head = False, 0, None
        self._numbers.opened()
        try:
            async with asyncio.timeout(timeout_s):
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        except TimeoutError as error:
            reason = f"no connection within {timeout_s:g} s; is the device on?"
            raise LostDevice(self.peer, reason, "connect_timeout") from error
        except OSError as error:
            raise LostDevice(self.peer, error.strerror or str(error), os_code(error)) from error
        if pause_s:
            await asyncio.sleep(pause_s)

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        """The response to the open request: the unit that it names, function and data."""
        while True:
            if self._head is None:  # kept, so that a timeout between header and body loses nothing
                self._head = await reader.readexactly(HEADER.size)
            number, answering, size = head(self._head)
            body = await reader.readexactly(size)
            self._head = None
            if self._numbers.fits(number):
                return answering, body

    def _lost(self, reason: str, code: str, values: Mapping[str, str] | None = None) -> LostDevice:
        return LostDevice(self.peer, reason, code, gentle=not self._answered, values=values)

    def _drop(
        self, reason: str, code: str, *, values: Mapping[str, str] | None = None, reopens: bool = False
    ) -> LostDevice:
        """Closes; what to raise. reopens: whether the next request opens the socket again."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._end, self._reopens = (reason, code, values), reopens
        self._reader = self._writer = self._head = None
        return self._lost(reason, code, values)


def _check_unit(asked: int, answered: int) -> None:
    if answered != asked and asked not in ANY_UNIT:
        text = f"unit {asked} was asked, unit {answered} answered"
        raise UnfitResponse(text, "other_unit_answers", asked=asked, answered=answered)
