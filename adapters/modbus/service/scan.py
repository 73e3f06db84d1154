"""Which units answer at a Modbus server or on a line, and which of their addresses exist."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.contract import NotConnected
from adapters.modbus.model import BIT_TABLES, Table
from adapters.modbus.service.asker import Asker, NoUnit, Politeness
from adapters.modbus.service.peers import Peer, open_bus, settings, title
from adapters.modbus.service.registers import (
    ProbeOutcome,
    ScannedTable,
    Span,
    TableOutcome,
    requests_if_empty,
    scan_table,
)

REGISTERS_AT_ONCE = 125
BITS_AT_ONCE = 2000
IN_STEP_S = 1.0
"""Silence after which a unit that lost count of the frames on its line is in step again: some read what is asked of
others as if it were answered, and wait half a second for the rest [s]."""

Progress = Callable[[str, int, int], None]
"""Told what is being looked at, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class ScanPlan:
    """What to look at. Addresses `first`..`last`, both included; step: distance of samples in what is refused."""

    units: Sequence[int]
    tables: Sequence[Table]
    first: int
    last: int
    step: int = 10

    def estimate(self) -> int:
        """Requests that a server with one unit and nothing in its tables would cost."""
        tables = (requests_if_empty(self.first, self.last, _block(table), self.step) for table in self.tables)
        return 2 * len(self.units) + sum(tables)


@dataclass(frozen=True)
class ScanResult:
    """What was found: for each unit that answers, its tables. nonsense: what was said about answers that made none."""

    peer: Peer
    units: Mapping[int, Mapping[Table, ScannedTable]]
    requests: int
    nonsense: NotConnected | None = None

    def as_json(self, plan: ScanPlan) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "peer": title(self.peer),
            "settings": settings(self.peer),
            "asked": {"units": list(plan.units), "range": [plan.first, plan.last], "step": plan.step},
            "requests": self.requests,
            "units": [
                {
                    "unit": unit,
                    "tables": {
                        table: {
                            "outcome": found.outcome.value,
                            "ranges": [list(run) for run in found.runs],
                            "at_most": found.at_most,
                        }
                        for table, found in tables.items()
                    },
                }
                for unit, tables in self.units.items()
            ],
        }


async def scan(peer: Peer, politeness: Politeness, plan: ScanPlan, progress: Progress) -> ScanResult:
    """Looks for units, then through the tables of each.

    Raises `NotConnected` if the peer cannot be reached, `DeviceMisconfigured` if it must be left alone.
    """
    asker = Asker(open_bus(peer), politeness)
    try:
        await asker.open()
        return await _scan(peer, asker, plan, progress)
    finally:
        asker.close()


async def _scan(peer: Peer, asker: Asker, plan: ScanPlan, progress: Progress) -> ScanResult:
    answering = []
    for number, unit in enumerate(plan.units):
        progress(f"unit {unit}", number, len(plan.units))
        if await _answers(asker, unit, plan.first):
            answering.append(unit)
    units: dict[int, dict[Table, ScannedTable]] = {}
    for unit in answering:
        units[unit] = {}
        for table in plan.tables:
            units[unit][table] = await _table(asker, unit, table, plan, progress)
            if units[unit][table].outcome is TableOutcome.SILENT:
                await asyncio.sleep(IN_STEP_S)
                units[unit][table] = await _table(asker, unit, table, plan, progress)
    return ScanResult(peer, units, asker.requests, asker.nonsense)


async def _answers(asker: Asker, unit: int, address: int) -> bool:
    """Whether a unit says anything at all; a refusal is an answer."""
    tables: tuple[Table, ...] = ("holding", "input")
    try:
        for table in tables:
            if await asker.answer(unit, table, Span(address, 1)) is not ProbeOutcome.SILENT:
                return True
    except NoUnit:
        return False
    return False


async def _table(asker: Asker, unit: int, table: Table, plan: ScanPlan, progress: Progress) -> ScannedTable:
    size = plan.last - plan.first + 1
    questions = scan_table(plan.first, plan.last, _block(table), plan.step)
    span = next(questions)
    while True:
        progress(f"unit {unit} {table}", span.start - plan.first, size)
        try:
            answer = await asker.answer(unit, table, span)
        except NoUnit:
            answer = ProbeOutcome.SILENT
        try:
            span = questions.send(answer)
        except StopIteration as end:
            found: ScannedTable = end.value
            return found


def _block(table: Table) -> int:
    return BITS_AT_ONCE if table in BIT_TABLES else REGISTERS_AT_ONCE
