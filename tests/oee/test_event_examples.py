"""Published event-level examples through the engine, with exact values.

Conventions restated where another system's differ: pieces are whole (fractions are scaled by 1000), a zero
denominator is null and not 0, and what a machine cannot know is not filled in afterwards.
"""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from driving import S, drive, say

from oee.engine.production import spread
from oee.kpi.kpi import compute
from oee.model.calendars import Calendar, Shift
from oee.model.conditions import parse
from oee.model.machine import Counter, Ideal, Machine, Pieces, Product, Rule
from oee.model.states import CalendarClass, State

ALWAYS = Calendar(UTC, (Shift("day", frozenset(range(7)), 0, 86_400),))
RUN = (Rule(parse("d.run"), State.RUNNING), Rule(None, State.UNPLANNED_STOP))
TOTAL, REJECT, GOOD = (Counter(f"d.{name}", 32, max_per_s=1e6) for name in ("total", "reject", "good"))


def at(text):
    """ISO time, UTC, as seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def machine(**changes):
    plain = Machine("m", ALWAYS, RUN, product="p", products={"p": Product("p", (Ideal(30_000_000),))})
    return replace(plain, **changes)


E1_DAY = at("2021-03-22")
E1_FEW = {
    "d.total": [(0, 1200), (3600, 1300), (7200, 1400), (12_600, 1440)],
    "d.reject": [(0, 10), (3600, 11), (12_600, 14)],
}
E1_MANY = {
    "d.total": list(
        zip(
            [0, 900, 1800, 2700, 3600, 4500, 5400, 6300, 7200, 11_700, 12_600],
            [1200, 1225, 1250, 1275, 1300, 1310, 1340, 1380, 1400, 1425, 1440],
            strict=True,
        )
    ),
    "d.reject": [(0, 10), (1800, 11), (11_700, 12), (12_600, 14)],
}


@pytest.mark.parametrize("counts", [E1_FEW, E1_MANY], ids=["few rows", "eleven rows"])
def test_e1_flux_experimental_oee(counts):
    """Flux `experimental/oee`: run 3 h, P .666667, Q .983333; A .375 and OEE .245833 of 8 planned hours.

    Restated: there the planned base (8 h) is longer than the window (4 h). The engine sees 4 h, so A is .75 and OEE
    .491667; with the rest of the 8 h said to be a stop, the published numbers come out.
    """
    rows = {tag: [(E1_DAY + t, n) for t, n in found] for tag, found in counts.items()}
    rows["d.run"] = [(E1_DAY, True), (E1_DAY + 7200, False), (E1_DAY + 10_800, True)]
    told = drive(machine(pieces=Pieces(TOTAL, reject=REJECT)), rows, E1_DAY + 4 * 3600).sums()
    assert told["running_ms"] == 3 * 3_600_000
    assert told["unplanned_stop_ms"] == 3_600_000
    assert (told["pieces_total"], told["pieces_good"], told["pieces_process_reject"]) == (240, 236, 4)
    values = compute(told).values
    assert values["performance"] == pytest.approx(240 * 30 / 10_800, rel=1e-12)
    assert values["quality"] == pytest.approx(236 / 240, rel=1e-12)
    assert values["availability"] == 0.75
    eight = compute(told | {"unplanned_stop_ms": told["unplanned_stop_ms"] + 4 * 3_600_000}).values
    assert eight["availability"] == 0.375
    assert eight["oee"] == pytest.approx(0.245833, abs=5e-7)


E2_STATUS = [30, 300, 330, 360, 390, 660, 690, 720, 750, 780, 810, 840, 870, 1020, 1050, 1080, 1110, 1350]
E2_PIECES = [
    *((t, 10, 10) for t in (90, 150, 210, 270)),
    *((t, 5, 5) for t in (330, 390)),
    *((t, 10, 5) for t in (450, 510)),
    *((t, 5, 5) for t in (570, 630)),
    *((t, 2.5, 2.5) for t in (690, 750)),
    *((t, 5, 2.5) for t in (810, 870, 930, 990)),
    *((t, 2.5, 1.25) for t in (1050, 1110)),
    *((t, 10, 0) for t in (1170, 1230)),
]
E2_A = [1] * 4 + [0.5] * 2 + [1] * 4 + [0.5] * 4 + [1] * 2 + [0.5] * 2 + [1] * 4 + [0] * 2
E2_P = [1] * 8 + [0.5] * 4 + [1] * 2 + [0.5] * 4 + [1] * 2 + [0] * 4
E2_Q = [1] * 6 + [0.5] * 2 + [1] * 4 + [0.5] * 6 + [0] * 6
E2_OEE = [1] * 4 + [0.5] * 6 + [0.25] * 6 + [0.125] * 2 + [0] * 6


def e2_told():
    """The example's minutes end at 90, 150 ... s; here each is a minute of the clock, and its amount arrives just
    before it ends (its amounts belong to the interval that they close, ours to the minute in which they are seen)."""
    base = at("2021-01-04T08:00")
    rows = {"d.run": [(base + t - 30, bool(n % 2 == 0)) for n, t in enumerate(E2_STATUS)]}
    total = good = 0
    rows["d.total"], rows["d.good"] = [(base, 0)], [(base, 0)]
    for t, amount, fine in E2_PIECES:
        total, good = total + round(1000 * amount), good + round(1000 * fine)
        rows["d.total"].append((base + t - 30 - 0.001, total))
        rows["d.good"].append((base + t - 30 - 0.001, good))
    made = machine(pieces=Pieces(TOTAL, GOOD), products={"p": Product("p", (Ideal(6000),))}, minor_stop_at_most_ns=0)
    return drive(made, rows, base + 24 * 60), base


def test_e2_cumulocity_base_test():
    """Cumulocity oee-block "BaseTest_Path1": A, P, Q and OEE of 24 minutes. Restated: pieces times 1000; where their
    zero stands for a zero denominator, ours is null (P in a minute that did not run, Q of no pieces); OEE is 0 there
    too, since a factor is."""
    told, base = e2_told()
    for number in range(24):
        row = told.sums(start=base + 60 * number, end=base + 60 * (number + 1))
        values = compute(row).values
        assert values["availability"] == E2_A[number], number
        assert values["oee"] == pytest.approx(E2_OEE[number], rel=1e-12), number
        assert values["performance"] == (pytest.approx(E2_P[number], rel=1e-12) if E2_A[number] else None), number
        assert values["quality"] == (pytest.approx(E2_Q[number], rel=1e-12) if row.get("pieces_total") else None), (
            number
        )


def test_e3_cumulocity_amount_test_is_conserved():
    """Cumulocity "AmountTest": amounts are spread back over running seconds since the amount before. Restated: a count
    that was watched belongs to the moment at which it is seen, so the engine does not spread it; but the rule of
    proportion and the conserved sum are those of `spread`, which lays pieces of an outage. In thousandths:
    10 pieces over 660 s of 11 minutes are .909 each."""
    minutes = spread(10_000, np.full(11, 60, np.int64))
    assert minutes.sum() == 10_000
    assert set(minutes.tolist()) == {909, 910}
    assert minutes.tolist() == sorted(minutes.tolist(), reverse=True), "of equal remainders the earliest first"
    # 10 over the running seconds from 870 to 1080 and from 1320 to 1530, by minute from 870 on
    running = np.array([60, 60, 60, 30, 0, 0, 0, 30, 60, 60, 60], np.int64)
    assert spread(10_000, running).tolist() == [1429, 1429, 1429, 714, 0, 0, 0, 714, 1429, 1428, 1428]
    assert spread(9000, np.array([60, 1], np.int64)).tolist() == [8852, 148]


def test_e4_cumulocity_splitting():
    """Cumulocity's splitting text: 20 pieces since 16 s ago, the last 12 of them in interval 2: a quarter falls into
    interval 1. 75 % of 20 and 20 of the next are 35; of these 28 good where quality was OK for 8 of 10 s."""
    assert spread(20, np.array([4, 12], np.int64)).tolist() == [5, 15]
    assert spread(35, np.array([8, 2], np.int64)).tolist() == [28, 7]


E5 = [
    "r",
    "22:46:32.33",
    "s",
    "22:52:02.111",
    "r",
    "23:03:55.899",
    "s",
    "23:08:03.607",
    "r",
    "23:09:28.172",
    "s",
    "23:11:11.859",
    "r",
    "23:13:19.713",
    "s",
    "23:14:58.384",
    "r",
    "23:15:59.797",
    "s",
    "23:22:34.46",
    "r",
    "23:23:02.656",
    "s",
    "23:24:40.315",
    "r",
    "23:31:10.953",
    "s",
    "23:36:26.04",
    "r",
    "23:38:06.718",
    "s",
    "23:51:18.999",
    "r",
    "23:52:34.51",
    "s",
    "23:58:16.784",
]
E5_SHIFT = Calendar(
    UTC, (), {datetime(2020, 9, 27, tzinfo=UTC).date(): (Shift("late", frozenset(), 14 * 3600, 86_400),)}
)


@pytest.mark.parametrize("cuts", [(), range(0, 5000, 37)], ids=["whole", "in blocks"])
def test_e5_umh_unknown_microstops(cuts):
    """UMH golden "addUnknownMicrostops_...241" (limit 600 s): one stop of 713.788 s, eight minor ones of 972.071 s,
    running 2,721.811 s. The last is cut by the shift's end, which in Nhip ends a stop as well."""
    rows = [(at(f"2020-09-27T{t}"), kind == "r") for kind, t in zip(E5[::2], E5[1::2], strict=True)]
    made = machine(calendar=E5_SHIFT, minor_stop_at_most_ns=600 * S)
    begin, end = rows[0][0], at("2020-09-28T00:10:00")
    told = drive(made, {"d.run": rows}, end, cuts=[begin + c for c in cuts])
    sums = told.sums(calendar=CalendarClass.SCHEDULED)
    times = [sums[f"{word}_ms"] for word in ("running", "unplanned_stop", "minor_stop")]
    assert times == [2_721_811, 713_788, 972_071]
    assert sum(times) == 4_407_670
    assert sums["stops"] == 9
    assert sums["stops_ms"] == 713_788 + 972_071


