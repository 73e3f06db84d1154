"""Equipment profiles: common equipment of small factories as templates, in YAML files.

A file of config/profiles/equipment is a template with its sources: devices with their tags, machines with their state
rules and counters. A site file uses one with a row for each machine:

    use:
      - {equipment: moxa-iologik-e1210, with: [{device: io-1, host: 192.168.1.31}]}
      - equipment: pulse-counter
        with:
          - {machine: sew-1, count: io-1.count_0, line: sewing}

Where machines keep the same thing in different places, `ways` lists the sets of variables of which a row gives one:
`ways: [[state], [base_state, machine_state, execute_state]]`.

Other keys of a machine or a device in a row (`line`, `calendar`, `port`, `every`, `tags`) override those of the
profile.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, Literal, get_args

from config.devices.kinds import DEVICE_KINDS
from config.site.machine import MachineModel
from config.templates.variables import Variable, read_variables
from config.yaml.complaints import Complaint, Misconfigured, nearest
from config.yaml.tree import Map, Node, Scalar, Seq, read_tree

Basis = Literal["manual", "standard", "generic"]
"""Source of the addresses: the manufacturer's manual, a published standard, or common practice to be verified."""
SECTIONS: Final = ("devices", "machines")
KEYS: Final = ("name", "basis", "sources", "compared", "setup", "ways", "variables", *SECTIONS)
_PLAIN: Final = re.compile(r"[\w./+-]+")


@dataclass(frozen=True)
class Equipment:
    """One file. names, setup: by language; setup: what has to be set at the equipment itself; body: its devices and
    machines; kind: of its device, "" if it has none.

    compared: the published models (NodeSets) that it was compared with; empty if none. ways: of several sets of optional
    variables each row gives exactly one; empty where there is no such choice.
    """

    id: str
    names: dict[str, str]
    basis: Basis
    sources: tuple[str, ...]
    setup: dict[str, str]
    variables: dict[str, Variable]
    body: Map
    kind: str
    compared: tuple[str, ...] = ()
    ways: tuple[tuple[str, ...], ...] = ()

    def tags(self) -> tuple[str, ...]:
        """The names of its device's tags."""
        devices = self.body.get("devices")
        blocks = (
            [item.get("tags") for _, item in devices.pairs if isinstance(item, Map)] if isinstance(devices, Map) else []
        )
        return tuple(key.text for block in blocks if isinstance(block, Map) for key, _ in block.pairs)

    def override_keys(self) -> frozenset[str]:
        """Keys of a row that are passed to the machine or to the device unchanged."""
        machine = set(MachineModel.model_fields) if self.body.get("machines") else set()
        device = set(DEVICE_KINDS[self.kind].model_fields) - {"kind"} if self.kind else set()
        return frozenset((machine | device) - set(self.variables))


def equipment_ids() -> tuple[str, ...]:
    """The names of all profiles, sorted."""
    return tuple(sorted(item.name.removesuffix(".yaml") for item in _folder().iterdir() if item.name.endswith(".yaml")))


def similar_equipment(name: str) -> tuple[str, ...]:
    """The profiles that a person may mean by this: those that contain it, or what is nearest to it; all if nothing is near."""
    known = equipment_ids()
    found = [item for item in known if name.lower() in item] if name else []
    near = nearest(name, [part for item in known for part in item.split("-")]) or nearest(name, known)
    return tuple(found or [item for item in known if near and near in item] or known)


@cache
def equipment(name: str) -> Equipment | None:
    """A profile by its file's name, None if there is none. Raises `Misconfigured` if it is invalid."""
    if name not in equipment_ids():
        return None
    return read_equipment(name, (_folder() / f"{name}.yaml").read_text(encoding="utf-8"))


def read_equipment(name: str, text: str) -> Equipment:
    """A profile from its text. Raises `Misconfigured`."""
    file = f"{name}.yaml"
    tree, complaints = read_tree(text, file)
    variables, errors = read_variables(tree.get("variables"), ("variables",), file)
    complaints += errors
    complaints += [
        Complaint(file, key.line, key.text, "", "unknown_key", {"near": "", "known": ", ".join(KEYS)})
        for key, _ in tree.pairs
        if key.text not in KEYS
    ]
    basis = _text(tree.get("basis"))
    named = _texts(tree.get("sources"))
    if basis not in get_args(Basis) or not named or not _words(tree.get("name")):
        complaints.append(Complaint(file, 1, "basis", basis, "missing_key", {"example": "name, basis, sources"}))
    if complaints:
        raise Misconfigured(complaints)
    body = Map(tuple((key, node) for key, node in tree.pairs if key.text in SECTIONS), 1)
    return Equipment(
        name, _words(tree.get("name")), basis, named, _words(tree.get("setup")),  # type: ignore[arg-type]  # checked
        variables, body, _kind(body), _texts(tree.get("compared")), _ways(tree.get("ways")),
    )  # fmt: skip


def use_lines(profile: Equipment, given: Mapping[str, str]) -> str:
    """`use:` with one row. given: variable, or another key of a machine or device, to its value as text."""
    return f"use:\n{use_item(profile, [given])}"


def use_item(profile: Equipment, rows: Sequence[Mapping[str, str]]) -> str:
    """One item of `use` with its rows."""
    lines = [f"  - equipment: {profile.id}", "    with:", *(f"      - {row_text(row)}" for row in rows)]
    return "\n".join(lines)


def row_text(given: Mapping[str, str]) -> str:
    """A row in braces; values that YAML could interpret are quoted."""
    return "{" + ", ".join(f"{key}: {_yaml_value(value)}" for key, value in given.items()) + "}"


def _yaml_value(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _folder() -> Traversable:
    return resources.files("config") / "profiles" / "equipment"


def _kind(body: Map) -> str:
    devices = body.get("devices")
    for _, device in devices.pairs if isinstance(devices, Map) else ():
        if isinstance(device, Map):
            return _text(device.get("kind"))
    return ""


def _texts(node: Node | None) -> tuple[str, ...]:
    return tuple(_text(item) for item in node.items) if isinstance(node, Seq) else ()


def _ways(node: Node | None) -> tuple[tuple[str, ...], ...]:
    return tuple(_texts(item) for item in node.items) if isinstance(node, Seq) else ()


def _words(node: Node | None) -> dict[str, str]:
    return {key.text: _text(item) for key, item in node.pairs} if isinstance(node, Map) else {}


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""
