"""`nhip init`: questions and answers, or flags, from nothing to a valid site file."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from config import Misconfigured, parse_site
from config.device_modbus import ModbusTag
from config.device_opcua import OpcUaTag
from config.tree import read_tree, value
from tools.site_text import Answers, DeviceAnswer, MachineAnswer, ShiftAnswer, site_text
from tools.terminal import notice
from words import complaint, say

KINDS: dict[str, type[ModbusTag] | type[OpcUaTag]] = {"modbus_tcp": ModbusTag, "opcua": OpcUaTag}
SHIFT = r"(\S+)\s+(\S+)\s+(\d\d:\d\d)-(\d\d:\d\d)((?:\s+\d\d:\d\d-\d\d:\d\d)*)"
MACHINE_KEYS = ("name", "line", "running", "alarm", "count", "reject")
T = TypeVar("T")


class Unusable(Exception):
    """An answer that cannot be used. code: `init.bad.<code>` says why; detail: foreign text."""

    def __init__(self, code: str, text: str, detail: str = "") -> None:
        super().__init__(f"{text}: {code} {detail}".strip())
        self.code, self.text, self.detail = code, text, detail


@dataclass(frozen=True)
class Flags:
    """What was given on the command line; what is missing is asked, unless `yes`."""

    site: str = ""
    name: str = ""
    timezone: str = ""
    shifts: Sequence[str] = ()
    devices: Sequence[str] = ()
    tags: Sequence[str] = ()
    machines: Sequence[str] = ()
    product: str = ""
    ideal: str = ""
    broker: str = ""
    yes: bool = False


def init(path: Path, flags: Flags, lang: str) -> int:
    """Writes the file and returns the exit status: 0 written, 2 refused."""
    if path.exists():
        notice(say("init.exists", lang, file=path))
        return 2
    try:
        answers = from_flags(flags)
    except Unusable as error:
        notice(_bad(error, lang))
        return 2
    if not flags.yes:
        answers = _asked(answers, flags, lang)
    text = site_text(answers, lang)
    try:
        _, warnings = parse_site(text, str(path))
    except Misconfigured as error:
        notice("\n".join(complaint(item, lang) for item in error.complaints))
        notice(say("init.not_written", lang))
        return 2
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        notice(say("init.cannot_write", lang, file=path, detail=error.strerror or str(error)))
        return 2
    for item in warnings:
        notice(complaint(item, lang))
    click.echo(say("init.written", lang, file=path))
    return 0


def from_flags(flags: Flags) -> Answers:
    """The answers that flags give. Raises `Unusable`."""
    devices = {device.name: device for device in map(parse_device, flags.devices)}
    for text in flags.tags:
        name, tag, line = parse_tag(text)
        if name not in devices:
            raise Unusable("no_device", text)
        check_tag(devices[name].kind, line, text)
        devices[name] = replace(devices[name], tags={**devices[name].tags, tag: line})
    return Answers(
        flags.site,
        flags.name,
        flags.timezone or "Asia/Ho_Chi_Minh",
        tuple(map(parse_shift, flags.shifts)),
        tuple(devices.values()),
        tuple(map(parse_machine, flags.machines)),
        flags.product,
        flags.ideal,
        flags.broker,
    )


def parse_shift(text: str) -> ShiftAnswer:
    """`A mon-sat 06:00-14:00 10:00-10:15`: name, days, hours, breaks. Raises `Unusable`."""
    match = re.fullmatch(SHIFT, text.strip())
    if match is None:
        raise Unusable("shift", text)
    return ShiftAnswer(match[1], match[2], match[3], match[4], tuple(match[5].split()))


def parse_device(text: str) -> DeviceAnswer:
    """`plc=192.168.1.10:502/1` or `inj=opc.tcp://192.168.1.20:4840`. Raises `Unusable`."""
    name, _, place = (part.strip() for part in text.partition("="))
    if not re.fullmatch(r"[^\W\d][\w-]*", name) or not place:
        raise Unusable("device", text)
    if place.startswith("opc.tcp://"):
        return DeviceAnswer(name, "opcua", {"url": place})
    match = re.fullmatch(r"([\w.-]+)(?::(\d+))?(?:/(\d+))?", place)
    if match is None:
        raise Unusable("device", text)
    return DeviceAnswer(name, "modbus_tcp", {"host": match[1], "port": match[2] or "502", "unit": match[3] or "1"})


def parse_tag(text: str) -> tuple[str, str, str]:
    """`plc.strokes: {holding: 100, type: uint32}` as device, tag and what is in braces. Raises `Unusable`."""
    match = re.fullmatch(r"\s*([^\W\d][\w-]*)\.([^\W\d][\w-]*)\s*:\s*(\{.*\})\s*", text, re.DOTALL)
    if match is None:
        raise Unusable("tag", text)
    return match[1], match[2], match[3]


def check_tag(kind: str, line: str, text: str) -> None:
    """Whether a device of that kind takes such a tag. Raises `Unusable`."""
    tree, wrong = read_tree(f"tag: {line}", "")
    if wrong:
        raise Unusable("tag", text, str(wrong[0].values.get("detail", "")))
    try:
        KINDS[kind].model_validate(value(tree)["tag"])
    except ValidationError as error:
        raise Unusable("tag", text, "; ".join(item["msg"] for item in error.errors(include_url=False))) from error


def parse_machine(text: str) -> MachineAnswer:
    """`press-1 line=stamping running=plc.running count=plc.strokes`. Raises `Unusable`."""
    name, *pairs = re.findall(r'\w[\w-]*=(?:"[^"]*"|\S+)|\S+', text)
    given: dict[str, Any] = {}
    for pair in pairs:
        key, separator, item = pair.partition("=")
        if key not in MACHINE_KEYS or not separator:
            raise Unusable("machine", text, pair)
        given[key] = item.strip('"')
    if not given.get("running") and not given.get("count"):
        raise Unusable("machine_blind", text)
    return MachineAnswer(name, given.pop("name", ""), **given)


def _asked(known: Answers, flags: Flags, lang: str) -> Answers:
    """The answers completed by a person."""
    notice(say("init.welcome", lang))
    site = known.site or _ask("site", lang, _site_id)
    name = known.name or _ask("name", lang, str, default=site)
    zone = flags.timezone or _ask("timezone", lang, str, default=known.timezone)
    shifts = known.shifts or tuple(_several("shift", lang, parse_shift))
    devices = known.devices or tuple(_device(text, lang) for text in _several("device", lang, _device_text))
    tags = [f"{device.name}.{tag}" for device in devices for tag in device.tags]
    if tags:
        notice(say("init.tags_known", lang, tags=", ".join(tags)))
    machines = known.machines or (tuple(_several("machine", lang, _machine_of(tags))) if tags else ())
    product = known.product or (_ask("product", lang, str, default="") if machines else "")
    ideal = known.ideal or (_ask("ideal", lang, str, default="") if product else "")
    return Answers(site, name, zone, shifts, devices, machines, product, ideal, known.broker)


def _site_id(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise Unusable("site", text)
    return text


def _device_text(text: str) -> str:
    parse_device(text)
    return text


def _device(text: str, lang: str) -> DeviceAnswer:
    device = parse_device(text)
    tags: dict[str, str] = {}

    def one(line: str) -> tuple[str, str]:
        name, tag, braces = parse_tag(f"{device.name}.{line.strip()}")
        check_tag(device.kind, braces, line)
        if tag in tags:
            raise Unusable("tag_twice", line)
        del name
        tags[tag] = braces
        return tag, braces

    while not tags:
        _several(f"tag_{device.kind}", lang, one, device=device.name)
        if not tags:
            notice(say("init.needs_tag", lang, device=device.name))
    return replace(device, tags=tags)


def _machine_of(tags: Sequence[str]) -> Callable[[str], MachineAnswer]:
    def parse(text: str) -> MachineAnswer:
        machine = parse_machine(text)
        for tag in (machine.running, machine.alarm, machine.count, machine.reject):
            if tag and tag not in {*tags, "operator"}:
                raise Unusable("unknown_tag", text, tag)
        return machine

    return parse


def _ask(key: str, lang: str, parse: Callable[[str], T], default: str | None = None, **values: str) -> T:
    """One answer, asked again until it can be used."""
    while True:
        question = say(f"init.ask.{key}", lang, **values)
        text = str(click.prompt(question, default=default, show_default=bool(default), err=True)).strip()
        try:
            return parse(text)
        except Unusable as error:
            notice(_bad(error, lang))


def _several(key: str, lang: str, parse: Callable[[str], T], **values: str) -> list[T]:
    """Answers until an empty one."""
    notice(say(f"init.several.{key}", lang, **values))
    out: list[T] = []
    while True:
        given = _ask("next", lang, lambda text: parse(text) if text else None, default="", number=str(len(out) + 1))
        if given is None:
            return out
        out.append(given)


def _bad(error: Unusable, lang: str) -> str:
    return say(f"init.bad.{error.code}", lang, text=error.text, detail=error.detail or "—")
