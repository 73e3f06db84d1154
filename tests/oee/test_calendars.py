"""Calendars: shifts, breaks and business dates as half-open stretches of UTC, over daylight saving too."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from driving import S
from hypothesis import given, settings
from hypothesis import strategies as st

from oee.model.calendars import (
    Calendar,
    Rotation,
    Shift,
    cut,
    local_date,
    scheduled_ms,
    scheduled_until_ms,
    shifts_on,
    to_ns,
)
from oee.model.states import CalendarClass

VN = ZoneInfo("Asia/Ho_Chi_Minh")
BERLIN = ZoneInfo("Europe/Berlin")
EVERY = frozenset(range(7))
H = 3600
SCHEDULED, BREAK, OUTSIDE = CalendarClass


def day_number(year, month, day):
    return (date(year, month, day) - date(1970, 1, 1)).days


def told(calendar, start, end):
    """Rows `(local start, local end, class, business date, shift)`."""
    spans = cut(calendar, to_ns(start), to_ns(end))
    return [
        (
            clock(calendar, a),
            clock(calendar, b),
            CalendarClass(int(kind)),
            date(1970, 1, 1) + timedelta(int(day)),
            shift,
        )
        for a, b, kind, day, shift in zip(
            spans.start_ns, spans.end_ns, spans.calendar, spans.business_date, spans.shift, strict=True
        )
    ]


def clock(calendar, t_ns):
    return datetime.fromtimestamp(int(t_ns) // S, calendar.zone).strftime("%d %H:%M")


def test_a_day_of_two_shifts_and_their_breaks():
    calendar = Calendar(
        VN,
        (
            Shift("A", EVERY, 6 * H, 14 * H, ((10 * H, 10 * H + 900),)),
            Shift("B", EVERY, 14 * H, 22 * H, ((18 * H, 18 * H + 1800),)),
        ),
    )
    start = datetime(2026, 3, 2, tzinfo=VN)
    today = date(2026, 3, 2)
    assert told(calendar, start, start + timedelta(days=1)) == [
        ("02 00:00", "02 06:00", OUTSIDE, today, "-"),
        ("02 06:00", "02 10:00", SCHEDULED, today, "A"),
        ("02 10:00", "02 10:15", BREAK, today, "A"),
        ("02 10:15", "02 14:00", SCHEDULED, today, "A"),
        ("02 14:00", "02 18:00", SCHEDULED, today, "B"),
        ("02 18:00", "02 18:30", BREAK, today, "B"),
        ("02 18:30", "02 22:00", SCHEDULED, today, "B"),
        ("02 22:00", "03 00:00", OUTSIDE, today, "-"),
    ]
    assert scheduled_ms(calendar, to_ns(start), to_ns(start + timedelta(days=1))) == (16 * H - 900 - 1800) * 1000


def test_a_night_shift_belongs_to_the_date_on_which_it_starts():
    """aviharos has no shift over midnight; ALMUS booked 162,738 night rows with planned time 0."""
    calendar = Calendar(VN, (Shift("N", frozenset({4}), 22 * H, 30 * H, ((26 * H, 27 * H),)),))
    friday = datetime(2026, 3, 6, 21, tzinfo=VN)
    assert told(calendar, friday, friday + timedelta(hours=10)) == [
        ("06 21:00", "06 22:00", OUTSIDE, date(2026, 3, 6), "-"),
        ("06 22:00", "07 02:00", SCHEDULED, date(2026, 3, 6), "N"),
        ("07 02:00", "07 03:00", BREAK, date(2026, 3, 6), "N"),
        ("07 03:00", "07 06:00", SCHEDULED, date(2026, 3, 6), "N"),
        ("07 06:00", "07 07:00", OUTSIDE, date(2026, 3, 7), "-"),
    ]


def test_the_last_shift_of_a_week_and_a_year():
    """A shift of 31 December runs into the new year under its own date; weeks and ISO years are the reader's."""
    calendar = Calendar(VN, (Shift("N", EVERY, 22 * H, 30 * H),))
    new_year = datetime(2021, 1, 1, 1, tzinfo=VN)
    spans = cut(calendar, to_ns(new_year), to_ns(new_year) + S)
    assert spans.business_date.tolist() == [day_number(2020, 12, 31)]
    assert date(2020, 12, 31).isocalendar()[:2] == (2020, 53)


def test_exceptions_replace_the_whole_day():
    normal = Shift("A", EVERY, 8 * H, 16 * H)
    calendar = Calendar(
        VN,
        (normal,),
        {date(2026, 9, 2): (), date(2026, 9, 3): (Shift("short", frozenset(), 9 * H, 12 * H),)},
    )
    start = datetime(2026, 9, 2, tzinfo=VN)
    assert told(calendar, start, start + timedelta(days=2)) == [
        ("02 00:00", "03 00:00", OUTSIDE, date(2026, 9, 2), "-"),
        ("03 00:00", "03 09:00", OUTSIDE, date(2026, 9, 3), "-"),
        ("03 09:00", "03 12:00", SCHEDULED, date(2026, 9, 3), "short"),
        ("03 12:00", "04 00:00", OUTSIDE, date(2026, 9, 3), "-"),
    ]


