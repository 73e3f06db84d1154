"""A broker over TCP that accepts everybody and answers everything but, while it is `silent`, SUBSCRIBE."""

import asyncio
from contextlib import suppress

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 8, 12, 14
GRANTED = 0


class SilentBroker:
    """subscribed: how many SUBSCRIBE packets have come; answer: the reason code for each filter once it answers."""

    def __init__(self):
        self.silent, self.answer, self.subscribed = True, GRANTED, 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        version = 5
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                kind, flags, body = await _packet(reader)
                if kind == CONNECT:
                    version = body[6]
                    writer.write(bytes.fromhex("20 03 00 00 00" if version == 5 else "20 02 00 00"))
                elif kind == PINGREQ:
                    writer.write(bytes.fromhex("d0 00"))
                elif kind == PUBLISH and flags & 6:
                    at = 2 + int.from_bytes(body[:2])
                    writer.write(bytes.fromhex("40 02") + body[at : at + 2])
                elif kind == SUBSCRIBE:
                    self.subscribed += 1
                    if not self.silent:
                        writer.write(_suback(body, version, self.answer))
                elif kind == DISCONNECT:
                    break
                await writer.drain()
        writer.close()


async def _packet(reader):
    (head,), length, shift = await reader.readexactly(1), 0, 0
    while True:
        (byte,) = await reader.readexactly(1)
        length, shift = length | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            return head >> 4, head & 0x0F, await reader.readexactly(length)


def _suback(body, version, reason):
    at, count = 2 + (1 + body[2] if version == 5 else 0), 0
    while at < len(body):
        at, count = at + 2 + int.from_bytes(body[at : at + 2]) + 1, count + 1
    content = body[:2] + (b"\0" if version == 5 else b"") + bytes([reason]) * count
    return bytes([0x90, len(content)]) + content
