"""One Modbus unit as an adapter, over a socket or a serial line: each `read()` is a polling round."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from adapters.contract import Adapter, Fault, NotConnected, Reading, rows_at
from adapters.modbus.bus.bus import Bus
from adapters.modbus.bus.faults import AskedRange, ExceptionResponse, LostUnit, range_fault
from adapters.modbus.decode import decoder_of
from adapters.modbus.model import ModbusDevice, ModbusTcpDevice
from adapters.modbus.plan import Request, limits_of, places_of
from adapters.modbus.poll import Change, Poll

CONNECT_AT_LEAST_S = 3.0
"""Least timeout for opening a connection, so that one lost packet can be repeated [s]."""
D = TypeVar("D", bound=ModbusDevice)


class Unit:
    """See `contract.Adapter`."""

    def __init__(self, device: ModbusDevice, bus: Bus, now_ns: Callable[[], int]) -> None:
        self._bus, self._now_ns = bus, now_ns
        self._pause_s = device.pause_after_connect if isinstance(device, ModbusTcpDevice) else 0.0
        self._unit, self._timeout_s, self._request_pause_s = device.unit, device.timeout, device.pause_between_requests
        self._interval_s = 1 / device.max_requests_per_s if device.max_requests_per_s else 0.0
        self._not_before_s = float("-inf")
        self._refusal: ExceptionResponse | None = None
        self._lost_tags: dict[str, int] = {}
        self._faults: dict[str, Fault] = {}
        decoders = {name: decoder_of(tag) for name, tag in device.tags.items()}
        self._places = {place.tag: place for place in places_of(device)}
        self._poll = Poll(self._places.values(), limits_of(device), decoders)

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
        poll, done = self._poll, _Round(asyncio.get_running_loop().time())
        while request := poll.next_due(done.started_s, answered=done.answered):
            if await self._exchange(request, done):
                done.unproven = 0
            elif await self._is_there(request, done):
                poll.silent(request, done.started_s)
            else:
                poll.silent(request, done.started_s, proven=False)
                done.unproven += 1
                if done.unproven > 1:
                    break
        if done.silent and not done.answered:
            raise self._lost()
        t_ns = self._now_ns()
        done.confirmed |= dict.fromkeys(poll.refused_tags)
        return Reading(t_ns, rows_at(t_ns, done.changes), tuple(done.confirmed), faults=self._faults_of_tags())

    async def close(self) -> None:
        """Leaves the bus."""
        self._bus.leave(self)

    async def _exchange(self, request: Request, done: "_Round") -> bool:
        """Asks, and notes what came. False if the unit did not answer, by its own silence or in the gateway's words."""
        try:
            data = await self._ask(request)
        except ExceptionResponse as refusal:
            done.changes += self._poll.refused(request, refusal.code, done.started_s)
        except TimeoutError:
            done.silent = True
            return False
        else:
            done.changes += self._poll.answered(request, data, done.started_s)
            done.confirmed |= dict.fromkeys(request.tags)
        done.answered = True
        return True

    async def _is_there(self, request: Request, done: "_Round") -> bool:
        """Whether the unit answers something else, though not `request`."""
        proof = self._poll.proof(request)
        if proof is None:
            return False
        if proof in self._poll.requests:
            there = await self._exchange(proof, done)
            if not there:  # which settles it
                self._poll.silent(proof, done.started_s, proven=False)
                done.unproven += 1
            return there
        try:
            await self._ask(proof)
        except TimeoutError:
            return False
        except ExceptionResponse:
            pass
        done.answered = True
        return True

    async def _ask(self, request: Request) -> bytes:
        clock = asyncio.get_running_loop().time
        wait_s = self._not_before_s - clock()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        sent_s = clock()
        self._refusal = None
        try:
            return await self._bus.ask(self._unit, request, self._timeout_s)
        except ExceptionResponse as refusal:
            if refusal.by_gateway:
                self._refusal = refusal
                raise TimeoutError from refusal
            raise
        finally:
            self._not_before_s = max(clock() + self._request_pause_s, sent_s + self._interval_s)

    def _lost(self) -> NotConnected:
        if self._refusal is None:
            return self._bus.silence(self._unit, self._timeout_s)
        peer, fault = f"{self._bus.peer} unit {self._unit}", self._refusal.fault
        return LostUnit(peer, self._unit, str(self._refusal), fault.code, values=fault.values)

    def _faults_of_tags(self) -> dict[str, Fault]:
        """Why tags cannot be read; the same mapping as long as nothing changes."""
        lost = self._poll.lost()
        if lost != self._lost_tags:
            self._lost_tags = lost
            places = [(tag, code, self._places[tag]) for tag, code in lost.items()]
            self._faults = {
                tag: range_fault(code, AskedRange(self._unit, place.table, place.start, place.count))
                for tag, code, place in places
            }
        return self._faults


@dataclass
class _Round:
    """What a polling round brought. answered: the unit answered something; silent: not everything; unproven: requests
    in a row that were not answered while nothing shows that the unit is there.
    """

    started_s: float
    changes: list[Change] = field(default_factory=list)
    confirmed: dict[str, None] = field(default_factory=dict)
    answered: bool = False
    silent: bool = False
    unproven: int = 0


def open_units(
    devices: Mapping[str, D], bus_of: Callable[[Sequence[D]], Bus], now_ns: Callable[[], int]
) -> dict[str, Adapter]:
    """An adapter for each device, by name; those on one line share its bus. bus_of: the bus of such a group."""
    by_line: dict[str, list[D]] = {}
    for device in devices.values():
        by_line.setdefault(device.line, []).append(device)
    buses = {line: bus_of(group) for line, group in by_line.items()}
    return {name: Unit(device, buses[device.line], now_ns) for name, device in devices.items()}
