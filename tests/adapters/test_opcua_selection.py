"""What a tag selects of its node's value: elements of arrays, fields of structures, names of states."""

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.server.internal_session import InternalSession
from asyncua.ua.ua_binary import pack_uatype
from hypothesis import given
from hypothesis import strategies as st
from opcua_habits import habits
from opcua_plant import device, gathered, has_node_opcua, node_running, until_value
from servers import free_port

import adapters.opcua.adapter as adapter_module
from adapters.browsing import Walk
from adapters.opcua.adapter import open_device
from adapters.opcua.model import OpcUaTag
from adapters.opcua.selection.structures import FieldReader, built_in, fields_of, structure
from adapters.opcua.selection.tag_values import TagValues
from adapters.opcua.service.browse import browse
from adapters.opcua.service.diagnose import diagnose
from oee.model.states import Quality

node_opcua = pytest.mark.skipif(not has_node_opcua(), reason="no node-opcua here (scripts/nodeopcua installs it)")
STRUCTURES = Path(__file__).with_name("opcua_structures.py")


def asked(port, mode="subscribe", **tags):
    """A device with these tags only: keys beyond the node, which has the tag's name up to `__`."""
    nodes = {name: {"node": f"nsu=urn:nhip:test;s={name.partition('__')[0]}"} | keys for name, keys in tags.items()}
    return device(port, every="50ms", mode=mode).model_copy(
        update={"tags": {name: OpcUaTag.model_validate(keys) for name, keys in nodes.items()}}
    )


async def first_values(wanted):
    """Value and quality of each tag, and the faults of the bad ones."""
    adapter = open_device(wanted, time.time_ns)
    await adapter.connect()
    rows = await gathered(adapter, tuple(wanted.tags))
    await adapter.close()
    values = {name: rows[name][0].value for name in wanted.tags}
    bad = [name for name in wanted.tags if rows[name][0].quality is Quality.BAD]
    return values, {name: (fault.code, dict(fault.values)) for name, fault in (await diagnose(wanted, bad)).items()}


ARRAYS = {
    "list__0": {"index": 0}, "list__2": {"index": 2}, "list__3": {"index": 3}, "list": {},
    "matrix__12": {"index": [1, 2]}, "matrix__1": {"index": 1}, "matrix__9": {"index": [1, 9]}, "count__0": {"index": 0},
}  # fmt: skip


@pytest.fixture(scope="module")
def node_server(tmp_path_factory):
    with node_running(tmp_path_factory.mktemp("node-opcua")) as server:
        yield server


@node_opcua
@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_elements_of_arrays_from_a_server_that_sends_ranges(node_server, mode):
    node_server.do("list 11 22 33")
    wanted = asked(node_server.port, mode, **ARRAYS)
    values, faults = await first_values(wanted)
    assert values == {"list__0": 11, "list__2": 33, "list__3": None, "list": None, "matrix__12": 6, "matrix__1": None,
                      "matrix__9": None, "count__0": None}  # fmt: skip
    assert {name: code for name, (code, _) in faults.items()} == {
        "list__3": "opcua_index", "list": "opcua_array", "matrix__1": "opcua_array", "matrix__9": "opcua_index",
        "count__0": "opcua_no_array",
    }  # fmt: skip
    assert faults["list__3"][1] == {"index": "3", "field": "", "found": "3"}


@node_opcua
@pytest.mark.parametrize(("mode", "ranges"), [("poll", ["0", "2"]), ("subscribe", [None, None])])
async def test_polls_ask_for_the_element_only_and_others_that_change_make_no_row(node_server, mode, ranges):
    node_server.do("list 11 22 33")
    adapter = open_device(asked(node_server.port, mode, list__0={"index": 0}, list__2={"index": 2}), time.time_ns)
    await adapter.connect()
    await gathered(adapter, ("list__0", "list__2"))
    assert [adapter._nodes[name].IndexRange for name in ("list__0", "list__2")] == ranges
    node_server.do("list 11 22 34")
    rows = await gathered(adapter, ["list__2"])
    assert ([row.value for row in rows["list__2"]], "list__0" in rows) == ([34], False)
    await adapter.close()


