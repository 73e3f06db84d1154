"""What the operating system tells about time. The only file of the agent that asks it.

Whether NTP keeps the clock is asked of the kernel (`adjtimex`, a system call that everybody may make): chrony, ntpd,
systemd-timesyncd and PTP's phc2sys all report there, the flag falls by itself when they have been silent for hours, and
it falls at once when somebody sets the clock by hand. (chrony reports with `rtcsync`, as distributions configure it.)
"""

import ctypes
import os
import time
from pathlib import Path
from typing import Final, Protocol

from agent.clock.guard import Evidence, S, Witness

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_UNSYNCHRONIZED: Final = 0x40
_NANOSECONDS: Final = 0x2000
_MOST_ERROR_NS: Final = S


class System(Protocol):
    """The system as the agent's clock sees it."""

    def wall_ns(self) -> int:
        """The clock that anybody may set [ns UTC]."""
        ...

    def mono_ns(self) -> int:
        """Time since the boot, sleep included [ns]."""
        ...

    def boot(self) -> str:
        """What is the same until the next boot; "" where nobody tells."""
        ...

    def ntp(self) -> Evidence | None:
        """The time that NTP keeps, if it does."""
        ...


class _Timeval(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("fraction", ctypes.c_long))


class _Timex(ctypes.Structure):
    """`struct timex` of linux/timex.h, up to what is read here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", _Timeval),
        ("rest", ctypes.c_char * 256),
    )


class SystemClock:
    """Linux; elsewhere the parts that the system does not have are missing. believed: its wall clock counts as kept by
    NTP, whatever the kernel says (a virtual machine whose host keeps it)."""

    def __init__(self, *, believed: bool = False) -> None:
        self._believed = believed
        self._adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)

    def wall_ns(self) -> int:
        """See `System`."""
        return time.time_ns()

    def mono_ns(self) -> int:
        """See `System`."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic_ns()

    def boot(self) -> str:
        """See `System`."""
        try:
            return _BOOT_ID.read_text().strip()
        except OSError:
            return ""

    def ntp(self) -> Evidence | None:
        """See `System`. As sure as the kernel's greatest error; none beyond a second."""
        if self._believed:
            wall_ns = self.wall_ns()
            return Evidence(Witness.NTP, self.mono_ns(), wall_ns, wall_ns)
        if self._adjtimex is None:
            return None
        told = _Timex()
        mono_ns = self.mono_ns()
        if self._adjtimex(ctypes.byref(told)) < 0 or told.status & _UNSYNCHRONIZED:
            return None
        unsure_ns = told.maxerror * 1000 + self.mono_ns() - mono_ns
        if unsure_ns > _MOST_ERROR_NS:
            return None
        fraction_ns = told.time.fraction if told.status & _NANOSECONDS else told.time.fraction * 1000
        utc_ns = told.time.s * S + fraction_ns
        return Evidence(Witness.NTP, mono_ns, utc_ns - unsure_ns, utc_ns + unsure_ns)


def rename_into(path: Path, text: str) -> None:
    """Writes a small file so that it is there whole or not at all, even after a power cut."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
