"""`nhip browse`: walks an OPC UA server, shows what it holds, and prints tags ready for the site file."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from pydantic import ValidationError

from adapters.contract import Misconfigured, NotConnected
from adapters.opcua.nodes import node_id
from adapters.opcua.session import Session, children, device_for, read, session
from adapters.opcua.values import value_of
from cli.terminal import notice, progress, show_json
from config.devices.opcua import OpcUaDevice, with_files
from tools.browse.lines import Item, matches, node_text, shown_value, tag_lines
from tools.browse.show_as import browsable, is_browsable, show_as
from tools.check.faults import fault_of, told
from words import say

OBJECTS = "i=85"
OWN = frozenset(ua.NodeId(ua.Int32(number)) for number in (ObjectIds.Server, ObjectIds.Aliases, ObjectIds.Locations))
"""What every server has below its objects: hundreds of nodes that are no machine's."""


@dataclass(frozen=True)
class Walk:
    """Where to begin, how deep to go, what to look for, and after how many nodes to stop; profile: the equipment
    whose nodes are wanted, or "".
    """

    node: str = OBJECTS
    depth: int = 6
    find: str = ""
    most: int = 2000
    profile: str = ""


@dataclass(frozen=True)
class Found:
    """items in the order of the tree; cut: there was more than the walk was allowed to see."""

    items: Sequence[Item]
    cut: bool


def open_and_browse(
    url: str,
    settings: Mapping[str, str],
    certificates: Path,
    walk: Walk,
    login: tuple[str, str] | None,
    *,
    as_json: bool,
    lang: str,
) -> int:
    """The same as `browse` for settings as they were typed; exit status 2 if they make no sense.

    certificates: folder of our certificate, made if the settings need one.
    """
    if walk.profile and not is_browsable(walk.profile):
        notice(say("browse.as.unknown", lang, name=walk.profile, known=", ".join(browsable())))
        return 2
    try:
        device = with_files(device_for(url, **settings), "browse", certificates)
    except ValidationError as error:
        notice("\n".join(item["msg"] for item in error.errors(include_url=False)))
        return 2
    return browse(device, walk, login, as_json=as_json, lang=lang)


def browse(device: OpcUaDevice, walk: Walk, login: tuple[str, str] | None, *, as_json: bool, lang: str) -> int:
    """Walks, prints, and returns the exit status: 0 fine, 1 nothing found or not reached."""
    try:
        found = asyncio.run(_browse(device, walk, login, quiet=as_json))
    except (NotConnected, Misconfigured) as error:
        notice(told(fault_of(error), lang))
        return 1
    if walk.profile:
        return show_as(walk.profile, device, found.items, as_json=as_json, lang=lang)
    items = [item for item in found.items if matches(item, walk.find)] if walk.find else list(found.items)
    if as_json:
        show_json({"url": device.url, "cut": found.cut, "nodes": [item.as_json() for item in items]})
    else:
        _show(items, found, walk, lang)
    return 0 if items else 1


async def _browse(device: OpcUaDevice, walk: Walk, login: tuple[str, str] | None, *, quiet: bool) -> Found:
    async with session(device, login) as opened:
        begin = node_id(walk.node, opened.namespaces)
        if begin is None:
            raise Misconfigured(f"{device.url}: the server has no namespace for --node {walk.node}")
        with progress(quiet=quiet) as told_progress:
            return await _walked(opened, begin, walk, lambda n: told_progress(device.url, n, walk.most))


@dataclass(frozen=True)
class _Place:
    """A node that was reached."""

    path: tuple[str, ...]
    node: ua.NodeId
    kind: str
    browse_path: tuple[str, ...] = ()


async def _walked(opened: Session, begin: ua.NodeId, walk: Walk, seen_so_far: Callable[[int], None]) -> Found:
    """Level by level, so that one request asks for many nodes; each node once, whatever paths lead to it."""
    level = [_Place((), begin, "object")]
    places: dict[ua.NodeId, _Place] = {}
    seen, cut = {begin}, False
    for _ in range(walk.depth):
        below: list[_Place] = []
        for parent, references in zip(level, await children(opened, [item.node for item in level]), strict=True):
            for reference in references:
                node = ua.NodeId(
                    reference.NodeId.Identifier, reference.NodeId.NamespaceIndex, reference.NodeId.NodeIdType
                )
                if node in seen or (node in OWN and walk.node == OBJECTS):
                    continue
                seen.add(node)
                name = reference.DisplayName.Text or reference.BrowseName.Name or str(node.Identifier)
                browse_path = (*parent.browse_path, reference.BrowseName.Name or name)
                below.append(_Place((*parent.path, name), node, reference.NodeClass.name.lower(), browse_path))
        room = walk.most - len(places)
        cut |= len(below) > room
        level = below[:room]
        places |= {item.node: item for item in level}
        seen_so_far(len(places))
        if not level or cut:
            break
    ordered = sorted(places.values(), key=lambda item: item.path)
    return Found(await _values(opened, ordered), cut)


async def _values(opened: Session, places: Sequence[_Place]) -> list[Item]:
    """The places with what they hold; variables are read, objects are only named."""
    variables = [item.node for item in places if item.kind == "variable"]
    data = dict(zip(variables, await read(opened, variables, AttributeIds.Value), strict=True))
    items = []
    for place in places:
        text = node_text(place.node.to_string(), opened.namespaces)
        depth = len(place.path) - 1
        value = data.get(place.node)
        if value is None:
            items.append(Item(depth, place.path, text, place.kind, browse_path=place.browse_path))
            continue
        raw = value.Value.Value if value.Value is not None else None
        kind = value.Value.VariantType.name if value.Value is not None else ""
        status = value.StatusCode.name if value.StatusCode is not None else "Good"
        held = raw if isinstance(raw, list) else value_of(value)[0]
        items.append(
            Item(depth, place.path, text, "variable", kind, held, status, value.SourceTimestamp, place.browse_path)
        )
    return items


def _show(items: Sequence[Item], found: Found, walk: Walk, lang: str) -> None:
    if not items:
        click.echo(say("browse.nothing", lang, find=walk.find or "*", n=len(found.items)))
    for item in items:
        click.echo(_line(item, flat=bool(walk.find)))
    if found.cut:
        click.echo(say("browse.cut", lang, n=walk.most))
    lines = tag_lines(items)
    if lines:
        click.echo("\n" + say("browse.lines", lang, n=len(lines)))
        click.echo("\n".join(f"      {line}" for line in lines))


def _line(item: Item, *, flat: bool) -> str:
    name = " / ".join(item.path) if flat else "  " * item.depth + item.name
    if item.kind != "variable":
        return name
    when = f"{item.source_time:%Y-%m-%d %H:%M:%S}" if item.source_time else ""
    status = "" if item.status == "Good" else item.status
    parts = [f"= {shown_value(item.value)}", item.data_type, when, status, f"[{item.node}]"]
    return f"{name}  " + "  ".join(part for part in parts if part)
