"""One subscription: how it is made, and the inbox that its notifications fall into.

asyncua's own Subscription hides keep-alives, starts a task for each value and gives its handles too late for a
quick server; the services below it do none of that.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from adapters._opcua_nodes import node_id
from config.device_opcua import OpcUaDevice

KEEP_ALIVE_COUNT = 2
"""Publishing intervals without news after which the server says that it is alive."""
LIFETIME_S = 60.0
"""How long the server keeps a subscription that nobody asks about [s]."""
QUEUE = 10
"""Values of one node between two publications that are kept."""
HEARTBEAT = 2**31 - 1
_NO_FILTER = {StatusCodes.BadMonitoredItemFilterUnsupported, StatusCodes.BadFilterNotAllowed}


class Note(NamedTuple):
    """One value that came. handle: the tag's place among the device's tags."""

    handle: int
    data: ua.DataValue
    receive_ns: int


class Inbox:
    """What a subscription brought since it was last emptied, and when it was last heard of."""

    def __init__(self) -> None:
        self.heard_s = float("-inf")
        self.heard_ns = 0
        self.lost = ""
        self._notes: list[Note] = []

    def heard(self, now_s: float, now_ns: int) -> None:
        """The server answered."""
        self.heard_s, self.heard_ns = now_s, now_ns

    def received(self, result: ua.PublishResult, now_s: float, now_ns: int) -> None:
        """A publication: values, a heartbeat, a keep-alive without anything, or the end."""
        for part in result.NotificationMessage.NotificationData or ():
            if isinstance(part, ua.StatusChangeNotification):
                if part.Status is not None and part.Status.is_bad():
                    self.lost = f"the subscription ended: {part.Status.name}"
                    return
            elif isinstance(part, ua.DataChangeNotification):
                self._notes += (
                    Note(item.ClientHandle, item.Value, now_ns)
                    for item in part.MonitoredItems
                    if item.ClientHandle != HEARTBEAT
                )
        self.heard(now_s, now_ns)

    def take(self) -> list[Note]:
        """Empties it."""
        notes, self._notes = self._notes, []
        return notes


async def create(client: Client, every_s: float, received: Callable[[ua.PublishResult], None]) -> tuple[int, float]:
    """Makes a subscription; its id and the publishing interval that the server grants [s]."""
    parameters = ua.CreateSubscriptionParameters(
        RequestedPublishingInterval=every_s * 1000,
        RequestedLifetimeCount=max(3 * KEEP_ALIVE_COUNT, math.ceil(LIFETIME_S / every_s)),
        RequestedMaxKeepAliveCount=KEEP_ALIVE_COUNT,
        PublishingEnabled=True,
    )
    granted = await client.uaclient.session.create_subscription(parameters, received)
    return granted.SubscriptionId, granted.RevisedPublishingInterval / 1000


async def watch_heartbeat(client: Client, subscription_id: int, node: str | None, interval_s: float) -> None:
    """Adds a node that changes by itself. A server that lacks it still has its keep-alives."""
    wanted = node_id(node, await client.get_namespace_array()) if node else None
    if wanted is not None:
        await _add(client, subscription_id, [_item(wanted, HEARTBEAT, interval_s, None)])


async def watch(client: Client, subscription_id: int, device: OpcUaDevice, nodes: Mapping[str, ua.NodeId]) -> set[str]:
    """Adds tags by name; the names that the server accepted."""
    handles = {name: handle for handle, name in enumerate(device.tags)}
    accepted: set[str] = set()
    for part in _parts(list(nodes), device.max_nodes_per_request):
        items = [
            _item(nodes[name], handles[name], device.tags[name].every or device.every, device.tags[name].deadband)
            for name in part
        ]
        codes = await _add(client, subscription_id, items)
        plain = [i for i, code in enumerate(codes) if code in _NO_FILTER]
        for i in plain:
            items[i].RequestedParameters.Filter = None
        again = await _add(client, subscription_id, [items[i] for i in plain]) if plain else []
        for i, code in zip(plain, again, strict=True):
            codes[i] = code
        accepted |= {name for name, code in zip(part, codes, strict=True) if code >> 30 == 0}
    return accepted


async def _add(client: Client, subscription_id: int, items: list[ua.MonitoredItemCreateRequest]) -> list[int]:
    parameters = ua.CreateMonitoredItemsParameters(
        SubscriptionId=subscription_id, TimestampsToReturn=ua.TimestampsToReturn.Both, ItemsToCreate=items
    )
    results = await client.uaclient.session.create_monitored_items(parameters)
    return [result.StatusCode.value for result in results]


def _item(node: ua.NodeId, handle: int, sampling_s: float, deadband: float | None) -> ua.MonitoredItemCreateRequest:
    change = None
    if deadband is not None:
        change = ua.DataChangeFilter(
            Trigger=ua.DataChangeTrigger.StatusValue, DeadbandType=ua.DeadbandType.Absolute, DeadbandValue=deadband
        )
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=handle,
            SamplingInterval=sampling_s * 1000,
            Filter=change,
            QueueSize=QUEUE,
            DiscardOldest=True,
        ),
    )


def _parts(names: Sequence[str], most: int) -> list[Sequence[str]]:
    return [names[at : at + most] for at in range(0, len(names), most)]
