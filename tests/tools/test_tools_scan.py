"""Units and ranges: found exactly, politely, within what was allowed, and read-only."""

import json
import re
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools_plant import modbus, only, run

from adapters.modbus.service.registers import ProbeOutcome, TableOutcome, requests_if_empty, scan_table
from tools.scan.command import spans
from tools.scan.network import NotAllowed, targets
from words import say

UNITS = set(range(256))


def driven(held, first, last, block, step, most=None, seams=()):
    """The scan against a device that holds these addresses, takes at most `most` at once, and refuses a read of an address
    in `seams` together with the one before; and what it asked.
    """
    questions = scan_table(first, last, block, step)
    asked = []
    try:
        span = next(questions)
        while True:
            asked.append(span)
            wanted = range(span.start, span.start + span.size)
            fine = all(address in held for address in wanted) and (most is None or span.size <= most)
            fine &= not any(span.start < seam < span.start + span.size for seam in seams)
            span = questions.send(ProbeOutcome.VALUES if fine else ProbeOutcome.REFUSED)
    except StopIteration as end:
        return end.value, asked


runs = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=5).map(
    lambda pairs: {address for first, size in pairs for address in range(first, first + size)}
)


@given(runs, st.integers(0, 50), st.integers(1, 125))
def test_with_step_one_every_address_is_found_and_nothing_else(held, first, block):
    found, asked = driven(held, first, 320, block, 1)
    listed = {address for low, high in found.runs for address in range(low, high + 1)}
    assert listed == {address for address in held if first <= address <= 320}
    assert all(first <= span.start and span.start + span.size <= 321 and span.size <= block for span in asked)
    assert all(high + 1 < low for (_, high), (low, _) in zip(found.runs, found.runs[1:]))


@given(runs, st.integers(2, 20))
def test_with_a_step_only_short_islands_are_missed(held, step):
    found, _ = driven(held, 0, 399, 125, step)
    listed = {address for low, high in found.runs for address in range(low, high + 1)}
    assert listed <= held
    missed = held - listed
    for address in missed:
        low = high = address
        while low - 1 in held:
            low -= 1
        while high + 1 in held:
            high += 1
        assert high - low + 1 < step


@given(st.integers(1, 60))
def test_a_device_that_takes_few_at_once_is_scanned_all_the_same(most):
    found, _ = driven(set(range(200)), 0, 199, 125, 10, most)
    assert found.runs == ((0, 199),)
    assert found.at_most == most


@pytest.mark.parametrize(
    ("last", "seams"), [(249, {200}), (249, {126, 200}), (249, {1}), (299, {3, 130}), (299, {20, 21, 22}), (119, {60})]
)
@pytest.mark.parametrize("step", [1, 10])
def test_a_seam_between_two_blocks_is_no_limit(last, seams, step):
    found, _ = driven(set(range(last + 1)), 0, last, 125, step, seams=seams)
    assert found.at_most is None
    listed = {address for low, high in found.runs for address in range(low, high + 1)}
    assert step > 1 or listed == set(range(last + 1))
    if step == 1:
        assert {low for low, _ in found.runs} == {0} | seams
    assert not any(low < seam <= high for low, high in found.runs for seam in seams)


@pytest.mark.parametrize("most", [10, 60])
def test_a_limit_is_found_beside_a_seam(most):
    found, _ = driven(set(range(250)), 0, 249, 125, 1, most, seams={200})
    assert found.at_most == most
    assert found.runs[0][0] == 0
    assert found.runs[-1][1] == 249


def test_what_is_empty_costs_no_more_than_said():
    for last, block, step in ((999, 125, 10), (130, 125, 10), (999, 2000, 7), (0, 125, 10)):
        _, asked = driven(set(), 0, last, block, step)
        assert len(asked) <= requests_if_empty(0, last, block, step) <= len(asked) + 1


@pytest.mark.parametrize(
    ("answer", "table", "most"),
    [(ProbeOutcome.NO_FUNCTION, TableOutcome.UNSUPPORTED, 1), (ProbeOutcome.SILENT, TableOutcome.SILENT, 3)],
)
def test_a_table_that_is_not_there_is_given_up_soon(answer, table, most):
    questions, asked = scan_table(0, 999, 125, 10), 0
    try:
        next(questions)
        while True:
            asked += 1
            questions.send(answer)
    except StopIteration as end:
        assert end.value.outcome is table
    assert asked == most


def test_units_and_ranges_of_a_real_server():
    with modbus(refused=only((0, 37), (100, 163)) | only(function=4), dead_units=UNITS - {1, 3}) as server:
        result = run("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1-3", "--range", "0-299", "--rate", 100,
                     "--timeout", "3s", "--table", "holding", "--table", "input", "--json")  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [unit["unit"] for unit in found["units"]] == [1, 3]
    for unit in found["units"]:
        assert unit["tables"]["holding"]["ranges"] == [[0, 37], [100, 163]]
        assert unit["tables"]["input"]["ranges"] == []
    assert {function for _, function, _, _ in server.asked} <= {1, 2, 3, 4}
    assert all(start >= 0 and start + count <= 300 for _, _, start, count in server.asked)
    assert len(server.asked) == found["requests"]
    assert {unit for unit, *_ in server.asked} == {1, 2, 3}
    assert "at most 100 requests per second" in result.stderr


