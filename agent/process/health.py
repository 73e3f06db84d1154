"""Counters and gauges: what can be counted is counted here instead of logged."""

import os
import resource
import time
from collections import Counter
from pathlib import Path


class Health:
    """Counters and gauges of one agent, passed to the parts that count; there is no global instance."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._gauges: dict[str, float] = {}
        self._since_s = time.monotonic()

    def count(self, name: str, by: int = 1) -> None:
        """Adds to a counter."""
        self._counts[name] += by

    def gauge(self, name: str, value: float) -> None:
        """Sets a value that goes up and down."""
        self._gauges[name] = value

    def snapshot(self) -> dict[str, float]:
        """All counters and gauges as of now, with the process's memory [MB], CPU time [s] and age [s]."""
        times = os.times()
        return {
            **{name: float(count) for name, count in self._counts.items()},
            **self._gauges,
            "rss_mb": round(rss_mb(), 1),
            "cpu_s": round(times.user + times.system, 2),
            "uptime_s": round(time.monotonic() - self._since_s, 1),
        }


class Rate:
    """How fast a counter grows. per_s: between the latest two samples; None before the second."""

    def __init__(self) -> None:
        self.per_s: float | None = None
        self._last: tuple[float, float] | None = None

    def sample(self, now_s: float, count: float) -> None:
        """The counter's value as of now."""
        if self._last and now_s > self._last[0]:
            self.per_s = (count - self._last[1]) / (now_s - self._last[0])
        self._last = (now_s, count)


def rss_mb() -> float:
    """Resident memory of this process [MB]; its peak where the system does not report the current value."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / 2**20
