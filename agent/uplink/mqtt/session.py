"""One MQTT connection: paho's protocol on asyncio's loop, without automatic retries."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from agent.uplink.mqtt.broker import Broker, Login, login, stamp_of
from agent.uplink.mqtt.paho_loop import PahoLoop
from wire.broker_limits import QOS_NOT_SUPPORTED, RETAIN_NOT_SUPPORTED, BrokerLimits, limits_of

MQTT5: Final = paho.MQTTv5
MQTT311: Final = paho.MQTTv311
VERSIONS: Final[dict[int, str]] = {MQTT5: "5", MQTT311: "3.1.1"}
_UNSUPPORTED_VERSION: Final = 0x84
_TCP_INFO_BYTES: Final = 208
_HEADERS_BYTES: Final = 52
"""Headers of IPv4 and TCP with timestamps, for each segment."""
SUBACK_S: Final = 30.0
"""A broker that answers pings, but SUBSCRIBE not within this time, will never pass a receipt on."""
_KEEPALIVE_S: Final = 30  # a dead link is noticed within one and a half of it


class ConnectRefused(Exception):
    """The broker refused CONNECT. code: its reason code; in MQTT 3.1.1 the one of MQTT 5 that means the same."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code

    @property
    def unsupported(self) -> bool:
        """Whether it does not support this version of MQTT."""
        return self.code == _UNSUPPORTED_VERSION

    @property
    def of_will(self) -> bool:
        """Whether it does not take the will as it was given."""
        return self.code in (RETAIN_NOT_SUPPORTED, QOS_NOT_SUPPORTED)


class ConnectionLost(Exception):
    """The connection ended unexpectedly. code: the reason code of the broker's DISCONNECT (MQTT 5), 0 without one;
    explained: what ended it is known, and will not happen again.
    """

    def __init__(self, reason: str, code: int = 0, *, explained: bool = False) -> None:
        super().__init__(reason)
        self.code, self.explained = code, explained


class NoConnack(Exception):
    """The broker accepted the connection but did not answer CONNECT."""


