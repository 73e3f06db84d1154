"""The agent's clock: the guard with a system under it, its questions to the center, and what it keeps on disk.

Two scales. *Steady time* is the monotonic clock with a base that never changes while the process runs: devices,
freshness and everything that measures durations use it. *Gateway time* is steady time plus `correction_ns`, and is what
is sealed, offered and told. Only rows on their way into the pipeline pass from one to the other.

On disk, beside the outbox: `<outbox>.clock` (JSON: `boot`, `base_ns`, `by`, `since_ns`: the
monotonic time from which on rows were dated with this base) lets a restart within the same boot go on
trusted; the same text stands in the outbox while everything is dated anew (`agent.corrections.redating`), and then counts first;
`<outbox>.confirmed` (JSON: `boot`, `mono_ns`, `utc_ns`, `within_ns`) is a person's word, written by `nhip clock confirm`.
Both mean nothing after the next boot.
"""

import json
import logging
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.clock.guard import Evidence, Guard, RoundTrip, S, Verdict, Witness
from agent.clock.system import System, SystemClock, rename_into
from wire.bodies import Clock as Told

_LOG: Final = logging.getLogger("nhip.agent.clock")
_ASK_EVERY_NS: Final = 600 * S
_ASK_AGAIN_NS: Final = 5 * S
_SAVE_EVERY_NS: Final = 600 * S


class Clock:
    """Tells time, and whether it may be believed."""

    def __init__(
        self, known_ns: int = 0, *, outbox: Path | None = None, system: System | None = None, kept: str = ""
    ) -> None:
        """known_ns: a time that has surely passed; outbox: beside which the files lie, None to keep nothing; kept: what
        `kept` gave for a new time that a run before came to and may not have written into its file.
        """
        self._system = system or SystemClock()
        self._outbox = outbox
        self._boot = self._system.boot()
        mono_ns = self._system.mono_ns()
        guess = (self._system.wall_ns() - mono_ns, Witness.NOBODY, mono_ns)
        remembered = self._remembered() or guess
        base_ns, by, self._since_ns = self._read(kept) or remembered
        self._origin_ns = base_ns
        self._guard = Guard(base_ns, by, known_ns=known_ns, mono_ns=mono_ns)
        self._round_trip = RoundTrip(secrets.token_hex(4))
        self._said: list[Evidence] = []
        self._confirmed = ""
        self._asked_ns: int | None = None
        self._saved = remembered
        self._saved_ns = mono_ns
        self.keep()

    # telling

    def steady_ns(self) -> int:
        """Steady time [ns]: for durations, and for the times of rows until they reach the pipeline."""
        return self._origin_ns + self._system.mono_ns()

    @property
    def correction_ns(self) -> int:
        """Gateway time minus steady time [ns]."""
        return self._guard.base_ns - self._origin_ns

    def now_ns(self) -> int:
        """Gateway time [ns UTC]; a guess while it is not trusted."""
        return self._guard.base_ns + self._system.mono_ns()

    @property
    def trusted(self) -> bool:
        """Whether facts of this time may be offered."""
        return self._guard.trusted

    @property
    def boot(self) -> str:
        """Which boot of the system this is."""
        return self._boot

    @property
    def origin_ns(self) -> int:
        """Steady time minus the monotonic clock [ns]: other in each run."""
        return self._origin_ns

    def told(self, held_since_ns: int | None = None, held_rows: int = 0) -> Told:
        """What the center is told of it."""
        guard = self._guard
        return Told(
            by=guard.by.word,
            error_s=round(guard.error_ns / 1e9, 3),
            wall_error_s=round(guard.wall_error_ns / 1e9, 3),
            moves=guard.moves,
            last_move_s=round(guard.last_move_ns / 1e9, 3),
            wall_steps=guard.wall_steps,
            held_since_ns=held_since_ns,
            held_rows=held_rows,
        )

    # learning

    def ask(self) -> str:
        """The question to the center for the status that is sent now; "" while its answer would teach little."""
        mono_ns = self._system.mono_ns()
        sure = self.trusted and not self._guard.doubtful
        if sure and self._asked_ns is not None and mono_ns - self._asked_ns < _ASK_EVERY_NS:
            return ""
        self._asked_ns = mono_ns
        return self._round_trip.ask(mono_ns)

    @property
    def asks_again(self) -> bool:
        """Whether the center should be asked without waiting for the next status."""
        if self._asked_ns is None or (self.trusted and not self._guard.doubtful):
            return False
        return self._system.mono_ns() - self._asked_ns > _ASK_AGAIN_NS

    def answered(self, echo: str, at_ns: int) -> None:
        """The center's answer; it counts at the next look."""
        if evidence := self._round_trip.answered(echo, at_ns, self._system.mono_ns()):
            self._said.append(evidence)

    def look(self) -> Verdict:
        """To be called once a second."""
        said, self._said = self._said, []
        said += [item for item in (self._system.ntp(), self._person()) if item is not None]
        guard, was, steps = self._guard, self._guard.by, self._guard.wall_steps
        verdict = guard.look(self._system.mono_ns(), self._system.wall_ns(), said)
        if verdict.begins:
            _LOG.warning("clock trusted by=%s moved_s=%.3f", guard.by.word, verdict.moved_ns / 1e9)
        elif verdict.moved_ns:
            _LOG.warning("clock corrected by=%s was=%s moved_s=%.3f", guard.by.word, was.word, verdict.moved_ns / 1e9)
        if guard.wall_steps > steps:
            _LOG.warning("system clock set wall_error_s=%.3f followed=no", guard.wall_error_ns / 1e9)
        if verdict.begins or (verdict.moved_ns and not verdict.always):
            self._since_ns = self._system.mono_ns()  # what was dated before keeps its dates
        if verdict.moved_ns and not verdict.begins:
            return verdict  # kept when it is known what must be dated anew
        if guard.by is not was or verdict.begins or self._system.mono_ns() - self._saved_ns > _SAVE_EVERY_NS:
            self.keep()
        return verdict

    def dates_from(self, mono_ns: int) -> None:
        """Rows of this monotonic time on are dated with the present base."""
        self._since_ns = min(self._since_ns, mono_ns)
        self.keep()

    @property
    def dated_from_ns(self) -> int:
        """The gateway time from which on rows were dated with the present base [ns UTC]."""
        return self._guard.base_ns + self._since_ns

    # keeping

    def _person(self) -> Evidence | None:
        """A person's word that was not heard yet."""
        if self._outbox is None:
            return None
        try:
            text = confirmed_path(self._outbox).read_text()
        except OSError:
            return None
        if text == self._confirmed:
            return None
        self._confirmed = text
        return _evidence(text, self._boot)

    def _remembered(self) -> tuple[int, Witness, int] | None:
        if self._outbox is None or not self._boot:
            return None
        with suppress(OSError, ValueError):
            return self._read(clock_path(self._outbox).read_text())
        return None

    def _read(self, text: str) -> tuple[int, Witness, int] | None:
        with suppress(ValueError, KeyError, TypeError):
            kept = json.loads(text)
            if self._boot and kept["boot"] == self._boot:
                return int(kept["base_ns"]), Witness[str(kept["by"]).upper()], int(kept["since_ns"])
        return None

    def kept(self) -> str:
        """What a restart goes on with, as text."""
        base_ns, by, since_ns = self._guard.base_ns, self._guard.by, self._since_ns
        return json.dumps({"boot": self._boot, "base_ns": base_ns, "by": by.word, "since_ns": since_ns})

    def keep(self) -> None:
        """Keeps on disk what a restart goes on with."""
        self._saved_ns = self._system.mono_ns()
        now = (self._guard.base_ns, self._guard.by, self._since_ns)
        if self._outbox is None or now == self._saved:
            return
        with suppress(OSError):  # the disk is full: a restart must ask again
            rename_into(clock_path(self._outbox), self.kept())
            self._saved = now


