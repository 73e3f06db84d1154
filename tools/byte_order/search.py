"""Narrows down the encodings of a register by successive values on the machine's display. Pure."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from adapters.modbus.model import BIT_TABLES, Table
from adapters.modbus.service.decodings import Candidate, RegisterBlock, parse_shown, ranked, still_fitting
from adapters.modbus.service.peers import Peer

RECENT_READINGS: Final = 40
"""Readings that a value on the display is compared with: a person needs some seconds to read and to type."""
RECENT_LAMP_READINGS: Final = 2
"""The same for a lamp, which is seen immediately and may have had another state a moment ago."""


@dataclass(frozen=True)
class RegisterQuestion:
    """What to read: `span` registers from `address`, and the one before."""

    peer: Peer
    unit: int
    table: Table
    address: int
    span: int


@dataclass
class DecodingSearch:
    """What was read recently, what the display showed, and the encodings that fit all of it."""

    blocks: deque[RegisterBlock] = field(default_factory=lambda: deque(maxlen=RECENT_READINGS))
    shown: list[str] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    latest: str = ""

    def take(self, question: RegisterQuestion, text: str) -> bool:
        """Applies another displayed value; False, and no change, if no encoding would be left."""
        self.latest = text
        value, blocks = parse_shown(text), list(self.blocks)
        if value.lit is not None:
            blocks = blocks[-RECENT_LAMP_READINGS:]
        coils = question.table in BIT_TABLES
        fits = (
            still_fitting(self.candidates, blocks, value)
            if self.shown
            else ranked(blocks, question.address, value, coils=coils)
        )
        if fits:
            self.shown, self.candidates = [*self.shown, text], fits
        return bool(fits)
