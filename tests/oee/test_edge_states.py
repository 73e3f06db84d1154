"""Edge cases in which real systems went wrong, each naming the system: states and declarations."""

import pytest
from driving import GAP, S, ns, say
from plain_machine import RULES, T, machine, ran

from oee.kpi.kpi import compute
from oee.model.machine import CountGap, Ideal, Pieces, Product
from oee.model.states import State

# States


def test_flicker_short_runs_first():
    """UMH drops short runs, then short stops: 3 s stop, 3 s run, 3 s stop are one stop of 9 s and not three flickers."""
    made = machine(pieces=Pieces(), shortest_run_ns=5 * S, shortest_stop_ns=5 * S)
    rows = {"d.run": [(0, True), (100, False), (103, True), (106, False), (109, True), (200, False), (204, True)]}
    told = ran(300, rows, made)
    assert told.times() == {"running": 291, "minor_stop": 9}
    assert [(s.start_ns, s.end_ns) for s in told.stops] == [(ns(T + 100), ns(T + 109))]


def test_flicker_is_not_looked_across_unknown():
    made = machine(pieces=Pieces(), shortest_stop_ns=5 * S)
    told = ran(300, {"d.run": [(0, True), (100, False), (102, GAP), (110, True)]}, made)
    assert told.times() == {"running": 290, "minor_stop": 2, "unknown": 8}


def coded(**changes):
    return machine(
        pieces=Pieces(),
        reason_tag="d.code",
        reason_map={"7": "jam"},
        reason_states={"jam": State.BREAKDOWN},
        **changes,
    )


def test_a_later_reason_is_copied_backward_within_the_same_stop_only():
    """UMH gives an unknown stop the next reason, whatever lies between."""
    rows = {
        "d.run": [(0, True), (100, False), (200, True), (300, False), (400, True)],
        "d.code": [(0, 0), (350, 7), (400, 0)],
    }
    told = ran(500, rows, coded())
    assert [(s.reason, s.state) for s in told.stops] == [("", State.MINOR_STOP), ("jam", State.BREAKDOWN)]


def test_parts_while_stopped_count_and_are_flagged():
    """MolcaDx and others: state lag, manual mode, buffered pulse. Counted where they were seen; P may pass 1."""
    told = ran(120, {"d.run": [(0, True), (10, False)], "d.total": [(0, 0), (5, 5), (30, 60), (60, 190)]})
    assert told.sums()["pieces_total"] == 190
    assert sum(pieces for _, pieces in told.losses.values()) == 185
    result = compute(told.sums())
    assert result.values["performance"] == pytest.approx(190 / 120)
    assert "performance_above_1" in result.flags


COUNTS = machine(rules=(), gap=CountGap(2.5, 30 * S), products={"p": Product("p", (Ideal(10_000_000),))})


def test_a_stall_with_no_state_signal_starts_one_ideal_time_after_the_last_piece():
    """MolcaDx detects a stall from the last increment; threshold max(2.5 ideals, 30 s) = 30 s."""
    pieces = [(0, 0), (10, 1), (20, 2), (60, 3), (90, 4)]
    told = ran(100, {"d.total": pieces}, COUNTS)
    assert told.times() == {"running": 70, "minor_stop": 30}
    assert [(s.start_ns, s.end_ns, s.by) for s in told.stops] == [(ns(T + 30), ns(T + 60), "count")]


def test_a_gap_of_exactly_the_threshold_is_no_stop():
    told = ran(60, {"d.total": [(0, 0), (10, 1), (40, 2)]}, COUNTS)
    assert told.times() == {"running": 60}


def test_a_gap_overrides_a_signal_that_says_running_and_no_other():
    """Euromap's PRODUCTION goes on while the operator loads; what the machine calls a failure stays one."""
    made = machine(rules=RULES, gap=COUNTS.gap, products=COUNTS.products)
    rows = {"d.alarm": [(0, 0), (100, 5)], "d.total": [(0, 0), (10, 1), (90, 2)]}
    told = ran(200, rows, made)
    assert told.times() == {"running": 30, "minor_stop": 70, "breakdown": 100}


def test_a_gap_that_ends_in_a_fault_was_its_beginning():
    """Pieces cease before the machine says why."""
    made = machine(rules=RULES, gap=COUNTS.gap, products=COUNTS.products)
    told = ran(200, {"d.alarm": [(0, 0), (100, 5)], "d.total": [(0, 0), (10, 1)]}, made)
    assert told.times() == {"running": 20, "breakdown": 180}


# Declarations


def test_overlapping_declarations_cost_their_time_once():
    """OEE-Designer #9: manual overlaps gave negative availability; ERPNext, Odoo: overlaps, touching ends."""
    said = [
        say(1, T + 100, T + 300, "reason", "late"),
        say(2, T + 200, T + 400, "reason", "jam"),
        say(3, T + 400, T + 500, "reason", "late"),
    ]
    told = ran(600, {"d.run": [(0, True), (100, False), (500, True)]}, machine(pieces=Pieces()), said=said)
    by_reason = {}
    for key, (ms, _) in told.losses.items():
        by_reason[key[7]] = by_reason.get(key[7], 0) + ms
    assert by_reason == {"late": 200_000, "jam": 200_000}
    assert told.times() == {"running": 200, "unplanned_stop": 400}


def test_a_declaration_that_ends_before_it_starts_changes_nothing():
    """SysOEE #38: 22:26 to 20:56 was read as crossing midnight, 22.5 h, A negative."""
    rows = {"d.run": [(0, True), (100, False), (500, True)]}
    plain = ran(600, rows, machine(pieces=Pieces()))
    told = ran(600, rows, machine(pieces=Pieces()), said=[say(1, T + 400, T + 200, "planned_stop", "meeting")])
    assert told.rows == plain.rows


def test_a_declared_stop_does_not_touch_running():
    """ALMUS counts an entered stop although the machine ran."""
    said = [say(1, T, T + 300, "planned_stop", "meeting")]
    told = ran(600, {"d.run": [(0, True), (100, False), (200, True)]}, machine(pieces=Pieces()), said=said)
    assert told.times() == {"running": 500, "planned_stop": 100}


def test_a_person_may_classify_unknown_time():
    """A machine isolated for repair takes its PLC down."""
    said = [say(1, T + 150, T + 300, "state", "breakdown")]
    told = ran(600, {"d.run": [(0, True), (100, GAP), (400, True)]}, machine(pieces=Pieces()), said=said)
    assert told.times() == {"running": 300, "unknown": 150, "breakdown": 150}


def test_a_declared_breakdown_of_unknown_time_counts_as_a_failure():
    said = [say(1, T + 100, T + 400, "state", "breakdown")]
    told = ran(600, {"d.run": [(0, True), (100, GAP), (400, True)]}, machine(pieces=Pieces()), said=said)
    assert (told.sums()["failures"], told.sums()["failures_ms"]) == (1, 300_000)


def test_a_reason_given_afterwards_is_a_difference():
    """Laravel MES plan: a derived stop is updated in place, the operator's cause kept. Here old keys get differences."""
    said = [say(1, T + 100, T + 160, "reason", "tea", made=T + 330)]
    rows = {"d.run": [(0, True), (100, False), (160, True), (200, False)]}
    told = ran(400, rows, machine(pieces=Pieces()), said=said, cuts=[180, 300, 360])
    whole = ran(400, rows, machine(pieces=Pieces()), said=said)
    assert whole.times() == {"running": 140, "unplanned_stop": 60, "minor_stop": 200}
    assert told.times()["running"] == 140
