"""Modbus tags in the site file: where a value lies, and how its registers are decoded."""

import re
import struct
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from config.devices.device import CounterWidth, TagModel
from config.yaml.complaints import InvalidValue

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
LAST_ADDRESS = 65535
_INTEGER = re.compile(r"(u?)int(\d+)")
TABLE_OF_DIGIT: dict[str, Table] = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
"""The table by the first digit of a Modicon reference."""


def reference(text: str) -> tuple[Table, int] | None:
    """A manual's reference as (table, address from 0): five digits or six, the first names the table and the rest
    counts from 1, so 40101 and 400101 are both holding register 100. None if it is none.
    """
    if not re.fullmatch(r"[0134](\d{4}|\d{5})", text) or not 1 <= int(text[1:]) <= LAST_ADDRESS + 1:
        return None
    return TABLE_OF_DIGIT[text[0]], int(text[1:]) - 1


def _address(value: Any, info: ValidationInfo) -> Any:
    """Refuses references and says what to write instead: guessing would be off by one somewhere."""
    if not isinstance(value, int) or isinstance(value, bool) or 0 <= value <= LAST_ADDRESS + 1:
        return value
    if reference(str(value)):
        raise InvalidValue(
            "modbus_reference", f"{value} is a reference, not an address; write `ref: {value}`", ref=value
        )
    raise InvalidValue("modbus_address", f"{info.field_name} {value} is outside 0–65535")


def _reference(value: Any) -> Any:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and reference(text):
        return text
    raise InvalidValue(
        "modbus_no_reference",
        f"{value!r} is no reference; write five or six digits that begin with 4 (holding), 3 (input), 1 (discrete) "
        'or 0 (coil; in quotes), as in `ref: 400101` or `ref: "00001"`',
    )


Address = Annotated[int, BeforeValidator(_address), Field(ge=0, le=LAST_ADDRESS + 1)]
Reference = Annotated[
    str, BeforeValidator(_reference), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]})
]


def _bit_range(value: Any) -> Any:
    """`0-7` as (lowest, highest), both included."""
    match = re.fullmatch(r"\s*(\d{1,2})\s*[-–]\s*(\d{1,2})\s*", value) if isinstance(value, str) else None
    if match:
        return (int(match[1]), int(match[2]))
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return tuple(value)
    raise InvalidValue("modbus_bits", f"{value!r} is no range of bits; write for example bits: 0-7")


BitRange = Annotated[
    tuple[int, int], BeforeValidator(_bit_range), WithJsonSchema({"type": "string", "examples": ["0-7"]})
]


