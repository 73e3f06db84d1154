"""`nhip bytes` against a real server."""

import json
import struct
import time

import pytest
from tools_plant import modbus, only, run

from words import say


def registers(first, data):
    return {first + i: int.from_bytes(data[2 * i : 2 * i + 2], "big") for i in range(len(data) // 2)}


def swapped(value):
    packed = struct.pack(">f", value)
    return packed[2:] + packed[:2]


@pytest.mark.parametrize(("lang", "said"), [("vi", "Dòng cho tệp cấu hình"), ("en", "The line for the site file")])
def test_the_line_to_paste(lang, said):
    with modbus(registers=registers(100, swapped(12.53))) as server:
        result = run("bytes", f"127.0.0.1:{server.port}", "--holding", 100, "--shows", "12,5", lang=lang)
    assert result.exit_code == 0, result.output
    assert said in result.stdout
    assert "value: {holding: 100, type: float32, order: CDAB}" in result.stdout
    assert {function for _, function, _, _ in server.asked} == {3}


def test_input_registers_one_off_and_scaled():
    with modbus(registers={9: 1250, 10: 60001, 11: 60002}) as server:
        result = run("bytes", f"127.0.0.1:{server.port}", "--input", 10, "--shows", "12.50", "--json", "--unit", 3)
    found = json.loads(result.stdout)
    assert found["candidates"][0]["tag"] == "value: {input: 9, type: uint16, scale: 0.01}"
    assert found["registers"][0] == "04e2"
    assert {unit for unit, *_ in server.asked} == {3}


def test_watching_leaves_one_way_of_reading():
    with modbus(registers=dict.fromkeys(range(99, 108), 0) | {101: 7}) as server:
        first = run("bytes", f"127.0.0.1:{server.port}", "--holding", 100, "--shows", "7", "--json")
        assert json.loads(first.stdout)["alike"] > 5
        still = server.values

        def moving(function, start, count):  # the machine counts on while the person reads its display
            if len(server.asked) > 2:
                value = 70_007 if len(server.asked) < 5 else 4_000_000_007
                server.registers |= registers(100, struct.pack(">I", value))
            return still(function, start, count)

        server.values = moving
        result = run("bytes", f"127.0.0.1:{server.port}", "--holding", 100, "--shows", "7", "--watch", "--json",
                     answers="70007\n\n4000000007\n")  # fmt: skip
    found = json.loads(result.stdout)
    assert found["shown"][0] == "7"
    assert found["candidates"][0]["tag"] == "value: {holding: 100, type: uint32, order: ABCD}"
    assert found["alike"] < json.loads(first.stdout)["alike"]


def test_a_counter_that_runs_away_while_the_person_types_is_found(monkeypatch):
    """The register moves on between looking at the display and pressing Enter: what was read meanwhile counts."""
    with modbus(registers=dict.fromkeys(range(90, 120), 0)) as server:
        still = server.values

        def counting(function, start, count):
            server.registers |= registers(100, struct.pack(">I", 70_000 + 3 * len(server.asked))[2:] + b"\0\1")
            return still(function, start, count)

        server.values = counting

        def answer(_text):  # reads the display, then needs until two more readings have passed
            assert len(server.asked) < 200, "it never ends"
            seen = server.registers[100] + 65536
            until = len(server.asked) + 2
            while len(server.asked) < until:
                time.sleep(0.01)
            return str(seen)

        monkeypatch.setattr("tools.byte_order.command._ask", answer)
        monkeypatch.setattr("tools.byte_order.command.READ_EVERY_S", 0.02)
        result = run("bytes", f"127.0.0.1:{server.port}", "--holding", 100, "--watch", "--json", "--rate", 50)
    found = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert found["candidates"][0]["tag"] == "value: {holding: 100, type: uint32, order: CDAB}"
    assert len(found["shown"]) >= 2


@pytest.mark.parametrize(
    ("arguments", "first", "tag"),
    [
        (("--discrete", 4), "discrete", "value: {discrete: 9}"),
        (("--holding", 100), "holding", "value: {holding: 101, bit: 3}"),
    ],
)
def test_the_bit_of_a_lamp_is_found_by_watching_it(monkeypatch, arguments, first, tag):
    lit = [True, False, True, False, True]  # other bits change too, but not with the lamp
    with modbus(registers=dict.fromkeys(range(90, 120), 0)) as server:

        def answer(_text):
            now = lit[len(told)]
            told.append(now)
            noise = {5, 7} if len(told) % 3 else set()
            server.bits = ({9} if now else set()) | noise | {12}
            server.registers[101] = (8 if now else 0) | (0x10 if len(told) % 3 else 0) | 0x4000
            return "bật" if now else "off"

        told = []
        monkeypatch.setattr("tools.byte_order.command._ask", answer)
        monkeypatch.setattr("tools.byte_order.search.RECENT_LAMP_READINGS", 1)
        result = run("bytes", f"127.0.0.1:{server.port}", *arguments, "--watch", "--rate", 100)
    assert result.exit_code == 0, result.output
    assert tag in result.stdout
    assert {function for _, function, _, _ in server.asked} == {2 if first == "discrete" else 3}


def test_nothing_fits_is_said():
    with modbus(registers=dict.fromkeys(range(90, 120), 1)) as server:
        result = run("bytes", f"127.0.0.1:{server.port}", "--holding", 100, "--shows", "987654.3", lang="vi")
    assert result.exit_code == 1
    assert "Không cách đọc nào" in result.stdout


def test_neighbours_that_do_not_exist_are_left_out():
    with modbus(registers={100: 125, 101: 9999}, refused=only((100, 101))) as server:
        result = run("bytes", f"127.0.0.1:{server.port}", "--holding", 100, "--shows", "125", "--json")
    assert json.loads(result.stdout)["candidates"][0]["tag"] == "value: {holding: 100, type: uint16}"


def test_a_refusal_and_a_silence_are_explained():
    with modbus(code=2) as server:
        result = run("bytes", f"127.0.0.1:{server.port}", "--holding", 100, "--shows", "1", lang="vi")
    assert result.exit_code == 1
    assert "lệch một" in result.stderr
    with modbus(dead_units={1}) as server:
        result = run("bytes", f"127.0.0.1:{server.port}", "--holding", 100, "--shows", "1", lang="vi")
    assert result.exit_code == 1
    assert "120 Ω" in result.stderr
    assert say("fault.peer_silent", "vi") in result.stderr


def test_a_block_over_an_address_that_the_device_ignores_is_narrowed():
    with modbus(registers={100: 125}, ignored={(3, at) for at in (99, *range(101, 120))}) as server:
        arguments = ("--shows", "125", "--timeout", "100ms", "--rate", 100, "--json")
        result = run("bytes", f"127.0.0.1:{server.port}", "--holding", 100, *arguments)
    assert json.loads(result.stdout)["candidates"][0]["tag"] == "value: {holding: 100, type: uint16}"


def test_one_table_must_be_named():
    assert run("bytes", "127.0.0.1:1", "--shows", "1").exit_code == 2
    assert run("bytes", "127.0.0.1:1", "--holding", "1").exit_code == 2
    assert run("bytes", "127.0.0.1:1", "--shows", "1", "--holding", 1, "--input", 1).exit_code == 2
    assert run("bytes", "127.0.0.1:1", "--shows", "on", "--coil", 1, "--input", 1).exit_code == 2
