"""Asks the center what time it is: with each status while gateway time is in doubt, as `agent.clock.asking` says otherwise."""

import secrets
from collections.abc import Callable

from agent.clock.asking import Asking
from agent.clock.guard import RoundTrip, TimeEvidence


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
