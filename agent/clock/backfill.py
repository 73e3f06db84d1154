"""Feeds undated rows to the pipeline with their true times, block by block, once the clock is trusted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from adapters.contract import Row
from agent.clock.undated_rows import UndatedRows
from agent.compute.pipeline import Pipeline, tags_used_until_ns
from agent.devices.freshness import ONLINE
from oee.model.facts import MS_NS
from oee.model.states import Quality

_ROWS_AT_ONCE: Final = 20_000
_RETRY_S: Final = 1.0


@dataclass
class Backfill:
    """deliver: takes rows of gateway time; commit: stores what the pipeline computed; stop: ends it early;
    computed_ns: the time up to which facts exist already [ns UTC]; resumed: an earlier run has begun with this file.

    late: of the rows before computed_ns each tag's latest.
    """

    pipeline: Pipeline
    deliver: Callable[[list[Row]], None]
    commit: Callable[[], Awaitable[bool]]
    stop: asyncio.Event
    computed_ns: int
    resumed: bool
    late: dict[str, Row] = field(default_factory=dict)

    async def run(self, undated: UndatedRows, base_ns: int) -> bool:
        """Feeds the rows on disk, at `base_ns` plus their monotonic times; False if it was stopped before the end."""
        count = 0
        for block in undated.blocks():
            until_ns = block.until_ns + base_ns
            if until_ns <= self.computed_ns:  # fed by an earlier run, or before the time from which facts are missing
                self.late |= {row.tag: row for row in block.rows if not self.resumed}
                continue
            rows = self.after_late(moved(block.rows, base_ns))
            self.deliver(rows)
            count += len(rows)
            if count >= _ROWS_AT_ONCE:
                count = 0
                if not await self._compute(until_ns):
                    return False
        return not undated.until_ns or await self._compute(undated.until_ns + base_ns)

    def after_late(self, rows: list[Row]) -> list[Row]:
        """These rows, preceded by the latest values from before `computed_ns`: those hold from there on, right after the
        gap that begins there.
        """
        late, self.late = self.late, {}
        return [*(row._replace(t_ns=self.computed_ns + 2 * MS_NS) for row in late.values()), *rows]

    async def _compute(self, until_ns: int) -> bool:
        await asyncio.to_thread(self.pipeline.advance, dict.fromkeys(self.pipeline.tags, until_ns))
        while not self.stop.is_set():
            if await self.commit():
                return True
            await asyncio.sleep(_RETRY_S)
        return False


def ends_of_last_run(pipeline: Pipeline) -> list[Row]:
    """Gaps that begin where the previous run ended: from there on its last values are unknown."""
    return [
        Row(tag, t_ns, 0, Quality.GOOD) if tag.endswith(f".{ONLINE}") else Row(tag, t_ns, None, Quality.GAP)
        for tag, t_ns in tags_used_until_ns(pipeline).items()
    ]


def moved(rows: list[Row], by_ns: int) -> list[Row]:
    """The rows at times that are later by `by_ns` [ns]."""
    if not by_ns:
        return rows
    new = tuple.__new__  # faster than Row(...): every row of a gateway passes here
    return [new(Row, (tag, t_ns + by_ns, value, quality, source)) for tag, t_ns, value, quality, source in rows]
