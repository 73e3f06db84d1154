"""`nhip browse --as PROFILE`: the nodes of an equipment profile, and its lines for the site file."""

from collections.abc import Mapping, Sequence

import click

from adapters.browsing import BrowsedNode
from cli.terminal import show_json
from config.templates.equipment import equipment, equipment_ids
from tools.browse.lines import as_json as node_json
from tools.browse.lines import shown_value
from tools.browse.profile import matches_of, row_of
from tools.equipment.use_lines import use_item
from words import say


def browsable() -> tuple[str, ...]:
    """The profiles whose nodes can be found by browse names."""
    return tuple(name for name in equipment_ids() if is_browsable(name))


def is_browsable(name: str) -> bool:
    """Whether there is such a profile with browse names."""
    profile = equipment(name)
    return profile is not None and any(item.browse for item in profile.variables.values())


def show_as(
    name: str, url: str, settings: Mapping[str, str], items: Sequence[BrowsedNode], *, as_json: bool, lang: str
) -> int:
    """Prints what fits the profile and its lines. Exit status: 0 found, 1 nothing fits."""
    profile = equipment(name)
    assert profile is not None  # checked before connecting
    given = {key: value for key, value in settings.items() if value and (key, value) != ("security", "None")}
    matches = matches_of(profile, items)
    rows = [row_of(profile, number, url, match, given) for number, match in enumerate(matches, 1)]
    if as_json:
        machines = [
            {"path": list(match.path), "row": row, "nodes": {key: node_json(item) for key, item in match.nodes.items()}}
            for match, row in zip(matches, rows, strict=True)
        ]
        show_json({"url": url, "equipment": name, "machines": machines})
        return 0 if matches else 1
    wanted = {item.name: item for item in profile.variables.values() if item.browse}
    if not matches:
        ends = ", ".join(way for item in wanted.values() if item.required for way in item.browse)
        click.echo(say("browse.as.nothing", lang, name=profile.names[lang], ends=ends, n=len(items)))
        return 1
    for match in matches:
        click.echo(" / ".join(match.path[:-1]) or url)
        for key in wanted:
            item = match.nodes.get(key)
            seen = f"= {shown_value(item.value)}  [{item.node}]" if item else say("browse.as.absent", lang)
            click.echo(f"  {key}  {seen}")
    click.echo("\n" + say("browse.as.lines", lang, n=len(matches)))
    click.echo("use:\n" + use_item(profile, rows))
    return 0
