"""Single read requests to a Modbus server or line, rate-limited; read-only functions."""

import asyncio
from dataclasses import dataclass

from adapters.contract import NotConnected
from adapters.modbus.bus.bus import Bus
from adapters.modbus.bus.faults import ACKNOWLEDGE, BUSY, ILLEGAL_FUNCTION, ExceptionResponse, InvalidFrame
from adapters.modbus.model import Table
from adapters.modbus.plan import Request
from adapters.modbus.service.registers import ProbeOutcome, Span

CONNECT_S = 3.0
BUSY_TRIES = 5
BUSY_PAUSE_S = 1.0
"""Between tries: a device that is starting up or occupied reports busy for a few seconds [s]."""


class NoUnit(Exception):
    """A gateway reports that the unit behind it does not answer."""


@dataclass(frozen=True)
class RateLimit:
    """per_s: most requests a second [1/s]; timeout_s: how long a response may take [s]."""

    per_s: float = 5.0
    timeout_s: float = 1.0


class RateLimitedReader:
    """One bus, opened by the first request and reopened when the peer has closed it.

    requests: how many were sent; invalid_answer: the error of the latest response that was not Modbus, if any.
    """

    def __init__(self, bus: Bus, rate_limit: RateLimit) -> None:
        self._bus = bus
        self._limit = rate_limit
        self._not_before_s = float("-inf")
        self.requests = 0
        self.invalid_answer: NotConnected | None = None

    async def open(self) -> None:
        """Makes sure that the bus is open. Raises `NotConnected`; `DeviceMisconfigured` if another master is on a line."""
        await self._bus.join(self, CONNECT_S, 0.0)

    def close(self) -> None:
        """Closes the bus."""
        self._bus.leave(self)

    def silence(self, unit: int) -> NotConnected:
        """What a unit's missing response means."""
        return self._bus.silence(unit, self._limit.timeout_s)

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
        """The outcome of a request. A peer that closes the socket instead of answering counts as silent.

        Raises `NoUnit`, and `NotConnected` if the peer cannot be reached any more.
        """
        try:
            await self.read(unit, table, span)
        except ExceptionResponse as refusal:
            if refusal.by_gateway:
                raise NoUnit(str(refusal)) from refusal
            if refusal.code in {BUSY, ACKNOWLEDGE}:
                return ProbeOutcome.SILENT  # busy says nothing about the address
            return ProbeOutcome.NO_FUNCTION if refusal.code == ILLEGAL_FUNCTION else ProbeOutcome.REFUSED
        except TimeoutError:
            return ProbeOutcome.SILENT
        except NotConnected as error:
            self.invalid_answer = error if isinstance(error.__cause__, InvalidFrame) else self.invalid_answer
            await self.open()  # raises if the peer rejects more than this request
            return ProbeOutcome.SILENT
        return ProbeOutcome.VALUES

    async def _once(self, unit: int, table: Table, span: Span) -> bytes:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._not_before_s - clock()))
        self._not_before_s = clock() + 1 / self._limit.per_s
        await self.open()
        self.requests += 1
        try:
            return await self._bus.ask(unit, Request(table, span.start, span.size, 1.0, ()), self._limit.timeout_s)
        except TimeoutError as error:
            if isinstance(error.__cause__, InvalidFrame):
                self.invalid_answer = self._bus.silence(unit, self._limit.timeout_s)
            raise
