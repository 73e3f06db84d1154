"""The note that the package's `slots` leave where a new version did not start and they went back to the one before."""

import re
from pathlib import Path
from typing import Final

from wire.bodies import WentBack

NOTE: Final = Path("/opt/nhip/went-back")
_FORM: Final = re.compile(r"(\S+) -> (\S+) (\S+)\s*")
"""`NEW -> OLD UNIT`; without a unit it was somebody's wish."""


def read_note() -> WentBack | None:
    """None without such a note: the usual case, also where there is no package."""
    try:
        said = _FORM.fullmatch(NOTE.read_text(encoding="utf-8", errors="replace"))
        at_ns = NOTE.stat().st_mtime_ns
    except OSError:
        return None
    return WentBack(from_version=said[1], to_version=said[2], unit=said[3], at_ns=max(0, at_ns)) if said else None
