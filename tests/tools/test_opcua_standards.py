"""OPC UA profiles against the official NodeSets: machines of the published types, through every state and counter."""

import asyncio
import json
import os
import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from servers import PATIENCE_S
from tools_plant import STANDARDS_SERVER, gathered, has_node_opcua, node_modules, node_running, run

from adapters.opcua.adapter import open_device
from adapters.opcua.selection.states import WELL_KNOWN
from config import compile_site, load_profiles, parse_site
from config.templates.equipment import equipment, equipment_ids, use_item
from oee.model.states import Quality, State
from tools.check.machine_now import compute, window

pytestmark = pytest.mark.skipif(not has_node_opcua(), reason="no node-opcua here (scripts/nodeopcua installs it)")

NODESETS = node_modules() / "node-opcua-nodesets" / "nodesets"
SITE = """
site: plant
timezone: Asia/Ho_Chi_Minh
use:
{use}
shifts: [{{name: A, from: "00:00", to: "23:59"}}]
"""


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    with node_running(tmp_path_factory.mktemp("standards"), script=STANDARDS_SERVER) as server:
        yield server


def url(plant):
    return f"opc.tcp://127.0.0.1:{plant.port}/"


async def browsed(plant, profile):
    """Machines by their last name, and the block of `use` as it is printed."""
    result = await asyncio.to_thread(run, "browse", url(plant), "--as", profile, "--json")
    found = json.loads(result.stdout)["machines"]
    use = use_item(equipment(profile), [item["row"] for item in found])
    return {item["path"][-1]: item for item in found}, use


class Reader:
    """A machine of the rows that `browse --as` printed, read as the agent reads it."""

    def __init__(self, use, number=0):
        site, _ = parse_site(SITE.format(use=use))
        self.machine = list(compile_site(site, load_profiles()).values())[number]
        self.name, model = list(site.devices.items())[number]
        self.adapter = open_device(model.model_copy(update={"every": 0.05}), time.time_ns)
        self.tags, self.rows = tuple(model.tags), {}

    async def __aenter__(self):
        await self.adapter.connect()
        self.rows = await gathered(self.adapter, self.tags)
        return self

    async def __aexit__(self, *_):
        await self.adapter.close()

    async def state(self, **wanted):
        """The machine's state once these tags have these values."""
        until_s = time.monotonic() + PATIENCE_S
        while any(self.values()[name] != value for name, value in wanted.items()):
            assert time.monotonic() < until_s, f"{self.values()} instead of {wanted}"
            await asyncio.sleep(0.02)
            for row in (await self.adapter.read()).rows:
                self.rows.setdefault(row.tag, []).append(row)
        from_ns = time.time_ns()
        own = {f"{self.name}.{tag}": [(from_ns, *rows[-1][2:4])] for tag, rows in self.rows.items()}
        live = compute(self.machine, window(own, from_ns, from_ns + SECOND_NS), from_ns + SECOND_NS).live
        return "stop" if live.state in STOPS else live.state.word

    def values(self):
        return {name: rows[-1].value for name, rows in self.rows.items()}


SECOND_NS = 1_000_000_000
SELF = Path(__file__).read_text(encoding="utf-8")
STOPS = {State.MINOR_STOP, State.UNPLANNED_STOP}
"""A stop is minor until it has lasted."""


def goes(plant, where, *states):
    """Sends state machines from the outer to the inner one into states; the ones within the last into none."""
    path = where
    for name, inner in zip(states, ("", "/MachineState", "/ExecuteState"), strict=False):
        path += inner
        plant.do(f"state {path} {name}")


# PackML (OPC 30050)

BASE = {"Aborting": "breakdown", "Aborted": "breakdown"}
OUTER = {"Clearing": "stop", "Stopping": "stop", "Stopped": "stop"}
EXECUTE = {
    "Resetting": "stop", "Idle": "stop", "Starting": "stop", "Execute": "running", "Completing": "running",
    "Complete": "stop", "Holding": "breakdown", "Held": "breakdown", "Unholding": "breakdown",
    "Suspending": "starved", "Suspended": "starved", "Unsuspending": "starved",
}  # fmt: skip


