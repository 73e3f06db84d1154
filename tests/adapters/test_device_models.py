from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from adapters.modbus.plan import places_of
from config.devices.kinds import DEVICE_KINDS, Device, periods_s, stale_after_s
from config.yaml.times import parse_duration

MODBUS = {"kind": "modbus_tcp", "host": "192.0.2.10", "tags": {"running": {"coil": 0}}}
OPCUA = {"kind": "opcua", "url": "opc.tcp://192.0.2.20:4840", "tags": {"shots": {"node": "nsu=http://e/m;s=Shots"}}}

RTU = {"kind": "modbus_rtu", "port": "/dev/serial/by-id/usb-1", "tags": {"running": {"coil": 0}}}


def device(base, **changes):
    return TypeAdapter(Device).validate_python(base | changes)


def modbus_tag(**tag):
    return device(MODBUS, tags={"t": tag}).tags["t"]


@given(st.integers(0, 10**6), st.sampled_from([("ms", 0.001), ("s", 1), ("min", 60), ("h", 3600), ("d", 86400)]))
def test_durations(number, unit):
    word, seconds = unit
    assert parse_duration(f"{number}{word}") == pytest.approx(number * seconds)
    assert parse_duration(f" {number} {word} ") == pytest.approx(number * seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1 month", "1s2", "-1s", "1,5s", "1m"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="is no duration; write a number with its unit"):
        parse_duration(text)


def test_the_frame_examples():
    plc = device(
        MODBUS,
        tags={
            "alarm": {"holding": 90, "type": "uint16"},
            "strokes": {"holding": 100, "type": "uint32", "order": "CDAB"},
            "oil": {"input": 10, "type": "float32", "unit": "°C", "every": "10s"},
        },
        never_read=[{"holding": "200-299"}, {"coil": 7}],
    )
    assert plc.port == 502
    assert plc.never_read[0].spans() == (("holding", 200, 299),)
    assert [(t.table, t.first(0), t.count, t.value_type) for t in plc.tags.values()] == [
        ("holding", 90, 1, "uint16"),
        ("holding", 100, 2, "uint32"),
        ("input", 10, 2, "float32"),
    ]
    assert periods_s(plc) == {"alarm": 1.0, "strokes": 1.0, "oil": 10.0}
    assert stale_after_s(plc) == {"alarm": 5.0, "strokes": 5.0, "oil": 30.0}
    assert stale_after_s(device(MODBUS, stale_after="7s")) == {"running": 7.0}
    server = device(OPCUA, security="Basic256Sha256/SignAndEncrypt")
    assert server.every == 1.0
    assert set(DEVICE_KINDS) == {"modbus_tcp", "modbus_rtu", "opcua"}


def test_places_of_certificates():
    folder = PurePosixPath("/var/lib/nhip/site.certificates")
    server = device(OPCUA, security="Basic256Sha256/Sign", server_certificate_file="s.der", application_uri="urn:a/b")
    placed = server.with_files("inj", folder)
    assert placed.certificate_file == "/var/lib/nhip/site.certificates/urn-a-b.der"
    assert placed.private_key_file == "/var/lib/nhip/site.certificates/urn-a-b.pem"
    assert placed.server_certificate_file == "s.der"
    assert device(OPCUA).with_files("inj", folder) == device(OPCUA)


def test_defaults_of_tags():
    assert modbus_tag(coil=0).value_type == "bool"
    assert modbus_tag(holding=0, bit=3).value_type == "bool"
    assert modbus_tag(input=0).value_type == "uint16"
    assert modbus_tag(holding=0, type="string", length=5).count == 3


@pytest.mark.parametrize(
    ("tag", "complaint"),
    [
        ({}, "found none"),
        ({"coil": 1, "holding": 2}, "found coil and holding"),
        ({"holding": 400101}, "write `ref: 400101`"),
        ({"holding": 70000}, "holding 70000 is outside 0–65535"),
        ({"holding": 65536}, "holding 65536, 1 long, runs beyond the addresses 0–65535"),
        ({"ref": 400000}, "is no reference"),
        ({"ref": 465537}, "is no reference"),
        ({"ref": 20001}, "is no reference"),
        ({"ref": 101}, "is no reference; write five or six digits"),
        ({"ref": 40101, "holding": 100}, "found holding and ref"),
        ({"coil": -1}, "outside 0–65535"),
        ({"coil": 1, "type": "uint16"}, "a coil is one bit"),
        ({"holding": 1, "type": "bool"}, "needs `bit: 0..15`"),
        ({"holding": 1, "bit": 16}, "less than or equal to 15"),
        ({"holding": 1, "bit": 1, "type": "uint16"}, "a bit has no other type"),
        ({"holding": 1, "type": "string"}, "a string needs it"),
        ({"holding": 1, "length": 4}, "belongs to type string"),
        ({"holding": 1, "type": "string", "length": 4, "order": "CDAB"}, "ABCD or BADC"),
        ({"holding": 1, "bit": 1, "scale": 2}, "scale and offset are for numbers"),
        ({"holding": 1, "scale": 0}, "scale 0"),
        ({"holding": 65535, "type": "uint32"}, "runs beyond the addresses 0–65535"),
        ({"holding": 1, "typ": "uint16"}, "Extra inputs"),
    ],
)
def test_complaints_about_tags(tag, complaint):
    with pytest.raises(ValidationError, match=complaint):
        modbus_tag(**tag)


@pytest.mark.parametrize(
    ("base", "changes", "complaint"),
    [
        (MODBUS, {"every": 1}, "no unit; write it as text"),
        (MODBUS, {"every": "0s"}, "greater than 0"),
        (MODBUS, {"never_read": [{}]}, "an empty entry"),
        (MODBUS, {"never_read": [{"coil": "9-2"}]}, "no range"),
        (MODBUS, {"never_read": [{"coil": "x"}]}, "no range of addresses"),
        (MODBUS, {"never_read": [{"coil": "0-5"}]}, "tags.running: coil 0 lies in never_read coil 0-5"),
        (MODBUS, {"max_registers": 1, "tags": {"t": {"holding": 0, "type": "uint32"}}}, "more than max_registers 1"),
        (MODBUS, {"tags": {}}, "at least 1 item"),
        (OPCUA, {"tags": {"t": {"node": "Status"}}}, "'Status' is no node id"),
        (OPCUA, {"security": "Basic256Sha256"}, "security 'Basic256Sha256' is unknown"),
        (OPCUA, {"security": "Basic256Sha256/Sign", "certificate_file": "c"}, "private_key_file belong together"),
        (OPCUA, {"user": "u"}, "user and password_file belong together"),
        (OPCUA, {"url": "http://x"}, "'http://x' is no endpoint"),
        (MODBUS, {"addresses": "one_based"}, "coil 0, 1 long, runs beyond the addresses 1–65536"),
        (MODBUS, {"never_read": [{"coil": 65536}]}, "never_read coil 65536-65536 is beyond"),
        (MODBUS, {"framing": "rtu", "unit": 0}, "unit 0 cannot answer on a serial line"),
        (RTU, {"unit": 248}, "unit 248 cannot answer on a serial line"),
        (RTU, {"listen": "11s"}, "less than or equal to 10"),
        (MODBUS, {"kind": "profibus"}, "does not match any of the expected tags"),
    ],
)
def test_complaints_about_devices(base, changes, complaint):
    with pytest.raises(ValidationError, match=complaint):
        device(base, **changes)


@pytest.mark.parametrize(
    ("tag", "addresses", "place"),
    [
        ({"holding": 100}, "zero_based", ("holding", 100)),
        ({"holding": 100}, "one_based", ("holding", 99)),
        ({"coil": 65536}, "one_based", ("coil", 65535)),
        ({"ref": 40101}, "zero_based", ("holding", 100)),
        ({"ref": 400101}, "one_based", ("holding", 100)),
        ({"ref": "30001"}, "zero_based", ("input", 0)),
        ({"ref": 165536}, "zero_based", ("discrete", 65535)),
        ({"ref": "00001"}, "zero_based", ("coil", 0)),
        ({"ref": "000017"}, "one_based", ("coil", 16)),
    ],
)
def test_every_notation_leads_to_one_place_on_the_wire(tag, addresses, place):
    (found,) = places_of(device(MODBUS, tags={"t": tag}, addresses=addresses))
    assert (found.table, found.start, found.count) == (*place, 1)


def test_never_read_counts_as_its_device_does():
    plc = device(
        MODBUS, addresses="one_based", tags={"a": {"coil": 1}, "b": {"ref": 40005}}, never_read=[{"holding": 6}]
    )
    assert plc.forbidden() == (("holding", 5, 5),)
    with pytest.raises(ValidationError, match=r"tags\.b: ref 40006 lies in never_read holding 6-6"):
        device(MODBUS, addresses="one_based", tags={"b": {"ref": 40006}}, never_read=[{"holding": 6}])


def test_a_character_on_the_line():
    assert device(RTU).bits_per_character == 11
    assert device(RTU, parity="none").bits_per_character == 10
    assert device(RTU, parity="none", stop_bits=2).bits_per_character == 11