def test_an_exception_leaves_the_night_shift_of_the_day_before_alone():
    calendar = Calendar(VN, (Shift("N", EVERY, 22 * H, 30 * H),), {date(2026, 9, 2): ()})
    start = datetime(2026, 9, 2, tzinfo=VN)
    assert scheduled_ms(calendar, to_ns(start), to_ns(start + timedelta(days=1))) == 6 * H * 1000


@pytest.mark.parametrize(
    ("day", "hours", "night_h"),
    [(date(2026, 3, 29), 23, 7), (date(2026, 10, 25), 25, 9), (date(2026, 6, 1), 24, 8)],
    ids=["spring", "autumn", "summer"],
)
def test_days_of_23_and_25_hours(day, hours, night_h):
    """Europe/Berlin: a local day is as long as the clock makes it, and so is a night shift from 22:00 to 06:00."""
    calendar = Calendar(BERLIN, (Shift("N", EVERY, 22 * H, 30 * H),))
    start = to_ns(datetime.combine(day, datetime.min.time(), BERLIN))
    end = to_ns(datetime.combine(day + timedelta(days=1), datetime.min.time(), BERLIN))
    assert (end - start) // S == hours * H
    evening = to_ns(datetime.combine(day - timedelta(days=1), datetime.min.time(), BERLIN) + timedelta(hours=20))
    assert scheduled_ms(calendar, evening, evening + 14 * H * S) == night_h * H * 1000
    spans = cut(calendar, start, end)
    assert int((spans.end_ns - spans.start_ns).sum()) == hours * H * S


def test_a_wall_time_left_out_by_the_clock_is_read_with_the_offset_before():
    """A break at 02:15 on a day that has no 02:15 starts 75 minutes after 01:00 (PEP 495, fold=0)."""
    calendar = Calendar(BERLIN, (Shift("N", EVERY, 0, 6 * H, ((2 * H + 900, 2 * H + 1800),)),))
    start = datetime(2026, 3, 29, tzinfo=BERLIN)
    pauses = [row for row in told(calendar, start, start + timedelta(hours=7)) if row[2] == BREAK]
    assert pauses == [("29 03:15", "29 03:30", BREAK, date(2026, 3, 29), "N")]


def test_an_hour_that_occurs_twice_is_scheduled_twice():
    calendar = Calendar(BERLIN, (Shift("N", EVERY, 1 * H, 4 * H),))
    start = to_ns(datetime(2026, 10, 25, tzinfo=BERLIN))
    assert scheduled_ms(calendar, start, start + 24 * H * S) == 4 * H * 1000


def test_vietnam_has_no_daylight_saving():
    calendar = Calendar(VN, (Shift("N", EVERY, 22 * H, 30 * H),))
    start = to_ns(datetime(2026, 1, 1, tzinfo=VN))
    assert scheduled_ms(calendar, start, start + 365 * 24 * H * S) == 365 * 8 * H * 1000


def test_the_zone_of_the_plant_decides_not_that_of_the_gateway():
    """17:30 UTC on the 2nd is the 3rd in Vietnam."""
    moment = to_ns(datetime(2026, 3, 2, 17, 30, tzinfo=UTC))
    assert local_date(VN, moment) == date(2026, 3, 3)
    assert cut(Calendar(VN, ()), moment, moment + S).business_date.tolist() == [day_number(2026, 3, 3)]


@pytest.mark.parametrize("length", [0, -5])
def test_an_empty_window_has_no_spans(length):
    assert len(cut(Calendar(VN, (Shift("A", EVERY, 0, H),)), 10**18, 10**18 + length).start_ns) == 0


def test_of_shifts_that_overlap_the_earlier_keeps_its_time():
    calendar = Calendar(VN, (Shift("B", EVERY, 13 * H, 20 * H), Shift("A", EVERY, 6 * H, 14 * H)))
    start = datetime(2026, 3, 2, 6, tzinfo=VN)
    assert [(row[0], row[4]) for row in told(calendar, start, start + timedelta(hours=14))] == [
        ("02 06:00", "A"),
        ("02 14:00", "B"),
    ]


def test_breaks_partly_outside_their_shift_are_clipped():
    """point85 skips a break partly outside the window; ERPNext counts touching stretches as overlapping."""
    breaks = ((7 * H + 1800, 8 * H + 600), (10 * H, 10 * H + 600), (10 * H + 300, 10 * H + 900), (15 * H, 17 * H))
    calendar = Calendar(VN, (Shift("A", EVERY, 8 * H, 16 * H, breaks),))
    start = datetime(2026, 3, 2, tzinfo=VN)
    assert scheduled_ms(calendar, to_ns(start), to_ns(start) + 24 * H * S) == (8 * H - 600 - 900 - H) * 1000


