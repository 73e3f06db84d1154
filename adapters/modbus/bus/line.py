"""One serial line, shared by the units on it, which take turns; over a port or through a converter.

Nothing in an RTU frame ties an answer to its question, so one late answer would shift all that follow by one, and
every value would be plausible and wrong. Hence, after any question that was not answered exactly as it should:

    asked ──answer fits──▶ quiet for a gap ──▶ next question
      │
      └─ nothing, junk, or an answer to something else ──▶ port closed and opened again, what came is thrown away,
         a full timeout of silence (again from the start whenever something is still heard), then the next question

(an answer later than two timeouts would still pass for another: `timeout` has to fit the slowest device).

A line has one master. Before the first question, and again after a minute without an answer, the line only listens;
a question of somebody else, or bytes that make no sense, and it is left alone until someone has looked.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adapters.contract import DeviceMisconfigured, NotConnected
from adapters.modbus.bus.channel import Channel
from adapters.modbus.bus.frames_rtu import HEAD, answer_size, heard_in, question, size_of, values_of
from adapters.modbus.bus.frames_tcp import ExceptionResponse, InvalidFrame
from adapters.modbus.bus.probes import LATELY_S, PATIENCE, Probes
from adapters.modbus.bus.timing import QUESTION_BYTES, Pace
from adapters.modbus.plan import Request

NOISE_BYTES = 16
"""So much that makes no sense is more than a line's switching noise: somebody talks, at another speed perhaps."""
SPECK_BYTES = 3
"""Less than any frame: what a line without bias resistors makes when senders change."""
ATTEMPTS = 4
MOST_HEARD = 1024


@dataclass(frozen=True, slots=True)
class LineSettings:
    """listen_s: before the first question [s]; pause_s: least silence between an answer and the next question [s];
    reopens: whether the port is closed and opened to throw away what it holds (a converter has one socket to give,
    and would not be the quieter for it); patience: silences in a row after which a unit is only probed.
    """

    pace: Pace
    listen_s: float
    pause_s: float = 0.0
    echo: bool = False
    reopens: bool = True
    patience: int = PATIENCE


