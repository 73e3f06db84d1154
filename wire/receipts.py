"""The receipt: what the center has settled, by stream.

Retained on `nhip/v1/<site>/<gateway>/receipt`. Only a receipt frees an envelope.
`mark` is the highest seq up to which every envelope is settled: stored, durably
quarantined, or covered by a `dropped` envelope. Above it, `beyond` lists ranges
that are settled too; what lies between is a hole to be sent again. A generation
is the identity of the center's ledger: when it changes, marks of the old one no
longer hold and the gateway sends again whatever the new marks do not cover.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from wire.envelope import Unsound, open_envelope
from wire.marks import MAX_SEQ, Marks, settle

_Seq = Annotated[int, Field(ge=0, le=MAX_SEQ)]
"""A seq, or 0 for none."""


class _Lenient(BaseModel):
    """An older gateway ignores fields that a newer center adds: delivery continues while versions differ."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class StreamReceipt(_Lenient):
    """One stream's marks."""

    kind: str
    mark: _Seq
    beyond: list[tuple[_Seq, _Seq]] = []
    """Settled ranges above the mark, each first and last seq."""
    stored: int = 0
    quarantined: int = 0
    dropped: int = 0
    check: tuple[int, str] | None = None
    """The latest seq whose content the center still knows, or after a conflict the seq in question, and the first 16
    hex digits of that envelope's digest. A gateway that has another envelope of this seq runs from a copied or
    restored card: the numbers are not its own."""

    @property
    def marks(self) -> Marks:
        """What it settles, normalised: a center of another version may list its ranges otherwise."""
        return settle(Marks(self.mark), self.beyond)


def digest_check(seq: int, digest: bytes) -> tuple[int, str]:
    """The `check` of an envelope."""
    return seq, digest[:8].hex()


def contradicts(data: bytes, check: tuple[int, str]) -> bool:
    """Whether this envelope has the checked seq and is another than the center's; a damaged one proves nothing."""
    try:
        envelope = open_envelope(data)
    except Unsound:
        return False
    return envelope.seq == check[0] and digest_check(envelope.seq, envelope.digest) != tuple(check)


class Receipt(_Lenient):
    """The state of delivery of one gateway."""

    generation: str
    at_ns: int = Field(ge=0, lt=2**62)
    """The center's time [ns UTC]; gateways may set theirs by it."""
    session: str = ""
    """Id of the center's connection to the broker. The first receipt of a new session is a hello: whatever was published
    before and is not covered was not received."""
    streams: dict[str, StreamReceipt] = {}
    boxes: int = 1
    """How many boxes have connected as this gateway lately, each with an outbox of its own: more than one is a mistake."""
    noted: list[str] | None = None
    """Ids of the notices in the gateway's latest `status` that are stored; None from a center that keeps no notices."""
    knows: list[str] = []
    """Additions to the content of envelopes that this center understands (`wire.site.DESCRIBED` …). A gateway sends none that
    is not named here: an older center would keep the whole envelope in quarantine."""
    echo: str = ""
    """The `ask` of the `status` that this answers: `at_ns` was read after that was sent."""


_RECEIPT = TypeAdapter(Receipt)


def encode_receipt(receipt: Receipt) -> bytes:
    """The receipt's bytes."""
    return receipt.model_dump_json(exclude_defaults=True).encode()


def decode_receipt(data: bytes) -> Receipt:
    """The receipt in these bytes. Raises pydantic's `ValidationError` (a `ValueError`) if it is not valid."""
    return _RECEIPT.validate_json(data)
