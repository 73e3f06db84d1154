"""Settles envelopes: plans, commits to store and ledger, adopts the result, then sends receipts."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

from center.contract.ledger import Changes
from center.contract.store import CountsSeries, ForgetsMachines, KeepsValues, RowBatch, StoreRefused, StoreUnavailable
from center.ingest.peer_sync import PeerSync
from center.ingest.planning.plan import EnvelopeMessage, IngestPlan, SeriesRoom
from center.ingest.planning.planner import plan_messages, plan_replay
from center.ingest.receipts import ReceiptSender
from center.ingest.retry import StoreRetry
from center.model.sites import FORGOTTEN_NS, retired_since
from center.runtime.state import CenterState
from wire.envelope import Unsound
from wire.topics import parse

_FORGET_EVERY_NS: Final = 3_600_000_000_000


class StillNamed(Exception):
    """A machine that its gateway's site file names is not deleted: its gateway goes on to send it."""


def _quarantined(plan: IngestPlan) -> dict[tuple[str, str], list[int]]:
    """By site and gateway the sizes of what goes to quarantine [bytes]."""
    out: dict[tuple[str, str], list[int]] = {}
    for entry in plan.quarantine:
        if where := parse(entry.topic):
            out.setdefault((where.site, where.gateway), []).append(len(entry.payload))
    return out


class Settler:
    """Used by the ingest worker's thread, or by a command where no worker runs."""

    def __init__(self, center: CenterState, peers: PeerSync, retry: StoreRetry, receipts: ReceiptSender) -> None:
        self._center, self._cache = center, center.ledger_cache
        self._peers, self._retry, self._receipts = peers, retry, receipts
        self._forget_next_ns = 0

    def settle(self, messages: Sequence[EnvelopeMessage], refused: str = "") -> bool:
        """Commits and receipts; False if it was stopped before the store took them. refused: why their content is to
        be quarantined unread.
        """

        def planned() -> IngestPlan:
            now_ns, times = self._center.now_ns(), self._center.open_times()
            room = self._room({message.topic.site for message in messages})
            return plan_messages(self._cache, messages, now_ns, times, refused=refused, room=room)

        plan = self._retry.run(lambda: self._peers.reconciled(planned))
        if plan is None:
            return False
        try:
            if not self.commit(plan.batches, plan.changes()):
                return False
        except StoreRefused as error:
            if len(messages) > 1:
                outcomes = [self.settle([message]) for message in messages]
                return all(outcomes)
            if refused:
                raise
            return self.settle(messages, str(error))
        self._count(plan)
        for site, gateway in plan.newer:
            self._center.pictures.record_unreadable(site, gateway, self._center.now_ns())
        self._forget_old_values(plan)
        self._cache.disputed |= plan.disputed
        self._receipts.send(plan.heard)
        return True

    def replay(self, number: int, *, partly: bool = False) -> None:
        """Stores a quarantined payload if it is accepted by now, and removes it from the quarantine. partly: stores what
        is accepted of it by now.

        Raises `Unsound` if it is not accepted, `LookupError` if there is none of that number, or `StoreUnavailable`.
        """
        entry = self._center.ledger.payload(number)
        if entry is None:
            raise LookupError(f"there is no quarantined payload {number}")
        self._peers.catch_up(now=True)
        now_ns, times = self._center.now_ns(), self._center.open_times()
        where = parse(entry.topic)
        room = self._room({where.site}) if where else None
        plan, refusal = plan_replay(self._cache, number, entry, now_ns, times, partly=partly, room=room)
        try:
            if not self.commit(plan.batches, plan.changes()):
                raise StoreUnavailable(self._center.health.condition("store"))
        except StoreRefused as error:
            raise Unsound(f"refused by the store: {error}") from error
        self._count(plan)
        self._receipts.send(plan.heard)
        if refusal:
            raise refusal
        self._center.health.count("released")

    def forget_machine(self, site: str, machine: str, record: Callable[[], None]) -> None:
        """Deletes the rows of a retired machine, and takes it off the list. Process values belong to its gateway and stay.
        record: enters it into the audit trail; called before anything is deleted.

        Raises `LookupError` if there is no such machine, `StillNamed`, `StoreRefused` where the store cannot do it, or
        `StoreUnavailable`; it may be repeated.
        """
        self._peers.catch_up(now=True)
        owner, store = self._cache.sites.owner(site, machine), self._center.store
        if owner is None or machine not in self._cache.sites.machines(site):
            raise LookupError(f"site {site[:64]!r} has no machine {machine[:64]!r}")
        if retired_since(self._cache.sites, site, machine) is None:
            raise StillNamed(f"the site file of gateway {owner.gateway!r} still names machine {machine!r}")
        if not isinstance(store, ForgetsMachines):
            raise StoreRefused("this store cannot delete the rows of a machine")
        record()
        store.forget_machine(site, machine)
        if not self.commit((), Changes(owners=[replace(owner, first_ns=FORGOTTEN_NS)])):
            raise StoreUnavailable(self._center.health.condition("store"))

    def commit(self, batches: Sequence[RowBatch], changes: Changes) -> bool:
        """Writes store and ledger, retrying while they are unavailable, and adopts the result; False if it was stopped
        meanwhile. Raises `StoreRefused`.
        """
        result = self._retry.run(lambda: self._center.commit(batches, changes))
        if result is None:
            return False
        self._center.health.set_condition("store", "ok")
        self._cache.adopt(result)
        return True

    def _room(self, sites: Collection[str]) -> SeriesRoom | None:
        """For new series of these sites. May raise `StoreUnavailable`."""
        store = self._center.store
        if not isinstance(store, CountsSeries):
            return None
        store.series.read(sites)
        return SeriesRoom(store.series, self._center.budgets.limits.series)

    def _count(self, plan: IngestPlan) -> None:
        health = self._center.health
        for name, number in plan.counts.items():
            health.count(name, number)
        if rows := sum(len(batch.facts) for batch in plan.batches):
            health.count("fact_rows", rows)
        if rows := sum(len(batch.values) for batch in plan.batches):
            health.count("value_rows", rows)
        self._charge(plan)

    def _charge(self, plan: IngestPlan) -> None:
        """What became of the messages, to the accounts of their gateways."""
        budgets, now_s = self._center.budgets, time.monotonic()
        for (site, gateway), size in plan.unpacked.items():
            budgets.charge_unpacked(site, gateway, size, now_s)
        for site, gateway in plan.beyond_series:
            budgets.beyond_series(site, gateway, now_s)
        for (site, gateway), sizes in _quarantined(plan).items():
            if not budgets.quarantined(site, gateway, sizes, now_s):
                continue
            left, deleted = self._center.ledger.prune(site, gateway, budgets.limits.quarantine_bytes)
            budgets.found_in_quarantine(site, gateway, left, now_s)
            self._center.health.count("quarantine_pruned", deleted)

    def _forget_old_values(self, plan: IngestPlan) -> None:
        """Deletes expired process values once an hour: when values arrive, or always if none are to be kept."""
        store, now_ns = self._center.store, self._center.now_ns()
        due = not self._cache.keeps_values or any(len(batch.values) > 0 for batch in plan.batches)
        if now_ns < self._forget_next_ns or not isinstance(store, KeepsValues) or not due:
            return
        self._forget_next_ns = now_ns + _FORGET_EVERY_NS
        try:
            store.forget_values(now_ns - self._center.keep_values_ns)
        except (StoreUnavailable, StoreRefused) as error:
            self._center.health.count("values_not_forgotten")
            self._center.health.set_note("values", str(error))
