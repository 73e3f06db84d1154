"""Of which minutes rows are accepted, and how long they are kept. Pure.

A gateway keeps what it sent for 35 days and corrects the last 7; for that long a minute may get rows. Minutes are closed
a week before their rows are deleted: later rows are refused, and the last ones have a week to be added up into sums of
hours and days, which are kept for ever. So nothing that was counted once is lost from a sum.

What is of later than tomorrow comes from a gateway whose clock is wrong: it waits in quarantine, where it can be replayed
once that time has come.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from center.model.complaints import misconfigured
from center.model.times import MAX_NS
from oee.model.facts import HOUR_NS

FOREVER: Final = "inf"
DAY_NS: Final = 24 * HOUR_NS
REPLAY_NS: Final = (35 + 7) * DAY_NS
"""The oldest rows that a gateway may send: the days of its outbox plus the correction window."""
CLOSING_NS: Final = 7 * DAY_NS
AHEAD_NS: Final = DAY_NS
"""How far a gateway's clock may be ahead of the center's: more than zones and a forgotten daylight saving time make."""
_UNITS_NS: Final = {"h": HOUR_NS, "d": DAY_NS, "w": 7 * DAY_NS}


def retention_ns(settings: Mapping[str, object]) -> int:
    """`retention` (`730d`, `104w`, `inf`) in nanoseconds; 0 for ever, which is the default. Raises `Misconfigured`."""
    text = str(settings.get("retention", FOREVER))
    if text in ("", FOREVER):
        return 0
    match = re.fullmatch(r"(\d{1,6})([hdw])", text)
    if not match:
        raise misconfigured("store.retention", text, "invalid", detail="write for example 104w, 730d or inf")
    return check_retention(int(match[1]) * _UNITS_NS[match[2]], text)


def check_retention(kept_ns: int, text: str) -> int:
    """The same time. Raises `Misconfigured` if gateways may still send what would be deleted; text: as configured."""
    if kept_ns and kept_ns < REPLAY_NS + CLOSING_NS:
        raise misconfigured("store.retention", text, "short_retention", least=f"{(REPLAY_NS + CLOSING_NS) // DAY_NS}d")
    return kept_ns


@dataclass(frozen=True)
class OpenTimes:
    """Of which times rows and site bodies are accepted: half-open [ns UTC]."""

    from_ns: int = 0
    until_ns: int = MAX_NS


ALWAYS: Final = OpenTimes()


def open_times(kept_ns: int, now_ns: int) -> OpenTimes:
    """The times that are open now. kept_ns: how long minute rows are kept, 0 for ever."""
    return OpenTimes(closed_before_ns(kept_ns, now_ns), min(now_ns + AHEAD_NS, MAX_NS))


def closed_before_ns(kept_ns: int, now_ns: int) -> int:
    """Rows of earlier minutes are late; 0 if no minute is ever closed. On a whole hour."""
    return (now_ns - kept_ns + CLOSING_NS) // HOUR_NS * HOUR_NS if kept_ns else 0


def deleted_before_ns(kept_ns: int, now_ns: int) -> int:
    """Minute rows before this may be deleted, once their hours are added up; 0 for none. On a whole day of UTC."""
    return (now_ns - kept_ns) // DAY_NS * DAY_NS if kept_ns else 0
