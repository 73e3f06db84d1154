"""`nhip scan`, `nhip bytes` and `nhip check` on a serial line, and through a converter: they listen first."""

import json
import time

import pytest
from tools_plant import (
    converter,
    in_background,
    libmodbus_unit,
    other_master,
    run,
    serial_line,
    units,
    write_yaml,
)

from adapters.modbus.service.peers import Serial, peers_at, title

LINE = ("--baud", 19200, "--parity", "none", "--listen", "100ms", "--timeout", "1s")


@pytest.fixture
def line(tmp_path):
    with serial_line(tmp_path) as ends:
        yield ends


def test_units_and_ranges_of_a_line(line, tmp_path):
    near, far = line
    with libmodbus_unit(far, tmp_path):
        found = run("scan", "modbus", near, *LINE, "--units", "1-2", "--range", "100-299", "--rate", 100, "--json")
        seen = run("bytes", near, *LINE, "--holding", 137, "--shows", 137, "--json")
    assert found.exit_code == 0, found.output
    scan = json.loads(found.stdout)
    assert scan["peer"] == f"{near} (19200 8N1)"
    assert scan["settings"] == {"kind": "modbus_rtu", "port": near, "baud": 19200, "parity": "none"}
    (unit,) = scan["units"]
    assert unit["unit"] == 1
    held = {table: there["ranges"] for table, there in unit["tables"].items()}
    assert held == {"holding": [[100, 299]], "input": [[100, 299]], "coil": [[100, 199]], "discrete": [[100, 199]]}
    assert "listens for" in found.stderr
    assert json.loads(seen.stdout)["candidates"][0]["tag"] == "value: {holding: 137, type: uint16}"


@pytest.mark.parametrize(
    ("command", "lang", "said"),
    [
        (("scan", "modbus"), "vi", "đã có một master khác"),
        (("bytes",), "en", "Another master is on this RS-485 line"),
    ],
)
def test_a_line_with_another_master_is_left_alone(line, command, lang, said):
    near, far = line
    rest = ("--units", "1-3") if command[0] == "scan" else ("--holding", 1, "--shows", 1)
    with other_master(far, 9):
        result = run(*command, near, *LINE, "--listen", "10s", *rest, lang=lang)
    assert result.exit_code == 1
    assert said in result.stderr


def test_only_what_was_allowed_is_asked_and_not_too_fast(line):
    near, far = line
    with in_background(units(far, dead={2, 3})) as there:
        began_s = time.monotonic()
        result = run("scan", "modbus", near, *LINE, "--units", "1-3", "--range", "5-14", "--table", "holding",
                     "--rate", 10, "--json")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert [unit["unit"] for unit in json.loads(result.stdout)["units"]] == [1]
    assert {unit for _, unit, _, _ in there.asked} == {1, 2, 3}
    assert all(start >= 5 and start + count <= 15 for _, _, start, count in there.asked)
    assert there.functions <= {3, 4}
    assert there.asked[0][0] - began_s >= 0.1
    assert all(b[0] - a[0] >= 0.08 for a, b in zip(there.asked, there.asked[1:]))


def test_a_line_that_hears_itself_is_explained(line):
    near, far = line
    with in_background(units(far, echo=True)):
        result = run("scan", "modbus", near, *LINE, "--units", "1", lang="vi")
        assert result.exit_code == 1
        assert "echo: true" in result.stdout
        fine = run("scan", "modbus", near, *LINE, "--echo", "--units", "1", "--range", "0-9", "--table", "holding")
    assert fine.exit_code == 0, fine.output
    assert "--echo --unit 1 --holding 0" in fine.stdout


def test_settings_that_the_port_cannot_do_are_passed_over(line):
    near, far = line  # a pseudo-terminal has no parity, and says so once its speed is set
    quick = ("--baud", 19200, "--listen", "50ms", "--timeout", "1s", "--rate", 100, "--units", 4)
    small = ("--range", "0-9", "--table", "holding", "--json")
    with in_background(units(far)):
        assert run("scan", "modbus", near, *quick, "--parity", "none", *small).exit_code == 0
        even = run("scan", "modbus", near, *quick, "--parity", "even")
        either = run("scan", "modbus", near, *quick, *small)
    assert even.exit_code == 1
    assert "cannot do that speed or parity" in even.stderr
    assert json.loads(either.stdout)["settings"]["parity"] == "none"


def test_a_port_that_is_not_there(tmp_path):
    result = run("scan", "modbus", tmp_path / "none", *LINE)
    assert result.exit_code == 1
    assert "no such serial port" in result.stderr


def test_through_a_converter(line, tmp_path):
    near, far = line
    with libmodbus_unit(far, tmp_path), converter(near) as port:
        place = (f"127.0.0.1:{port}", "--framing", "rtu", "--listen", "100ms", "--timeout", "5s")
        found = run("scan", "modbus", *place, "--units", "1", "--range", "0-49", "--table", "input", "--rate", 100)
        seen = run("bytes", *place, "--input", 21, "--shows", "4,2", "--json")
    assert found.exit_code == 0, found.output
    assert "0–49" in found.stdout
    assert json.loads(seen.stdout)["candidates"][0]["tag"] == "value: {input: 21, type: uint16, scale: 0.1}"


def test_settings_are_tried_as_they_were_said():
    def tried(**said):
        return [title(peer) for peer in peers_at("/dev/ttyS0", 1, Serial(**said), one=False)]

    assert tried() == [f"/dev/ttyS0 ({word})" for word in ("9600 8N1", "19200 8E1", "9600 8E1", "19200 8N1")]
    assert tried(bauds=(9600,)) == ["/dev/ttyS0 (9600 8N1)", "/dev/ttyS0 (9600 8E1)"]
    assert tried(bauds=(38400,), parities=("odd",)) == ["/dev/ttyS0 (38400 8O1)"]
    assert tried(parities=("even",)) == ["/dev/ttyS0 (19200 8E1)", "/dev/ttyS0 (9600 8E1)"]


def test_why_a_tag_on_a_line_is_bad(line, tmp_path):
    near, far = line
    common = {"kind": "modbus_rtu", "port": near, "baud": 19200, "parity": "none", "timeout": "2s",
              "listen": "50ms", "every": "100ms"}  # fmt: skip
    site = {
        "site": "plant", "timezone": "UTC",
        "devices": {"one": common | {"unit": 1, "tags": {"good": {"holding": 5}, "gone": {"holding": 5000}}}},
        "machines": {"m": {"state": [{"when": "one.good > 0", "is": "running"}, {"is": "unplanned_stop"}]}},
        "shifts": [{"name": "A", "from": "06:00", "to": "14:00"}],
    }  # fmt: skip
    path = write_yaml(tmp_path / "site.yaml", site)
    with libmodbus_unit(far, tmp_path):
        result = run("check", path, "--for", "2s", "--json")
    assert result.exit_code == 1, result.output
    tags = {tag["tag"]: tag for tag in json.loads(result.stdout)["tags"]}
    assert tags["one.good"]["value"] == 5
    assert [fault["code"] for fault in tags["one.gone"]["faults"]] == ["illegal_address"]
