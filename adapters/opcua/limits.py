"""Limits of an OPC UA server for requests and subscriptions: as stated by it, or found by refusals."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import BadTooManyOperations, UaStatusCodeError

_ASKED: Final = (
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    ObjectIds.Server_ServerCapabilities_MaxMonitoredItemsPerSubscription,
)
T = TypeVar("T")


@dataclass
class ServerLimits:
    """reads, items: in one request; items_in_all: of one subscription, 0 where the server names no limit."""

    reads: int
    items: int
    items_in_all: int = 0


async def limits_of(client: Client, most: int) -> ServerLimits:
    """The limits that the server states, but at most `most` nodes in one request."""
    nodes = [ua.NodeId.from_string(f"i={number}") for number in _ASKED]
    try:
        found = await client.uaclient.session.read_attributes(nodes, AttributeIds.Value)
    except UaStatusCodeError:  # even three nodes are too many for it
        return ServerLimits(1, min(most, 1))
    reads, items, in_all = (_number(data) for data in found)
    return ServerLimits(min(most, reads or most), min(most, items or most), in_all)


async def in_batches(
    wanted: Sequence[Any], limits: ServerLimits, kind: str, ask: Callable[[Sequence[Any]], Awaitable[Sequence[T]]]
) -> list[T]:
    """Calls `ask` with batches of as many as `limits` allows for `kind` (`reads` or `items`).

    A server that finds even that too much is asked for half from then on.
    """
    found: list[T] = []
    while len(found) < len(wanted):
        most = getattr(limits, kind)
        part = wanted[len(found) : len(found) + most]
        try:
            found += await ask(part)
        except BadTooManyOperations:
            if len(part) == 1:
                raise
            setattr(limits, kind, len(part) // 2)
    return found


def _number(data: ua.DataValue) -> int:
    """0 where the server has no such node, or means no limit."""
    value = data.Value.Value if data.Value is not None else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