def test_e6_umh_stop_across_the_start_of_a_shift():
    """UMH golden "processStatesOptimized_...503": a stop before and into a shift is "no shift" for 7,062.458 s and an
    unspecified stop for 14,216.640 s. In Nhip both are stops, of different calendar classes. Restated: the shift starts
    at whole seconds here (05:00:00 for 05:00:00.017), as calendars do; the two stretches sum to the same."""
    day = datetime(2021, 2, 23, tzinfo=UTC).date()
    shift = Shift("early", frozenset(), 5 * 3600, 13 * 3600 - 60)
    made = machine(calendar=Calendar(UTC, (), {day: (shift,)}))
    rows = {"d.run": [(at("2021-02-23T03:02:17.559"), False)]}
    told = drive(made, rows, at("2021-02-23T08:56:56.657"))
    outside = told.times(calendar=CalendarClass.OUTSIDE)
    inside = told.times(calendar=CalendarClass.SCHEDULED)
    assert sum(outside.values()) == 7_062.458 - 0.017
    assert inside == {"unplanned_stop": 14_216.640 + 0.017}
    assert [stop.end_ns for stop in told.stops][-1] is None, "it lasts: open stops are told too"


def test_e7_umh_changeover():
    """UMH golden "AutomaticallyIdentifyChangeovers_...858": preparation 28.381 s, running 2,838.088 s, postprocessing
    531.080 s between order start and end, with a stop before of 378.132 s. UMH makes two changeovers of an order's
    edges; in Nhip a set-up reaches from the last old to the first good new piece. Restated as declared changeovers of
    a machine without a counter, the stop that an order's edge falls into is set-up as a whole: 406.513 s and, as it
    lasts, everything from 10:20:15.861 on."""
    day = "2021-01-09T"
    rows = {
        "d.run": [(at(day + "09:26:11.26"), False), (at(day + "09:32:57.773"), True), (at(day + "10:20:15.861"), False)]
    }
    said = [
        say(1, at(day + "09:32:29.392"), at(day + "09:32:29.392"), "changeover"),
        say(2, at(day + "10:29:06.941"), at(day + "10:29:06.941"), "changeover"),
    ]
    told = drive(machine(), rows, at(day + "10:35:00"), said=said)
    assert told.times() == {"setup": 406.513 + 884.139, "running": 2838.088}


def test_e7_with_declared_reasons():
    """The same, with the two parts within the order said to be planned and the parts outside left as they are: the
    published lengths exactly (531.080 s until 10:29:06.941)."""
    day = "2021-01-09T"
    rows = {
        "d.run": [(at(day + "09:26:11.26"), False), (at(day + "09:32:57.773"), True), (at(day + "10:20:15.861"), False)]
    }
    order = [at(day + "09:32:29.392"), at(day + "10:29:06.941")]
    said = [say(1, *order, "reason", "changeover")]
    made = machine(reason_states={"changeover": State.SETUP})
    told = drive(made, rows, at(day + "10:35:00"), said=said)
    stops = [((stop.end_ns or 0) - stop.start_ns, stop.state) for stop in told.stops]
    assert stops[:3] == [
        (378_132_000_000, State.UNPLANNED_STOP),
        (28_381_000_000, State.SETUP),
        (531_080_000_000, State.SETUP),
    ]
    assert told.times()["running"] == 2838.088
