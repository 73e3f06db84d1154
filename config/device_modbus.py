"""Modbus devices and their tags, as written in the site file."""

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.device_common import DeviceBase, TagBase
from config.durations import Duration, DurationOrZero

Table = Literal["coil", "discrete", "holding", "input"]
"""The four address spaces: functions 1, 2, 3 and 4."""

ModbusType = Literal[
    "bool", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
    "bcd16", "bcd32", "string",
]  # fmt: skip
ByteOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]
TABLES: tuple[Table, ...] = get_args(Table)
BIT_TABLES = frozenset({"coil", "discrete"})
REGISTERS = {
    "bool": 1, "uint16": 1, "int16": 1, "float16": 1, "bcd16": 1, "uint32": 2, "int32": 2, "float32": 2, "bcd32": 2,
    "uint64": 4, "int64": 4, "float64": 4,
}  # fmt: skip
"""Registers that a value of each type takes; a string says so itself."""


def _address(value: Any) -> Any:
    """Refuses the 4xxxx notation of manuals with the number to write instead: guessing would be one off somewhere."""
    if not isinstance(value, int) or isinstance(value, bool) or 0 <= value <= 65535:
        return value
    advice = "addresses count from 0"
    if value > 65535 and 1 <= value % 100_000 <= 65536:
        advice = f"the manual's {value} is number {value % 100_000} of its kind: write {value % 100_000 - 1}"
    raise ValueError(f"address {value} is outside 0–65535; {advice}")


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
    raise ValueError(f"{value!r} is no range of addresses; write 200-299 or 200")


Address = Annotated[int, BeforeValidator(_address), Field(ge=0, le=65535)]
Span = Annotated[tuple[int, int], BeforeValidator(_span)]


class NeverRead(BaseModel):
    """Addresses that must not be touched, for example `{holding: 200-299}`: some do something when read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    coil: Span | None = None
    discrete: Span | None = None
    holding: Span | None = None
    input: Span | None = None

    def spans(self) -> tuple[tuple[Table, int, int], ...]:
        """(table, first, last), both ends included."""
        found = ((table, getattr(self, table)) for table in TABLES)
        return tuple((table, span[0], span[1]) for table, span in found if span)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.spans():
            raise ValueError("an empty entry; write for example {holding: 200-299}")
        for table, first, last in self.spans():
            if not 0 <= first <= last <= 65535:
                raise ValueError(f"{table} {first}-{last} is no range within 0–65535")
        return self


class ModbusTag(TagBase):
    """One value: exactly one of coil, discrete, holding, input gives its first address, counted from 0."""

    coil: Address | None = Field(None, description="Address of a coil (function 1).")
    discrete: Address | None = Field(None, description="Address of a discrete input (function 2).")
    holding: Address | None = Field(None, description="First holding register (function 3).")
    input: Address | None = Field(None, description="First input register (function 4).")
    type: ModbusType | None = Field(None, description="bool for coils and bits, else uint16.", examples=["float32"])
    bit: Annotated[int, Field(ge=0, le=15)] | None = Field(None, description="One bit of a register, 0 = lowest.")
    order: ByteOrder = Field("ABCD", description="Bytes as they come from the wire; CDAB swaps words, BADC bytes.")
    length: Annotated[int, Field(ge=1, le=250)] | None = Field(None, description="Characters of a string.")
    scale: int | float = Field(1, description="The value is what is read × scale + offset.")
    offset: int | float = Field(0, description="Added after scaling.")

    @property
    def table(self) -> Table:
        """Where it lies."""
        return next(table for table in TABLES if getattr(self, table) is not None)

    @property
    def address(self) -> int:
        """Its first address, from 0."""
        return int(getattr(self, self.table))

    @property
    def value_type(self) -> ModbusType:
        """`type`, or its default."""
        if self.type:
            return self.type
        return "bool" if self.table in BIT_TABLES or self.bit is not None else "uint16"

    @property
    def count(self) -> int:
        """How many addresses it takes [coils or registers]."""
        if self.value_type == "string":
            return ((self.length or 1) + 1) // 2
        return REGISTERS[self.value_type]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        given = [table for table in TABLES if getattr(self, table) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"a tag needs exactly one of coil, discrete, holding, input; found {found}")
        complaint = _complaint(self)
        if complaint:
            raise ValueError(complaint)
        return self


def _complaint(tag: ModbusTag) -> str:
    """What is wrong with a tag that has one address, or ''."""
    value_type, is_bit = tag.value_type, tag.table in BIT_TABLES
    if is_bit and (value_type != "bool" or tag.bit is not None):
        return f"a {tag.table} is one bit: leave out type and bit, or read a register"
    if not is_bit and (value_type == "bool") != (tag.bit is not None):
        return "a bool in a register needs `bit: 0..15`, and a bit has no other type"
    if (value_type == "string") != (tag.length is not None):
        return "`length` [characters] belongs to type string, and a string needs it"
    if value_type in {"bool", "string"} and (tag.scale != 1 or tag.offset != 0):
        return f"scale and offset are for numbers, not for {value_type}"
    if value_type == "string" and tag.order not in {"ABCD", "BADC"}:
        return f"a string has order ABCD or BADC (bytes swapped), not {tag.order}"
    if tag.scale == 0:
        return "scale 0 would make every value the same; leave it out for 1"
    if tag.address + tag.count > 65536:
        return f"{value_type} at {tag.table} {tag.address} runs beyond address 65535"
    return ""


class ModbusTcpDevice(DeviceBase):
    """A Modbus TCP server, or one unit behind a gateway. Devices with the same host and port share one socket."""

    kind: Literal["modbus_tcp"] = Field(description="The protocol.")
    host: str = Field(min_length=1, description="Address or name.", examples=["192.0.2.10"])
    port: int = Field(502, ge=1, le=65535, description="TCP port.")
    unit: int = Field(1, ge=0, le=255, description="Unit identifier; 0, 1 or 255 for a device that is its own server.")
    timeout: Duration = Field(1.0, description="How long one answer may take.")
    pause_after_connect: DurationOrZero = Field(0.0, description="Silence before the first request.")
    pause_between_requests: DurationOrZero = Field(0.0, description="Silence between two requests to this device.")
    max_requests_per_s: float | None = Field(None, gt=0, description="At most so many requests each second.")
    max_registers: int = Field(125, ge=1, le=125, description="Registers in one request.")
    max_bits: int = Field(2000, ge=1, le=2000, description="Coils or discrete inputs in one request.")
    max_gap: int = Field(
        16, ge=0, le=124, description="Unneeded registers (and 16 times as many bits) read to save a request."
    )
    never_read: tuple[NeverRead, ...] = Field((), description="Ranges that no request may touch.")
    tags: dict[str, ModbusTag] = Field(min_length=1, description="What is read, by name.")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for name, tag in self.tags.items():
            limit = self.max_bits if tag.table in BIT_TABLES else self.max_registers
            if tag.count > limit:
                raise ValueError(f"tags.{name} takes {tag.count} registers, more than max_registers {limit}")
            last = tag.address + tag.count - 1
            for table, first, end in (span for entry in self.never_read for span in entry.spans()):
                if table == tag.table and first <= last and tag.address <= end:
                    raise ValueError(f"tags.{name}: {table} {tag.address} lies in never_read {table} {first}-{end}")
        return self
