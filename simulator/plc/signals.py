"""What each kind of PLC shows: tags, where they lie, and their values for what the machine does.

| kind | protocol | tags |
|---|---|---|
| press | Modbus | running, alarm, strokes (16 bits, wraps), rejects, recipe |
| cnc_rejects | Modbus, CDAB | running, setup, parts, rejects, alarm, program |
| cnc_good | Modbus, ABCD | running (a bit of the status word), total, good, alarm, program |
| moulder | OPC UA, Euromap 77 numbers | status (ProductionStatus), mode (MachineMode), shots, bad, job |
| packer | OPC UA, PackML numbers | state (StateCurrent), mode (UnitModeCurrent), starved, blocked (EquipmentInterlock), processed, defective, recipe |
| pulse | Modbus, a remote I/O block | pulses |

Addresses count from 0. The node id of an OPC UA tag is `nsu=<namespace>;s=<name>`, with the namespace of its kind
in `NAMESPACES` and the name in `PLCS`, for example `nsu=urn:simulator:packaging;s=Status.StateCurrent`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from simulator.behaviour.segments import Kind
from simulator.factory import PlcKind

NAMESPACES: Final[dict[PlcKind, str]] = {
    "moulder": "urn:simulator:injection-moulding",
    "packer": "urn:simulator:packaging",
}


class ModbusRegister(NamedTuple):
    """A place in a Modbus server."""

    table: Literal["coil", "discrete", "holding", "input"]
    address: int
    type: Literal["bool", "uint16", "uint32"] = "uint16"
    order: Literal["ABCD", "CDAB"] = "ABCD"
    bit: int | None = None


class OpcUaNode(NamedTuple):
    """A variable of an OPC UA server: the string part of its node id within the kind's namespace."""

    name: str
    type: Literal["Boolean", "Int32", "UInt32", "UInt16"]


class TagCounter(NamedTuple):
    """A tag that counts pieces (or shots): what, and at how many bits it wraps."""

    counts: Literal["cycles", "pieces", "good", "rejects"]
    bits: int


@dataclass(frozen=True)
class Plc:
    """places: tag to register or node. counters: tags that count; all others follow from the `Condition`."""

    protocol: Literal["modbus_tcp", "opcua"]
    places: dict[str, ModbusRegister | OpcUaNode]
    counters: dict[str, TagCounter]


class Condition(NamedTuple):
    """What decides every tag but the counters. setting_up: from the new product number to the first good piece."""

    kind: Kind
    idle: bool
    code: int
    product: int
    setting_up: bool


PLCS: Final[dict[PlcKind, Plc]] = {
    "press": Plc(
        "modbus_tcp",
        {
            "running": ModbusRegister("coil", 0, "bool"),
            "alarm": ModbusRegister("holding", 90),
            "strokes": ModbusRegister("holding", 100),
            "rejects": ModbusRegister("holding", 101),
            "recipe": ModbusRegister("holding", 102),
        },
        {"strokes": TagCounter("pieces", 16), "rejects": TagCounter("rejects", 16)},
    ),
    "cnc_rejects": Plc(
        "modbus_tcp",
        {
            "running": ModbusRegister("discrete", 0, "bool"),
            "setup": ModbusRegister("discrete", 1, "bool"),
            "parts": ModbusRegister("holding", 10, "uint32", "CDAB"),
            "rejects": ModbusRegister("holding", 12, "uint32", "CDAB"),
            "alarm": ModbusRegister("holding", 14),
            "program": ModbusRegister("holding", 15),
        },
        {"parts": TagCounter("pieces", 32), "rejects": TagCounter("rejects", 32)},
    ),
    "cnc_good": Plc(
        "modbus_tcp",
        {
            "total": ModbusRegister("holding", 200, "uint32"),
            "good": ModbusRegister("holding", 202, "uint32"),
            "alarm": ModbusRegister("holding", 204),
            "program": ModbusRegister("holding", 205),
            "running": ModbusRegister("holding", 206, "bool", bit=0),
        },
        {"total": TagCounter("pieces", 32), "good": TagCounter("good", 32)},
    ),
    "moulder": Plc(
        "opcua",
        {
            "status": OpcUaNode("Machine.ProductionStatus", "Int32"),
            "mode": OpcUaNode("Machine.MachineMode", "Int32"),
            "shots": OpcUaNode("Job.CycleCounter", "UInt32"),
            "bad": OpcUaNode("Job.BadPartsCounter", "UInt32"),
            "job": OpcUaNode("Job.Number", "UInt16"),
        },
        {"shots": TagCounter("cycles", 32), "bad": TagCounter("rejects", 32)},
    ),
    "packer": Plc(
        "opcua",
        {
            "state": OpcUaNode("Status.StateCurrent", "Int32"),
            "mode": OpcUaNode("Status.UnitModeCurrent", "Int32"),
            "starved": OpcUaNode("Status.EquipmentInterlock.Starved", "Boolean"),
            "blocked": OpcUaNode("Status.EquipmentInterlock.Blocked", "Boolean"),
            "processed": OpcUaNode("Admin.ProdProcessedCount", "UInt32"),
            "defective": OpcUaNode("Admin.ProdDefectiveCount", "UInt32"),
            "recipe": OpcUaNode("Status.Recipe", "UInt16"),
        },
        {"processed": TagCounter("pieces", 32), "defective": TagCounter("rejects", 32)},
    ),
    "pulse": Plc("modbus_tcp", {"pulses": ModbusRegister("input", 0, "uint32")}, {"pulses": TagCounter("pieces", 32)}),
}

# PackML (OPC 30050): 2 Stopped, 4 Idle, 5 Suspended, 6 Execute, 9 Aborted
_PACKML: Final = {Kind.RUN: 6, Kind.STOP: 2, Kind.BREAKDOWN: 9, Kind.STARVED: 5, Kind.BLOCKED: 5, Kind.CHANGE: 2}


@lru_cache(maxsize=4096)
def values(plc: PlcKind, condition: Condition, numbers: tuple[int, ...]) -> dict[str, int | bool]:
    """The tags that are no counters. numbers: what the PLC calls each product. An offline PLC has no condition:
    its last one holds.
    """
    running = condition.kind == Kind.RUN
    number = numbers[condition.product]
    if plc == "press":
        return {"running": running, "alarm": condition.code, "recipe": number}
    if plc == "cnc_rejects":
        return {"running": running, "setup": condition.setting_up, "alarm": condition.code, "program": number}
    if plc == "cnc_good":
        return {"running": running, "alarm": condition.code, "program": number}
    if plc == "moulder":
        # Euromap 77: ProductionStatus 1 no production, 2 start-up, 4 production; MachineMode 1 automatic, 4 set-up
        status = (2 if condition.setting_up else 4) if running else 1
        mode = 4 if condition.setting_up and not running else 1
        return {"status": status, "mode": mode, "job": number}
    if plc == "packer":
        state = 4 if condition.idle else _PACKML[condition.kind]
        starved, blocked = condition.kind == Kind.STARVED, condition.kind == Kind.BLOCKED
        return {"state": state, "mode": 1, "starved": starved, "blocked": blocked, "recipe": number}
    return {}
