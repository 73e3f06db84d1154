"""Edge cases in which real systems went wrong, each naming the system: quality, products, units and KPIs at their limits."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from driving import as_series, drive, ns, part, say
from plain_machine import (
    EVERY,
    PLAIN,
    REJECT,
    RULES,
    SCHEDULED,
    TOTAL,
    VN,
    H,
    T,
    breaks,
    machine,
    minute,
    ran,
)

from oee.engine import step as engine
from oee.kpi.kpi import compute
from oee.model.calendars import Calendar, Shift
from oee.model.machine import Counter, Ideal, Pieces, Product
from oee.model.states import State

# Quality


def test_late_quality_revises_and_is_not_clamped():
    """Inspection after a buffer: good = total - reject, with the reject minutes later. One minute's good is negative,
    the sum is right (MolcaDx: max(0, ...) only where there is no buffer)."""
    made = machine(pieces=Pieces(TOTAL, reject=REJECT))
    told = ran(300, {"d.total": [(0, 0), (30, 10)], "d.reject": [(0, 0), (200, 4)]}, made, cuts=[60, 120, 240])
    assert (minute(told, 0)["pieces_good"], minute(told, 3)["pieces_good"]) == (10, -4)
    sums = told.sums()
    assert (sums["pieces_total"], sums["pieces_judged"], sums["pieces_good"], sums["pieces_process_reject"]) == (
        10,
        10,
        6,
        4,
    )


def test_more_rejects_than_pieces_are_shown_as_they_are():
    made = machine(pieces=Pieces(TOTAL, reject=REJECT))
    told = ran(60, {"d.total": [(0, 0), (10, 2)], "d.reject": [(0, 0), (10, 3)]}, made)
    assert compute(told.sums()).values["quality"] == -0.5


def test_no_reject_signal_is_no_quality():
    """UMH defaults to Q = 1 where quality is not counted; ALMUS: null defects make Q and OEE null."""
    told = ran(60, {"d.total": [(0, 0), (10, 2)]})
    result = compute(told.sums(), scheduled_ms=60_000)
    assert (result.values["quality"], result.values["oee"]) == (None, None)
    assert result.why_null["quality"] == result.why_null["oee"] == "quality_not_known"
    assert result.values["oee_low"] == 0
    assert result.values["oee_high"] == pytest.approx(2 / 60)


def test_sources_of_quality_are_not_mixed():
    """Order of preference: good and total, total less reject, good and reject (MolcaDx)."""
    good = Counter("d.good", 16, max_per_s=10)
    rows = {"d.total": [(0, 0), (30, 10)], "d.good": [(0, 0), (30, 9)], "d.reject": [(0, 0), (30, 4)]}
    for pieces, fine in [
        (Pieces(TOTAL, good, REJECT), 9),
        (Pieces(TOTAL, reject=REJECT), 6),
        (Pieces(None, good, REJECT), 9),
    ]:
        sums = ran(60, rows, machine(pieces=pieces)).sums()
        assert sums["pieces_good"] == fine
        assert sums["pieces_total"] == (13 if pieces.total is None else 10)


# Edges, products and units


@pytest.mark.parametrize("edge", [60, 120])
def test_a_piece_on_an_edge_counts_once_and_in_the_later_minute(edge):
    """UMH: a count query inclusive at both ends beside half-open slices."""
    calendar = Calendar(VN, (Shift("A", EVERY, 8 * H, 8 * H + 120), Shift("B", EVERY, 8 * H + 120, 16 * H)))
    told = ran(300, {"d.total": [(0, 0), (edge, 1)]}, machine(calendar=calendar), cuts=[edge, edge + 60])
    assert told.sums()["pieces_total"] == 1
    assert minute(told, edge // 60)["pieces_total"] == 1
    assert told.sums(shift="A" if edge < 120 else "B")["pieces_total"] == 1


TAGGED = machine(product_tag="d.product")


def test_a_product_change_while_running_splits_the_time():
    """MolcaDx: segments, sum of standard x quantity over time; aviharos knows one job a shift."""
    rows = {
        "d.total": [(0, 0), *((t, t) for t in range(1, 30)), (33, 30), (36, 31)],
        "d.product": [(0, "p"), (30, "q")],
    }
    told = ran(60, rows, TAGGED)
    assert (told.sums(product="p")["running_ms"], told.sums(product="q")["running_ms"]) == (30_000, 30_000)
    assert (told.sums(product="p")["pieces_total"], told.sums(product="q")["pieces_total"]) == (29, 2)
    assert compute(told.sums()).values["performance"] == pytest.approx((29 * 1 + 2 * 3) / 60)


def test_a_piece_seen_with_the_change_belongs_to_the_product_before():
    """It was made since the poll before."""
    told = ran(60, {"d.total": [(0, 0), (30, 1)], "d.product": [(0, "p"), (30, "q")]}, TAGGED)
    assert told.sums(product="p")["pieces_total"] == 1


def test_change_over_minutes_are_set_up_and_not_performance():
    """MolcaDx: change-over minutes left in running time spoil P. From the last old to the first good new piece; the
    pieces in between are start-up rejects without ideal time, and the first good one is production."""
    made = replace(TAGGED, pieces=Pieces(TOTAL, reject=REJECT))
    rows = {
        "d.run": [(0, True), (50, False), (200, True)],
        "d.total": [(0, 0), (40, 40), (210, 41), (220, 42), (230, 43)],
        "d.reject": [(0, 0), (210, 1), (220, 2)],
        "d.product": [(0, "p"), (100, "q")],
    }
    told = ran(300, rows, made)
    assert told.times() == {"running": 40 + 70, "setup": 190}
    q = told.sums(product="q")
    assert (q["pieces_total"], q["pieces_startup_reject"], q["pieces_good"]) == (3, 2, 1)
    assert (q["ideal_total_us"], q["pieces_without_ideal"]) == (3_000_000, 2)
    assert [(s.state, s.to_product) for s in told.stops] == [(State.SETUP, "q")]


def test_an_alarm_within_a_set_up_stays_a_failure():
    made = replace(TAGGED, rules=RULES)
    rows = {
        "d.run": [(0, True), (50, False), (200, True)],
        "d.alarm": [(0, 0), (120, 5), (150, 0)],
        "d.total": [(0, 0), (40, 40), (210, 41)],
        "d.product": [(0, "p"), (100, "q")],
    }
    assert ran(300, rows, made).times() == {"running": 40 + 90, "setup": 140, "breakdown": 30}


def test_startup_pieces_keep_their_ideal_time():
    made = replace(TAGGED, pieces=Pieces(TOTAL, reject=REJECT), startup_pieces=2)
    rows = {
        "d.run": [(0, True), (50, False), (200, True)],
        "d.total": [(0, 0), (40, 40), (210, 41), (220, 42), (230, 43)],
        "d.reject": [(0, 0), (220, 1), (230, 2)],
        "d.product": [(0, "p"), (100, "q")],
    }
    q = ran(300, rows, made).sums(product="q")
    assert (q["pieces_startup_reject"], q["pieces_process_reject"]) == (1, 1)
    assert q["ideal_startup_reject_us"] == 3_000_000


def test_cavities():
    """ALMUS: dividing a per-piece time by cavities halves P. MolcaDx: 1,200 pieces / 12 x 216 s / 25,200 s = 85.7 %;
    North-Star: a feeder's cycle is a set, not a piece."""
    made = machine(products={"p": Product("p", (Ideal(18_000_000),), 12)})
    told = ran(25_200, {"d.total": [(0, 0), *((252 * n + 251, n + 1) for n in range(100))]}, made)
    sums = told.sums()
    assert (sums["pieces_total"], sums["cycles"]) == (1200, 100)
    assert compute(sums).values["performance"] == pytest.approx(1200 / 12 * 216 / 25_200, rel=1e-12)


