"""The trend's points, the period laid over them, and zooming: laws over calendars, zones and windows."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from center.console import windows
from center.console.machine.points import Axis, trend_points
from center.model.buckets import clock_edges
from center.model.times import iso
from oee.model.calendars import Calendar, Shift, to_ns
from oee.model.facts import HOUR_NS, MINUTE_NS

ZONES = st.sampled_from([ZoneInfo(key) for key in ("Asia/Ho_Chi_Minh", "Europe/Berlin", "UTC", "Australia/Lord_Howe")])
DAYS = st.dates(date(2025, 1, 6), date(2026, 11, 30))


def midnight(day, zone):
    return to_ns(datetime.combine(day, datetime.min.time(), zone))


def axis(zone, first, length, size="day", over="before"):
    view = windows.view("dates", size, first.isoformat(), (first + timedelta(days=length - 1)).isoformat(), over)
    window = (midnight(first, zone), midnight(first + timedelta(days=length), zone))
    calendar = Calendar(zone, (Shift("A", frozenset(range(7)), 6 * 3600, 14 * 3600), Shift("N", frozenset(range(6)), 22 * 3600, 30 * 3600)))  # fmt: skip
    return view, Axis(view.bucket, zone, window, [(calendar, *window)], windows.days_back(view, window, zone))


@given(ZONES, DAYS, st.integers(1, 40))
def test_the_period_before_is_the_same_calendar_days(zone, first, length):
    """As many days as the window has, at the same local times, and of more than a week the same weekdays; it ends where the
    window begins at the latest."""
    view, at = axis(zone, first, length)
    earlier = [windows.days_later(t_ns, zone, -at.days_back) for t_ns in at.window]
    for then, now in zip(earlier, at.window, strict=True):
        walls = [datetime.fromtimestamp(t_ns // 10**9, zone) for t_ns in (then, now)]
        assert walls[1].date() - walls[0].date() == timedelta(days=at.days_back)
        assert walls[0].time() == walls[1].time()
    assert earlier[1] <= at.window[0]
    assert at.days_back >= length
    if length > 7:
        assert at.days_back % 7 == 0
        assert at.days_back < length + 7


@given(ZONES, DAYS, st.integers(1, 12), st.sampled_from(["hour", "shift", "day"]))
def test_each_bucket_is_laid_over_the_bucket_of_the_day_it_belongs_to(zone, first, length, size):
    view, at = axis(zone, first, length, size)
    assume(view.bucket == size)

    def rows(start_ns, end_ns):
        if size == "hour":
            return [{"start": iso(edge, zone)} for edge in clock_edges("hour", zone, start_ns, end_ns).tolist()]
        days = [datetime.fromtimestamp(start_ns // 10**9, zone).date() + timedelta(days=n) for n in range(length)]
        shifts = ["A", "N"] if size == "shift" else [""]
        return [{"start": iso(midnight(day, zone), zone), "shift": shift} for day in days for shift in shifts]

    earlier = [windows.days_later(t_ns, zone, -at.days_back) for t_ns in at.window]
    found = trend_points(at, rows(*at.window), rows(*earlier), "en")
    for point in found:
        low, high = point.span
        assert at.window[0] <= low < high <= at.window[1]
        if point.before is not None:
            walls = [datetime.fromisoformat(row["start"]).replace(tzinfo=None) for row in (point.before, point.row)]
            assert walls[1] - walls[0] == timedelta(days=at.days_back)
            assert point.before.get("shift", "") == point.row.get("shift", "")
        else:
            assert size == "hour", "only an hour that the clock skipped has no counterpart"
    if zone.key in ("UTC", "Asia/Ho_Chi_Minh"):
        assert all(point.before for point in found)


@given(DAYS, st.integers(1, 6), st.sampled_from(["shift", "day"]))
def test_a_bucket_of_dates_is_the_time_of_its_shifts(first, length, size):
    zone = ZoneInfo("Asia/Ho_Chi_Minh")
    _, at = axis(zone, first, length, size)
    rows = [{"start": iso(midnight(first, zone), zone), "shift": "N"}]
    (point,) = trend_points(replace(at, size=size), rows, [], "en")
    night = (midnight(first, zone) + 22 * HOUR_NS, midnight(first, zone) + 30 * HOUR_NS)
    day = (midnight(first, zone) + 6 * HOUR_NS, night[1])
    begins = night if size == "shift" and first.weekday() < 6 else day if first.weekday() < 6 else None
    if begins:
        assert point.span == (begins[0], min(begins[1], at.window[1]))


@given(ZONES, st.integers(0, 60 * 24 * 600), st.integers(10, 60 * 24 * 40))
def test_what_is_drawn_across_becomes_that_window(zone, first_min, length_min):
    """To the minute, in the address and back; where the clock is set back the address cannot say which of two hours."""
    start_ns = midnight(date(2025, 1, 6), zone) + first_min * MINUTE_NS
    window = (start_ns, start_ns + length_min * MINUTE_NS)
    view = windows.view_of(window, zone, windows.View("24h", "hour", over="before"))
    assert view.span == "dates"
    assert view.over == "before"
    assert windows.view(**view.words) == view
    shown = windows.window_of(view, None, zone, window[1] + HOUR_NS)
    offsets = {datetime.fromtimestamp(t_ns // 10**9, zone).utcoffset() for t_ns in (*window, window[0] - 2 * HOUR_NS, window[1] + 2 * HOUR_NS)}  # fmt: skip
    if len(offsets) == 1:
        assert (shown.start_ns, shown.end_ns) == window


@given(ZONES, DAYS, st.integers(1, 30), st.integers(1, 5))
def test_a_step_to_and_fro_ends_where_it_began(zone, first, length, steps):
    window = (midnight(first, zone), midnight(first + timedelta(days=length), zone))
    there = windows.moved(window, zone, steps)
    assert windows.moved(there, zone, -steps) == window
    assert there == tuple(
        midnight(first + timedelta(days=days), zone) for days in (length * steps, length * (steps + 1))
    )
    part = (window[0] + HOUR_NS, window[0] + 3 * HOUR_NS)
    assert windows.moved(part, zone, -1) == (window[0] - HOUR_NS, window[0] + HOUR_NS)
    now_ns = window[1]
    assert windows.zoomed(part, 0.5, now_ns) == (window[0] + 3 * HOUR_NS // 2, window[0] + 5 * HOUR_NS // 2)
    low, high = windows.zoomed(window, 2, now_ns)
    assert high == now_ns
    assert high - low == 2 * (window[1] - window[0])
