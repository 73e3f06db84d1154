"""Which requests a line will carry, and whether it can. Pure.

What a serial line can carry follows from its speed; how long devices take to respond does not, so that is an argument.
On a network the time of a frame is negligible, and only the device's response time counts.
"""

from collections.abc import Iterable, Mapping

from adapters.modbus.bus.faults import FUNCTIONS
from adapters.modbus.bus.timing import NETWORK_PACE, UNKNOWN_PACE, Pace, exchange_s, load, pace
from adapters.modbus.model import ModbusRtuDevice, ModbusTcpDevice
from adapters.modbus.plan import requests_of
from adapters.planned import ExceededRate, LinePlan, PlannedRequest

_Device = ModbusTcpDevice | ModbusRtuDevice


def line_plan(devices: Mapping[str, _Device], answer_s: float) -> LinePlan:
    """The plan of devices that share a line. answer_s: how long a device takes to respond [s]."""
    first = next(iter(devices.values()))
    speed, line_pace = _speed(first)
    serial_pause_s = max(device.pause_between_requests for device in devices.values()) if speed else 0.0
    requests = tuple(
        PlannedRequest(
            name,
            device.unit,
            FUNCTIONS[request.table],
            request.table,
            request.start,
            request.count,
            request.period_s,
            request.tags,
            exchange_s(request, line_pace, answer_s, max(serial_pause_s, device.pause_between_requests)),
        )
        for name, device in devices.items()
        for request in requests_of(device)
    )
    total = load((request.cost_s, request.period_s) for request in requests)
    exceeded = tuple(_exceeded(devices, requests))
    return LinePlan(first.line, first.kind, speed, requests, total.cycle_s, total.share, exceeded)


def _speed(device: _Device) -> tuple[str, Pace]:
    if isinstance(device, ModbusRtuDevice):
        return device.speed, pace(device.baud, device.bits_per_character)
    return ("?", UNKNOWN_PACE) if device.framing == "rtu" else ("", NETWORK_PACE)


def _exceeded(devices: Mapping[str, _Device], requests: Iterable[PlannedRequest]) -> Iterable[ExceededRate]:
    wanted_per_s = dict.fromkeys(devices, 0.0)
    for request in requests:
        wanted_per_s[request.device] += 1 / request.period_s
    for name, device in devices.items():
        if device.max_requests_per_s and wanted_per_s[name] > device.max_requests_per_s * (1 + 1e-9):
            yield ExceededRate(name, wanted_per_s[name], device.max_requests_per_s)
