"""Who may hold a connection to the center's port, and for how long without asking anything.

uvicorn takes every connection and waits for a request's head without end; its `limit_concurrency` refuses only after a
head has been read, and TLS handshakes are not counted at all. So connections are accepted here, counted before anything
is read, and given to uvicorn's protocol. The parser is h11, whose heads are bounded; httptools' are not.
"""

import asyncio
import contextlib
import errno
import logging
import resource
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from center.model.sources import source_of
from config import ConnectionsModel

_LOG: Final = logging.getLogger("nhip.center")
_SWEEP_S: Final = 0.5
_BACK_OFF_S: Final = 1.0
_TELL_EVERY_S: Final = 60.0
_MOST_FILES: Final = 65_536
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_LISTENER: Final = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)
_LOOKED_S: Final = 0.05
_UNREAD_OF_SOURCE: Final = 64 * 1024 * 1024
"""So much may wait for one address to read it: a few of the largest answers."""
_UNREAD_IN_ALL: Final = 192 * 1024 * 1024
Count = Callable[[str], None]
"""Counts an event by name."""


@dataclass(eq=False)
class _Held:
    """An open connection. since_s: from when on nothing was asked [s]; served: the last request that was."""

    socket: socket.socket
    source: str
    since_s: float
    transport: asyncio.Transport | None = None
    served: Any = None
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)
    unread: int = 0
    taken_s: float = 0.0

    @property
    def is_open(self) -> bool:
        return self.socket.fileno() >= 0

    def silent_s(self, now_s: float) -> float | None:
        """How long it has been waited for a handshake or a head [s]; None while a request or a websocket is served."""
        if self.transport is not None:
            protocol = self.transport.get_protocol()
            if not isinstance(protocol, H11Protocol):
                return None  # a websocket: the gate has let it in
            request = protocol.cycle
            if request is not None and not request.response_complete:
                return None
            if self.transport.get_write_buffer_size():  # a slow line still takes the last answer
                self.since_s = now_s
                return None
            if request is not self.served:
                self.served, self.since_s = request, now_s
        return now_s - self.since_s

    def unread_s(self, now_s: float) -> float:
        """How long the peer has taken nothing of what waits for it [s], 0 if nothing waits; sets `unread` [bytes]."""
        waits = self.transport.get_write_buffer_size() if self.transport is not None and self.is_open else 0
        if waits == 0 or waits < self.unread or self.unread == 0:
            self.taken_s = now_s
        self.unread = waits
        return now_s - self.taken_s

    def end(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        elif self.task is not None:
            self.task.cancel()


class Connections:
    """Accepts connections on an open port until `stop`. At most so many in all and from one source as the settings say.

    If all places are taken, the connection that has been silent for longest makes room: somebody who asks is served
    whoever fills the port. Proxies that are believed are one source for many people, so for them only the total counts.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        limits: ConnectionsModel,
        tls: ssl.SSLContext | None = None,
        *,
        proxies: Collection[str] = (),
        count: Count = lambda _name: None,
    ) -> None:
        """protocol: makes one for a connection; count: is told `connections_refused`, `heads_late`,
        `answers_unread` and `files_short`.
        """
        self._listener, self._protocol, self._limits, self._tls = listener, protocol, limits, tls
        self._proxies = [ip_network(text) for text in proxies]
        self._count = count
        self._held: dict[_Held, None] = {}
        self._by_source: Counter[str] = Counter()
        self._told_s: dict[str, float] = {}
        self._looked_s = 0.0
        self._most = min(limits.total, _files() // 2)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts accepting, in the running loop."""
        self._listener.setblocking(False)
        self._listener.listen(self._limits.total)
        self._tasks = [asyncio.create_task(self._accept()), asyncio.create_task(self._sweep())]

    async def stop(self) -> None:
        """Accepts nobody any more; requests that are being answered go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for held in list(self._held):
            if held.transport is None:
                held.end()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listener)
            except OSError as error:
                if error.errno in _NO_LISTENER:
                    raise
                if error.errno in _EXHAUSTED:
                    self._refuse("files_short", f"{error.strerror}: no connection is accepted for {_BACK_OFF_S:.0f} s")
                    await asyncio.sleep(_BACK_OFF_S)
                continue  # else the peer has gone already
            held = self._admitted(connection, str(address[0]))
            if held is not None:
                held.task = loop.create_task(self._open(held))
            await asyncio.sleep(
                0
            )  # accepting never waits while others want to come, so the rest of the loop has its turn

    def _admitted(self, connection: socket.socket, address: str) -> _Held | None:
        source = "" if _is_one_of(address, self._proxies) else source_of(address)
        now_s = time.monotonic()
        if source and self._by_source[source] >= self._limits.from_one_address:
            self._look(now_s)
        if source and self._by_source[source] >= self._limits.from_one_address:
            connection.close()
            self._refuse(
                "connections_refused", f"{source} holds {self._by_source[source]} connections; more are refused"
            )
            return None
        if len(self._held) >= self._most:
            self._look(now_s)
        if len(self._held) >= self._most and not self._make_room(now_s):
            connection.close()
            self._refuse("connections_refused", f"all {self._most} connections are in use; more are refused")
            return None
        held = _Held(connection, source, now_s)
        self._held[held] = None
        self._by_source[source] += 1
        return held

    def _make_room(self, now_s: float) -> bool:
        silent = [(held.silent_s(now_s), held) for held in self._held]
        longest = max(((s, held) for s, held in silent if s is not None), key=lambda item: item[0], default=None)
        if longest is None:
            return False
        longest[1].end()
        self._forget(longest[1])
        self._refuse("connections_refused", f"all {self._most} connections are in use; silent ones make room")
        return True

    async def _open(self, held: _Held) -> None:
        shake_s = self._limits.head if self._tls else None
        with contextlib.suppress(OSError):  # a handshake that failed; the socket is closed then
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol, held.socket, ssl=self._tls, ssl_handshake_timeout=shake_s
            )
            held.transport = transport

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._drop_closed()
            now_s = time.monotonic()
            for held in list(self._held):
                silent_s = held.silent_s(now_s)
                if silent_s is not None and silent_s > self._limits.head:
                    held.end()
                    self._forget(held)
                    self._count("heads_late")
            for held in _not_reading(self._held, now_s, self._limits.unread):
                held.end()
                self._forget(held)
                who = held.source or "behind a proxy somebody"
                self._refuse("answers_unread", f"{who} does not read what was asked for; the connection is ended")

    def _look(self, now_s: float) -> None:
        """Drops what has been closed, at most so often that a flood of connections costs no more than accepting them."""
        if now_s - self._looked_s >= _LOOKED_S:
            self._looked_s = now_s
            self._drop_closed()

    def _drop_closed(self) -> None:
        for held in [held for held in self._held if not held.is_open]:
            self._forget(held)

    def _forget(self, held: _Held) -> None:
        del self._held[held]
        self._by_source[held.source] -= 1
        if not self._by_source[held.source]:
            del self._by_source[held.source]

    def _refuse(self, name: str, text: str) -> None:
        """Counted each time, logged once a minute."""
        self._count(name)
        now_s = time.monotonic()
        if now_s - self._told_s.get(name, -_TELL_EVERY_S) >= _TELL_EVERY_S:
            self._told_s[name] = now_s
            _LOG.warning("%s", text)


def _not_reading(connections: Iterable[_Held], now_s: float, longest_s: float) -> list[_Held]:
    """Connections whose peers take nothing, or for which more waits than may: it is memory that others need."""
    stuck, waiting = list[_Held](), list[_Held]()
    for held in connections:
        (stuck if held.unread_s(now_s) > longest_s else waiting).append(held)
    by_source = Counter[str]()
    for held in waiting:
        by_source[held.source] += held.unread
    for held in sorted(waiting, key=lambda item: item.unread, reverse=True):
        too_much = by_source[held.source] > _UNREAD_OF_SOURCE or by_source.total() > _UNREAD_IN_ALL
        if held.unread and too_much and by_source[held.source] == max(by_source.values()):
            stuck.append(held)
            by_source[held.source] -= held.unread
    return stuck


def _is_one_of(address: str, networks: Collection[IPv4Network | IPv6Network]) -> bool:
    return any(ip_address(address.partition("%")[0]) in network for network in networks)


def _files() -> int:
    """How many files this process may have open, after it has asked for as many as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return _MOST_FILES if soft == resource.RLIM_INFINITY else soft
