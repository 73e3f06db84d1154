"""Short recordings whose right numbers were worked out by hand: what a shift's rows must come to."""

import pytest

from config import load_site
from replay import replay
from replay.rows import losses, rows, stop_row
from words import say

SITE = """
site: test
timezone: {zone}
devices:
  d:
    kind: modbus_tcp
    host: 192.0.2.10
    every: 1s
    tags: {{run: {{coil: 0}}, alarm: {{holding: 1}}, total: {{holding: 2}}, bad: {{holding: 3}}, prod: {{holding: 4}}}}
machines:
  m:
    state: [{{when: "d.alarm > 0", is: breakdown}}, {{when: "d.run", is: running}}, {{is: unplanned_stop}}]
    reason: {{tag: d.alarm, map: {{12: jam}}}}
    pieces: {{total: d.total, reject: d.bad}}
    product: d.prod
products: {{"1": {{ideal: 10s}}, "2": {{ideal: 20s}}}}
reasons: {{jam: {{name: Jam, is: breakdown}}}}
shifts: {shifts}
"""
SHIFT_A = '[{name: A, days: mon-sun, from: "06:00", to: "14:00", breaks: ["10:00-10:15"]}]'
HEAD = "time,run,alarm,total,bad,prod"


class Shift:
    """What came of one recording."""

    def __init__(self, result):
        self.result = result
        self.row = rows(result, ("machine",))[0]
        self.losses = {(item["state"], item["reason"]): (item["ms"], item["pieces"]) for item in losses(result)}
        zone = next(iter(result.machines.values())).calendar.zone
        self.stops = [stop_row(item, zone) for item in result.totals.stops()]


@pytest.fixture
def recorded(tmp_path):
    """Rows as text (`HH:MM,run,alarm,total,bad,prod` of 2026-09-21, or with a date) to what they come to."""

    def run(text, *, zone="Asia/Ho_Chi_Minh", shifts=SHIFT_A, site=SITE, head=HEAD, said="", **changes):
        written = site.format(zone=zone, shifts=shifts)
        for old, new in changes.items():
            written = written.replace(*new) if isinstance(new, tuple) else written.replace(old, new)
        (tmp_path / "site.yaml").write_text(written, encoding="utf-8")
        samples = tmp_path / "samples"
        samples.mkdir(exist_ok=True)
        lines = [line if "T" in line else f"2026-09-21T{line}" for line in text.split()]
        (samples / "d.csv").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
        if said:
            (samples / "declarations.csv").write_text(said, encoding="utf-8")
        return Shift(replay(load_site(tmp_path / "site.yaml"), samples))

    return run


def test_a_stop_over_the_hour_that_comes_twice_ends_after_its_start(recorded):
    found = recorded(
        """2026-10-25T00:00:00+02:00,1,0,0,0,1
        2026-10-25T02:50:00+02:00,0,0,100,0,1
        2026-10-25T02:30:00+01:00,1,0,100,0,1
        2026-10-25T04:00:00+01:00,1,0,200,0,1""",
        zone="Europe/Berlin",
        shifts='[{name: night, days: mon-sun, from: "22:00", to: "06:00"}]',
    )
    (stop,) = found.stops
    assert (stop["start"], stop["end"]) == ("2026-10-25T02:50:00+02:00", "2026-10-25T02:30:00+01:00")
    assert stop["ms"] == 40 * 60_000


def test_the_piece_that_a_stop_begins_with_was_not_made_in_it(recorded):
    found = recorded(
        """07:00,1,0,0,0,1
        07:20,0,0,60,0,1
        07:25,0,0,60,0,2
        07:26,1,0,61,1,2
        07:30,1,0,62,1,2
        07:40,1,0,90,1,2"""
    )
    assert found.row["pieces_startup_reject"] == 1
    assert found.losses["setup", ""] == (10 * 60_000, 1)


BLIND = """07:00,1,0,0,0,1
    07:50,1,0,300,0,1
    07:55,1,0,?,?,1
    08:00,0,0,,,1
    08:05,0,0,,,2
    08:10,1,0,,,2
    {then}
    10:00,1,0,,,2"""


def test_a_set_up_whose_first_piece_nobody_can_see_ends_when_the_machine_runs(recorded):
    found = recorded(BLIND.format(then=""))
    assert found.row["setup_ms"] == 1_200_000
    assert found.row["running_ms"] == (50 + 110) * 60_000


def test_so_does_one_whose_first_piece_was_made_while_the_counter_was_away(recorded):
    found = recorded(BLIND.format(then="08:40,1,0,310,0,2"))
    assert found.row["setup_ms"] == 1_200_000


def test_but_a_counter_that_has_not_moved_while_it_was_away_says_that_the_set_up_went_on(recorded):
    found = recorded(BLIND.format(then="08:12,1,0,300,0,2 08:40,1,0,301,0,2"))
    assert found.row["setup_ms"] == 50 * 60_000


