"""How one file writes its times, and whether it keeps to it."""

from zoneinfo import ZoneInfo

from replay.read.conflicts import Conflicts


class Zones:
    """Told of each time's style; says once what was assumed, and when a file mixes styles."""

    def __init__(self, file: str, zone: ZoneInfo, conflicts: Conflicts) -> None:
        self._file, self._zone, self._conflicts = file, zone, conflicts
        self._first: str | None = None

    def naive(self, line: int, text: str) -> None:
        """A time without an offset."""
        self._conflicts.add(self._file, line, "naive_time", "time", text, severity="note", zone=self._zone.key)
        self._keep(line, text, "-")

    def aware(self, line: int, text: str, offset_s: int, site_offset_s: int) -> None:
        """A time with an offset. The site's own offset, which may change with the season, is one style."""
        self._keep(line, text, "site" if offset_s == site_offset_s else str(offset_s))

    def epoch(self, line: int, text: str, unit: str) -> None:
        """A number; seconds unless its size says otherwise."""
        if unit != "s":
            self._conflicts.add(self._file, line, "epoch_unit", "time", text, severity="note", unit=unit)
        self._keep(line, text, f"epoch {unit}")

    def _keep(self, line: int, text: str, style: str) -> None:
        if self._first is None:
            self._first = style
        elif style != self._first:
            self._conflicts.add(self._file, line, "mixed_times", "time", text)
