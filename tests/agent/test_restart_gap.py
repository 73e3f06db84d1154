"""After a restart every tag is unknown from its last committed confirmation on, and nothing that was seen is erased."""

from dataclasses import replace
from datetime import UTC

import pytest

from adapters.contract import Reading, Row
from agent.compute.delta import carries
from agent.compute.pipeline import Pipeline, snapshots, tags_used_until_ns
from agent.devices.freshness import Freshness
from oee.engine import step as engine
from oee.model.calendars import Calendar, Shift
from oee.model.conditions import parse
from oee.model.facts import FACT, MINUTE_NS, MS_NS, NO_FACTS, add_up
from oee.model.machine import Counter, Machine, Pieces, Rule
from oee.model.samples import concat, series
from oee.model.states import Quality, State

S = 1_000_000_000
T0 = 1_800_000_000 * S // MINUTE_NS * MINUTE_NS
ALL_DAY = Calendar(UTC, (Shift("A", frozenset(range(7)), 0, 86_400),))
MACHINE = Machine(
    "m",
    ALL_DAY,
    (Rule(parse("plc.run"), State.RUNNING), Rule(None, State.UNPLANNED_STOP)),
    pieces=Pieces(total=Counter("plc.count")),
)
LIMITS = {"plc": {"run": 5.0, "count": 5.0}}


class Gateway:
    """A run of the agent's inner parts: freshness and pipeline, told the time."""

    def __init__(self, now_ns, carries=None):
        self.freshness = Freshness(LIMITS)
        self.pipeline = Pipeline({"m": MACHINE}, carries or {})
        self.pipeline.feed_rows(self.freshness.start(now_ns, tags_used_until_ns(self.pipeline)))

    def reads(self, now_ns, **values):
        """Values of `now_ns`, confirmed a little later."""
        rows = [Row(tag, now_ns, value, Quality.GOOD) for tag, value in values.items()]
        self.pipeline.feed_rows(self.freshness.fed("plc", Reading(now_ns + 300_000, rows, ("run", "count"))))

    def beats(self, now_ns):
        self.pipeline.feed_rows(self.freshness.tick(now_ns))
        self.pipeline.advance({"m": self.freshness.watermark_ns(MACHINE.tags(), now_ns)})


def sums(*batches):
    total = add_up([NO_FACTS, *(part.facts for batch in batches for part in batch)]).sums.sum(axis=0)
    return {name: int(total[index]) for name, index in FACT.items() if total[index]}


def watched(gateway, start_ns, seconds, first=0):
    for second in range(seconds):
        now_ns = start_ns + second * S
        gateway.reads(now_ns, run=True, count=first + second)
        gateway.beats(now_ns + 500_000)


@pytest.mark.parametrize("offset_ns", [0, 1, 400_000, 999_000])
def test_unknown_from_the_last_commit_until_the_first_reading(offset_ns):
    """Killed after a commit at second 99, back at second 160: the reading of second 99 was seen, and no piece is lost."""
    start_ns = T0 + offset_ns
    first = Gateway(start_ns)
    watched(first, start_ns, 100)
    committed = first.pipeline.take()
    second = Gateway(start_ns + 150 * S, carries(committed))
    watched(second, start_ns + 160 * S, 200, first=1_000)
    second.beats(start_ns + 400 * S)
    found = sums(committed, second.pipeline.take())
    assert found["unknown_ms"] == 60_999 + 999  # until second 160, and the end of the last whole minute
    assert found["pieces_total"] == 99 + 199
    assert found["pieces_unwatched"] == 901


def test_a_row_that_the_state_holds_beyond_its_end_does_not_hold_until_the_restart():
    first = Gateway(T0)
    watched(first, T0, 100)
    batch = first.pipeline.take()
    state = batch[-1].state
    until_ns = state.until_ns
    ahead = series([(until_ns, True, Quality.GOOD), (until_ns + 3 * S, True, Quality.GOOD)])
    state = replace(state, rows={**state.rows, "plc.run": concat([state.rows["plc.run"], ahead])})
    again = Gateway(until_ns + 60 * S, {"m": engine.dump(state)})
    again.beats(until_ns + 120 * S)
    assert snapshots(again.pipeline)["m"].state is State.UNKNOWN
    found = sums(batch, again.pipeline.take())
    assert found["running_ms"] == (until_ns - T0) // MS_NS + 2  # a millisecond for each of the two


def test_a_machine_that_was_never_computed_but_holds_rows_is_unknown_too():
    """Killed within the first millisecond: the state has rows and no end."""
    state = replace(engine.start(), rows={"plc.run": series([(T0, True, Quality.GOOD)])})
    again = Gateway(T0 + 3_600 * S, {"m": engine.dump(state)})
    again.beats(T0 + 3_660 * S)
    found = sums(again.pipeline.take())
    assert found == {"running_ms": 1, "unknown_ms": 3_660_000 - 1}


def test_a_pause_erases_no_value_either():
    """A reading lies half a millisecond after the end of what was computed; then nothing can be stored for a while."""
    gateway = Gateway(T0)
    watched(gateway, T0, 50)
    gateway.reads(T0 + 50 * S, run=True, count=50)
    gateway.pipeline.advance({"m": T0 + 50 * S + 500_000})
    gateway.pipeline.resume(T0 + 80 * S)
    gateway.pipeline.advance({"m": T0 + 120 * S})
    found = sums(gateway.pipeline.take())
    assert found["pieces_total"] == 50
