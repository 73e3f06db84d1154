"""From answers to the text of a site file, with comments. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from config.templates.equipment import equipment, row_text
from words import say

_PLAIN = re.compile(r"[^\W\d][\w .()/-]*", re.UNICODE)
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off"}


@dataclass(frozen=True)
class DeviceEntry:
    """A device. place: `host:port/unit` parts or the URL, as keys of the site file; tags: name to its settings in braces, as
    `nhip bytes` and `nhip browse` print them.
    """

    name: str
    kind: str
    place: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UseEntry:
    """An equipment profile and its row, as texts."""

    profile: str
    row: Mapping[str, str]


@dataclass(frozen=True)
class MachineEntry:
    """A machine. running, alarm, count, reject: tags or ""; a machine without `running` is known by its counts."""

    id: str
    name: str
    line: str = ""
    running: str = ""
    alarm: str = ""
    count: str = ""
    reject: str = ""


@dataclass(frozen=True)
class ShiftEntry:
    """A shift: name, days, from-to and breaks, as in the site file."""

    name: str
    days: str
    start: str
    end: str
    breaks: Sequence[str] = ()


@dataclass(frozen=True)
class InitAnswers:
    """All answers. ideal: time for one piece of product 1, or ""."""

    site: str
    name: str
    timezone: str
    shifts: Sequence[ShiftEntry] = ()
    devices: Sequence[DeviceEntry] = ()
    machines: Sequence[MachineEntry] = ()
    product: str = ""
    ideal: str = ""
    broker: str = ""
    uses: Sequence[UseEntry] = ()


def site_text(answers: InitAnswers, lang: str) -> str:
    """The site file."""
    parts = [
        _comment("head", lang),
        f"site: {quoted(answers.site)}\nname: {quoted(answers.name or answers.site)}",
        f"timezone: {quoted(answers.timezone)}\n",
        _center(answers, lang),
        _devices(answers, lang),
        _uses(answers, lang),
        _machines(answers, lang),
        _lines(answers, lang),
        _products(answers, lang),
        _comment("reasons", lang)
        + "\nreasons:\n  no-material: {name: {vi: Chờ nguyên vật liệu, en: No material}, is: starved}\n"
        "  maintenance: {name: {vi: Bảo trì theo kế hoạch, en: Planned maintenance}, is: planned_stop}\n"
        "  changeover: {name: {vi: Chuyển đổi sản phẩm, en: Changeover}, is: setup}\n",
        _shifts(answers, lang),
    ]
    return "\n".join(part for part in parts if part)


def quoted(text: str) -> str:
    """Text as a YAML scalar: quoted where YAML could read it otherwise."""
    if _PLAIN.fullmatch(text) and text == text.strip() and text.lower() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=False)


def _comment(key: str, lang: str) -> str:
    return "\n".join(f"# {line}" for line in say(f"site_text.{key}", lang).splitlines())


def _center(answers: InitAnswers, lang: str) -> str:
    if answers.broker:
        username = quoted(f"{answers.site}.main")
        return f"center:\n  broker: {quoted(answers.broker)}\n  username: {username}\n  password_file: nhip.password\n"
    lines = "# center:\n#   broker: mqtts://mqtt.example.vn:8883\n#   password_file: nhip.password\n"
    return f"{_comment('center', lang)}\n{lines}"


def _devices(answers: InitAnswers, lang: str) -> str:
    if not answers.devices:
        return "" if answers.uses else f"{_comment('devices', lang)}\ndevices: {{}}\n"
    return f"{_comment('devices', lang)}\n{devices_text(answers.devices)}"


def devices_text(devices: Sequence[DeviceEntry]) -> str:
    """The section `devices`, nothing where there are none."""
    lines = ["devices:"] if devices else []
    for device in devices:
        lines += [f"  {device.name}:", f"    kind: {device.kind}"]
        lines += [f"    {key}: {value if value.isdecimal() else quoted(value)}" for key, value in device.place.items()]
        lines += ["    every: 1s", "    tags:"]
        lines += [f"      {name}: {tag}" for name, tag in device.tags.items()]
    return "\n".join(lines) + "\n"


def _uses(answers: InitAnswers, lang: str) -> str:
    if not answers.uses:
        return ""
    text = uses_text(answers.uses, product="1" if answers.product else "")
    return f"{_comment('use', lang)}\n{text}"


def uses_text(uses: Sequence[UseEntry], product: str = "") -> str:
    """The section `use`, with consecutive rows of a profile under one item; nothing without profiles. product: what
    machines make where their row does not say it.
    """
    lines = ["use:"] if uses else []
    for profile, group in groupby(uses, key=lambda use: use.profile):
        known = equipment(profile)
        makes = product if known and "product" in known.override_keys() else ""
        lines += [f"  - equipment: {profile}", "    with:", *(f"      - {_row(use.row, makes)}" for use in group)]
    return "\n".join(lines) + "\n"


def _row(row: Mapping[str, str], product: str) -> str:
    """A row of `with`; a product is text, whatever it looks like."""
    made = row.get("product", product)
    text = row_text({key: value for key, value in row.items() if key != "product"})
    return f"{text[:-1]}, product: {json.dumps(made, ensure_ascii=False)}}}" if made else text


def _machines(answers: InitAnswers, lang: str) -> str:
    if not answers.machines and answers.uses:
        return ""
    if not answers.machines:
        return f"{_comment('machines', lang)}\nmachines: {{}}\n"
    lines = [_comment("machines", lang), "machines:"]
    for machine in answers.machines:
        lines += [f"  {machine.id}:", f"    name: {quoted(machine.name or machine.id)}"]
        lines += [f"    line: {quoted(machine.line)}"] if machine.line else []
        lines += _state(machine, lang)
        if machine.count:
            lines.append(f"    pieces: {{total: {machine.count}, reject: {machine.reject or 'operator'}}}")
        lines.append('    product: "1"' if answers.product else "    product: operator")
    return "\n".join(lines) + "\n"


def _lines(answers: InitAnswers, lang: str) -> str:
    named = [machine.line for machine in answers.machines] + [use.row.get("line", "") for use in answers.uses]
    lines = [f"  {line}: {{flow: parallel}}" for line in dict.fromkeys(named) if line]
    return "\n".join([_comment("lines", lang), "lines:", *lines]) + "\n" if lines else ""


def _state(machine: MachineEntry, lang: str) -> list[str]:
    if not machine.running:
        return ["    state: {from_counts: {ideals: 2.5, at_least: 30s}}" + f"   # {say('site_text.from_counts', lang)}"]
    lines = [f"    state:   # {say('site_text.first_wins', lang)}"]
    if machine.alarm:
        lines.append(f'      - {{when: "{machine.alarm} > 0", is: breakdown}}')
    return [*lines, f'      - {{when: "{machine.running} > 0", is: running}}', "      - {is: unplanned_stop}"]


def _products(answers: InitAnswers, lang: str) -> str:
    if not answers.product:
        return f"{_comment('products', lang)}\nproducts: {{}}\n"
    ideal = f", ideal: {quoted_duration(answers.ideal)}, source: guess" if answers.ideal else ""
    return f'{_comment("products", lang)}\nproducts:\n  "1": {{name: {quoted(answers.product)}{ideal}}}\n'


def quoted_duration(text: str) -> str:
    """A duration as it is written in the file; a bare number is seconds."""
    return f"{text}s" if re.fullmatch(r"\d+(\.\d+)?", text) else text


def _shifts(answers: InitAnswers, lang: str) -> str:
    lines = [_comment("shifts", lang), "shifts:" if answers.shifts else "shifts: []"]
    for shift in answers.shifts:
        breaks = "".join(f", breaks: [{', '.join(json.dumps(item) for item in shift.breaks)}]") if shift.breaks else ""
        lines.append(
            f'  - {{name: {quoted(shift.name)}, days: "{shift.days}", from: "{shift.start}", to: "{shift.end}"{breaks}}}'
        )
    return "\n".join(lines) + "\n"
