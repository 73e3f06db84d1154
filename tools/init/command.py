"""`nhip init`: makes a valid site file from answers or from flags."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click

from adapters.kinds import kind
from cli.terminal import notice, show_json
from config import Misconfigured, parse_site
from tools.init.answers import (
    UnusableAnswer,
    check_tag,
    complaints_about,
    parse_device,
    parse_machine,
    parse_shift,
    parse_tag,
    parse_use,
    profile_of,
    tags_of,
)
from tools.init.site_text import DeviceEntry, InitAnswers, MachineEntry, UseEntry, site_text
from words import complaint, say

T = TypeVar("T")


@dataclass(frozen=True)
class InitFlags:
    """Options of the command line; missing ones are asked for, unless `yes`."""

    site: str = ""
    name: str = ""
    timezone: str = ""
    shifts: Sequence[str] = ()
    devices: Sequence[str] = ()
    tags: Sequence[str] = ()
    uses: Sequence[str] = ()
    machines: Sequence[str] = ()
    product: str = ""
    ideal: str = ""
    broker: str = ""
    yes: bool = False
    as_json: bool = False


def init(path: Path, flags: InitFlags, lang: str) -> int:
    """Writes the file and returns the exit status: 0 written, 2 refused."""
    if path.exists():
        notice(say("init.exists", lang, file=path))
        return 2
    try:
        answers = from_flags(flags)
    except UnusableAnswer as error:
        notice(_bad(error, lang))
        return 2
    if not flags.yes:
        answers = _completed(answers, flags, lang)
    text = site_text(answers, lang)
    try:
        site, warnings = parse_site(text, str(path))
    except Misconfigured as error:
        notice("\n".join(complaint(item, lang) for item in error.complaints))
        notice(say("init.not_written", lang))
        return 2
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        notice(say("init.cannot_write", lang, file=path, detail=error))
        return 2
    for item in warnings:
        notice(complaint(item, lang))
    if flags.as_json:
        parts = {key: sorted(getattr(site, key)) for key in ("devices", "machines", "products")}
        show_json({"file": str(path), "site": site.site, **parts, "warnings": [item.code for item in warnings]})
    else:
        click.echo(say("init.written", lang, file=path))
    return 0


def from_flags(flags: InitFlags) -> InitAnswers:
    """The answers that flags give. Raises `UnusableAnswer`."""
    devices = {device.name: device for device in map(parse_device, flags.devices)}
    for text in flags.tags:
        name, tag, line = parse_tag(text)
        if name not in devices:
            raise UnusableAnswer("no_device", text)
        check_tag(devices[name].kind, line, text)
        devices[name] = replace(devices[name], tags={**devices[name].tags, tag: line})
    return InitAnswers(
        flags.site,
        flags.name,
        flags.timezone or "Asia/Ho_Chi_Minh",
        tuple(map(parse_shift, flags.shifts)),
        tuple(devices.values()),
        tuple(map(parse_machine, flags.machines)),
        flags.product,
        flags.ideal,
        flags.broker,
        tuple(map(parse_use, flags.uses)),
    )


def _completed(given: InitAnswers, flags: InitFlags, lang: str) -> InitAnswers:
    """The answers of the flags, completed by asking."""
    notice(say("init.welcome", lang))
    site = given.site or _ask("site", lang, _site_id)
    name = given.name or _ask("name", lang, str, default=site)
    zone = flags.timezone or _ask("timezone", lang, str, default=given.timezone)
    shifts = given.shifts or tuple(_several("shift", lang, parse_shift))
    devices = given.devices or tuple(_device(text, lang) for text in _several("device", lang, _device_text))
    uses = given.uses or _uses(devices, lang)
    tags = tags_of(devices, uses)
    if tags:
        notice(say("init.tags_known", lang, tags=", ".join(tags)))
    machines = given.machines or (tuple(_several("machine", lang, _machine_of(tags))) if tags else ())
    product = given.product or (_ask("product", lang, str, default="") if machines or uses else "")
    ideal = given.ideal or (_ask("ideal", lang, str, default="") if product else "")
    return InitAnswers(site, name, zone, shifts, devices, machines, product, ideal, given.broker, uses)


def _uses(devices: Sequence[DeviceEntry], lang: str) -> tuple[UseEntry, ...]:
    """Equipment profiles with their variables; a profile with invalid values is asked for again."""
    notice(say("init.several.equipment", lang))
    uses: list[UseEntry] = []
    while True:
        number = str(len(uses) + 1)
        profile = _ask("next", lang, lambda text: profile_of(text) if text else None, default="", number=number)
        if profile is None:
            return tuple(uses)
        if profile.setup:
            notice(f"{profile.names[lang]}. {profile.setup[lang]}")
        row = {}
        for variable in profile.variables.values():
            default = variable.default.text if variable.default else "" if variable.optional else None
            text = _ask("variable", lang, str, default=default, variable=variable.name,
                        name=(variable.names or {}).get(lang, ""), example=variable.example or default or "—")  # fmt: skip
            if text and text != default:
                row[variable.name] = text
        errors = complaints_about(devices, [*uses, UseEntry(profile.id, row)])
        if errors:
            notice("\n".join(complaint(item, lang) for item in errors))
        else:
            uses.append(UseEntry(profile.id, row))


def _site_id(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise UnusableAnswer("site", text)
    return text


def _device_text(text: str) -> str:
    parse_device(text)
    return text


def _device(text: str, lang: str) -> DeviceEntry:
    device = parse_device(text)
    tags: dict[str, str] = {}

    def parse_line(line: str) -> tuple[str, str]:
        _, tag, braces = parse_tag(f"{device.name}.{line.strip()}")
        check_tag(device.kind, braces, line)
        if tag in tags:
            raise UnusableAnswer("tag_twice", line)
        tags[tag] = braces
        return tag, braces

    while not tags:
        _several(kind(device.kind).tags_message, lang, parse_line, device=device.name)
        if not tags:
            notice(say("init.needs_tag", lang, device=device.name))
    return replace(device, tags=tags)


def _machine_of(tags: Sequence[str]) -> Callable[[str], MachineEntry]:
    def parse(text: str) -> MachineEntry:
        machine = parse_machine(text)
        for tag in (machine.running, machine.alarm, machine.count, machine.reject):
            if tag and tag not in {*tags, "operator"}:
                raise UnusableAnswer("unknown_tag", text, tag)
        return machine

    return parse


def _ask(key: str, lang: str, parse: Callable[[str], T], default: str | None = None, **values: str) -> T:
    """Asks until the answer is usable."""
    while True:
        question = say(f"init.ask.{key}", lang, **values)
        text = str(click.prompt(question, default=default, show_default=bool(default), err=True)).strip()
        try:
            return parse(text)
        except UnusableAnswer as error:
            notice(_bad(error, lang))


def _several(key: str, lang: str, parse: Callable[[str], T], **values: str) -> list[T]:
    """Asks for entries until an empty answer."""
    notice(say(f"init.several.{key}", lang, **values))
    out: list[T] = []
    while True:
        given = _ask("next", lang, lambda text: parse(text) if text else None, default="", number=str(len(out) + 1))
        if given is None:
            return out
        out.append(given)


def _bad(error: UnusableAnswer, lang: str) -> str:
    return say(f"init.bad.{error.code}", lang, text=error.text, detail=error.detail or "—")