@node_opcua
@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_an_array_that_grows_only_later(node_server, mode):
    node_server.do("list")
    adapter = open_device(asked(node_server.port, mode, list__1={"index": 1}), time.time_ns)
    await adapter.connect()
    (row,) = (await gathered(adapter, ["list__1"]))["list__1"]
    assert row.quality is Quality.BAD
    node_server.do("list 7")  # one element: not to be taken for the one that was asked for
    node_server.do("list 7 8")
    assert (await gathered(adapter, ["list__1"]))["list__1"][-1].value == 8
    await adapter.close()


async def refusing(self, parameters, *rest, **named):
    results = await read(self, parameters, *rest, **named)
    refused = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadIndexRangeInvalid))
    return [
        refused if item.IndexRange else result for item, result in zip(parameters.NodesToRead, results, strict=True)
    ]


async def no_service(self, parameters, *rest, **named):
    if any(item.IndexRange for item in parameters.NodesToRead):
        raise ua.uaerrors.BadNotSupported
    return await read(self, parameters, *rest, **named)


read = InternalSession.read


@pytest.mark.parametrize("habit", [None, refusing, no_service], ids=["ignores", "refuses", "fails"])
async def test_elements_from_servers_that_send_no_ranges(monkeypatch, habit):
    if habit is not None:
        monkeypatch.setattr(InternalSession, "read", habit)
    lists = {"list": ([11, 22, 33], ua.VariantType.Int32), "matrix": ([[1, 2, 3], [4, 5, 6]], ua.VariantType.Int32)}
    async with habits(monkeypatch, **lists) as server:
        for mode in ("subscribe", "poll"):
            await server.set("list", [11, 22, 33])
            wanted = asked(server.port, mode, list__0={"index": 0}, list__2={"index": 2}, list__3={"index": 3},
                           matrix__12={"index": [1, 2]})  # fmt: skip
            adapter = open_device(wanted, time.time_ns)
            await adapter.connect()
            rows = await gathered(adapter, tuple(wanted.tags))
            assert [rows[name][0].value for name in wanted.tags] == [11, 33, None, 6]
            await server.set("list", [12, 22, 35, 44])
            rows = await gathered(adapter, ("list__0", "list__2", "list__3"))
            assert [rows[name][-1].value for name in ("list__0", "list__2", "list__3")] == [12, 35, 44]
            assert "matrix__12" not in rows
            await adapter.close()


@asynccontextmanager
async def structures():
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(STRUCTURES), str(port), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await process.stdout.readline() == b"up\n"
        yield port
    finally:
        process.kill()
        await process.wait()


async def test_fields_of_structures():
    async with structures() as port:
        values, faults = await first_values(asked(
            port,
            counts__total={"index": 1, "field": "AccCount"}, counts__made={"index": 0, "field": "Part.Made"},
            counts__unit={"index": 0, "field": "Part.Unit.UnitId"}, counts__name={"index": 0, "field": "Name"},
            counts__colour={"index": 0, "field": "Part.Colour"}, counts__any={"index": 0, "field": "Any"},
            choice__text={"field": "Text"}, unit__id={"field": "UnitId"}, count__made={"field": "Part.Made"},
            counts__typo={"index": 0, "field": "acccount"}, counts__list={"index": 0, "field": "History"},
            counts__field={"index": 0}, counts__index={"field": "AccCount"}, count__absent={"field": "AccCount"},
            choice__number={"field": "Number"}, counts__deep={"index": 0, "field": "Name.First"},
        ))  # fmt: skip
        good = {name: value for name, value in values.items() if value is not None}
        assert good == {
            "counts__total": 200, "counts__made": 7, "counts__unit": 5, "counts__name": "Chai", "counts__colour": 1,
            "counts__any": 2.5, "choice__text": "A", "unit__id": 5, "count__made": 9,
        }  # fmt: skip
        assert {name: code for name, (code, _) in faults.items()} == {
            "counts__typo": "opcua_field", "counts__list": "opcua_array", "counts__field": "opcua_fields",
            "counts__index": "opcua_array", "count__absent": "opcua_field", "choice__number": "opcua_field",
            "counts__deep": "opcua_no_structure",
        }  # fmt: skip
        assert "AccCount" in faults["counts__typo"][1]["found"]
        found = await browse(f"opc.tcp://127.0.0.1:{port}/", {}, Path(), Walk(), None, lambda _: None)
        by_name = {item.path[-1]: item.value for item in found.nodes}
        assert by_name["counts"][1]["AccCount"] == 200
        assert by_name["counts"][0]["Part"]["Unit"]["UnitId"] == 5
        assert by_name["choice"] == {"Text": "A"}
        assert "AccCount" not in by_name["count"]


