"""Which shift it is, and what its facts add up to."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oee.kpi.kpi import compute
from oee.kpi.shift import ShiftSpan, shift_at, shift_figures
from oee.model.calendars import Calendar, Shift, scheduled_ms
from oee.model.facts import FACT, FACT_COLUMNS, MINUTE_NS, Facts, make_table
from oee.model.states import CalendarClass

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
HOUR_NS = 60 * MINUTE_NS
WORKDAYS = frozenset(range(5))
TWO = Calendar(
    HANOI,
    (
        Shift("A", WORKDAYS, 6 * 3600, 14 * 3600, ((10 * 3600, 10 * 3600 + 1800),)),
        Shift("N", WORKDAYS, 22 * 3600, 30 * 3600),
    ),
)


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=HANOI).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("now", "name", "start", "end", "on"),
    [
        ("2026-11-24T06:00", "A", "2026-11-24T06:00", "2026-11-24T14:00", True),
        ("2026-11-24T10:10", "A", "2026-11-24T06:00", "2026-11-24T14:00", True),  # its break
        ("2026-11-24T14:00", "A", "2026-11-24T06:00", "2026-11-24T14:00", False),
        ("2026-11-25T05:59", "N", "2026-11-24T22:00", "2026-11-25T06:00", True),
        ("2026-11-29T12:00", "N", "2026-11-27T22:00", "2026-11-28T06:00", False),  # a Sunday
    ],
)
def test_the_shift_that_goes_on_or_the_last_one(now, name, start, end, on):
    span = shift_at(TWO, at(now))
    assert (span.name, span.start_ns, span.end_ns, span.holds(at(now))) == (name, at(start), at(end), on)


def test_a_calendar_that_has_been_empty_for_days_has_none():
    assert shift_at(Calendar(HANOI, ()), at("2026-11-24T06:00")) is None
    monday_only = Calendar(UTC, (Shift("A", frozenset({0}), 0, 3600),))
    assert shift_at(monday_only, at("2026-11-29T12:00")) is None


def facts_of(rows):
    sums = np.zeros((len(rows), len(FACT_COLUMNS)), np.int64)
    for index, (_, columns) in enumerate(rows):
        for name, value in columns.items():
            sums[index, FACT[name]] = value
    return make_table(Facts, [key for key, _ in rows], sums)


def key(shift, date, minute_ns=0, calendar=CalendarClass.SCHEDULED, product="1"):
    return ("m", minute_ns, int(calendar), date, shift, product)


def test_only_scheduled_time_of_this_shift_counts_and_the_rest_is_unknown():
    span = shift_at(TWO, at("2026-11-24T08:00"))
    running = {"running_ms": 3_000_000, "running_ideal_known_ms": 3_000_000, "pieces_total": 50}
    table = facts_of(
        [
            (key("A", span.business_date), running),
            (key("A", span.business_date, product="2"), {"running_ms": 600_000}),
            (key("A", span.business_date, calendar=CalendarClass.BREAK), {"running_ms": 11}),
            (key("A", span.business_date - 1), {"running_ms": 13}),
            (key("N", span.business_date), {"running_ms": 17}),
        ]
    )
    found = shift_figures(TWO, span, table, span.start_ns, at("2026-11-24T08:00:59"))
    assert (found.from_ns, found.until_ns) == (span.start_ns, at("2026-11-24T08:00"))
    assert (found.total("running_ms"), found.scheduled_ms) == (3_600_000, 7_200_000)
    assert found.kpis.values["coverage"] == pytest.approx(0.5)
    assert (found.pieces, found.not_judged, found.rejects) == (50, 50, 0)
    assert found.kpis.why_null["quality"] == "quality_not_known"


def test_a_machine_is_not_expected_before_it_was_watched():
    span = shift_at(TWO, at("2026-11-24T08:00"))
    table = facts_of([(key("A", span.business_date), {"running_ms": 1_800_000})])
    found = shift_figures(TWO, span, table, at("2026-11-24T07:30"), at("2026-11-24T08:00"))
    assert found.kpis.values["coverage"] == 1.0
    before = shift_figures(TWO, span, table, at("2026-11-24T09:00"), at("2026-11-24T08:00"))
    assert before.scheduled_ms == 0
    assert before.kpis.values["oee"] is None


@given(st.lists(st.tuples(st.sampled_from(["A", "N"]), st.integers(0, 1), st.integers(0, 60_000)), max_size=30))
def test_figures_are_those_of_the_sums(rows):
    """Law: however many rows, the figures are those of their sum, beside what the calendar planned."""
    span = ShiftSpan("A", 20_000, at("2026-11-24T06:00"), at("2026-11-24T14:00"))
    table = facts_of(
        [(key(shift, 20_000 + day, n * MINUTE_NS), {"running_ms": ms}) for n, (shift, day, ms) in enumerate(rows)]
    )
    until_ns = span.start_ns + 5 * HOUR_NS
    found = shift_figures(TWO, span, table, 0, until_ns)
    running = sum(ms for shift, day, ms in rows if (shift, day) == ("A", 0))
    planned = scheduled_ms(TWO, span.start_ns, until_ns)
    assert planned == 4.5 * 3_600_000
    assert found.kpis == compute({"running_ms": running}, scheduled_ms=planned, all_ms=5 * 3_600_000)
