"""OPC UA: subscribed by default, or polled. One session, no method calls, nothing is ever written.

A subscription that has died looks exactly like an idle machine, so three things are checked: a heartbeat node that
changes by itself, the server's keep-alives, and once a minute a read of every node besides the subscription.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import StateSubscription, UaClientState
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError

from adapters.contract import Adapter, NotConnected, Reading, Row
from adapters.opcua.changes import ChangedValues
from adapters.opcua.client import SessionClient
from adapters.opcua.errors import connection_error, lost
from adapters.opcua.limits import ServerLimits, in_batches, limits_of
from adapters.opcua.model import OpcUaDevice
from adapters.opcua.nodes import node_id
from adapters.opcua.security import secure
from adapters.opcua.selection.tag_values import TagValues
from adapters.opcua.subscription import SessionSubscriptions
from adapters.opcua.values import clock_off_ns, value_of
from config.devices.device import SHORTEST_STALE_AFTER_S

LONGER = 1.5
"""A publishing interval is reported where it is longer than asked by this factor."""
RECHECK_S = 60.0
"""How often refused nodes are requested again, and subscribed values compared with read ones [s]."""


def open_device(device: OpcUaDevice, now_ns: Callable[[], int]) -> Adapter:
    """One server."""
    # asyncua logs each failing publish with a traceback, once a second; errors that matter are raised.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
    return OpcUa(device, now_ns)


def open_devices(devices: Mapping[str, OpcUaDevice], now_ns: Callable[[], int]) -> dict[str, Adapter]:
    """Several servers by name; each has a session of its own."""
    return {name: open_device(device, now_ns) for name, device in devices.items()}


class OpcUa:
    """One session with a server. See `contract.Adapter`."""

    def __init__(self, device: OpcUaDevice, now_ns: Callable[[], int]) -> None:
        self._device, self._now_ns = device, now_ns
        self._period_s = min(map(device.period_s, device.tags))
        self._changes = ChangedValues(now_ns, lambda _, data: value_of(data))
        self._client: Client | None = None
        self._values: TagValues | None = None
        self._nodes: dict[str, ua.ReadValueId] = {}
        self._refused: set[str] = set()
        self._limits = ServerLimits(device.max_nodes_per_request, device.max_nodes_per_request)
        self._subscriptions: SessionSubscriptions | None = None
        self._polled_tags: set[str] = set()
        self._heartbeat: ua.NodeId | None = None
        self._clock_off_ns: int | None = None
        self._recheck_s = 0.0
        self._due_s: dict[str, float] = {}

    @property
    def period_s(self) -> float:
        """The publishing interval, or the shortest polling period [s]."""
        return self._period_s

    async def connect(self) -> None:
        """Opens the session, resolves the nodes, and subscribes unless the device is polled."""
        device = self._device
        client = SessionClient(device.url, device.timeout)
        self._client = client
        async with client.uaclient.subscribe_state() as states:
            try:
                await secure(client, device)
                await client.connect()
                self._values = TagValues(client.uaclient.session, device.tags, ranges=device.is_polled)
                self._changes = ChangedValues(self._now_ns, self._values.value)
                self._nodes, self._refused, self._polled_tags, self._due_s = {}, set(), set(), {}
                self._subscriptions, self._clock_off_ns = None, None
                self._recheck_s = asyncio.get_running_loop().time() + RECHECK_S
                self._limits = await limits_of(client, device.max_nodes_per_request)
                await self._resolve(client, tuple(device.tags))
                if not device.is_polled:
                    self._subscriptions = SessionSubscriptions(
                        client, device, self._limits, self._heartbeat, self._now_ns
                    )
                    await self._subscribe(self._subscriptions, tuple(device.tags))
                else:
                    self._clock_off_ns = await self._clock_off(client)
            except (OSError, UaError, ValueError) as error:
                reached = await _reached(states)
                await self.close()
                raise connection_error(error, device.url, reached=reached) from error

    async def read(self) -> Reading:
        """The values that the subscriptions received, or those of the nodes that are due."""
        client = self._client
        if client is None or client.uaclient.state is not UaClientState.CONNECTED:
            raise lost(
                self._device.url, "the connection was lost, or the server stopped answering", "connection_failed"
            )
        try:
            return await (self._collected(client, self._subscriptions) if self._subscriptions else self._polled(client))
        except (OSError, UaError) as error:
            if isinstance(error, TimeoutError):
                what = f"no answer within {self._device.timeout:g} s"
                raise lost(self._device.url, what, "opcua_silent") from error
            known = connection_error(error, self._device.url, reached=True)
            raise NotConnected(str(known), fault=known.fault) from error

    async def close(self) -> None:
        """Ends the session, without waiting long for a dead server to confirm."""
        client, self._client = self._client, None
        if client is None:
            return
        alive = client.uaclient.state is UaClientState.CONNECTED
        try:
            async with asyncio.timeout(min(self._device.timeout, 2.0) if alive else 0.5):
                await client.disconnect()
        except Exception:  # noqa: BLE001, S110  # a half-open client may raise anything
            pass
        finally:
            with contextlib.suppress(Exception):
                client.disconnect_socket()

    async def _resolve(self, client: Client, names: Sequence[str]) -> None:
        """Resolves node ids; namespaces are read each time, since their numbers may change when a server restarts."""
        assert self._values is not None  # connected
        namespaces = await client.get_namespace_array()
        heartbeat = self._device.heartbeat
        self._heartbeat = node_id(heartbeat, namespaces) if heartbeat else None
        self._nodes |= await self._values.resolve(names, namespaces)

    async def _subscribe(self, subscriptions: SessionSubscriptions, names: Sequence[str]) -> None:
        result = await subscriptions.add({name: self._nodes[name] for name in names if name in self._nodes})
        self._polled_tags |= result.beyond
        self._refused = (self._refused | set(names)) - result.watched - result.beyond

    async def _collected(self, client: Client, subscriptions: SessionSubscriptions) -> Reading:
        now_s = asyncio.get_running_loop().time()
        if subscriptions.lost:
            raise lost(self._device.url, subscriptions.lost, "opcua_subscription")
        silent_s = now_s - subscriptions.last_contact_s
        if silent_s > max(3 * subscriptions.interval_s, SHORTEST_STALE_AFTER_S):
            what = f"a subscription has been silent for {silent_s:.1f} s"
            raise lost(self._device.url, what, "opcua_subscription")
        names = tuple(self._device.tags)
        received = subscriptions.take()
        assert self._values is not None  # connected
        await self._values.learn((names[handle], data) for handle, data, _ in received)
        self._changes.learn_clock((data, at_ns) for _, data, at_ns in received)
        rows = [row for handle, data, at_ns in received for row in self._changes.rows(names[handle], data, at_ns)]
        polled = self._due(self._polled_tags, now_s)
        rows += await self._read_nodes(client, polled)
        if now_s >= self._recheck_s:
            self._recheck_s = now_s + RECHECK_S
            self._values.forget_failures()
            # A change that no notification reported becomes a row, so that no tag stays outdated.
            watched = {name: node for name, node in self._nodes.items() if name not in self._refused}
            rows += await self._read_nodes(client, watched)
            if self._refused:
                refused = tuple(self._refused)
                await self._resolve(client, refused)
                await self._subscribe(subscriptions, refused)
        longer = subscriptions.interval_s > LONGER * self._device.every
        granted_s = subscriptions.interval_s if longer else None
        t_ns = max(subscriptions.last_contact_ns, self._changes.confirmed_until_ns)
        rows += self._changes.bad_rows((name for name in self._device.tags if name in self._refused), t_ns)
        self._changes.confirmed_until_ns = t_ns
        confirmed = tuple(name for name in self._changes.tags if name not in self._polled_tags or name in polled)
        return Reading(t_ns, rows, confirmed, subscriptions.clock_off_ns(), granted_s)

    async def _polled(self, client: Client) -> Reading:
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._recheck_s:
            self._recheck_s = now_s + RECHECK_S
            # resolving also asks again for types and states that could not be looked up
            await self._resolve(client, [name for name in self._device.tags if name not in self._nodes])
            self._clock_off_ns = await self._clock_off(client)
        due = self._due(self._nodes, now_s)
        rows = await self._read_nodes(client, due)
        self._refused = set(self._device.tags) - set(self._nodes)
        t_ns = self._now_ns()
        rows += self._changes.bad_rows((name for name in self._device.tags if name in self._refused), t_ns)
        self._changes.confirmed_until_ns = t_ns
        return Reading(t_ns, rows, (*due, *self._refused), self._clock_off_ns)

    async def _clock_off(self, client: Client) -> int | None:
        if self._heartbeat is None:
            return None
        (clock,) = await client.uaclient.session.read_attributes([self._heartbeat], AttributeIds.Value)
        return clock_off_ns(clock, self._now_ns())

    def _due(self, names: Iterable[str], now_s: float) -> dict[str, ua.ReadValueId]:
        """Those of `names` that are due to be read; they are due again a period later."""
        due = {name: self._nodes[name] for name in names if self._due_s.get(name, now_s) <= now_s}
        for name in due:
            self._due_s[name] = now_s + (self._device.tags[name].every or self._device.every) - self._period_s / 2
        return due

    async def _read_nodes(self, client: Client, nodes: Mapping[str, ua.ReadValueId]) -> list[Row]:
        """Reads nodes; returns rows of the values that changed."""

        async def ask(batch: Sequence[ua.ReadValueId]) -> list[ua.DataValue]:
            read: list[ua.DataValue] = await client.uaclient.session.read(ua.ReadParameters(NodesToRead=list(batch)))
            return read

        assert self._values is not None  # connected
        values = await in_batches(list(nodes.values()), self._limits, "reads", ask)
        await self._values.learn(zip(nodes, values, strict=True))
        return [row for name, data in zip(nodes, values, strict=True) for row in self._changes.rows(name, data)]


async def _reached(states: StateSubscription) -> bool:
    """Whether the socket was opened at all."""
    try:
        while await states.next_change(0.01) is not UaClientState.SOCKET_OPEN:
            pass
    except TimeoutError:
        return False
    return True
