"""How often a password may be tried: by account and by address. Pure: told the time, holds counts only.

After `FREE` failures each further one doubles the wait, from `FIRST_S` to `LONGEST_S`. A right password clears the
account's count, never the address's: who knows one password may not guess others' faster for it. A try is counted
before it is judged, so that many at once are no way around.
"""

from dataclasses import dataclass, field
from typing import Final

FREE: Final = {"account": 5, "address": 20}
FIRST_S: Final = 30.0
LONGEST_S: Final = 900.0
FORGET_S: Final = 3600.0
MOST: Final = 20_000
"""Names and addresses that are remembered; the oldest are forgotten first."""


@dataclass
class Attempts:
    """Failures of the last hour of one process. failures: by kind and name, how many and when the last one was [s]."""

    failures: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)

    def wait_s(self, account: str, address: str, now_s: float) -> float:
        """How long this one must wait before the next try [s]; 0 when it may try now."""
        return max(0.0, *(self._until_s(key, now_s) - now_s for key in _keys(account, address)))

    def failed(self, account: str, address: str, now_s: float) -> None:
        """Counts a try, which is a failure until it has succeeded."""
        for key in _keys(account, address):
            count, _ = self._known(key, now_s)
            self.failures.pop(key, None)  # the newest stand last
            self.failures[key] = (count + 1, now_s)
        while len(self.failures) > MOST:
            del self.failures[next(iter(self.failures))]

    def succeeded(self, account: str, address: str) -> None:
        """Forgets the failures of an account, and that this try was counted against the address."""
        self.failures.pop(("account", account), None)
        count, last_s = self.failures.get(("address", address), (0, 0.0))
        if count:
            self.failures["address", address] = (count - 1, last_s)

    def _known(self, key: tuple[str, str], now_s: float) -> tuple[int, float]:
        count, last_s = self.failures.get(key, (0, now_s))
        return (0, now_s) if now_s - last_s > FORGET_S else (count, last_s)

    def _until_s(self, key: tuple[str, str], now_s: float) -> float:
        count, last_s = self._known(key, now_s)
        over = count - FREE[key[0]]
        return last_s + min(FIRST_S * 2.0 ** min(over, 10), LONGEST_S) if over >= 0 else now_s


def _keys(account: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("account", account), ("address", address)
