"""Browses the address space of an OPC UA server."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from adapters.browsing import Browsed, BrowsedNode, Login, Walk
from adapters.contract import DeviceMisconfigured, Fault
from adapters.opcua.model import OpcUaDevice
from adapters.opcua.nodes import node_id, node_text
from adapters.opcua.selection.lookup import ServerLookup
from adapters.opcua.selection.structures import fields_of
from adapters.opcua.service.session import ServerSession, batches, children, read, session
from adapters.opcua.values import plain, raw_of, source_time_of, value_of

OBJECTS = "i=85"
OWN = frozenset(ua.NodeId(ua.Int32(number)) for number in (ObjectIds.Server, ObjectIds.Aliases, ObjectIds.Locations))
"""Nodes that every server has below Objects, with hundreds of nodes that belong to no machine."""
NODES_AT_ONCE = 500
"""Of so many nodes children or values are asked before the next; what came is kept if the walk is cancelled."""
HURRY_S = 5.0
"""How long values are read after a walk was cancelled [s]."""


async def browse(
    url: str,
    settings: Mapping[str, str],
    files: PurePath,
    walk: Walk,
    login: Login | None,
    on_progress: Callable[[int], None],
) -> Browsed:
    """See `browsing.Browser`."""
    nonempty = {key: value for key, value in settings.items() if value}
    tags = {"clock": {"node": "i=2258"}}
    device = OpcUaDevice.model_validate({"kind": "opcua", "url": url, "tags": tags, **nonempty})
    async with session(device.with_files("browse", files), login) as server:
        start = node_id(walk.node or OBJECTS, server.namespaces)
        if start is None:
            text = f"{url}: the server has no namespace for --node {walk.node}"
            fault = Fault("no_namespace", values={"node": walk.node}, detail=text)
            raise DeviceMisconfigured(text, fault=fault)
        return await _walked(server, start, walk, on_progress)


@dataclass(frozen=True)
class _Reached:
    """A node of the walk, before its value is read."""

    path: tuple[str, ...]
    node: ua.NodeId
    kind: str
    browse_path: tuple[str, ...] = ()


async def _walked(opened: ServerSession, start: ua.NodeId, walk: Walk, on_progress: Callable[[int], None]) -> Browsed:
    """Breadth first, so that one request covers many nodes; each node once, even if several paths lead to it."""
    found = _Found(start, walk.most)
    interrupted = False
    hidden = OWN if walk.node in {"", OBJECTS} else frozenset()
    try:
        for _ in range(walk.depth):
            for part in batches(found.level, NODES_AT_ONCE):
                for parent, references in zip(part, await children(opened, [item.node for item in part]), strict=True):
                    items = [item for reference in references if (item := _child(parent, reference)).node not in hidden]
                    found.below[_text(parent.node, opened)] = [
                        (item.browse_path[-1], _text(item.node, opened)) for item in items
                    ]
                    found.add(items)
            found.descend()
            on_progress(len(found.reached))
            if not found.level or found.cut:
                break
    except asyncio.CancelledError:
        interrupted = _go_on()
        found.descend()
    ordered = sorted(found.reached.values(), key=lambda item: item.path)
    data = await _data(opened, [item.node for item in ordered if item.kind == "variable"], hurry=interrupted)
    nodes = await _values(opened, ordered, data)
    interrupted |= any(item.kind == "variable" and item.node not in data for item in ordered)
    return Browsed(nodes, found.cut, found.below, _text(start, opened), interrupted)


class _Found:
    """A walk so far. reached: nodes by id, at most `most`; level: those whose children are next; below: as in the result;
    cut: there were more nodes."""

    def __init__(self, start: ua.NodeId, most: int) -> None:
        self.level = [_Reached((), start, "object")]
        self.reached: dict[ua.NodeId, _Reached] = {}
        self.below: dict[str, list[tuple[str, str]]] = {}
        self.cut = False
        self._most, self._seen = most, {start}
        self._next: list[_Reached] = []

    def add(self, items: Sequence[_Reached]) -> None:
        """Adds children to the next level, each node once."""
        for item in items:
            if item.node not in self._seen:
                self._seen.add(item.node)
                self._next.append(item)

    def descend(self) -> None:
        """The next level becomes the one whose children are next."""
        most_more = self._most - len(self.reached)
        self.cut |= len(self._next) > most_more
        self.level, self._next = self._next[:most_more], []
        self.reached |= {item.node: item for item in self.level}


def _go_on() -> bool:
    """The task was cancelled, and goes on with what it has found so far."""
    task = asyncio.current_task()
    assert task is not None  # a coroutine runs in one
    task.uncancel()
    return True


async def _data(opened: ServerSession, variables: Sequence[ua.NodeId], *, hurry: bool) -> dict[ua.NodeId, ua.DataValue]:
    """The values of variables; cancelled, and in a hurry after a while, those that have been read. hurry: somebody waits."""
    data: dict[ua.NodeId, ua.DataValue] = {}
    try:
        async with asyncio.timeout(HURRY_S if hurry else None):
            for part in batches(variables, NODES_AT_ONCE):
                data |= zip(part, await read(opened, part, AttributeIds.Value), strict=True)
    except asyncio.CancelledError:
        _go_on()
    except TimeoutError:
        pass
    return data


def _text(node: ua.NodeId, opened: ServerSession) -> str:
    return node_text(node.to_string(), opened.namespaces)


def _child(parent: _Reached, reference: ua.ReferenceDescription) -> _Reached:
    node = ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex, reference.NodeId.NodeIdType)
    name = reference.DisplayName.Text or reference.BrowseName.Name or str(node.Identifier)
    browse_path = (*parent.browse_path, reference.BrowseName.Name or name)
    return _Reached((*parent.path, name), node, reference.NodeClass.name.lower(), browse_path)


async def _values(
    opened: ServerSession, reached: Sequence[_Reached], data: Mapping[ua.NodeId, ua.DataValue]
) -> list[BrowsedNode]:
    """The nodes with the values of variables."""
    lookup = ServerLookup(opened.client.uaclient.session)
    nodes = []
    for item in reached:
        text = _text(item.node, opened)
        depth = len(item.path) - 1
        value = data.get(item.node)
        if value is None:
            nodes.append(BrowsedNode(depth, item.path, text, item.kind, browse_path=item.browse_path))
            continue
        kind = value.Value.VariantType.name if value.Value is not None else ""
        status = value.StatusCode.name if value.StatusCode is not None else "Good"
        whole = await _whole(raw_of(value), lookup, opened.namespaces)
        displayed = whole if isinstance(whole, list | dict) else value_of(value, opened.namespaces)[0]
        nodes.append(
            BrowsedNode(
                depth, item.path, text, "variable", kind, displayed, status, source_time_of(value), item.browse_path
            )
        )
    return nodes


async def _whole(value: Any, lookup: ServerLookup, namespaces: Sequence[str]) -> Any:
    """A value with everything in it as plain data: lists, mappings of fields, and single values; None for others."""
    if isinstance(value, list):
        return [await _whole(item, lookup, namespaces) for item in value]
    if isinstance(value, ua.ExtensionObject):
        await lookup.learn_encoding(value.TypeId)
    fields = fields_of(value, lookup.readers)
    if fields is not None:
        return {name: await _whole(item, lookup, namespaces) for name, item in fields.items()}
    return plain(value, namespaces)
