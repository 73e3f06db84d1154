"""Which process listens on a TCP port of this computer, as far as this account may know."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

_LISTENING: Final = "0A"
_PROC: Final = Path("/proc")


def listener_on(port: int) -> str:
    """`name (process 123)` of the process that listens on this port; "" if that cannot be told: it belongs to somebody else, or
    this system has no /proc.
    """
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in _PROC.glob("[0-9]*") if sockets else ():
        with suppress(OSError):
            if any(str(item.readlink()) in sockets for item in (process / "fd").iterdir()):
                words = (process / "cmdline").read_text(errors="replace").split("\0")
                return f"{_name(words)} (process {process.name})"
    return ""


def _inodes(port: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                    found.add(columns[9])
    return found


def _name(words: list[str]) -> str:
    """`nhip simulate` of `/usr/bin/python3 -m nhip simulate x.yaml`."""
    names = [Path(word).name for word in words if word and not word.startswith("-")]
    if len(names) > 1 and re.fullmatch(r"python[\d.]*", names[0]):
        names = names[1:]
    return " ".join(names[:2])
