"""Synchronisation with other processes of the same center: before anything is stored, and every few seconds.

Without a shared ledger there are no other processes, and nothing here does any work.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from center.contract.ledger import Changes, SharedLedger
from center.contract.streams import StreamKey
from center.ingest.planning.plan import IngestPlan
from center.runtime.state import CenterState

EVERY_S: Final = 2.0
_ATTEMPTS: Final = 5


class PeerSync:
    """Used by the ingest worker's thread alone, which alone changes the ledger cache."""

    def __init__(self, center: CenterState, *, settles: bool = False) -> None:
        """settles: this process takes a share of what gateways send."""
        self._center, self._settles = center, settles
        self._ledger = center.ledger if isinstance(center.ledger, SharedLedger) else None
        self._synced_ns, self._next_s = 0, 0.0

    def wait_s(self) -> float | None:
        """How long the worker may sleep; None for as long as nothing arrives."""
        return max(self._next_s - time.monotonic(), 0.0) if self._ledger else None

    def catch_up(self, *, now: bool = False) -> None:
        """Adopts what other processes changed since the last time. now: even if it is not due yet. Raises
        `StoreUnavailable`.
        """
        if self._ledger is None or (not now and time.monotonic() < self._next_s):
            return
        self._next_s = time.monotonic() + EVERY_S
        read_ns, cache = self._center.now_ns(), self._center.ledger_cache
        changes = self._ledger.changes_since(self._synced_ns)
        if changes.generation != cache.generation:
            cache.reset(self._ledger.load())
        else:
            cache.adopt(changes)
        self._synced_ns = read_ns
        if self._settles:
            self._center.budgets.share_among(self._ledger.processes.workers())

    def reconciled(self, make_plan: Callable[[], IngestPlan]) -> IngestPlan:
        """A plan that no other process has carried out already, as far as is known before it is stored: settled seqs
        are repetitions or conflicts, and a machine belongs to the gateway that was first. Raises `StoreUnavailable`.

        Digests of envelopes taken as repeated are compared with those of the process that settled them: they may be
        conflicts.
        """
        plan = make_plan()
        compared: set[tuple[StreamKey, int]] = set()
        for _ in range(_ATTEMPTS if self._ledger else 0):
            assert self._ledger is not None
            step, unsure = plan.changes(), {at: digest for at, digest in plan.unsure.items() if at not in compared}
            compared |= unsure.keys()
            changes = self._ledger.reconcile(replace(step, digests={**step.digests, **unsure}))
            known = self._center.ledger_cache.streams
            beside = all(
                key in known and record.covers == known[key].covers
                for key, record in changes.streams.items()
                if key not in step.streams
            )
            same = all(unsure.get(at) == digest for at, digest in changes.digests.items())
            if not changes.owners and beside and same:
                break
            self._center.ledger_cache.adopt(Changes(changes.streams, changes.digests, changes.owners))
            plan = make_plan()
        return plan
