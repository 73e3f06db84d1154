"""A read-only OPC UA session for commissioning: browses and reads, within the limits that the server states."""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaError

from adapters.opcua.client import NO_TIME, SessionClient
from adapters.opcua.errors import connection_error
from adapters.opcua.model import OpcUaDevice
from adapters.opcua.security import secure

T = TypeVar("T")
MOST_AT_ONCE = 200
"""Nodes in one request where the server states no limit; small PLCs often state none."""
REFERENCES_AT_ONCE = 500
"""References of one node in one response; the rest follows by continuation points."""


@dataclass(frozen=True)
class SessionLimits:
    """Most nodes in one request."""

    read: int = MOST_AT_ONCE
    browse: int = 20


@dataclass(frozen=True)
class ServerSession:
    """A connected client, what its server allows, and the URIs of its namespaces by number."""

    client: Client
    limits: SessionLimits
    namespaces: Sequence[str]


@asynccontextmanager
async def session(device: OpcUaDevice, login: tuple[str, str] | None = None) -> AsyncIterator[ServerSession]:
    """Opens a session for the block. login: user and password, where no file holds them.

    Raises `NotConnected` or `DeviceMisconfigured`, as the adapter would.
    """
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # errors that matter are raised
    client = SessionClient(device.url, device.timeout)
    try:
        await secure(client, device)
        if login:
            client.set_user(login[0])
            client.set_password(login[1])
        await client.connect()
        opened = ServerSession(client, await _limits(client), await client.get_namespace_array())
    except (OSError, UaError, ValueError) as error:
        client.disconnect_socket()
        raise connection_error(error, device.url, reached=False) from error
    try:
        yield opened
    except (OSError, UaError) as error:
        raise connection_error(error, device.url, reached=True) from error
    finally:
        try:
            await client.disconnect()
        except (OSError, UaError):
            client.disconnect_socket()


async def read(opened: ServerSession, nodes: Sequence[ua.NodeId], attribute: AttributeIds) -> list[ua.DataValue]:
    """Reads one attribute of many nodes."""
    out: list[ua.DataValue] = []
    for batch in batches(nodes, opened.limits.read):
        out += await opened.client.uaclient.session.read_attributes(list(batch), attribute)
    return out


async def children(opened: ServerSession, nodes: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
    """The children of each node; none where the server refuses."""
    out: list[list[ua.ReferenceDescription]] = []
    service = opened.client.uaclient.session
    for batch in batches(nodes, opened.limits.browse):
        parameters = ua.BrowseParameters(
            View=ua.ViewDescription(Timestamp=NO_TIME),
            RequestedMaxReferencesPerNode=ua.UInt32(REFERENCES_AT_ONCE),
            NodesToBrowse=[_below(node) for node in batch],
        )
        for result in await service.browse(parameters):
            references = list(result.References or ())
            point = result.ContinuationPoint
            while point:
                next_request = ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=[point])
                (more,) = await service.browse_next(next_request)
                references += more.References or ()
                point = more.ContinuationPoint
            out.append(references)
    return out


def _below(node: ua.NodeId) -> ua.BrowseDescription:
    return ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences)),
        IncludeSubtypes=True,
        NodeClassMask=ua.UInt32(ua.NodeClass.Object | ua.NodeClass.Variable),
        ResultMask=ua.UInt32(ua.BrowseResultMask.All),
    )


async def _limits(client: Client) -> SessionLimits:
    """The limits that the server states, or conservative ones."""
    ids = (
        ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
        ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    )
    nodes = [ua.NodeId(ua.Int32(number)) for number in ids]
    answers = await client.uaclient.session.read_attributes(nodes, AttributeIds.Value)
    stated = [int(item.Value.Value or 0) if item.Value and isinstance(item.Value.Value, int) else 0 for item in answers]
    return SessionLimits(min(stated[0] or MOST_AT_ONCE, MOST_AT_ONCE), min(stated[1] or 20, 20))


def batches(nodes: Sequence[T], most: int) -> Iterable[Sequence[T]]:
    """The items in parts of at most `most`."""
    return (nodes[at : at + most] for at in range(0, len(nodes), most))
