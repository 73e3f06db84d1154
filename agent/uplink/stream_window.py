"""The send window of one stream: which envelopes wait, which are in flight, when one is due again. Pure: it is given the
time.

The rules are those of `agent.uplink.sender`, which has one window for each stream.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.outbox.streams import OutboxStream
from wire.marks import Marks, count_unsettled, holes, is_settled, next_unsettled


@dataclass(frozen=True)
class SendLimits:
    """window: most envelopes of one stream in flight. Durations in [s]: see the theory in `agent.uplink.sender`."""

    window: int = 200
    resend_after_s: float = 60.0
    resend_at_most_s: float = 600.0
    hole_after_s: float = 5.0
    puback_within_s: float = 600.0
    listen_first_s: float = 1.0


@dataclass
class _Flight:
    """An envelope in flight. tries: how often it was published; again_s: when it is overdue [s]."""

    tries: int
    sent_s: float
    again_s: float


@dataclass
class StreamWindow:
    """first..last: the seqs on disk; marks: what receipts settle; barred: nothing of it is sent any more."""

    kind: str
    first: int
    last: int
    marks: Marks
    current: bool
    limits: SendLimits
    barred: bool = False
    _cursor: int = 0  # nothing up to here waits to be sent
    _in_flight: dict[int, _Flight] = field(default_factory=dict)

    @classmethod
    def of(cls, stream: OutboxStream, limits: SendLimits) -> "StreamWindow":
        """The window of a stream on disk, with nothing in flight."""
        return cls(stream.kind, stream.first, stream.last, stream.marks, stream.current, limits)

    def restart(self) -> None:
        """A new connection: what was in flight waits again."""
        self._in_flight.clear()
        self._cursor = 0

    def holds(self, first: int, last: int) -> None:
        """first..last are on disk now. What was deleted while in flight is not sent again: it leaves its place to others."""
        self.first, self.last = first, last
        for seq in [seq for seq in self._in_flight if seq < first]:
            del self._in_flight[seq]

    def due(self, now_s: float, most: int) -> list[int]:
        """The seqs to send now, at most `most`: overdue ones, then waiting ones. They count as sent."""
        due = sorted(seq for seq, flight in self._in_flight.items() if flight.again_s <= now_s)[:most]
        for seq in due:
            self._send(seq, self._in_flight[seq].tries + 1, now_s)
        for seq in self._waiting():
            if len(due) >= most:
                break
            self._cursor = seq
            self._send(seq, 1, now_s)
            due.append(seq)
        return due

    def _waiting(self) -> Iterator[int]:
        """The seqs that may be sent for the first time on this connection, while the window has room."""
        while len(self._in_flight) < self.limits.window:
            seq = next_unsettled(self.marks, max(self._cursor, self.first - 1))
            while seq in self._in_flight:
                seq = next_unsettled(self.marks, seq)
            if seq > self.last:
                return
            yield seq

    def _send(self, seq: int, tries: int, now_s: float) -> None:
        self._in_flight[seq] = _Flight(tries, now_s, now_s + self.limits.puback_within_s)

    def next_s(self, from_s: float) -> float | None:
        """When something becomes due without further events [s], None if nothing will; from_s: when sending may begin [s]."""
        times = [flight.again_s for flight in self._in_flight.values()]
        if next(self._waiting(), None) is not None:
            times.append(from_s)
        return min(times, default=None)

    def accepted(self, seq: int, now_s: float) -> None:
        """The broker has acknowledged it: now the center's receipt is awaited."""
        if flight := self._in_flight.get(seq):
            wait_s = self.limits.resend_after_s * 2.0 ** min(flight.tries - 1, 16)
            flight.again_s = now_s + min(wait_s, self.limits.resend_at_most_s)

    def missing(self, seq: int, *, again: bool = False) -> None:
        """It was not sent: it is no longer in flight. again: it waits again on this connection."""
        self._in_flight.pop(seq, None)
        if again:
            self._cursor = min(self._cursor, seq - 1)

    def settle(self, marks: Marks, *, fresh: bool, hello: bool) -> None:
        """Applies a receipt's marks. fresh: of a new generation; hello: what was sent before was not received."""
        self.marks = marks
        if fresh:
            self._cursor = 0
        for seq in [seq for seq in self._in_flight if is_settled(marks, seq)]:
            del self._in_flight[seq]
        for flight in self._in_flight.values():
            if hello:
                flight.again_s = min(flight.again_s, flight.sent_s + self.limits.hole_after_s)
            if flight.tries > 1:  # the center is alive, so the back-off ends
                flight.again_s = min(flight.again_s, flight.sent_s + self.limits.resend_after_s)
        for first, last in holes(marks):
            for seq, flight in self._in_flight.items():
                if first <= seq <= last:
                    flight.again_s = min(flight.again_s, flight.sent_s + self.limits.hole_after_s)

    @property
    def waiting(self) -> int:
        """Envelopes on disk without a receipt, in flight or not."""
        return count_unsettled(self.marks, self.first, self.last)
