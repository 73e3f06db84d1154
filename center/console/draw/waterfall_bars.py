"""The waterfall as bars: where each step begins and ends, and its share. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from center.console.draw.names import Row
from words import percent

_BEYOND: Final = ("all_time", "outside", "break", "not_scheduled")
"""Steps above scheduled time, which are no part of it."""


@dataclass(frozen=True)
class WaterfallBar:
    """One step. step: as the API has it; begin, end: of its bar, 0 to 1; share: of scheduled time in words, "" where it is no
    part of that.
    """

    step: Row
    begin: float
    end: float
    share: str

    @property
    def is_total(self) -> bool:
        """Whether it is a total, not a loss."""
        return not self.step["group"]


def waterfall_bars(steps: Sequence[Row], lang: str) -> list[WaterfallBar]:
    """A bar for each step: totals whole, each loss where it is cut off. Losses of nothing are left out; a negative one, of
    an ideal time that is too long, goes to the other side.
    """
    base_us = max(steps[0]["us"], 1) if steps else 1
    scheduled_us = next((step["us"] for step in steps if step["step"] == "scheduled"), 0)
    out, level_us = [], 0
    for step in steps:
        us = step["us"]
        if not step["group"]:
            level_us, begin_us = us, 0
        elif not us:
            continue
        else:
            level_us -= us
            begin_us = level_us + min(us, 0)
        share = percent(us / scheduled_us, lang) if scheduled_us and step["step"] not in _BEYOND else ""
        out.append(WaterfallBar(step, begin_us / base_us, (begin_us + abs(us)) / base_us, share))
    return out
