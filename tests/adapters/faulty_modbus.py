"""A Modbus TCP server that misbehaves on demand, and remembers everything that it was asked."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from adapters.modbus.bus.frames_rtu import with_crc


@dataclass
class FaultyModbus:
    """mode: ok, silent, late, close, close_once, bytes, short, transaction (always the same), own (counts transactions
    itself), mixed (the first right, then another's), unit (one more), unit_1 (always 1), function, junk, cut (half of each
    answer), padded (exceptions as long as requests), or exception codes below. rtu: serial frames, as a transparent
    converter passes them on; its modes are ok, silent and padded. most_registers: what one request may hold, else
    exception 3; most_clients: connections beyond them are closed.

    registers: values by address, missing ones hold their address; refused: (function, address) that give
    exception `refusal` when touched; ignored: the same, without any answer; dead_units: never answer.
    """

    mode: str = "ok"
    code: int = 0
    refusal: int = 2
    rtu: bool = False
    most_registers: int = 125
    most_clients: int = 1000
    late_s: float = 0.0
    registers: dict[int, int] = field(default_factory=dict)
    bits: set[int] = field(default_factory=set)
    refused: set[tuple[int, int]] = field(default_factory=set)
    ignored: set[tuple[int, int]] = field(default_factory=set)
    dead_units: set[int] = field(default_factory=set)
    asked: list[tuple[int, int, int, int]] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    port: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def hang_up(self) -> None:
        """Closes the connections, as servers do that were idle for long."""
        for writer in tuple(self.writers):
            writer.close()
            await writer.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        self.writers.add(writer)
        if self.open_now > self.most_clients:
            self.open_now -= 1
            self.writers.discard(writer)
            writer.close()
            return
        late: set[asyncio.Task[None]] = set()
        try:
            while True:
                frame = await reader.readexactly(8 if self.rtu else 12)
                frame = bytes(6) + frame[:6] if self.rtu else frame
                unit, function, start, count = struct.unpack(">BBHH", frame[6:])
                self.asked.append((unit, function, start, count))
                touched = {(function, address) for address in range(start, start + count)}
                if self.mode == "silent" or unit in self.dead_units or touched & self.ignored:
                    continue
                if self.mode in {"close", "close_once"}:
                    self.mode = "ok" if self.mode == "close_once" else "close"
                    return
                if self.mode == "junk":
                    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    continue
                answer = self.answer(frame, touched)
                if self.mode == "late":
                    late.add(asyncio.create_task(self.later(writer, answer)))
                elif self.mode == "bytes":
                    for byte in answer:
                        writer.write(bytes([byte]))
                        await writer.drain()
                        await asyncio.sleep(0)
                else:
                    writer.write(answer[: len(answer) // 2 + 3] if self.mode == "cut" else answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open_now -= 1
            self.writers.discard(writer)
            writer.close()

    async def later(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        await asyncio.sleep(self.late_s)
        writer.write(answer)

    def answer(self, frame: bytes, touched: set[tuple[int, int]]) -> bytes:
        transaction, unit, function = frame[:2], frame[6], frame[7]
        start, count = struct.unpack(">HH", frame[8:])
        code = self.code or (self.refusal if touched & self.refused else 0)
        code = code or (3 if function in {3, 4} and count > self.most_registers else 0)
        if code:
            pdu = bytes([function | 0x80, code]) + (bytes(2) if self.mode == "padded" else b"")
        else:
            values = self.values(function, start, max(1, count - 1) if self.mode == "short" else count)
            pdu = bytes([function, len(values)]) + values
        if self.mode == "transaction":
            transaction = b"\x7f\xff"
        if self.mode == "mixed" and len(self.asked) > 1:
            transaction = struct.pack(">H", int.from_bytes(transaction) ^ 0x0F00)
        if self.mode == "own":
            transaction = struct.pack(">H", len(self.asked))
        if self.mode == "unit_1":
            unit = 1
        if self.mode == "unit":
            unit += 1
        if self.mode == "function":
            pdu = bytes([function ^ 3]) + pdu[1:]
        if self.rtu:
            return with_crc(bytes([unit]) + pdu)
        return transaction + struct.pack(">HHB", 0, len(pdu) + 1, unit) + pdu

    def values(self, function: int, start: int, count: int) -> bytes:
        addresses = range(start, start + count)
        if function in {1, 2}:
            out = bytearray((count + 7) // 8)
            for i, address in enumerate(addresses):
                out[i >> 3] |= (address in self.bits) << (i & 7)
            return bytes(out)
        return b"".join(struct.pack(">H", self.registers.get(address, address)) for address in addresses)


@asynccontextmanager
async def faulty_modbus(**settings) -> AsyncIterator[FaultyModbus]:
    faulty = FaultyModbus(**settings)
    server = await asyncio.start_server(faulty.serve, "127.0.0.1", 0)
    faulty.port = server.sockets[0].getsockname()[1]
    try:
        yield faulty
    finally:
        server.close()
