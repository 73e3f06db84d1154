"""Gateway time, and whether it is trusted. Pure: it is given the monotonic clock, the wall clock and the evidence.

Theory. Nobody can set the monotonic clock, but it counts from the boot. One number, the *base*, turns it into a time of
day: UTC = monotonic + base. All that is decided here is which base to use; durations never depend on it.

Evidence is an interval, not a time: "when the monotonic clock showed m, UTC lay within [earliest, latest]". Its
width is the uncertainty, so a slow link widens it and cannot make it wrong. Witnesses have ranks: the hardware clock
below a person, below the center, below NTP.

    untrusted ── any evidence ──▶ trusted ── contradicted for a minute by a witness of at least its rank ──▶ moved
                                     ▲──────────────────────────────────────────────────────────────────────┘

* A base that lies within the evidence stays as it is; else it moves to the middle of it.
* Up to `SLEW_NS` of error is crystal drift: gateway time is slewed towards the evidence at 500 ppm (as NTP does), too
  slowly to disturb durations. More is a step: since the monotonic clock does not jump, a base that is wrong now has been wrong
  since it was adopted, so everything dated with it must be shifted (`Verdict.always`). One case is different: a
  witness that agreed before and is ahead now. Then the computer itself stood still (a paused virtual machine), and the
  time in between is a gap.
* A single contradiction proves nothing (the center's clock may just be being corrected): it must be repeated a minute
  later.
* A witness of lower rank that disagrees is reported and not followed, unless the higher one has been silent for an hour.
* The wall clock is not a witness. Its steps are counted and reported; gateway time does not follow them.
* A hardware clock that shows less than the last known time has lost its battery and is ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

S: Final = 1_000_000_000
SLEW_NS: Final = S
SLEW_PER_S: Final = 500e-6
PATIENCE_NS: Final = 60 * S
SILENT_NS: Final = 3600 * S
WALL_STEP_NS: Final = S // 2


class Witness(IntEnum):
    """Sources of time, in ascending order of trust."""

    NOBODY = 0
    HARDWARE = 1
    PERSON = 2
    CENTER = 3
    NTP = 4

    @property
    def word(self) -> str:
        """The name in files and messages."""
        return self.name.lower()


@dataclass(frozen=True)
class TimeEvidence:
    """UTC lay within [earliest_ns, latest_ns] when the monotonic clock showed mono_ns."""

    by: Witness
    mono_ns: int
    earliest_ns: int
    latest_ns: int

    @property
    def bases(self) -> tuple[int, int]:
        """The lowest and highest base that agree with it [ns]."""
        return self.earliest_ns - self.mono_ns, self.latest_ns - self.mono_ns


@dataclass(frozen=True)
class Verdict:
    """The result of a check. begins: the clock is trusted from now on; moved_ns: by how much gateway time was stepped;
    always: the base was wrong since it was adopted, so that everything dated with it moves too.
    """

    begins: bool = False
    moved_ns: int = 0
    always: bool = False


@dataclass(frozen=True)
class _Doubt:
    since_ns: int
    low_ns: int
    high_ns: int


class Guard:
    """The state machine above. `base_ns` may be used before it is trusted: it is then a guess."""

    def __init__(self, base_ns: int, by: Witness = Witness.NOBODY, *, known_ns: int = 0, mono_ns: int = 0) -> None:
        """known_ns: a time that has certainly passed [ns UTC]; by: the witness of the base, from an earlier run in this boot."""
        self.base_ns, self.by = base_ns, by
        self.error_ns = 0
        """Gateway time minus the latest evidence, of any witness; 0 while it lies within it."""
        self.wall_error_ns = 0
        """The wall clock minus gateway time."""
        self.wall_steps = self.moves = 0
        self.last_move_ns = 0
        self._known_ns = known_ns
        self._heard_ns: dict[Witness, int] = {by: mono_ns}
        self._checked_ns = mono_ns
        self._wall_base_ns: int | None = None
        self._doubt: _Doubt | None = None
        self._slew_to_ns: int | None = None

    @property
    def trusted(self) -> bool:
        """Whether facts of gateway time may be sent."""
        return self.by is not Witness.NOBODY

    @property
    def doubtful(self) -> bool:
        """Whether a witness has contradicted once, and must do so again to be followed: it should be asked soon."""
        return self._doubt is not None

    def check(self, mono_ns: int, wall_ns: int, evidence: Iterable[TimeEvidence] = ()) -> Verdict:
        """Evaluates the evidence since the last call; to be called about once a second."""
        self._slew(mono_ns)
        self._watch_wall(mono_ns, wall_ns)
        begins, moved_ns, always = False, 0, False
        for item in sorted(evidence, key=lambda item: -item.by):
            if item.by is Witness.HARDWARE and item.latest_ns < self._known_ns:
                continue
            if self.trusted:
                agreed = item.by in self._heard_ns
                by_ns = self._weigh(item, mono_ns)
                moved_ns, always = moved_ns + by_ns, always or by_ns < 0 or (by_ns > 0 and not agreed)
            else:
                moved_ns, begins = moved_ns + self._adopt(item), True
        return Verdict(begins, moved_ns, always)

    def _adopt(self, item: TimeEvidence) -> int:
        low_ns, high_ns = item.bases
        before_ns = self.base_ns
        if not low_ns <= before_ns <= high_ns:
            self.base_ns = (low_ns + high_ns) // 2
        self.by, self.error_ns = item.by, 0
        self._heard_ns = {item.by: item.mono_ns}
        self._doubt = self._slew_to_ns = None
        return self.base_ns - before_ns

    def _weigh(self, item: TimeEvidence, mono_ns: int) -> int:
        low_ns, high_ns = item.bases
        self.error_ns = max(0, self.base_ns - high_ns) + min(0, self.base_ns - low_ns)
        if self.error_ns == 0:
            self._heard_ns[item.by] = item.mono_ns
            self.by = max(self.by, item.by)
            self._doubt = self._slew_to_ns = None
            return 0
        if item.by < self._rank(mono_ns):
            return 0
        if abs(self.error_ns) <= SLEW_NS:
            self._heard_ns[item.by] = item.mono_ns
            self._slew_to_ns, self._doubt = self.base_ns - self.error_ns, None
            return 0
        doubt = self._doubt
        if doubt is None or low_ns > doubt.high_ns + SLEW_NS or high_ns < doubt.low_ns - SLEW_NS:
            self._doubt = _Doubt(mono_ns, low_ns, high_ns)
        elif mono_ns - doubt.since_ns >= PATIENCE_NS:
            self.by = Witness.NOBODY
            self.last_move_ns = self._adopt(item)
            self.moves += 1
            return self.last_move_ns
        return 0

    def _rank(self, mono_ns: int) -> Witness:
        """The lowest rank that is followed."""
        if self.by <= Witness.PERSON or mono_ns - self._heard_ns.get(self.by, mono_ns) <= SILENT_NS:
            return self.by
        return Witness.PERSON

    def _slew(self, mono_ns: int) -> None:
        most_ns = round((mono_ns - self._checked_ns) * SLEW_PER_S)
        self._checked_ns = mono_ns
        if self._slew_to_ns is not None:
            self.base_ns += max(-most_ns, min(most_ns, self._slew_to_ns - self.base_ns))
            if self.base_ns == self._slew_to_ns:
                self._slew_to_ns, self.error_ns = None, 0

    def _watch_wall(self, mono_ns: int, wall_ns: int) -> None:
        wall_base_ns = wall_ns - mono_ns
        if self._wall_base_ns is not None and abs(wall_base_ns - self._wall_base_ns) > WALL_STEP_NS:
            self.wall_steps += 1
        self._wall_base_ns = wall_base_ns
        self.wall_error_ns = wall_base_ns - self.base_ns


class RoundTrip:
    """The center's time as evidence: a question that the center answers with its time.

    The center read its clock between the question and the arrival of the answer, so UTC now lies between that reading and
    the reading plus the whole round trip: a late answer is imprecise, never wrong. An answer to a question that was not
    asked recently (retained, repeated, from before a restart) does not count.
    """

    MOST_NS: Final = 10 * S
    _KEPT: Final = 8

    def __init__(self, prefix: str) -> None:
        """prefix: random, so that answers to an earlier run do not match."""
        self._prefix, self._count = prefix, 0
        self._asked: dict[str, int] = {}

    def ask(self, mono_ns: int) -> str:
        """The question to send now."""
        self._count += 1
        token = f"{self._prefix}.{self._count}"
        self._asked[token] = mono_ns
        while len(self._asked) > self._KEPT:
            del self._asked[next(iter(self._asked))]
        return token

    def answered(self, token: str, at_ns: int, mono_ns: int) -> TimeEvidence | None:
        """The evidence in an answer; None if it does not count."""
        asked_ns = self._asked.pop(token, None)
        if asked_ns is None or not 0 <= mono_ns - asked_ns <= self.MOST_NS:
            return None
        return TimeEvidence(Witness.CENTER, mono_ns, at_ns, at_ns + mono_ns - asked_ns)
