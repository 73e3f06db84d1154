"""Totals are sums first; lines say what they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oee.kpi.kpi import KPI_KEYS, compute
from oee.kpi.rollup import LINE_KPIS, Station, parallel, serial, totals
from oee.model.facts import FACT, FACT_COLUMNS, Facts, make_table
from oee.model.states import CalendarClass
from words.catalogue import catalogue

MIN = 60_000


def row(planned_min, run_min, ideal_min=1.0, total=0, good=None):
    """Sums of a machine: minutes planned and run, minutes of ideal time a piece, pieces."""
    sums = np.zeros(len(FACT_COLUMNS), np.int64)
    us = int(ideal_min * MIN * 1000)
    told = {} if good is None else {"judged": total, "good": good, "process_reject": total - good}
    pieces = {"total": total, **told}
    values = {"running_ms": run_min * MIN, "running_ideal_known_ms": run_min * MIN,
              "breakdown_ms": (planned_min - run_min) * MIN}  # fmt: skip
    values |= {f"pieces_{name}": number for name, number in pieces.items()}
    values |= {f"ideal_{name}_us": number * us for name, number in pieces.items()}
    for name, value in values.items():
        sums[FACT[name]] = value
    return sums


def station(machine, *numbers, all_min=1000, **more):
    return Station(machine, row(*numbers, **more), numbers[0] * MIN, all_min * MIN)


# W8: README of the Python package `oee`
M1 = station("m1", 100, 90, total=80, good=80)
M2 = station("m2", 300, 150, total=150, good=135)


def test_a_parallel_line_is_the_sum_of_its_machines():
    found = parallel([M1, M2])
    assert found.flow == "parallel"
    assert found.stations["m1"].values["oee"] == pytest.approx(0.80)
    assert found.stations["m2"].values["oee"] == pytest.approx(0.45)
    assert found.values["oee"] == pytest.approx(0.5375)  # and not the mean, 0.625
    assert tuple(found.values) == KPI_KEYS
    assert found.values["teep"] == pytest.approx(0.5375 * 400 / 2000)


def test_a_calendar_that_one_machine_lacks_the_sum_lacks():
    found = parallel([M1, Station("m3", M2.sums, None, None)])
    assert found.values["coverage"] is None
    assert found.why_null["coverage"] == "no_calendar"
    assert found.values["oee"] == pytest.approx(0.5375)


@given(st.lists(st.integers(0, 10**9), min_size=len(FACT_COLUMNS) * 3, max_size=len(FACT_COLUMNS) * 3))
def test_the_sum_of_parts_is_the_kpi_of_the_sum(numbers):
    table = np.array(numbers, np.int64).reshape(3, -1)
    stations = [Station(f"m{i}", sums, 1000, 2000) for i, sums in enumerate(table)]
    expected = compute(table.sum(axis=0), scheduled_ms=3000, all_ms=6000)
    found = parallel(stations)
    assert (found.values, found.why_null, found.flags) == (expected.values, expected.why_null, expected.flags)


def test_a_serial_line_takes_time_from_the_constraint_and_compounds_quality():
    """AVEVA MES help: a line counts only its bottleneck entities; the result says which station that was."""
    found = serial([M1, M2], "m2")
    assert (found.flow, found.constraint) == ("serial", "m2")
    assert found.values["availability"] == pytest.approx(0.5)
    assert found.values["performance"] == pytest.approx(1.0)
    assert found.values["quality"] == pytest.approx(1.0 * 0.9)
    assert found.values["oee"] == pytest.approx(0.45)
    assert found.values["utilization"] == pytest.approx(0.3)
    assert found.values["teep"] == pytest.approx(0.135)
    assert tuple(found.values) == LINE_KPIS
    assert found.why_null == {}


def test_forty_stations_at_99_percent():
    line = [station(f"s{i}", 100, 100, total=100, good=99) for i in range(40)]
    assert serial(line, "s7").values["quality"] == pytest.approx(0.669, abs=5e-4)


@pytest.mark.parametrize("constraint", ["", "m9"])
def test_without_a_constraint_there_is_no_oee_but_a_reason(constraint):
    found = serial([M1, M2], constraint)
    assert found.constraint == ""
    assert {key: found.values[key] for key in ("availability", "performance", "oee", "teep")} == dict.fromkeys(
        ("availability", "performance", "oee", "teep")
    )
    assert found.why_null["oee"] == "no_constraint"
    assert found.values["quality"] == pytest.approx(0.9)
    assert "why_null.no_constraint" in catalogue()


def test_a_station_that_judges_nothing_is_named():
    found = serial([M1, station("m3", 100, 90, total=80)], "m1")
    assert found.values["oee"] is None
    assert found.why_null["quality"] == found.why_null["oee"] == "quality_not_known"
    assert found.of_station["oee"] == "m3"


def test_a_constraint_that_stood_still_has_an_oee_of_0():
    found = serial([M1, station("m4", 100, 0)], "m4")
    assert found.values["availability"] == 0
    assert found.values["oee"] == 0


def test_a_line_is_watched_as_well_as_its_worst_station():
    blind = Station("m5", row(50, 50, total=50, good=50), 100 * MIN, 1000 * MIN)
    assert serial([M1, blind], "m1").values["coverage"] == pytest.approx(0.5)


def test_flags_of_any_station_are_the_lines():
    quick = station("m6", 100, 50, total=80, good=80)
    assert serial([M1, quick], "m1").flags == ("performance_above_1",)


def test_a_line_without_stations_has_nothing():
    assert set(serial([], "m1").why_null) == set(LINE_KPIS)


def test_totals_by_machine_product_and_shift():
    keys = [("a", 0, CalendarClass.SCHEDULED, 1, "A", "1"), ("a", 1, CalendarClass.SCHEDULED, 1, "B", "2"),
            ("b", 0, CalendarClass.SCHEDULED, 2, "A", "1"), ("b", 0, CalendarClass.OUTSIDE, 2, "-", "1")]  # fmt: skip
    facts = make_table(Facts, keys, np.array([row(10, n, total=n) for n in (1, 2, 3, 4)]))
    run = FACT["running_ms"]
    assert {key: int(sums[run]) // MIN for key, sums in totals(facts).items()} == {("a",): 3, ("b",): 3}
    assert {k: int(s[run]) // MIN for k, s in totals(facts, ("product",)).items()} == {("1",): 4, ("2",): 2}
    by_shift = totals(facts, ("business_date", "shift"))
    assert list(by_shift) == [(1, "A"), (1, "B"), (2, "A")]
    assert int(totals(facts, ())[()][run]) // MIN == 6
    with pytest.raises(ValueError, match="'line'"):
        totals(facts, ("line",))
