"""The ledger in memory: what ingest and queries read, receipts, and detection of a restored ledger."""

from typing import Final

from center.contract.ledger import KEEP_DIGESTS, Changes, LedgerSnapshot
from center.contract.streams import StreamKey, StreamRecord
from center.model.retention import AHEAD_NS
from center.model.sites import SiteRow, Sites
from center.model.times import MAX_NS
from wire.bodies import CYCLES, Status
from wire.receipts import Receipt, StreamReceipt, digest_check
from wire.site import DESCRIBED, PLANNED

RECEIPT_STREAMS: Final = 64
"""Streams in one receipt at most: the ones received most recently."""


class LedgerCache:
    """Changed by the ingest worker's thread alone; any thread may read."""

    def __init__(self, snapshot: LedgerSnapshot, *, keeps_values: bool = True, keeps_cycles: bool = True) -> None:
        """keeps_values, keeps_cycles: process values and histograms of cycle times are stored; otherwise they are settled and
        discarded.
        """
        self.keeps_values, self.keeps_cycles = keeps_values, keeps_cycles
        self.disputed: dict[StreamKey, tuple[int, bytes]] = {}
        """Of streams that had a conflict since the start: the seq, and the digest that was settled first."""
        self.younger: set[StreamKey] = set()
        """Streams of boxes that were found to run beside an older one; some of them may have delivered nothing yet."""
        self.reset(snapshot)

    def reset(self, snapshot: LedgerSnapshot) -> None:
        """Replaces all content, when the ledger is of another generation."""
        self.generation = snapshot.generation
        self.streams = dict(snapshot.streams)
        self.digests = {key: dict(by_seq) for key, by_seq in snapshot.digests.items()}
        self.sites = Sites(_not_of_the_future(snapshot), snapshot.owners.values())
        keys: dict[tuple[str, str], list[StreamKey]] = {}
        for key in self.streams:
            keys.setdefault((key.site, key.gateway), []).append(key)
        self._keys = keys

    def of_gateway(self, site: str, gateway: str) -> dict[StreamKey, StreamRecord]:
        """The gateway's streams."""
        keys = tuple(self._keys.get((site, gateway), ()))
        return {key: state for key in keys if (state := self.streams.get(key)) is not None}

    def gateways(self) -> list[tuple[str, str]]:
        """Site and gateway of all that have a stream."""
        return sorted(self._keys)

    def adopt(self, changes: Changes) -> None:
        """Takes over committed changes. Streams come last: a reader that sees new marks sees everything else too."""
        self.sites.learn(changes.sites, changes.owners)
        for (key, seq), digest in changes.digests.items():
            by_seq = self.digests.setdefault(key, {})
            by_seq[seq] = digest
            if len(by_seq) > KEEP_DIGESTS:
                del by_seq[min(by_seq)]
        for key, state in changes.streams.items():
            if key not in self.streams:
                self._keys.setdefault((key.site, key.gateway), []).append(key)
            self.streams[key] = state
        self.generation = changes.generation or self.generation


def _not_of_the_future(snapshot: LedgerSnapshot) -> list[SiteRow]:
    """The site bodies without those that were valid from later than tomorrow when they came, which earlier versions took:
    nothing that came after them would ever count. No clock is asked, since every body came with an envelope.
    """
    last_ns = max((record.seen_ns for record in snapshot.streams.values()), default=0) or MAX_NS
    return [row for row in snapshot.sites if row.valid_from_ns < last_ns + AHEAD_NS]


def receipt(cache: LedgerCache, site: str, gateway: str, now_ns: int, echo: str = "", session: str = "") -> Receipt:
    """The receipt for a gateway: the marks of its streams, of the most recent ones if there are very many.

    echo: the `ask` of the status that it answers; session: id of the center's connection.
    """
    streams = sorted(cache.of_gateway(site, gateway).items(), key=lambda item: -item[1].seen_ns)
    return Receipt(
        generation=cache.generation,
        at_ns=now_ns,
        echo=echo,
        session=session,
        knows=[DESCRIBED, PLANNED, *([CYCLES] if cache.keeps_cycles else [])],
        streams={
            key.stream: StreamReceipt(
                kind=state.kind,
                mark=state.marks.mark,
                beyond=list(state.marks.beyond),
                stored=state.stored,
                quarantined=state.quarantined,
                dropped=state.dropped,
                check=_check(cache, key),
            )
            for key, state in streams[:RECEIPT_STREAMS]
        },
    )


def _check(cache: LedgerCache, key: StreamKey) -> tuple[int, str] | None:
    """A digest that lets a gateway detect a copied outbox: of the envelope in conflict, else of the last one."""
    if key in cache.disputed:
        return digest_check(*cache.disputed[key])
    by_seq = cache.digests.get(key)
    return digest_check(last := max(by_seq), by_seq[last]) if by_seq else None


def is_ahead(cache: LedgerCache, site: str, gateway: str, status: Status) -> bool:
    """Whether a gateway holds receipts of our own generation with marks that the ledger does not have: the ledger was
    restored from an older copy.

    Marks only grow, so any mark above the ledger's is proof, even if later envelopes have been settled beyond it: the gateway
    believes that the envelopes in between are safe.
    """
    if status.generation != cache.generation:
        return False
    records = cache.of_gateway(site, gateway)
    for stream, mark in status.marks.items():
        state = records.get(StreamKey(site, gateway, stream))
        if mark > (state.marks.mark if state else 0):
            return True
    return False
