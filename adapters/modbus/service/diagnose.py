"""Why a tag was bad: reads it again on its own, to get the device's own response."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, Fault, NotConnected
from adapters.modbus.bus.bus import Bus
from adapters.modbus.bus.faults import SILENT, AskedRange, ExceptionResponse, range_fault
from adapters.modbus.decode import NotAvailable, decoder_of
from adapters.modbus.model import ModbusTag
from adapters.modbus.service.decodings import ORDERS, Decoding, RegisterBlock, read
from adapters.modbus.service.peers import Peer, open_bus
from adapters.modbus.service.reader import RateLimit, RateLimitedReader
from adapters.modbus.service.registers import Span

_UNANSWERED = frozenset({
    "unit_silent", "peer_silent", "slave_silent", "line_silent", "converter_silent", "gateway_no_answer", "gateway_no_path",
})  # fmt: skip
"""What a range that the device ignores looks like, directly or behind a gateway."""


async def diagnose_line(devices: Mapping[str, Peer], bad: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Fault]]:
    """For each device of a line, why each of its tags in `bad` was bad."""
    bus = open_bus(next(iter(devices.values())))
    return {name: await _diagnose(device, bus, bad[name]) for name, device in devices.items()}


async def _diagnose(device: Peer, bus: Bus, tags: Sequence[str]) -> dict[str, Fault]:
    reader = RateLimitedReader(bus, RateLimit(device.max_requests_per_s or 5.0, device.timeout))
    faults: dict[str, Fault] = {}
    there = len(tags) < len(device.tags)
    try:
        for name in tags:
            faults[name] = await _alone(device, reader, name)
            there |= faults[name].code not in _UNANSWERED
    except (NotConnected, DeviceMisconfigured) as error:
        fault = connection_fault(error)
        faults |= {name: fault for name in tags if name not in faults}
    finally:
        reader.close()
    if there:  # so neither the unit nor its wires are to blame
        faults |= {name: replace(range_fault(SILENT, _asked(device, name)), detail=fault.detail)
                  for name, fault in faults.items() if fault.code in _UNANSWERED}  # fmt: skip
    return faults


def _asked(device: Peer, name: str) -> AskedRange:
    tag = device.tags[name]
    return AskedRange(device.unit, tag.table, tag.first(device.base), tag.count)


async def _alone(device: Peer, reader: RateLimitedReader, name: str) -> Fault:
    """What a tag's own request shows. Raises `NotConnected`, `DeviceMisconfigured`."""
    tag = device.tags[name]
    try:
        data = await reader.read(device.unit, tag.table, Span(tag.first(device.base), tag.count))
    except ExceptionResponse as error:
        return error.fault
    except TimeoutError:
        return connection_fault(reader.silence(device.unit))
    decode = decoder_of(tag)
    try:
        if decode is not None:
            decode(data, 0)
    except NotAvailable as error:
        return Fault("not_available", values={"value": str(error)})
    except ValueError:
        return undecodable(tag, data)
    return Fault("reads_alone")


def undecodable(tag: ModbusTag, data: bytes) -> Fault:
    """The fault of bytes that are not a value of their type, with their values in other byte orders."""
    block = RegisterBlock(0, data)
    alternatives = []
    for order in ORDERS:
        value = read(Decoding(0, tag.value_type, order, length=tag.length or 0), block)
        if order != tag.order and isinstance(value, int | float) and abs(value) < 1e9:
            alternatives.append(f"{order}: {value:.6g}")
    code = "not_bcd" if tag.value_type.startswith("bcd") else "not_a_number"
    return Fault(code, values={"bytes": data.hex(" "), "others": "; ".join(alternatives) or "—"})