async def test_states_by_name_from_the_server_the_specification_or_not_at_all(monkeypatch):
    async with habits(monkeypatch, state=ua.NodeId(5006, 2), word="Executing", number=3) as server:
        tags = {name: {"state_name": True} for name in ("state", "word", "number")}
        wanted = asked(server.port, **tags)
        assert (await first_values(wanted))[0] == {"state": None, "word": "Executing", "number": 3}
        monkeypatch.setattr(adapter_module, "RECHECK_S", 0.2)
        faults = await diagnose(wanted, ["state"])
        assert (faults["state"].code, faults["state"].values["found"]) == ("opcua_state", "nsu=urn:nhip:test;i=5006")
        machinery = await server.server.register_namespace("http://opcfoundation.org/UA/Machinery/")
        await server.set("state", ua.NodeId(5006, machinery))
        adapter = open_device(wanted, time.time_ns)
        await adapter.connect()
        assert (await until_value(adapter, "state", "Executing")).quality is Quality.GOOD
        own = await server.server.nodes.objects.add_object(server.index, "Läuft")
        await server.set("state", own.nodeid)
        await until_value(adapter, "state", "Läuft")
        await server.set("state", ua.NodeId())
        await until_value(adapter, "state", "")
        await server.set("state", ua.NodeId("Dừng", server.index))
        await until_value(adapter, "state", None)
        await server.server.nodes.objects.add_object(
            ua.NodeId("Dừng", server.index), ua.QualifiedName("Dừng", server.index)
        )
        await until_value(adapter, "state", "Dừng")
        await adapter.close()


def test_a_state_machine_in_no_state_is_no_fault():
    values = TagValues(None, {"s": OpcUaTag(node="i=1", state_name=True), "n": OpcUaTag(node="i=1")})
    inactive = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadStateNotActive))
    assert values.value("s", inactive) == ("", Quality.GOOD)
    assert values.value("n", inactive) == (None, Quality.BAD)


INT32, TEXT = built_in(ua.NodeId(6)), built_in(ua.NodeId(12))


@given(st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.text()), max_size=6), st.binary(max_size=12))
def test_structures_of_any_bytes_are_decoded_or_left(pairs, rest):
    """No bytes raise; what a definition describes comes back."""
    fields = [
        FieldReader("n", INT32),
        FieldReader("t", TEXT),
        FieldReader("list", INT32, 1),
        FieldReader("m", INT32, 2),
    ]
    reader = structure(ua.StructureType.Structure, fields)
    kind, text = ua.VariantType.Int32, ua.VariantType.String
    for number, words in pairs:
        body = pack_uatype(kind, number) + pack_uatype(text, words)
        body += b"".join(pack_uatype(kind, item) for item in (2, number, 5, 2, 1, 2, 8, 9))
        value = ua.ExtensionObject(ua.NodeId(1, 1), body)
        assert fields_of(value, {ua.NodeId(1, 1): reader}) == {
            "n": number,
            "t": words,
            "list": [number, 5],
            "m": [8, 9],
        }
    broken = fields_of(ua.ExtensionObject(ua.NodeId(1, 1), rest), {ua.NodeId(1, 1): reader})
    assert broken is None or set(broken) == {"n", "t", "list", "m"}


def test_a_length_that_is_no_length_is_not_believed():
    reader = structure(ua.StructureType.Structure, [FieldReader("list", INT32, 1)])
    body = pack_uatype(ua.VariantType.Int32, 2_000_000_000)
    assert fields_of(ua.ExtensionObject(ua.NodeId(1, 1), body), {ua.NodeId(1, 1): reader}) is None
    with pytest.raises(ua.uaerrors.UaError):
        reader(Buffer(body))
