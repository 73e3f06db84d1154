"""Which units answer at a Modbus server or on a line, and which of their addresses exist."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.contract import NotConnected
from adapters.modbus.model import BIT_TABLES, Table
from adapters.modbus.service.peers import Peer, open_bus, settings, title
from adapters.modbus.service.reader import NoUnit, RateLimit, RateLimitedReader
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
"""Silence after which a unit that lost frame synchronisation has recovered: some mistake a request to another unit for
a response, and wait half a second for the rest of it [s]."""

Progress = Callable[[str, int, int], None]
"""Called with what is being scanned, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class ScanPlan:
    """What to scan. Addresses `first`..`last`, both included; step: distance of samples in refused blocks."""

    units: Sequence[int]
    tables: Sequence[Table]
    first: int
    last: int
    step: int = 10

    def estimate(self) -> int:
        """Requests for a server with one unit whose tables are empty."""
        tables = (requests_if_empty(self.first, self.last, _block(table), self.step) for table in self.tables)
        return 2 * len(self.units) + sum(tables)


@dataclass(frozen=True)
class ScanResult:
    """The result of a scan. units: by each unit that answers, its tables; requests: how many were sent; invalid_answer: the
    error of the latest response that was not Modbus.
    """

    peer: Peer
    units: Mapping[int, Mapping[Table, ScannedTable]]
    requests: int
    invalid_answer: NotConnected | None = None

    def as_json(self, plan: ScanPlan) -> dict[str, Any]:
        """The result as JSON."""
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
                            "outcome": scanned.outcome.value,
                            "ranges": [list(run) for run in scanned.runs],
                            "at_most": scanned.at_most,
                        }
                        for table, scanned in tables.items()
                    },
                }
                for unit, tables in self.units.items()
            ],
        }


async def scan(peer: Peer, rate_limit: RateLimit, plan: ScanPlan, progress: Progress) -> ScanResult:
    """Finds units, then scans the tables of each.

    Raises `NotConnected` if the peer cannot be reached, `DeviceMisconfigured` if it must be left alone.
    """
    reader = RateLimitedReader(open_bus(peer), rate_limit)
    try:
        await reader.open()
        return await _scan(peer, reader, plan, progress)
    finally:
        reader.close()


async def _scan(peer: Peer, reader: RateLimitedReader, plan: ScanPlan, progress: Progress) -> ScanResult:
    answering = []
    for number, unit in enumerate(plan.units):
        progress(f"unit {unit}", number, len(plan.units))
        if await _answers(reader, unit, plan.first):
            answering.append(unit)
    units: dict[int, dict[Table, ScannedTable]] = {}
    for unit in answering:
        units[unit] = {}
        for table in plan.tables:
            units[unit][table] = await _table(reader, unit, table, plan, progress)
            if units[unit][table].outcome is TableOutcome.SILENT:
                await asyncio.sleep(IN_STEP_S)
                units[unit][table] = await _table(reader, unit, table, plan, progress)
    return ScanResult(peer, units, reader.requests, reader.invalid_answer)


async def _answers(reader: RateLimitedReader, unit: int, address: int) -> bool:
    """Whether a unit responds at all; an exception response counts."""
    tables: tuple[Table, ...] = ("holding", "input")
    try:
        for table in tables:
            if await reader.answer(unit, table, Span(address, 1)) is not ProbeOutcome.SILENT:
                return True
    except NoUnit:
        return False
    return False


async def _table(
    reader: RateLimitedReader, unit: int, table: Table, plan: ScanPlan, progress: Progress
) -> ScannedTable:
    size = plan.last - plan.first + 1
    requests = scan_table(plan.first, plan.last, _block(table), plan.step)
    span = next(requests)
    while True:
        progress(f"unit {unit} {table}", span.start - plan.first, size)
        try:
            answer = await reader.answer(unit, table, span)
        except NoUnit:
            answer = ProbeOutcome.SILENT
        try:
            span = requests.send(answer)
        except StopIteration as end:
            scanned: ScannedTable = end.value
            return scanned


def _block(table: Table) -> int:
    return BITS_AT_ONCE if table in BIT_TABLES else REGISTERS_AT_ONCE
