"""What counters did besides counting is told by the agent: in its status, over a restart too."""

from zoneinfo import ZoneInfo

from adapters.contract import Row
from agent.compute.delta import carries
from agent.compute.pipeline import Pipeline
from agent.reports.status import counter_steps
from oee.model.calendars import Calendar, Shift
from oee.model.conditions import parse
from oee.model.machine import Counter, Ideal, Machine, Pieces, Product, Rule
from oee.model.states import Quality, State
from wire.bodies import MOST_COUNTER_STEPS

S = 1_000_000_000
T0 = 1_770_000_000 * S
FULL = Calendar(ZoneInfo("Asia/Ho_Chi_Minh"), (Shift("day", frozenset(range(7)), 0, 86_400),))
PRESS = Machine(
    "press",
    FULL,
    (Rule(parse("d.run"), State.RUNNING), Rule(None, State.UNPLANNED_STOP)),
    pieces=Pieces(Counter("d.total", 32, poll_ns=5 * S, guessed=True)),
    product="p",
    products={"p": Product("p", (Ideal(10_000_000),))},
)


def fed(pipeline, values, begin_ns=T0):
    rows = [Row("d.run", begin_ns, True, Quality.GOOD)]
    rows += [Row("d.total", begin_ns + t * S, value, Quality.GOOD) for t, value in values]
    pipeline.feed_rows(sorted(rows, key=lambda row: row.t_ns))
    end_ns = begin_ns + (values[-1][0] + 5) * S
    pipeline.advance({"press": end_ns})
    return end_ns


def told(pipeline, now_ns):
    states = {name: run.state for name, run in pipeline.runs.items()}
    return [
        (step.role, (step.at_ns - T0) // S, step.kind, step.old, step.new) for step in counter_steps(states, now_ns)
    ]


def test_a_jump_is_told_once_and_survives_a_restart():
    pipeline = Pipeline({"press": PRESS}, {})
    now_ns = fed(pipeline, [(0, 5000), (10, 5001), (20, 5002), (21, 5190), (31, 5191)])
    expected = [("total", 21, "jump", 5002, 5190)]
    assert told(pipeline, now_ns) == expected
    pipeline.advance({"press": now_ns + 30 * S})
    assert told(pipeline, now_ns) == expected
    again = Pipeline({"press": PRESS}, carries(pipeline.take()))
    assert told(again, now_ns) == expected
    assert told(again, now_ns + 86_400 * S) == []


def test_what_turns_out_to_have_been_a_stray_value_is_told_as_that():
    pipeline = Pipeline({"press": PRESS}, {})
    now_ns = fed(pipeline, [(0, 5000), (10, 5001), (11, 599_999)])
    assert [kind for _, _, kind, _, _ in told(pipeline, now_ns)] == ["jump"]
    now_ns = fed(pipeline, [(20, 5002)])
    assert told(pipeline, now_ns) == [("total", 11, "spike", 5001, 599_999)]


def test_the_latest_are_told():
    pipeline = Pipeline({"press": PRESS}, {})
    values = [(10 * n, (n + 1) * 9000) for n in range(60)]
    now_ns = fed(pipeline, values)
    latest = told(pipeline, now_ns)
    assert len(latest) == MOST_COUNTER_STEPS
    assert latest[-1][1] == values[-1][0]
