"""Login throttling by account and by address. Pure: the time is an argument, and only counts are kept.

After `FREE` failures each further one doubles the delay, from `FIRST_S` to `LONGEST_S`. A correct password clears the
account's count but never the address's: knowing one password must not allow guessing others faster. An attempt counts
as a failure before its password is checked, so that concurrent attempts cannot evade the limit.
"""

from dataclasses import dataclass, field
from typing import Final

FREE: Final = {"account": 5, "address": 20}
FIRST_S: Final = 30.0
LONGEST_S: Final = 900.0
FORGET_S: Final = 3600.0
MOST: Final = 20_000
"""Bound on accounts and addresses with failures; the oldest are dropped first."""


@dataclass
class Attempts:
    """Failed logins of the last hour in this process. failures: by kind and name, their number and the time of the last [s]."""

    failures: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)

    def wait_s(self, account: str, address: str, now_s: float) -> float:
        """Delay before the next attempt is allowed [s]; 0 if it is allowed now."""
        return max(0.0, *(self._until_s(key, now_s) - now_s for key in _keys(account, address)))

    def failed(self, account: str, address: str, now_s: float) -> None:
        """Counts an attempt, which is a failure until it has succeeded."""
        for key in _keys(account, address):
            count, _ = self._recent(key, now_s)
            self.failures.pop(key, None)  # moved to the end: the dict is ordered by time
            self.failures[key] = (count + 1, now_s)
        while len(self.failures) > MOST:
            del self.failures[next(iter(self.failures))]

    def succeeded(self, account: str, address: str) -> None:
        """Clears the failures of the account, and takes this attempt off the address's count."""
        self.failures.pop(("account", account), None)
        count, last_s = self.failures.get(("address", address), (0, 0.0))
        if count:
            self.failures["address", address] = (count - 1, last_s)

    def _recent(self, key: tuple[str, str], now_s: float) -> tuple[int, float]:
        count, last_s = self.failures.get(key, (0, now_s))
        return (0, now_s) if now_s - last_s > FORGET_S else (count, last_s)

    def _until_s(self, key: tuple[str, str], now_s: float) -> float:
        count, last_s = self._recent(key, now_s)
        over = count - FREE[key[0]]
        return last_s + min(FIRST_S * 2.0 ** min(over, 10), LONGEST_S) if over >= 0 else now_s


def _keys(account: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("account", account), ("address", address)
