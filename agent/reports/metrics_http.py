"""A port that answers one question, `GET /metrics`, so that a gateway needs no web framework for it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from wire.prometheus import CONTENT_TYPE

_ASK_S: Final = 5.0
_MOST_BYTES: Final = 16_384
_HINT: Final = b"GET /metrics\n"


async def serve(listen: str, text: Callable[[], Awaitable[str]]) -> asyncio.Server:
    """Listens on `host:port`. Raises `OSError` if the port cannot be had."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_ASK_S):
                method, path = _asked(await reader.readuntil(b"\r\n\r\n"))
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


def _asked(head: bytes) -> tuple[str, str]:
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (words[0], words[1].split("?")[0]) if len(words) == 3 else ("", "")


def _reply(status: str, body: bytes, *, head_only: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)
