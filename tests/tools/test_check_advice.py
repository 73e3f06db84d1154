"""The advice of `nhip check` against simulated faults: the sentence that must come first for each, in both languages."""

import pytest
from tools_plant import modbus, run, write_yaml

from words import say

TAGS = {"near": {"holding": 5}, "far": {"holding": 300}}
BLOCK = {"a": {"holding": 5}, "b": {"holding": 12}}
HOLE = {(3, 8)}


@pytest.mark.parametrize(
    ("settings", "device", "code", "values", "cause"),
    [
        ({"dead_units": {3}}, {}, "peer_silent", {}, "other clients"),
        ({"dead_units": {3}, "rtu": True}, {}, "unit_silent", {}, "a wrong slave address"),
        ({"mode": "unit_1"}, {}, "other_unit_answers", {"asked": 3, "answered": 1}, "a wrong unit"),
        ({"mode": "junk"}, {}, "other_protocol", {"protocol": "HTTP"}, "a wrong port"),
        ({"mode": "function"}, {}, "unfit_response", {}, "faulty or old firmware"),
        ({"mode": "close"}, {}, "closed_by_peer", {}, "an HMI or SCADA"),
        ({"code": 1}, {}, "illegal_function", {"code": 1}, "the wrong table"),
        ({"code": 2}, {}, "illegal_address", {"code": 2}, "one off"),
        ({"code": 4}, {}, "device_failure", {"code": 4}, "a wrong unit"),
        ({"code": 10}, {}, "gateway_no_path", {"code": 10}, "the unit is not set up in the gateway"),
        ({"code": 11}, {}, "gateway_no_answer", {"code": 11}, "the slave has no power"),
        ({"ignored": {(3, 300)}}, {}, "range_silent", {}, "there is no such address"),
        ({"ignored": {(3, 300)}, "rtu": True}, {}, "range_silent", {}, "there is no such address"),
        ({"refused": {(3, 300)}, "refusal": 11}, {}, "range_silent", {}, "there is no such address"),
        ({"refused": {(3, 300)}, "mode": "padded"}, {}, "illegal_address", {"code": 2}, "one off"),
    ],
)
def test_what_is_said_first(tmp_path, settings, device, code, values, cause):
    shown = checked(tmp_path, settings, TAGS, device)
    for lang, text in shown.items():
        faults = [line for line in text.splitlines() if line.startswith("✗")]
        assert say(f"fault.{code}", lang, **values) in faults[0]
        causes = say(f"fault.{code}.causes", lang, **values)
        assert causes in text
        if lang == "en":
            assert causes.startswith(cause)


@pytest.mark.parametrize("settings", [{"refused": HOLE, "refusal": 1}, {"ignored": HOLE}])
@pytest.mark.parametrize("rtu", [False, True])
def test_a_block_over_a_hole_is_fine(tmp_path, settings, rtu):
    for lang, text in checked(tmp_path, settings | {"rtu": rtu}, BLOCK, {}).items():
        assert say("check.summary", lang, fine=2, warned=0, failed=0) in text


@pytest.mark.parametrize(
    ("settings", "device"),
    [
        ({"mode": "transaction"}, {}),
        ({"mode": "own"}, {}),
        ({"mode": "unit_1"}, {"unit": 255}),
        ({"mode": "unit_1"}, {"unit": 0}),
    ],
)
def test_habits_that_are_no_fault(tmp_path, settings, device):
    for lang, text in checked(tmp_path, settings, TAGS, device).items():
        assert say("check.summary", lang, fine=2, warned=0, failed=0) in text


def test_a_code_for_not_available_is_told_as_such(tmp_path):
    tags = {"far": {"holding": 20, "type": "uint32", "invalid": [0xFFFFFFFF]}}
    for lang, text in checked(tmp_path, {"registers": {20: 0xFFFF, 21: 0xFFFF}}, tags, {}).items():
        assert say("fault.not_available", lang, value=0xFFFFFFFF) in text


def checked(tmp_path, settings, tags, changes):
    """What the command prints, by language."""
    shown = {}
    with modbus(**settings) as server:
        device = {
            "kind": "modbus_tcp", "host": "127.0.0.1", "port": server.port, "unit": 3, "every": "50ms", "timeout": "200ms",
            "framing": "rtu" if server.rtu else "tcp", "listen": "0s", "tags": tags,
        }  # fmt: skip
        shifts = [{"name": "A", "days": "daily", "from": "00:00", "to": "24:00"}]
        data = {"site": "x", "timezone": "Asia/Ho_Chi_Minh", "devices": {"plc": device | changes}, "shifts": shifts}
        path = write_yaml(tmp_path / "site.yaml", data)
        for lang in ("en", "vi"):
            shown[lang] = run("check", path, "--for", "600ms", lang=lang).stdout
    return shown
