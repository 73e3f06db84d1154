"""The operating system's clocks; no other file of the agent reads them.

Whether NTP disciplines the clock is read from the kernel (`adjtimex`, which needs no privilege): chrony, ntpd,
systemd-timesyncd and PTP's phc2sys all report there. The kernel clears the flag when they have been silent for hours, and
at once when somebody sets the clock by hand. (chrony reports with `rtcsync`, as distributions configure it.)
"""

import ctypes
import time
from pathlib import Path
from typing import Final, Protocol

from agent.clock.guard import S, TimeEvidence, Witness

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_UNSYNCHRONIZED: Final = 0x40
_NANOSECONDS: Final = 0x2000
_MOST_ERROR_NS: Final = S


class System(Protocol):
    """The system as the agent's clock sees it."""

    def wall_ns(self) -> int:
        """The wall clock, which people and programs may set [ns UTC]."""
        ...

    def mono_ns(self) -> int:
        """Time since the boot, sleep included [ns]."""
        ...

    def boot(self) -> str:
        """An id that stays the same until the next boot; "" where the system has none."""
        ...

    def ntp(self) -> TimeEvidence | None:
        """The time, if NTP disciplines the clock; else None."""
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
    """The clocks of Linux; another system may lack some. believed: the wall clock counts as disciplined by NTP, whatever
    the kernel reports (a virtual machine whose host disciplines it).
    """

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

    def ntp(self) -> TimeEvidence | None:
        """See `System`. The uncertainty is the kernel's maximum error; None if that is more than a second."""
        if self._believed:
            wall_ns = self.wall_ns()
            return TimeEvidence(Witness.NTP, self.mono_ns(), wall_ns, wall_ns)
        if self._adjtimex is None:
            return None
        timex = _Timex()
        mono_ns = self.mono_ns()
        if self._adjtimex(ctypes.byref(timex)) < 0 or timex.status & _UNSYNCHRONIZED:
            return None
        uncertain_ns = timex.maxerror * 1000 + self.mono_ns() - mono_ns
        if uncertain_ns > _MOST_ERROR_NS:
            return None
        fraction_ns = timex.time.fraction if timex.status & _NANOSECONDS else timex.time.fraction * 1000
        utc_ns = timex.time.s * S + fraction_ns
        return TimeEvidence(Witness.NTP, mono_ns, utc_ns - uncertain_ns, utc_ns + uncertain_ns)
