"""Long files: a row for each value, with its time, its tag and perhaps its quality, as historians and panels export them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oee.model.samples import Int64
from oee.model.states import Quality
from replay.read.cells import Cells
from replay.read.clean import Raw
from replay.read.columns import ColumnNames, Kind
from replay.read.conflicts import Conflicts

CellsOf = Callable[[str, Kind, Int64], Cells | None]
"""The values of a tag in these rows of a block; None where they have to be read one by one."""
_GOOD: Final = frozenset({"good", "ok", "valid", "true", "1", "100"})
_GOOD_FROM: Final = 192
"""OPC's quality codes from here on are good."""


class LongRows:
    """The rows of one long file. seen: the full names of the tags of which there has been a value."""

    def __init__(
        self,
        file: str,
        kinds: Mapping[str, Kind],
        names: ColumnNames,
        words: Mapping[str, float],
        conflicts: Conflicts,
    ) -> None:
        """kinds: of the tags to be read, by full name; words: of qualities, by `str.casefold`."""
        self._file, self._kinds, self._names, self._words, self._conflicts = file, kinds, names, words, conflicts
        self.seen: set[str] = set()

    def read(
        self, t_ns: Int64, written: Sequence[str], qualities: Sequence[str], cells_of: CellsOf, lines: Int64
    ) -> Raw | None:
        """Rows with a column for each tag, which is empty but for the tag's own rows; None where `cells_of` cannot read
        them. written, qualities: by row, no qualities where the file has none.
        """
        meant = {name: self._names.tag(name) for name in dict.fromkeys(written)}
        tags = np.array([meant[name] for name in written], object)
        unsound = {text: self._is_bad(text) for text in dict.fromkeys(qualities)}
        bad = np.array([unsound[text] for text in qualities], np.bool_) if qualities else np.zeros(len(tags), np.bool_)
        out: dict[str, Cells] = {}
        for tag, kind in self._kinds.items():
            rows = np.flatnonzero(tags == tag)
            cells = cells_of(tag, kind, rows)
            if cells is None:
                return None
            out[tag] = _spread(cells, rows, bad)
        self.seen |= self._kinds.keys() & set(meant.values())
        self._report("unknown_tag", "tag", tags == "", written, lines)
        self._report("bad_quality", "quality", bad, qualities, lines)
        return Raw(t_ns, out, int(lines[0]) if len(lines) else 0, lines)

    def _is_bad(self, text: str) -> bool:
        word = text.strip().casefold()
        if word in self._words:
            return self._words[word] == 0
        if word.isdigit() and int(word) >= _GOOD_FROM:
            return False
        return bool(word) and word not in _GOOD and not word.startswith("good")

    def _report(self, code: str, key: str, where: NDArray[np.bool_], written: Sequence[str], lines: Int64) -> None:
        rows = np.flatnonzero(where)
        if len(rows):
            text = written[int(rows[0])]
            near = self._names.nearest(text)
            self._conflicts.add(
                self._file, int(lines[rows[0]]), code, key, text, count=len(rows), severity="note", near=near
            )


def _spread(cells: Cells, rows: Int64, bad: NDArray[np.bool_]) -> Cells:
    value: NDArray[Any] = np.zeros(len(bad), cells.value.dtype)
    quality, present = np.zeros(len(bad), np.uint8), np.zeros(len(bad), np.bool_)
    value[rows] = cells.value
    present[rows] = True if cells.present is None else cells.present
    quality[rows] = 0 if cells.quality is None else cells.quality
    quality[bad & present] = Quality.BAD
    return Cells(value, quality, present)
