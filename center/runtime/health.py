"""Counters and conditions of the running center. Frequent events are counted here instead of logged."""

import logging
import threading

_log = logging.getLogger("nhip.center")


class CenterHealth:
    """Any thread may write. A condition is logged once, when it changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._conditions: dict[str, str] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Adds to a counter."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + by

    def set_condition(self, name: str, condition: str) -> None:
        """Sets a condition and logs a change; `ok` is the normal one."""
        with self._lock:
            before = self._conditions.get(name)
            self._conditions[name] = condition
        if before != condition:
            level = logging.INFO if condition == "ok" else logging.WARNING
            _log.log(level, "%s: %s", name, condition)

    def set_note(self, name: str, text: str) -> None:
        """Sets a condition without logging, for texts that change often."""
        with self._lock:
            self._conditions[name] = text[:300]

    def condition(self, name: str) -> str:
        """The current text of a condition, "" if it was never set."""
        with self._lock:
            return self._conditions.get(name, "")

    def counts(self) -> dict[str, int]:
        """All counters by name."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def conditions(self) -> dict[str, str]:
        """All conditions by name."""
        with self._lock:
            return dict(sorted(self._conditions.items()))