def packml_states():
    """Every state of the three nested machines, each with inner ones that are in none or still say something old."""
    for name, state in BASE.items():
        yield (name, "-", "-"), state
        yield (name, "Running", "Execute"), state
    for name, state in OUTER.items():
        yield ("Cleared", name, "-"), state
        yield ("Cleared", name, "Execute"), state
    for name, state in EXECUTE.items():
        yield ("Cleared", "Running", name), state
    yield ("-", "-", "-"), "unknown"
    yield ("Cleared", "Running", "-"), "unknown"


async def test_a_packml_machine_of_the_published_type_through_every_state_and_counter(plant):
    goes(plant, "Packer/BaseStateMachine", "Cleared", "Stopped", "-")
    plant.do("set Packer/Status/UnitModeCurrent 1")
    plant.do("counts Packer/Admin/ProdProcessedCount 2000 7")
    plant.do("counts Packer/Admin/ProdDefectiveCount 20")
    machines, use = await browsed(plant, "packml-opcua")
    assert set(machines["Packer"]["nodes"]) == {
        "base_state", "machine_state", "execute_state", "mode", "starved", "blocked", "processed", "defective",
    }  # fmt: skip
    assert machines["Packer"]["nodes"]["processed"]["place"] == "Admin/ProdProcessedCount[0].AccCount"
    async with Reader(use, list(machines).index("Packer")) as packer:
        assert await packer.state(processed=2000, defective=20, machine_state="Stopped", execute_state="") == "stop"
        for (base, outer, execute), state in packml_states():
            goes(plant, "Packer/BaseStateMachine", base, outer, execute)
            wanted = {"base_state": base, "machine_state": outer, "execute_state": execute}
            wanted = {name: "" if value == "-" else value for name, value in wanted.items()}
            assert (base, outer, execute, await packer.state(**wanted)) == (base, outer, execute, state)
        goes(plant, "Packer/BaseStateMachine", "Cleared", "Running", "Suspended")
        plant.do("set Packer/Status/EquipmentBlocked true")
        assert await packer.state(execute_state="Suspended", blocked=True) == "blocked"
        plant.do("set Packer/Status/EquipmentBlocked false")
        goes(plant, "Packer/BaseStateMachine", "Cleared", "Running", "Execute")
        for mode, state in ((2, "planned_stop"), (3, "setup"), (0, "unknown"), (1, "running")):
            plant.do(f"set Packer/Status/UnitModeCurrent {mode}")
            assert await packer.state(mode=mode, blocked=False, execute_state="Execute") == state
        plant.do("counts Packer/Admin/ProdProcessedCount 2001 7")
        plant.do("counts Packer/Admin/ProdDefectiveCount 21 5")
        assert await packer.state(processed=2001, defective=21) == "running"
        plant.do("bad Packer/Admin/ProdProcessedCount BadCommunicationError")
        await packer.state(processed=None)
        assert packer.rows["processed"][-1].quality is Quality.BAD


async def test_flat_and_published_machines_stand_on_one_server_each_read_in_its_own_way(plant):
    machines, use = await browsed(plant, "packml-opcua")
    assert {name: set(item["nodes"]) - {"mode", "starved", "blocked", "defective"} for name, item in machines.items()} == {
        "Packer": {"base_state", "machine_state", "execute_state", "processed"},
        "Wrapper": {"state", "processed"},
        "Labeller": {"state", "processed"},
    }  # fmt: skip
    for name, number, count in (("Wrapper", 6, 400), ("Labeller", 2, 700)):
        async with Reader(use, list(machines).index(name)) as machine:
            expected = {6: "running", 2: "stop"}[number]
            assert await machine.state(state=number, processed=count) == expected


# Machinery (OPC 40001-1)

ITEM = {"NotAvailable": "unknown", "OutOfService": "breakdown", "NotExecuting": "stop", "Executing": "running"}
MODE = {"None": None, "Maintenance": "planned_stop", "Processing": None, "Setup": "setup"}


async def test_a_machine_with_what_machinery_demands_and_no_more(plant):
    plant.do("state Machines/Line2/MachineryBuildingBlocks/MachineryItemState Executing")
    machines, use = await browsed(plant, "machinery-opcua")
    assert set(machines["Line2"]["nodes"]) == {"state_id"}, "the lathe's counter is the lathe's"
    async with Reader(use, list(machines).index("Line2")) as line:
        for name, state in ITEM.items():
            plant.do(f"state Machines/Line2/MachineryBuildingBlocks/MachineryItemState {name}")
            assert await line.state(state=name) == state


