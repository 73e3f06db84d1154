"""What a few registers may mean, compared with the number that the machine's display shows. Pure.

Every type, byte order, address within the span and power of ten is tried. A decoding *fits* if the display could
show its value: rounded to the display's digits, or, second best, truncated to them. Fitting decodings are ordered by how
plausible they are: the given address before its neighbours (manuals count from 1), no factor before a factor,
common types and orders before rare ones. What fits equally well can only be told apart by another value: see
`still_fitting`.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from adapters.modbus.decode import FLOATS, decoder
from adapters.modbus.model import REGISTERS, ByteOrder, ModbusType, Table

SCALES: Final = (1.0, 0.1, 0.01, 0.001, 10.0, 100.0, 1000.0)
TYPES: Final[tuple[ModbusType, ...]] = (
    "uint16", "int16", "uint32", "float32", "int32", "bcd16", "bcd32", "float64", "uint64", "int64", "float16",
)  # fmt: skip
ORDERS: Final[tuple[ByteOrder, ...]] = ("ABCD", "CDAB", "BADC", "DCBA")
_SINGLE: Final[tuple[ByteOrder, ...]] = ("ABCD", "BADC")
"""Orders that differ for one register; for text too."""
_TINY: Final = 1e-6
"""A float closer to 0 than this is two small integers decoded as a float."""


LIT: Final = {"on": True, "off": False, "bật": True, "tắt": False, "sáng": True}
"""Words for a lamp or a contact."""


class Fit(IntEnum):
    """How well a value agrees with the display."""

    ROUNDED = 0
    CUT = 1
    NOT = 2


@dataclass(frozen=True)
class DisplayedValue:
    """What a display shows. value, digit: a number and the weight of its last digit, else NaN; text: a text, ""; lit:
    whether a lamp is lit, None where it is not a lamp.
    """

    value: float
    digit: float
    text: str = ""
    lit: bool | None = None


@dataclass(frozen=True)
class RegisterBlock:
    """Registers as read from the device, or coils, each as a register that holds 0 or 1.

    start: address of the first; data: two bytes for each.
    """

    start: int
    data: bytes

    @property
    def end(self) -> int:
        """The address after its last."""
        return self.start + len(self.data) // 2


@dataclass(frozen=True)
class Decoding:
    """One way to decode a value. scale: factor on what the registers hold; length: of a text [characters]; bit: of a
    bool, 0 = lowest, None for a coil.
    """

    address: int
    value_type: ModbusType
    order: ByteOrder
    scale: float = 1.0
    length: int = 0
    bit: int | None = None

    @property
    def registers(self) -> int:
        """How many registers it takes."""
        return (self.length + 1) // 2 if self.value_type == "string" else REGISTERS[self.value_type]


@dataclass(frozen=True)
class Candidate:
    """A decoding that fits, its value [as displayed], and how well it fits."""

    decoding: Decoding
    value: float | str
    fit: Fit


def parse_shown(text: str) -> DisplayedValue:
    """A display's text as a number with its last digit, else as text. The last of `.` and `,` is the decimal sign,
    if there is only one of them.

    >>> parse_shown("12,50")
    DisplayedValue(value=12.5, digit=0.01, text='', lit=None)
    """
    if text.strip().lower() in LIT:
        return DisplayedValue(math.nan, math.nan, lit=LIT[text.strip().lower()])
    bare = re.sub(r"[\s\u00a0\u202f_]", "", text).replace("−", "-")
    if not re.fullmatch(r"[+-]?\d+([.,]\d+)*", bare):
        return DisplayedValue(math.nan, math.nan, text.strip())
    marks = [mark for mark in bare if mark in ".,"]
    decimal = marks[-1] if marks and marks.count(marks[-1]) == 1 else ""
    whole, _, part = bare.rpartition(decimal) if decimal else (bare, "", "")
    digits = re.sub(r"[.,]", "", whole)
    return DisplayedValue(float(f"{digits}.{part or 0}"), 10.0 ** -len(part))


def decodings(block: RegisterBlock, shown: DisplayedValue, *, coils: bool = False) -> Iterator[Decoding]:
    """Every way to decode a value within the block. coils: its addresses are single bits."""
    for address in range(block.start, block.end):
        if coils or shown.lit is not None:
            bits = (None,) if coils else range(16)
            yield from (Decoding(address, "bool", "ABCD", bit=bit) for bit in bits)
            continue
        if shown.text:
            size = len(shown.text.encode())
            if address + (size + 1) // 2 <= block.end:
                yield from (Decoding(address, "string", order, length=size) for order in _SINGLE)
            continue
        for value_type in TYPES:
            if address + REGISTERS[value_type] > block.end:
                continue
            for order in _SINGLE if REGISTERS[value_type] == 1 else ORDERS:
                yield from (Decoding(address, value_type, order, scale) for scale in SCALES)


def read(decoding: Decoding, block: RegisterBlock) -> float | str | None:
    """The value by a decoding; None where the bytes are not a value of its type, or lie outside the block."""
    if decoding.address < block.start or decoding.address + decoding.registers > block.end:
        return None
    if decoding.value_type == "bool":
        at = 2 * (decoding.address - block.start)
        return bool(int.from_bytes(block.data[at : at + 2], "big") >> (decoding.bit or 0) & 1)
    decode = decoder(decoding.value_type, decoding.order, length=decoding.length)
    try:
        value = decode(block.data, 2 * (decoding.address - block.start))
    except ValueError:
        return None
    if isinstance(value, str):
        return value
    if decoding.value_type in FLOATS and 0 < abs(value) < _TINY:
        return None
    return value * decoding.scale if decoding.scale >= 1 else value / round(1 / decoding.scale)


def fit(value: float | str | None, shown: DisplayedValue) -> Fit:
    """How well a value agrees with the display."""
    if value is None:
        return Fit.NOT
    if isinstance(value, bool):
        wanted = shown.lit if shown.lit is not None else shown.value
        return Fit.ROUNDED if value == wanted else Fit.NOT
    if isinstance(value, str) or shown.text:
        return Fit.ROUNDED if value == shown.text else Fit.NOT
    slack = 1e-6 * abs(shown.value) + 1e-9 * shown.digit
    if abs(value - shown.value) <= shown.digit / 2 + slack:
        return Fit.ROUNDED
    beyond = abs(value) - abs(shown.value)
    same_sign = value * shown.value > 0 or abs(value) < shown.digit
    return Fit.CUT if same_sign and 0 <= beyond < shown.digit - slack else Fit.NOT


def ranked(
    blocks: Sequence[RegisterBlock], address: int, shown: DisplayedValue, *, coils: bool = False
) -> list[Candidate]:
    """Every decoding that fits in one of the blocks, the most plausible first.

    blocks: the same registers, read several times, since a display lags; address: the one that was given;
    coils: see `decodings`.
    """
    best: dict[Decoding, Candidate] = {}
    for block in blocks:
        for decoding in decodings(block, shown, coils=coils):
            value = read(decoding, block)
            if value is not None and (candidate := Candidate(decoding, value, fit(value, shown))).fit is not Fit.NOT:
                best[decoding] = min(best.get(decoding, candidate), candidate, key=lambda each: each.fit)
    return sorted(best.values(), key=lambda decoding: _order(decoding, address))


def still_fitting(
    candidates: Sequence[Candidate], blocks: Sequence[RegisterBlock], shown: DisplayedValue
) -> list[Candidate]:
    """The candidates that also fit another value on the display. blocks: read while it was shown; it is enough to fit one
    of them, since the display lags.
    """
    remaining = []
    for item in candidates:
        fits = [(fit(value, shown), value) for block in blocks if (value := read(item.decoding, block)) is not None]
        best = min(fits, key=lambda pair: pair[0], default=(Fit.NOT, 0.0))
        if best[0] is not Fit.NOT:
            remaining.append(Candidate(item.decoding, best[1], max(item.fit, best[0])))
    return sorted(remaining, key=lambda item: item.fit)


def equals(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that fit as well as the first: only another value can tell them apart."""
    return [item for item in candidates if item.fit is candidates[0].fit]


