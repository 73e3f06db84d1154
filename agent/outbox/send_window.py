"""When to send which envelope. Pure: told the time, the disk's contents and the center's receipts.

Theory. An envelope is, for this machine, in one of four places:

    waiting   on disk, not sent on this connection
    flight    published on this connection, no receipt yet
    settled   a receipt of the current generation covers it; never sent again
    gone      not on disk any more; cannot be sent

`connected`: everything in flight returns to waiting, since a broker that died may have lost what it
acknowledged. For a moment nothing is sent: the retained receipt comes first and may settle much of it.

`due` hands out, for each stream and `site` before `facts` before `values`, what is overdue and then what is
waiting, oldest first, as long as the stream's window has room. The window is per stream, so that a kind that
the center cannot settle holds up no other.

An envelope in flight is overdue `resend_after_s` after the *broker's* acknowledgement (a slow line is busy, not
deaf: counting from the publish would fill it with repetitions), later after each further try. A broker that
never acknowledges is given `puback_within_s`. Any receipt proves that the center is alive and ends the
back-off. A hole below something settled was lost on the way and is due at once. So is, when the center says hello (its
first receipt of a session), whatever was sent before and that receipt does not cover: nobody was listening then.

`receipt` of the same generation only ever adds; of a new one it replaces, and all that it does not cover and that
is not in flight waits again. A receipt that covers what this outbox never wrote, or other content under its numbers
(`bar`), means that the card was cloned or restored: the stream is `ahead`, its numbers are used up, nothing more of it
is sent, and whoever asks must begin a new one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from wire.marks import (
    NO_MARKS,
    Marks,
    Range,
    count_unsettled,
    highest,
    holes,
    is_settled,
    next_unsettled,
    settle,
    union,
)
from wire.receipts import Receipt

_MOST_SESSIONS: Final = 32
_ORDER: Final = {"site": 0, "facts": 1, "values": 2}


class Key(NamedTuple):
    """An envelope's identity."""

    stream: str
    seq: int


@dataclass(frozen=True)
class Limits:
    """window: most envelopes of one stream in flight. Durations in [s]: see the theory above."""

    window: int = 200
    resend_after_s: float = 60.0
    resend_at_most_s: float = 600.0
    hole_after_s: float = 5.0
    puback_within_s: float = 600.0
    listen_first_s: float = 1.0


@dataclass(frozen=True)
class StreamState:
    """A stream as the disk knows it. first..last: the seqs on disk (last 0: none was ever written).

    current: new envelopes are added to it; of an old one saved from a damaged file the end may be lost.
    """

    stream: str
    kind: str
    first: int
    last: int
    known: Marks = NO_MARKS
    current: bool = True


@dataclass(frozen=True)
class Learned:
    """What a receipt taught. fresh: the generation is new; ahead: streams that claim what was never written; behind:
    it settles less than an earlier one, so that the center may have been restored from a copy and should be told;
    checks: of each current stream what the center has under one of its numbers (`wire.receipts`), to be compared.
    """

    changed: bool
    fresh: bool
    ahead: tuple[str, ...] = ()
    behind: bool = False
    checks: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    def and_then(self, later: "Learned") -> "Learned":
        """Both, as one."""
        return Learned(
            self.changed or later.changed, self.fresh or later.fresh, later.ahead or self.ahead, later.behind
        )


@dataclass
class _Flight:
    tries: int
    sent_s: float
    again_s: float


@dataclass
class _Stream:
    kind: str
    first: int
    last: int
    known: Marks
    current: bool
    barred: bool = False
    cursor: int = 0  # nothing up to here waits to be sent
    flight: dict[int, _Flight] = field(default_factory=dict)

    @property
    def following(self) -> int:
        seq = next_unsettled(self.known, max(self.cursor, self.first - 1))
        while seq in self.flight:
            seq = next_unsettled(self.known, seq)
        return seq

    def rewind(self) -> None:
        self.flight.clear()
        self.cursor = 0


