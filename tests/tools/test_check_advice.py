"""The advice of `nhip check` against simulated faults: the sentence that must come first for each, and the cause that is
likeliest, over real sockets, serial lines and servers. Each row in both languages.
"""

import re

import click
import pytest
from advice_plants import (
    GOPCUA,
    LONG,
    SHORT,
    all_clients_taken,
    another_master,
    at_19200,
    closed,
    counter,
    device,
    gopcua_by_name,
    held,
    http,
    modbus_tcp_server,
    mute,
    no_port,
    noise,
    nowhere,
    opcua,
    opcua_at,
    port_in_use,
    service,
    slaves,
    ssh,
    states,
    tls,
    transparent_converter,
    two_units,
)
from tools_plant import run, write_yaml

from adapters.modbus.bus.frames_rtu import with_crc
from adapters.modbus.service import reader
from tools.check.result import show
from words import say
from words.catalogue import catalogue

BLOCK = {"tags": {f"r{at}": {"holding": at} for at in range(5, 13)}}
HOLE = {"tags": {"a": {"holding": 5}, "b": {"holding": 12}}}
LONE = {"tags": {"n": {"holding": 300}}}
WIDE = {"type": "uint32"}
SECURE = "Basic256Sha256/SignAndEncrypt"
NS = "nsu=urn:nhip:test;s="


def row(name, plant, fault, cause, /, **values):
    return pytest.param(plant, fault, values, cause, id=name)


