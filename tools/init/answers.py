"""Parses the answers typed at `nhip init`. Pure."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from adapters.kinds import all_kinds, kind
from config import Misconfigured, parse_site
from config.site.names import defined_names
from config.templates.equipment import Equipment, equipment, similar_equipment
from config.templates.expand import expand
from config.yaml.complaints import Complaint
from config.yaml.tree import read_tree, value
from tools.init.site_text import DeviceEntry, MachineEntry, ShiftEntry, UseEntry, devices_text, uses_text

SHIFT = r"(\S+)\s+(\S+)\s+(\d\d:\d\d)-(\d\d:\d\d)((?:\s+\d\d:\d\d-\d\d:\d\d)*)"
MACHINE_KEYS = ("name", "line", "running", "alarm", "count", "reject")


class UnusableAnswer(Exception):
    """An answer that cannot be used. code: `init.bad.<code>` says why; detail: foreign text."""

    def __init__(self, code: str, text: str, detail: str = "") -> None:
        super().__init__(f"{text}: {code} {detail}".strip())
        self.code, self.text, self.detail = code, text, detail


def parse_shift(text: str) -> ShiftEntry:
    """`A mon-sat 06:00-14:00 10:00-10:15`: name, days, hours, breaks. Raises `UnusableAnswer`."""
    match = re.fullmatch(SHIFT, text.strip())
    if match is None:
        raise UnusableAnswer("shift", text)
    return ShiftEntry(match[1], match[2], match[3], match[4], tuple(match[5].split()))


def parse_device(text: str) -> DeviceEntry:
    """`plc=192.168.1.10:502/1`, `meter=/dev/ttyUSB0:9600:none/3` or `inj=opc.tcp://192.168.1.20:4840`.

    Raises `UnusableAnswer`.
    """
    name, _, place = (part.strip() for part in text.partition("="))
    if not re.fullmatch(r"[^\W\d][\w-]*", name) or not place:
        raise UnusableAnswer("device", text)
    for face in all_kinds():
        settings = face.typed(place)
        if settings is not None:
            return DeviceEntry(name, face.name, settings)
    raise UnusableAnswer("device", text)


def parse_tag(text: str) -> tuple[str, str, str]:
    """`plc.strokes: {holding: 100, type: uint32}` as device, tag and what is in braces. Raises `UnusableAnswer`."""
    match = re.fullmatch(r"\s*([^\W\d][\w-]*)\.([^\W\d][\w-]*)\s*:\s*(\{.*\})\s*", text, re.DOTALL)
    if match is None:
        raise UnusableAnswer("tag", text)
    return match[1], match[2], match[3]


def check_tag(kind_name: str, line: str, text: str) -> None:
    """Whether a device of that kind takes such a tag. Raises `UnusableAnswer`."""
    tree, errors = read_tree(f"tag: {line}", "")
    if errors:
        raise UnusableAnswer("tag", text, str(errors[0].values.get("detail", "")))
    try:
        kind(kind_name).tag.model_validate(value(tree)["tag"])
    except ValidationError as error:
        raise UnusableAnswer("tag", text, "; ".join(item["msg"] for item in error.errors(include_url=False))) from error


def parse_machine(text: str) -> MachineEntry:
    """`press-1 line=stamping running=plc.running count=plc.strokes`. Raises `UnusableAnswer`."""
    name, *pairs = re.findall(r'\w[\w-]*=(?:"[^"]*"|\S+)|\S+', text) or [""]
    given: dict[str, Any] = {}
    for pair in pairs:
        key, separator, item = pair.partition("=")
        if key not in MACHINE_KEYS or not separator:
            raise UnusableAnswer("machine", text, pair)
        given[key] = item.strip('"')
    if not given.get("running") and not given.get("count"):
        raise UnusableAnswer("machine_blind", text)
    return MachineEntry(name, given.pop("name", ""), **given)


def parse_use(text: str) -> UseEntry:
    """`moxa-iologik-e1210 device=io-1 host=192.168.1.31`: a profile and its row. Raises `UnusableAnswer`."""
    name, *pairs = re.findall(r'[\w-]+=(?:"[^"]*"|\S+)|\S+', text) or [""]
    profile_of(name)
    row: dict[str, str] = {}
    for pair in pairs:
        key, separator, item = pair.partition("=")
        if not separator:
            raise UnusableAnswer("equipment", text, pair)
        row[key] = item.strip('"')
    return UseEntry(name, row)


def profile_of(name: str) -> Equipment:
    """The profile of that name. Raises `UnusableAnswer` with the nearest."""
    profile = equipment(name)
    if profile is None:
        raise UnusableAnswer("no_equipment", name, ", ".join(similar_equipment(name)))
    return profile


def complaints_about(devices: Sequence[DeviceEntry], uses: Sequence[UseEntry]) -> Sequence[Complaint]:
    """The errors of a site file with these alone."""
    try:
        parse_site(f"site: x\ntimezone: UTC\n{devices_text(devices)}\n{uses_text(uses)}", "use")
    except Misconfigured as error:
        return [item for item in error.complaints if item.severity == "error"]
    return ()


def tags_of(devices: Sequence[DeviceEntry], uses: Sequence[UseEntry]) -> list[str]:
    """Every `device.tag` of these, sorted, without `online`."""
    tree, _ = read_tree(f"{devices_text(devices)}\n{uses_text(uses)}", "")
    tags = defined_names(value(expand(tree, "")[0])).tags
    return sorted(tag for tag in tags if not tag.endswith(".online"))
