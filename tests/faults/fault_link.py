"""A bad line between a client and its broker: a TCP proxy on loopback whose mood a test sets.

pass      hands everything on
cut       closes what is open and refuses what comes
dead      the connections of this moment stay open for ever and carry nothing, as behind a router that forgot them;
          new ones work
slow      `rate_bps` bytes a second each way
far       every piece takes two seconds each way, and three in ten are lost on the way and come when TCP has sent them
          again (200 ms, 400 ms, ... later), with all that follows behind them
lossy     every few hundred to some thousand bytes the connection breaks in the middle of whatever it carried
tamper    hands on what a `fault_tamper.Tamper` makes of the MQTT packets
"""

import asyncio
import random
import threading
from contextlib import suppress

from servers import PATIENCE_S

DELAY_S, LOSS, FIRST_RETRY_S = 2.0, 0.3, 0.2


class Link:
    """`with Link(port) as link`: clients connect to `link.port`."""

    def __init__(self, target_port, *, seed=1, rate_bps=16_384):
        self.target_port, self.rate_bps, self.mood = target_port, rate_bps, "pass"
        self.tamper = None
        self.broken = self.connections = 0
        self._dice = random.Random(seed)
        self._open = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._client, "127.0.0.1", 0), self._loop)
        self.port = server.result(PATIENCE_S).sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)

    async def _close(self):
        for task in asyncio.all_tasks(self._loop) - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    def set(self, mood):
        """Changes the mood, for open connections too."""
        self.mood = mood

        def apply():
            for writers, state in self._open.values():
                if mood == "cut":
                    for writer in writers:
                        writer.transport.abort()
                state["dead"] = state["dead"] or mood == "dead"

        self._loop.call_soon_threadsafe(apply)

    async def _client(self, reader, writer):
        if self.mood == "cut":
            writer.transport.abort()
            return
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        state = {"dead": False, "left": self._dice.randint(300, 6000), "version": None}
        key = object()
        self._open[key] = ((writer, far_writer), state)
        both = (
            asyncio.create_task(self._pump(reader, (far_writer, writer), state, "up")),
            asyncio.create_task(self._pump(far_reader, (writer, far_writer), state, "down")),
        )
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            for item in (writer, far_writer):
                item.transport.abort()
            del self._open[key]

    async def _pump(self, reader, writers, state, way):
        onward, back = writers
        rest = b""
        with suppress(ConnectionError, OSError):
            while chunk := await reader.read(1024):
                if self.mood == "far":
                    await self._from_afar(chunk, onward, state, way)
                    continue
                if state["dead"]:
                    await asyncio.Event().wait()
                if self.mood == "slow":
                    await asyncio.sleep(len(chunk) / self.rate_bps)
                if self.mood == "lossy":
                    state["left"] -= len(chunk)
                    if state["left"] < 0:
                        self.broken += 1
                        onward.write(chunk[: len(chunk) // 2])
                        await onward.drain()
                        return
                if self.tamper is not None:
                    packets, rest = split(rest + chunk)
                    for packet in packets:
                        forward, answer = self.tamper.see(packet, way, state)
                        onward.write(b"".join(forward))
                        back.write(b"".join(answer))
                else:
                    onward.write(chunk)
                await onward.drain()

    async def _from_afar(self, chunk, onward, state, way):
        """Hands a piece on later, without holding up the next one that sets out."""
        lost_s, wait_s = 0.0, FIRST_RETRY_S
        while self._dice.random() < LOSS:
            lost_s, wait_s = lost_s + wait_s, wait_s * 2
            self.broken += 1
        due_s = max(self._loop.time() + DELAY_S + lost_s, state.get(way, 0.0) + 1e-5)  # TCP keeps the order
        state[way] = due_s
        self._loop.call_at(due_s, lambda: None if onward.is_closing() else onward.write(chunk))


def split(data):
    """Whole MQTT packets at the front of the data, and what is left."""
    packets = []
    while True:
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(data):
                return packets, data
            length |= (data[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not data[at - 1] & 0x80:
                break
        if len(data) < at + length:
            return packets, data
        packets.append(data[: at + length])
        data = data[at + length :]