class SerialLine:
    """See `_modbus_unit.Bus`. Opens when its first user joins and closes when its last one leaves."""

    def __init__(self, peer: str, settings: LineSettings, connect: Callable[[float], Awaitable[Channel]]) -> None:
        """connect: opens the channel within so many seconds."""
        self.peer = peer
        self._settings, self._connect = settings, connect
        self._turn = asyncio.Lock()
        self._users: set[object] = set()
        self._channel: Channel | None = None
        self._probes = Probes(settings.patience)
        self._why: dict[int, str] = {}
        self._ended = "not connected yet"
        self._gentle = not settings.reopens
        self._answered_s = float("-inf")
        self._in_step = True
        self._timeout_s = 0.0
        self._quiet_until_s = float("-inf")

    async def join(self, user: object, timeout_s: float, pause_s: float) -> None:
        """Opens the line and listens, unless it is open."""
        async with self._turn:
            if self._channel is None or self._channel.ended:
                await self._open(timeout_s, pause_s)
            self._users.add(user)

    def leave(self, user: object) -> None:
        """Closes the line if nobody else uses it."""
        self._users.discard(user)
        if not self._users:
            self._drop("closed by us")

    async def ask(self, unit: int, request: Request, timeout_s: float) -> bytes:
        """The bytes of the values asked for. Raises `TimeoutError` if no sound answer came, `ExceptionResponse` if the device
        said no, `NotConnected` if the line is gone, taken, or it is not this unit's turn to be probed.
        """
        async with self._turn:
            clock = asyncio.get_running_loop().time
            if self._channel is None or self._channel.ended:
                raise self._drop(self._channel.ended if self._channel else self._ended)
            wait_s = self._probes.wait_s(unit, clock())
            if wait_s:
                why = self._why.get(unit, "did not answer")
                raise NotConnected(f"{self.peer} unit {unit}: {why}; asked again in {wait_s:.0f} s")
            channel = await self._quiet()
            began_s, self._in_step, self._timeout_s = clock(), False, timeout_s
            self._quiet_until_s = began_s + 2 * timeout_s  # if this is cancelled, an answer may still be on its way
            try:
                values = await exchange(channel, self._settings, unit, request, timeout_s)
            except (TimeoutError, InvalidFrame) as error:
                self._quiet_until_s = clock() + timeout_s
                self._probes.silent(unit, clock(), self._quiet_until_s - began_s)
                self._why[unit] = str(error) or f"did not answer within {timeout_s:g} s"
                raise TimeoutError from error
            except OSError as error:
                raise self._drop(str(error)) from error
            except ExceptionResponse:
                self._heard_from(unit, clock())
                raise
            self._heard_from(unit, clock())
            return values

    def silence(self, unit: int, timeout_s: float) -> NotConnected:
        """What to raise when `unit` did not answer."""
        why = self._why.get(unit, f"did not answer within {timeout_s:g} s")
        return NotConnected(f"{self.peer} unit {unit}: {why}", gentle=self._gentle)

    def _heard_from(self, unit: int, now_s: float) -> None:
        self._in_step, self._gentle, self._answered_s = True, False, now_s
        self._probes.answered(unit, now_s)
        self._why.pop(unit, None)
        self._quiet_until_s = now_s + max(self._settings.pace.gap_s, self._settings.pause_s)

    async def _quiet(self) -> Channel:
        """The channel, in step and silent for as long as it must be."""
        clock = asyncio.get_running_loop().time
        channel = self._channel
        assert channel is not None  # only called when open
        if not self._in_step and self._settings.reopens:
            channel.close()
            channel = self._channel = await self._connected(self._timeout_s)
        for _ in range(ATTEMPTS):
            await asyncio.sleep(max(0.0, self._quiet_until_s - clock()))
            heard = channel.take()
            if not heard or (self._in_step and len(heard) <= SPECK_BYTES):
                self._in_step = True
                return channel
            self._refuse_other_master(heard, noise_bytes=MOST_HEARD)
            self._quiet_until_s = clock() + max(self._timeout_s, self._settings.pace.gap_s)
        raise self._drop("the line is never quiet")

    async def _open(self, timeout_s: float, pause_s: float) -> None:
        clock = asyncio.get_running_loop().time
        self._channel = await self._connected(timeout_s)
        self._gentle, self._in_step, self._timeout_s = not self._settings.reopens, True, timeout_s
        is_ours = clock() - self._answered_s < LATELY_S
        until_s = clock() + max(
            pause_s, min(timeout_s, self._settings.listen_s) if is_ours else self._settings.listen_s
        )
        try:
            await self._listen(self._channel, until_s, is_ours=is_ours)
        except BaseException:
            self._drop("listening ended")
            raise
        self._quiet_until_s = clock() + self._settings.pace.gap_s

    async def _listen(self, channel: Channel, until_s: float, *, is_ours: bool) -> None:
        clock, heard = asyncio.get_running_loop().time, b""
        while (rest_s := until_s - clock()) > 0 and len(heard) < MOST_HEARD:
            await asyncio.sleep(min(rest_s, 0.05))
            heard += channel.take(MOST_HEARD)
            if channel.ended:
                raise self._drop(channel.ended)
            self._refuse_other_master(heard, noise_bytes=MOST_HEARD if is_ours else NOISE_BYTES)

    def _refuse_other_master(self, received: bytes, noise_bytes: int) -> None:
        what = other_talker(received, noise_bytes)
        if what:
            self._answered_s = float("-inf")
            self._drop(what)
            text = f"{self.peer}: {what}; a line has one master: disconnect the other one"
            raise DeviceMisconfigured(text, elsewhere=True)

    async def _connected(self, timeout_s: float) -> Channel:
        try:
            return await self._connect(timeout_s)
        except BaseException:
            self._drop("the port cannot be opened")
            raise

    def _drop(self, reason: str) -> NotConnected:
        if self._channel is not None:
            self._channel.close()
            self._ended = reason
        self._channel = None
        return NotConnected(f"{self.peer}: {reason}", gentle=self._gentle)


async def exchange(channel: Channel, settings: LineSettings, unit: int, request: Request, timeout_s: float) -> bytes:
    """Sends one request on a quiet channel; the bytes of the values in its response.

    Raises `TimeoutError`, `InvalidFrame`, `ExceptionResponse`, and `OSError` if the channel ended.
    """
    table, start, count = request.table, request.start, request.count
    asked = question(unit, table, start, count)
    longest_s = timeout_s + (QUESTION_BYTES + answer_size(table, count)) * settings.pace.char_s
    async with asyncio.timeout(longest_s):
        channel.write(asked)
        if settings.echo and await channel.exactly(len(asked)) != asked:
            raise InvalidFrame("the adapter does not echo what it sends; remove `echo`")
        head = await channel.exactly(HEAD)
        if head == asked[:HEAD] and not settings.echo and head[2] != answer_size(table, count) - 5:
            raise InvalidFrame("the adapter hears what it sends; write `echo: true`")
        frame = head + await channel.exactly(size_of(head, unit, table, count) - HEAD)
    if len(channel.take()) > SPECK_BYTES:
        raise InvalidFrame("more came than was asked for")
    return values_of(frame, table, start, count)


def other_talker(received: bytes, noise_bytes: int) -> str:
    """Who else talks on the line, judged by bytes that nobody here asked for; "" if they are only noise.

    noise_bytes: from how many bytes on junk is somebody's data [bytes].
    """
    frames = heard_in(received)
    requests = [frame for frame in frames if frame.asks]
    if requests or len(frames) > 1:
        unit, function = (requests or frames)[0][:2]
        return f"another Modbus master is on this line (heard unit {unit}, function {function})"
    if len(received) >= noise_bytes:
        return f"something else talks on this line ({len(received)} bytes that are no Modbus at this speed)"
    return ""
