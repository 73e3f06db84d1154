"""Decodes bytes of a Modbus response into values.

Order names the bytes of a value as they arrive, A being the most significant: ABCD is what the standard means,
CDAB has its registers swapped, BADC the bytes within each register, DCBA both. For four registers the same
rules hold: CDAB reverses the registers, DCBA all bytes.

A whole response costs two calls into C whatever its tags are (`adapters.modbus.block`): its bytes are put into the order ABCD, and one
`struct` unpacks them. So a decoder is data, not a function: which bytes in which order, which `struct` code, and, where
needed, how the unpacked result becomes the value.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from adapters.modbus.model import REGISTERS, ByteOrder, ModbusTag, ModbusType, raw_code

Value = int | float | bool | str
Meaning = Callable[[Any], Value]
"""Turns what `struct` unpacked into the value. ValueError: the bytes are not a value of that type."""


class NotAvailable(ValueError):
    """The device sent a code that means that there is no value."""


_CODES = {
    "uint16": "H", "int16": "h", "float16": "e", "uint32": "I", "int32": "i", "float32": "f",
    "uint64": "Q", "int64": "q", "float64": "d",
}  # fmt: skip
FLOATS = frozenset({"float16", "float32", "float64"})


@dataclass(frozen=True, slots=True)
class Decoder:
    """code: of `struct`, big endian; order: the index of each byte within the value's registers, in the order ABCD;
    meaning: None where the unpacked result is the value.
    """

    code: str
    order: tuple[int, ...]
    meaning: Meaning | None = None

    def __call__(self, data: bytes, at: int) -> Value:
        """The value whose registers begin at byte `at` of a response.

        ValueError: the bytes are not a value of that type (a BCD digit above 9, a float that is NaN or infinite).
        """
        (raw,) = struct.unpack(f">{self.code}", bytes(data[at + index] for index in self.order))
        value: Value = raw if self.meaning is None else self.meaning(raw)
        return value


def decoder_of(tag: ModbusTag) -> Decoder | None:
    """The decoder that a tag's configuration asks for; None for a coil or discrete input."""
    if tag.table in {"coil", "discrete"}:
        return None
    codes = (raw_code(tag.value_type, tag.bits, code) for code in tag.invalid)
    return decoder(
        tag.value_type, tag.order, bit=tag.bit, length=tag.length or 0, scale=tag.scale, offset=tag.offset, bits=tag.bits,
        invalid=tuple(code for code in codes if code is not None),
    )  # fmt: skip


@lru_cache(None, typed=True)
def decoder(
    value_type: ModbusType,
    order: ByteOrder = "ABCD",
    *,
    bit: int | None = None,
    length: int = 0,
    scale: float = 1,
    offset: float = 0,
    bits: tuple[int, int] | None = None,
    invalid: tuple[int | float, ...] = (),
) -> Decoder:
    """A decoder of registers; tags of one type share it. bit: for bool, 0 is the lowest; length: of a string [characters];
    bits: lowest and highest of an unsigned integer, both included; invalid: what means "not available", before scaling.
    Integers stay integers unless scale or offset is a float.
    """
    registers = (length + 1) // 2 if value_type == "string" else REGISTERS[value_type]
    code, meaning = _raw(value_type, bit or 0, length)
    if bits is not None:
        meaning = _part(*bits)
    if invalid:
        meaning = _available(meaning, frozenset(invalid))
    if (scale, offset) != (1, 0):
        meaning = _scaled(meaning, scale, offset)
    return Decoder(code, _bytes_in_order(registers, order), meaning)


def coil(data: bytes, at: int) -> bool:
    """Bit `at` of a response to function 1 or 2: lowest bit of the first byte first."""
    return bool(data[at >> 3] >> (at & 7) & 1)


def _raw(value_type: ModbusType, bit: int, length: int) -> tuple[str, Meaning | None]:
    if value_type == "string":
        return f"{(length + 1) // 2 * 2}s", lambda raw: _text(raw[:length])
    if value_type == "bool":
        return "H", lambda raw: bool(raw >> bit & 1)
    if value_type in {"bcd16", "bcd32"}:
        return f"{2 * REGISTERS[value_type]}s", _bcd
    return _CODES[value_type], _finite if value_type in FLOATS else None


def _bytes_in_order(registers: int, order: ByteOrder) -> tuple[int, ...]:
    words = range(registers) if order in {"ABCD", "BADC"} else range(registers - 1, -1, -1)
    first, second = (0, 1) if order in {"ABCD", "CDAB"} else (1, 0)
    return tuple(2 * word + byte for word in words for byte in (first, second))


def _part(lowest: int, highest: int) -> Meaning:
    mask = (1 << highest - lowest + 1) - 1
    return lambda raw: raw >> lowest & mask


def _available(meaning: Meaning | None, codes: frozenset[int | float]) -> Meaning:
    def checked(raw: Any) -> Value:
        value: Value = raw if meaning is None else meaning(raw)
        if value in codes:
            raise NotAvailable(str(value))
        return value

    return checked


def _scaled(meaning: Meaning | None, scale: float, offset: float) -> Meaning:
    if meaning is None:
        return lambda raw: raw * scale + offset
    return lambda raw: meaning(raw) * scale + offset  # type: ignore[operator]  # bool and str have no scale


def _bcd(raw: bytes) -> int:
    text = raw.hex()
    if not text.isdecimal():
        raise ValueError(f"0x{text} is no BCD number")
    return int(text)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    return value


def _text(raw: bytes) -> str:
    """Without its padding: zeros, spaces, and 0xFF, which erased memory holds and no text contains."""
    return raw.split(b"\0", 1)[0].rstrip(b"\xff ").decode("utf-8", "replace").rstrip()
