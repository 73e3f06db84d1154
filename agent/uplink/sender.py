"""When to send which envelope. Pure: it is given the time, the disk's contents and the center's receipts.

Theory. To the sender an envelope is in one of four states:

    waiting   on disk, not sent on this connection
    flight    published on this connection, no receipt yet
    settled   a receipt of the current generation covers it; never sent again
    lost      no longer on disk; cannot be sent

`connected`: everything in flight returns to waiting, since a broker that crashed may have lost what it had
acknowledged. For a moment nothing is sent: the retained receipt arrives first and may settle much of it.

`due` hands out, for each stream and `site` before `facts` before `values`, what is overdue and then what is
waiting, oldest first, as long as the stream's window has room. There is a window for each stream
(`agent.uplink.stream_window`), so that a kind that the center cannot settle does not block the others.

An envelope in flight is overdue `resend_after_s` after the *broker's* acknowledgement (counting from the publish would
flood a merely slow link with repetitions), doubled with each further try. If the broker does not acknowledge, it is overdue
after `puback_within_s`. Any receipt proves that the center is alive and ends the back-off. A hole below something settled
was lost on the way and is due soon (`hole_after_s`). So is, after the center's hello (its first receipt of a session),
everything that was sent before and that the receipt does not cover: nobody was subscribed then.

A receipt of the same generation only ever adds; one of a new generation replaces, and everything that it does not cover
and that is not in flight waits again. A receipt for envelopes that this outbox never wrote, or for other content
with its numbers (`bar`), means that the card was cloned or restored: the stream is `ahead`, its numbers are used, nothing
more of it is sent, and the owner must begin a new one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.outbox.streams import EnvelopeKey, OutboxStream
from agent.uplink.stream_window import SendLimits, StreamWindow
from wire.marks import NO_MARKS, highest, union
from wire.receipts import Receipt

_MOST_SESSIONS: Final = 32
_ORDER: Final = {"site": 0, "facts": 1, "values": 2}


@dataclass(frozen=True)
class ReceiptEffect:
    """What a receipt changed. new_generation: the center has another ledger; ahead: streams of which it settles envelopes
    that were never written; behind: it settles less than an earlier one, so the center may have been restored from a
    backup and needs our status; hello: it is the first of a session of the center; checks: of each current stream, the
    center's digest for one of its numbers (`wire.receipts`), to be compared.
    """

    changed: bool
    new_generation: bool
    ahead: tuple[str, ...] = ()
    behind: bool = False
    hello: bool = False
    checks: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def and_then(self, later: "ReceiptEffect") -> "ReceiptEffect":
        """Both effects as one; `checks` are left out."""
        return ReceiptEffect(
            self.changed or later.changed,
            self.new_generation or later.new_generation,
            later.ahead or self.ahead,
            later.behind,
        )


class Sender:
    """The state machine above. Holds numbers only, so even a backlog of months needs little memory."""

    def __init__(self, streams: Iterable[OutboxStream], generation: str = "", limits: SendLimits | None = None) -> None:
        self.generation = generation
        self.streams: dict[str, StreamWindow] = {}
        """By stream, in the order in which they are sent."""
        self.held_kinds: frozenset[str] = frozenset()
        """Kinds whose envelopes are not sent for now."""
        self._limits = limits or SendLimits()
        self._quiet_until_s: float | None = None  # None: not connected
        self._sessions = _Sessions()
        self.replace(streams)

    def replace(self, streams: Iterable[OutboxStream]) -> None:
        """Replaces all streams by these."""
        ordered = sorted(streams, key=lambda item: _ORDER.get(item.kind, len(_ORDER)))
        self.streams = {item.stream: StreamWindow.of(item, self._limits) for item in ordered}

    def on_disk(self, stream: str, *, first: int | None = None, last: int | None = None) -> None:
        """Sets the first or last seq of this stream's envelopes on disk."""
        window = self.streams[stream]
        window.holds(window.first if first is None else first, window.last if last is None else last)

    def connected(self, now_s: float) -> None:
        """A connection was established."""
        self._quiet_until_s = now_s + self._limits.listen_first_s
        for window in self.streams.values():
            window.restart()

    def disconnected(self) -> None:
        """The connection is gone; nothing is due until the next."""
        self._quiet_until_s = None

    def due(self, now_s: float, most: int = 2**31) -> list[EnvelopeKey]:
        """The envelopes to send now, at most `most`; they count as in flight from now on."""
        if self._quiet_until_s is None or now_s < self._quiet_until_s:
            return []
        out: list[EnvelopeKey] = []
        for name, window in _sending(self.streams, self.held_kinds).items():
            out += [EnvelopeKey(name, seq) for seq in window.due(now_s, most - len(out))]
        return out

    def next_s(self) -> float | None:
        """When something may become due without further events [s]; None if nothing will."""
        if self._quiet_until_s is None:
            return None
        windows = _sending(self.streams, self.held_kinds).values()
        times = [window.next_s(self._quiet_until_s) for window in windows]
        return min((time_s for time_s in times if time_s is not None), default=None)

    def accepted(self, key: EnvelopeKey, now_s: float) -> None:
        """The broker has acknowledged this envelope, with success or not: now the center's receipt is awaited."""
        if window := self.streams.get(key.stream):
            window.accepted(key.seq, now_s)

    def missing(self, key: EnvelopeKey, *, again: bool = False) -> None:
        """An envelope could not be sent, or was not taken. again: it waits again; otherwise not before the next
        connection.
        """
        if window := self.streams.get(key.stream):
            window.missing(key.seq, again=again)

    def receipt(self, receipt: Receipt, now_s: float) -> ReceiptEffect:
        """Applies what the center has settled."""
        fresh = receipt.generation != self.generation
        hello = fresh or self._sessions.is_new(receipt.session)
        ahead, changed, behind = [], fresh, False
        checks: dict[str, tuple[int, str]] = {}
        self.generation = receipt.generation
        if self._quiet_until_s is not None:
            self._quiet_until_s = min(self._quiet_until_s, now_s)
        for name, window in self.streams.items():
            stream = receipt.streams.get(name)
            marks = stream.marks if stream else NO_MARKS
            if stream and stream.check and window.current:
                checks[name] = stream.check
            if window.current and highest(marks) > window.last:
                ahead.append(name)
                window.barred, marks = True, NO_MARKS
            behind = behind or (not fresh and marks.mark < window.marks.mark)
            marks = marks if fresh else union(window.marks, marks)
            changed = changed or marks != window.marks
            window.settle(marks, fresh=fresh, hello=hello)
        return ReceiptEffect(changed or bool(ahead), fresh, tuple(ahead), behind, hello, checks)

    def bar(self, stream: str) -> ReceiptEffect:
        """The center has other content under this stream's numbers: the stream counts as `ahead`."""
        if stream not in self.streams:
            return ReceiptEffect(changed=False, new_generation=False)
        self.streams[stream].barred = True
        return ReceiptEffect(changed=True, new_generation=False, ahead=(stream,))

    @property
    def waiting(self) -> int:
        """Envelopes on disk without a receipt."""
        return sum(window.waiting for window in self.streams.values())


class _Sessions:
    """Sessions of the center already seen: the first receipt of a new one is its hello."""

    def __init__(self) -> None:
        self._seen: list[str] = []

    def is_new(self, session: str) -> bool:
        if not session or session in self._seen:
            return False
        self._seen = [*self._seen[-_MOST_SESSIONS:], session]
        return True


def _sending(streams: Mapping[str, StreamWindow], held_kinds: frozenset[str]) -> dict[str, StreamWindow]:
    return {name: item for name, item in streams.items() if not item.barred and item.kind not in held_kinds}