ROWS = [
    # what is reached, and what answers there
    row("nothing listens", closed(), "port_closed", "Modbus TCP or OPC UA is not switched on"),
    row("no such name", closed(host="plc.invalid"), "no_such_host", "a typing error"),
    row("open but silent", device({"mode": "silent"}, timeout=SHORT), "peer_silent", "other clients"),
    row("the device's clients are taken", all_clients_taken(), "closed_by_peer", "an HMI or SCADA holds"),
    row("closes at once", device({"mode": "close"}), "closed_by_peer", "an HMI or SCADA holds"),
    row("HTTP", service(http), "other_protocol", "a wrong port", protocol="HTTP"),
    row("TLS", service(tls), "closed_by_peer", "an HMI or SCADA holds"),
    row("SSH", service(ssh), "other_protocol", "a wrong port", protocol="SSH"),
    row("a transparent converter", service(transparent_converter), "peer_silent", "other clients"),
    # units
    row("a wrong unit, ignored", two_units(), "unit_silent", "a wrong slave address"),
    row("a wrong unit, another answers", device({"mode": "unit_1"}), "other_unit_answers", "a wrong unit",
        asked=3, answered=1),
    row("no path (0x0A)", device({"code": 10}), "gateway_no_path", "the unit is not set up in the gateway", code=10),
    row("silent slave (0x0B)", device({"code": 11}), "gateway_no_answer", "the slave has no power", code=11),
    # exceptions
    row("wrong table (0x01)", device({"refused": {(4, 300)}, "refusal": 1}, tags={"a": {"holding": 5}, "b": {"input": 300}}),
        "illegal_function", "the wrong table", code=1),
    row("wrong function (0x01)", device({"code": 1}), "illegal_function", "the wrong table", code=1),
    row("address (0x02)", device({"code": 2}), "illegal_address", "one off", code=2),
    *(row(f"address at the {where} of a block", device({"refused": {(3, at)}}, **BLOCK), "illegal_address", "one off", code=2)
      for where, at in (("start", 5), ("middle", 8), ("end", 12))),
    row("count (0x03)", device({"most_registers": 1}, tags={"n": {"holding": 300, **WIDE}}), "illegal_value",
        "it takes fewer registers", code=3),
    row("failure (0x04)", device({"code": 4}), "device_failure", "a wrong unit", code=4),
    row("acknowledge (0x05)", device({"code": 5}, **LONE), "device_busy", "it is polled too fast", code=5),
    row("busy (0x06)", device({"code": 6}, **LONE), "device_busy", "it is polled too fast", code=6),
    row("a range that is ignored", device({"ignored": {(3, 300)}}, timeout=SHORT), "range_silent", "there is no such address"),
    row("a range that is ignored, RTU over TCP", device({"ignored": {(3, 300)}, "rtu": True}, timeout=SHORT), "range_silent",
        "there is no such address"),
    row("a range behind a gateway (0x0B)", device({"refused": {(3, 300)}, "refusal": 11}), "range_silent",
        "there is no such address"),
    row("a padded exception", device({"refused": {(3, 300)}, "mode": "padded"}), "illegal_address", "one off", code=2),
    # frames
    row("another function answers", device({"mode": "function"}, timeout=SHORT), "unfit_response", "faulty or old firmware"),
    row("too few values", device({"mode": "short"}, tags={"n": {"holding": 300, **WIDE}}), "wrong_length", "old firmware"),
    row("truncated frames", device({"mode": "cut"}, timeout=SHORT), "cut_answer", "a gateway or converter that cuts"),
    row("transactions mixed up", device({"mode": "mixed"}, timeout=SHORT), "transaction_not_echoed", "a gateway mixes up"),
    # values
    row("words swapped", counter("CDAB", {"holding": 100, **WIDE}), "words_swapped", "a wrong byte order: CDAB"),
    row("bytes reversed", counter("DCBA", {"holding": 100, **WIDE}), "bytes_reversed", "a wrong byte order: DCBA"),
    row("bytes swapped", counter("BADC", {"holding": 100, **WIDE}), "bytes_swapped", "a wrong byte order: BADC"),
    row("bytes of one register swapped", counter("BADC", {"holding": 101}), "bytes_swapped", "a wrong byte order: BADC"),
    row("one register off", counter("ABCD", {"holding": 101, **WIDE}), "words_swapped", "a wrong byte order: CDAB"),
    row("a float one register off", held({9: 0, 10: 0x41A4, 11: 0, 12: 7}, {"holding": 11, "type": "float32"}), "odd_float",
        "a wrong byte order"),
    row("integers read as float", held({10: 0, 11: 7}, {"holding": 10, "type": "float32"}), "odd_float", "a wrong byte order"),
    row("words of a float swapped", held({10: 0, 11: 0x41A4}, {"holding": 10, "type": "float32"}), "odd_float",
        "a wrong byte order"),
    row("a binary number read as BCD", held({10: 0x0ABC}, {"holding": 10, "type": "bcd16"}), "not_bcd",
        "the register holds a binary number"),
    row("a code for not available", held({20: 0xFFFF, 21: 0xFFFF}, {"holding": 20, **WIDE, "invalid": [0xFFFFFFFF]}),
        "not_available", "a sensor that is not fitted", value=0xFFFFFFFF),
    # serial lines
    row("a wrong slave id", slaves({"dead": {3}}), "line_silent", "a wrong slave address"),
    row("one slave of two", slaves({"dead": {3}}, (3, 1)), "slave_silent", "a wrong slave address"),
    row("a wrong slave id, RTU over TCP", device({"dead_units": {3}, "rtu": True}, timeout=SHORT), "converter_silent",
        "a wrong slave address"),
    row("a Modbus TCP server asked in RTU frames", modbus_tcp_server(framing="rtu", timeout=SHORT), "converter_silent",
        "a wrong slave address (unit); a converter that speaks Modbus TCP itself"),
    row("a wrong speed", at_19200(baud=9600), "line_silent", "a wrong slave address (unit); A and B swapped; a wrong baud"),
    row("a wrong checksum", slaves({"garble": {3: lambda frame: frame[:-1] + bytes([frame[-1] ^ 1])}}), "garbled_answer",
        "two slaves with one address"),
    row("two slaves at once", slaves({"garble": {3: lambda frame: bytes(byte | 0x55 for byte in frame)}}), "garbled_answer",
        "two slaves with one address"),
    row("another slave answers", slaves({"garble": {3: lambda frame: with_crc(bytes([9]) + frame[1:-2])}}),
        "other_unit_answers", "a wrong unit", asked=3, answered=9),
    row("the adapter hears itself", slaves({"echo": True}, timeout="2s", tags={"n": {"holding": 500}}), "serial_echo", "a two-wire adapter"),
    row("another master", another_master(), "other_master", "an HMI, a PLC or a data logger"),
    row("noise", noise(), "line_noise", "a master at another speed"),
    row("no such port", no_port(), "no_serial_port", "the USB adapter is not plugged in"),
    row("a port in use", port_in_use(), "serial_busy", "Nhịp's agent is running"),
    row("no RS-485 in the driver", slaves(rs485={}), "serial_rs485", "an adapter that switches by itself"),
    # OPC UA
    row("OPC UA: nothing listens", opcua_at(nowhere), "port_closed", "Modbus TCP or OPC UA is"),
    row("OPC UA: no such host", opcua_at(nowhere, url="opc.tcp://plc.invalid:4840/"), "no_such_host", "a typing error"),
    row("OPC UA: HTTP there", opcua_at(http), "opcua_closed", "the port is another service's"),
    row("OPC UA: silent", opcua_at(mute, timeout="500ms"), "opcua_silent", "the server is overloaded"),
    row("OPC UA: wrong policy", opcua(security=SECURE), "opcua_security", "security in the site file"),
    row("OPC UA: untrusted certificate", opcua(how={"secured": True}, security=SECURE), "opcua_untrusted",
        "the first connection"),
    row("OPC UA: another certificate than before", opcua(how={"secured": True, "replaced": True}, security=SECURE),
        "opcua_other_certificate", "the PLC was replaced"),
    row("OPC UA: clocks differ", opcua(how={"refusing": "BadCertificateTimeInvalid"}), "opcua_certificate_time",
        "the PLC's or the gateway's clock"),
    row("OPC UA: our certificate is unusable", opcua(how={"refusing": "BadCertificateUseNotAllowed"}), "opcua_certificate",
        "application_uri is not the one"),
    row("OPC UA: no such key", opcua(how={"secured": True, "no_key": True}, security=SECURE), "opcua_files",
        "one of the two files is missing"),
    pytest.param(gopcua_by_name(), "opcua_no_endpoint", {}, "the server knows only its own way", id="OPC UA: wrong endpoint host",
                 marks=pytest.mark.skipif(not GOPCUA.exists(), reason="no gopcua here (scripts/gopcua builds it)")),
    row("OPC UA: wrong password", opcua(how={"refusing": "users"}, user="operator", password="typo"), "opcua_user",
        "a wrong password"),
    row("OPC UA: no anonymous access", opcua(how={"refusing": "users"}), "opcua_user", "a wrong password"),
    row("OPC UA: no session left", opcua(how={"refusing": "BadTooManySessions"}), "opcua_crowded", "other programs hold"),
    row("OPC UA: shutting down", opcua(how={"refusing": "BadServerHalted"}), "opcua_refused", "the server does not support",
        status="BadServerHalted"),
    row("OPC UA: no such node", opcua({"n": {"node": f"{NS}nope"}}), "no_node", "a typing error", node=f"{NS}nope"),
    row("OPC UA: no such namespace", opcua({"n": {"node": "nsu=urn:nope;s=x"}}), "no_namespace", "a typing error",
        node="nsu=urn:nope;s=x"),
    row("OPC UA: an array", opcua({"n": {"node": "i=2255"}}), "opcua_array", "the tag does not say", found=3),
    row("OPC UA: beyond the array", opcua({"n": {"node": "i=2255", "index": 9}}), "opcua_index", "index counts from 0",
        index=9, found=3),
    row("OPC UA: no array", opcua({"n": {"node": f"{NS}count", "index": 1}}), "opcua_no_array", "the node is that element",
        index=1),
    row("OPC UA: no structure", opcua({"n": {"node": f"{NS}count", "field": "Total"}}), "opcua_no_structure",
        "the node is that field already", field="Total", found="int"),
    row("OPC UA: text where a number is compared", opcua({"n": {"node": f"{NS}recipe"}}, more=states("plc.n == 6")),
        "text_for_number", "the wrong node", value="A"),
    row("OPC UA: a number where text is compared", opcua({"n": {"node": f"{NS}count"}}, more=states("plc.n == 'Run'")),
        "number_for_text", "the wrong node", value=0),
]  # fmt: skip


