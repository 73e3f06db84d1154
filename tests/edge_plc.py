"""A small PLC over real Modbus TCP: coils and holding registers that a test changes at will."""

import asyncio
import struct
from contextlib import asynccontextmanager

COILS, HOLDING = 1, 3


class Plc:
    def __init__(self):
        self.coils, self.holding = [False] * 16, [0] * 16
        self.requests, self.functions = 0, set()
        self.port = 0
        self._server = None
        self._open = set()

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()
        for writer in list(self._open):
            writer.close()
        await asyncio.sleep(0)

    async def _serve(self, reader, writer):
        self._open.add(writer)
        try:
            while True:
                head = await reader.readexactly(7)
                transaction, _, length, unit = struct.unpack(">HHHB", head)
                function, start, count = struct.unpack(">BHH", await reader.readexactly(length - 1))
                self.requests += 1
                self.functions.add(function)
                if function == COILS:
                    bits = sum(self.coils[start + index] << index for index in range(count))
                    data = bits.to_bytes((count + 7) // 8, "little")
                else:
                    data = struct.pack(f">{count}H", *self.holding[start : start + count])
                body = struct.pack(">BB", function, len(data)) + data
                writer.write(struct.pack(">HHHB", transaction, 0, len(body) + 1, unit) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()


@asynccontextmanager
async def plc():
    server = Plc()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


SITE = """
site: {site}
timezone: Asia/Ho_Chi_Minh
clock: {clock}
name: {{vi: Xưởng thử, en: Test shop}}
center: {{broker: "mqtt://127.0.0.1:{broker}"}}
devices:
  plc:
    kind: modbus_tcp
    host: 127.0.0.1
    port: {plc}
    every: 200ms
    stale_after: 1s
    retry_every: 200ms
    tags:
      run: {{coil: 0}}
      count: {{holding: 0, type: uint16}}
machines:
  m-1:
    name: {{vi: Máy một, en: Machine one}}
    state:
      - {{when: "plc.run", is: running}}
      - {{is: unplanned_stop}}
    pieces: {{total: plc.count}}
    product: "1"
products:
  "1": {{name: {{vi: Ốp, en: Cover}}, ideal: 100ms}}
shifts:
  - {{name: A, days: daily, from: "00:00", to: "24:00"}}
"""


def site_file(folder, plc_port, broker_port, clock="system", site="test"):
    path = folder / "site.yaml"
    path.write_text(SITE.format(plc=plc_port, broker=broker_port, clock=clock, site=site), encoding="utf-8")
    return path
