"""Process values waiting for an envelope: columns to which a row is appended in well under a microsecond. Pure."""

from array import array
from collections.abc import Sequence
from typing import Any, Final

from oee.model.states import Quality

_NONE: Final = float("nan")
_NO_VALUE: Final = int(Quality.BAD)


class ValueBuffer:
    """Rows in order of arrival, 21 bytes each.

    tags: names, `device.tag`, sorted. place: each row's tag, as an index into `tags`; t_us: its time [us UTC], strictly
    increasing within a tag; number: NaN where there is none; quality: `Quality`; text: by row, where the value is a text.
    """

    __slots__ = ("number", "place", "quality", "t_us", "tags", "text")

    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = tags
        self.place, self.t_us, self.number, self.quality = array("i"), array("q"), array("d"), array("B")
        self.text: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.place)

    def add(self, place: int, t_us: int, value: Any, quality: int) -> None:
        """Appends a row. value: a number, a text or None; it is ignored where the quality is BAD or GAP."""
        if value is None or quality >= _NO_VALUE:
            value = _NONE
        elif isinstance(value, str):
            self.text[len(self.place)], value = value, _NONE
        self.place.append(place)
        self.t_us.append(t_us)
        self.number.append(value)
        self.quality.append(quality)

    def shift(self, by_us: int) -> None:
        """Adds `by_us` to all times [us]."""
        self.t_us = array("q", [t_us + by_us for t_us in self.t_us])
