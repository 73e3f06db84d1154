"""Runs paho's socket on asyncio's event loop: reads, writes and keep-alives, without a thread."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import paho.mqtt.client as paho

_TICK_S: Final = 1.0


class PahoLoop:
    """Drives one client until closed. paho connects in a thread, so some of its calls come from there."""

    def __init__(self, client: paho.Client, on_tick: Callable[[], None]) -> None:
        """on_tick: called once a second."""
        self._loop = asyncio.get_running_loop()
        self._client, self._on_tick = client, on_tick
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False
        """No socket is watched any more."""
        client.on_socket_open = lambda *args: self.call(self._watch, args[2])
        client.on_socket_close = lambda *args: self.unwatch(args[2])
        client.on_socket_register_write = lambda *args: self.call(self._watch_writes, args[2])
        client.on_socket_unregister_write = lambda *args: self._unwatch_writes(args[2])

    def start(self) -> None:
        """Starts the keep-alives."""
        self._timer = self._loop.call_later(_TICK_S, self._tick)

    def close(self) -> None:
        """Ends the keep-alives."""
        self.closed = True
        if self._timer:
            self._timer.cancel()

    def call(self, work: Callable[..., None], *args: Any) -> None:
        """Calls `work` on the loop; from any thread."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(work, *args)

    def unwatch(self, sock: socket.socket) -> None:
        """Stops watching a socket that is about to be closed."""
        if (number := sock.fileno()) >= 0:
            if self._in_loop():
                self._remove(number)
            else:
                self.call(self._remove, number)

    def _tick(self) -> None:
        self._client.loop_misc()
        self._on_tick()
        if not self.closed:
            self.start()

    def _watch(self, sock: socket.socket) -> None:
        if not self.closed and sock.fileno() >= 0:
            self._loop.add_reader(sock.fileno(), self._readable, sock)

    def _readable(self, sock: socket.socket) -> None:
        self._client.loop_read()
        # TLS may hold decrypted bytes that the selector does not see
        while isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0 and sock.pending():
            self._client.loop_read()

    def _remove(self, number: int) -> None:
        self._loop.remove_reader(number)
        self._loop.remove_writer(number)

    def _watch_writes(self, sock: socket.socket) -> None:
        if not self.closed and sock.fileno() >= 0:
            self._loop.add_writer(sock.fileno(), self._client.loop_write)

    def _unwatch_writes(self, sock: socket.socket) -> None:
        if (number := sock.fileno()) >= 0 and self._in_loop():
            self._loop.remove_writer(number)

    def _in_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False