class ModbusTag(TagModel):
    """One value: exactly one of coil, discrete, holding, input or ref says where it begins."""

    coil: Address | None = Field(None, description="A coil (function 1).", examples=[0])
    discrete: Address | None = Field(None, description="A discrete input (function 2).", examples=[0])
    holding: Address | None = Field(None, description="First holding register (function 3).", examples=[100])
    input: Address | None = Field(None, description="First input register (function 4).", examples=[10])
    ref: Reference | None = Field(
        None, description="The manual's reference, 4xxxx or 4xxxxx; counts from 1 whatever `addresses` says.",
        examples=[400101],
    )  # fmt: skip
    type: ModbusType | None = Field(None, description="bool for coils and bits, else uint16.", examples=["float32"])
    bit: Annotated[int, Field(ge=0, le=15)] | None = Field(None, description="One bit of a register, 0 = lowest.")
    bits: BitRange | None = Field(None, description="Some bits of an unsigned integer, 0-7 is its lowest byte.")
    invalid: tuple[int | float, ...] = Field(
        (), description='What the device sends for "not available", before scaling.', examples=[[0xFFFFFFFF]]
    )
    order: ByteOrder = Field("ABCD", description="Bytes as they come from the wire; CDAB swaps words, BADC bytes.")
    length: Annotated[int, Field(ge=1, le=250)] | None = Field(None, description="Characters of a string.")
    scale: int | float = Field(1, description="The value is what is read × scale + offset.")
    offset: int | float = Field(0, description="Added after scaling.")

    @property
    def table(self) -> Table:
        """The table in which it lies."""
        if self.ref is not None:
            return TABLE_OF_DIGIT[self.ref[0]]
        return next(table for table in TABLES if getattr(self, table) is not None)

    def first(self, base: int) -> int:
        """Its first address on the wire. base: what the device calls its first address, 0 or 1."""
        if self.ref is not None:
            return int(self.ref[1:]) - 1
        return int(getattr(self, self.table)) - base

    @property
    def written(self) -> str:
        """Its place as it stands in the site file."""
        return f"ref {self.ref}" if self.ref is not None else f"{self.table} {getattr(self, self.table)}"

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

    @property
    def counter_width(self) -> CounterWidth:
        """What is scaled, decimal (BCD), a float, 64 bits or one bit does not wrap."""
        match = _INTEGER.fullmatch(self.value_type)
        if self.bits is not None and self.scale == 1 and self.offset == 0:
            return CounterWidth(self.bits[1] - self.bits[0] + 1, signed=False)
        if match is None or self.scale != 1 or self.offset != 0 or match[2] == "64":
            return CounterWidth(None, signed=False)
        return CounterWidth(int(match[2]), not match[1])

    @property
    def text_type(self) -> str:
        """`string`, or ""."""
        return "string" if self.value_type == "string" else ""

    @property
    def is_bit(self) -> bool:
        """A coil, a discrete input, or a bit of a register."""
        return self.table in BIT_TABLES or self.value_type == "bool"

    @property
    def has_word_order(self) -> bool:
        """Two registers that hold an integer."""
        return self.value_type in {"uint32", "int32"}

    @property
    def has_byte_order(self) -> bool:
        """An integer of a whole register or two."""
        return self.value_type in {"uint16", "int16", "uint32", "int32"} and self.table not in BIT_TABLES

    @model_validator(mode="after")
    def _sound(self) -> Self:
        given = [key for key in (*TABLES, "ref") if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            text = f"a tag needs exactly one of coil, discrete, holding, input, ref; found {found}"
            raise InvalidValue("modbus_one_place", text, found=", ".join(given))
        _check(self)
        return self


def _check(tag: ModbusTag) -> None:
    """Refuses settings that contradict each other."""
    value_type, is_bit = tag.value_type, tag.table in BIT_TABLES
    if is_bit and (value_type != "bool" or tag.bit is not None):
        raise InvalidValue(
            "modbus_coil_is_bit",
            f"a {tag.table} is one bit: leave out type and bit, or read a register",
            table=tag.table,
        )
    if not is_bit and (value_type == "bool") != (tag.bit is not None):
        raise InvalidValue("modbus_bit", "a bool in a register needs `bit: 0..15`, and a bit has no other type")
    if (value_type == "string") != (tag.length is not None):
        raise InvalidValue("modbus_length", "`length` [characters] belongs to type string, and a string needs it")
    if value_type in {"bool", "string"} and (tag.scale != 1 or tag.offset != 0):
        raise InvalidValue("modbus_scale", f"scale and offset are for numbers, not for {value_type}", type=value_type)
    if value_type == "string" and tag.order not in {"ABCD", "BADC"}:
        text = f"a string has order ABCD or BADC (bytes swapped), not {tag.order}"
        raise InvalidValue("modbus_string_order", text, order=tag.order)
    if tag.scale == 0:
        raise InvalidValue("modbus_scale_zero", "scale 0 would make every value the same; leave it out for 1")
    _check_bits(tag)
    for code in tag.invalid:
        if raw_code(value_type, tag.bits, code) is None:
            raise InvalidValue(
                "modbus_invalid", f"invalid: {code} is never read as {value_type}", given=code, type=value_type
            )


def _check_bits(tag: ModbusTag) -> None:
    if tag.bits is None:
        return
    width = _width(tag.value_type)
    if tag.table in BIT_TABLES or tag.value_type[0] != "u" or not tag.bits[0] <= tag.bits[1] < width:
        text = f"bits: {tag.bits[0]}-{tag.bits[1]} is no part of {tag.value_type}; write for example bits: 0-7"
        raise InvalidValue("modbus_bits", text)


def _width(value_type: ModbusType) -> int:
    return 16 * REGISTERS.get(value_type, 0)


def raw_code(value_type: ModbusType, bits: tuple[int, int] | None, code: float) -> int | float | None:
    """A code for "not available" as it is read, before scaling; None if it cannot be.

    A signed type may be given the pattern: 0x8000 of an int16 is -32768.

    >>> raw_code("int16", None, 0x8000), raw_code("uint16", (0, 7), 0xFF), raw_code("uint16", None, 65536)
    (-32768, 255, None)
    """
    if value_type in {"bool", "string"}:
        return None
    if value_type.startswith("float"):
        form = {"float16": ">e", "float32": ">f", "float64": ">d"}[value_type]
        try:
            return float(struct.unpack(form, struct.pack(form, code))[0])
        except OverflowError:
            return None
    if code != int(code):
        return None
    if value_type.startswith("bcd"):
        return int(code) if 0 <= code < 10 ** (_width(value_type) // 4) else None
    width = bits[1] - bits[0] + 1 if bits else _width(value_type)
    signed = value_type[0] == "i"
    if signed and 1 << width - 1 <= code < 1 << width:
        code -= 1 << width
    lowest, highest = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    return int(code) if lowest <= code <= highest else None
