"""`nhip browse` against a real server, and the lines that it prints."""

import json
import socket

import pytest
from tools_plant import URI, in_background, run, running

from adapters.browsing import BrowsedNode
from adapters.opcua.model import OpcUaTag
from adapters.opcua.nodes import node_text
from config.yaml.tree import read_tree, value
from tools.browse.lines import folded, matches, shown_value, tag_lines


@pytest.fixture(scope="module")
def server():
    with in_background(running(namespaces=3)) as started:
        yield f"opc.tcp://127.0.0.1:{started.port}/"


@pytest.mark.parametrize(("lang", "said"), [("vi", "Dòng tags sẵn"), ("en", "Tags ready for the site file (4)")])
def test_a_tree_and_lines_to_paste(server, lang, said):
    result = run("browse", server, lang=lang)
    assert result.exit_code == 0, result.output
    assert said in result.stdout
    assert "temperature  = 20.5  Double" in result.stdout
    assert f'count: {{node: "nsu={URI};s=count"}}' in result.stdout
    assert "ServerStatus" not in result.stdout
    lines = [line.strip() for line in result.stdout.splitlines() if line.startswith("      ")]
    for line in lines:
        ((_, tag),) = value(read_tree(line, "")[0]).items()
        OpcUaTag.model_validate(tag)


def test_search_and_json(server):
    result = run("browse", server, "--find", "TEMP", "--json")
    (node,) = json.loads(result.stdout)["nodes"]
    assert node["path"] == ["M", "temperature"]
    assert (node["value"], node["type"], node["status"]) == (20.5, "Double", "Good")
    assert node["source_time"]
    assert run("browse", server, "--find", "no such thing").exit_code == 1


def test_depth_and_limit(server):
    shallow = json.loads(run("browse", server, "--depth", "1", "--json").stdout)
    assert [node["path"] for node in shallow["nodes"]] == [["M"]]
    cut = json.loads(run("browse", server, "--most", "2", "--json").stdout)
    assert cut["cut"]
    assert len(cut["nodes"]) <= 2


def test_from_a_node(server):
    result = run("browse", server, "--node", "i=2256", "--json")
    assert ["CurrentTime"] in [node["path"] for node in json.loads(result.stdout)["nodes"]]
    assert run("browse", server, "--node", "nsu=urn:nobody;s=x").exit_code == 1


@pytest.mark.parametrize(("lang", "said"), [("vi", "cổng này đóng"), ("en", "this port is closed")])
def test_nobody_there(lang, said):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"opc.tcp://127.0.0.1:{probe.getsockname()[1]}"
        result = run("browse", url, lang=lang)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_user_that_is_refused_and_settings_that_make_no_sense(server):
    result = run("browse", server, "--security", "Basic256Sha256/SignAndEncrypt", "--certificates", "/nonexistent/x")
    assert result.exit_code in {1, 2}
    assert run("browse", "http://127.0.0.1").exit_code == 2
    assert run("browse", server, "--security", "Basic").exit_code == 2


def test_names_are_short_unique_and_fit_for_expressions():
    def item(*path, held=1):
        return BrowsedNode(len(path), path, f"nsu=urn:m;s={'.'.join(path)}", "variable", "Int32", held)

    counts = [{"ID": 1, "Unit": {"Id": 3}, "AccCount": 5}] * 2
    state = BrowsedNode(3, ("S", "CurrentState", "Id"), "nsu=urn:m;i=7", "variable", "NodeId", "nsu=urn:m;i=9",
                        browse_path=("S", "CurrentState", "Id"))  # fmt: skip
    lines = tag_lines([item("A", "Count"), item("B", "Count"), item("Count"), item("Máy 1", "Nhiệt độ"), item("7up"),
                       item("Admin.ProdProcessedCount"), item("list", held=[4, 5, 6]), item("none", held=[]),
                       item("Parts", held=counts), state])  # fmt: skip
    assert [line.partition(":")[0] for line in lines] == [
        "count", "b_count", "count_2", "nhiệt_độ", "t_7up", "prod_processed_count", "list", "id", "acc_count", "current_state_id"]  # fmt: skip
    assert lines[6:] == [
        'list: {node: "nsu=urn:m;s=list", index: 0}  # index: 0 … 2',
        'id: {node: "nsu=urn:m;s=Parts", index: 0, field: ID}  # index: 0 … 1',
        'acc_count: {node: "nsu=urn:m;s=Parts", index: 0, field: AccCount}  # index: 0 … 1',
        'current_state_id: {node: "nsu=urn:m;i=7", state_name: true}',
    ]
    for line in lines:
        ((_, tag),) = value(read_tree(line, "")[0]).items()
        OpcUaTag.model_validate(tag)


def test_search_knows_no_accents_and_no_case():
    assert folded("Nhiệt Độ") == "nhiet do"
    assert matches(BrowsedNode(0, ("Nhiệt độ dầu",), "i=1", "variable"), "NHIET DO")
    assert matches(BrowsedNode(0, ("x",), "nsu=urn:m;s=Shots", "variable"), "shot")


def test_values_and_ids_as_text():
    assert shown_value([1, 2, 3]) == "[1, 2, 3]"
    assert shown_value([{"ID": 1, "Text": "a", "Inner": {"x": 0.5}}]) == "[{ID: 1, Text: a, Inner: {x: 0.5}}]"
    assert len(shown_value([1] * 1000)) == 40
    assert shown_value(True) == "true"
    assert shown_value("a\nb") == "a b"
    assert len(shown_value("x" * 100)) == 40
    assert node_text("ns=0;i=2258", ["http://opcfoundation.org/UA/"]) == "i=2258"
    assert node_text("ns=9;s=x", ["a"]) == "ns=9;s=x"
