"""What the clock keeps on disk beside the outbox, for a restart within the same boot.

    <outbox>.clock       JSON: boot, base_ns, by, since_ns (the monotonic time from which on rows were dated with this base)
    <outbox>.confirmed   JSON: boot, mono_ns, utc_ns, within_ns: a person's confirmation, written by `nhip clock confirm`
    <outbox>.held        rows that have no date yet (`agent.clock.undated_rows`)

The text of `<outbox>.clock` also stands in the outbox while everything is redated (`agent.corrections.redating`), and
then takes precedence. All of this is invalid after the next boot.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from agent.clock.guard import TimeEvidence, Witness
from agent.clock.system import System
from cli.files import write_whole


class KeptBase(NamedTuple):
    """A base of gateway time [ns], its witness, and the monotonic time from which it dates rows [ns]."""

    base_ns: int
    by: Witness
    since_ns: int


def encode_base(kept: KeptBase, boot: str) -> str:
    """The text of `<outbox>.clock`."""
    return json.dumps({"boot": boot, "base_ns": kept.base_ns, "by": kept.by.word, "since_ns": kept.since_ns})


def decode_base(text: str, boot: str) -> KeptBase | None:
    """The base in a text; None if it is of another boot or unreadable."""
    with suppress(ValueError, KeyError, TypeError):
        kept = json.loads(text)
        if boot and kept["boot"] == boot:
            return KeptBase(int(kept["base_ns"]), Witness[str(kept["by"]).upper()], int(kept["since_ns"]))
    return None


class ClockFiles:
    """The files of one outbox in this boot; without an outbox nothing is kept."""

    def __init__(self, outbox: Path | None, boot: str) -> None:
        self._outbox, self._boot = outbox, boot
        self._confirmed = ""

    def kept(self) -> KeptBase | None:
        """The base that an earlier run in this boot kept; None without one."""
        if self._outbox is None or not self._boot:
            return None
        with suppress(OSError, ValueError):
            return decode_base(clock_path(self._outbox).read_text(), self._boot)
        return None

    def keep(self, base: KeptBase) -> bool:
        """Writes the base; False if that failed: a restart then needs evidence again."""
        if self._outbox is None:
            return False
        with suppress(OSError):
            write_whole(clock_path(self._outbox), encode_base(base, self._boot))
            return True
        return False

    def confirmation(self) -> TimeEvidence | None:
        """A person's confirmation that has not been read yet; None without one."""
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


def clock_path(outbox: Path) -> Path:
    """The file that keeps the base."""
    return outbox.with_name(f"{outbox.name}.clock")


def confirmed_path(outbox: Path) -> Path:
    """The file that keeps a person's confirmation."""
    return outbox.with_name(f"{outbox.name}.confirmed")


def undated_path(outbox: Path) -> Path:
    """The file of undated rows."""
    return outbox.with_name(f"{outbox.name}.held")


def confirm(outbox: Path, utc_ns: int | None, within_ns: int, system: System) -> None:
    """Writes a person's confirmation that it is `utc_ns` now (None: what the system clock shows), give or take
    `within_ns`. Raises `OSError`.
    """
    kept = {
        "boot": system.boot(),
        "mono_ns": system.mono_ns(),
        "utc_ns": system.wall_ns() if utc_ns is None else utc_ns,
        "within_ns": within_ns,
    }
    write_whole(confirmed_path(outbox), json.dumps(kept))


def _evidence(text: str, boot: str) -> TimeEvidence | None:
    with suppress(ValueError, KeyError, TypeError):
        kept = json.loads(text)
        utc_ns, within_ns = int(kept["utc_ns"]), int(kept["within_ns"])
        if boot and kept["boot"] == boot:
            return TimeEvidence(Witness.PERSON, int(kept["mono_ns"]), utc_ns - within_ns, utc_ns + within_ns)
    return None
