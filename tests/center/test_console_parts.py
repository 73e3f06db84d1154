"""The console's plain functions: markup, windows, the timeline's layers, shared answers."""

import asyncio
import re
import threading
from datetime import datetime
from typing import get_args
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import pytest

from center.console import windows
from center.console.declare import form as declare_form
from center.console.delivery import cards as delivery_cards
from center.console.draw import live_state, time_labels
from center.console.draw.glyphs import GLYPHS
from center.console.draw.markup import el, join, share
from center.console.draw.names import named, product_name, reason_name
from center.console.draw.pareto import pareto
from center.console.fleet import cards as fleet_cards
from center.console.machine import charts, stops_table, tiles, timeline, trend_chart
from center.console.machine import waterfall as drawn_waterfall
from center.console.machine.points import TrendPoint
from center.console.machine.stop_filter import filter_of, filter_words
from center.queries.stops import StopFilter
from center.runtime.answer_cache import AnswerCache
from oee.kpi import kpi
from oee.kpi.losses import BIG_LOSSES, waterfall
from oee.model.calendars import Calendar, Shift, to_ns
from oee.model.declarations import Field
from oee.model.facts import FACT_COLUMNS, HOUR_NS, Stop
from oee.model.states import CalendarClass, State
from words import duration, say

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
EVIL = "\"'><script>x</script>"
SHIFTS = (
    Shift("A", frozenset(range(6)), 6 * 3600, 14 * 3600, ((10 * 3600, 10 * 3600 + 900),)),
    Shift("N", frozenset(range(6)), 22 * 3600, 30 * 3600),
)
CALENDAR = Calendar(ZONE, SHIFTS)


def address(words) -> str:
    return f"/m?{urlencode(words)}"


def at(text: str) -> int:
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=ZONE))


def live(**said):
    plain = {
        "state": "running", "last_state": "running", "since": "2026-03-02T08:00:00+07:00", "reason": "", "product": "1",
        "calendar": "scheduled", "pieces": 12, "at": "2026-03-02T08:05:00+07:00", "gateway_online": True,
    }  # fmt: skip
    return plain | said


def row(scheduled_ms=3_600_000, **sums):
    result = kpi.compute(sums, scheduled_ms=scheduled_ms)
    named_sums = dict.fromkeys(FACT_COLUMNS, 0) | sums
    return {
        "start": "2026-03-02T08:00:00+07:00", "shift": "A", "sums": named_sums, "scheduled_ms": scheduled_ms,
        "kpis": result.values, "why_null": result.why_null, "flags": list(result.flags),
    }  # fmt: skip


GOOD_HOUR = {
    "running_ms": 3_000_000, "running_ideal_known_ms": 3_000_000, "breakdown_ms": 600_000, "pieces_total": 2000,
    "pieces_judged": 2000, "pieces_good": 1900, "ideal_total_us": 2_400_000_000, "ideal_judged_us": 2_400_000_000,
    "ideal_good_us": 2_280_000_000,
}  # fmt: skip


# markup


def test_text_and_attributes_are_escaped_and_markup_is_not():
    written = el("b", EVIL, el("i", "<"), None, data_tip=EVIL, title=None)
    assert "<script>" not in written
    assert written.count('"') == 2
    assert "<i>&lt;</i>" in written
    assert el("rect", x="1%") == '<rect x="1%"/>'
    assert join("<", None, el("b")) == "&lt;<b></b>"
    assert share(1.7) == "100.00%"
    assert share(-1) == "0.00%"


def test_names_fall_back_and_stay_text():
    assert named({"vi": "Máy"}, "en", "m") == "Máy"
    assert named({}, "en", "m") == "m"
    assert reason_name("x", {}, "vi") == "x"
    assert product_name("?", {}, "en") == say("product.unknown", "en")
    assert product_name("9", {"9": {"name": {}}}, "en") == "9"


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_whatever_the_floor_says_is_escaped_wherever_it_is_drawn(lang):
    reasons = {EVIL: {"name": {lang: EVIL}}}
    stop = {
        "start": "2026-03-02T08:00:00+07:00", "end": None, "state": "breakdown", "reason": EVIL, "by": EVIL,
        "product": EVIL, "to_product": EVIL,
    }  # fmt: skip
    site = {"reasons": reasons, "products": {EVIL: {"name": {lang: EVIL}}}}
    drawn = [
        live_state.chip(live(reason=EVIL), reasons, lang),
        live_state.under(live(product=EVIL), site["products"], lang),
        stops_table.table([stop], site, at("2026-03-02 09:00"), lang, []),
        pareto(charts.pareto_bars([{"state": "breakdown", "reason": EVIL, "us": 5}], reasons, lang, address), lang),
    ]  # fmt: skip
    assert all("<script>" not in part and "script" in part for part in drawn)


