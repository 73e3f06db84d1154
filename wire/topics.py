"""MQTT topic names: `nhip/v1/<site>/<gateway>/<kind>`.

Site and gateway in the topic decide whose data a message is: the broker's access
rules bind them to the gateway's account; nothing in a body could do that.
"""

import re
from typing import Final, Literal, NamedTuple

Kind = Literal["facts", "values", "site", "live", "status", "receipt", "declare"]

ENVELOPED: Final[tuple[Kind, ...]] = ("facts", "values", "site")
FROM_GATEWAY: Final[tuple[Kind, ...]] = ("facts", "values", "site", "live", "status")
FROM_CENTER: Final = ("receipt", "declare")
ID: Final = re.compile(r"[a-z0-9-]{1,64}")


class Topic(NamedTuple):
    """A parsed topic."""

    site: str
    gateway: str
    kind: Kind


def topic(site: str, gateway: str, kind: Kind) -> str:
    """The topic's name."""
    return f"nhip/v1/{site}/{gateway}/{kind}"


def parse(name: str) -> Topic | None:
    """The topic's parts, or None if the name is not a topic of Nhịp."""
    parts = name.split("/")
    if len(parts) != 5 or parts[:2] != ["nhip", "v1"] or parts[4] not in (*FROM_GATEWAY, *FROM_CENTER):
        return None
    if not (ID.fullmatch(parts[2]) and ID.fullmatch(parts[3])):
        return None
    return Topic(parts[2], parts[3], parts[4])


def subscription(kind: Kind) -> str:
    """The filter by which the center subscribes to one kind from every gateway."""
    return f"nhip/v1/+/+/{kind}"
