"""Bytes of a Modbus answer to values. A decoder is made once for each tag and then costs one call.

Order names the bytes of a value as they arrive, A being the most significant: ABCD is what the standard means,
CDAB has its registers swapped, BADC the bytes within each register, DCBA both. For four registers the same
rules hold: CDAB reverses the registers, DCBA all bytes.
"""

import math
import struct
from collections.abc import Callable

from config.device_modbus import REGISTERS, ByteOrder, ModbusTag, ModbusType

Decoder = Callable[[bytes, int], int | float | bool | str]
"""(answer, offset in the answer) to a value; the offset counts bytes for registers, bits for coils.
ValueError: the bytes are no value of that type (a digit of a BCD above 9, a float that is no number)."""

Shape = Callable[[bytes], bytes]

_FORMATS = {
    "uint16": ">H", "int16": ">h", "float16": ">e", "uint32": ">I", "int32": ">i", "float32": ">f",
    "uint64": ">Q", "int64": ">q", "float64": ">d",
}  # fmt: skip
FLOATS = frozenset({"float16", "float32", "float64"})


def decoder_of(tag: ModbusTag) -> Decoder:
    """The decoder that a tag's configuration asks for."""
    if tag.table in {"coil", "discrete"}:
        return coil
    return decoder(tag.value_type, tag.order, bit=tag.bit, length=tag.length or 0, scale=tag.scale, offset=tag.offset)


def decoder(
    value_type: ModbusType,
    order: ByteOrder = "ABCD",
    *,
    bit: int | None = None,
    length: int = 0,
    scale: float = 1,
    offset: float = 0,
) -> Decoder:
    """A decoder of registers. bit: for bool, 0 is the lowest; length: of a string [characters].
    Integers stay integers unless scale or offset is a float.
    """
    raw = _raw(value_type, order, bit or 0, length)
    if scale == 1 and offset == 0:
        return raw
    return lambda data, at: raw(data, at) * scale + offset  # type: ignore[operator]  # bool and str have no scale


def coil(data: bytes, at: int) -> bool:
    """Bit `at` of an answer to function 1 or 2: lowest bit of the first byte first."""
    return bool(data[at >> 3] >> (at & 7) & 1)


def _raw(value_type: ModbusType, order: ByteOrder, bit: int, length: int) -> Decoder:
    if value_type == "string":
        return _string(_shape(order), length)
    size, shape = 2 * REGISTERS[value_type], _shape(order)
    if value_type == "bool":
        return lambda data, at: bool(int.from_bytes(shape(data[at : at + 2]), "big") >> bit & 1)
    if value_type in {"bcd16", "bcd32"}:
        return lambda data, at: _bcd(shape(data[at : at + size]))
    number = struct.Struct(_FORMATS[value_type])
    if value_type in FLOATS:
        return lambda data, at: _finite(number.unpack(shape(data[at : at + size]))[0])
    if order == "ABCD":
        return lambda data, at: number.unpack_from(data, at)[0]
    return lambda data, at: number.unpack(shape(data[at : at + size]))[0]


def _shape(order: ByteOrder) -> Shape:
    """Puts the bytes of a value into the order ABCD."""
    return {"ABCD": _as_is, "CDAB": _swap_words, "BADC": _swap_bytes, "DCBA": _reverse}[order]


def _as_is(data: bytes) -> bytes:
    return data


def _reverse(data: bytes) -> bytes:
    return data[::-1]


def _swap_bytes(data: bytes) -> bytes:
    out = bytearray(len(data))
    out[0::2], out[1::2] = data[1::2], data[0::2]
    return bytes(out)


def _swap_words(data: bytes) -> bytes:
    return _swap_bytes(data[::-1])


def _bcd(data: bytes) -> int:
    text = data.hex()
    if not text.isdecimal():
        raise ValueError(f"0x{text} is no BCD number")
    return int(text)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    return value


def _string(shape: Shape, length: int) -> Decoder:
    size = (length + 1) // 2 * 2

    def decode(data: bytes, at: int) -> str:
        text = shape(data[at : at + size])[:length].split(b"\0", 1)[0]
        return text.decode("utf-8", "replace").rstrip()

    return decode
