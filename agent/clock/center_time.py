"""Asks the center what time it is: with each status while gateway time is in doubt, and otherwise as `Asking` says. Pure: it is given the time."""

import secrets
from collections.abc import Callable
from typing import Final

from agent.clock.guard import RoundTrip, S, TimeEvidence

_EVERY_NS: Final = 600 * S
_SOON_NS: Final = 5 * S


class CenterTime:
    """Questions that travel in `status`, and the answers that come back in receipts."""

    def __init__(self, mono_ns: Callable[[], int], is_sure: Callable[[], bool]) -> None:
        """mono_ns: the monotonic clock [ns]; is_sure: whether gateway time is trusted and no witness contradicts it."""
        self._mono_ns, self._is_sure = mono_ns, is_sure
        self._round_trip = RoundTrip(secrets.token_hex(4))
        self._asking = Asking()
        self._evidence: list[TimeEvidence] = []

    def ask(self) -> str:
        """The question for the status that is sent now; "" while its answer would teach little."""
        mono_ns = self._mono_ns()
        if not self._asking.is_due(mono_ns, sure=self._is_sure()):
            return ""
        self._asking.asked(mono_ns)
        return self._round_trip.ask(mono_ns)

    @property
    def is_urgent(self) -> bool:
        """Whether the center should be asked without waiting for the next status."""
        return self._asking.is_urgent(self._mono_ns(), sure=self._is_sure())

    def answered(self, echo: str, at_ns: int) -> None:
        """The center's answer: the question's echo, and its time [ns UTC]."""
        if evidence := self._round_trip.answered(echo, at_ns, self._mono_ns()):
            self._asking.answered()
            self._evidence.append(evidence)

    def greeted(self) -> None:
        """The center has connected to the broker: it may never have seen the last question."""
        self._asking.greeted(self._mono_ns())

    def take(self) -> list[TimeEvidence]:
        """The answers since the last call."""
        taken, self._evidence = self._evidence, []
        return taken


class Asking:
    """When to ask. Times are monotonic [ns].

        answered    ── ten minutes, or 5 s while gateway time is in doubt ──▶ ask
        unanswered  ── as long as it has been unanswered so far, 5 s at least and ten minutes at most ──▶ ask again

    A question without an answer is repeated after some 5, 5, 10, 20, 40, 80, 160 and 320 s, and every ten minutes from then
    on: a center that is away costs a handful of messages more than one that answers. The center's hello begins this anew,
    since a center that has just connected was not there for the last question.
    """

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
