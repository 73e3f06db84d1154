"""The subscriptions of one session.

asyncua's own Subscription hides keep-alives, starts a task for each value and assigns its handles too late for a fast
server; the services below it do none of that.

One subscription is enough for most servers. Where one cannot hold all items, more are created; tags for which the server
has no room at all are reported separately, so that they can be polled. Each subscription has a heartbeat item of its
own, so that one that dies silently is noticed even if the others live.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import BadTooManySubscriptions

from adapters.opcua.inbox import HEARTBEAT, Inbox, Notification
from adapters.opcua.limits import ServerLimits, in_batches
from adapters.opcua.model import OpcUaDevice
from adapters.opcua.values import clock_off_ns

KEEP_ALIVE_COUNT = 2
"""Publishing intervals without changes after which the server sends a keep-alive."""
LIFETIME_S = 60.0
"""How long the server keeps a subscription without publish requests [s]."""
_NO_FILTER: Final = {StatusCodes.BadMonitoredItemFilterUnsupported, StatusCodes.BadFilterNotAllowed}
_FULL: Final = StatusCodes.BadTooManyMonitoredItems


@dataclass(frozen=True)
class MonitoringResult:
    """Tags by result. watched: monitored; beyond: the server has no room for them; tags in neither set are refused."""

    watched: set[str]
    beyond: set[str]


class SessionSubscriptions:
    """All subscriptions of one session."""

    def __init__(
        self,
        client: Client,
        device: OpcUaDevice,
        limits: ServerLimits,
        heartbeat: ua.NodeId | None,
        now_ns: Callable[[], int],
    ) -> None:
        self._session = client.uaclient.session
        self._device, self._limits, self._heartbeat, self._now_ns = device, limits, heartbeat, now_ns
        self._handles = {name: handle for handle, name in enumerate(device.tags)}
        self._inboxes: list[Inbox] = []

    @property
    def interval_s(self) -> float:
        """The longest publishing interval that the server granted [s]."""
        return max((inbox.interval_s for inbox in self._inboxes), default=self._device.every)

    @property
    def lost(self) -> str:
        """Why one of them has ended; "" if none has."""
        return next((inbox.lost for inbox in self._inboxes if inbox.lost), "")

    @property
    def last_contact_s(self) -> float:
        """The last contact of the subscription that has been silent longest [s, monotonic]."""
        return min(inbox.last_contact_s for inbox in self._inboxes)

    @property
    def last_contact_ns(self) -> int:
        """The same as `last_contact_s` in gateway time [ns UTC]."""
        return min(inbox.last_contact_ns for inbox in self._inboxes)

    def clock_off_ns(self) -> int | None:
        """Gateway time minus the server's clock by its latest heartbeat [ns]; None if the heartbeat is no time."""
        heartbeats = [inbox.heartbeat for inbox in self._inboxes if inbox.heartbeat]
        return clock_off_ns(*heartbeats[0]) if heartbeats else None

    def take(self) -> list[Notification]:
        """Removes and returns all received notifications."""
        taken: list[Notification] = []
        for inbox in self._inboxes:
            fresh, inbox.notifications = inbox.notifications, []
            taken += fresh
        return taken

    async def add(self, nodes: Mapping[str, ua.ReadValueId]) -> MonitoringResult:
        """Monitors tags by name, creating subscriptions as needed."""
        watched: set[str] = set()
        remaining = list(nodes)
        inbox = self._inboxes[-1] if self._inboxes else await self._open()
        while remaining:
            room = self._limits.items_in_all - inbox.items if self._limits.items_in_all else len(remaining)
            batch = remaining[: max(0, room)]
            codes = await self._add(inbox, [self._item(name, nodes[name]) for name in batch])
            accepted = {name for name, code in zip(batch, codes, strict=True) if code >> 30 == 0}
            full = {name for name, code in zip(batch, codes, strict=True) if code == _FULL}
            watched |= accepted
            remaining = [name for name in remaining if name in full or name not in batch]
            if (
                remaining and not accepted and inbox.items <= 1
            ):  # even an empty subscription accepts none: the server is full
                break
            if remaining:
                try:
                    inbox = await self._open()
                except BadTooManySubscriptions:
                    break
        return MonitoringResult(watched, set(remaining))

    async def _open(self) -> Inbox:
        every_s = self._device.every
        parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=every_s * 1000,
            RequestedLifetimeCount=max(3 * KEEP_ALIVE_COUNT, math.ceil(LIFETIME_S / every_s)),
            RequestedMaxKeepAliveCount=KEEP_ALIVE_COUNT,
            PublishingEnabled=True,
        )
        inbox = Inbox()
        inbox.mark_alive(asyncio.get_running_loop().time(), self._now_ns())
        granted = await self._session.create_subscription(parameters, partial(self._received, inbox))
        inbox.id, inbox.interval_s = granted.SubscriptionId, granted.RevisedPublishingInterval / 1000
        self._inboxes.append(inbox)
        if self._heartbeat is not None:
            await self._add(inbox, [_item(_value_of(self._heartbeat), HEARTBEAT, inbox.interval_s, 1, None)])
        return inbox

    def _received(self, inbox: Inbox, result: ua.PublishResult) -> None:
        inbox.received(result, asyncio.get_running_loop().time(), self._now_ns())

    def _item(self, name: str, node: ua.ReadValueId) -> ua.MonitoredItemCreateRequest:
        tag = self._device.tags[name]
        return _item(node, self._handles[name], tag.every or self._device.every, tag.queue, tag.deadband)

    async def _add(self, inbox: Inbox, items: list[ua.MonitoredItemCreateRequest]) -> list[int]:
        """The status of each item. One that cannot be filtered is monitored unfiltered."""

        async def ask(batch: Sequence[ua.MonitoredItemCreateRequest]) -> list[int]:
            parameters = ua.CreateMonitoredItemsParameters(
                SubscriptionId=inbox.id, TimestampsToReturn=ua.TimestampsToReturn.Both, ItemsToCreate=list(batch)
            )
            results = await self._session.create_monitored_items(parameters)
            return [result.StatusCode.value for result in results]

        codes = await in_batches(items, self._limits, "items", ask)
        unfilterable = [place for place, code in enumerate(codes) if code in _NO_FILTER]
        for place in unfilterable:
            items[place].RequestedParameters.Filter = None
        unfiltered = await in_batches([items[place] for place in unfilterable], self._limits, "items", ask)
        for place, code in zip(unfilterable, unfiltered, strict=True):
            codes[place] = code
        inbox.items += sum(code >> 30 == 0 for code in codes)
        return codes


def _value_of(node: ua.NodeId) -> ua.ReadValueId:
    return ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value)


def _item(
    node: ua.ReadValueId, handle: int, sampling_s: float, queue: int, deadband: float | None
) -> ua.MonitoredItemCreateRequest:
    change = None
    if deadband is not None:
        change = ua.DataChangeFilter(
            Trigger=ua.DataChangeTrigger.StatusValue, DeadbandType=ua.DeadbandType.Absolute, DeadbandValue=deadband
        )
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=node,
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=handle,
            SamplingInterval=sampling_s * 1000,
            Filter=change,
            QueueSize=queue,
            DiscardOldest=True,
        ),
    )
