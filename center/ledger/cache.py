"""The books as ingest holds them in memory, and what follows from them: receipts, and the sign of a restored center."""

import secrets
from collections.abc import Iterable
from typing import Final

from center.contract.ledger import Changes, LedgerSnapshot
from center.contract.streams import StreamKey, StreamRecord
from center.model.sites import Sites
from wire.bodies import Status
from wire.receipts import Receipt, StreamReceipt, digest_check

KEEP_DIGESTS: Final = 1024
"""Digests held of each stream: at one envelope every 10 s, the last three hours."""
_RECEIPT_STREAMS: Final = 64


def outdated(settled: Iterable[tuple[StreamKey, int]]) -> dict[StreamKey, int]:
    """By stream the seq up to which books may forget digests, of streams for which it is time: once in `KEEP_DIGESTS`
    envelopes, since forgetting costs more than keeping a few.
    """
    return {key: seq - KEEP_DIGESTS for key, seq in settled if seq % KEEP_DIGESTS == 0 and seq > KEEP_DIGESTS}


def new_generation() -> str:
    """A new identity of the center's memory."""
    return secrets.token_hex(8)


class LedgerCache:
    """One thread changes it; others may read."""

    def __init__(self, remembered: LedgerSnapshot, *, keeps_values: bool = True) -> None:
        """keeps_values: process values are stored, else settled and thrown away."""
        self.keeps_values = keeps_values
        self.disputed: dict[StreamKey, tuple[int, bytes]] = {}
        """Of streams with a conflict in this run, the seq and the digest of what was settled first."""
        self.renew(remembered)

    def renew(self, remembered: LedgerSnapshot) -> None:
        """Forgets what it knew: the books are of another generation."""
        self.generation = remembered.generation
        self.streams = dict(remembered.streams)
        self.digests = {key: dict(known) for key, known in remembered.digests.items()}
        self.sites = Sites(remembered.sites, remembered.owners.values())
        keys: dict[tuple[str, str], list[StreamKey]] = {}
        for key in self.streams:
            keys.setdefault((key.site, key.gateway), []).append(key)
        self._keys = keys

    def of_gateway(self, site: str, gateway: str) -> dict[StreamKey, StreamRecord]:
        """The gateway's streams."""
        keys = tuple(self._keys.get((site, gateway), ()))
        return {key: state for key in keys if (state := self.streams.get(key)) is not None}

    def gateways(self) -> list[tuple[str, str]]:
        """Site and gateway of everyone that has a stream."""
        return sorted(self._keys)

    def adopt(self, changes: Changes) -> None:
        """Takes over changes that the store has. The streams last: who sees their new marks sees all the rest."""
        self.sites.learn(changes.sites, changes.owners)
        for (key, seq), digest in changes.digests.items():
            known = self.digests.setdefault(key, {})
            known[seq] = digest
            if len(known) > KEEP_DIGESTS:
                del known[min(known)]
        for key, state in changes.streams.items():
            if key not in self.streams:
                self._keys.setdefault((key.site, key.gateway), []).append(key)
            self.streams[key] = state
        self.generation = changes.generation or self.generation


def receipt(memory: LedgerCache, site: str, gateway: str, now_ns: int, echo: str = "", session: str = "") -> Receipt:
    """What the center has to say to a gateway: its streams, the latest ones if there are very many.

    echo: the question that it answers; session: of the center's connection.
    """
    streams = sorted(memory.of_gateway(site, gateway).items(), key=lambda item: -item[1].seen_ns)
    return Receipt(
        generation=memory.generation,
        at_ns=now_ns,
        echo=echo,
        session=session,
        streams={
            key.stream: StreamReceipt(
                kind=state.kind,
                mark=state.marks.mark,
                beyond=list(state.marks.beyond),
                stored=state.stored,
                quarantined=state.quarantined,
                dropped=state.dropped,
                check=_check(memory, key),
            )
            for key, state in streams[:_RECEIPT_STREAMS]
        },
    )


def _check(memory: LedgerCache, key: StreamKey) -> tuple[int, str] | None:
    """What lets a gateway see that its numbers are not its own: best the envelope that it contradicted."""
    if key in memory.disputed:
        return digest_check(*memory.disputed[key])
    known = memory.digests.get(key)
    return digest_check(last := max(known), known[last]) if known else None


def is_ahead(memory: LedgerCache, site: str, gateway: str, status: Status) -> bool:
    """Whether a gateway was told, in our own generation, of marks that the ledger does not have: the center was
    restored from an older copy.

    A mark only grows while a center lives, so any mark above ours is proof, also when what came after the restoration
    has been settled beyond it: the envelopes between are those that the gateway believes to be safe.
    """
    if status.generation != memory.generation:
        return False
    known = memory.of_gateway(site, gateway)
    for stream, mark in status.marks.items():
        state = known.get(StreamKey(site, gateway, stream))
        if mark > (state.marks.mark if state else 0):
            return True
    return False