def test_a_machine_that_never_spoke_has_no_dot_behind_its_state():
    site, now_ns = {"reasons": {}, "products": {}}, at("2026-03-02 09:00")
    silent = live_state.line(live(gateway_online=False, at=None, since=None), site, now_ns, "vi")
    assert say("console.never_heard", "vi") in silent
    assert "·" not in silent
    assert "·" in live_state.line(live(), site, now_ns, "vi")


def test_reasons_of_this_machine_come_first_by_use():
    """Then those that nobody has used; what only others use is offered apart. Every reason is offered once."""
    uses = [("m", "b", 5), ("m", "c", 9), ("m", "b", 6), ("n", "d", 50), ("n", "c", 1), ("m", "gone", 3)]
    assert declare_form.choices(["a", "b", "c", "d"], uses, "m") == declare_form.Choices(("b", "c", "a"), ("d",))
    assert declare_form.choices(["a", "b"], [], "m") == declare_form.Choices(("a", "b"))


STOP = {
    "machine": "m", "id": "s1", "start": "2026-03-02T08:30:07.500+07:00", "end": "2026-03-02T08:42:10+07:00", "state": "unplanned_stop",
    "reason": "", "by": "count", "product": "1", "to_product": "", "revision": 0,
}  # fmt: skip


def question(state):
    site = {"reasons": {"jam": {"name": {"vi": "Kẹt", "en": "Jam"}}, "die": {"name": {"en": "Die"}}}, "products": {}}
    sheet = declare_form.FormContext(
        site, "/declare/s/m", "ab" * 16, ("2026-03-02T08:30:07.500", "2026-03-02T08:42:10.000"), "en"
    )
    asked = declare_form.Asked(
        STOP | {"state": state}, declare_form.Choices(("jam",), ("die",)), declare_form.Choices(())
    )
    return str(declare_form.question(sheet, asked))


def test_a_stop_asks_one_question_and_chooses_nothing():
    drawn = question("unplanned_stop")
    assert all(part in drawn for part in ("Unplanned stop", duration(722_500, "en"), "08:30 – 08:42", "Why did the machine stop?"))  # fmt: skip
    assert "checked" not in drawn
    assert drawn.count("<form") == 1
    assert 'type="datetime-local" value="2026-03-02T08:30"' in drawn
    assert 'name="exact_from" value="2026-03-02T08:30:07.500"' in drawn
    assert 'name="field" value="reason"' in drawn
    assert drawn.index('value="jam"') < drawn.index("<details") < drawn.index('value="die"')


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ({}, StopFilter()),
        ({"stops": "longest", "min": "300"}, StopFilter(order="longest", shortest_ms=300_000)),
        ({"stops": "unexplained"}, StopFilter(order="longest", unexplained=True)),
        ({"states": "breakdown,setup"}, StopFilter(states=("breakdown", "setup"))),
        ({"stops": "x", "min": "-5", "states": "flying", "within": "9-3", "product": ""}, StopFilter()),
        ({"reason": "", "states": "breakdown"}, StopFilter(states=("breakdown",), reasons=("",))),
        ({"product": "?", "shift": "-", "reason": "jam"}, StopFilter(products=("?",), shifts=("-",), reasons=("jam",))),
        ({"within": "1000-61000"}, StopFilter(between=(1_000_000_000, 61_000_000_000))),
    ],
)
def test_an_address_says_which_stops_are_shown(words, wanted):
    assert filter_of(words) == wanted
    assert filter_of(filter_words(wanted)) == wanted


def test_unknown_time_is_asked_what_the_machine_did():
    drawn = question("unknown")
    assert 'name="field" value="state"' in drawn
    assert 'value="breakdown"' in drawn
    assert "jam" not in drawn


