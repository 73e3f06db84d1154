"""Edge cases in which real systems went wrong, each naming the system: clocks, lanes, orders, entries, anomalies."""

from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from driving import as_series, ns, say
from plain_machine import EVERY, PLAIN, VN, H, T, breaks, machine, ran

from oee.engine import step as engine
from oee.kpi.kpi import compute, compute_order
from oee.model.calendars import Calendar, Shift, cut, to_ns
from oee.model.machine import Counter, Pieces
from oee.model.states import CalendarClass, State

MIN_MS = 60_000


def test_what_was_stored_and_comes_late_does_not_change_what_holds_now():
    """Sparkplug 3, store and forward: values with the historical flag must not become current ones."""
    made = machine(pieces=Pieces())
    now = {"d.run": as_series([(T, True), (T + 90, False)])}
    first = engine.step(made, engine.start(), now, (), ns(T + 100), ns(T))
    late = {"d.run": as_series([(T + 95, False)])}
    again = engine.step(made, first.state, late, (), ns(T + 120), ns(T))
    assert (
        (first.live.state, first.live.since_ns)
        == (again.live.state, again.live.since_ns)
        == (State.MINOR_STOP, ns(T + 90))
    )
    assert again.state.late_rows == 0


def test_a_shift_is_the_plants_whatever_clock_the_gateway_has():
    """ERPNext #35439: a server in another time zone shifted the logs. Below the screens time is UTC: 23:30 UTC is half an
    hour into the morning shift of the next day in Vietnam."""
    morning = Calendar(VN, (Shift("A", EVERY, 6 * H, 14 * H),))
    for zone in ("UTC", "America/New_York", "Asia/Ho_Chi_Minh"):
        at = to_ns(datetime(2026, 3, 1, 23, 30, tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(zone)))
        spans = cut(morning, at, at + 60_000_000_000)
        assert (spans.shift.tolist(), spans.business_date.tolist()) == (
            ["A"],
            [(date(2026, 3, 2) - date(1970, 1, 1)).days],
        )


@pytest.mark.parametrize(("first", "last"), [(0, 600), (70, 300), (100, 130), (59, 121)])
def test_a_break_does_not_depend_on_the_window_that_is_asked_for(first, last):
    """UMH #129, #135: a short time without shift became a break or not as the chart was zoomed; point85 skips breaks that
    lie partly outside the window. Here they are clipped."""
    calendar = breaks(60, 120)
    spans = cut(calendar, ns(T + first), ns(T + last))
    paused = sum((spans.end_ns - spans.start_ns)[spans.calendar == CalendarClass.BREAK].tolist())
    assert paused == (min(last, 120) - max(first, 60)) * 1_000_000_000


def test_more_time_than_was_planned_is_flagged_and_not_clamped():
    """MolcaDx: stops longer than the planned time are an anomaly that is shown, not an availability cut to 0."""
    result = compute({"running_ms": 10 * MIN_MS, "breakdown_ms": 60 * MIN_MS}, scheduled_ms=60 * MIN_MS)
    assert result.flags == ("more_than_scheduled",)
    assert result.values["availability"] == pytest.approx(1 / 7)
    assert result.values["coverage"] == pytest.approx(70 / 60)


def test_each_lane_of_a_machine_is_a_unit_of_its_own():
    """MolcaDx: a machine with two lanes has one state and two counters; one lane out is seen in its own performance."""
    rows = {"d.one": [(t, t) for t in range(100)], "d.two": [(t, min(t, 50)) for t in range(100)]}
    lanes = [replace(PLAIN, pieces=Pieces(Counter(f"d.{lane}", 16, max_per_s=10))) for lane in ("one", "two")]
    one, two = (ran(100, rows, lane).sums() for lane in lanes)
    assert (one["running_ms"], two["running_ms"]) == (100_000, 100_000)
    assert (one["pieces_total"], two["pieces_total"]) == (99, 50)


def test_a_stop_over_two_changes_of_product_is_two_changeovers():
    """UMH: a stop that spans more than two orders is an error there. p, q and r in one stop: all of it is set-up, and the
    last changeover is the one to the product that is made."""
    made = machine(product_tag="d.product", products=PLAIN.products | {"r": replace(PLAIN.products["q"], id="r")})
    rows = {
        "d.run": [(0, True), (40, False), (100, True)],
        "d.total": [(0, 0), (20, 1), (120, 2), (140, 3)],
        "d.product": [(0, "p"), (50, "q"), (70, "r")],
    }
    told = ran(200, rows, made)
    assert told.times() == {"running": 100, "setup": 100}
    assert sum(row.get("pieces_total", 0) for row in told.rows.values()) == 3
    assert [(stop.product, stop.to_product) for stop in told.stops][-1][1] == "r"
    assert ran(200, rows, made, cuts=[60, 90]).rows == told.rows


def test_an_entry_replaces_the_one_before_and_a_smaller_one_is_no_mistake():
    """ALMUS: an entered total may not decrease. Entries here are a period's count: whoever counted again may find less."""
    made = machine(pieces=Pieces(PLAIN.pieces.total, reject="operator"))
    rows = {"d.total": [(t, t) for t in range(100)]}
    said = [say(1, T, T + 100, "rejects", "9"), say(2, T, T + 100, "rejects", "4", made=T + 90)]
    sums = ran(101, rows, made, said=said).sums()
    assert (sums["pieces_process_reject"], sums["pieces_good"], sums["pieces_judged"]) == (4, 95, 99)


def test_throughput_of_orders_is_summed_and_not_averaged():
    """MolcaDx F-07: 600 in 30 min are 20/min; 600 + 400 in 30 + 40 min are 14.3/min and not the mean, 15.0."""
    one = compute_order({"pieces_total": 600}, 30 * MIN_MS).values["throughput_per_hour"]
    both = compute_order({"pieces_total": 1000}, 70 * MIN_MS).values["throughput_per_hour"]
    assert one == pytest.approx(20 * 60)
    assert both / 60 == pytest.approx(14.2857, abs=1e-4)


def test_a_process_ratio_above_1_is_shown_as_it_is():
    """MolcaDx F-07: 450 of 400 minutes are 112.5 %, an anomaly on one machine; nothing is cut to 100 %."""
    values = compute_order({"running_ms": 450 * MIN_MS}, 400 * MIN_MS).values
    assert values["production_process_ratio"] == pytest.approx(1.125)


def test_what_no_order_was_said_for_has_no_order_kpis():
    """Undefined is null with a reason."""
    result = compute_order({"running_ms": MIN_MS}, None)
    assert set(result.values.values()) == {None}
    assert set(result.why_null.values()) == {"no_order"}