class MqttMessage(NamedTuple):
    """A message to publish."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True)
class MqttEvents:
    """Called on the event loop. received: topic and payload; acknowledged: message id and MQTT 5 reason code, from
    0x80 on a refusal; lost: why, as a text and as the reason code of the broker's DISCONNECT, 0 without one; subscribed: a
    topic and the reason code of the broker's answer to its subscription, None if none came in time, which also ends the
    connection.
    """

    received: Callable[[str, bytes], None]
    acknowledged: Callable[[int, int], None]
    lost: Callable[[str, int], None]
    subscribed: Callable[[str, int | None], None] = lambda _topic, _reason: None


class MqttSession:
    """From CONNECT to the end of one connection; used once. limits: what the broker's CONNACK said."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        will: MqttMessage | None,
        events: MqttEvents,
        version: int,
        limits: BrokerLimits = BrokerLimits(),  # noqa: B008  # frozen
    ) -> None:
        """limits: what an earlier CONNACK of this broker said, which the will must respect."""
        self._broker, self._events, self.limits = broker, events, limits
        self._connack: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.login = Login(None, None, None)
        self._open = False
        self._traffic: int | None = None
        self._subscribing: dict[int, tuple[str, float]] = {}  # message id: topic, and when an answer is overdue
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion(version),
            reconnect_on_failure=False,
            clean_session=None if version == MQTT5 else True,
        )
        client.max_inflight_messages_set(0)  # the sender's window is the limit
        if will:
            client.will_set(will.topic, will.payload, min(will.qos, limits.qos), will.retain and limits.retains)
        self._loop = PahoLoop(client, self._tick)
        client.on_connect = self._on_connect
        client.on_disconnect = lambda *args: self._loop.call(
            self._ended, str(args[3]), args[3].value if args[2].is_disconnect_packet_from_server else 0
        )
        client.on_publish = lambda *args: events.acknowledged(args[2], args[3].value)
        client.on_subscribe = lambda *args: self._on_subscribe(args[2], args[3])
        client.on_message = lambda *args: events.received(args[2].topic, bytes(args[2].payload))
        self._client = client

    async def open(self, timeout_s: float = 10.0) -> None:
        """Connects. Raises `ConnectRefused`, `NoConnack`, or `OSError` (also for TLS and name look-up)."""
        await asyncio.to_thread(self._connect)
        self._loop.start()
        try:
            async with asyncio.timeout(timeout_s):
                await self._connack
        except TimeoutError as error:
            raise NoConnack(f"no CONNACK within {timeout_s:.0f} s") from error

    def _connect(self) -> None:
        broker, client = self._broker, self._client
        self.login = account = login(broker)
        if account.username is not None:
            client.username_pw_set(account.username, account.password)
        if broker.tls:
            context = ssl.create_default_context(cadata=account.authorities)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if broker.certificate_file:
                context.load_cert_chain(broker.certificate_file, broker.private_key_file)
            client.tls_set_context(context)
        client.connect(broker.host, broker.port, keepalive=_KEEPALIVE_S)

    def publish(self, message: MqttMessage) -> int:
        """Queues a message; returns its id. Raises `ConnectionLost` if the connection is gone."""
        qos, retain = min(message.qos, self.limits.qos), message.retain and self.limits.retains
        info = self._client.publish(message.topic, message.payload, qos, retain=retain)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise ConnectionLost(paho.error_string(info.rc))
        return info.mid

    def subscribe(self, topic: str) -> None:
        """Subscribes at QoS 1; retained messages follow. Raises `ConnectionLost` if the connection is gone."""
        rc, mid = self._client.subscribe(topic, 1)
        if rc != paho.MQTT_ERR_SUCCESS or mid is None:
            raise ConnectionLost(paho.error_string(rc))
        self._subscribing[mid] = (topic, time.monotonic() + SUBACK_S)

    def close(self, *, goodbye: bool = True) -> None:
        """Frees the socket. goodbye: with a DISCONNECT; without, the broker publishes the will. Never raises."""
        self._loop.close()
        _ = self.traffic_bytes  # the last reading while the socket exists
        sock = self._client.socket()
        if goodbye:
            self._client.disconnect()
            with suppress(OSError, ValueError):
                self._client.loop_write()
        if isinstance(sock, socket.socket):
            self._loop.unwatch(sock)
            with suppress(OSError):
                sock.close()

    @property
    def traffic_bytes(self) -> int | None:
        """The bytes of this connection so far (`_tcp_bytes`); None if the system does not report it."""
        sock = self._client.socket()
        if isinstance(sock, socket.socket) and (counted := _tcp_bytes(sock)) is not None:
            self._traffic = counted
        return self._traffic

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, properties: Any) -> None:
        if self._connack.done():
            return
        if reason.is_failure:
            self._connack.set_exception(ConnectRefused(str(reason), reason.value))
        else:
            self._open, self.limits = True, limits_of(properties)
            self._connack.set_result(None)

    def _ended(self, reason: str, code: int) -> None:
        if not self._connack.done():
            self._connack.set_exception(NoConnack(f"closed before CONNACK: {reason}"))
        elif self._open and not self._loop.closed:
            self._events.lost(reason, code)
        self._loop.closed = True

    def _on_subscribe(self, mid: int, reasons: list[ReasonCode]) -> None:
        if mid in self._subscribing:
            topic, _ = self._subscribing.pop(mid)
            self._events.subscribed(topic, max((reason.value for reason in reasons), default=0))

    def _tick(self) -> None:
        overdue = [topic for topic, due_s in self._subscribing.values() if time.monotonic() > due_s]
        if overdue and self._open and not self._loop.closed:
            self._open = False
            self._events.subscribed(overdue[0], None)
            self._events.lost(f"the broker did not answer SUBSCRIBE {overdue[0]} within {SUBACK_S:.0f} s", 0)
        if self._open and not self._loop.closed and _is_replaced(self._broker, self.login):
            self._open = False
            self._events.lost("the bundle was replaced: connecting with the new one", 0)


def _is_replaced(broker: Broker, used: Login) -> bool:
    """Whether the bundle file in use has been replaced."""
    stamp = stamp_of(broker.bundle) if broker.bundle else (0, 0)
    return stamp not in ((0, 0), used.stamp)


def _tcp_bytes(sock: socket.socket) -> int | None:
    """The bytes of a connection so far, in both directions, with TCP and IP headers and retransmissions, as counted by
    Linux (struct tcp_info in linux/tcp.h, from 4.19 on); None if the system does not report them.
    """
    if not hasattr(socket, "TCP_INFO") or sock.fileno() < 0:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return None
    if len(info) < _TCP_INFO_BYTES:
        return None
    (received,) = struct.unpack_from("=Q", info, 128)
    segments = sum(struct.unpack_from("=II", info, 136))
    (sent,) = struct.unpack_from("=Q", info, 200)
    return int(received + sent + _HEADERS_BYTES * segments)
