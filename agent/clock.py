"""Gateway time: the wall clock once, and the monotonic clock from there on.

A duration measured with it is a duration, whatever NTP or a person does to the wall clock meanwhile. When the wall
clock turns out to be *ahead* (a gateway without a battery learns the date), gateway time jumps forward to it, and
what lies between is silence that nobody watched. When it turns out to be *behind*, gateway time does not go back:
the difference is reported and ends with the next start.
"""

import time
from collections.abc import Callable
from typing import Final

_FORWARD_FROM_NS: Final = 2_000_000_000  # below that a jump would cost more than it mends
_CATCH_UP_NS: Final = 600_000_000_000


class Clock:
    """Tells gateway time [ns UTC]; never goes back."""

    def __init__(
        self,
        not_before_ns: int = 0,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """not_before_ns: where the last run ended; if the wall clock is up to ten minutes behind it, time goes on
        from there. If it is further behind, one of the two is wrong, and no number is made until it is past.
        """
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        wall = wall_ns()
        start_ns = not_before_ns if 0 < not_before_ns - wall <= _CATCH_UP_NS else wall
        self._anchor_ns = start_ns - monotonic_ns()

    def now_ns(self) -> int:
        """Gateway time [ns UTC]."""
        return self._anchor_ns + self._monotonic_ns()

    def ahead_of_wall_ns(self) -> int:
        """How far gateway time is ahead of the wall clock [ns]; negative: behind."""
        return self.now_ns() - self._wall_ns()

    def follow(self) -> int:
        """Jumps forward if the wall clock is well ahead; returns by how much [ns]. To be called now and then."""
        behind_ns = -self.ahead_of_wall_ns()
        if behind_ns < _FORWARD_FROM_NS:
            return 0
        self._anchor_ns += behind_ns
        return behind_ns
