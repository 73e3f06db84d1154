"""The running center as its parts see it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from center.books import Books, Changes, Remembered
from center.health import Health
from center.ledger import Marks, lower
from center.live import Pictures
from center.memory import Memory
from center.retention import closed_before_ns
from center.stores.contract import Batch, KeepsValues, Marked, RolledUp, Store

KEEP_VALUES_NS: Final = 90 * 86_400_000_000_000
STORED: Final = ("facts", "values")
"""The kinds of streams whose content goes into the store."""


@dataclass(frozen=True)
class Center:
    """Everything that ingest, API and console share.

    commit: writes facts and books, the facts never after the mark that covers them; of one file in one transaction.
    now_ns: tells the center's time [ns UTC].
    """

    store: Store
    books: Books
    memory: Memory
    commit: Callable[[Sequence[Batch], Changes], None]
    pictures: Pictures = field(default_factory=Pictures)
    health: Health = field(default_factory=Health)
    now_ns: Callable[[], int] = time.time_ns
    name: str = ""
    language: str = "vi"
    keep_values_ns: int = KEEP_VALUES_NS

    def open_from_ns(self) -> int:
        """Rows of minutes before this come too late; 0 if none ever do [ns UTC]."""
        kept_ns = self.store.retention_ns if isinstance(self.store, RolledUp) else 0
        return closed_before_ns(kept_ns, self.now_ns())


def center_of(
    store: Store, books: Books | None = None, *, keep_values_ns: int = KEEP_VALUES_NS, **settings: object
) -> Center:
    """A center over a store; books: where the store keeps none itself; keep_values_ns: how long process values are
    kept [ns], 0 for not at all.

    Where both keep marks, what only one of them has settled counts as not settled: a store or books that were restored
    from an older copy get everything again that gateways still have. Raises `StoreAway`.
    """
    if isinstance(store, Books):
        commit = store.commit
        kept: Books = store
    elif books is not None:
        kept = books

        def commit(batches: Sequence[Batch], changes: Changes) -> None:
            store.write(batches)
            if isinstance(store, Marked):
                store.settle({key: state.marks for key, state in changes.streams.items() if state.kind in STORED})
            kept.commit((), changes)

    else:
        raise TypeError("a store without books needs books beside it")
    remembered = kept.remember()
    if isinstance(store, Marked):
        _lower(remembered, store)
    memory = Memory(remembered, keeps_values=keep_values_ns > 0 and isinstance(store, KeepsValues))
    return Center(store, kept, memory, commit, keep_values_ns=keep_values_ns, **settings)  # type: ignore[arg-type]


def _lower(remembered: Remembered, store: Marked) -> None:
    known = store.marks()
    for key, state in remembered.streams.items():
        if state.kind in STORED:
            remembered.streams[key] = lower(state, known.get(key, Marks()))
