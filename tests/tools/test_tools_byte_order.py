"""Whatever a register holds, in any type, order, factor and within one address: the finder puts it first or among equals."""

import math
import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.modbus.decode import decoder
from adapters.modbus.model import REGISTERS, ModbusTag
from adapters.modbus.service.decodings import (
    ORDERS,
    SCALES,
    TYPES,
    Candidate,
    Decoding,
    Fit,
    RegisterBlock,
    equals,
    fit,
    parse_shown,
    ranked,
    read,
    still_fitting,
    tag_line,
)
from config.yaml.tree import read_tree, value

FORMATS = {"uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q",
           "float16": "e", "float32": "f", "float64": "d"}  # fmt: skip


def laid_out(big, order):
    """Bytes of a value, most significant first, in another order; written without the code under test."""
    words = [big[at : at + 2] for at in range(0, len(big), 2)]
    if order in {"CDAB", "DCBA"}:
        words.reverse()
    if order in {"BADC", "DCBA"}:
        words = [word[::-1] for word in words]
    return b"".join(words)


def encoded(value_type, order, raw):
    if value_type.startswith("bcd"):
        return laid_out(bytes.fromhex(f"{raw:0{4 * REGISTERS[value_type]}d}"), order)
    return laid_out(struct.pack(">" + FORMATS[value_type], raw), order)


@st.composite
def readings(draw):
    """A type, an order, a raw value, a factor, where it lies, what is around it, and what the display shows."""
    value_type = draw(st.sampled_from(TYPES))
    order = draw(st.sampled_from(ORDERS if REGISTERS[value_type] > 1 else ("ABCD", "BADC")))
    digits = draw(st.integers(0, 3))
    if value_type.startswith("float"):
        width = {"float16": 16, "float32": 32, "float64": 64}[value_type]
        limit = 60_000 if width == 16 else 1e9
        raw = draw(st.floats(-limit, limit, width=width).filter(lambda x: x == 0 or abs(x) > 0.01))
        scale = 1.0
    else:
        bits = 16 * REGISTERS[value_type]
        top = {"bcd16": 9999, "bcd32": 99_999_999}.get(value_type) or min(
            10**9, 2 ** (bits - value_type.startswith("int")) - 1
        )
        raw = draw(st.integers(-top if value_type.startswith("int") else 0, top))
        scale = draw(st.sampled_from(SCALES))
    before = draw(st.binary(min_size=4, max_size=4))
    after = draw(st.binary(min_size=8, max_size=8))
    offset = draw(st.sampled_from((-1, 0, 1)))
    shown = f"{raw * scale:.{digits}f}"
    return value_type, order, raw, scale, before, after, offset, shown


@given(readings())
def test_the_truth_is_first_or_among_equals(reading):
    value_type, order, raw, scale, before, after, offset, shown = reading
    address = 100
    block = RegisterBlock(address + offset - 2, before + encoded(value_type, order, raw) + after)
    assume(abs(float(shown)) > 0 or raw == 0)
    found = ranked([block], address, parse_shown(shown))
    truth = Decoding(address + offset, value_type, order, scale)
    assert truth in [item.decoding for item in equals(found)]


@given(readings(), st.integers(0, 1))
def test_what_is_read_is_what_the_adapter_would_read(reading, lead):
    value_type, order, raw, scale, before, after, _, _ = reading
    data = before + encoded(value_type, order, raw) + after
    line = tag_line("x", "holding", Decoding(2, value_type, order, scale))
    tag = ModbusTag.model_validate(value(read_tree(line, "")[0])["x"])
    decode = decoder(tag.value_type, tag.order, scale=tag.scale, offset=tag.offset)
    mine = read(Decoding(2, value_type, order, scale), RegisterBlock(0, data))
    assert mine is None or math.isclose(mine, decode(data, 4), rel_tol=1e-12, abs_tol=1e-12)
    assert mine is not None or 0 < abs(decode(data, 4)) < 1e-6
    assert lead in {0, 1}


@given(readings(), st.integers(0, 1000))
def test_another_value_never_loses_the_truth(reading, second):
    value_type, order, raw, scale, before, after, offset, shown = reading
    other = second + 0.5 if value_type.startswith("float") else second
    truth = Decoding(100 + offset, value_type, order, scale)
    blocks = [RegisterBlock(98 + offset, before + encoded(value_type, order, item) + after) for item in (raw, other)]
    first = ranked([blocks[0]], 100, parse_shown(shown))
    digits = len(shown.partition(".")[2])
    left = still_fitting(first, blocks, parse_shown(f"{other * scale:.{digits}f}"))
    assert truth in [item.decoding for item in left]


def test_the_usual_case_needs_no_second_value():
    block = RegisterBlock(99, struct.pack(">H", 7) + laid_out(struct.pack(">f", 12.53), "CDAB") + b"\x11\x22" * 4)
    best = ranked([block], 100, parse_shown("12.53"))
    assert best[0].decoding == Decoding(100, "float32", "CDAB")
    assert len(equals(best)) == 1
    short = equals(ranked([block], 100, parse_shown("12.5")))  # the high word alone says that much
    assert [item.decoding for item in short] == [best[0].decoding, Decoding(101, "float32", "ABCD")]
    assert tag_line("oil_temp", "input", best[0].decoding) == "oil_temp: {input: 100, type: float32, order: CDAB}"


def test_the_manual_that_counts_from_one():
    block = RegisterBlock(99, struct.pack(">HHH", 125, 9000, 9001))
    best = ranked([block], 100, parse_shown("12.5"))[0].decoding
    assert (best.address, best.scale) == (99, 0.1)


@pytest.mark.parametrize(
    ("text", "number", "digit"),
    [("12.5", 12.5, 0.1), ("12,50", 12.5, 0.01), ("1.234,5", 1234.5, 0.1), ("1,234,567", 1234567, 1),
     ("−3", -3, 1), ("1 024", 1024, 1), ("0", 0, 1)],
)  # fmt: skip
def test_numbers_as_displays_show_them(text, number, digit):
    shown = parse_shown(text)
    assert (shown.value, shown.text) == (number, "")
    assert shown.digit == pytest.approx(digit)


def test_texts_are_found_too():
    block = RegisterBlock(9, b"\0\1" + b"AB12" + b"\0\0")
    found = ranked([block], 10, parse_shown("AB12"))
    assert tag_line("recipe", "holding", found[0].decoding) == "recipe: {holding: 10, type: string, length: 4}"


def test_a_display_that_cuts_comes_second():
    shown = parse_shown("12.5")
    assert fit(12.54, shown) is Fit.ROUNDED
    assert fit(12.59, shown) is Fit.CUT
    assert fit(-12.59, shown) is Fit.NOT
    assert fit(12.61, shown) is Fit.NOT
    left = still_fitting(
        [Candidate(Decoding(0, "uint16", "ABCD"), 12.59, Fit.CUT)], [RegisterBlock(0, b"\0\x0d")], parse_shown("13")
    )
    assert left[0].fit is Fit.CUT


def test_what_was_read_before_the_display_changed_may_agree():
    before, after = RegisterBlock(0, struct.pack(">H", 41)), RegisterBlock(0, struct.pack(">H", 43))
    found = ranked([before], 0, parse_shown("41"))
    assert still_fitting(found, [before, after], parse_shown("41"))
    assert still_fitting(found, [before, after], parse_shown("43"))
    assert not still_fitting(found, [before, after], parse_shown("42"))
