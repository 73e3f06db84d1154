"""What each gateway may cost: buckets of messages, bytes and site bodies that fill again as time goes by.

A gateway whose bucket is empty waits: what it sends is acknowledged to the broker, so that the messages of others come
through, and neither stored nor receipted. It keeps its envelopes and sends them again.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from center.contract.ledger import ENTRY_BYTES

_MOST_GATEWAYS: Final = 10_000
_QUARANTINE_COST: Final = 20
"""Of a payload that goes to quarantine, in messages: it is kept whole, and a commit of its own where nothing else came."""
_SAVED: Final = 5
"""Minutes whose messages and bytes a gateway may send at once: the first two days after an outage. What they are unpacked costs
the center's time, and is not saved up."""
_LATELY_S: Final = 600.0
_MB: Final = 1_000_000
_MINUTE_S, _DAY_S = 60.0, 86_400.0


@dataclass(frozen=True)
class BudgetLimits:
    """By gateway. per minute: `messages`, `packed_bytes` as they arrive, `unpacked_bytes`; per day: `site_bodies`, `notices`, and
    `series`: new ones in a store that counts them; quarantine_bytes: kept in quarantine.
    """

    messages: int = 3000
    packed_bytes: int = 32 * _MB
    unpacked_bytes: int = 128 * _MB
    site_bodies: int = 200
    quarantine_bytes: int = 512 * _MB
    series: int = 20_000
    notices: int = 10_000


class HeldBack(NamedTuple):
    """A gateway that lately sent more than its budget. messages: how many of it were not taken since the start."""

    messages: int
    last_s: float


@dataclass
class _Account:
    """What is left of each budget; unpacked bytes may be overdrawn, since they are known only afterwards."""

    left: dict[str, float]
    at_s: float
    refused: int = 0
    refused_s: float = float("-inf")
    beyond_series_s: float = float("-inf")
    quarantined_bytes: int | None = None
    """At most so many are in the ledger's quarantine; None before anybody has looked."""


class Budgets:
    """Of all gateways of a center. Any thread may use it; it is told the time [s], of any clock that never goes back."""

    def __init__(self, limits: BudgetLimits = BudgetLimits()) -> None:  # frozen
        self.limits = limits
        self._lock = threading.Lock()
        self._accounts: dict[tuple[str, str], _Account] = {}
        self._workers = 1
        self._full: dict[str, tuple[float, float]] = {
            "messages": (limits.messages * _SAVED, limits.messages / _MINUTE_S),
            "packed": (limits.packed_bytes * _SAVED, limits.packed_bytes / _MINUTE_S),
            "unpacked": (limits.unpacked_bytes, limits.unpacked_bytes / _MINUTE_S),
            "sites": (limits.site_bodies, limits.site_bodies / _DAY_S),
            "notices": (limits.notices, limits.notices / _DAY_S),
        }

    def share_among(self, workers: int) -> None:
        """From now on so many processes take messages, each a share of every gateway's: all of them together keep to its budget.
        New series are counted by the store and payloads in quarantine by the ledger, for all processes at once.
        """
        with self._lock:
            self._workers = workers

    def admits(self, site: str, gateway: str, size: int, now_s: float, *, is_site_body: bool = False) -> bool:
        """Whether a message of that size [bytes] is taken; it is charged then."""
        cost = {"messages": 1.0, "packed": float(size)} | ({"sites": 1.0} if is_site_body else {})
        with self._lock:
            account = self._account(site, gateway, now_s)
            if any(account.left[name] <= 0 for name in (*cost, "unpacked")):
                account.refused += 1
                account.refused_s = now_s
                return False
            for name, amount in cost.items():
                account.left[name] -= amount
            return True

    def admits_notices(self, site: str, gateway: str, count: int, now_s: float) -> bool:
        """Whether so many new notices are stored; they are charged then."""
        with self._lock:
            account = self._account(site, gateway, now_s)
            if account.left["notices"] < count:
                account.refused += 1
                account.refused_s = now_s
                return False
            account.left["notices"] -= count
            return True

    def charge_unpacked(self, site: str, gateway: str, size: int, now_s: float) -> None:
        """What a gateway's messages were unpacked [bytes]."""
        with self._lock:
            self._account(site, gateway, now_s).left["unpacked"] -= size

    def quarantined(self, site: str, gateway: str, sizes: Sequence[int], now_s: float) -> bool:
        """Payloads of these sizes [bytes] more are in quarantine, each of which costs as much as many sound ones. Whether
        that may be more than the gateway may have there.
        """
        with self._lock:
            account = self._account(site, gateway, now_s)
            account.left["messages"] -= _QUARANTINE_COST * len(sizes)
            if account.quarantined_bytes is not None:
                account.quarantined_bytes += sum(sizes) + ENTRY_BYTES * len(sizes)
            known = account.quarantined_bytes
        return known is None or known > self.limits.quarantine_bytes

    def found_in_quarantine(self, site: str, gateway: str, size: int, now_s: float) -> None:
        """So many bytes of it are in quarantine: somebody has looked."""
        with self._lock:
            self._account(site, gateway, now_s).quarantined_bytes = size

    def beyond_series(self, site: str, gateway: str, now_s: float) -> None:
        """Some of its rows are in quarantine, since they would bring more new series than it may."""
        with self._lock:
            self._account(site, gateway, now_s).beyond_series_s = now_s

    def is_beyond_series(self, site: str, gateway: str, now_s: float) -> bool:
        """Whether that was within the last ten minutes."""
        account = self._accounts.get((site, gateway))
        return account is not None and now_s - account.beyond_series_s <= _LATELY_S

    def held_back(self, site: str, gateway: str, now_s: float) -> HeldBack | None:
        """The gateway's state if it was held back within the last ten minutes."""
        account = self._accounts.get((site, gateway))
        if account is None or now_s - account.refused_s > _LATELY_S:
            return None
        return HeldBack(account.refused, account.refused_s)

    def refusals(self) -> dict[tuple[str, str], int]:
        """By site and gateway how many messages were not taken since the start, of those of which some were not."""
        with self._lock:
            return {key: account.refused for key, account in sorted(self._accounts.items()) if account.refused}

    def _account(self, site: str, gateway: str, now_s: float) -> _Account:
        account = self._accounts.get((site, gateway))
        if account is None:
            if len(self._accounts) >= _MOST_GATEWAYS:
                self._accounts.clear()  # more gateways than any center has: all begin anew
            account = _Account({name: full for name, (full, _) in self._full.items()}, now_s)
            self._accounts[site, gateway] = account
        passed_s, account.at_s = max(now_s - account.at_s, 0.0), max(now_s, account.at_s)
        for name, (full, rate) in self._full.items():
            account.left[name] = min(account.left[name] + rate * passed_s / self._workers, full / self._workers)
        return account
