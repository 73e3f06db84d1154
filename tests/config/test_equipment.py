"""Equipment profiles: each loads, names its sources, fills into a valid site, and its reads can be planned."""

import re

import pytest

import config
from adapters.modbus.model import ModbusDevice
from adapters.modbus.plan import requests_of
from config.templates.equipment import equipment, equipment_ids, read_equipment
from words import LANGUAGES

ALL = equipment_ids()
EACH_WAY = [(name, way) for name in ALL for way in range(len(equipment(name).ways) or 1)]
FRAME = """
site: plant
timezone: Asia/Ho_Chi_Minh
use:
{use}
products: {{"7": {{ideal: 20s}}}}
shifts: [{{name: A, from: "06:00", to: "14:00"}}]
"""
BESIDE = (
    "  - {equipment: moxa-iologik-e1210, with: [{device: io-1, host: 192.168.1.31}]}",
    "  - {equipment: siemens-pac3200, with: [{device: meter-1, host: 192.168.1.32}]}",
)
"""Machines without a device of their own speak of the tags of these."""


def used(profile_id, *, everything=False, way=0, **changed):
    """A site that uses a profile as its examples say. way: which of its ways."""
    profile = equipment(profile_id)
    mine = set(profile.ways[way]) if profile.ways else set()
    others = {name for names in profile.ways for name in names} - mine
    given = {
        key: item.example
        for key, item in profile.variables.items()
        if key not in others and (item.required or key in mine or (everything and item.example))
    }
    row = ", ".join(
        f'{key}: "{value}"' if ":" in value and value[0] != "{" else f"{key}: {value}"
        for key, value in (given | changed).items()
    )
    beside = [
        line
        for line in BESIDE
        if profile_id not in line and "devices" not in [key.text for key, _ in profile.body.pairs]
    ]
    return config.parse_site(
        FRAME.format(use="\n".join([*beside, f"  - {{equipment: {profile_id}, with: [{{{row}}}]}}"]))
    )


@pytest.mark.parametrize("everything", [False, True], ids=["least", "most"])
@pytest.mark.parametrize(("name", "way"), EACH_WAY)
def test_it_fills_into_a_valid_site_whose_reads_can_be_planned(name, way, everything):
    site, warnings = used(name, everything=everything, way=way)
    assert not [item for item in warnings if item.code != "modbus_port_name"]
    machines = config.compile_site(site, config.load_profiles())
    profile = equipment(name)
    assert machines or profile.kind
    mine = {key: device for key, device in site.devices.items() if key not in {"io-1", "meter-1"} or not machines}
    for device in mine.values():
        if isinstance(device, ModbusDevice):
            requests = requests_of(device)
            assert {tag for request in requests for tag in request.tags} == set(device.tags)
            assert len(requests) <= 3, "a profile should cost few requests"
    for machine in machines.values():
        assert machine.tags(), "a machine must depend on something"


@pytest.mark.parametrize("name", ALL)
def test_it_says_where_it_comes_from_in_both_languages(name):
    profile = equipment(name)
    assert re.fullmatch(r"[a-z0-9-]+", name)
    assert profile.basis in {"manual", "standard", "generic"}
    assert profile.sources
    assert all(len(source) > 20 for source in profile.sources)
    for texts in (profile.names, profile.setup, *(item.names for item in profile.variables.values())):
        assert set(texts) == set(LANGUAGES), texts
    assert all(item.example for item in profile.variables.values() if item.required)
    assert re.search(r"\d", " ".join(profile.sources)) or profile.basis == "generic"


def test_the_rest_of_a_row_is_laid_over_machine_and_device():
    site, _ = used("moxa-iologik-e1210", port="1502", every="500ms", tags="{extra: {holding: 7}}")
    device = site.devices["io-1"]
    assert (device.port, device.every, len(device.tags)) == (1502, 0.5, 33)
    site, _ = used("pulse-counter", line="sewing", product='"7"', minor_stop_at_most="3min")
    machine = site.machines["sew-1"]
    assert (machine.line, machine.product, machine.minor_stop_at_most) == ("sewing", "7", 180)
    site, _ = used("packml-modbus", unit="7", name="{vi: Máy gói, en: Packer}", max_requests_per_s="2")
    assert (site.devices["pack-1-plc"].unit, site.machines["pack-1"].name["en"]) == (7, "Packer")


