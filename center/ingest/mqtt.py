"""The center's MQTT session, on a thread of its own: paho with manual acknowledgement, MQTT 5 or else 3.1.1.

The session is clean and relies on nothing that the broker keeps: gateways resend whatever it loses, since only a
receipt frees an envelope. An acknowledgement therefore only means "send the next". One that belongs to an earlier
connection is dropped, because the new connection reuses message ids. What the center published and the broker did not
acknowledge is not sent again either: who connects is answered anew.

Several workers share messages by an MQTT 5 shared subscription: each message of facts, values and site bodies goes to
one of them. What every worker must receive is subscribed to plainly.

The first connection requests MQTT 5 without properties, which even a broker that knows only 3.1.1 can refuse properly
(amqtt 0.12 hangs on a property). If it is accepted, the session connects again with its limit on messages in flight, and
within the limits that the broker named; a broker that names others later is connected to anew.
"""

import secrets
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from center.ingest.own_messages import OwnMessages
from center.model.complaints import misconfigured
from center.runtime.health import CenterHealth
from wire.broker_limits import BrokerLimits, limits_of
from wire.topics import ENVELOPED, FROM_GATEWAY, Kind, next_status, subscription

IN_FLIGHT: Final = 500
"""Messages that the broker may send before the first is acknowledged (MQTT 5)."""
_UNACKNOWLEDGED: Final = 20
"""Messages that the center publishes before the broker has acknowledged the first."""
_UNSUPPORTED_VERSION: Final = 0x84
_NO_SHARING: Final = 0x9E
_KEEPALIVE_S: Final = 30
SUBACK_S: Final = 30.0
"""A broker that answers pings, but SUBSCRIBE not within this time, will never pass anything on."""
_RETRY_S: Final = (1, 30)
_QOS: Final[dict[Kind, int]] = {"facts": 1, "site": 1, "values": 1, "status": 1, "live": 0}


@dataclass(frozen=True)
class BrokerSettings:
    """Address and credentials. Files are read once; ca_file: "" trusts the system's authorities."""

    host: str
    port: int
    tls: bool = False
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    private_key_file: str = ""


@dataclass(frozen=True)
class TopicSubscriptions:
    """What a session subscribes to. shared: kinds of which each message goes to one of several workers; plain: kinds of
    which it receives every message; group: the workers' name for what they share. unfit: called with the reason if the broker cannot share, which is final.
    """

    plain: tuple[Kind, ...] = FROM_GATEWAY
    shared: tuple[Kind, ...] = ()
    unfit: Callable[[str], None] = lambda _reason: None
    group: str = ""

    def filters(self) -> list[tuple[str, int]]:
        """Filters and qualities of service; the last, for gateways of the next version, may be refused."""
        shared = [(f"$share/{self.group}/{subscription(kind)}", _QOS[kind]) for kind in self.shared]
        return [*shared, *((subscription(kind), _QOS[kind]) for kind in self.plain), (next_status(), 0)]


def subscriptions_of(role: str, unfit: Callable[[str], None], group: str) -> TopicSubscriptions:
    """The subscriptions of a process of that role. group: a secret of the center's processes, since whoever knows the name of
    a shared subscription gets a share of what is published, whether or not it may read it. Every worker receives every status: any of them may answer it, and
    retained messages are not delivered to a shared subscription.
    """
    if role == "ingest":
        return TopicSubscriptions(("status",), ENVELOPED, unfit, group)
    return TopicSubscriptions(("live", "status")) if role == "console" else TopicSubscriptions()


class Arrived(NamedTuple):
    """A message, with what is needed to acknowledge it: connection number, message id, quality of service. kept: the broker
    had kept it (a retained message).
    """

    topic: str
    payload: bytes
    connection: int
    mid: int
    qos: int
    kept: bool = False


