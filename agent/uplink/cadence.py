"""When a periodic message is due, and how long to wait before reconnecting. Pure: it is given the time."""

from dataclasses import dataclass
from typing import Final

_SHORTEST_CAP_S: Final = 2.0
STABLE_S: Final = 30.0
SETTLED_S: Final = 3600.0
_SOON_CUT_OFF: Final = 3
"""Connections in a row that were cut off, from which on the wait doubles."""
_TAKEN_OVER_S: Final = 10.0
_TAKEN_OVER_MOST_S: Final = 600.0


@dataclass
class Cadence:
    """At most every `least_s` when something has changed, at least every `most_s` anyway."""

    least_s: float
    most_s: float
    last_s: float | None = None
    changed: bool = False

    def due_s(self) -> float:
        """The time from which it is due; minus infinity before the first."""
        if self.last_s is None:
            return float("-inf")
        return self.last_s + (self.least_s if self.changed else self.most_s)

    def take(self, now_s: float) -> bool:
        """Whether it is due now; if so, it counts as done."""
        if now_s < self.due_s():
            return False
        self.last_s, self.changed = now_s, False
        return True

    def restart(self) -> None:
        """Makes it due at once: the other side has not received the last one."""
        self.last_s = None


def backoff_s(attempt: int, away_s: float, fraction: float, *, most_s: float = 60.0, least_cap_s: float = 0.0) -> float:
    """How long to wait before trying again [s]: exponential, capped, with full jitter.

    attempt: failures so far, from 1; away_s: how long it has been away [s]; fraction: a random number in [0, 1).
    The cap grows with the outage, a thirtieth of it from 2 s up to `most_s`: after a short one somebody is waiting for the
    numbers, after a long one many gateways must not all reconnect at once. least_cap_s: the cap is at least this [s].
    """
    cap_s = min(most_s, max(_SHORTEST_CAP_S, least_cap_s, away_s / 30))
    return (0.1 + 0.9 * fraction) * min(cap_s, 2.0 ** min(attempt - 1, 16))


class Reconnection:
    """How long to wait between connections. Times are monotonic [s].

    taken_over: how often another client with this gateway's id took over the session, until one has lasted for an hour;
    cut_off: connections in a row that ended within `STABLE_S`.
    """

    def __init__(self, most_s: float) -> None:
        """most_s: the longest wait [s]."""
        self._most_s = most_s
        self._attempt = 0
        self._stable_s: float | None = None
        self._began_s = 0.0
        self._succeeded = False
        self.taken_over = self.cut_off = 0

    def begin(self, now_s: float) -> None:
        """A connection attempt begins."""
        self._began_s, self._succeeded = now_s, False
        if self._stable_s is None:
            self._stable_s = now_s

    def succeeded(self) -> None:
        """The attempt succeeded."""
        self._succeeded = True

    def explained(self) -> None:
        """What ended the connection is known and will not happen again: nothing grows."""
        self._attempt = 0
        self.cut_off = -1

    def wait_s(self, now_s: float, fraction: float, *, taken_over: bool = False) -> float:
        """The attempt or the connection has ended: how long to wait before the next [s]. fraction: a random number in
        [0, 1). taken_over: another client with the same id ended it.
        """
        lasted_s = now_s - self._began_s if self._succeeded else 0.0
        if lasted_s > STABLE_S or self._stable_s is None:
            self._stable_s, self._attempt, self.cut_off = now_s, 0, 0
        elif self._succeeded:
            self.cut_off += 1
        self._attempt += 1
        if lasted_s > SETTLED_S:
            self.taken_over = 0
        if taken_over:
            self.taken_over += 1
            cap_s = min(_TAKEN_OVER_MOST_S, _TAKEN_OVER_S * 2.0 ** min(self.taken_over - 1, 16))
            return (0.5 + 0.5 * fraction) * cap_s
        least_cap_s = 2.0 ** min(self.cut_off - _SOON_CUT_OFF, 16)
        return backoff_s(self._attempt, now_s - self._stable_s, fraction, most_s=self._most_s, least_cap_s=least_cap_s)
