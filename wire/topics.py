"""MQTT topics, `nhip/v1/<site>/<gateway>/<kind>`, and the accounts that may use them.

Site and gateway in the topic decide whose data a message is: the broker's access rules bind them to the gateway's
account, and nothing else keeps one gateway from publishing as another; nothing in a body could do that.

A gateway's account is `<site>.<gateway>`; ids contain no dot, so no two gateways share a name. A second secret, valid
beside the first until the gateway has switched to it, belongs to the account `<site>.<gateway>.2`, and so on. Each account
may publish its own kinds and read what the center publishes for it, each topic by its full name; a gateway that speaks the
next version of these topics may tell its status there. The center reads every gateway and alone may publish receipts and declarations. Everything else is denied: with a reason code in MQTT 5,
silently in 3.1.1.
"""

import re
from typing import Final, Literal, NamedTuple

Kind = Literal["facts", "values", "site", "live", "status", "receipt", "declare"]

ENVELOPED: Final[tuple[Kind, ...]] = ("facts", "values", "site")
FROM_GATEWAY: Final[tuple[Kind, ...]] = ("facts", "values", "site", "live", "status")
FROM_CENTER: Final[tuple[Kind, ...]] = ("receipt", "declare")
ID: Final = re.compile(r"[a-z0-9-]{1,64}")
CENTER: Final = "nhip-center"
"""The center's account at the broker, unless it is named otherwise."""
NEXT_VERSION: Final = 2
"""The version of these topics after this one: a gateway that speaks it publishes its status there, so that a center that
is older can say that it is."""


class Topic(NamedTuple):
    """A parsed topic."""

    site: str
    gateway: str
    kind: Kind


def topic(site: str, gateway: str, kind: Kind) -> str:
    """The topic's name."""
    return f"nhip/v1/{site}/{gateway}/{kind}"


def topics_of(site: str, gateway: str) -> str:
    """What the names of a gateway's topics begin with."""
    return f"nhip/v1/{site}/{gateway}/"


def parse(name: str) -> Topic | None:
    """The topic's parts, or None if the name is not a topic of Nhịp."""
    parts = name.split("/")
    if len(parts) != 5 or parts[:2] != ["nhip", "v1"] or parts[4] not in (*FROM_GATEWAY, *FROM_CENTER):
        return None
    if not (ID.fullmatch(parts[2]) and ID.fullmatch(parts[3])):
        return None
    return Topic(parts[2], parts[3], parts[4])


def parse_next(name: str) -> tuple[str, str] | None:
    """Site and gateway of a topic of the next version, None if the name is not one."""
    parts = name.split("/")
    if len(parts) == 5 and parts[:2] == ["nhip", f"v{NEXT_VERSION}"] and all(map(ID.fullmatch, parts[2:4])):
        return parts[2], parts[3]
    return None


def subscription(kind: Kind) -> str:
    """The filter by which the center subscribes to one kind from every gateway."""
    return f"nhip/v1/+/+/{kind}"


def next_status(site: str = "+", gateway: str = "+") -> str:
    """The topic on which a gateway of the next version tells its status, or the filter for every gateway's."""
    return f"nhip/v{NEXT_VERSION}/{site}/{gateway}/status"


def account(site: str, gateway: str, serial: int = 1) -> str:
    """The gateway's user name for its secret number `serial`. Raises `ValueError` for an id that cannot be part of a topic."""
    for what, text in (("site", site), ("gateway", gateway)):
        if not ID.fullmatch(text):
            raise ValueError(f"{what} {text!r}: only a-z, 0-9 and hyphens, at most 64 of them")
    return f"{site}.{gateway}" + (f".{serial}" if serial > 1 else "")


def gateway_rules(site: str, gateway: str, serial: int = 1) -> str:
    """The rules of a gateway in Mosquitto's `acl_file`."""
    lines = [f"user {account(site, gateway, serial)}"]
    lines += [f"topic write {topic(site, gateway, kind)}" for kind in FROM_GATEWAY]
    lines.append(f"topic write {next_status(site, gateway)}")
    lines += [f"topic read {topic(site, gateway, kind)}" for kind in FROM_CENTER]
    return "\n".join(lines) + "\n"


def center_rules(user: str = CENTER) -> str:
    """The rules of the center in Mosquitto's `acl_file`."""
    lines = [f"user {user}"]
    lines += [f"topic read {subscription(kind)}" for kind in FROM_GATEWAY]
    lines.append(f"topic read {next_status()}")
    lines += [f"topic write {subscription(kind)}" for kind in FROM_CENTER]
    return "\n".join(lines) + "\n"
