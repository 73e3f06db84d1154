"""A reason, state or planned stop without an end holds until the standstill ends in which it begins; and what withdraws
another restores what was stated before."""

import pytest
from driving import GAP, S, say
from plain_machine import EVERY, OUTSIDE, RULES, SCHEDULED, VN, H, T, machine, ran

from oee.model.calendars import Calendar, Shift
from oee.model.facts import Stop
from oee.model.states import State

JAM = machine(reason_states={"jam": State.BREAKDOWN, "late": State.STARVED}, rules=RULES[1:], minor_stop_at_most_ns=0)
TWO_STOPS = {"d.run": [(0, True), (100, False), (400, True), (600, False), (700, True)], "d.total": [(0, 0), (900, 9)]}
MORNING = machine(
    reason_states=JAM.reason_states,
    minor_stop_at_most_ns=0,
    calendar=Calendar(VN, (Shift("A", EVERY, 6 * H, 8 * H + 200),)),
)


def stops(told) -> list[Stop]:
    return [(s.start_ns // S - T, s.end_ns and s.end_ns // S - T, s.state, s.reason) for s in told.stops]


@pytest.mark.parametrize("cuts", [(), (150, 300, 450, 650), (120, 399, 401, 599)])
def test_it_ends_where_the_machine_runs(cuts):
    told = ran(900, TWO_STOPS, JAM, said=[say(1, T + 100, None, "reason", "jam")], cuts=cuts)
    assert stops(told) == [(100, 400, State.BREAKDOWN, "jam"), (600, 700, State.UNPLANNED_STOP, "")]


def test_while_the_stop_lasts_it_holds_to_the_end():
    said = [say(1, T + 600, None, "reason", "late")]
    told = ran(690, {**TWO_STOPS, "d.run": TWO_STOPS["d.run"][:4]}, JAM, said=said)
    assert stops(told)[-1] == (600, None, State.STARVED, "late")


def test_the_second_half_of_a_split_stop_goes_on():
    said = [say(1, T + 100, T + 200, "reason", "late"), say(2, T + 200, None, "reason", "jam")]
    told = ran(900, TWO_STOPS, JAM, said=said)
    assert stops(told)[:2] == [(100, 200, State.STARVED, "late"), (200, 400, State.BREAKDOWN, "jam")]


def test_where_the_machine_runs_it_says_nothing():
    told = ran(
        900, TWO_STOPS, JAM, said=[say(1, T + 50, None, "reason", "jam"), say(2, T + 400, None, "reason", "jam")]
    )
    assert [stop[2:] for stop in stops(told)] == [(State.UNPLANNED_STOP, "")] * 2


def test_it_goes_on_behind_an_outage():
    rows = TWO_STOPS | {"d.run": [(0, True), (100, False), (200, GAP), (250, False), (400, True)]}
    told = ran(900, rows, JAM, said=[say(1, T + 100, None, "reason", "jam")])
    assert stops(told) == [
        (100, 200, State.BREAKDOWN, "jam"),
        (200, 250, State.UNKNOWN, ""),
        (250, 400, State.BREAKDOWN, "jam"),
    ]


@pytest.mark.parametrize(("reason", "outside"), [("late", "minor_stop_ms"), ("jam", "breakdown_ms")])
def test_only_a_breakdown_outlasts_the_schedule(reason, outside):
    """The shift ends at 200; the machine stands from 100 to 400."""
    told = ran(900, TWO_STOPS, MORNING, said=[say(1, T + 100, None, "reason", reason)])
    assert told.sums(calendar=SCHEDULED).get("starved_ms" if reason == "late" else "breakdown_ms") == 100_000
    assert told.sums(calendar=OUTSIDE)[outside] == (300_000 if reason == "late" else 200_000)


def test_a_planned_stop_and_a_state_too():
    rows = TWO_STOPS | {"d.run": [(0, True), (100, False), (400, True), (600, GAP), (700, True)]}
    said = [say(1, T + 100, None, "planned_stop", "meeting"), say(2, T + 600, None, "state", "breakdown")]
    told = ran(900, rows, JAM, said=said)
    assert stops(told) == [(100, 400, State.PLANNED_STOP, "meeting"), (600, 700, State.BREAKDOWN, "")]


@pytest.mark.parametrize("field", ["reason", "planned_stop"])
def test_what_is_withdrawn_gives_way_to_what_was_stated_before(field):
    first = say(1, T + 100, T + 400, "reason", "jam")
    second = say(2, T + 100, None, field, "late")
    back = say(3, T + 100, None, field, "", supersedes=second.id)
    assert stops(ran(900, TWO_STOPS, JAM, said=[first, second])) != stops(ran(900, TWO_STOPS, JAM, said=[first]))
    assert stops(ran(900, TWO_STOPS, JAM, said=[first, second, back])) == stops(ran(900, TWO_STOPS, JAM, said=[first]))


def test_a_withdrawn_product_is_the_one_before():
    by_hand = machine(product_tag="operator")
    said = [
        say(1, T, None, "product", "p"),
        say(2, T + 300, None, "product", "q"),
        say(3, T + 300, None, "product", "", supersedes="d0002"),
    ]
    rows = {"d.total": [(0, 0), (200, 2), (500, 5)]}
    assert ran(900, rows, by_hand, said=said).sums(product="p")["pieces_total"] == 5