def test_a_gap_between_pieces_is_measured_from_where_the_machine_began_to_run(recorded):
    """Four times 20 pieces at 26 s and a stop of 290 s, and one last piece."""
    lines, second, made = ["06:00:00,1,0,0,0,2"], 0, 0

    def at(t):
        return f"{6 + t // 3600:02d}:{t // 60 % 60:02d}:{t % 60:02d}"

    for _ in range(4):
        for _ in range(20):
            second, made = second + 26, made + 1
            lines.append(f"{at(second)},1,0,{made},0,2")
        lines.append(f"{at(second + 1)},0,0,{made},0,2")
        second += 291
        lines.append(f"{at(second)},1,0,{made},0,2")
    lines.append(f"{at(second + 26)},1,0,{made + 1},0,2")
    found = recorded(
        " ".join(lines),
        gap=("    product: d.prod", "    product: d.prod\n    no_count: {{ideals: 2.5, at_least: 30s}}".format()),
        ideal=("ideal: 20s", "ideal: 26s"),
    )
    assert [stop["ms"] for stop in found.stops] == [290_000] * 4
    assert found.row["minor_stop_ms"] == 4 * 290_000
    assert found.row["running_ms"] == (81 * 26 + 4) * 1000
    assert found.row["availability"] == 1.0
    assert found.row["performance"] == pytest.approx(0.644, abs=0.001)


def test_rejects_counted_in_a_break_belong_to_the_pieces_made_before_it(recorded):
    found = recorded(
        """09:00,1,0,0,0,1
        09:59:50,1,0,100,0,1
        10:00:05,1,0,100,3,1
        10:20,1,0,150,3,1
        10:30,1,0,200,3,1
        10:31,1,0,200,3,1"""
    )
    assert found.row["quality"] == pytest.approx(0.985)
    assert (found.row["pieces_total"], found.row["pieces_process_reject"]) == (200, 3)


def test_so_do_rejects_counted_after_a_shift(recorded):
    shifts = (
        '[{name: A, days: mon-sun, from: "06:00", to: "14:00"}, {name: B, days: mon-sun, from: "14:00", to: "22:00"}]'
    )
    text = "13:00,1,0,0,0,1 13:59:50,1,0,200,0,1 {}:05,1,0,200,3,1 15:00,1,0,{},4,1 15:10,1,0,400,4,1"
    after = recorded(text.format("14:00", 300), shifts=shifts)
    by_shift = {row["shift"]: row for row in rows(after.result, ("shift",)) if "total" not in row}
    assert {name: row["pieces_process_reject"] for name, row in by_shift.items()} == {"A": 3, "B": 1}
    outside = recorded(text.format("14:10", 200))
    assert outside.row["quality"] == pytest.approx(196 / 200)  # the fourth, at 15:00, too: no piece was made since


OUTAGE = """06:00,1,0,0,0,1
    06:10,1,0,60,0,1
    06:20,{bad}
    06:30,1,0,{made},0,{then}
    06:40,1,0,240,0,{then}
    06:41,1,0,240,0,{then}"""


def test_an_outage_that_also_hides_the_product_keeps_it_if_it_comes_back_with_the_same(recorded):
    found = recorded(OUTAGE.format(bad="?,?,?,?,?", made=180, then=1))
    assert {key.product for key in found.result.totals.facts} == {"1"}
    assert found.row["pieces_unwatched"] == 120
    assert found.row["ideal_unwatched_us"] == 120 * 10_000_000
    assert found.row["oee_low"] == pytest.approx((240 * 10) / (41 * 60))


def test_but_not_if_it_comes_back_with_another_product_or_pieces_were_seen_without_one(recorded):
    other = recorded(OUTAGE.format(bad="?,?,?,?,?", made=180, then=2))
    assert other.row["pieces_without_ideal"] == 0
    assert "?" in {key.product for key in other.result.totals.facts}
    seen = recorded(OUTAGE.format(bad="1,0,120,0,?\n2026-09-21T06:25,1,0,150,0,?", made=180, then=1))
    assert "?" in {key.product for key in seen.result.totals.facts}


def test_more_rejects_than_pieces_are_flagged(recorded):
    found = recorded(
        "09:00,1,0,0 09:20,1,0,5 10:30,1,0,5",
        head="time,run,alarm,total",
        operator=("reject: d.bad", "reject: operator"),
        product=("product: d.prod", 'product: "1"'),
        said="machine,start,end,field,value\nm,2026-09-21T09:00+07:00,2026-09-21T10:00+07:00,rejects,9\n",
    )
    assert found.row["quality"] == pytest.approx(-0.8)
    assert "rejects_above_pieces" in found.row["flags"]


def test_the_bounds_are_those_of_the_whole_schedule(recorded):
    """The OEE of the watched time may lie outside of them, and no page says otherwise."""
    found = recorded("06:00,1,0,0,0,1 06:20,1,0,60,0,1 06:40,?,?,?,?,? 07:00,1,0,400,0,1 07:01,1,0,401,0,1")
    assert not found.row["oee_low"] <= found.row["oee"] <= found.row["oee_high"]
    for lang, of_what in (("vi", "toàn bộ thời gian theo lịch"), ("en", "whole schedule")):
        assert of_what in say("replay.lies_between", lang, low="1", high="2")
        assert of_what in say("console.bounds_note", lang, low="1", high="2")


