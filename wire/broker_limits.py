"""What a broker takes, as its CONNACK says (MQTT 5); in MQTT 3.1.1 it says nothing, whatever it takes. Pure."""

from dataclasses import dataclass
from typing import Final

PACKET_TOO_LARGE: Final = 0x95
RETAIN_NOT_SUPPORTED: Final = 0x9A
QOS_NOT_SUPPORTED: Final = 0x9B
SESSION_TAKEN_OVER: Final = 0x8E
_VARINT_STEPS: Final = (128, 16_384, 2_097_152)


@dataclass(frozen=True)
class BrokerLimits:
    """packet_bytes: size of the largest packet that it takes, None for no limit; unacknowledged: how many messages of QoS 1
    it takes before it has acknowledged the first; qos: the highest that it takes; retains: whether it keeps retained
    messages; wildcards, shares: whether it knows such subscriptions.
    """

    packet_bytes: int | None = None
    unacknowledged: int = 65_535
    qos: int = 2
    retains: bool = True
    wildcards: bool = True
    shares: bool = True


def limits_of(properties: object) -> BrokerLimits:
    """The limits in CONNACK's properties: an object with an attribute for each property that is present; None in 3.1.1."""
    return BrokerLimits(
        getattr(properties, "MaximumPacketSize", None),
        getattr(properties, "ReceiveMaximum", 65_535),
        getattr(properties, "MaximumQoS", 2),
        bool(getattr(properties, "RetainAvailable", 1)),
        bool(getattr(properties, "WildcardSubscriptionAvailable", 1)),
        bool(getattr(properties, "SharedSubscriptionAvailable", 1)),
    )


def packet_bytes(topic: str, payload_bytes: int) -> int:
    """The size of the PUBLISH packet: a header of 1 byte and the length, topic, message id, no properties, payload."""
    rest = 2 + len(topic.encode()) + 2 + 1 + payload_bytes
    return 1 + 1 + sum(rest >= step for step in _VARINT_STEPS) + rest
