"""Manual imports: envelopes of an offline transfer, and quarantined payloads replayed.

The same functions serve the HTTP API of a running center and the commands where none runs. Imported envelopes are
settled like those from MQTT: counted once however often they arrive, quarantined if not understood, receipted.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from center.contract.streams import StreamKey
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.worker import Ingest
from center.runtime.state import CenterState
from wire.envelope import Unsound, open_envelope
from wire.marks import is_settled
from wire.offline_transfer import TransferItem
from wire.topics import ENVELOPED, ID, Topic

AT_ONCE: Final = 200
"""Envelopes of one step: few enough that live messages need not wait long."""


@dataclass(frozen=True)
class ImportCounts:
    """What became of imported envelopes. settled: of the sound ones; unsound: not envelopes, quarantined; refused: not
    settled, because the stream is of another kind or the ledger has no room.
    """

    envelopes: int = 0
    settled: int = 0
    unsound: int = 0
    refused: int = 0

    def __add__(self, other: "ImportCounts") -> "ImportCounts":
        one, two = asdict(self), asdict(other)
        return ImportCounts(**{name: one[name] + two[name] for name in one})


class BadImport(ValueError):
    """Envelopes with an invalid site, gateway or kind."""


def import_envelopes(
    center: CenterState, ingest: Ingest, site: str, gateway: str, items: Sequence[TransferItem]
) -> ImportCounts:
    """Settles envelopes of one gateway; on the worker's thread, or where none runs. Raises `BadImport` or
    `StoreUnavailable`.
    """
    if not (ID.fullmatch(site) and ID.fullmatch(gateway)):
        raise BadImport(f"{site[:80]!r}, {gateway[:80]!r}: ids of site and gateway are a-z, 0-9 and hyphens")
    messages = []
    for item in items:
        if item.kind not in ENVELOPED:
            raise BadImport(f"kind {item.kind[:40]!r}; there are {', '.join(ENVELOPED)}")
        messages.append(EnvelopeMessage(Topic(site, gateway, item.kind), item.data))
    for start in range(0, len(messages), AT_ONCE):
        ingest.deliver(messages[start : start + AT_ONCE])
    return sum((_outcome(center, message) for message in messages), ImportCounts())


def _outcome(center: CenterState, message: EnvelopeMessage) -> ImportCounts:
    try:
        envelope = open_envelope(message.payload)
    except Unsound:
        return ImportCounts(envelopes=1, unsound=1)
    key = StreamKey(message.topic.site, message.topic.gateway, envelope.stream)
    record = center.ledger_cache.streams.get(key)
    if record is None or record.kind != message.topic.kind or not is_settled(record.marks, envelope.seq):
        return ImportCounts(envelopes=1, refused=1)
    return ImportCounts(envelopes=1, settled=1)


def replay_payload(replay: Callable[[int], None], number: int) -> dict[str, Any]:
    """Replays a quarantined payload. replay: `Settler.replay`, on the right thread.

    Raises `LookupError` or `StoreUnavailable`.
    """
    try:
        replay(number)
    except Unsound as error:
        return {"id": number, "released": False, "reason": str(error)}
    return {"id": number, "released": True, "reason": ""}
