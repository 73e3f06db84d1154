"""What the faces of both Modbus kinds share. Imports are lazy."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from adapters.contract import Fault
from adapters.modbus.model import ModbusRtuDevice, ModbusTcpDevice
from adapters.planned import LinePlan, ServerPlan

D = TypeVar("D", ModbusTcpDevice, ModbusRtuDevice)


async def diagnose(devices: Mapping[str, D], bad: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Fault]]:
    """See `contract.DeviceKind`."""
    from adapters.modbus.service.diagnose import diagnose_line

    return await diagnose_line(devices, bad)


def plan(devices: Mapping[str, D], answer_s: float) -> Sequence[LinePlan | ServerPlan]:
    """See `contract.DeviceKind`."""
    from adapters.modbus.service.line_plan import line_plan

    return [line_plan(devices, answer_s)]