# A fault and the unexplained standing around it are one stop

FAULT = """07:00:00,1,0,0,0,1
    07:10:00,0,0,60,0,1
    07:12:00,0,12,60,0,1
    07:15:00,0,0,60,0,1
    07:19:30,1,0,60,0,1
    07:50:00,1,0,91,0,1"""
"""Stopped by hand at 07:10, which made the alarm of 07:12; reset at 07:15, running at 07:19:30."""


def found_in(result):
    return [(stop["start"][11:19], stop["ms"] // 1000, stop["state"], stop["reason"]) for stop in result.stops]


def test_a_fault_is_judged_with_the_standing_around_it(recorded):
    """A breakdown of 3 min between minor stops of 6.5 min gave an availability of .94."""
    result = recorded(FAULT)
    assert found_in(result) == [("07:10:00", 570, "breakdown", "jam")]
    assert result.row["mttr_s"] == 570
    assert result.row["availability"] == pytest.approx((50 - 9.5) / 50)
    assert result.losses["breakdown", "jam"][0] == 570_000


def test_what_somebody_explained_is_no_part_of_the_fault(recorded):
    said = """machine,start,end,field,value
m,2026-09-21T07:15:00+07:00,2026-09-21T07:19:30+07:00,reason,late
"""
    late = ("reasons: {", "reasons: {late: {name: Late, is: unplanned_stop}, ")
    result = recorded(FAULT, said=said, late=late)
    assert found_in(result) == [
        ("07:10:00", 300, "breakdown", "jam"),
        ("07:15:00", 270, "unplanned_stop", "late"),
    ]


def test_a_breakdown_that_only_a_person_told_ends_where_that_person_said(recorded):
    """Whoever gives a part of a stop a reason has judged that part; the rest is as it was."""
    said = """machine,start,end,field,value
m,2026-09-21T07:12:00+07:00,2026-09-21T07:15:00+07:00,reason,jam
"""
    result = recorded(FAULT.replace(",12,", ",0,"), said=said)
    assert [state for _, _, state, _ in found_in(result)] == ["minor_stop", "breakdown", "minor_stop"]


def test_time_outside_shifts_is_no_part_of_a_fault_and_keeps_apart_what_lies_on_both_sides(recorded):
    result = recorded(
        """13:00,1,0,0,0,1
        13:40,0,0,240,0,1
        13:50,0,12,240,0,1
        14:10,0,0,240,0,1
        2026-09-22T06:10:00+07:00,1,0,240,0,1
        2026-09-22T06:30:00+07:00,1,0,360,0,1"""
    )
    assert found_in(result) == [
        ("13:40:00", 1800, "breakdown", "jam"),  # of them 20 min within the shift
        ("14:10:00", 35_400, "minor_stop", ""),
        ("00:00:00", 21_600, "minor_stop", ""),
        ("06:00:00", 600, "unplanned_stop", ""),
    ]
    assert result.losses["breakdown", "jam"][0] == 20 * 60_000


def test_a_break_only_suspends_it(recorded):
    result = recorded(
        """09:00,1,0,0,0,1
        09:58,0,0,348,0,1
        10:16,0,12,348,0,1
        10:20,1,0,348,0,1
        10:30,1,0,408,0,1"""
    )
    assert found_in(result) == [("09:58:00", 1320, "breakdown", "jam")]
    assert result.row["mttr_s"] == 420, "the break is no repair time"


def test_of_two_faults_the_earlier_one_is_waited_for(recorded):
    result = recorded(
        """07:00,1,0,0,0,1
        07:10,0,12,60,0,1
        07:12,0,0,60,0,1
        07:14,0,13,60,0,1
        07:15,0,0,60,0,1
        07:16,1,0,60,0,1
        07:50,1,0,91,0,1""",
        another=("{12: jam}", "{12: jam, 13: door}"),
        door=("reasons: {", "reasons: {door: {name: Door, is: breakdown}, "),
    )
    assert found_in(result) == [("07:10:00", 240, "breakdown", "jam"), ("07:14:00", 120, "breakdown", "door")]


def test_the_same_fault_that_comes_again_before_the_machine_ran_is_one(recorded):
    result = recorded(
        """07:00,1,0,0,0,1
        07:10,0,12,60,0,1
        07:11,0,0,60,0,1
        07:12,0,12,60,0,1
        07:13,1,0,60,0,1
        07:50,1,0,91,0,1"""
    )
    assert found_in(result) == [("07:10:00", 180, "breakdown", "jam")]


def test_a_set_up_around_a_fault_stays_a_set_up(recorded):
    result = recorded(
        """07:00,1,0,0,0,1
        07:10,0,0,60,0,1
        07:12,0,12,60,0,1
        07:15,0,0,60,0,2
        07:20,1,0,60,0,2
        07:20:20,1,0,61,0,2
        07:50,1,0,150,0,2"""
    )
    assert [(start, state) for start, _, state, _ in found_in(result)] == [
        ("07:10:00", "setup"),
        ("07:12:00", "breakdown"),
        ("07:15:00", "setup"),
    ]
