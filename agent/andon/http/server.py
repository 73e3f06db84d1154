"""The server of the page: its sockets and its life."""

import asyncio
import logging
import socket
from contextlib import nullcontext, suppress
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.andon.http.web import Services, application
from agent.process.health import Health

_LOG: Final = logging.getLogger("nhip.agent.andon")
_MOST_CONNECTIONS: Final = 96
_HEAD_S: Final = 10.0
"""How long a connection may take to ask something. Each is a file of the agent's, who needs some for its devices."""
_END_S: Final = 2.0


class AndonServer:
    """Serves until `close`. address: where the page is, once it is."""

    def __init__(self, services: Services, health: Health) -> None:
        self._services, self._health = services, health
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.address = ""

    async def open(self, listen: str, certificate: tuple[str, str] | None = None, metrics: str = "") -> bool:
        """Listens on `host:port`. metrics: where Prometheus is answered too, "" if nowhere. An address that cannot be had is
        counted and logged; the agent runs on without the page. Whether it is there.
        """
        listeners: list[socket.socket] = []
        try:
            page = _listen(listen)
            listeners.append(page)
            metrics_port = _port(page) if metrics == listen else None
            if metrics and metrics != listen:
                with_metrics = _listen(metrics)
                listeners.append(with_metrics)
                metrics_port = _port(with_metrics)
            app = application(self._services, page_port=_port(page), metrics_port=metrics_port)
            config = uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_graceful_shutdown=1,
                ssl_certfile=certificate[0] if certificate else None,
                ssl_keyfile=certificate[1] if certificate else None,
            )
            config.load()
        except (OSError, ValueError) as error:  # ssl.SSLError is one
            for item in listeners:
                item.close()
            self._health.count("andon_cannot_listen")
            cure = "give `andon` another address, or correct certificate and key"
            _LOG.error("andon cannot listen at=%s why=%r cure=%r", listen, str(error), cure)
            return False
        host = listen.rpartition(":")[0]
        self.address = f"{'https' if certificate else 'http'}://{host}:{_port(page)}"
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=listeners), name="andon")
        _LOG.warning("andon at=%s", self.address)
        return True

    async def close(self) -> None:
        """Ends every open page's stream, and the server."""
        if self._server is None or self._serving is None:
            return
        self._services.audience.close()
        self._server.should_exit = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._serving, _END_S)


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the event loop."""

    def capture_signals(self) -> Any:
        return nullcontext()


class _Connection(H11Protocol):
    """Ends when it is one too many, and when no request is complete in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        else:
            self._await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        """Sets a deadline unless one is set, or a request is being answered."""
        waits = self.cycle is None or self.cycle.response_complete
        if waits and self._deadline is None and not self.transport.is_closing():
            self._deadline = asyncio.get_running_loop().call_later(_HEAD_S, self._hang_up)
        elif not waits and self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up(self) -> None:
        self._deadline = None
        self.transport.close()


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host.strip("[]"), int(port)), family=family)


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])
