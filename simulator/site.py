"""The site file that describes the demo factory to whoever monitors it, as plain data for YAML."""

from collections.abc import Mapping
from typing import Any, Final

from simulator.factory import Factory, MachineSpec
from simulator.plc.signals import NAMESPACES, PLCS, ModbusRegister

SITE: Final = "song-hong"
_NAMES: Final = {
    "press-1": ("Máy dập 1", "Press 1", "stamping"),
    "cnc-1": ("Trung tâm phay CNC 1", "Machining centre 1", "machining"),
    "cnc-2": ("Máy tiện CNC 2", "CNC lathe 2", "machining"),
    "inj-1": ("Máy ép nhựa 1", "Injection moulder 1", "moulding"),
    "pack-1": ("Máy đóng gói 1", "Packer 1", "packing"),
    "sew-1": ("Chuyền may, trạm 1", "Sewing station 1", "sewing"),
}
_LINES: Final = {
    "stamping": ("Dập", "Stamping"),
    "machining": ("Gia công cơ khí", "Machining"),
    "moulding": ("Ép nhựa", "Moulding"),
    "packing": ("Đóng gói", "Packing"),
    "sewing": ("May", "Sewing"),
}
_PRODUCTS: Final = {
    101: ("Giá đỡ A", "Bracket A"),
    102: ("Giá đỡ B", "Bracket B"),
    103: ("Nắp che C", "Cover C"),
    2001: ("Mặt bích 38", "Flange 38"),
    2002: ("Mặt bích 44", "Flange 44"),
    3001: ("Trục 52", "Shaft 52"),
    3002: ("Trục 58", "Shaft 58"),
    501: ("Ốp nhựa trái", "Trim left"),
    502: ("Ốp nhựa phải", "Trim right"),
    7: ("Hộp 10 cái", "Box of 10"),
    8: ("Hộp 20 cái", "Box of 20"),
    1: ("Mũi giày", "Shoe upper"),
}
_REASONS: Final = {
    "press-1": {12: "die-jam", 21: "hydraulics", 34: "light-curtain"},
    "cnc-1": {401: "servo-alarm", 1020: "coolant", 2101: "tool-broken"},
    "cnc-2": {17: "chuck-pressure", 88: "bar-feeder"},
}
_REASON_NAMES: Final = {
    "die-jam": ("Kẹt khuôn", "Die jam"),
    "hydraulics": ("Lỗi thủy lực", "Hydraulics"),
    "light-curtain": ("Lỗi rèm quang an toàn", "Light curtain fault"),
    "servo-alarm": ("Lỗi servo", "Servo alarm"),
    "coolant": ("Thiếu dung dịch làm mát", "Coolant low"),
    "tool-broken": ("Gãy dao", "Tool broken"),
    "chuck-pressure": ("Áp suất mâm cặp thấp", "Chuck pressure low"),
    "bar-feeder": ("Lỗi bộ cấp phôi", "Bar feeder fault"),
}
_MORE_REASONS: Final = {
    "no-material": ("Chờ nguyên vật liệu", "No material", "starved"),
    "no-operator": ("Chờ người vận hành", "No operator", "unplanned_stop"),
    "cleaning": ("Vệ sinh máy", "Cleaning", "planned_stop"),
    "maintenance": ("Bảo trì phòng ngừa", "Preventive maintenance", "planned_stop"),
}
_TARGETS: Final = (
    {"oee": "70%"},
    {"line": "machining", "oee": "68%"},
    {"machine": "press-1", "oee": "72%", "pieces": 9000},
    {"machine": "inj-1", "quality": "97%"},
)
"""Above what most machines reach, so that the worklist and the gaps have something to say, and within reach of some."""


def site(
    ports: Mapping[str, str],
    broker_url: str,
    factory: Factory,
    *,
    username: str | None = None,
    password_file: str | None = None,
    ca_file: str | None = None,
) -> dict[str, Any]:
    """The site file. ports: device to `host:port` or OPC UA URL, as in the ports file."""
    center = {"broker": broker_url, "username": username, "password_file": password_file, "ca_file": ca_file}
    return {
        "site": SITE,
        "name": _name("Phụ trợ Sông Hồng", "Song Hong Components"),
        "timezone": factory.timezone,
        "center": {key: value for key, value in center.items() if value is not None},
        "devices": {machine.device: _device(machine, ports[machine.device]) for machine in factory.machines},
        "machines": {machine.id: _machine(machine) for machine in factory.machines},
        "products": {
            str(product.number): _product(machine, product.number, product.ideal_s)
            for machine in factory.machines
            for product in machine.products
        },
        "reasons": {key: {"name": _name(*names), "is": "breakdown"} for key, names in _REASON_NAMES.items()}
        | {key: {"name": _name(vi, en), "is": state} for key, (vi, en, state) in _MORE_REASONS.items()},
        "lines": {key: {"name": _name(*names), "flow": "parallel"} for key, names in _LINES.items()},
        "shifts": [
            {
                "name": shift.name,
                "days": ",".join(shift.days),
                "from": shift.start,
                "to": shift.end,
                "breaks": [f"{first}-{last}" for first, last in shift.breaks],
            }
            for shift in factory.shifts
        ],
        "exceptions": [{"date": day.isoformat(), "shifts": []} for day in factory.closed],
        "targets": [dict(target) for target in _TARGETS],
    }


