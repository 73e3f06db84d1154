"""Frames, pace and turns of a serial line: pure."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.bus.faults import AskedRange, ExceptionResponse, InvalidFrame
from adapters.modbus.bus.frames_rtu import (
    OverheardFrame,
    crc,
    frame_size,
    overheard_frames,
    request_frame,
    response_size,
    response_values,
    with_crc,
)
from adapters.modbus.bus.probes import MOST_SILENCES, PROBE_COST_FACTOR, RECENT_S, Probes
from adapters.modbus.bus.timing import UNKNOWN_PACE, exchange_s, load, pace
from adapters.modbus.plan import Request


def bitwise_crc(data):
    """The algorithm as the standard draws it (Modbus over serial line 1.02, appendix B)."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


@given(st.binary(max_size=300))
def test_checksum(data):
    assert crc(data) == bitwise_crc(data)
    assert crc(with_crc(data)) == 0


def test_a_published_question():
    assert request_frame(0x11, "holding", 0x6B, 3) == bytes.fromhex("1103006B00037687")


TABLES = st.sampled_from(["coil", "discrete", "holding", "input"])


@given(st.integers(1, 247), TABLES, st.integers(1, 100), st.binary(min_size=300, max_size=300))
def test_an_answer_gives_its_values_and_nothing_else_does(unit, table, count, data):
    size = response_size(table, count)
    values = data[: size - 5]
    frame = with_crc(bytes([unit, request_frame(unit, table, 0, count)[1], size - 5]) + values)
    assert frame_size(frame[:3], unit, table, count) == size == len(frame)
    assert response_values(frame, AskedRange(unit, table, 0, count)) == values
    for at in range(3):
        broken = bytearray(frame)
        broken[at] ^= 0x20
        with pytest.raises(InvalidFrame):
            frame_size(bytes(broken[:3]), unit, table, count)
    broken = bytearray(frame)
    broken[-1] ^= 1
    with pytest.raises(InvalidFrame, match="wrong checksum"):
        response_values(bytes(broken), AskedRange(unit, table, 0, count))


def test_a_refusal_is_short():
    frame = with_crc(bytes([1, 0x83, 2]))
    assert frame_size(frame[:3], 1, "holding", 5) == len(frame)
    with pytest.raises(ExceptionResponse, match="holding 7-11: illegal data address") as caught:
        response_values(frame, AskedRange(1, "holding", 7, 5))
    assert caught.value.code == 2


def test_what_is_heard():
    asked, answered = request_frame(5, "input", 7, 2), with_crc(bytes([5, 4, 4, 1, 2, 3, 4]))
    written = with_crc(bytes.fromhex("06100001000204000A0102"))
    assert overheard_frames(b"") == overheard_frames(bytes(100)) == []
    assert overheard_frames(b"\xff\x00" + asked + b"\x00" + answered) == [
        OverheardFrame(5, 4, True),
        OverheardFrame(5, 4, False),
    ]
    assert overheard_frames(written + with_crc(bytes([6, 0x90, 2]))) == [
        OverheardFrame(6, 16, True),
        OverheardFrame(6, 16 | 0x80, False),
    ]
    assert overheard_frames(asked[:-1]) == []


@given(st.binary(max_size=400))
def test_whatever_is_heard_is_survived(data):
    assert all(frame.unit <= 247 for frame in overheard_frames(data))


def test_pace():
    slow, fast = pace(9600, 11), pace(115200, 10)
    assert slow.char_s == pytest.approx(1.146e-3, rel=1e-3)
    assert slow.gap_s == pytest.approx(4.01e-3, rel=1e-3)
    assert fast.gap_s == 0.00175
    assert slow == UNKNOWN_PACE


def test_an_exchange_and_the_load_of_a_line():
    """10 registers at 9600 8E1: 8 + 25 characters, 20 ms to think, a gap."""
    request = Request("holding", 0, 10, 1.0, ())
    line = pace(9600, 11)
    cost_s = exchange_s(request, line, 0.02, 0.0)
    assert cost_s == pytest.approx(33 * 11 / 9600 + 0.02 + 3.5 * 11 / 9600)
    assert exchange_s(request, line, 0.02, 0.1) == pytest.approx(cost_s + 0.1 - line.gap_s)
    whole = load([(cost_s, 1.0), (cost_s, 0.1)])
    assert whole.cycle_s == pytest.approx(2 * cost_s)
    assert whole.share == pytest.approx(11 * cost_s)


def dead(probes, unit, now_s, cost_s=2.0):
    for _ in range(MOST_SILENCES):
        assert probes.wait_s(unit, now_s) == 0
        probes.silent(unit, now_s, cost_s)


def test_a_dead_unit_beside_a_living_one_gets_a_twentieth_of_the_time():
    probes = Probes()
    probes.answered(1, 0.0)
    dead(probes, 9, 0.0)
    asked = []
    for now_s in range(200):
        probes.answered(1, float(now_s))
        if not probes.wait_s(9, float(now_s)):
            asked.append(now_s)
            probes.silent(9, float(now_s), 2.0)
    assert [later - earlier for earlier, later in itertools.pairwise(asked)] == [PROBE_COST_FACTOR * 2] * (
        len(asked) - 1
    )
    assert asked[0] == PROBE_COST_FACTOR * 2


def test_dead_units_take_turns():
    probes = Probes()
    for unit in (2, 3, 4):
        dead(probes, unit, 0.0)
    asked = []
    for now_s in range(1, 400):
        probes.answered(1, float(now_s))
        for unit in (2, 3, 4):
            if not probes.wait_s(unit, float(now_s)):
                asked.append(unit)
                probes.silent(unit, float(now_s), 1.0)
    assert len(asked) >= 12
    assert all(abs(asked.count(one) - asked.count(other)) <= 1 for one in (2, 3, 4) for other in (2, 3, 4))


def test_a_dead_unit_alone_disturbs_nobody_and_an_answer_ends_it():
    probes = Probes()
    for now_s in range(20):
        assert probes.wait_s(9, float(now_s)) == 0
        probes.silent(9, float(now_s), 1.0)
    probes.answered(1, 20.0)
    assert probes.wait_s(9, 20.0) > 0
    assert probes.wait_s(9, 20.0 + RECENT_S) == 0, "the neighbour is dead too"
    probes.answered(9, 81.0)
    probes.answered(1, 81.0)
    assert probes.wait_s(9, 81.0) == 0
