"""Why a tag was bad: asked again on its own, so that the device's own answer is heard."""

from collections.abc import Mapping, Sequence

from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, NotConnected
from adapters.faults import Fault
from adapters.modbus.bus.bus import Bus
from adapters.modbus.bus.frames_tcp import ExceptionResponse
from adapters.modbus.model import BIT_TABLES, ModbusTag
from adapters.modbus.service.decodings import ORDERS, Decoding, RegisterBlock, read
from adapters.modbus.service.faults import fault_of, refusal
from adapters.modbus.service.peers import Peer, open_bus
from adapters.modbus.service.reader import RateLimit, RateLimitedReader
from adapters.modbus.service.registers import Span


async def diagnose_line(devices: Mapping[str, Peer], bad: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Fault]]:
    """For each device of a line, and each of its tags in `bad`, why."""
    bus = open_bus(next(iter(devices.values())))
    return {name: await _diagnose(device, bus, bad[name]) for name, device in devices.items()}


async def _diagnose(device: Peer, bus: Bus, tags: Sequence[str]) -> dict[str, Fault]:
    reader = RateLimitedReader(bus, RateLimit(device.max_requests_per_s or 5.0, device.timeout))
    found: dict[str, Fault] = {}
    try:
        for name in tags:
            tag = device.tags[name]
            try:
                data = await reader.read(device.unit, tag.table, Span(tag.first(device.base), tag.count))
            except ExceptionResponse as error:
                found[name] = refusal(error.code)
            except TimeoutError:
                found[name] = Fault("unit_silent")
            else:
                if tag.table not in BIT_TABLES:
                    found[name] = undecodable(tag, data)
    except (NotConnected, DeviceMisconfigured) as error:
        fault = connection_fault(error, fault_of)
        found |= {name: fault for name in tags if name not in found}
    finally:
        reader.close()
    return found


def undecodable(tag: ModbusTag, data: bytes) -> Fault:
    """Bytes that are no value of their type, and what they would be in other orders."""
    block = RegisterBlock(0, data)
    alternatives = []
    for order in ORDERS:
        value = read(Decoding(0, tag.value_type, order, length=tag.length or 0), block)
        if order != tag.order and isinstance(value, int | float) and abs(value) < 1e9:
            alternatives.append(f"{order}: {value:.6g}")
    code = "not_bcd" if tag.value_type.startswith("bcd") else "not_a_number"
    return Fault(code, values={"bytes": data.hex(" "), "others": "; ".join(alternatives) or "—"})
