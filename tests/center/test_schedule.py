"""Scheduled time by bucket equals the slow truth, minute by minute; and site bodies say which calendar was when."""

from collections import defaultdict
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from center_plant import ns, site_body
from hypothesis import given
from hypothesis import strategies as st

from center.model.buckets import clock_edges, date_start_ns, first_date
from center.model.schedule import expected
from center.model.site_revisions import compile_site
from center.model.sites import Owner, SiteRow, Sites, site_machine
from center.model.times import BadQuestion, iso, parse_time, window
from oee.model.calendars import Calendar, Shift, cut
from oee.model.facts import MINUTE_NS
from oee.model.states import CalendarClass

NIGHT = (
    Shift("A", frozenset(range(6)), 21_600, 50_400, ((36_000, 36_900),)),
    Shift("C", frozenset(range(5)), 79_200, 108_000, ((86_000, 87_600),)),
)


def _slow(bucket, calendar, start, end):
    """Minute by minute, straight from `cut`."""
    scheduled, whole, pauses = defaultdict(int), defaultdict(int), defaultdict(int)
    edges = clock_edges(bucket, calendar.zone, start, end) if bucket in ("minute", "hour", "all") else None
    for t in range(start, end, MINUTE_NS):
        spans = cut(calendar, t, t + MINUTE_NS)
        for low, high, code, day, shift in zip(
            spans.start_ns, spans.end_ns, spans.calendar, spans.business_date, spans.shift, strict=True
        ):
            if edges is None:
                key = date_start_ns(calendar.zone, int(first_date(bucket, np.array([day], np.int64))[0]))
            else:
                key = int(edges[np.searchsorted(edges, low, side="right") - 1])
            whole[key] += int(high - low) // 1_000_000
            if code == CalendarClass.SCHEDULED:
                scheduled[key, shift] += int(high - low) // 1_000_000
            if code == CalendarClass.BREAK:
                pauses[key] += int(high - low) // 1_000_000
    return scheduled, whole, pauses


@pytest.mark.parametrize("bucket", ["minute", "hour", "shift", "day", "week", "month", "all"])
@pytest.mark.parametrize(
    ("zone", "start", "minutes"),
    [
        ("Asia/Ho_Chi_Minh", "2026-02-27T04:07:00", 3000),
        ("Europe/Berlin", "2026-03-28T20:30:00", 900),
        ("Europe/Berlin", "2026-10-24T20:30:00", 900),
        ("Australia/Lord_Howe", "2026-04-04T20:10:00", 900),
    ],
)
def test_scheduled_time_equals_the_slow_truth(bucket, zone, start, minutes):
    place = ZoneInfo(zone)
    calendar = Calendar(place, NIGHT, {date(2026, 2, 28): (Shift("X", frozenset(range(7)), 0, 3600),)})
    low = ns(start, place)
    high = low + minutes * MINUTE_NS
    found = expected(bucket, [(calendar, low, high)], (low, high))
    scheduled, whole, pauses = _slow(bucket, calendar, low, high)
    assert found.scheduled == scheduled
    assert found.all_ms == whole
    assert found.break_ms == pauses
    middle = low + 413 * MINUTE_NS
    assert expected(bucket, [(calendar, low, middle), (calendar, middle, high)], (low, high)) == found


@given(st.integers(0, 2**31), st.sampled_from(["Asia/Ho_Chi_Minh", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]))
def test_hours_cover_the_window_without_overlap(start_s, zone):
    start = start_s // 60 * MINUTE_NS
    end = start + 5000 * MINUTE_NS
    edges = clock_edges("hour", ZoneInfo(zone), start, end)
    assert edges[0] <= start
    assert edges[-1] < end
    assert (np.diff(edges) > 0).all()
    assert (np.diff(edges) <= 3600 * 10**9).all()


def _sites(*bodies, first_ns=0):
    import json

    rows = [SiteRow("van-long", "main", "h", body["valid_from_ns"], json.dumps(body)) for body in bodies]
    return Sites(rows, [Owner("van-long", "press-1", "main", first_ns)])


def test_each_time_has_the_calendar_that_was_valid_then():
    early, late, gone = (
        site_body(valid_from=100),
        site_body(valid_from=200, timezone="UTC"),
        site_body([], valid_from=300),
    )
    sites = _sites(late, early, gone)
    segments = sites.segments("van-long", "press-1", 0, 1000)
    assert [(low, high) for _, low, high in segments] == [(100, 200), (200, 300)]
    assert [calendar.zone.key for calendar, _, _ in segments] == ["Asia/Ho_Chi_Minh", "UTC"]
    assert sites.segments("van-long", "press-1", 150, 160) == [(segments[0][0], 150, 160)]
    assert sites.segments("van-long", "press-9", 0, 1000) is None
    assert site_machine(sites, "van-long", "press-1").line == "stamping"


@pytest.mark.parametrize(
    ("first_fact", "valid_from", "begin"), [(0, 0, 0), (50, 0, 50), (50, 100, 50), (150, 100, 100)]
)
def test_a_machine_is_expected_from_its_first_word_on(first_fact, valid_from, begin):
    sites = _sites(site_body(valid_from=valid_from), first_ns=first_fact)
    assert sites.segments("van-long", "press-1", 0, 1000)[0][1] == begin


def test_a_calendar_of_its_own():
    office = site_body()["calendars"][""]["shifts"][0]
    body = site_body(calendars={"": {"shifts": []}, "office": {"shifts": [office]}})
    body["machines"]["press-1"]["calendar"] = "office"
    made = compile_site(body)
    assert made.calendar("press-1") is made.calendars["office"]
    assert made.calendar("press-2") is None


ZONE = ZoneInfo("Asia/Ho_Chi_Minh")


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("2026-03-02T06:00:00+07:00", "2026-03-02T06:00:00+07:00"),
        ("2026-03-02T06:00:00 07:00", "2026-03-02T06:00:00+07:00"),
        ("2026-03-01T23:00:00Z", "2026-03-02T06:00:00+07:00"),
        ("2026-03-02", "2026-03-02T00:00:00+07:00"),
        ("2026-03-02T06:00:00.25+07:00", "2026-03-02T06:00:00.250+07:00"),
    ],
)
def test_times_as_people_write_them(text, back):
    assert iso(parse_time("from", text, ZONE), ZONE) == back


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "2026-03-02T06:00:00", "1969-01-01", "2300-01-01", "9" * 99]
)
def test_times_that_cannot_be_meant_are_refused_with_a_cure(text):
    with pytest.raises(BadQuestion, match=r"^from: "):
        parse_time("from", text, ZONE)


def test_a_window_ends_with_the_last_minute_that_is_over():
    now = 1000 * MINUTE_NS
    assert window(None, None, now + 14_000_000_000) == (0, 999 * MINUTE_NS)
    assert window(990 * MINUTE_NS + 5, None, now + 15_000_000_000) == (990 * MINUTE_NS, 1000 * MINUTE_NS)
    with pytest.raises(BadQuestion):
        window(5, 5, now)