@pytest.mark.parametrize(
    ("name", "where", "found"),
    [
        ("Line3", "Machines/Line3/Monitoring/Status", {"state", "mode"}),
        ("Line4", "Machines/Line4/MachineryBuildingBlocks", {"state_id", "mode_id"}),
    ],
)
async def test_states_and_modes_of_machinery_by_number_and_by_id(plant, name, where, found):
    number = {"NotAvailable": 0, "OutOfService": 1, "NotExecuting": 2, "Executing": 3}
    mode_number = {"None": 0, "Maintenance": 1, "Setup": 2, "Processing": 3}
    plant.do(f"state {where}/MachineryItemState NotExecuting")
    plant.do(f"state {where}/MachineryOperationMode None")
    machines, use = await browsed(plant, "machinery-opcua")
    assert set(machines[name]["nodes"]) == found
    by_number = "state" in found
    async with Reader(use, list(machines).index(name)) as line:
        for mode, in_mode in MODE.items():
            plant.do(f"state {where}/MachineryOperationMode {mode}")
            for item, state in ITEM.items():
                plant.do(f"state {where}/MachineryItemState {item}")
                if by_number:
                    got = await line.state(state=number[item], mode=mode_number[mode])
                else:
                    got = await line.state(state=item, mode_name=mode)
                unmoved = item == "NotAvailable" or (item == "OutOfService" and mode != "Maintenance")
                assert (mode, item, got) == (mode, item, state if unmoved or in_mode is None else in_mode)


async def test_a_state_in_the_machines_own_words_is_told_by_check(plant, tmp_path):
    """CurrentState is a text for people: «Executing» here, in other languages elsewhere."""
    plant.do("state Machines/Line2/MachineryBuildingBlocks/MachineryItemState Executing")
    result = await asyncio.to_thread(run, "browse", url(plant), "--json", "--depth", "8", "--find", "CurrentState")
    (node,) = [item["node"] for item in json.loads(result.stdout)["nodes"] if item["path"][1] == "Line2"]
    for key, code in (("state", "text_for_number"), ("state_id", "no_rule_fits")):
        row = {"machine": "line-2", "url": url(plant), key: node}
        path = tmp_path / f"{key}.yaml"
        path.write_text(SITE.format(use=use_item(equipment("machinery-opcua"), [row])), encoding="utf-8")
        result = await asyncio.to_thread(run, "check", path, "--for", "300ms", "--json")
        (tag,) = json.loads(result.stdout)["tags"]
        assert [fault["code"] for fault in tag["faults"]] == [code]
        assert result.exit_code == (code == "text_for_number")


# machine tools (OPC 40501-1)


async def test_a_machine_tool_without_channels_by_its_program(plant):
    machines, use = await browsed(plant, "machine-tool-opcua")
    assert set(machines["Lathe"]["nodes"]) == {"program", "mode", "parts"}
    program = {"Initializing": 0, "Running": 1, "Ended": 2, "Interrupted": 3, "Aborted": 4}
    async with Reader(use, list(machines).index("Lathe")) as lathe:
        for mode, in_mode in ((1, None), (3, None), (5, None), (0, "setup"), (2, "setup"), (4, "planned_stop")):
            plant.do(f"set Machines/Lathe/Monitoring/MachineTool/OperationMode {mode}")
            for name, number in program.items():
                plant.do(f"state Machines/Lathe/Production/ActiveProgram/State {name}")
                got = await lathe.state(program=number, mode=mode)
                state = "running" if name == "Running" else "stop"
                if in_mode and (mode != 0 or name == "Running"):
                    state = in_mode
                assert (mode, name, got) == (mode, name, state)
        for count in (17, 18):
            plant.do(f"set Machines/Lathe/Production/Statistics/PartsProducedInLifetime {count}")
            await lathe.state(parts=count)


