"""Asks a Modbus server or line single questions, politely: never faster than told, read-only functions only."""

import asyncio
from dataclasses import dataclass

from adapters.contract import NotConnected
from adapters.modbus.bus.bus import Bus
from adapters.modbus.bus.frames_tcp import (
    ACKNOWLEDGE,
    BUSY,
    GATEWAY_NO_ANSWER,
    GATEWAY_NO_PATH,
    ILLEGAL_FUNCTION,
    ExceptionResponse,
    InvalidFrame,
)
from adapters.modbus.model import Table
from adapters.modbus.plan import Request
from adapters.modbus.service.registers import ProbeOutcome, Span

CONNECT_S = 3.0
BUSY_TRIES = 5
BUSY_PAUSE_S = 1.0
"""A device that starts up, or works on something, says so for a few seconds [s]."""


class NoUnit(Exception):
    """A gateway answered for a unit that is not there."""


@dataclass(frozen=True)
class Politeness:
    """per_s: most requests in a second; timeout_s: how long one answer may take."""

    per_s: float = 5.0
    timeout_s: float = 1.0


class Asker:
    """One bus. Opened by the first question, opened again when the peer closed it.

    nonsense: what was said about the latest answer that made no sense, if there was one.
    """

    def __init__(self, bus: Bus, politeness: Politeness) -> None:
        self._bus = bus
        self._polite = politeness
        self._not_before_s = float("-inf")
        self.requests = 0
        self.nonsense: NotConnected | None = None

    async def open(self) -> None:
        """Makes sure that the bus is open. Raises `NotConnected`; `DeviceMisconfigured` if another master is on a line."""
        await self._bus.join(self, CONNECT_S, 0.0)

    def close(self) -> None:
        """Closes the bus."""
        self._bus.leave(self)

    async def read(self, unit: int, table: Table, span: Span) -> bytes:
        """The bytes of the values. Raises `TimeoutError`, `ExceptionResponse`, `NotConnected`, `DeviceMisconfigured`."""
        for _ in range(BUSY_TRIES - 1):
            try:
                return await self._once(unit, table, span)
            except ExceptionResponse as refusal:
                if refusal.code not in {BUSY, ACKNOWLEDGE}:
                    raise
            await asyncio.sleep(BUSY_PAUSE_S)
        return await self._once(unit, table, span)

    async def answer(self, unit: int, table: Table, span: Span) -> ProbeOutcome:
        """What became of a question. A peer that closes the socket instead of answering was silent.

        Raises `NoUnit`, and `NotConnected` if the peer cannot be reached any more.
        """
        try:
            await self.read(unit, table, span)
        except ExceptionResponse as refusal:
            if refusal.code in {GATEWAY_NO_ANSWER, GATEWAY_NO_PATH}:
                raise NoUnit(str(refusal)) from refusal
            if refusal.code in {BUSY, ACKNOWLEDGE}:
                return ProbeOutcome.SILENT  # that says nothing of the address
            return ProbeOutcome.NO_FUNCTION if refusal.code == ILLEGAL_FUNCTION else ProbeOutcome.REFUSED
        except TimeoutError:
            return ProbeOutcome.SILENT
        except NotConnected as error:
            self.nonsense = error if isinstance(error.__cause__, InvalidFrame) else self.nonsense
            await self.open()  # raises if it was not only this question that the peer disliked
            return ProbeOutcome.SILENT
        return ProbeOutcome.VALUES

    async def _once(self, unit: int, table: Table, span: Span) -> bytes:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._not_before_s - clock()))
        self._not_before_s = clock() + 1 / self._polite.per_s
        await self.open()
        self.requests += 1
        try:
            return await self._bus.ask(unit, Request(table, span.start, span.size, 1.0, ()), self._polite.timeout_s)
        except TimeoutError as error:
            if isinstance(error.__cause__, InvalidFrame):
                self.nonsense = self._bus.silence(unit, self._polite.timeout_s)
            raise
