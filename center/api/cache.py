"""Answers that were given already: an answer stays true until something it depends on changes.

`stamp` names that something: what has been settled and stored of the site's streams, the bodies that describe it, the
window once its ends are fixed, and the program. Two questions with the same stamp have the same answer, so a browser
that shows an ETag gets a 304, and a second engineer who looks at the same page costs no question to the store.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NamedTuple

from center.runtime.state import CenterState


def _version() -> str:
    try:
        return version("nhip")
    except PackageNotFoundError:  # run from a checkout
        return "0"


PROGRAM: Final = _version()
"""A newer program may answer otherwise."""
BYTES: Final = 64 * 1024 * 1024
"""Room for answers kept in memory."""


def stamp(center: CenterState, sites: Collection[str], *parts: object) -> str:
    """What an answer about these sites depends on, as a short text.

    parts: whatever else the answer depends on: the question itself, the window.
    """
    memory = center.ledger_cache
    known = [PROGRAM, memory.generation, *map(str, parts)]
    for site, gateway in memory.gateways():
        if site in sites:
            states = sorted(memory.of_gateway(site, gateway).items(), key=lambda item: item[0].stream)
            known += [f"{site}/{gateway}/{key.stream}/{state.marks}/{state.stored}" for key, state in states]
    for site in sites:
        current = memory.sites.current(site)
        known += [site, current.body.config_hash if current else "", *memory.sites.machines(site)]
    return hashlib.blake2b("\n".join(known).encode(), digest_size=12).hexdigest()


class Kept(NamedTuple):
    """An answer as it leaves: its bytes, and the headers that belong to it."""

    content: bytes
    headers: Mapping[str, str]


class Answers:
    """The latest answers by stamp, within a bound of bytes. Any thread may ask."""

    def __init__(self, most_bytes: int = BYTES) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes, self._most_bytes = 0, most_bytes
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], Kept]) -> Kept:
        """The answer under this stamp, made now if nobody asked before. What `make` raises is kept by nobody."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        made = make()
        with self._lock:
            if key not in self._kept and len(made.content) <= self._most_bytes // 4:
                self._kept[key] = made
                self._bytes += len(made.content)
                while self._bytes > self._most_bytes:
                    self._bytes -= len(self._kept.popitem(last=False)[1].content)
        return made