def test_a_product_that_nobody_knows_has_no_ideal_time_and_takes_none_from_the_others():
    rows = {"d.total": [(0, 0), (30, 30), (60, 60)], "d.product": [(0, "p"), (30, "new")]}
    told = ran(60.5, rows, TAGGED)
    assert told.sums(product="?")["pieces_without_ideal"] == 30
    assert compute(told.sums()).values["performance"] == 1


# KPIs at their limits


def test_zero_denominators_are_null_with_a_reason():
    """DigitME2: A = 1 if nothing was planned; Cumulocity 0; UMH NaN; MolcaDx "cannot compute"."""
    result = compute({}, scheduled_ms=0, all_ms=0)
    assert {key for key, value in result.values.items() if value is None} == set(result.values)
    assert set(result.why_null) == set(result.values)
    assert all(result.why_null.values())


def test_reported_zero_output_is_oee_0():
    """ALMUS: reported zero output is OEE 0, unreported is null."""
    made = machine(pieces=Pieces(TOTAL, reject=REJECT))
    told = ran(60, {"d.total": [(0, 0)], "d.reject": [(0, 0)]}, made)
    values = compute(told.sums()).values
    assert (values["performance"], values["quality"], values["oee"]) == (0, None, 0)


@pytest.mark.parametrize(
    ("failures", "mttr", "mtbf"), [(0, None, None), (1, 60, None), (2, 30, (3600 + 60) / 2)], ids=["none", "one", "two"]
)
def test_mttr_and_mtbf_of_few_failures(failures, mttr, mtbf):
    """MolcaDx: none / MTBF not computable."""
    row = {"running_ms": 3_600_000, "failures": failures, "failures_ms": 60_000 if failures else 0}
    values = compute(row).values
    assert (values["mttr_s"], values["mtbf_s"]) == (mttr, mtbf)


