"""Planned maintenance: laws of due dates and of what was done in time."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oee.kpi.maintenance import Compliance, DueTask, PlannedTask, compliance, due_between, grace_days, planned_share

DAYS = st.dates(date(2025, 1, 1), date(2027, 12, 31))
TASKS = st.builds(
    PlannedTask,
    every_days=st.integers(1, 400),
    first=DAYS,
    last=st.none() | DAYS,
    tolerance=st.sampled_from(["due", "day", "fifth"]),
)


@given(TASKS, DAYS, st.integers(0, 200), st.integers(0, 200))
def test_a_span_cut_in_two_has_the_same_due_dates(task, first, one, two):
    middle, last = first + timedelta(one), first + timedelta(one + two)
    whole = due_between(task, first, last, {})
    assert whole == due_between(task, first, middle, {}) + due_between(task, middle + timedelta(1), last, {})


@given(TASKS, DAYS, st.integers(0, 400))
def test_due_dates_keep_to_the_plan(task, first, length):
    found = due_between(task, first, first + timedelta(length), {})
    last = min(first + timedelta(length), task.last or date.max)
    expected = [
        day
        for number in range(length + 1)
        if (day := first + timedelta(number)) >= task.first and day <= last and (day - task.first).days % task.every_days == 0
    ]  # fmt: skip
    assert [item.due for item in found] == expected
    assert all(item.until - item.due == timedelta(grace_days(task)) for item in found)


@given(st.lists(st.tuples(DAYS, st.integers(0, 28), st.none() | DAYS)), DAYS)
def test_every_task_counts_once_and_what_is_done_later_helps_no_one(rows, today):
    items = [DueTask(due, due + timedelta(grace), done) for due, grace, done in rows]
    found = compliance(items, today)
    assert found.due + found.open == len(items)
    assert found.in_time == sum(done is not None and done <= item.until for item, (_, _, done) in zip(items, rows))
    assert found.ratio is None if not found.due else 0 <= found.ratio <= 1
    later = compliance(items, today + timedelta(400))
    assert later.due >= found.due
    assert (later.in_time, later.late) == (found.in_time, found.late)


def test_a_month_by_hand():
    weekly = PlannedTask(7, date(2026, 1, 5))  # Mondays; a fifth of a week is one day
    done = {date(2026, 2, 2): date(2026, 2, 3), date(2026, 2, 9): date(2026, 2, 11)}
    found = due_between(weekly, date(2026, 2, 1), date(2026, 2, 28), done)
    assert [item.due.day for item in found] == [2, 9, 16, 23]
    assert [item.state(date(2026, 2, 24)) for item in found] == ["in_time", "late", "overdue", "open"]
    assert compliance(found, date(2026, 2, 24)) == Compliance(1, 1, 1, 1)
    assert compliance(found, date(2026, 2, 24)).ratio == pytest.approx(1 / 3)


@pytest.mark.parametrize(("every", "tolerance", "days"), [
    (1, "fifth", 1), (7, "fifth", 1), (30, "fifth", 6), (365, "fifth", 28), (30, "day", 1), (30, "due", 0),
])  # fmt: skip
def test_tolerances(every, tolerance, days):
    assert grace_days(PlannedTask(every, date(2026, 1, 1), None, tolerance)) == days


def test_shares():
    assert planned_share(3, 1) == 0.75
    assert planned_share(0, 0) is None
    with pytest.raises(ValueError, match="at most once a day"):
        due_between(PlannedTask(0, date(2026, 1, 1)), date(2026, 1, 1), date(2026, 1, 2), {})