@pytest.mark.parametrize(("lang", "said"), [("vi", "Địa chỉ đọc được"), ("en", "Readable addresses")])
def test_it_is_told_as_a_table(lang, said):
    with modbus(refused=only((10, 12))) as server:
        result = run("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1", "--range", "0-19", "--rate", 100,
                     "--table", "holding", lang=lang)  # fmt: skip
    assert result.exit_code == 0
    assert said in result.stdout
    assert "10–12" in result.stdout
    assert f"nhip bytes 127.0.0.1:{server.port} --unit 1 --holding 10" in result.stdout


def test_it_is_as_slow_as_it_says():
    with modbus() as server:
        began_s = time.monotonic()
        run("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1", "--range", "0-0", "--rate", 20)
        assert time.monotonic() - began_s >= (len(server.asked) - 1) / 20


def test_nobody_and_no_unit():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    result = run("scan", "modbus", f"127.0.0.1:{port}", lang="vi")
    assert result.exit_code == 1
    assert "cổng này đóng" in result.stderr
    with modbus(dead_units=UNITS) as server:
        result = run("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1", "--timeout", "50ms", "--rate", 100)
    assert result.exit_code == 1
    assert "none of the units 1 answered" in result.stdout


def test_busy_is_no_word_about_an_address(monkeypatch):
    monkeypatch.setattr("adapters.modbus.service.reader.BUSY_PAUSE_S", 0.01)
    plain = ("--units", "1", "--range", "0-9", "--rate", 100, "--table", "holding", "--json")
    with modbus(code=6) as server:
        answer = server.answer

        def starting(frame, touched):  # busy for its first questions, then up
            server.code = 6 if len(server.asked) < 4 else 0
            return answer(frame, touched)

        server.answer = starting
        found = json.loads(run("scan", "modbus", f"127.0.0.1:{server.port}", *plain).stdout)
        assert found["units"][0]["tables"]["holding"]["ranges"] == [[0, 9]]
        server.answer, server.code = answer, 6
        monkeypatch.setattr("adapters.modbus.service.scan.IN_STEP_S", 0.01)
        never = run("scan", "modbus", f"127.0.0.1:{server.port}", *plain)
    assert never.exit_code == 1


def test_units_that_refuse_everything_are_told_apart():
    with modbus(code=2) as server:
        result = run("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1-2", "--range", "0-9", "--rate", 100)
    assert "refuses every address in 0–9: unit 1-2." in result.stdout


@pytest.mark.parametrize("real", [1, 4])
def test_a_server_that_answers_for_every_unit_costs_what_was_announced(real):
    """Absent units refuse, as in several server libraries."""
    with modbus(refused=only((0, 149)) | {(f, at) for f in (1, 2, 4) for at in range(1000)}) as server:
        answer = server.answer

        def by_unit(frame, touched):
            server.code = 0 if frame[6] == real else 2
            return answer(frame, touched)

        server.answer = by_unit
        command = ("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1-10", "--range", "0-999", "--rate", 100)
        result = run(*command)
    assert result.exit_code == 0
    announced = int(re.search(r"If 1 of them answer: about ([\d,]+) requests", result.stderr)[1].replace(",", ""))
    assert len(server.asked) == pytest.approx(announced, rel=0.2)
    assert "0–149" in result.stdout


def test_units_that_refuse_alike_are_told():
    with modbus() as server:
        answer = server.answer

        def by_unit(frame, touched):
            server.code = 0 if frame[6] == 2 else 2
            return answer(frame, touched)

        server.answer = by_unit
        command = ("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1-6", "--range", "0-99", "--rate", 100)
        result, found = run(*command), json.loads(run(*command, "--json").stdout)
    assert say("scan.alike", "en", units="1, 3-6", one=1) in result.stdout
    assert found["refuse_alike"] == [1, 3, 4, 5, 6]
    assert [unit["unit"] for unit in found["units"]] == [2]


def test_a_network_is_only_looked_at_when_it_is_ours():
    for network, code in (("8.8.8.0/24", "not_private"), ("10.0.0.0/16", "too_large"), ("x", "not_a_network"),
                          ("192.0.2.0/24", "not_private"), ("0.0.0.0/0", "not_private")):  # fmt: skip
        with pytest.raises(NotAllowed) as refusal:
            targets(network)
        assert refusal.value.code == code
        assert run("scan", "network", network, "--yes").exit_code == 2
    assert len(targets("192.168.1.7/24")) == 254


def test_a_network_is_looked_at_after_asking():
    with modbus() as server:
        common = ("scan", "network", "127.0.0.1/32", "--port", server.port, "--rate", 100)
        refused = run(*common, answers="n\n")
        assert refused.exit_code == 1
        assert server.connections == 0
        result = run(*common, "--json", answers="y\n")
        assert json.loads(result.stdout)["listeners"] == [{"host": "127.0.0.1", "port": server.port, "kind": ""}]
        assert "Nothing is sent" in result.stderr
        shown = run(*common, "--yes", lang="vi")
        assert f"nhip scan modbus 127.0.0.1:{server.port}" in shown.stdout
        assert server.asked == []


def test_wrong_arguments_are_usage_errors():
    for arguments in (("--units", "1-300"), ("--range", "5-1"), ("--rate", "0")):
        assert run("scan", "modbus", "127.0.0.1:1", *arguments).exit_code == 2
    assert run("scan", "modbus", "not an address").exit_code == 2


def test_spans():
    assert spans([1, 2, 3, 7, 255]) == "1-3, 7, 255"
