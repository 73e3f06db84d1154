"""Which unit of a line may be polled now, so that a dead unit does not delay its neighbours. Pure: it is given the time.

On a line a silent unit costs its timeout and as much silence afterwards. A unit that is silent twice in a row
counts as *dead*. While other units on the line answer, dead units together get at most a twentieth of the line's time:
the one that has waited longest is probed first. If no other unit answers, a dead unit is polled as usual.
"""

PROBE_COST_FACTOR = 20
MOST_SILENCES = 2
RECENT_S = 60.0
"""A unit that answered within this time is alive; one that somebody wanted to poll within it is still in use [s]."""


class Probes:
    """The units of one line. Times are monotonic [s]."""

    def __init__(self, most_silences: int = MOST_SILENCES) -> None:
        """most_silences: missing responses in a row after which a unit is dead."""
        self._most_silences = most_silences
        self._silences: dict[int, int] = {}
        self._answered_s: dict[int, float] = {}
        self._probed_s: dict[int, float] = {}
        self._wanted_s: dict[int, float] = {}
        self._not_before_s = float("-inf")

    def answered(self, unit: int, now_s: float) -> None:
        """The unit answered."""
        self._answered_s[unit] = now_s
        self._silences.pop(unit, None)
        self._probed_s.pop(unit, None)
        self._wanted_s.pop(unit, None)

    def silent(self, unit: int, now_s: float, cost_s: float) -> None:
        """The unit did not answer. cost_s: how much of the line's time that took [s]."""
        self._silences[unit] = self._silences.get(unit, 0) + 1
        if self._silences[unit] >= self._most_silences:
            self._probed_s[unit] = now_s
            self._not_before_s = now_s + PROBE_COST_FACTOR * cost_s

    def wait_s(self, unit: int, now_s: float) -> float:
        """How long until the unit may be polled [s]; 0 means now."""
        if self._silences.get(unit, 0) < self._most_silences:
            return 0.0
        if not any(now_s - at_s < RECENT_S for other, at_s in self._answered_s.items() if other != unit):
            return 0.0
        self._wanted_s[unit] = now_s
        if now_s < self._not_before_s:
            return self._not_before_s - now_s
        waiting = [other for other, at_s in self._wanted_s.items() if now_s - at_s < RECENT_S]
        first = min(waiting, key=lambda other: self._probed_s.get(other, float("-inf")))
        return 0.0 if unit == first else 1.0
