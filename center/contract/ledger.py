"""Contract of the delivery ledger: which envelopes were stored, who owns which machine, site bodies, quarantine.

The embedded store keeps the ledger in its own file, so that one transaction covers rows and ledger. Any other store is
written first, and its ledger, which lies elsewhere, after it.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from center.contract.store import RowBatch
from center.contract.streams import StreamKey, StreamRecord
from center.model.sites import Owner, SiteRow
from wire.marks import Marks

KEEP_DIGESTS: Final = 1024
"""Digests kept of each stream: at one envelope every 10 s, those of the last three hours."""
KEEP_UNSETTLED: Final = 10_000
"""Quarantined payloads without a sound header that are kept: anybody with an account at the broker can make these."""
KEEP_UNSETTLED_OF_ONE: Final = 200
"""The same of one gateway: enough to see what is wrong with it."""
ENTRY_BYTES: Final = 4096
"""What a quarantined payload costs beside its bytes: row, index, and its part of each list."""


@dataclass(frozen=True)
class QuarantinedPayload:
    """A payload that was not understood or failed validation.

    settled: its header was sound and has been receipted, so this may be the only copy left, and it is kept until its gateway's
    share of the quarantine is used up; of the others at most `KEEP_UNSETTLED_OF_ONE` and `KEEP_UNSETTLED` are kept. stream: of a sound header, else "".
    """

    at_ns: int
    topic: str
    reason: str
    payload: bytes
    settled: bool
    stream: str = ""


@dataclass(frozen=True)
class QuarantineSummary:
    """A quarantined payload as listed: its size [bytes] instead of its content."""

    id: int
    at_ns: int
    topic: str
    reason: str
    size: int
    settled: bool
    stream: str = ""


@dataclass(frozen=True)
class Changes:
    """One step of the ledger.

    streams: new state of each stream touched; before: the state on which the step was planned, none for a new stream;
    digests: of newly settled envelopes; owners: new or changed; outdated: site bodies to remove, since they count no more (their
    text does not matter); released: ids of quarantine entries to remove because
    their content is stored now; generation: "" leaves it unchanged.
    """

    streams: Mapping[StreamKey, StreamRecord] = field(default_factory=dict)
    digests: Mapping[tuple[StreamKey, int], bytes] = field(default_factory=dict)
    owners: Sequence[Owner] = ()
    sites: Sequence[SiteRow] = ()
    quarantine: Sequence[QuarantinedPayload] = ()
    generation: str = ""
    released: Sequence[int] = ()
    outdated: Sequence[SiteRow] = ()
    before: Mapping[StreamKey, StreamRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class LedgerSnapshot:
    """What ingest caches of the ledger: everything but the quarantine."""

    generation: str
    streams: dict[StreamKey, StreamRecord]
    digests: dict[StreamKey, dict[int, bytes]]
    owners: dict[tuple[str, str], Owner]
    sites: list[SiteRow]


class Ledger(Protocol):
    """The ledger as one process uses it."""

    def load(self) -> LedgerSnapshot:
        """Everything but the quarantine. The first call on an empty ledger creates a random generation."""
        ...

    def commit(self, changes: Changes) -> Changes:
        """Writes the changes in one transaction. Returns the resulting state of whatever was changed, which in a shared
        ledger includes what other processes did to it.

        Returns only when a kill of the process would lose nothing. Raises `StoreUnavailable` for passing conditions and
        `StoreRefused` for content that it can never hold; in both cases nothing was written.
        """
        ...

    def quarantined(self, site: str, limit: int) -> tuple[list[QuarantineSummary], int]:
        """The newest entries first, and how many there are; site "" for all."""
        ...

    def waiting(self, site: str, gateway: str, stream: str) -> list[int]:
        """The ids of a stream's quarantined payloads that are settled, the oldest first."""
        ...

    def prune(self, site: str, gateway: str, most_bytes: int) -> tuple[int, int]:
        """Deletes the gateway's oldest quarantined payloads if there are more than so many bytes, as `surplus` says. Returns how many are
        left [bytes], and how many payloads were deleted. Raises `StoreUnavailable`.
        """
        ...

    def payload(self, number: int) -> QuarantinedPayload | None:
        """One quarantine entry with its content, None if there is none of that id."""
        ...

    def overfull(self) -> list[tuple[str, str, int, int]]:
        """Machine-minutes that hold more than 60,000 ms over all streams: site, machine, minute_ns, ms. Empty where the
        ledger does not lie beside the rows.
        """
        ...

    def close(self) -> None:
        """Frees resources."""
        ...


