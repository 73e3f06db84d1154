"""Equipment profiles end to end: servers with the maps of real equipment, read by what a few lines make of them."""

import json
import socket
import struct
from contextlib import asynccontextmanager

import pytest
from asyncua import Server, ua
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from tools_plant import in_background, run

from config import compile_site, load_profiles, parse_site
from config.templates.equipment import equipment_ids

NAMESPACE = "http://example.org/imm"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def words_of(layout, *values):
    data = struct.pack(layout, *values)
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


@asynccontextmanager
async def modbus_map(*, bits=(), coils=(), inputs=(), holding=()):
    """pymodbus as a device with these tables from address 0."""
    port = free_port()

    def table(values, kind):
        return [SimData(0, values=list(values) or [0], datatype=kind)]

    blocks = (table(coils, DataType.BITS), table(bits, DataType.BITS),
              table(holding, DataType.REGISTERS), table(inputs, DataType.REGISTERS))  # fmt: skip
    server = ModbusTcpServer(SimDevice(id=1, simdata=blocks), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield port
    finally:
        await server.shutdown()


SITE = """
site: plant
timezone: Asia/Ho_Chi_Minh
use:
{use}
shifts: [{{name: A, from: "00:00", to: "23:59"}}]
"""


def checked(tmp_path, use, *rest):
    path = tmp_path / "site.yaml"
    path.write_text(SITE.format(use=use), encoding="utf-8")
    result = run("check", path, "--for", "300ms", "--json", *rest)
    found = json.loads(result.stdout)
    values = {tag["tag"]: tag["value"] for tag in found["tags"]}
    states = {machine["machine"]: machine["state"] for machine in found["machines"]}
    return result.exit_code, values, states


def test_an_input_module_with_counters_a_stack_light_and_a_counted_machine(tmp_path):
    inputs = [0] * 16 + [word for channel in range(16) for word in words_of(">I", 70_000 + channel)] + [0] * 8
    bits = [True, False, False, *[False] * 13]  # green
    with in_background(modbus_map(bits=bits, inputs=inputs)) as port:
        use = f"""
  - {{equipment: moxa-iologik-e1210, with: [{{device: io-1, host: 127.0.0.1, port: {port}, every: 100ms}}]}}
  - {{equipment: stack-light, with: [{{machine: cnc-1, green: io-1.di_0, red: io-1.di_1, count: io-1.count_3}}]}}
  - {{equipment: running-contact, with: [{{machine: cnc-2, running: io-1.di_2, alarm: io-1.di_1}}]}}"""
        status, values, states = checked(tmp_path, use)
    assert status == 0
    assert (values["io-1.count_0"], values["io-1.count_3"], values["io-1.count_15"]) == (70_000, 70_003, 70_015)
    assert states == {"cnc-1": "running", "cnc-2": "minor_stop"}


def test_a_module_whose_low_word_comes_first(tmp_path):
    holding = [word for channel in range(12) for word in reversed(words_of(">I", 1_000_000 + channel))]
    with in_background(modbus_map(coils=[False] * 5 + [True] + [False] * 10, holding=holding)) as port:
        use = f"  - {{equipment: advantech-adam-6050, with: [{{device: io-1, host: 127.0.0.1, port: {port}}}]}}"
        status, values, _ = checked(tmp_path, use)
    assert status == 0
    assert (values["io-1.count_0"], values["io-1.count_11"]) == (1_000_000, 1_000_011)
    assert [values[f"io-1.di_{number}"] for number in (4, 5, 6)] == [False, True, False]


@pytest.mark.parametrize(("watts", "state"), [(5200.0, "running"), (900.0, "minor_stop")])
def test_a_power_meter_tells_whether_a_machine_runs(tmp_path, watts, state):
    holding = [0] * 61 + words_of(">f", 12.5) + [0, 0] + words_of(">f", watts) + [0] * 20
    with in_background(modbus_map(holding=holding)) as port:
        use = f"""
  - {{equipment: siemens-pac3200, with: [{{device: meter-1, host: 127.0.0.1, port: {port}, every: 100ms}}]}}
  - {{equipment: power-running, with: [{{machine: grinder-1, power: meter-1.power, on: 4, off: 3}}]}}"""
        status, values, states = checked(tmp_path, use)
    assert status == 0
    assert values["meter-1.power"] == pytest.approx(watts / 1000)
    assert values["meter-1.current"] == 12.5
    assert states == {"grinder-1": state}


def test_a_packml_machine_over_modbus(tmp_path):
    holding = [6, 1] + [0] * 8 + words_of(">II", 123_456, 78) + [0] * 4
    with in_background(modbus_map(holding=holding)) as port:
        use = f"""
  - equipment: packml-modbus
    with: [{{machine: pack-1, host: 127.0.0.1, port: {port}, state: 0, mode: 1, processed: 10, defective: 12, every: 100ms}}]"""
        status, values, states = checked(tmp_path, use)
    assert status == 0
    assert (values["pack-1-plc.processed"], values["pack-1-plc.defective"]) == (123_456, 78)
    assert states == {"pack-1": "running"}


@asynccontextmanager
async def moulding_hall():
    """Two injection moulders on one OPC UA server, named for people in Vietnamese."""
    server = Server()
    await server.init()
    url = f"opc.tcp://127.0.0.1:{free_port()}/"
    server.set_endpoint(url)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(NAMESPACE)

    async def named(parent, name, shown, value=None):
        if value is None:
            node = await parent.add_object(index, name)
        else:
            node = await parent.add_variable(index, name, value)
        text = ua.LocalizedText(shown, "vi")
        await node.write_attribute(ua.AttributeIds.DisplayName, ua.DataValue(ua.Variant(text)))
        return node

    for number, status, parts in ((1, 4, 500), (2, 1, 900)):
        machine = await named(server.nodes.objects, f"IMM_MES_Interface_{number}", f"Máy ép {number}")
        production = await named(machine, "ProductionControl", "Sản xuất")
        await named(production, "ProductionStatus", "Trạng thái", status)
        values = await named(await named(machine, "Jobs", "Lệnh"), "ActiveJobValues", "Giá trị")
        await named(values, "JobPartsCounter", "Số sản phẩm", parts)
        if number == 2:
            await named(values, "JobBadPartsCounter", "Số phế phẩm", 7)
    async with server:
        yield url


def test_the_nodes_of_a_profile_are_found_by_their_browse_names(tmp_path):
    with in_background(moulding_hall()) as url:
        shown = run("browse", url, "--as", "euromap77-opcua", lang="vi")
        found = json.loads(run("browse", url, "--as", "euromap77-opcua", "--json").stdout)
        block = shown.stdout[shown.stdout.index("use:\n") + 5 :]
        status, values, states = checked(tmp_path, block)
        other = run("browse", url, "--as", "machine-tool-opcua", lang="vi")
    assert shown.exit_code == 0, shown.output
    assert "Máy ép 1" in shown.stdout
    assert [set(machine["nodes"]) for machine in found["machines"]] == [
        {"status", "parts"}, {"status", "parts", "bad_parts"},
    ]  # fmt: skip
    assert status == 0
    assert (values["inj-1-opc.parts"], values["inj-2-opc.parts"], values["inj-2-opc.bad_parts"]) == (500, 900, 7)
    assert states == {"inj-1": "running", "inj-2": "minor_stop"}
    assert other.exit_code == 1
    assert "ChannelState" in other.stdout


def test_only_profiles_with_browse_names_can_be_browsed():
    result = run("browse", "opc.tcp://127.0.0.1:1/", "--as", "moxa-iologik-e1210")
    assert result.exit_code == 2
    assert "euromap77-opcua" in result.stderr


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("name", equipment_ids())
def test_what_is_shown_of_a_profile_can_be_pasted(name, lang):
    result = run("equipment", name, lang=lang)
    assert result.exit_code == 0
    block = result.stdout[result.stdout.index("use:\n") + 5 :]
    beside = """
  - {equipment: moxa-iologik-e1210, with: [{device: io-1, host: 192.168.1.31}]}
  - {equipment: siemens-pac3200, with: [{device: meter-1, host: 192.168.1.32}]}
"""
    is_machine = "machines" in json.loads(run("equipment", name, "--json").stdout)["gives"]
    site, _ = parse_site(SITE.format(use=(beside if is_machine else "") + block) + 'products: {"7": {ideal: 20s}}\n')
    assert compile_site(site, load_profiles()) or site.devices


def test_profiles_are_listed_and_unknown_ones_are_said():
    listed = json.loads(run("equipment", "--json").stdout)["equipment"]
    assert [item["equipment"] for item in listed] == list(equipment_ids())
    assert "moxa-iologik-e1210" in run("equipment", lang="vi").stdout
    unknown = run("equipment", "moxa-e1210")
    assert unknown.exit_code == 2
    assert "moxa-iologik-e1210" in unknown.stderr


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("moxa", ["moxa-iologik-e1210"]),
        ("moxxa", ["moxa-iologik-e1210"]),
        ("PackML", ["packml-modbus", "packml-opcua"]),
    ],
)
def test_part_of_a_profiles_name_or_a_slip_leads_to_those_that_are_meant(typed, meant):
    found = run("equipment", typed)
    assert found.exit_code == 2
    assert found.stderr.strip().endswith(f"Did you mean: {', '.join(meant)}?")
    assert len(run("equipment", "zzz").stderr.split(",")) == len(equipment_ids())
