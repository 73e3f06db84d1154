"""`nhip browse --as PROFILE`: the nodes of an equipment profile, and its lines for the site file."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from adapters.browsing import Browsed, BrowsedNode
from cli.terminal import show_json
from config.templates.equipment import Equipment, equipment, equipment_ids, use_item
from config.templates.variables import Variable
from tools.browse.lines import as_json as node_json
from tools.browse.lines import shown_value
from tools.browse.profile import Match, matches_of, optional, row_of
from words import say

MOST_ELSEWHERE = 3
"""Nodes of other machines that are named for one that lacks its own."""


def browsable() -> tuple[str, ...]:
    """The profiles whose nodes can be found by browse names."""
    return tuple(name for name in equipment_ids() if is_browsable(name))


def is_browsable(name: str) -> bool:
    """Whether there is such a profile with browse names."""
    profile = equipment(name)
    return profile is not None and any(item.browse for item in profile.variables.values())


def show_as(name: str, url: str, settings: Mapping[str, str], browsed: Browsed, *, as_json: bool, lang: str) -> int:
    """Prints what fits the profile and its lines. Exit status: 0 found, 1 nothing fits."""
    profile = equipment(name)
    assert profile is not None  # checked before connecting
    given = {key: value for key, value in settings.items() if value and (key, value) != ("security", "None")}
    matches = matches_of(profile, browsed)
    rows = [row_of(profile, number, url, match, given) for number, match in enumerate(matches, 1)]
    if as_json:
        machines = [*map(_as_json, matches, rows)]
        show_json({"url": url, "equipment": name, "interrupted": browsed.interrupted, "machines": machines})
        return 0 if matches else 1
    if browsed.cut:
        click.echo(say("browse.cut", lang, n=len(browsed.nodes)))
    if not matches and browsed.interrupted:
        return 1
    if not matches:
        ends = ", ".join(str(place) for item in _first_variables(profile) for place in item.browse)
        click.echo(say("browse.as.nothing", lang, name=profile.names[lang], ends=ends, n=len(browsed.nodes)))
        return 1
    for match in matches:
        _show(match, profile, url, lang)
    click.echo("\n" + say("browse.as.lines", lang, n=len(matches)))
    click.echo("use:\n" + use_item(profile, rows))
    return 0


def _first_variables(profile: Equipment) -> list[Variable]:
    """Those by which a machine is found."""
    if profile.ways:
        return [profile.variables[way[0]] for way in profile.ways]
    return [item for item in profile.variables.values() if item.browse and item.required][:1]


def _show(match: Match, profile: Equipment, url: str, lang: str) -> None:
    """A machine: where it is, then each node with its path in the machine, value and id."""
    click.echo(" / ".join(match.path) or url)
    first = next(iter(match.nodes))
    absent = {item.name for item in optional(profile, first)} - match.nodes.keys()
    for key in profile.variables:
        if (found := match.nodes.get(key)) is not None:
            click.echo(f"  {key}  {found.text}  = {shown_value(found.value)}  [{found.node.node}]")
        elif key in absent:
            click.echo(f"  {key}  {_absent(match.elsewhere.get(key, ()), lang)}")
    if match.others:
        places = ", ".join(found.text for found in match.others)
        click.echo("  " + say("browse.as.others", lang, first=match.nodes[first].text, places=places))


def _absent(elsewhere: Sequence[BrowsedNode], lang: str) -> str:
    if not elsewhere:
        return say("browse.as.absent", lang)
    shown = ", ".join(f"{' / '.join(item.path)} [{item.node}]" for item in elsewhere[:MOST_ELSEWHERE])
    rest = len(elsewhere) - MOST_ELSEWHERE
    return say("browse.as.elsewhere", lang, places=shown + (f" … (+{rest})" if rest > 0 else ""))


def _as_json(match: Match, row: Mapping[str, str]) -> dict[str, Any]:
    nodes = {
        key: node_json(found.node) | {"place": found.text, "selected": found.value}
        for key, found in match.nodes.items()
    }
    return {"path": list(match.path), "row": dict(row), "nodes": nodes}
