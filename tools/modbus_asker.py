"""Asks a Modbus server single questions, politely: never faster than told, read-only functions only."""

import asyncio
from dataclasses import dataclass

from adapters._modbus_frames import BUSY, GATEWAY_NO_ANSWER, GATEWAY_NO_PATH, ILLEGAL_FUNCTION, Refused
from adapters._modbus_link import Link
from adapters._modbus_plan import Request
from adapters.contract import NotConnected
from config.device_modbus import Table
from tools.scan_registers import Answer, Span

CONNECT_S = 3.0
BUSY_TRIES = 3


class NoUnit(Exception):
    """A gateway answered for a unit that is not there."""


@dataclass(frozen=True)
class Politeness:
    """per_s: most requests in a second; timeout_s: how long one answer may take."""

    per_s: float = 5.0
    timeout_s: float = 1.0


class Asker:
    """One socket. Opened by the first question, opened again when the peer closed it."""

    def __init__(self, host: str, port: int, politeness: Politeness) -> None:
        self._link = Link(host, port)
        self._polite = politeness
        self._not_before_s = float("-inf")
        self.requests = 0

    async def open(self) -> None:
        """Makes sure that the socket is open. Raises `NotConnected`."""
        await self._link.join(self, CONNECT_S, 0.0)

    def close(self) -> None:
        """Closes the socket."""
        self._link.leave(self)

    async def read(self, unit: int, table: Table, span: Span) -> bytes:
        """The bytes of the values. Raises `TimeoutError`, `Refused`, `NotConnected`."""
        for _ in range(BUSY_TRIES - 1):
            try:
                return await self._once(unit, table, span)
            except Refused as refusal:
                if refusal.code != BUSY:
                    raise
        return await self._once(unit, table, span)

    async def answer(self, unit: int, table: Table, span: Span) -> Answer:
        """What became of a question. A peer that closes the socket instead of answering was silent.

        Raises `NoUnit`, and `NotConnected` if the peer cannot be reached any more.
        """
        try:
            await self.read(unit, table, span)
        except Refused as refusal:
            if refusal.code in {GATEWAY_NO_ANSWER, GATEWAY_NO_PATH}:
                raise NoUnit(str(refusal)) from refusal
            return Answer.NO_FUNCTION if refusal.code == ILLEGAL_FUNCTION else Answer.REFUSED
        except TimeoutError:
            return Answer.SILENT
        except NotConnected:
            await self.open()  # raises if it was not only this question that the peer disliked
            return Answer.SILENT
        return Answer.VALUES

    async def _once(self, unit: int, table: Table, span: Span) -> bytes:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._not_before_s - clock()))
        self._not_before_s = clock() + 1 / self._polite.per_s
        await self.open()
        self.requests += 1
        return await self._link.ask(unit, Request(table, span.start, span.size, 1.0, ()), self._polite.timeout_s)
