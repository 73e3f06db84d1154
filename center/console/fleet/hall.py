"""The fleet on a screen in the hall: nothing to click, readable from afar, and never silently out of date.

The center sets the clock, and its beat, with every refresh. `console.js` watches it: once it has stood still for ten seconds the
whole picture says that it is cut off, and how old it is.
"""

import json
from collections.abc import Callable
from datetime import tzinfo
from itertools import count
from typing import Final

from nicegui import ui

from center.console import frame
from center.console.draw import time_labels
from center.console.draw.markup import el
from words import say

HALL: Final = "hall"
_TURN_EVERY_S: Final = 20.0


def add_clock(visit: frame.Visit, zone: tzinfo) -> Callable[[], None]:
    """The clock, and what sets it."""
    ui.query("body").classes(HALL)
    clock = ui.html("", sanitize=False).classes("hall-clock")
    clock.props["data-cut"] = say("console.hall.cut", visit.lang)
    clock.props["data-age"] = say("console.hall.age", visit.lang, at="{at}", age="{age}")  # filled in by console.js
    beats = count()

    def set_clock() -> None:
        time = f"{time_labels.local(visit.center.now_ns(), zone):%H:%M:%S}"
        clock.set_content(el("b", time, data_beat=next(beats)))

    return set_clock


def turn_pages(address_of: Callable[[int], str], shown: int, parts: int) -> None:
    """Goes on to the next part every 20 s, and from the last to the first."""
    if parts > 1:
        script = (
            f"location.assign({json.dumps(address_of(shown % parts + 1))})"  # the address has the root path already
        )
        ui.timer(_TURN_EVERY_S, lambda: ui.run_javascript(script), once=True)