def test_what_was_taken_back_says_so():
    """Whatever the field: an empty value takes back what an earlier one said."""
    plain = {"start": "2026-03-02T08:00:00+07:00", "end": None, "value": "", "who": "Lan", "state": "sent", "why": "", "id": "x", "replaces": "y"}  # fmt: skip
    rows = [plain | {"field": name} for name in get_args(Field)]
    drawn = declare_form.recent_declarations(rows, {"reasons": {}, "products": {}}, ZONE, "en", here="/declare/s/m")
    assert drawn.count("taken back") == len(rows)
    assert "<form" not in drawn


def test_a_count_of_a_period_that_is_not_over_waits_for_its_end():
    row = {"start": "2026-03-02T06:00:00+07:00", "end": "2026-03-02T14:00:00+07:00", "value": "9", "who": "Lan"}
    row |= {"field": "rejects", "state": "done", "why": "", "id": "x", "replaces": ""}

    def drawn(now, **changes):
        rows = [row | changes]
        return str(declare_form.recent_declarations(rows, {"reasons": {}, "products": {}}, ZONE, "en", at(now)))

    assert "waits until 2026-03-02 14:00" in drawn("2026-03-02 08:00")
    assert "applied" not in drawn("2026-03-02 08:00")
    assert "applied" in drawn("2026-03-02 14:00")
    assert "applied" in drawn("2026-03-02 08:00", field="reason")
    assert "being sent" in drawn("2026-03-02 08:00", state="sent")


# cards


def test_a_silent_gateway_is_unknown_and_says_since_when_nothing_was_heard():
    said = live(state="unknown", gateway_online=False)
    now_ns = at("2026-03-02 08:35")
    assert fleet_cards.group_of(said) == "unknown"
    assert live_state.since(said, now_ns, "en") == "silent for 30 min"
    assert live_state.since(live(), now_ns, "en") == "35 min"
    assert live_state.since(live(at=None, since=None, gateway_online=False), now_ns, "en") == "never connected"
    assert "s-unknown" in live_state.chip(said, {}, "en")


def test_a_machine_that_nobody_wants_is_resting_unless_it_is_broken_or_unknown():
    assert fleet_cards.group_of(live(state="unplanned_stop", calendar="outside")) == "resting"
    assert fleet_cards.group_of(live(state="breakdown", calendar="outside")) == "stopped"
    assert fleet_cards.group_of(live(state="running", calendar="outside")) == "running"
    assert fleet_cards.group_of(live(state="planned_stop")) == "resting"
    assert fleet_cards.group_of(live(state="a state of the future")) == "unknown"


def test_a_day_without_shifts_says_so_and_is_no_fault():
    told = {"date": "2026-03-01", "gateway": "main", "scheduled_ms": 0, "known_ms": 0, "unknown_ms": 0, "missing_ms": 0}
    for lang in ("vi", "en"):
        drawn = str(delivery_cards.days([told], lang))
        assert say("delivery.days.off", lang) in drawn
        assert ">0,0<" not in drawn
        assert ">0.0<" not in drawn


def test_null_is_a_dash_and_never_zero():
    nothing = row(scheduled_ms=3_600_000)
    drawn = fleet_cards.score(nothing, "OEE", "en")
    assert ">–<" in drawn
    assert 'class="big">–<' in drawn
    assert drawn.count("<span>–</span>") == 3
    assert say("why_null.no_minute", "en") in drawn  # and not that the machine did not run: nobody knows yet
    assert say("why_null.no_minute", "en") in tiles.tiles(nothing, nothing, "en")
    stood = row(scheduled_ms=3_600_000, planned_stop_ms=3_600_000)
    assert say("why_null.no_busy_time", "en") in tiles.tiles(stood, stood, "en")
    drawn = trend_chart.draw([point(nothing), point(None)], "target", "", "en", address)
    assert "l-oee" not in drawn, "no line where nothing is known"
    assert say("console.not_planned", "en") in drawn


def test_bounds_stand_beside_a_number_that_does_not_cover_the_time():
    assert "trust" not in fleet_cards.score(row(**GOOD_HOUR), "OEE", "en")
    drawn = fleet_cards.score(row(scheduled_ms=7_200_000, **GOOD_HOUR), "OEE", "en")
    assert "Coverage 50%" in drawn
    assert "32% – 82%" in drawn


