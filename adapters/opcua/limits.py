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
    """reads, items: nodes and monitored items in one request; items_in_all: in one subscription, 0 for no stated limit."""

    reads: int
    items: int
    items_in_all: int = 0


async def limits_of(client: Client, most: int) -> ServerLimits:
    """The limits that the server states, but at most `most` nodes in one request."""
    nodes = [ua.NodeId.from_string(f"i={number}") for number in _ASKED]
    try:
        values = await client.uaclient.session.read_attributes(nodes, AttributeIds.Value)
    except UaStatusCodeError:  # even three nodes are too many for it
        return ServerLimits(1, min(most, 1))
    reads, items, in_all = (_number(data) for data in values)
    return ServerLimits(min(most, reads or most), min(most, items or most), in_all)


async def in_batches(
    wanted: Sequence[Any], limits: ServerLimits, kind: str, ask: Callable[[Sequence[Any]], Awaitable[Sequence[T]]]
) -> list[T]:
    """Calls `ask` with batches of as many as `limits` allows for `kind` (`reads` or `items`).

    A batch that the server still refuses as too large is halved, and the limit with it.
    """
    results: list[T] = []
    while len(results) < len(wanted):
        most = getattr(limits, kind)
        batch = wanted[len(results) : len(results) + most]
        try:
            results += await ask(batch)
        except BadTooManyOperations:
            if len(batch) == 1:
                raise
            setattr(limits, kind, len(batch) // 2)
    return results


def _number(data: ua.DataValue) -> int:
    """The limit in a value; 0 where the server has no such node or states no limit."""
    value = data.Value.Value if data.Value is not None else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
