"""When to ask the center for the time. Pure: it is given the time.

    answered    ── ten minutes, or 5 s while gateway time is in doubt ──▶ ask
    unanswered  ── as long as it has been unanswered so far, 5 s at least and ten minutes at most ──▶ ask again

A question without an answer is repeated after some 5, 5, 10, 20, 40, 80, 160 and 320 s, and every ten minutes from then on:
a center that is away costs a handful of messages more than one that answers. The center's hello begins this anew, since a
center that has just connected was not there for the last question.
"""

from typing import Final

from agent.clock.guard import S

_EVERY_NS: Final = 600 * S
_SOON_NS: Final = 5 * S


class Asking:
    """The state machine above. Times are monotonic [ns]."""

    def __init__(self) -> None:
        self._asked_ns: int | None = None
        self._silent_since_ns: int | None = None  # when the first question without an answer was asked

    def asked(self, now_ns: int) -> None:
        """A question is sent."""
        self._asked_ns = now_ns
        if self._silent_since_ns is None:
            self._silent_since_ns = now_ns

    def answered(self) -> None:
        """An answer came in time."""
        self._silent_since_ns = None

    def greeted(self, now_ns: int) -> None:
        """The center has connected."""
        if self._silent_since_ns is not None:
            self._silent_since_ns = now_ns

    def is_due(self, now_ns: int, *, sure: bool) -> bool:
        """Whether the status that is sent now should ask. sure: gateway time is trusted and nothing contradicts it."""
        return self._asked_ns is None or not sure or now_ns - self._asked_ns >= self._wait_ns(self._asked_ns, sure=sure)

    def is_urgent(self, now_ns: int, *, sure: bool) -> bool:
        """Whether a question should not wait for the next status."""
        if self._asked_ns is None or (sure and self._silent_since_ns is None):
            return False
        return now_ns - self._asked_ns > self._wait_ns(self._asked_ns, sure=sure)

    def _wait_ns(self, asked_ns: int, *, sure: bool) -> int:
        if self._silent_since_ns is None:
            return _EVERY_NS if sure else _SOON_NS
        return min(_EVERY_NS, max(_SOON_NS, asked_ns - self._silent_since_ns))
