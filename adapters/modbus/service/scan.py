"""Which units answer at a Modbus server or on a line, and which of their addresses exist.

Some servers answer for every unit id, the absent ones with a refusal. So where every unit answers, those that refuse the
first address are *alike*: they are asked only for addresses that exist elsewhere, and scanned if they have one. (If all
refuse, the first of them is scanned.)
"""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.contract import NotConnected
from adapters.modbus.model import BIT_TABLES, Table
from adapters.modbus.service.peers import Peer, open_bus, settings, title
from adapters.modbus.service.reader import NoUnit, RateLimit, RateLimitedReader
from adapters.modbus.service.registers import (
    ProbeOutcome,
    ScannedTable,
    Span,
    StopScanning,
    TableOutcome,
    requests_if_empty,
    scan_table,
)

REGISTERS_AT_ONCE = 125
BITS_AT_ONCE = 2000
IN_STEP_S = 1.0
"""Silence after which a unit that lost frame synchronisation has recovered: some mistake a request to another unit for
a response, and wait half a second for the rest of it [s]."""

FEWEST_ALIKE = 5
"""From so many units on, all of them answering is no chance."""

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

    def estimate(self, answering: int = 1) -> int:
        """Requests for a server of which so many units answer, with empty tables."""
        tables = (requests_if_empty(self.first, self.last, _block(table), self.step) for table in self.tables)
        return 2 * len(self.units) + answering * sum(tables)


@dataclass(frozen=True)
class ScanResult:
    """The result of a scan. units: by each unit that answers, its tables; requests: how many were sent; invalid_answer: the
    error of the latest response that was not Modbus; alike: units that refuse, and were asked only for addresses that exist
    elsewhere; interrupted: it was cancelled, and of `not_asked` nothing is known; of a unit that answers, tables may be missing.
    """

    peer: Peer
    units: Mapping[int, Mapping[Table, ScannedTable]]
    requests: int
    invalid_answer: NotConnected | None = None
    alike: tuple[int, ...] = ()
    interrupted: bool = False
    not_asked: tuple[int, ...] = ()

    def as_json(self, plan: ScanPlan) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "peer": title(self.peer),
            "settings": settings(self.peer),
            "asked": {"units": list(plan.units), "range": [plan.first, plan.last], "step": plan.step},
            "requests": self.requests,
            "refuse_alike": list(self.alike),
            "interrupted": self.interrupted,
            "not_asked": list(self.not_asked),
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
    """Finds units, then scans the tables of each. Cancelled, it returns what it has found so far.

    Raises `NotConnected` if the peer cannot be reached, `DeviceMisconfigured` if it must be left alone.
    """
    reader = RateLimitedReader(open_bus(peer), rate_limit)
    found = _Found(plan)
    try:
        await reader.open()
        await _scan(reader, plan, progress, found)
        return found.result(peer, reader)
    except asyncio.CancelledError:
        return replace(found.result(peer, reader), interrupted=True)
    finally:
        reader.close()


class _Found:
    """What a scan has found so far. answers: by unit that answers; units: their tables; alike: as in the result."""

    def __init__(self, plan: ScanPlan) -> None:
        self._plan = plan
        self.asked = 0
        self.answers: dict[int, ProbeOutcome] = {}
        self.units: dict[int, dict[Table, ScannedTable]] = {}
        self.alike: list[int] = []

    def result(self, peer: Peer, reader: RateLimitedReader) -> ScanResult:
        """The result as it stands."""
        units = {
            unit: self.units.get(unit, {}) for unit in self.answers if unit in self.units or unit not in self.alike
        }
        alike = tuple(unit for unit in self.alike if unit not in self.units)
        not_asked = tuple(self._plan.units[self.asked :])
        return ScanResult(peer, units, reader.requests, reader.invalid_answer, alike, not_asked=not_asked)


async def _scan(reader: RateLimitedReader, plan: ScanPlan, progress: Progress, found: _Found) -> None:
    for number, unit in enumerate(plan.units):
        progress(f"unit {unit}", number, len(plan.units))
        outcome = await _answer(reader, unit, plan.first)
        found.asked += 1
        if outcome is not ProbeOutcome.SILENT:
            found.answers[unit] = outcome
    answers, units = found.answers, found.units
    refusing = [unit for unit, outcome in answers.items() if outcome is not ProbeOutcome.VALUES]
    all_answer = len(answers) == len(plan.units) >= FEWEST_ALIKE
    found.alike = refusing[len(refusing) == len(answers) :] if all_answer else []  # one unit is scanned in any case
    for unit in answers:
        if unit not in found.alike:
            await _tables(reader, unit, plan, progress, units.setdefault(unit, {}))
    known = [(table, some.runs[0][0]) for tables in units.values() for table, some in tables.items() if some.runs]
    for unit in found.alike:
        for table, address in dict.fromkeys(known):
            if await _outcome(reader, unit, table, Span(address, 1)) is ProbeOutcome.VALUES:
                await _tables(reader, unit, plan, progress, units.setdefault(unit, {}))
                break


async def _answer(reader: RateLimitedReader, unit: int, address: int) -> ProbeOutcome:
    """How a unit responds; an exception response counts, silence is that of two tables."""
    tables: tuple[Table, ...] = ("holding", "input")
    for table in tables:
        try:
            outcome = await reader.answer(unit, table, Span(address, 1))
        except NoUnit:
            return ProbeOutcome.SILENT
        if outcome is not ProbeOutcome.SILENT:
            return outcome
    return ProbeOutcome.SILENT


async def _outcome(reader: RateLimitedReader, unit: int, table: Table, span: Span) -> ProbeOutcome:
    try:
        return await reader.answer(unit, table, span)
    except NoUnit:
        return ProbeOutcome.SILENT


async def _tables(
    reader: RateLimitedReader, unit: int, plan: ScanPlan, progress: Progress, found: dict[Table, ScannedTable]
) -> None:
    """Adds the unit's tables to `found`."""
    for table in plan.tables:
        await _table(reader, unit, table, plan, progress, found)
        if found[table].outcome is TableOutcome.SILENT:
            await asyncio.sleep(IN_STEP_S)
            await _table(reader, unit, table, plan, progress, found)


async def _table(
    reader: RateLimitedReader,
    unit: int,
    table: Table,
    plan: ScanPlan,
    progress: Progress,
    found: dict[Table, ScannedTable],
) -> None:
    size = plan.last - plan.first + 1
    requests = scan_table(plan.first, plan.last, _block(table), plan.step)
    span = next(requests)
    try:
        while True:
            progress(f"unit {unit} {table}", span.start - plan.first, size)
            try:
                outcome = await _outcome(reader, unit, table, span)
            except asyncio.CancelledError:
                found[table] = _stopped(requests)
                raise
            span = requests.send(outcome)
    except StopIteration as end:
        found[table] = end.value


def _stopped(requests: Generator[Span, ProbeOutcome, ScannedTable]) -> ScannedTable:
    try:
        requests.throw(StopScanning())
    except StopIteration as end:
        found: ScannedTable = end.value
        return found
    raise AssertionError("scan_table returns when it is stopped")


def _block(table: Table) -> int:
    return BITS_AT_ONCE if table in BIT_TABLES else REGISTERS_AT_ONCE