@runtime_checkable
class HoldsLedger(Protocol):
    """A store with the ledger in the same file."""

    ledger: Ledger

    def commit(self, batches: Sequence[RowBatch], changes: Changes) -> Changes:
        """Rows and ledger changes in one transaction, otherwise as `Ledger.commit`."""
        ...


class ProcessGroup(Protocol):
    """The processes that share one ledger. Each method may raise `StoreUnavailable`."""

    def join(self, *, alone: bool) -> None:
        """Joins until this process ends. Raises `NotReady` where a process that must be alone meets another, or the locks of
        one whose machine died a moment ago.
        """
        ...

    def number(self) -> str:
        """A number that no other running process has; it may be reused once this process has ended."""
        ...

    def secret(self) -> str:
        """A text that all processes of this center know and nobody else."""
        ...

    def lease(self, job: str) -> bool:
        """Whether this process holds the lease of the job, now or from now on until it ends or loses its connection."""
        ...

    def workers(self) -> int:
        """How many processes settle envelopes, of which this is one from now on; at least 1."""
        ...


@runtime_checkable
class SharedLedger(Protocol):
    """A ledger that several processes of one center write: ingest workers, and consoles for manual imports."""

    processes: ProcessGroup

    def reconcile(self, changes: Changes) -> Changes:
        """Compares a planned step with what other processes did, before anything is stored. Returns the digests of seqs
        of this step that are settled already, with their streams, owners that differ, and the other streams of gateways
        that have several. Enters this step's owners of machines that have none, and the minutes that its streams cover.
        """
        ...

    def changes_since(self, since_ns: int) -> Changes:
        """Streams, owners and site bodies that changed since then, and the generation."""
        ...

    def lower(self, known: Callable[[], Mapping[StreamKey, Marks]], keys: Iterable[StreamKey]) -> None:
        """Removes from these streams what the store does not know. known: reads the store's marks; called once these
        streams are locked against changes.
        """
        ...


def outdated_digests(settled: Iterable[tuple[StreamKey, int]]) -> dict[StreamKey, int]:
    """By stream the last seq whose digest may be deleted, for streams that are due: once every `KEEP_DIGESTS`
    envelopes, since a deletion costs more than keeping a few digests.
    """
    return {key: seq - KEEP_DIGESTS for key, seq in settled if seq % KEEP_DIGESTS == 0 and seq > KEEP_DIGESTS}


def with_room(entries: Sequence[QuarantinedPayload], count: Callable[[str], int]) -> list[QuarantinedPayload]:
    """The entries that are kept. count: how many unsettled payloads there are on topics that begin so."""
    room = {"": KEEP_UNSETTLED - count("")} if any(not entry.settled for entry in entries) else {}
    kept = []
    for entry in entries:
        if not entry.settled:
            whose = entry.topic.rpartition("/")[0] + "/"
            if whose not in room:
                room[whose] = KEEP_UNSETTLED_OF_ONE - count(whose)
            if min(room[""], room[whose]) <= 0:
                continue
            room[""], room[whose] = room[""] - 1, room[whose] - 1
        kept.append(entry)
    return kept


def surplus(sizes: Sequence[tuple[int, int]], most_bytes: int) -> tuple[int, list[int]]:
    """How many bytes are left, with `ENTRY_BYTES` for each payload, and the ids of the oldest payloads that go. If there are more than
    most_bytes a quarter of that is made free too, so that not every further payload is a reason to look at all of them.
    sizes: id and size [bytes] of each, the oldest first.
    """
    left, gone = sum(size + ENTRY_BYTES for _, size in sizes), list[int]()
    if left <= most_bytes:
        return left, gone
    for number, size in sizes:
        if left <= most_bytes * 3 // 4:
            break
        gone.append(number)
        left -= size + ENTRY_BYTES
    return left, gone


def new_generation() -> str:
    """A random identity of a ledger's content. Gateways that see another one send again what it does not know."""
    return secrets.token_hex(8)
