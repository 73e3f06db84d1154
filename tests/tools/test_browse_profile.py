"""Which nodes of an address space are those of a profile: pure, so that every arrangement can be made here."""

import pytest

from adapters.browsing import Browsed, BrowsedNode, part_of
from config.templates.equipment import equipment, read_equipment
from tools.browse.profile import matches_of, row_of

TEXT = """
name: {vi: a, en: b}
basis: standard
sources: [x]
ways: [[state], [ready, deep]]
variables:
  machine: {example: m-1}
  url: {example: u}
  state: {browse: ["Status/State", "State"], optional: true}
  ready: {browse: ["Inner/Ready"], optional: true}
  deep: {browse: ["Inner/More/Deep"], optional: true}
  count:
    optional: true
    browse:
      - {path: Admin/Counts, index: 0, field: Total}
      - Admin/Count
      - Count
  count_index: {optional: true}
  count_field: {optional: true}
  speed: {browse: ["Speed"], optional: true, only_with: ready}
"""
PROFILE = read_equipment("p", TEXT)


def space(tree, aliases=()):
    """A walk of nested mappings, whose leaves are values of variables. aliases: (parent, name, child) by path."""
    nodes, children = [], {}

    def walk(path, below):
        children["/".join(path)] = [(name, "/".join((*path, name))) for name in below]
        for name, item in below.items():
            own = (*path, name)
            is_object = isinstance(item, dict) and not item.get("is_value")
            value = None if is_object else item.get("value") if isinstance(item, dict) else item
            kind = "object" if is_object else "variable"
            nodes.append(BrowsedNode(len(path), own, "/".join(own), kind, "Int32", value, browse_path=own))
            if is_object:
                walk(own, item)

    walk((), tree)
    for parent, name, child in aliases:
        children.setdefault(parent, []).append((name, child))
    return Browsed(nodes, False, children)


def structure(**fields):
    return {"is_value": True, "value": [fields]}


NOTHING = {"is_value": True, "value": None}


def found(tree, aliases=(), profile=PROFILE):
    """{path of the machine: {variable: node and what is selected of it}}"""
    return {
        "/".join(match.path): {
            name: item.node.node + (f"[{item.place.index}].{item.place.field}" if item.place.field else "")
            for name, item in match.nodes.items()
        }
        for match in matches_of(profile, space(tree, aliases))
    }


def test_each_machine_in_its_own_way_and_place():
    tree = {
        "New": {"Status": {"State": 6}, "Admin": {"Counts": structure(Total=5)}},
        "Old": {"State": 2, "Count": 7},
        "Odd": {"Inner": {"Ready": 1, "More": {"Deep": 2}}, "Admin": {"Count": 9}, "Speed": 3},
    }
    assert found(tree) == {
        "New": {"state": "New/Status/State", "count": "New/Admin/Counts[0].Total"},
        "Odd": {"ready": "Odd/Inner/Ready", "deep": "Odd/Inner/More/Deep", "count": "Odd/Admin/Count", "speed": "Odd/Speed"},
        "Old": {"state": "Old/State", "count": "Old/Count"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        {"B": {"Count": 7}},
        {"B": {"Admin": {"Count": 7}}},
        {"A": {"State": 1, "Unit": {"Count": 7}}},
        {"A": {"State": 1, "Unit": {"Admin": {"Count": 7}}}},
        {"Count": 7},
        {"A": {"State": 1, "Sub": {"State": 2, "Count": 7}}},
    ],
)
def test_a_counter_that_is_not_in_the_machines_own_place_is_not_its_own(other):
    tree = {"A": {"State": 1}} | other
    assert "count" not in found(tree)["A"]
    if "Sub" in tree["A"]:
        assert found(tree)["A/Sub"] == {"state": "A/Sub/State", "count": "A/Sub/Count"}
        return
    (match,) = matches_of(PROFILE, space(tree))
    assert [item.value for item in match.elsewhere["count"]] == [7], "it is named as lying elsewhere"


def test_what_lies_in_another_machine_is_not_even_named():
    first, second = matches_of(
        PROFILE, space({"A": {"State": 1}, "B": {"State": 1, "Count": 7, "Admin": {"Count": 8}}})
    )
    assert first.elsewhere == {}
    assert second.nodes["count"].value == 8


def test_levels_in_one_name():
    tree = {"Line1.M1.State": 4, "Line1.M1.Count": 5, "Line1.M2.Status.State": 2, "Line1/M2/Admin.Count": 6}
    assert found(tree) == {
        "Line1/M1": {"state": "Line1.M1.State", "count": "Line1.M1.Count"},
        "Line1/M2": {"state": "Line1.M2.Status.State", "count": "Line1/M2/Admin.Count"},
    }


def test_a_machine_at_the_top():
    assert found({"State": 4, "Count": 5}) == {"": {"state": "State", "count": "Count"}}


def test_nodes_that_are_below_several_others():
    """A machine in two folders is one machine; a part that two paths share is found by either."""
    tree = {"Set": {"A": {"Status": {"State": 1}, "Admin": {"Count": 2}}}, "Machines": {}, "Favourites": {}}
    aliases = [("Machines", "A", "Set/A"), ("Favourites", "Status", "Set/A/Status")]
    assert found(tree, aliases) == {"Set/A": {"state": "Set/A/Status/State", "count": "Set/A/Admin/Count"}}
    moved = {"A": {"Status": {}}, "Pool": {"State": 1}}
    assert found(moved, [("A/Status", "State", "Pool/State")]) == {"A": {"state": "Pool/State"}}


def test_a_way_whose_nodes_have_values_before_one_that_has_none():
    tree = {"A": {"State": NOTHING, "Inner": {"Ready": 1, "More": {"Deep": 2}}}}
    assert set(found(tree)["A"]) == {"ready", "deep"}
    assert set(found({"A": {"State": NOTHING}})["A"]) == {"state"}, "the machine may be off"
    assert found({"A": {"State": structure(x=1)}}) == {}, "but a structure is no state"
    assert found({"A": {"Inner": {"Ready": 1}}}) == {}, "half of a way is none"


def test_rows_say_element_and_field():
    (match,) = matches_of(PROFILE, space({"A": {"State": 1, "Admin": {"Counts": structure(Total=5, Count="x")}}}))
    assert row_of(PROFILE, 1, "u", match, {}) == {
        "machine": "m-1", "url": "u", "state": "A/State", "count": "A/Admin/Counts", "count_index": "0",
        "count_field": "Total",
    }  # fmt: skip


def test_channels_of_a_machine_tool():
    profile = equipment("machine-tool-opcua")
    channels = {f"Ch{number}": {"ChannelState": 0, "ChannelMode": number} for number in (1, 2)}
    tree = {"Mill": {"Monitoring": {"MachineTool": {"OperationMode": 1}, **channels}}}
    (match,) = matches_of(profile, space(tree))
    assert match.path == ("Mill",)
    assert (match.nodes["state"].text, match.nodes["channel_mode"].value) == ("Monitoring/Ch1/ChannelState", 1)
    assert [item.text for item in match.others] == ["Monitoring/Ch2/ChannelState"]


def test_parts_of_values():
    assert part_of([{"a": {"b": 5}}], 0, ("a", "b")) == 5
    assert part_of([1, 2], 1) == 2
    assert part_of({"a": 1}, None, ("a",)) == 1
    for missing in (part_of([1], 1), part_of(3, 0), part_of({"a": 1}, None, ("b",)), part_of([1], None, ("a",))):
        assert missing is None