SEVEN_OF_EIGHTY = {
    "running_ms": 3_600_000, "running_ideal_known_ms": 3_600_000, "pieces_total": 80, "ideal_total_us": 2_400_000_000,
    "pieces_judged": 7, "pieces_good": 6, "pieces_process_reject": 1, "ideal_judged_us": 210_000_000,
    "ideal_good_us": 180_000_000, "ideal_process_reject_us": 30_000_000,
}  # fmt: skip


def test_bounds_stand_beside_a_number_of_which_few_pieces_are_judged():
    """Every second was watched; 7 of 80 pieces were judged."""
    drawn = fleet_cards.score(row(**SEVEN_OF_EIGHTY), "OEE", "en")
    assert "Coverage 100%" in drawn
    assert "5% – 66%" in drawn


def test_without_quality_the_figure_is_a_times_p_and_says_what_oee_can_be():
    unjudged = row(
        **{name: value for name, value in SEVEN_OF_EIGHTY.items() if "good" not in name and "judged" not in name}
    )
    drawn = fleet_cards.score(unjudged, "A × P", "en")
    assert '<div class="big">66.7<small>%</small></div>' in drawn
    assert "OEE is at most 66.7%." in drawn
    tile = tiles.tiles(unjudged, unjudged, "vi", lambda field: f"/declare/s/m?field={field}")
    assert 'id="kpi-availability_performance"' in tile
    assert '<a class="cure" href="/declare/s/m?field=rejects">Nhập số phế phẩm</a>' in tile
    assert "cure" not in tiles.tiles(unjudged, unjudged, "vi")
    assert "OEE is at most" not in fleet_cards.score(row(scheduled_ms=3_600_000), "OEE", "en")


def steps(**sums):
    fall = waterfall({CalendarClass.SCHEDULED: sums}, scheduled_ms=3_600_000, all_ms=7_200_000, break_ms=0)
    big = {name: key for key, names in BIG_LOSSES for name in names}
    return [
        {"step": item.key, "group": item.group, "of": item.of, "us": item.us, "pieces": item.pieces,
         "big_loss": big.get(item.key), "flags": [*fall.flags]}
        for item in fall.rows
    ]  # fmt: skip


def test_the_waterfall_draws_each_loss_where_it_is_cut_off():
    lines = str(drawn_waterfall.draw(steps(**GOOD_HOUR), "en")).split('<div class="step')
    breakdown = next(line for line in lines if "w-breakdown" in line)
    assert "left:41.67%;width:8.33%" in breakdown  # from 60 to 50 of 120 minutes
    assert "10min" in breakdown.replace(" ", "").replace("\u00a0", "")
    assert "16.7%" in breakdown
    assert not any("w-setup" in line for line in lines)
    assert len(lines) - 1 == 7 + 4  # totals; outside, breakdown, slow cycles, rejects that nobody classified


def test_six_losses_and_what_is_no_stop():
    found = steps(**SEVEN_OF_EIGHTY)
    six = str(drawn_waterfall.six(found, "en"))
    assert six.count('class="step loss"') == 6
    beside = {item["state"]: item["us"] for item in drawn_waterfall.beside_stops(found)}
    assert beside == {"slow_cycles": 1_200_000_000, "process_reject": 30_000_000, "not_judged": 2_190_000_000}
    fully = next(item["us"] for item in found if item["step"] == "fully_productive")
    assert sum(beside.values()) == 3_600_000_000 - fully
    assert drawn_waterfall.draw([], "en") != ""


def test_an_hour_s_column_is_the_calendar_s_time():
    start_ns = time_labels.parse_ns("2026-03-02T08:00:00+07:00")
    drawn = fleet_cards.hours([("07:00", start_ns - HOUR_NS), ("08:00", start_ns)], {start_ns: row(3_600_000, running_ms=1_800_000)}, "en")  # fmt: skip
    assert drawn.count('class="off"') == 1
    assert 'class="s s-running" x="55.000%" width="40.000%" y="50.00%" height="50.00%"' in drawn
    assert 'class="s s-unknown" x="55.000%" width="40.000%" y="0.00%" height="50.00%"' in drawn


# tiles