async def test_a_machine_tool_with_two_channels_is_one_machine(plant):
    machines, use = await browsed(plant, "machine-tool-opcua")
    mill = machines["Mill"]["nodes"]
    assert {name: node["place"] for name, node in mill.items()} == {
        "state": "Monitoring/Channel1/ChannelState",
        "mode": "Monitoring/MachineTool/OperationMode",
        "channel_mode": "Monitoring/Channel1/ChannelMode",
        "parts": "Production/Statistics/PartsProducedInLifetime",
    }
    shown = await asyncio.to_thread(run, "browse", url(plant), "--as", "machine-tool-opcua")
    assert "This machine also has: Monitoring/Channel2/ChannelState" in shown.stdout
    assert f"use:\n{use}" in shown.stdout
    plant.do("set Machines/Mill/Monitoring/MachineTool/OperationMode 1")
    async with Reader(use, list(machines).index("Mill")) as reader:
        for state, name in ((0, "running"), (1, "stop"), (2, "stop")):
            plant.do(f"set Machines/Mill/Monitoring/Channel1/ChannelState {state}")
            assert await reader.state(state=state, mode=1) == name
        plant.do("set Machines/Mill/Monitoring/Channel1/ChannelState 0")
        for mode in range(8):
            plant.do(f"set Machines/Mill/Monitoring/Channel1/ChannelMode {mode}")
            got = await reader.state(state=0, channel_mode=mode)
            assert (mode, got) == (mode, "running" if mode in (0, 5, 7) else "setup")


# Weihenstephan (OPC 40600)

WS = "Machines/Filler/OperatingStates/WS_Cur_State"
HELD = {"EquipmentFailure": "breakdown", "ExternalFailure": "stop"}
SUSPENDED = {"Lack": "starved", "LackBranchLine": "starved", "Prepared": "stop", "Tailback": "blocked",
             "TailbackBranchLine": "blocked"}  # fmt: skip


async def test_a_weihenstephan_machine_through_every_state(plant):
    inner = f"{WS}/MachineState/ExecuteState"
    goes(plant, WS, "Aborted", "-", "-")
    plant.do(f"state {inner}/HeldState -")
    plant.do(f"state {inner}/SuspendedState -")
    machines, use = await browsed(plant, "weihenstephan-opcua")
    assert len(machines["Filler"]["nodes"]) == 8
    async with Reader(use) as filler:
        assert await filler.state(base_state="Aborted", total=5000, bad=40, program=1) == "breakdown"
        for (base, outer, execute), state in packml_states():
            goes(plant, WS, base, outer, execute)
            wanted = {"base_state": base, "machine_state": outer, "execute_state": execute}
            wanted = {name: "" if value == "-" else value for name, value in wanted.items()}
            assert (base, outer, execute, await filler.state(**wanted)) == (base, outer, execute, state)
        for outer, states in (("Held", HELD), ("Suspended", SUSPENDED)):
            goes(plant, WS, "Cleared", "Running", outer)
            for name, state in states.items():
                plant.do(f"state {inner}/{outer}State {name}")
                got = await filler.state(execute_state=outer, **{f"{outer.lower()}_state": name})
                assert (name, got) == (name, state)
        goes(plant, WS, "Cleared", "Running", "Execute")
        for program, state in ((1, "running"), (2, "running"), (4, "running"), (8, "setup"), (16, "setup"),
                               (32, "planned_stop"), (64, "planned_stop")):  # fmt: skip
            plant.do(f"set Machines/Filler/Programs/WS_Cur_Prog {program}")
            assert (program, await filler.state(program=program, execute_state="Execute")) == (program, state)


# Euromap 77 (OPC 40077)

NODESETS_FOLDER = os.environ.get("NHIP_TEST_NODESETS", "")
EUROMAP = ("PlasticsRubber/GeneralTypes/1.03/Opc.Ua.PlasticsRubber.GeneralTypes.NodeSet2.xml",
           "PlasticsRubber/IMM2MES/1.01/Opc.Ua.PlasticsRubber.IMM2MES.NodeSet2.xml")  # fmt: skip