class Sender:
    """The state machine above. Holds numbers only, so a backlog of months costs no memory."""

    def __init__(self, streams: Iterable[StreamState], generation: str = "", limits: Limits | None = None) -> None:
        self.generation = generation
        self._limits = limits or Limits()
        self._streams: dict[str, _Stream] = {}
        self._quiet_until_s: float | None = None  # None: not connected
        self._greeted: list[str] = []
        self._held: frozenset[str] = frozenset()
        self.replace(streams)

    def replace(self, streams: Iterable[StreamState]) -> None:
        """The disk has these streams now, and no others."""
        self._streams = {}
        for item in sorted(streams, key=lambda item: _ORDER.get(item.kind, len(_ORDER))):
            stream = _Stream(item.kind, item.first, item.last, item.known, item.current)
            self._streams[item.stream] = stream

    def committed(self, stream: str, last: int) -> None:
        """The disk now has this stream's envelopes up to `last`."""
        self._streams[stream].last = last

    def pruned(self, stream: str, first: int) -> None:
        """The disk's first envelope of this stream is now `first`."""
        self._streams[stream].first = first

    def missing(self, key: Key) -> None:
        """The disk does not have this envelope although it should: it cannot be sent."""
        if key.stream in self._streams:
            self._streams[key.stream].flight.pop(key.seq, None)

    def connected(self, now_s: float) -> None:
        """A connection begins."""
        self._quiet_until_s = now_s + self._limits.listen_first_s
        for stream in self._streams.values():
            stream.rewind()

    def disconnected(self) -> None:
        """The connection is gone; nothing is due until the next."""
        self._quiet_until_s = None

    def accepted(self, key: Key, now_s: float) -> None:
        """The broker has answered for this envelope, kindly or not: from now on the center's receipt is awaited."""
        flight = self._streams[key.stream].flight.get(key.seq) if key.stream in self._streams else None
        if flight:
            flight.again_s = now_s + self._patience_s(flight.tries)

    def hold(self, kinds: Iterable[str]) -> None:
        """Envelopes of these kinds, and no others, wait until told otherwise."""
        self._held = frozenset(kinds)

    def due(self, now_s: float, most: int = 2**31) -> list[Key]:
        """What to send now, at most so many; from here on it is in flight."""
        if self._quiet_until_s is None or now_s < self._quiet_until_s:
            return []
        out: list[Key] = []
        for name, stream in self._sending():
            overdue = sorted(seq for seq, flight in stream.flight.items() if flight.again_s <= now_s)
            for seq in overdue[: most - len(out)]:
                flight = stream.flight[seq]
                stream.flight[seq] = _Flight(flight.tries + 1, now_s, now_s + self._limits.puback_within_s)
                out.append(Key(name, seq))
            while (
                len(out) < most
                and len(stream.flight) < self._limits.window
                and (seq := stream.following) <= stream.last
            ):
                stream.cursor = seq
                stream.flight[seq] = _Flight(1, now_s, now_s + self._limits.puback_within_s)
                out.append(Key(name, seq))
        return out

    def _sending(self) -> list[tuple[str, _Stream]]:
        return [
            (name, stream)
            for name, stream in self._streams.items()
            if not stream.barred and stream.kind not in self._held
        ]

    def next_s(self) -> float | None:
        """The time at which something may become due by itself; None: not before something else happens."""
        if self._quiet_until_s is None:
            return None
        streams = [stream for _, stream in self._sending()]
        times = [flight.again_s for stream in streams for flight in stream.flight.values()]
        if any(stream.following <= stream.last and len(stream.flight) < self._limits.window for stream in streams):
            times.append(self._quiet_until_s)
        return min(times, default=None)

    def receipt(self, receipt: Receipt, now_s: float) -> Learned:
        """Takes in what the center has settled."""
        fresh = receipt.generation != self.generation
        hello = fresh or self._is_hello(receipt.session)
        ahead, changed, behind = [], fresh, False
        checks: dict[str, tuple[int, str]] = {}
        self.generation = receipt.generation
        if self._quiet_until_s is not None:
            self._quiet_until_s = min(self._quiet_until_s, now_s)
        for name, stream in self._streams.items():
            told = receipt.streams.get(name)
            new = told.marks if told else NO_MARKS
            if told and told.check and stream.current:
                checks[name] = told.check
            if stream.current and highest(new) > stream.last:
                ahead.append(name)
                stream.barred, new = True, NO_MARKS
            behind = behind or (not fresh and new.mark < stream.known.mark)
            new = new if fresh else union(stream.known, new)
            changed = changed or new != stream.known
            stream.known = new
            self._land(stream, fresh=fresh, hello=hello)
        return Learned(changed or bool(ahead), fresh, tuple(ahead), behind, checks)

    def bar(self, name: str) -> Learned:
        """The center has something else under this stream's numbers: they are not ours, as if it were `ahead`."""
        if name not in self._streams:
            return Learned(changed=False, fresh=False)
        self._streams[name].barred = True
        return Learned(changed=True, fresh=False, ahead=(name,))

    def forgotten(self) -> list[tuple[str, list[Range]]]:
        """Of each current stream (its kind), what no receipt covers although it is not on disk any more."""
        out = []
        for stream in self._streams.values():
            before = settle(stream.known, [(stream.first, stream.first)])
            missing = [(first, last) for first, last in holes(before) if first < stream.first]
            if stream.current and missing:
                out.append((stream.kind, missing))
        return out

    def _is_hello(self, session: str) -> bool:
        """Whether a worker of the center speaks for the first time since it connected."""
        if not session or session in self._greeted:
            return False
        self._greeted = [*self._greeted[-_MOST_SESSIONS:], session]
        return True

    def _land(self, stream: _Stream, *, fresh: bool, hello: bool) -> None:
        if fresh:
            stream.cursor = 0
        for seq in [seq for seq in stream.flight if is_settled(stream.known, seq)]:
            del stream.flight[seq]
        for flight in stream.flight.values():
            if hello:
                flight.again_s = min(flight.again_s, flight.sent_s + self._limits.hole_after_s)
            if flight.tries > 1:  # the center is back: no need to sit out the back-off
                flight.again_s = min(flight.again_s, flight.sent_s + self._limits.resend_after_s)
        for first, last in holes(stream.known):
            for seq, flight in stream.flight.items():
                if first <= seq <= last:
                    flight.again_s = min(flight.again_s, flight.sent_s + self._limits.hole_after_s)

    def _patience_s(self, tries: int) -> float:
        return min(self._limits.resend_after_s * 2.0 ** min(tries - 1, 16), self._limits.resend_at_most_s)

    @property
    def waiting(self) -> int:
        """Envelopes on disk without a receipt."""
        return sum(count_unsettled(stream.known, stream.first, stream.last) for stream in self._streams.values())

    @property
    def marks(self) -> Mapping[str, int]:
        """Each stream's mark."""
        return {name: stream.known.mark for name, stream in self._streams.items()}

    @property
    def written(self) -> Mapping[str, int]:
        """Each stream's last seq on disk."""
        return {name: stream.last for name, stream in self._streams.items()}

    @property
    def known(self) -> Mapping[str, Marks]:
        """What each stream's receipts settle, to be kept on disk."""
        return {name: stream.known for name, stream in self._streams.items()}
