"""`nhip plan`: what is asked, and whether a line can carry it."""

import json

import pytest
from click.testing import CliRunner

from agent.uplink.data_estimate import expected, month_mb
from config import parse_site
from nhip import main
from tools.plan.command import lines_of, servers_of
from tools.plan.data_lines import data_lines

HEAD = "site: plant\ntimezone: Asia/Ho_Chi_Minh\ndevices:\n"
SERIAL = """\
  meter: {kind: modbus_rtu, port: /dev/serial/by-id/usb-1, unit: 3, baud: 9600, every: 250ms,
          tags: {a: {holding: 0}, b: {holding: 9}, c: {input: 5, type: float32, every: 1s}}}
  other: {kind: modbus_rtu, port: /dev/serial/by-id/usb-1, unit: 4, baud: 9600, every: 250ms,
          pause_between_requests: 50ms, tags: {a: {coil: 0}}}
"""
NETWORK = """\
  plc: {kind: modbus_tcp, host: 192.0.2.1, tags: {a: {ref: 40001}, b: {ref: 40101}}, max_requests_per_s: 1}
  box: {kind: modbus_tcp, host: 192.0.2.2, framing: rtu, tags: {a: {holding: 0}}}
  inj: {kind: opcua, url: "opc.tcp://192.0.2.3:4840", mode: poll, max_nodes_per_request: 2, every: 5s,
        tags: {a: {node: i=1}, b: {node: i=2, every: 2s}, c: {node: i=3}}}
"""


def planned(devices, thinking_s=0.02):
    site, _ = parse_site(HEAD + devices)
    return lines_of(site, thinking_s), servers_of(site)


def test_units_of_a_line_add_up():
    (line,), _ = planned(SERIAL)
    assert (line.name, line.speed, line.verdict) == ("/dev/serial/by-id/usb-1", "9600 8E1", "tight")
    char_s = 11 / 9600
    costs = {tuple(ask.tags): ask.cost_s for ask in line.requests}
    assert costs[("a", "b")] == pytest.approx((8 + 25) * char_s + 0.02 + 0.05)
    assert costs[("c",)] == pytest.approx((8 + 9) * char_s + 0.02 + 0.05)
    assert costs[("a",)] == pytest.approx((8 + 6) * char_s + 0.02 + 0.05)
    assert line.cycle_s == pytest.approx(sum(costs.values()))
    assert line.share == pytest.approx((costs[("a", "b")] + costs[("a",)]) / 0.25 + costs[("c",)])


def test_a_line_that_cannot_keep_up():
    (line,), _ = planned(SERIAL, thinking_s=0.1)
    assert (line.verdict, line.share > 1) == ("slow", True)


def test_networks_and_servers():
    (plc, box), (server,) = planned(NETWORK)
    assert [(ask.start, ask.count) for ask in plc.requests] == [(0, 1), (100, 1)]
    assert plc.cycle_s == pytest.approx(0.04)
    assert (plc.verdict, plc.hurried[0].wanted_per_s) == ("slow", 2.0)
    assert (box.speed, box.verdict) == ("?", "ok")
    assert (server.nodes, server.every_s, server.requests) == (3, 2.0, 2)


@pytest.mark.parametrize(
    ("devices", "status", "words"),
    [
        (SERIAL, 0, {"en": "Tight", "vi": "Sát giới hạn"}),
        (SERIAL.replace("250ms", "100ms"), 1, {"en": "Too slow: it needs 2.0 times", "vi": "gấp 2,0 lần"}),
        (NETWORK, 1, {"en": "plc: needs 2.0 requests", "vi": "plc: cần 2,0 yêu cầu"}),
        ("", 0, {"en": "no devices", "vi": "không có thiết bị"}),
        ("  x: {kind: modbus_rtu}", 2, {"en": "port", "vi": "port"}),
    ],
)
def test_the_command(tmp_path, devices, status, words):
    path = tmp_path / "site.yaml"
    path.write_text(HEAD.replace("devices:\n", "") if not devices else HEAD + devices, encoding="utf-8")
    for lang, text in words.items():
        result = CliRunner().invoke(main, ["plan", str(path), "--lang", lang])
        assert (result.exit_code, text in result.output) == (status, True), result.output
    if status < 2:
        result = CliRunner().invoke(main, ["plan", str(path), "--json"])
        told = json.loads(result.stdout)
        assert (result.exit_code, told["ok"]) == (status, status == 0)
        for line in told["lines"]:
            assert {"line", "kind", "cycle_s", "share", "verdict", "requests"} <= set(line)


def test_what_the_line_to_the_center_will_carry():
    text = """
site: plant
timezone: Asia/Ho_Chi_Minh
center: {broker: "mqtts://mqtt.example.vn:8883", data_mb: LIMIT}
devices:
  plc: {kind: modbus_tcp, host: 192.0.2.10, tags: {run: {coil: 0}, temp: {input: 0}}}
machines:
  m-1: {state: [{when: plc.run, is: running}, {is: unplanned_stop}]}
values: {plc.temp: {at_most_every: 10s}}
"""

    def told(limit, lang="en"):
        site, _ = parse_site(text.replace("LIMIT", str(limit)))
        return data_lines(site, lang)

    assert len(told(10_000)) == 1
    site, _ = parse_site(text.replace("LIMIT", "10"))
    parts = month_mb(expected(site))
    assert parts["values"] == pytest.approx(8640 * 3 * 30 / 1e6)
    assert "facts and stops are always sent" in told(round(parts["must"]) + 1)[1]
    assert "larger data plan" in told(2)[1]
    assert "gói dữ liệu" in told(2, "vi")[1]
