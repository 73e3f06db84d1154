"""Serves `GET /metrics` and nothing else, so that a gateway needs no web framework for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from agent.process.health import Health
from wire.prometheus import CONTENT_TYPE

_LOG: Final = logging.getLogger("nhip.agent")
_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 16_384
_HINT: Final = b"GET /metrics\n"


async def serve(listen: str, text: Callable[[], Awaitable[str]]) -> asyncio.Server:
    """Listens on `host:port`. text: the metrics as of now. Raises `OSError` if the port is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_TIMEOUT_S):
                method, path = _request(await reader.readuntil(b"\r\n\r\n"))
                if method not in ("GET", "HEAD"):
                    writer.write(_reply("405 Method Not Allowed", _HINT))
                elif path != "/metrics":
                    writer.write(_reply("404 Not Found", _HINT))
                else:
                    writer.write(_reply("200 OK", (await text()).encode(), head_only=method == "HEAD"))
                await writer.drain()
        writer.close()

    host, _, port = listen.rpartition(":")
    return await asyncio.start_server(answer, host.strip("[]"), int(port), limit=_MOST_BYTES)


async def open_metrics(listen: str, text: Callable[[], Awaitable[str]], health: Health) -> asyncio.Server | None:
    """Serves on `host:port`. A port that is taken is counted and logged; the agent runs on without metrics."""
    try:
        return await serve(listen, text)
    except (OSError, ValueError) as error:
        health.count("metrics_cannot_listen")
        _LOG.error("metrics cannot listen at=%s why=%r cure=%r", listen, str(error), "give `metrics` another port")
        return None


def _request(head: bytes) -> tuple[str, str]:
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (words[0], words[1].split("?")[0]) if len(words) == 3 else ("", "")


def _reply(status: str, body: bytes, *, head_only: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)