@pytest.mark.parametrize(("plant", "code", "values", "cause"), ROWS)
def test_what_is_said_first(tmp_path, monkeypatch, plant, code, values, cause):
    with plant(tmp_path) as site:
        shown = checked(tmp_path, monkeypatch, site)
    for lang, text in shown.items():
        lines = text.splitlines()
        first = next(number for number, line in enumerate(lines) if line.startswith(("✗ ", "! ")))
        assert re.search(told(f"fault.{code}", lang, values), lines[first]), lines[first]
        assert re.search(told(f"fault.{code}.causes", lang, values), lines[first + 1])
        assert lang == "vi" or lines[first + 1].startswith(f"  Usually: {cause}"), lines[first + 1]


FINE = [
    pytest.param(device({"refused": {(3, 8)}, "refusal": 1}, **HOLE), 2, id="a hole that is refused with 0x01"),
    pytest.param(device({"refused": {(3, 8)}, "refusal": 1, "rtu": True}, **HOLE), 2, id="the same, RTU over TCP"),
    pytest.param(device({"ignored": {(3, 8)}}, timeout=SHORT, **HOLE), 2, id="a hole that is ignored"),
    pytest.param(device({"ignored": {(3, 8)}, "rtu": True}, timeout=SHORT, **HOLE), 2, id="that, RTU over TCP"),
    pytest.param(device({"most_registers": 4}, **BLOCK), 8, id="a device that takes four registers at once"),
    pytest.param(device({"mode": "transaction"}), 2, id="transactions that are always the same"),
    pytest.param(device({"mode": "own"}), 2, id="transactions of its own"),
    pytest.param(device({"mode": "unit_1"}, unit=255), 2, id="a fixed unit, asked as 255"),
    pytest.param(device({"mode": "unit_1"}, unit=0), 2, id="a fixed unit, asked as 0"),
    pytest.param(device({"mode": "bytes"}), 2, id="one byte at a time"),
    pytest.param(counter("CDAB", {"holding": 100, "type": "uint32", "order": "CDAB"}), 1, id="the right word order"),
    pytest.param(at_19200(timeout=LONG), 2, id="the right speed"),
    pytest.param(slaves({}, units_asked=(3, 1)), 4, id="two slaves"),
    pytest.param(opcua(how={"refusing": "users"}, user="operator", password="secret"), 1, id="OPC UA: the right password"),
]  # fmt: skip


