"""What the center must remember besides facts: the delivery ledger, owners, site bodies and the quarantine.

The embedded store keeps these books in the file that holds the facts, so that one transaction covers both; a store
of another kind has its books beside it and is written first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from center.contract.store import RowBatch
from center.contract.streams import StreamKey, StreamRecord
from center.model.sites import Owner, SiteRow
from wire.marks import Marks


@dataclass(frozen=True)
class QuarantinedPayload:
    """A payload that was not understood, or not believed.

    settled: its sound header was receipted, so this copy may be the only one left and is kept for ever; of others
    only a bounded number is kept.
    """

    at_ns: int
    topic: str
    reason: str
    payload: bytes
    settled: bool


@dataclass(frozen=True)
class QuarantineSummary:
    """A quarantined payload in a list: how large it is instead of what it is."""

    id: int
    at_ns: int
    topic: str
    reason: str
    size: int
    settled: bool


@dataclass(frozen=True)
class Changes:
    """One step of the books. streams: the new state of each stream touched; digests: of envelopes newly settled;
    owners: new or changed; released: ids of quarantine entries that are understood now and leave it; generation: ""
    leaves it as it is; before: the state of each stream on which the step was planned, none for a new one.
    """

    streams: Mapping[StreamKey, StreamRecord] = field(default_factory=dict)
    digests: Mapping[tuple[StreamKey, int], bytes] = field(default_factory=dict)
    owners: Sequence[Owner] = ()
    sites: Sequence[SiteRow] = ()
    quarantine: Sequence[QuarantinedPayload] = ()
    generation: str = ""
    released: Sequence[int] = ()
    before: Mapping[StreamKey, StreamRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class LedgerSnapshot:
    """Everything of the books that ingest keeps in memory, as read at the start."""

    generation: str
    streams: dict[StreamKey, StreamRecord]
    digests: dict[StreamKey, dict[int, bytes]]
    owners: dict[tuple[str, str], Owner]
    sites: list[SiteRow]


@runtime_checkable
class Ledger(Protocol):
    """The books' own store."""

    def remember(self) -> LedgerSnapshot:
        """The whole content but the quarantine. The first call on an empty file makes a random generation."""
        ...

    def commit(self, batches: Sequence[RowBatch], changes: Changes) -> Changes:
        """Writes changes (and facts, where one file holds both) in one transaction: all or nothing. Returns how the
        books are now in what was changed: of books that are shared, with what others did to it.

        Returns only when a kill of the process would lose nothing. Raises `StoreUnavailable` for what may pass and
        `StoreRefused` for content that it can never hold; after either nothing was written.
        """
        ...

    def quarantined(self, site: str, limit: int) -> tuple[list[QuarantineSummary], int]:
        """The newest entries first, and how many there are; site "" means all."""
        ...

    def payload(self, number: int) -> QuarantinedPayload | None:
        """One entry whole."""
        ...

    def overfull(self) -> list[tuple[str, str, int, int]]:
        """Machine-minutes that hold more than 60,000 ms over all streams: site, machine, minute_ns, ms."""
        ...


@runtime_checkable
class Leasing(Protocol):
    """Ledger that several processes share: one of them at a time has the lease of a job."""

    def lease(self, job: str) -> bool:
        """Whether this process has it, now or from now on until it ends or loses its connection. Raises `StoreUnavailable`."""
        ...


@runtime_checkable
class SharedLedger(Leasing, Protocol):
    """Ledger that several processes of one center write: ingest workers, and consoles for what people do by hand."""

    def join(self, *, alone: bool) -> None:
        """Takes part until this process ends. Raises `Misconfigured` if that cannot be: one that is alone beside any
        other.
        """
        ...

    def number(self) -> str:
        """A number that no other living process has; the same one is given out again later."""
        ...

    def look(self, changes: Changes) -> Changes:
        """What others have done to the same, asked before anything is stored: digests of seqs that they settled, with
        their streams, and owners that they entered. Enters this step's owners where there are none.
        """
        ...

    def news(self, since_ns: int) -> Changes:
        """Streams, owners and site bodies that changed since then, and the generation."""
        ...

    def lower(self, known: Callable[[], Mapping[StreamKey, Marks]], keys: Iterable[StreamKey]) -> None:
        """Takes from these streams what the store does not know. known: asks the store, once nobody can change them."""
        ...
