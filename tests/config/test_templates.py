"""Templates: what comes out equals what would have been written by hand."""

import config

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
