"""How browsers reach a center from outside: the proxies it believes, and the path under which they show it. Pure."""

import re
from ipaddress import ip_network
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from config.yaml.complaints import InvalidValue

TAKEN: Final = frozenset(
    {
        *(
            "account",
            "actions",
            "admin",
            "advice",
            "alerts",
            "api",
            "benchmark",
            "comparison",
            "console",
            "declare",
            "delivery",
            "directory",
            "work",
            "favicon.ico",
            "login",
            "logout",
            "losses",
            "machine",
        ),
        *(
            "maintenance",
            "metrics",
            "months",
            "report",
            "statement",
            "statements",
            "targets",
            "_nicegui",
            "_nicegui_ws",
        ),
    }
)
"""First segments of the center's own paths. A root path that begins like one of them could not be told from it."""
_SEGMENTS: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_LONGEST: Final = 200


def root_path_of(text: str) -> str:
    """The path without its last slash, "" for "/". Raises `InvalidValue`."""
    path = text.removesuffix("/")
    segments = path.split("/")[1:]
    if path and (not _SEGMENTS.fullmatch(path) or {".", ".."} & set(segments) or len(path) > _LONGEST):
        raise InvalidValue("bad_root_path", "not a root path; write for example /nhip")
    if path and segments[0].lower() in TAKEN:
        raise InvalidValue("root_path_taken", f"the center has pages under /{segments[0]} itself", taken=segments[0])
    return path


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else () if value is None else (value,)


def _trusted(texts: tuple[str, ...]) -> tuple[str, ...]:
    out = []
    for text in texts:
        try:
            network = ip_network(text)
        except ValueError:
            raise InvalidValue("bad_proxy", "not an address; write for example 127.0.0.1", proxy=text) from None
        if not network.prefixlen:
            raise InvalidValue("proxy_is_everybody", "everybody would be believed", proxy=text)
        out.append(str(network))
    return tuple(out)


RootPath = Annotated[str, AfterValidator(root_path_of)]
"""A path like /nhip; "" for none."""

Proxies = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    AfterValidator(_trusted),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One address or network, or a list of them; as networks."""
