"""The running center as its parts see it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from center.contract.ledger import Changes, Ledger, LedgerSnapshot, SharedLedger
from center.contract.store import KeepsValues, Marked, RolledUp, RowBatch, Store
from center.contract.streams import lower
from center.ledger.cache import LedgerCache, new_generation
from center.model.retention import closed_before_ns
from center.runtime.health import CenterHealth
from center.runtime.live import Pictures
from wire.marks import Marks, intersection

KEEP_VALUES_NS: Final = 90 * 86_400_000_000_000
STORED: Final = ("facts", "values")
"""The kinds of streams whose content goes into the store."""


@dataclass(frozen=True)
class CenterState:
    """Everything that ingest, API and console share.

    commit: writes facts and books, the facts never after the mark that covers them; of one file in one transaction.
    Returns how the books are now in what was changed.
    now_ns: tells the center's time [ns UTC].
    """

    store: Store
    ledger: Ledger
    ledger_cache: LedgerCache
    commit: Callable[[Sequence[RowBatch], Changes], Changes]
    pictures: Pictures = field(default_factory=Pictures)
    health: CenterHealth = field(default_factory=CenterHealth)
    now_ns: Callable[[], int] = time.time_ns
    name: str = ""
    language: str = "vi"
    keep_values_ns: int = KEEP_VALUES_NS

    def open_from_ns(self) -> int:
        """Rows of minutes before this come too late; 0 if none ever do [ns UTC]."""
        kept_ns = self.store.retention_ns if isinstance(self.store, RolledUp) else 0
        return closed_before_ns(kept_ns, self.now_ns())


def center_state(
    store: Store, books: Ledger | None = None, *, keep_values_ns: int = KEEP_VALUES_NS, **settings: object
) -> CenterState:
    """A center over a store; books: where the store keeps none itself; keep_values_ns: how long process values are
    kept [ns], 0 for not at all.

    Where both keep marks, what only one of them has settled counts as not settled: a store or books that were restored
    from an older copy get everything again that gateways still have. Raises `StoreUnavailable`.
    """
    if isinstance(store, Ledger):
        commit: Callable[[Sequence[RowBatch], Changes], Changes] = store.commit
        kept: Ledger = store
    elif books is not None:
        commit, kept = _store_first(store, books), books
    else:
        raise TypeError("a store without books needs books beside it")
    remembered = kept.remember()
    if isinstance(store, Marked):
        remembered = _lowered(remembered, store, kept)
    memory = LedgerCache(remembered, keeps_values=keep_values_ns > 0 and isinstance(store, KeepsValues))
    return CenterState(store, kept, memory, commit, keep_values_ns=keep_values_ns, **settings)  # type: ignore[arg-type]


def _store_first(store: Store, books: Ledger) -> Callable[[Sequence[RowBatch], Changes], Changes]:
    """Rows, then their marks in the store, then the books."""
    number = books.number() if isinstance(books, SharedLedger) else ""

    def commit(batches: Sequence[RowBatch], changes: Changes) -> Changes:
        store.write(batches)
        if isinstance(store, Marked):
            store.settle({key: state.marks for key, state in changes.streams.items() if state.kind in STORED}, number)
        return books.commit((), changes)

    return commit


def _lowered(remembered: LedgerSnapshot, store: Marked, books: Ledger) -> LedgerSnapshot:
    """The books without what the store does not know."""
    known = store.marks()  # after the books were read: what others have committed since is in both
    stored = {key: state for key, state in remembered.streams.items() if state.kind in STORED}
    short = [key for key, state in stored.items() if intersection(state.marks, known.get(key, Marks())) != state.marks]
    if not short:
        return remembered
    if not isinstance(books, SharedLedger):
        for key in short:
            remembered.streams[key] = lower(stored[key], known.get(key, Marks()))
        return remembered
    books.lower(store.marks, short)
    books.commit((), Changes(generation=new_generation()))  # so that the other processes and the gateways notice
    return books.remember()