@st.composite
def calendars(draw):
    zone = draw(st.sampled_from([VN, BERLIN, ZoneInfo("America/Santiago"), ZoneInfo("Australia/Lord_Howe"), UTC]))
    edges = sorted(draw(st.lists(st.integers(0, 33), min_size=2, max_size=6, unique=True)))
    shifts = []
    for name, first, last in zip("ABC", edges[::2], edges[1::2], strict=False):
        pause = ((first * H + 600, first * H + 1500),) if draw(st.booleans()) else ()
        days = draw(st.frozensets(st.integers(0, 6)))
        if last <= edges[0] + 24:
            shifts.append(Shift(name, days, first * H, last * H, pause))
    free = draw(st.lists(st.integers(0, 3), max_size=2))
    return Calendar(zone, tuple(shifts), {date(2026, 3, 27) + timedelta(n): () for n in free})


BASE = int(datetime(2026, 3, 27, tzinfo=UTC).timestamp())
WINDOW = st.tuples(st.integers(0, 80 * H), st.integers(1, 60 * H))


@settings(deadline=None)
@given(calendars(), WINDOW)
def test_spans_have_no_gaps_and_no_overlaps(calendar, window):
    start, end = (BASE + window[0]) * S, (BASE + sum(window)) * S
    spans = cut(calendar, start, end)
    assert (spans.start_ns[0], spans.end_ns[-1]) == (start, end)
    assert np.array_equal(spans.start_ns[1:], spans.end_ns[:-1])
    assert np.all(spans.end_ns > spans.start_ns)
    assert all((shift == "-") == (kind == OUTSIDE) for shift, kind in zip(spans.shift, spans.calendar, strict=True))


@settings(deadline=None)
@given(calendars(), WINDOW, st.lists(st.floats(0, 1), max_size=4))
def test_a_window_in_parts_is_classed_like_the_whole(calendar, window, cuts):
    """UMH: a break changes with the window that is chosen. Here what holds at an instant depends on that instant."""
    start, end = (BASE + window[0]) * S, (BASE + sum(window)) * S
    edges = sorted({start, end, *(start + round((end - start) * c / S) * S for c in cuts)})
    whole = classes(cut(calendar, start, end))
    joined = [row for a, b in itertools.pairwise(edges) for row in classes(cut(calendar, a, b))]
    assert merge_equal(whole) == merge_equal(joined)


@settings(deadline=None)
@given(calendars(), WINDOW, st.lists(st.floats(0, 1), max_size=4))
def test_scheduled_time_until_many_instants_is_that_of_each(calendar, window, shares):
    start, end = (BASE + window[0]) * S, (BASE + sum(window)) * S
    at = np.array([start, end, *(start + round((end - start) * share) for share in shares)], np.int64)
    pieces = [classes(cut(calendar, start, int(t_ns))) for t_ns in at]
    alone = [sum(b // 10**6 - a // 10**6 for a, b, kind, *_ in rows if kind == SCHEDULED) for rows in pieces]
    assert scheduled_until_ms(cut(calendar, start, end), at).tolist() == alone


def classes(spans):
    columns = (spans.start_ns, spans.end_ns, spans.calendar, spans.business_date, spans.shift)
    return [tuple(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def merge_equal(rows):
    out = rows[:1]
    for row in rows[1:]:
        if out[-1][2:] == row[2:]:
            out[-1] = (out[-1][0], *row[1:])
        else:
            out.append(row)
    return out


def test_a_rotation_keeps_its_own_cycle():
    """Four days on, two off, whatever the weekday; before the cycle's first day too."""
    crew = Shift(
        "A", frozenset(range(7)), 6 * 3600, 18 * 3600, rotation=Rotation(6, date(2026, 1, 5), frozenset(range(4)))
    )
    worked = [crew.on(date(2026, 1, 5) + timedelta(days=n)) for n in range(-6, 12)]
    assert worked == [True] * 4 + [False] * 2 + [True] * 4 + [False] * 2 + [True] * 4 + [False] * 2


def test_early_and_late_weeks_alternate():
    week = frozenset(range(5))
    monday = date(2026, 1, 5)
    first, second = (Rotation(14, monday, frozenset(range(start, start + 7))) for start in (0, 7))
    shifts = (
        Shift("early", week, 6 * 3600, 14 * 3600, rotation=first),
        Shift("late", week, 14 * 3600, 22 * 3600, rotation=second),
    )
    calendar = Calendar(ZoneInfo("Asia/Ho_Chi_Minh"), shifts)
    names = [[shift.name for shift in shifts_on(calendar, monday + timedelta(days=n))] for n in range(15)]
    assert names == [["early"]] * 5 + [[], []] + [["late"]] * 5 + [[], []] + [["early"]]
