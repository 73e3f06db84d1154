"""Keys of envelopes in an outbox, and the streams that they belong to. Pure."""

from dataclasses import dataclass
from typing import NamedTuple

from wire.marks import NO_MARKS, Marks


class EnvelopeKey(NamedTuple):
    """An envelope's identity."""

    stream: str
    seq: int


@dataclass(frozen=True)
class OutboxStream:
    """A stream as stored on disk. first..last: the seqs on disk (last 0: none was ever written); marks: what the center's
    receipts settle.

    current: new envelopes are added to it. The end of an old one, recovered from a damaged file, may be lost.
    """

    stream: str
    kind: str
    first: int
    last: int
    marks: Marks = NO_MARKS
    current: bool = True