def test_a_window_is_compared_with_the_one_before_only_if_that_was_whole():
    now = row(**GOOD_HOUR)
    worse = row(**(GOOD_HOUR | {"ideal_good_us": 2_160_000_000}))
    assert "▲ 3.3 points" in tiles.tiles(now, worse, "en")
    assert "▼ 3,3 điểm" in tiles.tiles(worse, now, "vi")
    assert "points" not in tiles.tiles(now, row(scheduled_ms=0), "en")
    assert "points" not in tiles.tiles(now, row(scheduled_ms=60_000, running_ms=60_000), "en")


def test_rejects_that_nobody_counts_are_a_dash():
    assert tiles.minis(row(running_ms=1000, pieces_total=5), "en").count(">–<") >= 2
    counted = row(**(GOOD_HOUR | {"pieces_process_reject": 60, "pieces_startup_reject": 40}))
    assert 'id="kpi-rejects">100<' in tiles.minis(counted, "en")


# charts


def test_the_pareto_adds_up_on_one_scale_and_keeps_the_rest_together():
    losses = [{"state": "breakdown", "reason": f"r{n}", "us": 100 - n} for n in range(17)]
    bars = charts.pareto_bars(losses, {}, "en", address)
    assert len(bars) == charts.MOST_LOSSES + 1 == 15
    assert bars[-1].name == say("console.other_losses", "en", count=3)
    assert sum(bar.us for bar in bars) == sum(item["us"] for item in losses)
    drawn = pareto(bars, "en")
    assert drawn.count("<li>") == 15
    assert "left:100.00%" in drawn.split("<li>")[-1], "the sum of all is the end of the scale"


def test_a_bar_leads_to_its_stops_and_a_loss_without_stops_nowhere():
    losses = [{"state": "breakdown", "reason": "", "us": 9}, {"state": "slow_cycles", "reason": "", "us": 5}]
    stopped, slow = charts.pareto_bars(losses, {}, "en", address)
    assert filter_of(dict(parse_qsl(stopped.asked, keep_blank_values=True))) == StopFilter(
        states=("breakdown",), reasons=("",), order="longest"
    )
    assert stopped.href == f"/m?{stopped.asked}"
    assert slow.href == slow.asked == ""
    assert say("console.no_stop_of", "en") in pareto([slow], "en")


def point(row, before=None):
    return TrendPoint(row, "8h", "Monday, 8h", (at("2026-03-02 08:00"), at("2026-03-02 09:00")), before)


def test_performance_above_one_is_not_cut():
    fast = row(**(GOOD_HOUR | {"ideal_total_us": 4_000_000_000}))
    drawn = trend_chart.draw([point(fast)], "target", "", "en", address)
    assert '<span style="bottom:100.00%">150%</span>' in drawn
    assert '<span style="bottom:100.00%">100%</span>' in trend_chart.draw(
        [point(row(**GOOD_HOUR))], "none", "", "en", address
    )

    assert say("flag.performance_above_1", "en") in tiles.tiles(fast, fast, "en")


def test_a_point_says_everything_and_leads_to_its_stops():
    drawn = trend_chart.draw(
        [point(row(**GOOD_HOUR), row(**(GOOD_HOUR | {"ideal_good_us": 2_160_000_000})))],
        "before",
        "Sunday",
        "en",
        address,
    )
    assert f"within={at('2026-03-02 08:00') // 10**6}-{at('2026-03-02 09:00') // 10**6}" in drawn
    for text in ("OEE 63.3%", "before 60.0%", "Coverage 100.0%", say("console.over.before_of", "en", when="Sunday")):
        assert text in drawn
    assert "l-before" in drawn
    assert "l-before" not in trend_chart.draw([point(row(**GOOD_HOUR))], "none", "Sunday", "en", address)
    behind = drawn[drawn.index("<table") :]
    assert "63.3%" in behind
    assert "60.0%" in behind


def test_a_line_ends_where_nothing_is_known():
    known, unknown = point(row(**GOOD_HOUR)), point(None)
    drawn = trend_chart.draw([known, known, unknown, known], "none", "", "en", address)
    (line,) = re.findall(r'd="([^"]+)" class="l-oee"|class="l-oee" d="([^"]+)"', drawn)
    assert "".join(line).count("M") == 2


# windows


