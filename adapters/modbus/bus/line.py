"""A serial line shared by the units on it, one request at a time; over a serial port or through a converter.

Nothing in an RTU frame ties a response to its request, so one late response would shift all later ones by one: every
value plausible, and wrong. So there are two ways from a request to the next:

    request ──response fits──▶ silence of one gap ──▶ next request
      │
      └─ no response, junk, or another response ──▶ port closed and reopened, received bytes discarded,
         silence of a full timeout (restarted whenever bytes still arrive), then the next request

(A response later than two timeouts would still be taken for that of another request: `timeout` has to fit the slowest
device.)

A line has one master. So the line is only listened to at first, and again, in full, when it is reopened after a minute
without a response. If there is another master, or traffic that is not Modbus, nothing is sent (`LineTaken`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from adapters.connection_faults import os_code
from adapters.modbus.bus.channel import Channel
from adapters.modbus.bus.faults import AskedRange, ExceptionResponse, InvalidFrame, LineTaken, LostLine, LostUnit
from adapters.modbus.bus.frames_rtu import (
    HEAD,
    LARGEST,
    frame_size,
    overheard_frames,
    request_frame,
    response_size,
    response_values,
)
from adapters.modbus.bus.probes import MOST_SILENCES, RECENT_S, Probes
from adapters.modbus.bus.timing import REQUEST_BYTES, Pace
from adapters.modbus.plan import Request

NOISE_BYTES = 16
"""This much that is not Modbus means that somebody is sending, perhaps at another speed; noise is shorter [bytes]."""
SWITCHING_NOISE_BYTES = 3
"""What a line without bias resistors produces when senders change; shorter than any frame [bytes]."""
QUIET_S = 0.05
"""After so much silence nothing more of an unfit response is expected, however busy this machine is [s]."""
ATTEMPTS = 4
MOST_OVERHEARD = 1024


@dataclass(frozen=True, slots=True)
class LineSettings:
    """listen_s: listening before the first request [s]; pause_s: least silence between a response and the next request
    [s]; reopens: whether the port is closed and reopened to discard its buffers (not a converter's only socket, where
    that would not help); most_silences: missing responses in a row after which a unit is only probed.
    """

    pace: Pace
    listen_s: float
    pause_s: float = 0.0
    echo: bool = False
    reopens: bool = True
    most_silences: int = MOST_SILENCES


class SerialLine:
    """See `bus.Bus`. Opens when its first user joins and closes when its last one leaves."""

    def __init__(self, peer: str, settings: LineSettings, connect: Callable[[float], Awaitable[Channel]]) -> None:
        """connect: opens the channel, within a timeout [s]."""
        self.peer = peer
        self._settings, self._connect = settings, connect
        self._lock = asyncio.Lock()
        self._users: set[object] = set()
        self._channel: Channel | None = None
        self._probes = Probes(settings.most_silences)
        self._failures: dict[int, InvalidFrame] = {}
        self._end = ("not connected yet", "connection_failed")
        self._gentle = not settings.reopens
        self._answered_s = float("-inf")
        self._answered_here = False
        self._opening = (0.0, 0.0)
        self._synchronised = True
        self._timeout_s = 0.0
        self._quiet_until_s = float("-inf")

    async def join(self, user: object, timeout_s: float, pause_s: float) -> None:
        """Opens the line and listens, unless it is open already."""
        async with self._lock:
            if self._channel is None or self._channel.ended:
                await self._open(timeout_s, pause_s)
            self._users.add(user)

    def leave(self, user: object) -> None:
        """Closes the line if nobody else uses it."""
        self._users.discard(user)
        if not self._users:
            self._drop("closed by us", "connection_failed")

    async def ask(self, unit: int, request: Request, timeout_s: float) -> bytes:
        """The bytes of the values. Raises `TimeoutError` if no valid response came, `ExceptionResponse` if the device
        refuses, `LostLine` if the line is gone or never quiet, `LostUnit` if this dead unit may not be probed yet, and
        `LineTaken` if another master uses the line.
        """
        async with self._lock:
            clock = asyncio.get_running_loop().time
            channel, answered_here = self._channel, self._answered_here
            if channel is None:
                raise self._drop(*self._end)
            ended = channel.ended
            if ended and not answered_here:
                raise self._drop(ended, channel.ended_code)
            wait_s = self._probes.wait_s(unit, clock())
            if wait_s:
                why = self._failures.get(unit)
                silent = InvalidFrame("did not answer", "slave_silent")
                raise _lost_unit(self.peer, unit, why or silent, f"; asked again in {wait_s:.0f} s")
            if not ended:
                try:
                    return await self._exchange(unit, request, timeout_s)
                except TimeoutError:
                    raise
                except OSError as error:
                    failure = self._drop(str(error), channel.ended_code or os_code(error))
                    if not answered_here:
                        raise failure from error
            await self._open(*self._opening)  # a converter that closed a connection which was idle
            try:
                return await self._exchange(unit, request, timeout_s)
            except TimeoutError:
                raise
            except OSError as error:
                raise self._drop(str(error), os_code(error)) from error

    async def _exchange(self, unit: int, request: Request, timeout_s: float) -> bytes:
        """As `ask`, but raises `OSError` where the channel has ended."""
        clock = asyncio.get_running_loop().time
        channel = await self._silent_channel()
        began_s, self._synchronised, self._timeout_s = clock(), False, timeout_s
        self._quiet_until_s = began_s + 2 * timeout_s  # if this is cancelled, a response may still arrive
        try:
            values = await exchange(channel, self._settings, unit, request, timeout_s)
        except (TimeoutError, InvalidFrame) as error:
            self._quiet_until_s = clock() + timeout_s
            self._probes.silent(unit, clock(), self._quiet_until_s - began_s)
            self._failures.pop(unit, None)
            if isinstance(error, InvalidFrame):
                self._failures[unit] = error
            raise TimeoutError from error
        except ExceptionResponse:
            self._on_response(unit, clock())
            raise
        self._on_response(unit, clock())
        return values

    def silence(self, unit: int, timeout_s: float) -> LostUnit | LostLine:
        """What to raise when `unit` did not answer."""
        silent = f"did not answer within {timeout_s:g} s"
        why = self._failures.get(unit)
        if why is None and self._answered_s == float("-inf"):
            code = "line_silent" if self._settings.reopens else "converter_silent"
            return LostLine(f"{self.peer} unit {unit}", silent, code, gentle=self._gentle)
        return _lost_unit(self.peer, unit, why or InvalidFrame(silent, "slave_silent"), gentle=self._gentle)

    def _on_response(self, unit: int, now_s: float) -> None:
        self._synchronised, self._gentle, self._answered_s, self._answered_here = True, False, now_s, True
        self._probes.answered(unit, now_s)
        self._failures.pop(unit, None)
        self._quiet_until_s = now_s + max(self._settings.pace.gap_s, self._settings.pause_s)

    async def _silent_channel(self) -> Channel:
        """The channel, synchronised, after the silence that must precede a request."""
        clock = asyncio.get_running_loop().time
        channel = self._channel
        assert channel is not None  # only called when open
        if not self._synchronised and self._settings.reopens:
            channel.close()
            channel = self._channel = await self._connected(self._timeout_s)
        for _ in range(ATTEMPTS):
            await asyncio.sleep(max(0.0, self._quiet_until_s - clock()))
            received = channel.take()
            if not received or (self._synchronised and len(received) <= SWITCHING_NOISE_BYTES):
                self._synchronised = True
                return channel
            self._refuse_other_master(received, noise_bytes=MOST_OVERHEARD)
            self._quiet_until_s = clock() + max(self._timeout_s, self._settings.pace.gap_s)
        raise self._drop("the line is never quiet", "line_noise")

    async def _open(self, timeout_s: float, pause_s: float) -> None:
        """Opens, and listens for another master."""
        clock = asyncio.get_running_loop().time
        self._opening, self._answered_here = (timeout_s, pause_s), False
        channel = self._channel = await self._connected(timeout_s)
        self._gentle, self._synchronised, self._timeout_s = not self._settings.reopens, True, timeout_s
        recently_used = clock() - self._answered_s < RECENT_S
        listen_s = min(timeout_s, self._settings.listen_s) if recently_used else self._settings.listen_s
        until_s, received = clock() + max(pause_s, listen_s), b""
        try:
            while (rest_s := until_s - clock()) > 0 and len(received) < MOST_OVERHEARD:
                await asyncio.sleep(min(rest_s, 0.05))
                received += channel.take(MOST_OVERHEARD)
                if channel.ended:
                    raise self._drop(channel.ended, channel.ended_code)  # noqa: TRY301
                self._refuse_other_master(received, noise_bytes=MOST_OVERHEARD if recently_used else NOISE_BYTES)
        except BaseException:
            self._drop("listening ended", "connection_failed")
            raise
        self._quiet_until_s = max(self._quiet_until_s, clock() + self._settings.pace.gap_s)

    def _refuse_other_master(self, received: bytes, noise_bytes: int) -> None:
        talker = other_talker(received, noise_bytes)
        if talker is not None:
            self._answered_s = float("-inf")
            self._drop(*talker)
            raise LineTaken(self.peer, *talker)

    async def _connected(self, timeout_s: float) -> Channel:
        try:
            return await self._connect(timeout_s)
        except BaseException:
            self._drop("the port cannot be opened", "connection_failed")
            raise

    def _drop(self, reason: str, code: str) -> LostLine:
        if self._channel is not None:
            self._channel.close()
            self._end = (reason, code)
        self._channel = None
        return LostLine(self.peer, reason, code, gentle=self._gentle)


def _lost_unit(peer: str, unit: int, why: InvalidFrame, more: str = "", *, gentle: bool = False) -> LostUnit:
    return LostUnit(f"{peer} unit {unit}", unit, f"{why}{more}", why.code, gentle=gentle, values=why.values)


async def exchange(channel: Channel, settings: LineSettings, unit: int, request: Request, timeout_s: float) -> bytes:
    """Sends one request on a quiet channel; the bytes of the values in its response.

    Raises `TimeoutError`, `InvalidFrame`, `ExceptionResponse`, and `OSError` if the channel ended.
    """
    table, start, count = request.table, request.start, request.count
    asked = AskedRange(unit, table, start, count)
    request_bytes = request_frame(unit, table, start, count)
    longest_s = timeout_s + (REQUEST_BYTES + response_size(table, count)) * settings.pace.char_s
    async with asyncio.timeout(longest_s):
        channel.write(request_bytes)
        if settings.echo and await channel.exactly(len(request_bytes)) != request_bytes:
            raise InvalidFrame("the adapter does not echo what it sends; remove `echo`", "serial_echo")
        head = await channel.exactly(HEAD)
        if head == request_bytes[:HEAD] and not settings.echo and head[2] != response_size(table, count) - 5:
            raise InvalidFrame("the adapter hears what it sends; write `echo: true`", "serial_echo")
        try:
            frame = head + await channel.exactly(frame_size(head, unit, table, count) - HEAD)
        except InvalidFrame as error:
            unfit = error
            frame = b""
    if not frame:
        raise _what_came(head + await _rest(channel, settings.pace), unit, unfit)
    if len(channel.take()) > SWITCHING_NOISE_BYTES:
        raise InvalidFrame("more came than was asked for", "garbled_answer")
    return response_values(frame, asked)


async def _rest(channel: Channel, pace: Pace) -> bytes:
    """What still comes until the line is quiet."""
    received = b""
    while len(received) < LARGEST:
        await asyncio.sleep(max(QUIET_S, pace.gap_s))
        more = channel.take(LARGEST)
        if not more:
            break
        received += more
    return received


def _what_came(received: bytes, unit: int, unfit: InvalidFrame) -> InvalidFrame:
    """What a response that does not fit is. unfit: what its first bytes showed."""
    frames = overheard_frames(received)
    other = next((frame.unit for frame in frames if frame.unit != unit), None)
    if other is not None:
        text = f"unit {unit} was asked, unit {other} answered"
        return InvalidFrame(text, "other_unit_answers", asked=unit, answered=other)
    return InvalidFrame(str(unfit), "unfit_response") if frames else unfit


class Talker(NamedTuple):
    """Somebody else who sends on a line. code: of the message catalogue."""

    reason: str
    code: str


def other_talker(received: bytes, noise_bytes: int) -> Talker | None:
    """Who else sends on the line, by traffic that we did not cause; None if it is only noise.

    noise_bytes: from this size on it is not noise [bytes].
    """
    frames = overheard_frames(received)
    requests = [frame for frame in frames if frame.is_request]
    if requests or len(frames) > 1:
        unit, function = (requests or frames)[0][:2]
        text = f"another Modbus master is on this line (heard unit {unit}, function {function})"
        return Talker(text, "other_master")
    if len(received) >= noise_bytes:
        text = f"something else talks on this line ({len(received)} bytes that are no Modbus at this speed)"
        return Talker(text, "line_noise")
    return None
