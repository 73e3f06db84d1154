"""When a message that repeats is due. Pure: told the time."""

from dataclasses import dataclass
from typing import Final

_SHORTEST_CAP_S: Final = 2.0


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

    def again(self) -> None:
        """Forget what was sent: the other side is a new one."""
        self.last_s = None


def backoff_s(attempt: int, away_s: float, fraction: float, *, most_s: float = 60.0) -> float:
    """How long to wait before trying again [s]: exponential, capped, with full jitter.

    attempt: failures so far, from 1; away_s: how long it has been away [s]; fraction: a random number in [0, 1).
    The cap grows with the outage, a thirtieth of it from 2 s up to `most_s`: after a short one somebody waits for the
    numbers, after a long one a thousand gateways that come back together must not all arrive at once.
    """
    cap_s = min(most_s, max(_SHORTEST_CAP_S, away_s / 30))
    return (0.1 + 0.9 * fraction) * min(cap_s, 2.0 ** min(attempt - 1, 16))