def test_a_view_that_does_not_fit_becomes_one_that_does():
    assert windows.view("30d", "hour") == windows.View("30d", "day")
    assert windows.view("", "") == windows.View("24h", "hour")
    assert windows.view("7d", "day") == windows.View("7d", "day")
    assert windows.view("shift", "day") == windows.View("shift", "hour")


@pytest.mark.parametrize(
    ("first", "last", "bucket", "found"),
    [
        ("2026-03-01", "2026-03-01", "shift", ("2026-03-01", "2026-03-01", "shift")),
        ("2026-03-09", "2026-03-01", "", ("2026-03-01", "2026-03-09", "shift")),
        ("2026-03-01", "2026-04-01", "hour", ("2026-03-01", "2026-04-01", "day")),
        ("2026-03-01", "not a day", "hour", ("2026-03-01", "2026-03-01", "hour")),
        ("2020-03-01", "2026-04-01", "week", ("2020-03-01", "2021-03-01", "week")),
    ],
)
def test_free_dates_are_brought_into_order_and_at_most_a_year_long(first, last, bucket, found):
    view = windows.view("dates", bucket, first, last)
    assert (view.first, view.last, view.bucket) == found
    assert view.words == {"span": "dates", "bucket": found[2], "first": found[0], "last": found[1]}


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "9999-12-31"])
def test_days_whose_times_cannot_be_told_are_no_dates(day):
    assert windows.view("dates", "", day, day) == windows.View("24h", "hour")


def test_dates_that_are_none_show_the_last_24_hours():
    assert windows.view("dates", "", "31.12.2026", "") == windows.View("24h", "hour")


def test_ranges_begin_on_hours_and_local_midnights():
    now_ns = at("2026-03-05 09:20")
    assert windows.start_of("24h", ZONE, now_ns) == at("2026-03-04 10:00")
    assert windows.start_of("today", ZONE, now_ns) == at("2026-03-05 00:00")
    assert windows.start_of("7d", ZONE, now_ns) == at("2026-02-27 00:00")
    assert windows.start_of("today", ZONE, at("2026-03-05 00:01")) == at("2026-03-04 00:00")


@pytest.mark.parametrize(
    ("now", "name", "date", "on"),
    [
        ("2026-03-05 09:20", "A", "2026-03-05", True),
        ("2026-03-05 10:05", "A", "2026-03-05", True),  # a break is part of its shift
        ("2026-03-05 15:00", "A", "2026-03-05", False),
        ("2026-03-06 02:00", "N", "2026-03-05", True),  # the night belongs to the day before
        ("2026-03-08 12:00", "N", "2026-03-07", False),  # Sunday
    ],
)
def test_the_present_shift_is_the_last_one_that_has_begun(now, name, date, on):
    segments = [(CALENDAR, at("2026-03-02 00:00"), at("2026-03-09 00:00"))]
    shift = windows.present_shift(segments, ZONE, at(now))
    assert shift == windows.PresentShift(name, f"{date}T00:00:00+07:00", on)


@pytest.mark.parametrize(
    ("span", "now", "shift", "begin", "end", "whole_end"),
    [
        ("shift", "2026-03-05 09:20", "A", "05 06:00", "05 09:19", "05 14:00"),
        ("last_shift", "2026-03-05 09:20", "N", "04 22:00", "05 06:00", "05 06:00"),
        ("shift", "2026-03-05 15:00", "A", "05 06:00", "05 14:00", "05 14:00"),
        ("shift", "2026-03-06 02:00", "N", "05 22:00", "06 01:59", "06 06:00"),
        ("today", "2026-03-05 09:20", "", "05 00:00", "05 09:19", "06 00:00"),
        ("yesterday", "2026-03-05 09:20", "", "04 00:00", "05 00:00", "05 00:00"),
    ],
)
def test_a_shift_and_a_day_from_their_beginning_to_their_end_or_now(span, now, shift, begin, end, whole_end):
    segments = [(CALENDAR, at("2026-03-02 00:00"), at("2026-03-09 00:00"))]
    found = windows.window_of(windows.view(span, ""), segments, ZONE, at(now))
    expected = [at(f"2026-03-{text}") for text in (begin, end, whole_end)]
    assert [found.start_ns, found.end_ns, found.whole_end_ns] == expected
    assert found.shift == shift