@pytest.mark.parametrize(("plant", "tags"), FINE)
def test_what_is_no_fault(tmp_path, monkeypatch, plant, tags):
    """Beside each row of faults, what looks like it and is fine: advice must not be given for nothing."""
    with plant(tmp_path) as site:
        shown = checked(tmp_path, monkeypatch, site)
    for lang, text in shown.items():
        assert say("check.summary", lang, fine=tags, warned=0, failed=0) in text, text


def checked(tmp_path, monkeypatch, site):
    """What one run of the command prints, in each language."""
    monkeypatch.setattr(reader, "BUSY_PAUSE_S", 0.01)

    def in_both(result, _lang, *, offline):
        for lang in ("vi", "en"):
            show(result, lang, offline=offline)
            click.echo("\f")

    monkeypatch.setattr("tools.check.command.show", in_both)
    result = run("check", write_yaml(tmp_path / "site.yaml", site), "--for", "400ms")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    vi, en, _ = result.stdout.split("\f")
    return {"vi": vi, "en": en}


def told(key, lang, values):
    """A pattern for the sentence: what the row does not say may be anything."""
    parts = re.split(r"\{(\w+)\}", catalogue()[key][lang].replace("{{", "\0").replace("}}", "\1"))
    out = ""
    for place, part in enumerate(parts):
        if place % 2:
            out += re.escape(str(values[part])) if part in values else ".+"
        else:
            out += re.escape(part.replace("\0", "{").replace("\1", "}"))
    return out
