"""Templates: what comes out equals what would have been written by hand."""

import pytest

import config
import words

BY_TEMPLATE = """
site: plant
timezone: Asia/Ho_Chi_Minh
templates:
  press:
    variables: [n, host, port, product]
    devices:
      press-${n}-plc:
        kind: modbus_tcp
        host: ${host}
        port: ${port}
        tags: {running: {coil: ${n}}, count: {holding: 10${n}, type: uint32}}
    machines:
      press-${n}:
        name: {vi: Máy dập ${n}, en: Press ${n}}
        state: [{when: "press-${n}-plc.running", is: running}, {is: unplanned_stop}]
        pieces: {total: "press-${n}-plc.count"}
        product: "${product}"   # in quotes it stays text
use:
  - template: press
    with:
      - {n: 1, host: 192.0.2.11, port: 502, product: 7}
      - {n: 2, host: 192.0.2.12, port: 1502, product: 8}
machines:
  other: {state: [{when: press-1-plc.running, is: running}]}
products: {"7": {ideal: 1s}, "8": {ideal: 2s}}
shifts: [{name: A, from: "06:00", to: "14:00"}]
"""

BY_HAND = """
site: plant
timezone: Asia/Ho_Chi_Minh
devices:
  press-1-plc:
    {kind: modbus_tcp, host: 192.0.2.11, port: 502, tags: {running: {coil: 1}, count: {holding: 101, type: uint32}}}
  press-2-plc:
    {kind: modbus_tcp, host: 192.0.2.12, port: 1502, tags: {running: {coil: 2}, count: {holding: 102, type: uint32}}}
machines:
  press-1:
    name: {vi: Máy dập 1, en: Press 1}
    state: [{when: "press-1-plc.running", is: running}, {is: unplanned_stop}]
    pieces: {total: press-1-plc.count}
    product: "7"
  press-2:
    name: {vi: Máy dập 2, en: Press 2}
    state: [{when: "press-2-plc.running", is: running}, {is: unplanned_stop}]
    pieces: {total: press-2-plc.count}
    product: "8"
  other: {state: [{when: press-1-plc.running, is: running}]}
products: {"7": {ideal: 1s}, "8": {ideal: 2s}}
shifts: [{name: A, from: "06:00", to: "14:00"}]
"""


def test_templates_are_what_would_have_been_written():
    assert config.parse_site(BY_TEMPLATE)[0] == config.parse_site(BY_HAND)[0]


def test_templates_that_nobody_uses_add_nothing():
    text = BY_HAND + 'templates: {press: {variables: [n], machines: {"m-${n}": {state: [{is: running}]}}}}\n'
    assert config.parse_site(text)[0] == config.parse_site(BY_HAND)[0]


THIRTY = """
site: sewing-hall
timezone: Asia/Ho_Chi_Minh
templates:
  station:
    variables:
      n: {{}}
      host: {{}}
      unit: {{default: 1}}
      reject: {{optional: true}}
      line: {{optional: true}}
    devices:
      io-${{n}}:
        kind: modbus_tcp
        host: ${{host}}
        unit: ${{unit}}
        tags:
          running: {{discrete: 0}}
          count: {{input: 16, type: uint32}}
          reject: {{only_with: reject, input: ${{reject}}, type: uint32}}
    machines:
      sew-${{n}}:
        line: ${{line}}
        state: [{{when: "{condition}", is: running}}, {{is: unplanned_stop}}]
        pieces: {{total: io-${{n}}.count, reject: {{only_with: reject, value: io-${{n}}.reject, else: operator}}}}
        product: operator
use:
  - template: station
    with:
{rows}
shifts: [{{name: A, from: "06:00", to: "14:00"}}]
"""


def thirty(condition="io-${n}.running", **changed):
    rows = {number: f"{{n: {number:02d}, host: 10.0.0.{number}}}" for number in range(1, 31)} | changed
    return THIRTY.format(condition=condition, rows="\n".join(f"      - {row}" for row in rows.values()))


def complaints(text):
    with pytest.raises(config.Misconfigured) as error:
        config.parse_site(text)
    return error.value.complaints


def test_thirty_machines_from_one_block():
    site, _ = config.parse_site(thirty())
    assert len(site.machines) == len(site.devices) == 30
    assert site.devices["io-30"].host == "10.0.0.30"
    machines = config.compile_site(site, config.load_profiles())
    assert machines["sew-07"].pieces.total.tag == "io-07.count"
    assert set(site.devices["io-07"].tags) == {"running", "count"}
    assert site.machines["sew-07"].line == ""


def test_what_is_optional_is_there_for_those_who_give_it():
    text = thirty().replace("{n: 05, host: 10.0.0.5}", "{n: 05, host: 10.0.0.5, reject: 20, unit: 9}")
    site, _ = config.parse_site(text)
    assert site.devices["io-05"].unit == 9
    assert site.machines["sew-05"].pieces.reject.tag == "io-05.reject"
    assert site.machines["sew-06"].pieces.reject.tag == "operator"


def test_a_mistake_in_the_block_is_said_once_and_a_mistake_in_a_row_about_the_row():
    (wrong,) = complaints(thirty(condition="io-${n}.runing"))
    assert (wrong.code, wrong.values["more"], wrong.line) == ("unknown_tag", "29", 24)
    assert "29" in words.complaint(wrong, "vi")
    text = thirty().replace("{n: 17, host: 10.0.0.17}", "{n: 17, host: 10.0.0.17, unit: 900}")
    (wrong,) = complaints(text)
    assert wrong.key == "devices.io-17.unit"
    assert text.splitlines()[wrong.line - 1].strip() == "- {n: 17, host: 10.0.0.17, unit: 900}"


def test_what_was_left_out_cannot_be_used():
    (wrong,) = complaints(thirty(condition="io-${n}.running or ${reject}"))
    assert (wrong.code, wrong.line) == ("variable_left_out", 24)
