"""Modbus devices as written in the site file: over TCP, and over a serial line."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from adapters.modbus.tag import (
    BIT_TABLES,
    LAST_ADDRESS,
    REGISTERS,
    TABLES,
    ByteOrder,
    ModbusTag,
    ModbusType,
    Table,
    raw_code,
    reference,
)
from config.devices.device import DeviceModel
from config.yaml.common import Host
from config.yaml.complaints import Complaint, InvalidValue, SourceMap
from config.yaml.times import Duration, DurationOrZero

__all__ = [
    "BIT_TABLES",
    "REGISTERS",
    "TABLES",
    "ByteOrder",
    "ModbusDevice",
    "ModbusRtuDevice",
    "ModbusTag",
    "ModbusTcpDevice",
    "ModbusType",
    "Rs485",
    "Table",
    "raw_code",
]
LONGEST_LISTEN_S: Final = 10.0
_CHANGING_NAME: Final = re.compile(r"/dev/tty(USB|ACM)\d+")
BITS_OF_PARITY: Final = {"none": 0, "even": 1, "odd": 1}


def _span(value: Any) -> Any:
    """`200-299` or one address as (first, last), both included."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+)\s*(?:[-–]\s*(\d+))?\s*", value)
        if match:
            return (int(match[1]), int(match[2] or match[1]))
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return tuple(value)
    raise InvalidValue("modbus_range", f"{value!r} is no range of addresses; write 200-299 or 200", span=value)


Span = Annotated[
    tuple[int, int],
    BeforeValidator(_span),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}], "examples": ["200-299"]}),
]


class NeverRead(BaseModel):
    """Addresses that must not be touched, for example `{holding: 200-299}`: some do something when read."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    coil: Span | None = Field(None, description="Coils.")
    discrete: Span | None = Field(None, description="Discrete inputs.")
    holding: Span | None = Field(None, description="Holding registers.")
    input: Span | None = Field(None, description="Input registers.")

    def spans(self) -> tuple[tuple[Table, int, int], ...]:
        """(table, first, last) as written, both ends included."""
        found = ((table, getattr(self, table)) for table in TABLES)
        return tuple((table, span[0], span[1]) for table, span in found if span)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.spans():
            raise InvalidValue("modbus_range_empty", "an empty entry; write for example {holding: 200-299}")
        for table, first, last in self.spans():
            if not 0 <= first <= last <= LAST_ADDRESS + 1:
                text = f"{table} {first}-{last} is no range within 0–65535"
                raise InvalidValue("modbus_range", text, span=f"{table} {first}-{last}")
        return self


class ModbusDevice(DeviceModel):
    """What every Modbus device may say."""

    unit: int = Field(1, ge=0, le=255, description="Unit identifier; 0, 1 or 255 for a device that is its own server.")
    timeout: Duration = Field(1.0, description="How long a device may take to begin its answer.")
    pause_between_requests: DurationOrZero = Field(0.0, description="Silence between two requests to this device.")
    max_requests_per_s: float | None = Field(None, gt=0, description="At most so many requests each second.")
    max_registers: int = Field(125, ge=1, le=125, description="Registers in one request.")
    max_bits: int = Field(2000, ge=1, le=2000, description="Coils or discrete inputs in one request.")
    max_gap: int = Field(
        16, ge=0, le=124, description="Unneeded registers (and 16 times as many bits) read to save a request."
    )
    addresses: Literal["zero_based", "one_based"] = Field(
        "zero_based", description="What the manual calls the first address of a table: 0 or 1."
    )
    never_read: tuple[NeverRead, ...] = Field((), description="Ranges that no request may touch.")
    listen: DurationOrZero = Field(
        3.0,
        le=LONGEST_LISTEN_S,
        description="How long to listen for another master before the first request on a line.",
    )
    echo: bool = Field(False, description="The RS-485 adapter hears what it sends (two wires, no echo suppression).")
    tags: dict[str, ModbusTag] = Field(min_length=1, description="What is read, by name.")

    @property
    def base(self) -> int:
        """The first address in the words of the site file: 0 or 1."""
        return int(self.addresses == "one_based")

    def forbidden(self) -> tuple[tuple[Table, int, int], ...]:
        """`never_read` as addresses on the wire: (table, first, last), both ends included."""
        spans = (span for entry in self.never_read for span in entry.spans())
        return tuple((table, first - self.base, last - self.base) for table, first, last in spans)

    def address(self, tag: str) -> str:
        """`holding 100 uint32 CDAB`, `ref 400101.3 bool`."""
        model = self.tags[tag]
        words = model.count >= 2 and model.value_type != "string"
        order = f" {model.order}" if words or model.order != "ABCD" else ""
        bit = f".{model.bit}" if model.bit is not None else f".{model.bits[0]}-{model.bits[1]}" if model.bits else ""
        return f"{model.written}{bit} {model.value_type}{order}"

    def line_settings(self) -> dict[str, object]:
        """How to listen before the first request, and whether the adapter echoes."""
        return {"listen": self.listen, "echo": self.echo}

    def warnings(self, name: str, source: SourceMap) -> Iterator[Complaint]:
        """Addresses that look like a manual's references."""
        for tag, model in self.tags.items():
            for table in TABLES:
                number = getattr(model, table)
                meant = reference(str(number)) if number is not None else None
                if meant and meant[0] == table:
                    where = ("devices", name, "tags", tag, table)
                    first = meant[1] + self.base
                    yield source.complain("modbus_looks_like_reference", where, number, severity="warning", first=first)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for table, first, last in self.forbidden():
            if not 0 <= first <= last <= LAST_ADDRESS:
                span = f"{table} {first + self.base}-{last + self.base}"
                raise InvalidValue("modbus_range", f"never_read {span} is beyond the addresses of a table", span=span)
        for name, tag in self.tags.items():
            _check_place(self, name, tag)
        return self