def test_free_dates_are_whole_local_days_up_to_now():
    view = windows.view("dates", "", "2026-03-01", "2026-03-05")
    found = windows.window_of(view, None, ZONE, at("2026-03-05 09:20"))
    assert (found.start_ns, found.end_ns) == (at("2026-03-01 00:00"), at("2026-03-05 09:19"))
    assert found.by_day
    ahead = windows.window_of(windows.view("dates", "", "2026-03-06"), None, ZONE, at("2026-03-05 09:20"))
    assert (ahead.start_ns, ahead.by_day) == (at("2026-03-04 10:00"), False)


def test_without_a_calendar_there_is_no_shift():
    assert windows.present_shift(None, ZONE, at("2026-03-05 09:20")) is None
    assert windows.present_shift([], ZONE, at("2026-03-05 09:20")) is None
    found = windows.window_of(windows.view("shift", ""), None, ZONE, at("2026-03-05 09:20"))
    assert (found.start_ns, found.shift) == (at("2026-03-04 10:00"), "")


# timeline


def hour(text: str, told_ms: int, calendar: str = "scheduled", running_ms: int = 0):
    return timeline.HourKnown(at(text), calendar, told_ms, running_ms)


def test_silence_is_at_the_end_of_an_hour_if_it_goes_on_and_at_its_beginning_if_it_ends():
    window = (at("2026-03-05 06:00"), at("2026-03-05 10:00"))
    segments = [(CALENDAR, *window)]
    hours = [
        hour("2026-03-05 06:00", 1_800_000),
        hour("2026-03-05 08:00", 2_400_000),
        hour("2026-03-05 09:00", 3_600_000),
    ]
    story = timeline.timeline_data(window, ZONE, segments, hours, [])
    assert story.silent == [
        (at("2026-03-05 06:30"), at("2026-03-05 07:00")),
        (at("2026-03-05 07:00"), at("2026-03-05 08:00")),
        (at("2026-03-05 08:00"), at("2026-03-05 08:20")),
    ]


@pytest.mark.parametrize("hours_before", [0, 3])
def test_a_machine_of_the_last_minutes_has_its_silence_before_it_was_known(hours_before):
    """The newest minutes are those of which there are facts."""
    known = at("2026-03-05 09:40")
    window = (at("2026-03-05 09:00") - hours_before * HOUR_NS, at("2026-03-05 09:58"))
    story = timeline.timeline_data(
        window, ZONE, [(CALENDAR, known, window[1])], [hour("2026-03-05 09:00", 18 * 60_000)], []
    )
    assert story.known_ns == known
    assert story.silent[-1] == (at("2026-03-05 09:00"), known)
    (row,) = timeline.strips(window, ZONE, "en", window[1])
    drawn = timeline.draw(story, [row], {}, "en")
    assert drawn.count('class="before"') == 1
    assert say("console.not_known_yet", "en") in drawn


def test_minutes_that_are_still_on_their_way_are_no_silence():
    window = (at("2026-03-05 06:00"), at("2026-03-05 07:10"))
    hours = [hour("2026-03-05 06:00", 3_600_000), hour("2026-03-05 07:00", 9 * 60_000)]
    assert timeline.timeline_data(window, ZONE, None, hours, []).silent == []


def test_a_strip_shows_what_the_facts_and_stops_tell():
    window = (at("2026-03-05 05:00"), at("2026-03-05 08:00"))
    hours = [
        hour("2026-03-05 05:00", 3_600_000, "outside", running_ms=600_000),
        hour("2026-03-05 06:00", 3_600_000, running_ms=3_000_000),
    ]
    stop = Stop("m", "s", at("2026-03-05 05:30"), at("2026-03-05 06:10"), State.BREAKDOWN, "", "plc", "1", "", 0)
    days = Calendar(ZONE, SHIFTS[:1])
    story = timeline.timeline_data(window, ZONE, [(days, *window)], hours, [stop])
    assert story.unwanted == [(at("2026-03-05 05:00"), at("2026-03-05 06:00"), "outside")]
    assert story.silent == [(at("2026-03-05 07:00"), at("2026-03-05 08:00"))]
    row = timeline.Strip("", at("2026-03-05 05:00"), at("2026-03-05 09:00"), ("a", "b", "c", "d", "e"))
    drawn = timeline.draw(story, [row], {}, "en")
    assert 'class="s s-breakdown" x="25.000%" width="4.167%"' in drawn  # 06:00 to 06:10, in the shift
    assert 'class="off" x="12.500%" width="12.500%"' in drawn  # 05:30 to 06:00, before it
    assert 'class="s s-unknown" x="50.000%" width="25.000%"' in drawn
    assert 'class="veil" x="0.000%" width="25.000%"' in drawn