def test_a_target_used_as_ideal_is_flagged_and_not_clamped():
    """ETS #81: OEE 253 %."""
    result = compute({"running_ms": 1000, "running_ideal_known_ms": 1000, "pieces_total": 1, "ideal_total_us": 2_530_000,
                      "pieces_judged": 1, "ideal_judged_us": 2_530_000, "ideal_good_us": 2_530_000})  # fmt: skip
    assert result.values["oee"] == pytest.approx(2.53)
    assert "performance_above_1" in result.flags


def test_planned_stops_are_taken_out_once():
    """A planned stop subtracted twice makes A too large; one that overlaps a break is no loss and no busy time."""
    said = [say(1, T + 60, T + 240, "planned_stop", "meeting")]
    rows = {"d.run": [(0, True), (60, False), (240, True)]}
    told = ran(600, rows, machine(calendar=breaks(120, 180), pieces=Pieces()), said=said)
    row = told.sums(calendar=SCHEDULED)
    assert (row["running_ms"], row["planned_stop_ms"]) == (420_000, 120_000)
    result = compute(row, scheduled_ms=540_000)
    assert (result.values["availability"], result.values["coverage"]) == (1, 1)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_days_of_23_and_25_hours(day, hours):
    zone = ZoneInfo("Europe/Berlin")
    start = int(datetime.combine(day, datetime.min.time(), zone).timestamp())
    end = int(datetime.combine(day + timedelta(days=1), datetime.min.time(), zone).timestamp())
    made = machine(calendar=Calendar(zone, (Shift("day", EVERY, 0, 24 * H),)), pieces=Pieces())
    told = drive(made, {"d.run": [(start, True)]}, end)
    assert told.times(day=(day - date(1970, 1, 1)).days) == {"running": hours * H}
    assert len(told.rows) == hours * 60


def test_an_empty_step_and_a_step_back_tell_nothing():
    state = engine.start()
    nothing = engine.step(PLAIN, state, {}, (), ns(T), ns(T))
    assert (len(nothing.facts), nothing.live) == (0, None)
    samples = part({"d.run": as_series([(T, True)])}, 0, ns(T + 60))
    first = engine.step(PLAIN, nothing.state, samples, (), ns(T + 60), ns(T + 120))
    back = engine.step(PLAIN, first.state, {}, (), ns(T + 30), ns(T + 120))
    assert len(back.facts) == len(back.losses) == len(back.stops) == 0


# Verdicts that come after a set-up has begun

JUDGED = replace(TAGGED, pieces=Pieces(TOTAL, reject=REJECT))
OVER = {"d.run": [(0, True), (50, False), (200, True)], "d.product": [(0, "p"), (100, "q")]}


@pytest.mark.parametrize("late", [43, 120], ids=["before the new product", "after it"])
@pytest.mark.parametrize("cuts", [[], [45, 110, 205]], ids=["whole", "in blocks"])
def test_a_reject_seconds_after_the_last_old_piece_is_that_piece_s(late, cuts):
    """The set-up begins with the last piece of p, whose reject comes while it lasts: p has one reject, q none, and the
    first piece of q ends the set-up."""
    rows = OVER | {"d.total": [(0, 0), (20, 10), (40, 20), (210, 21), (220, 22)], "d.reject": [(0, 0), (late, 1)]}
    told = ran(300, rows, JUDGED, cuts=cuts)
    p, q = told.sums(product="p"), told.sums(product="q")
    assert (p["pieces_judged"], p["pieces_good"], p["pieces_process_reject"]) == (20, 19, 1)
    assert (p["ideal_process_reject_us"], p["ideal_good_us"]) == (1_000_000, 19_000_000)
    assert (q["pieces_judged"], q["pieces_good"], q.get("pieces_process_reject", 0)) == (2, 2, 0)
    assert told.times()["setup"] == 170


def test_a_late_good_is_the_last_old_piece_s_too():
    """A machine that counts good ones beside all: until it is called good a piece is a reject."""
    made = replace(TAGGED, pieces=Pieces(TOTAL, good=Counter("d.good", 16, max_per_s=10)))
    rows = OVER | {
        "d.total": [(0, 0), (20, 10), (40, 20), (210, 21)],
        "d.good": [(0, 0), (20, 10), (40, 19), (44, 20), (210, 21)],
    }
    p = ran(300, rows, made).sums(product="p")
    assert (p["pieces_judged"], p["pieces_good"], p.get("pieces_process_reject", 0)) == (20, 20, 0)


def test_a_reject_of_a_piece_made_in_the_set_up_is_counted_once():
    """What is made in a set-up is a start-up reject already."""
    rows = OVER | {
        "d.total": [(0, 0), (20, 10), (40, 20), (150, 21), (210, 22)],
        "d.reject": [(0, 0), (150, 1)],
    }
    told = ran(300, rows, JUDGED)
    q = told.sums(product="q")
    assert told.sums(product="p")["pieces_good"] == 20
    assert (q["pieces_startup_reject"], q.get("pieces_process_reject", 0)) == (1, 0)