class _Client(paho.Client):
    """Leaves the properties of arriving messages unread: nothing here needs them, and any gateway may add thousands, for each of which
    paho copies the rest of the packet; one that paho refuses and the broker does not would end the session.
    """

    def _handle_publish(self) -> Any:
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            qos = (self._in_packet["command"] & 0x06) >> 1
            self._in_packet["packet"] = _without_properties(self._in_packet["packet"], qos)
        return super()._handle_publish()


def _without_properties(packet: bytearray, qos: int) -> bytearray:
    """A PUBLISH of MQTT 5, after its fixed header, with no properties; what is cut short stays as it is."""
    at = 2 + int.from_bytes(packet[:2], "big") + (2 if qos else 0)
    size = 0
    for end in range(at, min(at + 4, len(packet))):
        size |= (packet[end] & 0x7F) << 7 * (end - at)
        if packet[end] < 0x80:
            return packet[:at] + b"\0" + packet[end + 1 + size :]
    return packet


class _SubscribeDeadline:
    """Ends a client's connection if its subscriptions are not answered in time."""

    def __init__(self, client: paho.Client, health: CenterHealth, ending: Callable[[], None]) -> None:
        """ending: told before, so that the end of this connection is not taken for the broker's answer to a packet."""
        self._client, self._health, self._ending = client, health, ending
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """The subscriptions were sent."""
        self.met()
        self._timer = threading.Timer(SUBACK_S, self._missed)
        self._timer.daemon = True
        self._timer.start()

    def met(self) -> None:
        """They were answered, or the connection is gone."""
        if self._timer:
            self._timer.cancel()

    def _missed(self) -> None:
        self._health.count("subscriptions_unanswered")
        why = f"it did not answer SUBSCRIBE within {SUBACK_S:.0f} s: check the account's access rules, or restart it"
        self._health.set_condition("broker", f"lost: {why}")
        self._ending()
        self._client.disconnect()  # the next client connects anew


