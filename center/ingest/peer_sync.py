"""What other processes of the same center have done: seen before this one stores anything, and every few seconds.

Without books that are shared there are no others, and nothing here costs anything.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from center.contract.ledger import Changes, SharedLedger
from center.contract.streams import StreamKey
from center.ingest.plan import IngestPlan
from center.runtime.state import CenterState

EVERY_S: Final = 2.0
_TRIES: Final = 5


class PeerSync:
    """Used by the ingest worker's thread alone, which alone changes the memory."""

    def __init__(self, center: CenterState) -> None:
        self._center = center
        self._books = center.ledger if isinstance(center.ledger, SharedLedger) else None
        self._seen_ns, self._next_s = 0, 0.0

    def wait_s(self) -> float | None:
        """How long the worker may sleep; None for as long as nothing comes."""
        return max(self._next_s - time.monotonic(), 0.0) if self._books else None

    def catch_up(self, *, now: bool = False) -> None:
        """Takes over what changed since the last time. now: not only when it is time again. Raises `StoreUnavailable`."""
        if self._books is None or (not now and time.monotonic() < self._next_s):
            return
        self._next_s = time.monotonic() + EVERY_S
        asked_ns, memory = self._center.now_ns(), self._center.ledger_cache
        found = self._books.news(self._seen_ns)
        if found.generation != memory.generation:
            memory.renew(self._books.remember())
        else:
            memory.adopt(found)
        self._seen_ns = asked_ns

    def agreed(self, plan: IngestPlan, again: Callable[[], IngestPlan]) -> IngestPlan:
        """A plan that none of the others has carried out already, as far as anybody can tell before it is stored: what
        is settled is a repetition or a conflict, and a machine belongs to whoever was first. Raises `StoreUnavailable`.

        What this process took as repeated is held against the digests of whoever settled it: it may be a conflict.
        """
        asked: set[tuple[StreamKey, int]] = set()
        for _ in range(_TRIES if self._books else 0):
            assert self._books is not None
            step, unsure = plan.changes(), {at: digest for at, digest in plan.unsure.items() if at not in asked}
            asked |= unsure.keys()
            found = self._books.look(replace(step, digests={**step.digests, **unsure}))
            if not found.owners and all(unsure.get(at) == digest for at, digest in found.digests.items()):
                break
            self._center.ledger_cache.adopt(Changes(found.streams, found.digests, found.owners))
            plan = again()
        return plan
