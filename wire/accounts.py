"""Accounts at the broker and their access rules: the only thing that keeps one gateway from publishing as another.

A gateway's account is `<site>.<gateway>`; ids contain no dot, so no two gateways share a name. A second secret, valid
beside the first until the gateway has switched to it, belongs to the account `<site>.<gateway>.2`, and so on. Each account
may publish its own kinds and read what the center publishes for it, each topic by its full name. The center reads every
gateway and alone may publish receipts and declarations. Everything else is denied: with a reason code in MQTT 5,
silently in 3.1.1.
"""

from typing import Final

from wire.topics import FROM_CENTER, FROM_GATEWAY, ID, Kind, subscription, topic

CENTER: Final = "nhip-center"


def account(site: str, gateway: str, serial: int = 1) -> str:
    """The gateway's user name for its secret number `serial`. Raises `ValueError` for an id that cannot be part of a topic."""
    for what, text in (("site", site), ("gateway", gateway)):
        if not ID.fullmatch(text):
            raise ValueError(f"{what} {text!r}: only a-z, 0-9 and hyphens, at most 64 of them")
    return f"{site}.{gateway}" + (f".{serial}" if serial > 1 else "")


def gateway_rules(site: str, gateway: str, serial: int = 1) -> str:
    """The rules of a gateway in Mosquitto's `acl_file`."""
    lines = [f"user {account(site, gateway, serial)}"]
    lines += [f"topic write {topic(site, gateway, _kind(kind))}" for kind in FROM_GATEWAY]
    lines += [f"topic read {topic(site, gateway, _kind(kind))}" for kind in FROM_CENTER]
    return "\n".join(lines) + "\n"


def center_rules(user: str = CENTER) -> str:
    """The rules of the center in Mosquitto's `acl_file`."""
    lines = [f"user {user}"]
    lines += [f"topic read {subscription(_kind(kind))}" for kind in FROM_GATEWAY]
    lines += [f"topic write {subscription(_kind(kind))}" for kind in FROM_CENTER]
    return "\n".join(lines) + "\n"


def _kind(text: str) -> Kind:
    return text  # type: ignore[return-value]  # wire.topics lists only kinds