class BrokerSession:
    """Connects, subscribes, and reconnects until it is stopped. limits: what the broker's last CONNACK said; own: what the
    center itself publishes.
    """

    def __init__(
        self,
        broker: BrokerSettings,
        health: CenterHealth,
        received: Callable[[Arrived], None],
        connected: Callable[[], None],
        subscriptions: TopicSubscriptions | None = None,
    ) -> None:
        """Callbacks run on the session's thread and must not block."""
        self._subscriptions = subscriptions or TopicSubscriptions()
        self._broker, self._health = broker, health
        self._received, self._connected = received, connected
        self._password = _password(broker)
        self._context = _context(broker)
        self._id = f"nhip-center-{secrets.token_hex(4)}"
        self._version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5
        self.limits, self.own = BrokerLimits(), OwnMessages(health)
        self._probing = True
        self._connection = 0
        self._stopping = threading.Event()
        self._client = self._make()
        self._thread = threading.Thread(target=self._run, name="nhip-mqtt", daemon=True)

    def start(self) -> None:
        """Starts to connect; returns at once."""
        self._health.set_condition("broker", "connecting")
        self._thread.start()

    def acknowledge(self, message: Arrived) -> None:
        """Acknowledges a message to the broker."""
        if message.qos and message.connection == self._connection:
            self._client.ack(message.mid, message.qos)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publishes a retained message at QoS 1, as far as the broker has these; dropped without a connection."""
        self.own.publish(topic, payload)

    def stop(self) -> None:
        """Disconnects and ends the thread."""
        self._stopping.set()
        self.own.end()
        self._deadline.met()
        self._client.disconnect()
        if self._thread.is_alive():
            self._thread.join(10)

    def _make(self) -> paho.Client:
        version5 = self._version == MQTTProtocolVersion.MQTTv5
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._id,
            protocol=self._version,
            clean_session=None if version5 else True,
            manual_ack=True,
        )
        client.reconnect_delay_set(*_RETRY_S)
        client.max_inflight_messages_set(min(_UNACKNOWLEDGED, self.limits.unacknowledged))
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._password)
        if self._context:
            client.tls_set_context(self._context)
        self._deadline = _SubscribeDeadline(client, self._health, self.own.end)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_connect_fail = lambda *_: self._health.set_condition("broker", "unreachable")
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = lambda *args: self.own.acknowledged(args[2], args[3].value)
        return client

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._connect()
                self._client.loop_forever(retry_first_connection=True)
            except Exception as error:  # noqa: BLE001  # the session must survive; counted
                self._health.count("session_errors")
                self._health.set_condition("broker", f"{type(error).__name__}: {error}")
                self._stopping.wait(_RETRY_S[0])
            if not self._stopping.is_set():
                self._client = self._make()

    def _connect(self) -> None:
        where = (self._broker.host, self._broker.port, _KEEPALIVE_S)
        if self._version == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            if not self._probing:
                properties.ReceiveMaximum = IN_FLIGHT
            self._client.connect_async(*where, clean_start=True, properties=properties)
        else:
            self._client.connect_async(*where)

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, properties: Any) -> None:
        if reason.is_failure:
            if reason.value == _UNSUPPORTED_VERSION and self._version == MQTTProtocolVersion.MQTTv5:
                self._version, self._probing = MQTTProtocolVersion.MQTTv311, False
                client.disconnect()  # ends loop_forever; the next client speaks the older version
            else:
                self._health.set_condition("broker", f"refused: {reason}")
            return
        client.drop_out_messages()  # of the session before: a clean one has none
        limits = limits_of(properties)
        if self._probing or limits != self.limits:
            self._probing, self.limits = False, limits
            client.disconnect()
            return
        if self._subscriptions.shared and (why := _cannot_share(self._version, limits)):
            self._health.set_condition("broker", f"refused: {why}")
            self._subscriptions.unfit(why)
            return
        if not limits.wildcards:
            self._health.set_condition("broker", "refused: it has no wildcard subscriptions, which a center needs")
            return
        self._connection += 1
        client.subscribe(self._subscriptions.filters())
        self._deadline.begin()
        self.own.begin(client, limits)
        self._connected()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        self._deadline.met()
        self.own.lost(reason.value)
        if not self._stopping.is_set() and self._health.condition("broker") == "ok":
            self._health.set_condition("broker", f"lost: {reason}")

    def _on_subscribe(self, _client: Any, _data: Any, _mid: Any, reasons: list[ReasonCode], _properties: Any) -> None:
        self._deadline.met()
        needed = len(self._subscriptions.shared) + len(self._subscriptions.plain)
        refused = [str(reason) for reason in reasons[:needed] if reason.is_failure]
        if refused:
            self._health.set_condition("broker", f"subscription refused: {refused[0]}")
        else:
            self._health.set_condition("broker", "ok")
        if any(reason.value == _NO_SHARING for reason in reasons):
            self._subscriptions.unfit("it refuses shared subscriptions")

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        payload = bytes(message.payload)
        self._received(
            Arrived(message.topic, payload, self._connection, message.mid, message.qos, kept=bool(message.retain))
        )


def _cannot_share(version: MQTTProtocolVersion, limits: BrokerLimits) -> str:
    """Why this broker cannot share a subscription among workers, "" if it can."""
    if version != MQTTProtocolVersion.MQTTv5:
        return "it speaks MQTT 3.1.1 only"
    return "" if limits.shares else "it reports that it has no shared subscriptions"


def _password(broker: BrokerSettings) -> str | None:
    if not broker.password_file:
        return None
    try:
        return Path(broker.password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise misconfigured("password_file", broker.password_file, "cannot_read", detail=error) from error


def _context(broker: BrokerSettings) -> ssl.SSLContext | None:
    if not broker.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=broker.ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise misconfigured("ca_file", broker.ca_file, "cannot_read", detail=error) from error
    if broker.certificate_file:
        try:
            context.load_cert_chain(broker.certificate_file, broker.private_key_file)
        except OSError as error:
            raise misconfigured("certificate_file", broker.certificate_file, "cannot_read", detail=error) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
