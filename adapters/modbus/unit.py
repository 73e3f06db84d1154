"""One Modbus unit as an adapter, over a socket or a serial line: each `read()` is a polling round."""

import asyncio
from collections.abc import Callable

from adapters.contract import NotConnected, Reading, rows_at
from adapters.modbus.bus.bus import Bus
from adapters.modbus.bus.frames_tcp import GATEWAY_NO_ANSWER, GATEWAY_NO_PATH, ExceptionResponse
from adapters.modbus.decode import decoder_of
from adapters.modbus.model import ModbusDevice
from adapters.modbus.plan import Request, limits_of, places_of
from adapters.modbus.poll import Change, Poll

CONNECT_AT_LEAST_S = 3.0
"""Least timeout for opening a connection, so that one lost packet can be repeated [s]."""


class Unit:
    """See `contract.Adapter`. pause_s: silence after the bus has been opened [s]."""

    def __init__(self, device: ModbusDevice, bus: Bus, now_ns: Callable[[], int], pause_s: float = 0.0) -> None:
        self._bus, self._now_ns, self._pause_s = bus, now_ns, pause_s
        self._unit, self._timeout_s, self._request_pause_s = device.unit, device.timeout, device.pause_between_requests
        self._interval_s = 1 / device.max_requests_per_s if device.max_requests_per_s else 0.0
        self._not_before_s = float("-inf")
        decoders = {name: decoder_of(tag) for name, tag in device.tags.items()}
        self._poll = Poll(places_of(device), limits_of(device), decoders)

    @property
    def period_s(self) -> float:
        """The shortest period of its tags [s]."""
        return self._poll.period_s

    async def connect(self) -> None:
        """Joins the bus, which opens it if necessary."""
        await self._bus.join(self, max(self._timeout_s, CONNECT_AT_LEAST_S), self._pause_s)
        self._poll.restart()

    async def read(self) -> Reading:
        """One polling round: every request that is due, one after the other."""
        started_s = asyncio.get_running_loop().time()
        changes: list[Change] = []
        confirmed: dict[str, None] = {}
        silences, answered = 0, False
        while request := self._poll.next_due(started_s, answered=answered):
            try:
                data = await self._ask(request)
            except TimeoutError:
                self._poll.silent(request, started_s)
                silences += 1
                if silences > 1:
                    raise self._silence() from None
                continue
            except ExceptionResponse as refusal:
                if refusal.code in {GATEWAY_NO_PATH, GATEWAY_NO_ANSWER}:
                    raise NotConnected(f"{self._bus.peer} unit {self._unit}: {refusal}") from refusal
                changes += self._poll.refused(request, refusal.code, started_s)
            else:
                changes += self._poll.answered(request, data, started_s)
                confirmed |= dict.fromkeys(request.tags)
            silences, answered = 0, True
        if silences and not answered:
            raise self._silence()
        t_ns = self._now_ns()
        confirmed |= dict.fromkeys(self._poll.refused_tags)
        return Reading(t_ns, rows_at(t_ns, changes), tuple(confirmed))

    async def close(self) -> None:
        """Leaves the bus."""
        self._bus.leave(self)

    async def _ask(self, request: Request) -> bytes:
        clock = asyncio.get_running_loop().time
        wait_s = self._not_before_s - clock()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        sent_s = clock()
        try:
            return await self._bus.ask(self._unit, request, self._timeout_s)
        finally:
            self._not_before_s = max(clock() + self._request_pause_s, sent_s + self._interval_s)

    def _silence(self) -> NotConnected:
        return self._bus.silence(self._unit, self._timeout_s)
