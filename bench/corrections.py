"""What corrections that reach back cost: the journal on disk, an edit of an hour, a day and a week ago, and the week
computed again; beside them the same week computed once, in the same steps, by the engine alone.

    .venv/bin/python bench/corrections.py [--days 7]

One machine with a piece every two seconds and stops, a real outbox file. CPU seconds of this process. Prints a table
and, as the last line, one JSON object.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "agent")]

from rich.console import Console
from rich.table import Table
from test_corrections import MACHINE, Gateway, said
from test_pipeline import T0, S

from adapters.contract import Row
from agent.outbox import declarations as declared
from agent.outbox.journal.past import BLOCK_NS
from oee.engine import step as engine
from oee.model.facts import MINUTE_NS
from oee.model.samples import between, series
from oee.model.states import Quality

STEP_S = 600


def rows(seconds):
    """A piece every two seconds while it runs; runs of minutes to half an hour, stops of seconds to minutes."""
    dice, running, until, count = random.Random(1), True, 900, 0
    yield Row("m.run", T0, True, Quality.GOOD)
    for second in range(1, seconds):
        if second >= until:
            running = not running
            until = second + dice.randint(*((300, 2000) if running else (10, 400)))
            yield Row("m.run", T0 + second * S, running, Quality.GOOD)
        if running and second % 2 == 0:
            count += 1
            yield Row("m.count", T0 + second * S + 137_000_000, count, Quality.GOOD)


def engine_alone_s(recorded, seconds):
    """CPU seconds of the engine over the same rows in the same steps."""
    columns = {}
    for row in recorded:
        columns.setdefault(row.tag, []).append((row.t_ns, row.value, row.quality))
    samples = {tag: series(column) for tag, column in columns.items()}
    state, block_s, began_s = engine.start(), BLOCK_NS // S, time.process_time()
    for low in range(0, seconds, block_s):
        until_ns = T0 + min(low + block_s, seconds) * S
        block = {tag: between(column, T0 + low * S, until_ns) for tag, column in samples.items()}
        state = engine.step(MACHINE, state, block, (), until_ns, until_ns // MINUTE_NS * MINUTE_NS).state
    return time.process_time() - began_s


async def work(folder, seconds):
    """All figures."""
    recorded = list(rows(seconds))
    gateway, out = (
        Gateway(folder / "outbox.db"),
        {"rows": len(recorded), "engine_alone_s": engine_alone_s(recorded, seconds)},
    )
    began_s, at = time.process_time(), 0
    for second in range(STEP_S, seconds + 1, STEP_S):
        last = at
        while last < len(recorded) and recorded[last].t_ns < T0 + second * S:
            last += 1
        gateway.now_ns = T0 + second * S
        gateway.pipeline.feed_rows(recorded[at:last])
        gateway.pipeline.advance({"m": gateway.now_ns})
        await gateway.committer.commit()
        at = last
    await gateway.committer.commit(final=True)
    out["live_with_journal_s"] = time.process_time() - began_s
    for table in ("rows", "sent", "checkpoints"):
        query = f"select coalesce(sum(length(data)), 0) from journal_{table}"
        (size,) = gateway.outbox.within(lambda db, query=query: db.execute(query).fetchone())
        out[f"journal_{table}_mb"] = size / 1e6
    for name, back in (("hour", 3600), ("day", 86_400), ("whole", seconds - 60)):
        if back < seconds:
            gateway.say(said(back, "reason", "die-jam", seconds - back, seconds - back + 60))
            out[f"edit_{name}_s"] = await _correction_s(gateway)
    gateway.outbox.within(lambda db: declared.request_recompute(db, ["m"], 0, 1))
    out["recompute_s"] = await _correction_s(gateway)
    out["recompute_to_engine_alone"] = out["recompute_s"] / out["engine_alone_s"]
    await gateway.close()
    return out


async def _correction_s(gateway):
    """CPU seconds of the corrections that are pending."""
    began_s = time.process_time()
    await gateway.corrections.run_pending()
    return time.process_time() - began_s


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=7.0)
    seconds = int(parser.parse_args().days * 86_400) // STEP_S * STEP_S
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder, Console(stderr=True).status("corrections ..."):
        figures = asyncio.run(work(Path(folder), seconds))
    table = Table("figure", "measured")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else f"{value:,}")
    Console().print(table)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
