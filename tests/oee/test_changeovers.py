"""Changeovers from stops: chains joined, alarms kept apart, statistics by pair of products."""

from zoneinfo import ZoneInfo

import pytest

from oee.kpi.changeovers import by_pair, changeovers
from oee.model.calendars import Calendar, Shift
from oee.model.facts import Stop
from oee.model.states import State

S = 1_000_000_000
ALWAYS = Calendar(ZoneInfo("UTC"), (Shift("A", frozenset(range(7)), 0, 86_400, ((100, 160),)),))


def stop(start_s, end_s, state=State.SETUP, to="", machine="m", product="1", revision=0, name=None):
    end_ns = None if end_s is None else end_s * S
    return Stop(
        machine, name or str(start_s * 1000), start_s * S, end_ns, state, "", "product", product, to, revision
    )  # fmt: skip


def test_a_changeover_is_its_time_in_setup():
    found = changeovers([stop(10, 40, to="2"), stop(200, 210, State.BREAKDOWN)])
    (one,) = found.changeovers
    assert (one.product, one.to_product, one.setup_ms, one.elapsed_ms) == ("1", "2", 30_000, 30_000)
    assert (found.unpaired, found.still_open) == (0, 0)


def test_an_alarm_inside_keeps_its_time_and_the_chain_goes_on():
    rows = [
        stop(10, 40, to="2"),
        stop(40, 60, State.BREAKDOWN),
        stop(60, 65),
        stop(65, 90, State.STARVED),
        stop(95, 99),
    ]
    found = changeovers(reversed(rows))
    (one,) = found.changeovers
    assert (one.setup_ms, one.elapsed_ms, one.end_ns) == (35_000, 55_000, 65 * S)
    assert (found.unpaired, found.unpaired_ms) == (1, 4000)  # the machine ran from 90 to 95


def test_what_follows_at_once_is_a_changeover_of_its_own():
    found = changeovers([stop(10, 40, to="2"), stop(40, 70, to="3", product="2")])
    assert [(item.to_product, item.setup_ms) for item in found.changeovers] == [("2", 30_000), ("3", 30_000)]


def test_one_that_has_not_ended_is_counted_but_not_timed():
    assert changeovers([stop(10, None, to="2")]).still_open == 1
    still = changeovers([stop(10, 40, to="2"), stop(40, None, State.BREAKDOWN)])
    assert (still.changeovers, still.still_open) == ((), 1)


def test_the_latest_revision_counts_and_vanished_stops_do_not():
    found = changeovers([stop(10, 60, to="2", revision=2), stop(10, 40, to="2", revision=1)])
    assert [item.setup_ms for item in found.changeovers] == [50_000]
    assert changeovers([stop(10, 40, to="2"), stop(10, 10, to="2", revision=1)]).changeovers == ()


def test_only_scheduled_time_counts_where_the_calendar_is_known():
    found = changeovers([stop(90, 200, to="2")], {"m": ALWAYS})
    assert (found.changeovers[0].setup_ms, found.changeovers[0].elapsed_ms) == (50_000, 50_000)


def test_machines_are_kept_apart():
    found = changeovers([stop(10, 40, to="2", machine="a"), stop(40, 50, machine="b")])
    assert [item.setup_ms for item in found.changeovers] == [30_000]
    assert found.unpaired == 1


def test_statistics_by_pair():
    rows = [stop(1000 * i, 1000 * i + length, to="2") for i, length in enumerate([10, 20, 30, 40, 100], 1)]
    rows += [stop(9000, 9300, to="3"), stop(9000, 9400, to="3", machine="n")]
    long, other, pair = by_pair(changeovers(rows).changeovers)
    assert (long.machine, long.to_product, long.total_ms) == ("n", "3", 400_000)
    assert (other.machine, other.spread) == ("m", None)  # one says nothing about spread
    assert (pair.count, pair.total_ms, pair.best_ms, pair.median_ms) == (5, 200_000, 10_000, 30_000)
    assert pair.p90_ms == pytest.approx(76_000)
    assert pair.spread == pytest.approx(76 / 30)

    pooled = by_pair(changeovers(rows).changeovers, apart=False)
    assert [(row.machine, row.to_product, row.count) for row in pooled] == [("", "3", 2), ("", "2", 5)]
    assert by_pair([]) == ()
