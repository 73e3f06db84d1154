"""A Modbus server or line as typed on the command line: its settings as in the site file, and its bus.

A technician rarely knows a line's speed, so a scan may try several settings in turn. Each begins with listening, and a
line with another master is left alone, whatever its speed.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.modbus.bus.bus import Bus, network_bus, serial_bus
from adapters.modbus.model import ModbusRtuDevice, ModbusTcpDevice

Peer = ModbusTcpDevice | ModbusRtuDevice

COMMON = ((9600, "none"), (19200, "even"), (9600, "even"), (19200, "none"))
"""Factory settings of speed and parity, the commonest first."""
_ANY_TAG = {"any": {"holding": 0}}


@dataclass(frozen=True)
class Serial:
    """Settings of a serial line from the command line; an empty sequence was not given. over_network: RTU over TCP."""

    bauds: Sequence[int] = ()
    parities: Sequence[str] = ()
    stop_bits: int = 1
    listen_s: float = 3.0
    echo: bool = False
    over_network: bool = False


def is_serial_port(place: str) -> bool:
    """Whether a place is a serial port of this machine: a path, or a Windows name."""
    return "/" in place or re.fullmatch(r"COM\d+", place) is not None


def peers_at(place: str, unit: int, serial: Serial, *, one: bool) -> list[Peer]:
    """The settings to try at a place, in order. one: only the first.

    Raises pydantic's `ValidationError` where the site file would refuse the settings.
    """
    given = {"unit": unit, "tags": _ANY_TAG, "listen": f"{serial.listen_s}s", "echo": serial.echo}
    if not is_serial_port(place):
        host, _, port = place.partition(":")
        framing = "rtu" if serial.over_network else "tcp"
        place_settings = {"kind": "modbus_tcp", "host": host, "port": int(port or 502), "framing": framing}
        return [ModbusTcpDevice.model_validate(given | place_settings)]
    place_settings = {"kind": "modbus_rtu", "port": place, "stop_bits": serial.stop_bits}
    peers: list[Peer] = [
        ModbusRtuDevice.model_validate(given | place_settings | {"baud": baud, "parity": parity})
        for baud, parity in _speeds(serial)
    ]
    return peers[:1] if one else peers


def _speeds(serial: Serial) -> list[tuple[int, str]]:
    """The common settings that match the given ones, then all other combinations of the given ones."""
    bauds, parities = serial.bauds, serial.parities
    common = [
        (baud, parity)
        for baud, parity in COMMON
        if (not bauds or baud in bauds) and (not parities or parity in parities)
    ]
    given = [(baud, parity) for baud in bauds for parity in (parities or ("none", "even"))]
    return [*common, *(pair for pair in given if pair not in common)]


def is_serial(peer: Peer) -> bool:
    """Whether it is on a serial line of this machine."""
    return isinstance(peer, ModbusRtuDevice)


def open_bus(peer: Peer) -> Bus:
    """The bus of a peer; silent units are never skipped."""
    if isinstance(peer, ModbusRtuDevice):
        return serial_bus([peer], most_silences=sys.maxsize)
    return network_bus([peer], most_silences=sys.maxsize)


def title(peer: Peer) -> str:
    """`192.168.1.10:502`, or `/dev/ttyUSB0 (9600 8N1)`."""
    if isinstance(peer, ModbusRtuDevice):
        return f"{peer.port} ({peer.speed})"
    return f"{peer.host}:{peer.port}" + (" (RTU)" if peer.framing == "rtu" else "")


def typed(peer: Peer) -> str:
    """The peer as arguments of the command line."""
    if isinstance(peer, ModbusRtuDevice):
        stop = "" if peer.stop_bits == 1 else f" --stop-bits {peer.stop_bits}"
        echo = " --echo" if peer.echo else ""
        return f"{peer.port} --baud {peer.baud} --parity {peer.parity}{stop}{echo}"
    return f"{peer.host}:{peer.port}" + (" --framing rtu" if peer.framing == "rtu" else "")


def settings(peer: Peer) -> dict[str, object]:
    """The peer as keys of the site file, without unit and tags."""
    if isinstance(peer, ModbusRtuDevice):
        given: dict[str, object] = {"kind": peer.kind, "port": peer.port, "baud": peer.baud, "parity": peer.parity}
        given |= {} if peer.stop_bits == 1 else {"stop_bits": peer.stop_bits}
        return given | ({"echo": True} if peer.echo else {})
    framing = {"framing": peer.framing} if peer.framing == "rtu" else {}
    return {"kind": peer.kind, "host": peer.host, "port": peer.port, **framing}