def _name(vi: str, en: str) -> dict[str, str]:
    return {"vi": vi, "en": en}


def _device(machine: MachineSpec, place: str) -> dict[str, Any]:
    plc = PLCS[machine.plc]
    common = {"every": "1s", "retry_every": "500ms"}
    if plc.protocol == "opcua":
        tags: dict[str, Any] = {
            tag: {"node": f"nsu={NAMESPACES[machine.plc]};s={node.name}"}
            for tag, node in plc.places.items()
            if not isinstance(node, ModbusRegister)
        }
        return {"kind": "opcua", "url": place, "security": "None", **common, "tags": tags}
    host, _, port = place.rpartition(":")
    tags = {tag: _register(register) for tag, register in plc.places.items() if isinstance(register, ModbusRegister)}
    return {"kind": "modbus_tcp", "host": host, "port": int(port), "unit": 1, **common, "tags": tags}


def _register(register: ModbusRegister) -> dict[str, Any]:
    if register.table in {"coil", "discrete"}:
        return {register.table: register.address}
    if register.bit is not None:
        return {register.table: register.address, "bit": register.bit}
    if register.type == "uint16":
        return {register.table: register.address, "type": "uint16"}
    return {register.table: register.address, "type": register.type, "order": register.order}


def _product(machine: MachineSpec, number: int, ideal_s: float) -> dict[str, Any]:
    row: dict[str, Any] = {"name": _name(*_PRODUCTS[number]), "ideal": f"{ideal_s:g}s", "source": "timed"}
    if machine.cavities > 1:
        row |= {"ideal_per": "cycle", "per_count": machine.cavities}
    return row


def _machine(machine: MachineSpec) -> dict[str, Any]:
    vi, en, line = _NAMES[machine.id]
    device = machine.device
    alarm_state = [
        {"when": f"{device}.alarm > 0", "is": "breakdown"},
        {"when": f"{device}.running", "is": "running"},
        {"is": "unplanned_stop"},
    ]
    shown: dict[str, dict[str, Any]] = {
        "press": {
            "state": alarm_state,
            "pieces": {"total": f"{device}.strokes", "reject": f"{device}.rejects"},
            "product": f"{device}.recipe",
        },
        "cnc_rejects": {
            "state": [alarm_state[0], {"when": f"{device}.setup", "is": "setup"}, *alarm_state[1:]],
            "pieces": {"total": f"{device}.parts", "reject": f"{device}.rejects"},
            "product": f"{device}.program",
        },
        "cnc_good": {
            "state": alarm_state,
            "pieces": {"total": f"{device}.total", "good": f"{device}.good"},
            "product": f"{device}.program",
        },
        "moulder": {
            "state": {"profile": "euromap77", "status": f"{device}.status", "mode": f"{device}.mode"},
            "pieces": {"total": f"{device}.shots", "reject": f"{device}.bad", "per_count": machine.cavities},
            "product": f"{device}.job",
        },
        "packer": {
            "state": {
                "profile": "packml",
                **{parameter: f"{device}.{parameter}" for parameter in ("state", "mode", "starved", "blocked")},
            },
            "pieces": {"total": f"{device}.processed", "reject": f"{device}.defective"},
            "product": f"{device}.recipe",
        },
        "pulse": {
            "state": {"from_counts": {"ideals": 2.5, "at_least": "30s"}},
            "pieces": {"total": f"{device}.pulses", "reject": "operator"},
            "product": str(machine.products[0].number),
        },
    }
    row = {"name": _name(vi, en), "line": line, **shown[machine.plc]}
    if machine.id in _REASONS:
        row["reason"] = {
            "tag": f"{device}.alarm",
            "map": {str(code): key for code, key in _REASONS[machine.id].items()},
        }
    row["minor_stop_at_most"] = f"{machine.minor_limit_s:g}s"
    row["startup_pieces"] = machine.startup_pieces
    return row
