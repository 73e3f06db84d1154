"""One MQTT connection: paho's protocol on asyncio's loop, and nothing that retries by itself."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from agent.uplink.broker import Broker, Login, login, stamp_of

MQTT5: Final = paho.MQTTv5
MQTT311: Final = paho.MQTTv311
_UNSUPPORTED_VERSION: Final = 0x84
_KEEPALIVE_S: Final = 30  # a dead link is noticed within one and a half of it
_TICK_S: Final = 1.0
_TCP_INFO_BYTES: Final = 208
_HEADERS_BYTES: Final = 52
"""IPv4 and TCP with time stamps, on each segment."""


class Refused(Exception):
    """The broker answered CONNECT with no. unsupported: it does not speak this version of MQTT."""

    def __init__(self, reason: str, *, unsupported: bool = False) -> None:
        super().__init__(reason)
        self.unsupported = unsupported


class Lost(Exception):
    """The connection ended before it was asked to."""


class Mute(Exception):
    """The broker took the connection but gave no answer to CONNECT."""


class Message(NamedTuple):
    """A message to publish."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True)
class Listener:
    """Who is told; always on the event loop. acknowledged: message id and MQTT 5 reason, below 0x80 is yes."""

    received: Callable[[str, bytes], None]
    acknowledged: Callable[[int, int], None]
    lost: Callable[[str], None]


class Session:
    """From CONNECT to the end of one connection; used once."""

    def __init__(self, broker: Broker, client_id: str, will: Message | None, listener: Listener, version: int) -> None:
        self._broker, self._listener = broker, listener
        self._loop = asyncio.get_running_loop()
        self._connack: asyncio.Future[None] = self._loop.create_future()
        self._tick: asyncio.TimerHandle | None = None
        self.login = Login(None, None, None)
        self._closing = False
        self._open = False
        self._traffic: int | None = None
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion(version),
            reconnect_on_failure=False,
            clean_session=None if version == MQTT5 else True,
        )
        client.max_inflight_messages_set(0)  # the sender's window is the limit
        if will:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_socket_open = lambda *args: self._threadsafe(self._watch, args[2])
        client.on_socket_close = lambda *args: self._unwatch(args[2])
        client.on_socket_register_write = lambda *args: self._threadsafe(self._watch_writes, args[2])
        client.on_socket_unregister_write = lambda *args: self._unwatch_writes(args[2])
        self._client = client

    async def open(self, timeout_s: float = 10.0) -> None:
        """Connects. Raises `Refused`, `Mute`, or `OSError` (also for TLS and name look-up)."""
        await asyncio.to_thread(self._connect)
        self._tick = self._loop.call_later(_TICK_S, self._misc)
        try:
            async with asyncio.timeout(timeout_s):
                await self._connack
        except TimeoutError as error:
            raise Mute(f"no CONNACK within {timeout_s:.0f} s") from error

    def _connect(self) -> None:
        broker, client = self._broker, self._client
        self.login = used = login(broker)
        if used.username is not None:
            client.username_pw_set(used.username, used.password)
        if broker.tls:
            context = ssl.create_default_context(cadata=used.authorities)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if broker.certificate_file:
                context.load_cert_chain(broker.certificate_file, broker.private_key_file)
            client.tls_set_context(context)
        client.connect(broker.host, broker.port, keepalive=_KEEPALIVE_S)

    def publish(self, message: Message) -> int:
        """Queues a message; returns its id. Raises `Lost` if the connection is gone."""
        info = self._client.publish(message.topic, message.payload, message.qos, retain=message.retain)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise Lost(paho.error_string(info.rc))
        return info.mid

    def subscribe(self, topic: str) -> None:
        """Asks for a topic at QoS 1; retained messages follow. Raises `Lost` if the connection is gone."""
        rc, _ = self._client.subscribe(topic, 1)
        if rc != paho.MQTT_ERR_SUCCESS:
            raise Lost(paho.error_string(rc))

    def close(self, *, goodbye: bool = True) -> None:
        """Frees the socket; without a goodbye the broker publishes the will. Never raises."""
        self._closing = True
        if self._tick:
            self._tick.cancel()
        _ = self.traffic_bytes  # the last look before the socket is gone
        sock = self._client.socket()
        if goodbye:
            self._client.disconnect()
            with suppress(OSError, ValueError):
                self._client.loop_write()
        if isinstance(sock, socket.socket):
            self._unwatch(sock)
            with suppress(OSError):
                sock.close()

    @property
    def traffic_bytes(self) -> int | None:
        """What this connection has cost so far [bytes], both ways, with the headers of TCP and IP and what was sent
        twice; None where the system does not tell.
        """
        sock = self._client.socket()
        if isinstance(sock, socket.socket) and (counted := _counted(sock)) is not None:
            self._traffic = counted
        return self._traffic

    # paho's side

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if self._connack.done():
            return
        if reason.is_failure:
            unsupported = reason.value == _UNSUPPORTED_VERSION
            self._connack.set_exception(Refused(str(reason), unsupported=unsupported))
        else:
            self._open = True
            self._connack.set_result(None)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        self._threadsafe(self._ended, str(reason))

    def _ended(self, reason: str) -> None:
        if not self._connack.done():
            self._connack.set_exception(Mute(f"closed before CONNACK: {reason}"))
        elif self._open and not self._closing:
            self._listener.lost(reason)
        self._closing = True

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        self._listener.acknowledged(mid, reason.value)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._listener.received(message.topic, bytes(message.payload))

    # the event loop's side; connecting happens in a thread, so some calls come from there

    def _threadsafe(self, call: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *args)

    def _watch(self, sock: socket.socket) -> None:
        if not self._closing and sock.fileno() >= 0:
            self._loop.add_reader(sock.fileno(), self._readable, sock)

    def _readable(self, sock: socket.socket) -> None:
        self._client.loop_read()
        # TLS may hold decrypted bytes of which the selector knows nothing
        while isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0 and sock.pending():
            self._client.loop_read()

    def _unwatch(self, sock: socket.socket) -> None:
        if (number := sock.fileno()) >= 0:
            if self._in_loop():
                self._forget(number)
            else:
                self._threadsafe(self._forget, number)

    def _forget(self, number: int) -> None:
        self._loop.remove_reader(number)
        self._loop.remove_writer(number)

    def _watch_writes(self, sock: socket.socket) -> None:
        if not self._closing and sock.fileno() >= 0:
            self._loop.add_writer(sock.fileno(), self._client.loop_write)

    def _unwatch_writes(self, sock: socket.socket) -> None:
        if (number := sock.fileno()) >= 0 and self._in_loop():
            self._loop.remove_writer(number)

    def _in_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _misc(self) -> None:
        self._client.loop_misc()
        if self._open and not self._closing and self._is_replaced():
            self._open = False
            self._listener.lost("another bundle lies there: connecting as it says")
        if not self._closing:
            self._tick = self._loop.call_later(_TICK_S, self._misc)

    def _is_replaced(self) -> bool:
        """Whether a new secret lies where the one in use came from."""
        stamp = stamp_of(self._broker.bundle) if self._broker.bundle else (0, 0)
        return stamp not in ((0, 0), self.login.stamp)


def _counted(sock: socket.socket) -> int | None:
    """Bytes and segments both ways as Linux counts them (struct tcp_info in linux/tcp.h, from 4.19 on)."""
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
