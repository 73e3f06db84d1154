"""When to connect to a device, to read it, and to retry. Pure: it is given the time.

    away ──connected──▶ up ──read──▶ up ...
     ▲                   │
     └──── failed ───────┘              misconfigured: stopped for good, or retried once a minute

* The first read follows the connection at once. The next is at a multiple of `slot_s`, which many devices share, and from
  there on reads are on the grid of the period: places that have passed are skipped and counted, never queued up.
* A lost connection is tried again every `retry_every_s` for a minute after the last good read, then at doubling
  intervals up to 30 s, each shortened at random by up to a quarter, so that devices do not all reconnect at once.
* A peer that may be serving another master on its only socket (`gentle`) is left alone for 30 s, except within a
  minute of a good read: then the socket was ours, and a PLC that hung for a moment is read again soon.
* Only a good read ends an outage: a peer that accepts connections but stays silent is still out.
"""

import math
from dataclasses import dataclass
from enum import Enum

GENTLE_S = 30.0
LONGEST_RETRY_S = 30.0
EAGER_S = 60.0
REFUSED_S = 60.0


class ConnectionState(Enum):
    """The state of a connection."""

    AWAY = "away"
    UP = "up"
    STOPPED = "stopped"


@dataclass
class PollSchedule:
    """The state of one connection. Times are monotonic [s]; jitter is a random number in [0, 1)."""

    period_s: float
    retry_every_s: float = 2.0
    link: ConnectionState = ConnectionState.AWAY
    due_s: float = float("-inf")
    skipped: int = 0
    outage_since_s: float | None = None
    _good_s: float = float("-inf")
    _slow_tries: int = 0
    _slot_s: float | None = None

    def connected(self, now_s: float, slot_s: float | None = None) -> None:
        """The connection is established: read at once, then on the grid that begins now, or at the next multiple of `slot_s`."""
        self.link, self.due_s, self._slot_s = ConnectionState.UP, now_s, slot_s

    def read(self, now_s: float) -> bool:
        """A read succeeded and ended at `now_s`. True if it ended an outage."""
        if self._slot_s is None:
            passed = int((now_s - self.due_s) // self.period_s) if now_s > self.due_s else 0
            self.skipped += passed
            self.due_s += (passed + 1) * self.period_s
        else:
            self.due_s, self._slot_s = math.ceil(now_s / self._slot_s) * self._slot_s, None
        was_out = self.outage_since_s is not None
        self.outage_since_s, self._slow_tries, self._good_s = None, 0, now_s
        return was_out

    def failed(self, now_s: float, *, gentle: bool, jitter: float) -> bool:
        """A connection attempt or a read failed. True if this begins an outage."""
        begins = self.outage_since_s is None
        if self.outage_since_s is None:
            self.outage_since_s = now_s
        self.link = ConnectionState.AWAY
        gentle = gentle and now_s - self._good_s >= EAGER_S
        self.due_s = now_s + self._wait_s(now_s - self.outage_since_s, gentle=gentle, jitter=jitter)
        return begins

    def refused(self, now_s: float) -> None:
        """The device refused until somebody changes something at it."""
        if self.outage_since_s is None:
            self.outage_since_s = now_s
        self.link, self.due_s = ConnectionState.AWAY, now_s + REFUSED_S

    def stop(self) -> None:
        """Stops for good: only a change of the configuration can help."""
        self.link, self.due_s = ConnectionState.STOPPED, float("inf")

    def _wait_s(self, out_s: float, *, gentle: bool, jitter: float) -> float:
        if gentle:
            return GENTLE_S
        if out_s < EAGER_S:
            return self.retry_every_s
        self._slow_tries = min(self._slow_tries + 1, 16)
        return min(LONGEST_RETRY_S, self.retry_every_s * 2.0**self._slow_tries) * (1 - jitter / 4)
