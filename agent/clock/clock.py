"""The gateway's clock: the guard, fed with the operating system's clocks, the center's answers and what is kept on disk.

Two scales. *Steady time* is the monotonic clock with a base that never changes while the process runs: devices,
freshness and everything that measures durations use it. *Gateway time* is steady time plus `correction_ns`; envelopes,
facts and reports carry it. Only rows on their way into the pipeline are converted from one to the other.
"""

import logging
from pathlib import Path
from typing import Final

from agent.clock.center_time import CenterTime
from agent.clock.files import ClockFiles, KeptBase, decode_base, encode_base
from agent.clock.guard import Guard, S, Verdict, Witness
from agent.clock.system import System, SystemClock
from wire.bodies import Clock

_LOG: Final = logging.getLogger("nhip.agent.clock")
_SAVE_EVERY_NS: Final = 600 * S


class GatewayClock:
    """Gives the time, and whether it is trusted."""

    def __init__(
        self, known_ns: int = 0, *, outbox: Path | None = None, system: System | None = None, kept: str = ""
    ) -> None:
        """known_ns: a time that has certainly passed [ns UTC]; outbox: the file beside which the clock's files lie, None
        to keep nothing; kept: what `kept()` gave in an earlier run that adopted a new time and may not have written it
        into its file.
        """
        self.system = system or SystemClock()
        self.boot = self.system.boot()
        """Id of the system's boot."""
        self._files = ClockFiles(outbox, self.boot)
        mono_ns = self.system.mono_ns()
        guess = KeptBase(self.system.wall_ns() - mono_ns, Witness.NOBODY, mono_ns)
        self._saved = self._files.kept() or guess
        base_ns, by, self._since_ns = decode_base(kept, self.boot) or self._saved
        self.origin_ns = base_ns
        """Steady time minus the monotonic clock [ns]; differs between runs."""
        self._guard = guard = Guard(base_ns, by, known_ns=known_ns, mono_ns=mono_ns)
        self.center_time = CenterTime(self.system.mono_ns, lambda: guard.trusted and not guard.doubtful)
        self._saved_ns = mono_ns
        self.keep()

    def steady_ns(self) -> int:
        """Steady time [ns]: for durations, and for the times of rows until they reach the pipeline."""
        return self.origin_ns + self.system.mono_ns()

    def now_ns(self) -> int:
        """Gateway time [ns UTC]; a guess while it is not trusted."""
        return self._guard.base_ns + self.system.mono_ns()

    @property
    def base_ns(self) -> int:
        """Gateway time minus the monotonic clock [ns]."""
        return self._guard.base_ns

    @property
    def correction_ns(self) -> int:
        """Gateway time minus steady time [ns]."""
        return self._guard.base_ns - self.origin_ns

    @property
    def trusted(self) -> bool:
        """Whether facts of this time may be sent."""
        return self._guard.trusted

    @property
    def dated_from_ns(self) -> int:
        """The gateway time from which rows were dated with the current base [ns UTC]."""
        return self._guard.base_ns + self._since_ns

    def report(self, undated_since_ns: int | None = None, undated_rows: int = 0) -> Clock:
        """The clock for the gateway's status."""
        guard = self._guard
        return Clock(
            by=guard.by.word,
            error_s=round(guard.error_ns / 1e9, 3),
            wall_error_s=round(guard.wall_error_ns / 1e9, 3),
            moves=guard.moves,
            last_move_s=round(guard.last_move_ns / 1e9, 3),
            wall_steps=guard.wall_steps,
            held_since_ns=undated_since_ns,
            held_rows=undated_rows,
        )

    def check(self) -> Verdict:
        """Evaluates the evidence since the last call; to be called once a second."""
        sources = (self.system.ntp(), self._files.confirmation())
        evidence = [*self.center_time.take(), *(item for item in sources if item is not None)]
        guard, previous, steps = self._guard, self._guard.by, self._guard.wall_steps
        verdict = guard.check(self.system.mono_ns(), self.system.wall_ns(), evidence)
        if verdict.begins:
            _LOG.warning("clock trusted by=%s moved_s=%.3f", guard.by.word, verdict.moved_ns / 1e9)
        elif verdict.moved_ns:
            _LOG.warning(
                "clock corrected by=%s was=%s moved_s=%.3f", guard.by.word, previous.word, verdict.moved_ns / 1e9
            )
        if guard.wall_steps > steps:
            _LOG.warning("system clock set wall_error_s=%.3f followed=no", guard.wall_error_ns / 1e9)
        if verdict.begins or (verdict.moved_ns and not verdict.always):
            self._since_ns = self.system.mono_ns()  # rows dated before keep their dates
        if verdict.moved_ns and not verdict.begins:
            return verdict  # the caller calls `keep` once it has stored what must be redated
        if guard.by is not previous or verdict.begins or self.system.mono_ns() - self._saved_ns > _SAVE_EVERY_NS:
            self.keep()
        return verdict

    def dates_from(self, mono_ns: int) -> None:
        """Notes that rows from this monotonic time on are dated with the current base."""
        self._since_ns = min(self._since_ns, mono_ns)
        self.keep()

    def kept(self) -> str:
        """What a restart continues with, as text."""
        return encode_base(_base(self._guard, self._since_ns), self.boot)

    def keep(self) -> None:
        """Writes what a restart continues with to disk, if it has changed."""
        self._saved_ns = self.system.mono_ns()
        current = _base(self._guard, self._since_ns)
        if current != self._saved and self._files.keep(current):
            self._saved = current


def _base(guard: Guard, since_ns: int) -> KeptBase:
    return KeptBase(guard.base_ns, guard.by, since_ns)
