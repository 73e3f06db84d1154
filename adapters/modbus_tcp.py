"""Modbus TCP: a device that is asked, a few blocks each period. Functions 1 to 4 only."""

import asyncio
from collections.abc import Callable, Mapping

from adapters._modbus_decode import decoder_of
from adapters._modbus_frames import GATEWAY_NO_ANSWER, GATEWAY_NO_PATH, Refused
from adapters._modbus_link import Link
from adapters._modbus_plan import Request, limits_of, places_of, plan
from adapters._modbus_poll import Change, Poll
from adapters.contract import Adapter, NotConnected, Reading, Row
from config.device_modbus import ModbusTcpDevice

CONNECT_AT_LEAST_S = 3.0
"""A connection may take one lost packet longer than an answer may [s]."""


def open_device(device: ModbusTcpDevice, now_ns: Callable[[], int]) -> Adapter:
    """One device with a socket of its own."""
    return ModbusTcp(device, Link(device.host, device.port), now_ns)


def open_devices(devices: Mapping[str, ModbusTcpDevice], now_ns: Callable[[], int]) -> dict[str, Adapter]:
    """Several devices by name; those with the same host and port share one socket."""
    peers = {(device.host, device.port) for device in devices.values()}
    links = {peer: Link(*peer) for peer in peers}
    return {name: ModbusTcp(device, links[device.host, device.port], now_ns) for name, device in devices.items()}


def requests_of(device: ModbusTcpDevice) -> tuple[Request, ...]:
    """What the device will be asked, as far as is known before asking."""
    return plan(places_of(device.tags, device.every), limits_of(device))


class ModbusTcp:
    """One unit. See `contract.Adapter`."""

    def __init__(self, device: ModbusTcpDevice, link: Link, now_ns: Callable[[], int]) -> None:
        self._device, self._link, self._now_ns = device, link, now_ns
        self._interval_s = 1 / device.max_requests_per_s if device.max_requests_per_s else 0.0
        self._not_before_s = float("-inf")
        decoders = {name: decoder_of(tag) for name, tag in device.tags.items()}
        self._poll = Poll(places_of(device.tags, device.every), limits_of(device), decoders)

    @property
    def period_s(self) -> float:
        """The shortest period of its tags [s]."""
        return self._poll.period_s

    async def connect(self) -> None:
        """Joins the link, which opens the socket if need be."""
        device = self._device
        await self._link.join(self, max(device.timeout, CONNECT_AT_LEAST_S), device.pause_after_connect)
        self._poll.restart()

    async def read(self) -> Reading:
        """One round: every request that is due, one after the other."""
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
            except Refused as refusal:
                if refusal.code in {GATEWAY_NO_PATH, GATEWAY_NO_ANSWER}:
                    raise NotConnected(f"{self._link.peer} unit {self._device.unit}: {refusal}") from refusal
                changes += self._poll.refused(request, refusal.code, started_s)
            else:
                changes += self._poll.answered(request, data, started_s)
                confirmed |= dict.fromkeys(request.tags)
            silences, answered = 0, True
        if silences and not answered:
            raise self._silence()
        t_ns = self._now_ns()
        confirmed |= dict.fromkeys(self._poll.refused_tags)
        return Reading(t_ns, [Row(tag, t_ns, value, quality) for tag, value, quality in changes], tuple(confirmed))

    async def close(self) -> None:
        """Leaves the link."""
        self._link.leave(self)

    async def _ask(self, request: Request) -> bytes:
        clock = asyncio.get_running_loop().time
        wait_s = self._not_before_s - clock()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        asked_s = clock()
        try:
            return await self._link.ask(self._device.unit, request, self._device.timeout)
        finally:
            self._not_before_s = max(clock() + self._device.pause_between_requests, asked_s + self._interval_s)

    def _silence(self) -> NotConnected:
        return self._link.silence(self._device.unit, self._device.timeout)
