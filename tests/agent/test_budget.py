"""A month's data on a line that costs: process values stop first, live is thinned, what must travel never stops."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.outbox.streams import EnvelopeKey
from agent.uplink.budget import LIVE, MB, MUST, VALUES, Budget, DataPlan, Level
from agent.uplink.in_flight import InFlight
from agent.uplink.traffic import TrafficMeter
from wire.broker_limits import BrokerLimits

NOVEMBER_S = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
DAY_S = 86_400
HOUR_S = 3600


def month(limit_mb, a_day, days=30, start_s=NOVEMBER_S):
    """A month in which each part costs so many bytes a day as long as it may travel; the budget and what was told."""
    told = []
    budget = Budget(DataPlan(limit_mb, expected={MUST: a_day[MUST], LIVE: a_day[LIVE]}), on_level=told.append)
    for hour in range(days * 24):
        spent = {MUST: a_day[MUST] / 24, LIVE: a_day[LIVE] / 24, VALUES: a_day[VALUES] / 24}
        if budget.level is not Level.ALL:
            spent |= {VALUES: 0.0, LIVE: spent[LIVE] / 30}
        if budget.level is Level.SHORT:
            spent |= {LIVE: spent[LIVE] / 10}
        budget.spend(spent, start_s + hour * HOUR_S)
    return budget, told


def test_without_a_limit_everything_travels():
    budget, told = month(None, {MUST: 1e9, LIVE: 1e9, VALUES: 1e9})
    assert (budget.level, told) == (Level.ALL, [])
    assert round(budget.used_mb) == 90_000


def test_values_stop_in_time_for_the_rest():
    budget, told = month(300, {MUST: 2 * MB, LIVE: 1 * MB, VALUES: 20 * MB})
    assert told[0] is Level.THIN
    assert 250 < budget.used_mb <= 300
    assert len(told) < 60, "not on and off all the time"


def test_live_is_thinned_where_even_that_is_too_much():
    budget, told = month(70, {MUST: 2 * MB, LIVE: 10 * MB, VALUES: 0})
    assert told[0] is Level.THIN
    assert 60 < budget.used_mb < 75


def test_what_must_travel_is_counted_and_never_held_back():
    budget, told = month(10, {MUST: 2 * MB, LIVE: 1 * MB, VALUES: 1 * MB})
    assert told == [Level.SHORT]
    assert budget.used_mb > 60


@settings(deadline=None, max_examples=30)
@given(st.integers(20, 2000), st.floats(0.1, 3), st.floats(0, 3), st.floats(0, 200))
def test_the_limit_holds_wherever_what_must_travel_fits(limit_mb, must, live, values):
    must_mb = must * 30
    budget, _ = month(limit_mb, {MUST: must * MB, LIVE: live * MB, VALUES: values * MB})
    if must_mb * 1.2 + live < limit_mb:
        assert budget.used_mb <= limit_mb * 1.02 + values / 24 + live


def test_the_month_begins_on_its_day_and_what_was_spent_outlives_a_restart():
    plan = DataPlan(100, from_day=15)
    budget = Budget(plan)
    budget.spend({MUST: 5 * MB}, NOVEMBER_S + 13 * DAY_S)
    again = Budget(plan, budget.saved())
    again.spend({MUST: 1 * MB}, NOVEMBER_S + 13.5 * DAY_S)
    assert again.used_mb == 6
    again.spend({MUST: 1 * MB}, NOVEMBER_S + 14 * DAY_S)
    assert again.used_mb == 1
    assert Budget(plan, "nonsense").used_mb == Budget(plan, "[]").used_mb == 0


def test_the_forecast_is_what_was_spent_and_what_is_expected():
    budget = Budget(DataPlan(100, expected={MUST: 1 * MB, LIVE: 1 * MB}))
    budget.spend({MUST: 1 * MB}, NOVEMBER_S + 10 * DAY_S)
    assert round(budget.forecast_mb(NOVEMBER_S + 10 * DAY_S)) == 1 + 2 * 20


def test_a_meter_gives_to_each_part_what_it_weighs_and_the_rest_to_what_must_travel():
    meter = TrafficMeter()
    meter.publish(LIVE, "t", 1000)
    first = meter.take(5000)
    assert sum(first.values()) == 5000
    assert 1000 < first[LIVE] < 1300
    assert sum(meter.take(5600).values()) == 600
    meter.begin()
    assert sum(meter.take(300).values()) == 300
    meter.publish(MUST, "t", 100)
    assert 100 < meter.take(None)[MUST] < 400, "without a count of the system's, what messages weigh"


def test_a_line_is_full_until_the_broker_answers():
    line = InFlight(1000)
    line.sent(1, "t", EnvelopeKey("s", 1), 600, 0.0)
    assert line.most_envelopes(0.0)
    line.sent(2, "t", None, 600, 0.0)
    assert not line.most_envelopes(0.0)
    assert line.answered(1, 0, 1.0) == EnvelopeKey("s", 1)
    assert line.most_envelopes(0.0)
    assert line.answered(1, 0, 1.0) is None
    line.begin(BrokerLimits(), 0.0)
    assert 2 not in line


def test_a_slow_link_is_not_a_broker_that_refuses_in_silence():
    """64 kB at 200 bytes/s: each message waits five minutes, but they are acknowledged one after the other."""
    line = InFlight()
    for number in range(64):
        line.sent(number, "facts", None, 1000, 0.0)
    for number in range(64):
        assert line.stuck(5.0 * number) is None
        line.answered(number, 0, 5.0 * number)
    line.sent(64, "facts", None, 1000, 320.0)
    assert line.stuck(499.0) is None
    assert line.stuck(500.0) == "facts", "nothing was acknowledged for three minutes"


def test_one_topic_that_is_never_acknowledged_does_not_hold_up_the_others():
    line = InFlight(1000)
    line.sent(1, "facts", EnvelopeKey("s", 1), 1200, 0.0)
    line.sent(2, "status", None, 100, 170.0)
    line.answered(2, 0, 171.0)
    assert not line.most_envelopes(0.0)
    assert line.stuck(179.0) is None
    assert line.stuck(180.0) == "facts"
    line.begin(BrokerLimits(), 0.0)
    assert line.held == frozenset()
    line.sent(1, "facts", EnvelopeKey("s", 1), 1200, 200.0)
    assert line.held == {"facts"}
    assert line.most_envelopes(0.0)
    line.sent(2, "values", EnvelopeKey("v", 1), 500, 201.0)
    line.answered(2, 0, 202.0)
    assert line.stuck(799.0) is None
    assert line.stuck(800.0) == "facts"
    line.answered(1, 0, 801.0)
    assert (line.held, line.probation) == (frozenset(), set())


def test_a_clock_that_nobody_has_confirmed_begins_no_month():
    """A gateway without a battery wakes up in 1970."""
    budget = Budget(DataPlan(100))
    budget.spend({MUST: 50 * MB}, NOVEMBER_S + 10 * DAY_S)
    again = Budget(DataPlan(100), budget.saved())
    again.spend({MUST: 1 * MB}, 1000.0, dated=False)
    again.spend({MUST: 1 * MB}, NOVEMBER_S + 11 * DAY_S)
    assert again.used_mb == 52
