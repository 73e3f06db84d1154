"""Translates node ids of the site file into node ids of one server."""

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
