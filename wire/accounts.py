"""Accounts at the broker and what they may do: the only thing that stops one gateway from speaking for another.

A gateway's account is `<site>.<gateway>`; ids hold no dot, so no two gateways share a name. Its second secret, valid
beside the first while the gateway still has that, is of the account `<site>.<gateway>.2`, and so on. Each may write its own kinds
and read what the center says to it, each topic by its full name. The center reads every gateway and alone may write
receipts and declarations. Whatever is not listed is refused: by MQTT 5 aloud, by 3.1.1 in silence.
"""

from typing import Final

from wire.topics import FROM_CENTER, FROM_GATEWAY, ID, Kind, subscription, topic

CENTER: Final = "nhip-center"


def account(site: str, gateway: str, serial: int = 1) -> str:
    """The gateway's user name for its secret of that number. Raises `ValueError` for an id that cannot be part of a topic."""
    for what, text in (("site", site), ("gateway", gateway)):
        if not ID.fullmatch(text):
            raise ValueError(f"{what} {text!r}: only a-z, 0-9 and hyphens, at most 64 of them")
    return f"{site}.{gateway}" + (f".{serial}" if serial > 1 else "")


def gateway_rules(site: str, gateway: str, serial: int = 1) -> str:
    """The lines of a gateway in Mosquitto's `acl_file`."""
    lines = [f"user {account(site, gateway, serial)}"]
    lines += [f"topic write {topic(site, gateway, _kind(kind))}" for kind in FROM_GATEWAY]
    lines += [f"topic read {topic(site, gateway, _kind(kind))}" for kind in FROM_CENTER]
    return "\n".join(lines) + "\n"


def center_rules(user: str = CENTER) -> str:
    """The lines of the center in Mosquitto's `acl_file`."""
    lines = [f"user {user}"]
    lines += [f"topic read {subscription(_kind(kind))}" for kind in FROM_GATEWAY]
    lines += [f"topic write {subscription(_kind(kind))}" for kind in FROM_CENTER]
    return "\n".join(lines) + "\n"


def _kind(text: str) -> Kind:
    return text  # type: ignore[return-value]  # the tuples of wire.topics hold nothing else
