"""State of the running center, shared by ingest, queries, API and console."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Final

from center.contract.ledger import Changes, HoldsLedger, Ledger, LedgerSnapshot, SharedLedger, new_generation
from center.contract.store import KeepsCycles, KeepsMarks, KeepsValues, RolledUp, RowBatch, Store
from center.contract.streams import lower
from center.ledger.cache import LedgerCache
from center.model.retention import OpenTimes, open_times
from center.model.targets import SaidTarget
from center.runtime.budgets import Budgets
from center.runtime.health import CenterHealth
from center.runtime.live import Pictures
from wire.marks import Marks, intersection

KEEP_VALUES_NS: Final = 90 * 86_400_000_000_000
STORED: Final = ("facts", "values")
"""Kinds of streams whose content goes into the store."""
Commit = Callable[[Sequence[RowBatch], Changes], Changes]


class SaidTargets:
    """The targets of a site that were set at the center, in order; none until the database is connected."""

    def __init__(self) -> None:
        self._read: Callable[[str], Sequence[SaidTarget]] | None = None

    def connect(self, read: Callable[[str], Sequence[SaidTarget]]) -> None:
        """Reads from now on with this."""
        self._read = read

    def __call__(self, site: str) -> Sequence[SaidTarget]:
        """May raise `StoreUnavailable`."""
        return self._read(site) if self._read else ()


@dataclass(frozen=True)
class CenterState:
    """The parts of a running center.

    commit: writes rows and ledger changes, rows never after the mark that covers them; where one file holds both, in
    one transaction. Returns the ledger's resulting state of whatever was changed.
    now_ns: the center's time [ns UTC].
    """

    store: Store
    ledger: Ledger
    ledger_cache: LedgerCache
    commit: Commit
    pictures: Pictures = field(default_factory=Pictures)
    health: CenterHealth = field(default_factory=CenterHealth)
    now_ns: Callable[[], int] = time.time_ns
    name: str = ""
    language: str = "vi"
    keep_values_ns: int = KEEP_VALUES_NS
    said_targets: SaidTargets = field(default_factory=SaidTargets)
    budgets: Budgets = field(default_factory=Budgets)

    @property
    def zone(self) -> tzinfo:
        """That of the first site that has one; UTC without any."""
        sites = self.ledger_cache.sites
        revisions = (sites.current(site) for site in sites.ids())
        return next((item.zone for item in revisions if item is not None), UTC)

    def open_times(self) -> OpenTimes:
        """Of which times rows are accepted now."""
        return open_times(self.store.retention_ns if isinstance(self.store, RolledUp) else 0, self.now_ns())


def center_state(
    store: Store, ledger: Ledger | None = None, *, keep_values_ns: int = KEEP_VALUES_NS, **settings: object
) -> CenterState:
    """A center on a store. ledger: for a store that holds none; keep_values_ns: how long process values are kept [ns],
    0 for not at all.

    Where store and ledger both keep marks, a seq counts as settled only if both have it: after a restore of either from
    an older copy, gateways send again what is missing. Raises `StoreUnavailable`.
    """
    if isinstance(store, HoldsLedger):
        used: Ledger = store.ledger
        commit: Commit = store.commit
    elif ledger is not None:
        used, commit = ledger, _store_first(store, ledger)
    else:
        raise TypeError("a store without a ledger needs a ledger beside it")
    snapshot = used.load()
    if isinstance(store, KeepsMarks):
        snapshot = _lower_to_store(snapshot, store, used)
    cache = LedgerCache(
        snapshot,
        keeps_values=keep_values_ns > 0 and isinstance(store, KeepsValues),
        keeps_cycles=isinstance(store, KeepsCycles),
    )
    center = CenterState(store, used, cache, commit, keep_values_ns=keep_values_ns, **settings)  # type: ignore[arg-type]
    for (site, gateway), why in cache.sites.refused.items():
        center.health.count("site_bodies_refused")
        center.health.set_condition("sites", f"a stored site body of gateway {gateway} of {site} is left out: {why}")
    return center


def _store_first(store: Store, ledger: Ledger) -> Commit:
    """Writes rows, then their marks in the store, then the ledger."""
    writer = ledger.processes.number() if isinstance(ledger, SharedLedger) else ""

    def commit(batches: Sequence[RowBatch], changes: Changes) -> Changes:
        store.write(batches)
        if isinstance(store, KeepsMarks):
            stored = {key: record.marks for key, record in changes.streams.items() if record.kind in STORED}
            store.marks.save(stored, writer)
        return ledger.commit(changes)

    return commit


def _lower_to_store(snapshot: LedgerSnapshot, store: KeepsMarks, ledger: Ledger) -> LedgerSnapshot:
    """The ledger without seqs that the store does not know; a shared ledger is changed itself."""
    in_store = store.marks.load()  # after the ledger was read: commits of other processes since then are in both
    stored = {key: record for key, record in snapshot.streams.items() if record.kind in STORED}
    behind = [
        key for key, record in stored.items() if intersection(record.marks, in_store.get(key, Marks())) != record.marks
    ]
    if not behind:
        return snapshot
    if not isinstance(ledger, SharedLedger):
        for key in behind:
            snapshot.streams[key] = lower(stored[key], in_store.get(key, Marks()))
        return snapshot
    ledger.lower(store.marks.load, behind)
    ledger.commit(Changes(generation=new_generation()))  # so that other processes and the gateways notice
    return ledger.load()