def ways(candidates: Sequence[Candidate]) -> int:
    """The number of different decodings among them, signed and unsigned counted once: only a value below zero, or
    beyond half the range, tells those apart.
    """
    each = (item.decoding for item in candidates)
    return len({(item.address, item.value_type.removeprefix("u"), item.order, item.scale, item.bit) for item in each})


def tag_line(name: str, table: Table, decoding: Decoding) -> str:
    """The line of the site file for a tag with this decoding."""
    if decoding.value_type == "bool":
        bit = "" if decoding.bit is None else f", bit: {decoding.bit}"
        return f"{name}: {{{table}: {decoding.address}{bit}}}"
    parts = [f"{table}: {decoding.address}", f"type: {decoding.value_type}"]
    if decoding.registers > 1 and decoding.value_type != "string":
        parts.append(f"order: {decoding.order}")
    elif decoding.order == "BADC":
        parts.append("order: BADC")
    if decoding.value_type == "string":
        parts.append(f"length: {decoding.length}")
    if decoding.scale != 1:
        parts.append(f"scale: {decoding.scale:g}")
    return f"{name}: {{{', '.join(parts)}}}"


def _order(item: Candidate, address: int) -> tuple[int, ...]:
    decoding = item.decoding
    offset = decoding.address - address
    nearness = {0: 0, -1: 1, 1: 2}.get(offset, 2 + abs(offset))
    kind = TYPES.index(decoding.value_type) if decoding.value_type in TYPES else decoding.bit or 0
    return (
        item.fit,
        min(nearness, 3),
        SCALES.index(decoding.scale),
        kind,
        ORDERS.index(decoding.order),
        nearness,
    )
