"""Which unit of a line may be asked now: a dead one must not cost its neighbours their period. Pure, told the time.

On a line one silent unit stops all: its timeout, and as much silence after it. So a unit may be silent twice in a
row; from then on it is *dead*, and while others on the line live, dead units together get at most a twentieth of the
line's time, in turns: the one that has waited longest is probed first. Where nobody else lives nobody is disturbed,
and a dead unit may be asked whenever its turn comes.
"""

SHARE = 20
PATIENCE = 2
LATELY_S = 60.0
"""Within this time an answer means that a unit lives, and a question that somebody still wants an answer [s]."""


class Probes:
    """The units of one line. Times are monotonic [s]."""

    def __init__(self, patience: int = PATIENCE) -> None:
        """patience: silences in a row after which a unit is dead."""
        self._patience = patience
        self._silences: dict[int, int] = {}
        self._answered_s: dict[int, float] = {}
        self._probed_s: dict[int, float] = {}
        self._wanted_s: dict[int, float] = {}
        self._not_before_s = float("-inf")

    def answered(self, unit: int, now_s: float) -> None:
        """It lives."""
        self._answered_s[unit] = now_s
        self._silences.pop(unit, None)
        self._probed_s.pop(unit, None)
        self._wanted_s.pop(unit, None)

    def silent(self, unit: int, now_s: float, cost_s: float) -> None:
        """It did not answer, which cost that much of the line's time [s]."""
        self._silences[unit] = self._silences.get(unit, 0) + 1
        if self._silences[unit] >= self._patience:
            self._probed_s[unit] = now_s
            self._not_before_s = now_s + SHARE * cost_s

    def wait_s(self, unit: int, now_s: float) -> float:
        """How long until it may be asked [s]; 0 means now."""
        if self._silences.get(unit, 0) < self._patience:
            return 0.0
        if not any(now_s - at_s < LATELY_S for other, at_s in self._answered_s.items() if other != unit):
            return 0.0
        self._wanted_s[unit] = now_s
        if now_s < self._not_before_s:
            return self._not_before_s - now_s
        waiting = [other for other, at_s in self._wanted_s.items() if now_s - at_s < LATELY_S]
        first = min(waiting, key=lambda other: self._probed_s.get(other, float("-inf")))
        return 0.0 if unit == first else 1.0