def test_signals_that_are_not_there_leave_nothing_behind():
    machine = used("stack-light")[0].machines["cnc-1"]
    assert [rule.state.word for rule in machine.state] == ["breakdown", "running", "unplanned_stop"]
    assert not machine.pieces.counters()
    machine = used("stack-light", everything=True)[0].machines["cnc-1"]
    assert len(machine.state) == 4
    assert set(machine.pieces.counters()) == {"total", "reject"}
    assert used("packml-modbus")[0].devices["pack-1-plc"].tags.keys() == {"state"}


def complaints(text):
    with pytest.raises(config.Misconfigured) as error:
        config.parse_site(FRAME.format(use=text))
    return [(item.line, item.key, item.code, item.values.get("near", "")) for item in error.value.complaints]


def test_what_is_wrong_is_said_about_the_row():
    rows = """  - equipment: packml-modbus
    with:
      - {machine: a, host: 10.0.0.1, state: 0}
      - {machine: b, host: 10.0.0.2, state: 70000}
      - {machine: c, host: 10.0.0.3, state: 0, lin: x}
      - {machine: a, host: 10.0.0.4, state: 0, unit: 300}
      - {host: 10.0.0.5, state: 0}
  - {equipment: packml, with: []}
  - {template: x, equipment: y, with: []}"""
    found = complaints(rows)
    assert (8, "devices.b-plc.tags.state.holding", "modbus_address", "") in found
    assert (9, "use[0].with[2].lin", "unknown_key", "line") in found
    assert (10, "machines.a", "duplicate_key", "") in found
    assert (11, "use[0].with[4].machine", "missing_key", "") in found
    assert (12, "use[1].equipment", "unknown_equipment", "packml-opcua") in found or (
        12, "use[1].equipment", "unknown_equipment", "packml-modbus") in found  # fmt: skip
    assert (13, "use[2].equipment", "template_or_equipment", "") in found


@pytest.mark.parametrize(
    "row",
    ["{machine: a}", "{machine: a, base_state: i=1}", "{machine: a, state: i=1, base_state: i=2}",
     "{machine: a, state: i=1, base_state: i=2, machine_state: i=3, execute_state: i=4}"],
)  # fmt: skip
def test_a_row_gives_exactly_one_way_wholly(row):
    given = row.replace("{machine: a", '{machine: a, url: "opc.tcp://10.0.0.1:4840"')
    found = complaints(f"  - {{equipment: packml-opcua, with: [{given}]}}")
    assert found == [(5, "use[0].with[0]", "one_way", "")]


def test_a_way_brings_its_own_rules():
    flat = config.compile_site(used("packml-opcua")[0], config.load_profiles())["pack-1"]
    nested = config.compile_site(used("packml-opcua", way=1)[0], config.load_profiles())["pack-1"]
    assert flat.tags() == {"pack-1-opc.state"}
    assert nested.tags() == {f"pack-1-opc.{name}_state" for name in ("base", "machine", "execute")}
    site, _ = used("packml-opcua", everything=True)
    tag = site.devices["pack-1-opc"].tags["processed"]
    assert (tag.position, tag.path) == ((0,), ("AccCount",))
    assert site.devices["pack-1-opc"].address("processed").endswith("ProdProcessedCount[0].AccCount")


@pytest.mark.parametrize("name", [name for name in ALL if equipment(name).ways])
def test_ways_are_of_optional_variables_and_share_none(name):
    profile = equipment(name)
    named = [variable for way in profile.ways for variable in way]
    assert len(named) == len(set(named))
    assert all(profile.variables[variable].optional for variable in named)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("name: {vi: a, en: b}\nbasis: hearsay\nsources: [x]\n", "basis"),
        ("name: {vi: a, en: b}\nbasis: manual\n", "basis"),
        ("name: {vi: a, en: b}\nbasis: manual\nsources: [x]\ndevice: {}\n", "device"),
        (
            "name: {vi: a, en: b}\nbasis: manual\nsources: [x]\nvariables: {host: {exampel: 1}}\n",
            "variables.host.exampel",
        ),
    ],
)
def test_a_profile_that_is_not_sound_is_refused(text, key):
    with pytest.raises(config.Misconfigured) as error:
        read_equipment("new", text)
    assert key in [item.key for item in error.value.complaints]
