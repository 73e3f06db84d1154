"""Live, recomputation and replay of a recording of any spacing come to the same pieces (docs/design/0020-counters.md)."""

from datetime import datetime, timedelta

import pytest

import config
from adapters.contract import Row
from agent.compute.pipeline import Pipeline
from config import compile_site, load_profiles
from oee.engine.correction import Sent, recompute, with_rows
from oee.engine.step import start
from oee.model.facts import FACT, MINUTE_NS
from oee.model.samples import series
from oee.model.states import Quality
from replay import replay

SITE = """
site: tri
timezone: Asia/Ho_Chi_Minh
devices:
  press:
    kind: modbus_tcp
    host: 192.0.2.1
    tags: {running: {coil: 0}, strokes: {holding: 100, type: uint32}, rejects: {holding: 102, type: uint16}}
machines:
  press-1:
    state: [{when: "press.running", is: running}, {is: unplanned_stop}]
    pieces: {total: press.strokes, reject: press.rejects}
    product: "1"
products: {"1": {ideal: 10s}}
shifts: [{name: A, days: mon-sun, from: "06:00", to: "14:00"}]
"""
START = datetime.fromisoformat("2026-09-21T07:00:00+07:00")
S = 1_000_000_000
SPACINGS = [1, 5, 20, 60, 300]
"""Seconds between two rows; what goes wrong with the register goes wrong at a multiple of the longest."""


def history():
    """By second, whether it runs, strokes and rejects: three recipes of which each has counters of its own, a restart that
    shows 0, a reset at a change of shift, and a jump while the machine runs. A piece every 10 s while it runs."""
    runs, strokes, rejects = [], [], []
    made, bad, shown, offset = 0, 0, 0, 40_000
    for second in range(4 * 3600 + 1):
        running = second % 3600 < 3000
        if running and second % 10 == 0 and second:
            made += 1
            bad += made % 50 == 0
        if second == 3300:  # stands; another recipe
            offset = 40_130 - made
        if second == 6900:  # stands; another recipe whose counters are lower
            offset = 120 - made
        if second == 10_500:  # stands; the shift changes
            offset = -made
        shown = made + offset
        if 4200 <= second < 4500 or second == 8400:  # the PLC restarts
            shown = 0
        runs.append(running)
        strokes.append(shown)
        rejects.append(bad)
    return runs, strokes, rejects, made, bad


@pytest.fixture(scope="module")
def recorded():
    return history()


def replayed(folder, recorded, spacing):
    runs, strokes, rejects, *_ = recorded
    lines = ["time,running,strokes,rejects"]
    for second in range(0, len(runs), spacing):
        when = (START + timedelta(seconds=second)).isoformat()
        lines.append(f"{when},{int(runs[second])},{strokes[second]},{rejects[second]}")
    (folder / "press.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    outcome = replay(config.parse_site(SITE)[0], folder)
    assert [item for item in outcome.conflicts if item.severity == "conflict"] == []
    sums = sum(outcome.totals.facts.values())
    told = {(item.key, item.code.removeprefix("counter_"), item.count) for item in outcome.conflicts}
    return int(sums[FACT["pieces_total"]]), int(sums[FACT["pieces_process_reject"]]), told


@pytest.mark.parametrize("spacing", SPACINGS)
def test_replay(tmp_path, recorded, spacing):
    """Every spacing sees every piece; the jumps are told, the restart too where a row shows it."""
    made, bad, told = replayed(tmp_path, recorded, spacing)
    assert (made, bad) == recorded[3:]
    assert told == {("total", "jump", 2), ("total", "dip", 2), ("total", "reset", 1)}


@pytest.mark.parametrize("every", [13, 61, 1800])
def test_the_agent_and_a_recomputation(recorded, every):
    """Rows of a live line, a change each, in steps of so many seconds; then once more from the beginning."""
    runs, strokes, rejects, made, bad = recorded
    machine = compile_site(config.parse_site(SITE)[0], load_profiles())["press-1"]
    pipeline, begin = Pipeline({"press-1": machine}, {}), round(START.timestamp()) * S
    columns = {"press.running": runs, "press.strokes": strokes, "press.rejects": rejects}
    rows = {tag: [] for tag in columns}
    for second in range(len(runs)):
        for tag, column in columns.items():
            if not second or column[second] != column[second - 1]:
                rows[tag].append(Row(tag, begin + second * S, column[second], Quality.GOOD))
                pipeline.feed_rows(rows[tag][-1:])
        if second % every == 0:
            pipeline.advance({"press-1": begin + second * S})
    end = begin + len(runs) // 60 * 60 * S + MINUTE_NS
    pipeline.advance({"press-1": end})
    deltas = pipeline.take()
    assert sum(int(item.facts.column("pieces_total").sum()) for item in deltas) == made
    assert sum(int(item.facts.column("pieces_process_reject").sum()) for item in deltas) == bad
    sent = with_rows(Sent(), [item.facts for item in deltas], [item.losses for item in deltas], deltas[-1].stops)
    samples = {tag: series((row.t_ns, row.value, row.quality) for row in found) for tag, found in rows.items()}
    again = recompute(machine, start(), [(samples, end)], (), sent)
    assert not again.facts.sums.any()
