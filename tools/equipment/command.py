"""`nhip equipment`: the profiles that come with the program, what each needs, and its lines for the site file."""

from typing import Any

import click

from cli.exits import MISCONFIGURED
from cli.terminal import notice, show_json, show_table
from config.templates.equipment import Equipment, equipment, equipment_ids, similar_equipment, use_lines
from config.templates.variables import Variable
from words import say

FINE = 0


def show_all(*, as_json: bool, lang: str) -> int:
    """Prints every profile; exit status 0."""
    profiles = [profile for name in equipment_ids() if (profile := equipment(name)) is not None]
    if as_json:
        show_json({"equipment": [_as_json(profile) for profile in profiles]})
        return FINE
    headings = [say(f"equipment.column.{key}", lang) for key in ("id", "name", "gives", "basis")]
    rows = [
        [profile.id, profile.names[lang], _gives(profile, lang), say(f"equipment.basis.{profile.basis}", lang)]
        for profile in profiles
    ]
    show_table(headings, rows)
    click.echo(say("equipment.next", lang))
    return FINE


def show_one(name: str, *, as_json: bool, lang: str) -> int:
    """Prints one profile with its lines for the site file. Exit status: 0 fine, 2 there is none of that name."""
    profile = equipment(name)
    if profile is None:
        notice(say("equipment.unknown", lang, name=name, near=", ".join(similar_equipment(name))))
        return MISCONFIGURED
    if as_json:
        show_json(_as_json(profile))
        return FINE
    click.echo(f"{profile.names[lang]}\n{say(f'equipment.about.{profile.basis}', lang)}")
    for source in profile.sources:
        click.echo(f"  · {source}")
    if any(item.browse for item in profile.variables.values()):
        key = "compared" if profile.compared else "not_compared"
        click.echo(say(f"equipment.{key}", lang, models="; ".join(profile.compared)))
    if profile.setup:
        click.echo(f"\n{say('equipment.setup', lang)}: {profile.setup[lang]}")
    if profile.tags():
        click.echo(f"\n{say('equipment.tags', lang)}: {', '.join(profile.tags())}")
    headings = [say(f"equipment.column.{key}", lang) for key in ("variable", "name", "needed", "example")]
    show_table(headings, [_row(item, profile, lang) for item in profile.variables.values()])
    click.echo(say("equipment.lines", lang))
    first = profile.ways[0] if profile.ways else ()
    shown = [item for item in profile.variables.values() if item.required or item.name in first]
    click.echo(use_lines(profile, {item.name: item.example for item in shown}))
    return FINE


def _row(item: Variable, profile: Equipment, lang: str) -> list[str]:
    needed = "required" if item.required else "optional" if item.default is None else "default"
    if any(item.name in way for way in profile.ways):
        needed = "one_way"
    default = item.default.text if item.default else ""
    names = item.names or {}
    return [item.name, names.get(lang, ""), say(f"equipment.{needed}", lang, default=default), item.example or default]


def _gives(item: Equipment, lang: str) -> str:
    sections = [key.text for key, _ in item.body.pairs]
    return " + ".join(say(f"equipment.gives.{section}", lang) for section in sections)


def _as_json(item: Equipment) -> dict[str, Any]:
    return {
        "equipment": item.id, "name": item.names, "basis": item.basis, "sources": list(item.sources),
        "compared": list(item.compared), "ways": [list(way) for way in item.ways],
        "setup": item.setup, "kind": item.kind or None, "gives": [key.text for key, _ in item.body.pairs],
        "tags": list(item.tags()),
        "variables": [
            {
                "variable": each.name, "name": dict(each.names or {}), "required": each.required,
                "default": each.default.text if each.default else None, "example": each.example or None,
                "browse": [str(place) for place in each.browse],
            }
            for each in item.variables.values()
        ],
    }  # fmt: skip