@pytest.mark.skipif(
    not NODESETS_FOLDER,
    reason="no package registry has the Euromap NodeSets: NHIP_TEST_NODESETS names the OPC Foundation's UA-Nodeset folder",
)
@pytest.mark.parametrize("profile", ["euromap77-opcua", "euromap83-opcua"])
async def test_a_moulder_of_the_published_type(tmp_path, profile):
    files = [f"{NODESETS_FOLDER}/{name}" for name in EUROMAP]
    machine = "IMM_MES_Interface_7"
    status = f"{machine}/MachineMESStatus/ProductionControl/ProductionStatus"
    counters = f"{machine}/Jobs/ActiveJobValues"
    with node_running(tmp_path, script=STANDARDS_SERVER, nodesets=files, machines=["moulder"]) as plant:
        plant.do(f"set {counters}/JobPartsCounter 500")
        plant.do(f"set {counters}/JobBadPartsCounter 7")
        plant.do(f"set {machine}/MachineStatus/MachineMode 1")
        machines, use = await browsed(plant, profile)
        assert set(machines[machine]["nodes"]) == {"status", "mode", "parts", "bad_parts"}
        async with Reader(use) as moulder:
            assert moulder.values() | {"status": 0} == {"status": 0, "mode": 1, "parts": 500, "bad_parts": 7}
            for number, state in enumerate(("unknown", "stop", "setup", "setup", "running", "setup")):
                plant.do(f"set {status} {number}")
                assert (number, await moulder.state(status=number)) == (number, state)
            plant.do(f"set {status} 4")
            for mode, state in ((1, "running"), (2, "running"), (3, "setup"), (4, "setup"), (5, "planned_stop")):
                plant.do(f"set {machine}/MachineStatus/MachineMode {mode}")
                assert (mode, await moulder.state(status=4, mode=mode)) == (mode, state)
            plant.do(f"set {counters}/JobPartsCounter 501")
            await moulder.state(parts=501)


# the NodeSets themselves

SCHEMA = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"


def states_of(file):
    """Name and number of each state of a NodeSet, by the number of its node; the number is None where it has none."""
    root = ET.parse(NODESETS / file).getroot()
    nodes = {node.get("NodeId"): node for node in root if node.tag.startswith(SCHEMA + "UA")}
    own = next(iter(root.iter(SCHEMA + "Model"))).get("ModelUri")
    uris = [item.text for item in root.find(SCHEMA + "NamespaceUris")]
    prefix = f"ns={uris.index(own) + 1};i="
    numbers = {}
    for node in nodes.values():
        if node.get("BrowseName") == "StateNumber":
            parent = node.get("ParentNodeId") or next(
                item.text for item in node.iter(SCHEMA + "Reference") if item.get("IsForward") == "false"
            )
            numbers[parent] = int("".join(node.find(SCHEMA + "Value").itertext()))
    found = {}
    for key, node in nodes.items():
        kinds = {
            item.text for item in node.iter(SCHEMA + "Reference") if item.get("ReferenceType") == "HasTypeDefinition"
        }
        if kinds & {"i=2307", "i=2309"} and key.startswith(prefix):
            found[int(key.removeprefix(prefix))] = (node.get("BrowseName").split(":")[-1], numbers.get(key))
    return own, found


@pytest.mark.parametrize(
    "file",
    ["Opc.Ua.PackML.NodeSet2.xml", "Opc.Ua.Machinery.NodeSet2.xml", "Opc.Ua.Weihenstephan.NodeSet2.xml"],
)
def test_known_states_are_those_of_the_nodeset(file):
    own, states = states_of(file)
    assert WELL_KNOWN[own] == {number: name for number, (name, _) in states.items()}


def test_known_modes_of_machine_tools_are_among_those_of_the_nodeset():
    own, states = states_of("Opc.Ua.MachineTool.NodeSet2.xml")
    assert WELL_KNOWN[own].items() <= {number: name for number, (name, _) in states.items()}.items()


def test_packml_means_the_same_by_number_and_by_name():
    """The numbers of `packml` are the NodeSet's StateNumbers."""
    _, states = states_of("Opc.Ua.PackML.NodeSet2.xml")
    rules = load_profiles()["packml"].rules
    by_number = {}
    for rule in rules:
        match = re.fullmatch(r"state in \(([\d, ]+)\)", rule.when or "")
        for number in match[1].split(",") if match else ():
            by_number[int(number)] = rule.state.word
    expected = {**BASE, **OUTER, **EXECUTE}
    named = {number: name for name, number in states.values()}
    assert set(named) == {*range(1, 20)}
    for number, state in by_number.items():
        assert state.replace("unplanned_stop", "stop") == expected[named[number]], named[number]
    assert set(named) - set(by_number) == {18, 19}, "Running and Cleared contain others"


def test_every_opcua_profile_says_what_it_was_compared_with():
    for name in equipment_ids():
        profile = equipment(name)
        if not any(item.browse for item in profile.variables.values()):
            assert not profile.compared
            continue
        shown = run("equipment", name).stdout
        if profile.compared:
            assert all(model in shown for model in profile.compared)
            assert f'"{name}"' in SELF, "it is compared here"
        else:
            assert "Compared with no published model" in shown
