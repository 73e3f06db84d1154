"""Translates node ids of the site file into node ids of one server."""

import re
from collections.abc import Sequence

from asyncua import ua
from asyncua.ua.uaerrors import UaError


def node_id(text: str, namespaces: Sequence[str]) -> ua.NodeId | None:
    """`nsu=URI;s=Name` with the URI's number on this server; None if the server has no such namespace, or the text is
    not a node id: such a tag is treated as refused by the server.
    """
    if text.startswith("nsu="):
        uri, _, identifier = text.removeprefix("nsu=").partition(";")
        if uri not in namespaces:
            return None
        text = f"ns={namespaces.index(uri)};{identifier}"
    try:
        return ua.NodeId.from_string(text)
    except UaError:
        return None


def node_text(identifier: str, namespaces: Sequence[str]) -> str:
    """`ns=2;s=Name` with the namespace's URI; without a namespace in the standard's own, unchanged where it has no URI.

    >>> node_text("ns=1;s=Shots", ["http://opcfoundation.org/UA/", "urn:m"])
    'nsu=urn:m;s=Shots'
    """
    match = re.fullmatch(r"ns=(\d+);(.*)", identifier, re.DOTALL)
    if match is None:
        return identifier
    number = int(match[1])
    if number == 0:
        return match[2]
    uri = namespaces[number] if number < len(namespaces) else ""
    return f"nsu={uri};{match[2]}" if uri and ";" not in uri else identifier
