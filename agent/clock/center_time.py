"""Asks the center for the time: with each status while gateway time is in doubt, every ten minutes otherwise."""

import secrets
from collections.abc import Callable
from typing import Final

from agent.clock.guard import RoundTrip, S, TimeEvidence

_ASK_EVERY_NS: Final = 600 * S
_URGENT_AFTER_NS: Final = 5 * S


class CenterTime:
    """Questions that travel in `status`, and the answers that come back in receipts."""

    def __init__(self, mono_ns: Callable[[], int], is_sure: Callable[[], bool]) -> None:
        """mono_ns: the monotonic clock [ns]; is_sure: whether gateway time is trusted and no witness contradicts it."""
        self._mono_ns, self._is_sure = mono_ns, is_sure
        self._round_trip = RoundTrip(secrets.token_hex(4))
        self._asked_ns: int | None = None
        self._evidence: list[TimeEvidence] = []

    def ask(self) -> str:
        """The question for the status that is sent now; "" while the last answer is recent enough."""
        mono_ns = self._mono_ns()
        if self._is_sure() and self._asked_ns is not None and mono_ns - self._asked_ns < _ASK_EVERY_NS:
            return ""
        self._asked_ns = mono_ns
        return self._round_trip.ask(mono_ns)

    @property
    def is_urgent(self) -> bool:
        """Whether the center should be asked without waiting for the next status."""
        if self._asked_ns is None or self._is_sure():
            return False
        return self._mono_ns() - self._asked_ns > _URGENT_AFTER_NS

    def answered(self, echo: str, at_ns: int) -> None:
        """The center's answer: the question's echo, and its time [ns UTC]."""
        if evidence := self._round_trip.answered(echo, at_ns, self._mono_ns()):
            self._evidence.append(evidence)

    def take(self) -> list[TimeEvidence]:
        """The answers since the last call."""
        taken, self._evidence = self._evidence, []
        return taken
