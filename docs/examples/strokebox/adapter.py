"""A counter box's connection: `strokes` and a newline are answered by `strokes 42`."""

import asyncio

from adapters.contract import Fault, NotConnected, NowNs, Reading, Row
from adapters.strokebox.kind import CounterBox
from oee.model.states import Quality


class Connection:
    """One socket. Implements `adapters.contract.Adapter`."""

    def __init__(self, device: CounterBox, now_ns: NowNs) -> None:
        self._device, self._now_ns = device, now_ns
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._last: dict[str, tuple[int | None, Quality]] = {}
        self._answered = False

    @property
    def period_s(self) -> float:
        """The shortest period of the tags [s]."""
        return min(self._device.period_s(tag) for tag in self._device.tags)

    async def connect(self) -> None:
        """Opens the socket."""
        device = self._device
        self._last, self._answered = {}, False
        try:
            async with asyncio.timeout(device.timeout):
                self._streams = await asyncio.open_connection(device.host, device.port)
        except OSError as error:
            raise NotConnected(f"{device.place}: {error.strerror or error}") from error

    async def read(self) -> Reading:
        """Asks for each counter; one that the box does not know is a row of quality BAD."""
        if self._streams is None:
            raise NotConnected(f"{self._device.place}: not connected yet")
        reader, writer = self._streams
        values: dict[str, tuple[int | None, Quality]] = {}
        try:
            async with asyncio.timeout(self._device.timeout):
                for name, tag in self._device.tags.items():
                    writer.write(f"{tag.counter}\n".encode())
                    number = (await reader.readuntil()).split()[1]
                    values[name] = (int(number), Quality.GOOD) if number.isdigit() else (None, Quality.BAD)
        except (OSError, asyncio.IncompleteReadError) as error:
            text = f"{self._device.place}: did not answer"
            fault = Fault("unit_silent", detail=text, extent="device") if isinstance(error, TimeoutError) else None
            raise NotConnected(text, gentle=not self._answered, fault=fault) from error
        self._answered, t_ns = True, self._now_ns()
        rows = [Row(name, t_ns, *value) for name, value in values.items() if self._last.get(name) != value]
        self._last = values
        return Reading(t_ns, rows, tuple(values))

    async def close(self) -> None:
        """Frees the socket."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