def test_days_stand_the_latest_first_and_24_hours_in_one_row():
    window = (at("2026-03-04 00:00"), at("2026-03-05 09:00"))
    rows = timeline.strips(window, ZONE, "vi")
    assert [strip.label for strip in rows] == ["T5 05/03", "T4 04/03"]
    assert rows[0].end_ns == at("2026-03-06 00:00")
    assert len(timeline.strips(window, ZONE, "en", window[1])) == 1


def test_days_keep_their_length_where_the_clock_changes():
    berlin = ZoneInfo("Europe/Berlin")
    first = to_ns(datetime(2026, 3, 28, tzinfo=berlin))
    rows = timeline.strips((first, first + 60 * HOUR_NS), berlin, "en")
    assert [(strip.end_ns - strip.start_ns) // HOUR_NS for strip in rows] == [24, 23, 24]


def test_the_marks_of_a_day_follow_the_clock_where_it_changes():
    berlin = ZoneInfo("Europe/Berlin")
    first = to_ns(datetime(2026, 10, 24, 18, tzinfo=berlin))
    (row,) = timeline.strips((first, first + 24 * HOUR_NS), berlin, "en", first + 24 * HOUR_NS)
    assert row.ticks == ("18:00", "00:00", "05:00", "11:00", "17:00")


def test_every_state_has_a_sign():
    assert set(GLYPHS) == {state.word for state in State}
    assert set(fleet_cards.WORST_FIRST) == {state.word for state in State}


# shared answers


async def test_a_question_asked_by_many_is_asked_once_in_a_thread():
    now, asked = [0.0], []

    def slow(number: int) -> int:
        asked.append(threading.get_ident())
        return number * 2

    cache = AnswerCache(clock=lambda: now[0])
    assert await asyncio.gather(*(cache.ask(5, slow, 4) for _ in range(20))) == [8] * 20
    assert len(asked) == 1
    assert asked[0] != threading.get_ident()
    now[0] = 4.9
    await cache.ask(5, slow, 4)
    assert len(asked) == 1
    now[0] = 5.1
    await cache.ask(5, slow, 4)
    assert len(asked) == 2


async def test_an_answer_that_failed_is_not_kept():
    answers = [ValueError("away"), 7]

    def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    cache = AnswerCache(clock=lambda: 0.0)
    with pytest.raises(ValueError, match="away"):
        await cache.ask(5, ask)
    assert await cache.ask(5, ask) == 7


async def test_one_who_leaves_does_not_take_the_answer_along():
    gate = threading.Event()
    cache = AnswerCache(clock=lambda: 0.0)
    first = asyncio.create_task(cache.ask(5, gate.wait, 10))
    await asyncio.sleep(0)
    second = asyncio.create_task(cache.ask(5, gate.wait, 10))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    assert await second is True


async def test_old_answers_are_forgotten():
    now = [0.0]
    cache = AnswerCache(clock=lambda: now[0])
    for number in range(20):
        now[0] = float(number)
        await cache.ask(1, abs, number)
    assert len(cache._entries) <= 2


def test_a_stop_that_goes_on_has_its_length_so_far():
    stop = {"start": "2026-03-02T08:00:00+07:00", "end": None, "state": "unplanned_stop", "reason": "", "by": "count", "product": "?", "to_product": ""}  # fmt: skip
    site = {"reasons": {}, "products": {}}
    drawn = stops_table.table([stop], site, at("2026-03-02 08:20"), "en", [])
    assert "20 min" in drawn
    assert say("reason.none", "en") in drawn
    off = [(at("2026-03-02 00:00"), at("2026-03-03 00:00"), "outside")]
    resting = stops_table.table([stop], site, at("2026-03-02 08:20"), "en", off)
    assert say("calendar.outside", "en") in resting
    assert say("reason.none", "en") not in resting
