"""What a register may mean, narrowed down by what the machine's display shows, time after time. Pure."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from adapters.modbus.model import BIT_TABLES, Table
from adapters.modbus.service.decodings import Candidate, RegisterBlock, parse_shown, ranked, still_fitting
from adapters.modbus.service.peers import Peer

LATELY: Final = 40
"""Readings that a value on the display is compared with: a person needs some seconds to read and to type."""
JUST_NOW: Final = 2
"""The same for a lamp, which is seen at once, and was something else a while ago."""


@dataclass(frozen=True)
class RegisterQuestion:
    """Where to look: `span` registers from `address` on, and the one before."""

    peer: Peer
    unit: int
    table: Table
    address: int
    span: int


@dataclass
class DecodingSearch:
    """What was read lately, what the display showed, and what still fits all of it."""

    blocks: deque[RegisterBlock] = field(default_factory=lambda: deque(maxlen=LATELY))
    shown: list[str] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    asked: str = ""

    def take(self, question: RegisterQuestion, text: str) -> bool:
        """Another value of the display; False if nothing would be left, and then nothing is changed."""
        self.asked = text
        value, blocks = parse_shown(text), list(self.blocks)
        if value.lit is not None:
            blocks = blocks[-JUST_NOW:]
        coils = question.table in BIT_TABLES
        fits = (
            still_fitting(self.candidates, blocks, value)
            if self.shown
            else ranked(blocks, question.address, value, coils=coils)
        )
        if fits:
            self.shown, self.candidates = [*self.shown, text], fits
        return bool(fits)
