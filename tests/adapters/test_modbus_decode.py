"""Every type in every order, against an encoder written the other way round."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.block import block_of, value_of
from adapters.modbus.decode import coil, decoder, decoder_of
from adapters.modbus.model import ModbusTag
from adapters.modbus.plan import Place, request_for

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
INTEGERS = {"uint16": 16, "int16": 16, "uint32": 32, "int32": 32, "uint64": 64, "int64": 64}


def encode(big_endian: bytes, order: str) -> bytes:
    """Registers as a device of that order sends them: a list of words, so nothing is shared with the decoder."""
    words = [big_endian[i : i + 2] for i in range(0, len(big_endian), 2)]
    if order in {"CDAB", "DCBA"}:
        words.reverse()
    if order in {"BADC", "DCBA"}:
        words = [bytes([word[1], word[0]]) for word in words]
    return b"".join(words)


@given(st.sampled_from(sorted(INTEGERS)), st.sampled_from(ORDERS), st.data(), st.integers(0, 5))
def test_integers(value_type, order, data, before):
    bits, signed = INTEGERS[value_type], value_type.startswith("int")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    value = data.draw(st.integers(low, high))
    sent = bytes(2 * before) + encode(value.to_bytes(bits // 8, "big", signed=signed), order) + b"\xff\xff"
    assert decoder(value_type, order)(sent, 2 * before) == value


@given(st.sampled_from([("float16", 16), ("float32", 32), ("float64", 64)]), st.sampled_from(ORDERS), st.data())
def test_floats(kind, order, data):
    value_type, width = kind
    value = data.draw(st.floats(width=width))
    sent = encode(struct.pack({16: ">e", 32: ">f", 64: ">d"}[width], value), order)
    if math.isfinite(value):
        assert decoder(value_type, order)(sent, 0) == value
    else:
        with pytest.raises(ValueError, match="no number"):
            decoder(value_type, order)(sent, 0)


@given(st.sampled_from([("bcd16", 4), ("bcd32", 8)]), st.sampled_from(ORDERS), st.data())
def test_bcd(kind, order, data):
    value_type, digits = kind
    value = data.draw(st.integers(0, 10**digits - 1))
    sent = encode(bytes.fromhex(str(value).zfill(digits)), order)
    assert decoder(value_type, order)(sent, 0) == value


def test_bcd_refuses_other_digits():
    with pytest.raises(ValueError, match="0x1a23 is no BCD"):
        decoder("bcd16")(b"\x1a\x23", 0)


@given(st.integers(0, 65535), st.integers(0, 15), st.sampled_from(ORDERS))
def test_a_bit_of_a_register(register, bit, order):
    sent = encode(register.to_bytes(2, "big"), order)
    assert decoder("bool", order, bit=bit)(sent, 0) is bool(register & 1 << bit)


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_coils(bits):
    sent = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        sent[i // 8] |= bit << i % 8
    assert [coil(bytes(sent), i) for i in range(len(bits))] == bits


def test_strings():
    assert decoder("string", length=6)(b"AB12\0\0zz", 0) == "AB12"
    assert decoder("string", "BADC", length=5)(b"BA21\0C", 0) == "AB12C"
    assert decoder("string", length=4)(b"\xffAB ", 0) == "\ufffdAB"


@pytest.mark.parametrize("padding", [b"\xff\xff\xff\xff", b" \xff\xff\xff", b"\xff\0\xff\xff", b"\xff\xff  "])
def test_padding_is_no_part_of_a_text(padding):
    assert decoder("string", length=6)(b"A1" + padding, 0) == "A1"
    assert decoder("string", length=4)(padding, 0) == ""


def test_scaling_keeps_integers_where_it_can():
    counted = decoder_of(ModbusTag.model_validate({"holding": 0, "scale": 10, "offset": 3}))(b"\x00\x05", 0)
    assert counted == 53
    assert isinstance(counted, int)
    assert decoder_of(ModbusTag.model_validate({"input": 0, "type": "int16", "scale": 0.1}))(b"\xff\xf6", 0) == -1.0


def read(data, **settings):
    """A tag's value from the bytes of a response, None where it is BAD."""
    tag = ModbusTag.model_validate({"holding": 0} | settings)
    block = block_of(request_for([Place("t", "holding", 0, tag.count, 1.0)]), {"t": decoder_of(tag)})
    (raw,) = block.raw(data)
    return value_of(block.meanings[0], raw)


def test_part_of_a_register():
    assert read(b"\x12\x34", bits="0-7") == 0x34
    assert read(b"\x12\x34", bits="8-15") == 0x12
    assert read(b"\x12\x34", bits="4-11") == 0x23
    assert read(b"\x12\x34", bits="0-7", order="BADC") == 0x12
    assert read(b"\x12\x34\x56\x78", type="uint32", bits="8-31", scale=0.5) == 0x123456 / 2


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (b"\xff\xff\xff\xff", {"type": "uint32", "invalid": [0xFFFFFFFF]}),
        (b"\xff\xff\xff\xff", {"type": "uint32", "order": "CDAB", "scale": 0.1, "invalid": [0xFFFFFFFF]}),
        (b"\x80\0", {"type": "int16", "invalid": [0x8000]}),
        (b"\x80\0", {"type": "int16", "invalid": [-32768]}),
        (b"\x01\xff", {"bits": "0-7", "invalid": [255]}),
        (struct.pack(">f", -9999.9), {"type": "float32", "invalid": [-9999.9]}),
        (b"\x99\x99", {"type": "bcd16", "invalid": [9999]}),
        (b"\xff" * 8, {"type": "int64", "invalid": [2**64 - 1]}),
    ],
)
def test_a_code_for_not_available_is_no_value(data, settings):
    assert read(data, **settings) is None
    assert read(bytes([0x11] * len(data)), **settings) is not None


def test_a_part_counts_as_far_as_its_bits_reach():
    tag = ModbusTag.model_validate({"holding": 0, "bits": "0-11"})
    assert tag.counter_width == (12, False)
    assert ModbusTag.model_validate({"holding": 0, "bits": "0-11", "scale": 0.1}).counter_width.bits is None