def _check_place(device: ModbusDevice, name: str, tag: ModbusTag) -> None:
    """Refuses a tag that no request to this device could read."""
    first, last = tag.first(device.base), tag.first(device.base) + tag.count - 1
    lowest, highest = device.base, device.base + LAST_ADDRESS
    if first < 0 or last > LAST_ADDRESS:
        text = f"tags.{name}: {tag.written}, {tag.count} long, runs beyond the addresses {lowest}–{highest}"
        raise InvalidValue(
            "modbus_beyond", text, tag=name, place=tag.written, count=tag.count, lowest=lowest, highest=highest
        )
    limit, key = (device.max_bits, "max_bits") if tag.table in BIT_TABLES else (device.max_registers, "max_registers")
    if tag.count > limit:
        text = f"tags.{name} takes {tag.count} registers, more than {key} {limit}"
        raise InvalidValue("modbus_too_long", text, tag=name, count=tag.count, option=key, limit=limit)
    for table, start, end in device.forbidden():
        if table == tag.table and first <= end and start <= last:
            span = f"{table} {start + device.base}-{end + device.base}"
            text = f"tags.{name}: {tag.written} lies in never_read {span}"
            raise InvalidValue("modbus_never_read", text, tag=name, place=tag.written, span=span)


class ModbusTcpDevice(ModbusDevice):
    """A Modbus TCP server, or one unit behind a gateway. Devices with the same host and port share one socket."""

    kind: Literal["modbus_tcp"] = Field(description="The protocol.")
    host: Host = Field(min_length=1, description="Address or name.", examples=["192.0.2.10"])
    port: int = Field(502, ge=1, le=65535, description="TCP port.")
    framing: Literal["tcp", "rtu"] = Field(
        "tcp", description="rtu: a converter that passes serial frames on as they are (RTU over TCP)."
    )
    pause_after_connect: DurationOrZero = Field(0.0, description="Silence before the first request.")

    @property
    def line(self) -> str:
        """Devices with the same host and port share one socket."""
        return f"{self.host}:{self.port}"

    @property
    def place(self) -> str:
        """`192.0.2.10:502, unit 1`."""
        return f"{self.line}, unit {self.unit}"

    def line_settings(self) -> dict[str, object]:
        """Also the framing."""
        return {"framing": self.framing, **super().line_settings()}

    @model_validator(mode="after")
    def _addressable(self) -> Self:
        if self.framing == "rtu":
            _check_unit(self.unit)
        return self


class Rs485(BaseModel):
    """A port that must be switched between sending and receiving: on-board RS-485. USB adapters switch by themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    rts_while_sending: bool = Field(True, description="Level of RTS while sending; the reverse while listening.")
    delay_before_send: DurationOrZero = Field(0.0, description="From RTS to the first bit.", examples=["0s"])
    delay_after_send: DurationOrZero = Field(0.0, description="From the last bit to RTS.", examples=["1ms"])


class ModbusRtuDevice(ModbusDevice):
    """One unit on a serial line. Devices with the same port share the line and take turns."""

    kind: Literal["modbus_rtu"] = Field(description="The protocol.")
    port: str = Field(
        min_length=1,
        description="The serial port, by a name that stays the same when it is plugged in again.",
        examples=["/dev/serial/by-id/usb-FTDI_FT232R-if00-port0"],
    )
    baud: int = Field(19200, ge=300, le=4_000_000, description="Bits per second.", examples=[9600])
    parity: Literal["even", "odd", "none"] = Field("even", description="The standard says even; many devices say none.")
    stop_bits: Literal[1, 2] = Field(1, description="Stop bits.")
    rs485: Rs485 | None = Field(None, description="For a port that must be told when to send.")

    @property
    def line(self) -> str:
        """Devices on the same port share it."""
        return self.port

    @property
    def speed(self) -> str:
        """`9600 8E1`."""
        return f"{self.baud} 8{self.parity[0].upper()}{self.stop_bits}"

    @property
    def place(self) -> str:
        """`/dev/ttyUSB0, 9600 8E1, unit 3`."""
        return f"{self.port}, {self.speed}, unit {self.unit}"

    def line_settings(self) -> dict[str, object]:
        """Also everything about the port."""
        own: dict[str, object] = {"baud": self.baud, "parity": self.parity, "stop_bits": self.stop_bits}
        return {**own, "rs485": self.rs485, **super().line_settings()}

    def warnings(self, name: str, source: SourceMap) -> Iterator[Complaint]:
        """Also a port whose name changes with the order in which adapters are plugged in."""
        if _CHANGING_NAME.fullmatch(self.port):
            yield source.complain("modbus_port_name", ("devices", name, "port"), self.port, severity="warning")
        yield from super().warnings(name, source)

    @property
    def bits_per_character(self) -> int:
        """Start bit, eight data bits, parity and stop bits."""
        return 9 + BITS_OF_PARITY[self.parity] + self.stop_bits

    @model_validator(mode="after")
    def _addressable(self) -> Self:
        _check_unit(self.unit)
        return self


def _check_unit(unit: int) -> None:
    """Refuses the broadcast address 0, which nobody answers, and addresses above 247, which are reserved on a line."""
    if not 1 <= unit <= 247:
        raise InvalidValue(
            "modbus_unit", f"unit {unit} cannot answer on a serial line; units there are 1–247", unit=unit
        )