def clock_path(outbox: Path) -> Path:
    """Where a clock that is trusted is kept."""
    return outbox.with_name(f"{outbox.name}.clock")


def confirmed_path(outbox: Path) -> Path:
    """Where a person's word is kept."""
    return outbox.with_name(f"{outbox.name}.confirmed")


def held_path(outbox: Path) -> Path:
    """Where rows wait that have no date yet (`agent.clock.undated_rows`)."""
    return outbox.with_name(f"{outbox.name}.held")


def confirm(outbox: Path, utc_ns: int | None, within_ns: int, system: System) -> None:
    """Keeps a person's word that it is `utc_ns` now, None: what the system's clock shows. Raises `OSError`."""
    kept = {
        "boot": system.boot(),
        "mono_ns": system.mono_ns(),
        "utc_ns": system.wall_ns() if utc_ns is None else utc_ns,
        "within_ns": within_ns,
    }
    rename_into(confirmed_path(outbox), json.dumps(kept))


def _evidence(text: str, boot: str) -> Evidence | None:
    with suppress(ValueError, KeyError, TypeError):
        word = json.loads(text)
        utc_ns, within_ns = int(word["utc_ns"]), int(word["within_ns"])
        if boot and word["boot"] == boot:
            return Evidence(Witness.PERSON, int(word["mono_ns"]), utc_ns - within_ns, utc_ns + within_ns)
    return None
