"""What lies beside a machine's rows reaches the rules from either store: its line, its site, its power, who tells rejects."""

from dataclasses import replace
from datetime import date
from functools import partial

import numpy as np
import pytest
from advice_plant import SITE, fill, filled, opened, site_body
from center_plant import batch
from histories import CALENDAR, DAY_NS, NULL, START_NS, history, recorded

from center.contract.ledger import Changes
from center.contract.store import Origin, RowBatch
from center.database.actions import prepare_actions
from center.database.findings import open_findings
from center.runtime.advice.measured_past import PlanPast
from center.runtime.advice.stored_beside import NightBeside
from center.runtime.advice.stored_past import StoredPast
from oee.advice.beside import aligned, line_days
from oee.advice.gain.measured import measure, span_ns
from oee.advice.gain.plan import Days, GainPlan
from oee.advice.window import machine_minutes, machine_window, part_of
from oee.model.facts import HOUR_NS, NO_FACTS, NO_LOSSES, join, text_column
from oee.model.states import Quality
from wire.site import SiteBody, sendable
from wire.values import Values

WEEKS = 4
END_NS = START_NS + WEEKS * 7 * DAY_NS
PLANS = {name: (replace(NULL, weeks=WEEKS), seed) for seed, name in enumerate(("m-1", "m-2", "m-3"))}
SHOWN = ["running", "unplanned_stop", "starved", "blocked"]
MACHINE = {"line": "sewing", "quality": "plc", "states": SHOWN}
LINES = {"sewing": {"flow": "serial", "constraint": "m-2", "stations": ["m-2", "m-1", "m-3"]}}
BODY = {
    "machines": {name: {"name": {"en": name}, **MACHINE} for name in PLANS},
    "lines": LINES,
    "tariff_per_kwh": 1886.0,
    "values": {"box.kw": {"unit": "kW", "machines": ["m-1"]}, "box.w": {"unit": "°C", "machines": ["m-1"]}},
}


@pytest.fixture(scope="module", params=["duckdb", "influxdb"])
def center(request, tmp_path_factory):
    made = filled(request.param, tmp_path_factory.mktemp(request.param), END_NS + 8 * 3600 * 10**9, PLANS, **BODY)
    t_ns = START_NS + np.arange(WEEKS * 7 * 24, dtype=np.int64) * 3600 * 10**9
    kw = np.where(np.arange(len(t_ns)) % 24 < 12, 8.0, 2.0)
    rows = Values(
        text_column("box.kw", len(t_ns)), t_ns, kw, np.full(len(t_ns), None), np.full(len(t_ns), Quality.GOOD, np.uint8)
    )
    made.commit([RowBatch(Origin(SITE, "main", "00000000000000bb"), 1, NO_FACTS, NO_LOSSES, [], rows)], Changes())
    yield made
    made.store.close()


def window_of(center, machine, beside):
    return StoredPast(center, SITE, machine, END_NS, beside).window(8)


def test_a_window_has_what_the_site_body_and_the_store_say(center):
    beside = window_of(center, "m-1", NightBeside(center)).beside
    assert (beside.quality, beside.tariff_per_kwh, beside.oddities) == ("plc", 1886.0, ())
    assert beside.line.stations == ("m-2", "m-1", "m-3")
    whole = []
    for name, (plan, seed) in PLANS.items():
        facts, _ = recorded(plan, seed)
        whole.append(replace(facts, machine=text_column(name, len(facts))))
    direct = line_days("sewing", beside.line.stations, "m-2", join(whole), CALENDAR.zone)
    assert beside.line.day.tolist() == direct.day.tolist()
    assert beside.line.busy_min == pytest.approx(direct.busy_min)
    assert beside.line.busy_min.sum() == pytest.approx(3 * WEEKS * 6 * 15 * 60, rel=0.1)
    hour = np.arange(len(beside.power_kw)) // 60 % 24
    assert beside.power_kw == pytest.approx(np.where(hour < 12, 8.0, 2.0))


def test_a_plan_measures_energy_by_the_power_in_the_store(center, tmp_path):
    """8 kW by day, 2 kW from noon on (UTC+7: the hours of the history), whatever is made."""
    days = [Days(date(2026, 1, day), date(2026, 1, day + 12)) for day in (5, 19)]
    work = Days(date(2026, 1, 18), date(2026, 1, 18))
    plan = GainPlan(SITE, ("m-1",), "energy", "", days[0], work, days[1], settle_days=0)
    engine = open_findings(f"sqlite:///{tmp_path}/f.sqlite")
    prepare_actions(engine)
    verdict = PlanPast(center, engine, plan).verdict()
    assert verdict.result == "not_shown", verdict.why
    windows = [part_of(history(*PLANS["m-1"]), *span_ns(CALENDAR, item)) for item in days]
    for window, seen in zip(windows, (verdict.effect.before, verdict.effect.after), strict=True):
        hour = (window.start_ns - START_NS) // (3600 * 10**9) + np.arange(len(window.product)) // 60
        direct = replace(window, beside=replace(window.beside, power_kw=np.where(hour % 24 < 12, 8.0, 2.0)))
        assert seen == pytest.approx(ratio_of(measure(direct, "energy", "").ratios), rel=0.02)
    other = PlanPast(center, engine, replace(plan, machines=("m-2",))).verdict()
    assert (other.result, other.why) == ("unknown", ("no_power",))
    engine.dispose()


def ratio_of(found):
    return found.num.sum() / found.den.sum()


def test_a_window_has_its_histograms_of_cycle_times(center):
    """Of one machine and of days that count, whatever the order in which they came."""
    first = START_NS // DAY_NS + 1
    rows = [
        {"machine": name, "t": START_NS + day * DAY_NS + 7 * HOUR_NS, "date": first + day, "product": "A", "bins": bins}
        for name, bins in (("m-1", {426: 300, 427: 20}), ("m-2", {430: 9}))
        for day in (0, 1, 6)
    ]
    late = [{**rows[0], "n": 1, "bins": {426: -1}}]
    for number, part in enumerate((late, rows)):
        center.commit([batch(cycle_rows=part, site=SITE, stream="00000000000000cc", seq=number)], Changes())
    window = window_of(center, "m-1", NightBeside(center))
    found = zip(window.cycles.business_date.tolist(), window.cycles.bin.tolist(), window.cycles.cycles.tolist())
    assert [*found] == [(first, 426, 299), (first, 427, 20), (first + 1, 426, 300), (first + 1, 427, 20)]


def test_the_last_machine_speaks_for_its_site_also_when_the_night_was_interrupted(center):
    night = NightBeside(center)
    of_each = [window_of(center, name, night).beside.site for name in PLANS]
    assert [len(site) for site in of_each] == [0, 0, 3]
    assert [item.machine for item in of_each[2]] == [*PLANS]
    for item, (plan, seed) in zip(of_each[2], PLANS.values(), strict=True):
        direct = machine_minutes(history(plan, seed))
        assert (item.running == direct.running).all()
        assert item.stop_at.tolist() == direct.stop_at.tolist()
    (again,) = [window_of(center, "m-3", NightBeside(center)).beside.site]
    assert [item.stop_at.tolist() for item in again] == [item.stop_at.tolist() for item in of_each[2]]


def test_what_an_older_gateway_does_not_tell_is_left_out(tmp_path):
    made = opened("duckdb", tmp_path, END_NS)
    old = sendable(SiteBody.model_validate(site_body(PLANS, **BODY)), [])
    assert "quality" not in old["machines"]["m-1"]
    fill(made, {"m-1": PLANS["m-1"]}, **old)
    beside = window_of(made, "m-1", NightBeside(made)).beside
    assert (beside.quality, beside.line, beside.tariff_per_kwh, beside.power_kw) == ("", None, None, None)
    made.store.close()


def test_windows_of_a_site_that_began_at_different_times_end_together():
    whole = machine_minutes(history(*PLANS["m-1"]))
    facts, stops = recorded(*PLANS["m-1"])
    make = partial(machine_window, "m-1", CALENDAR, facts, stops)
    late = machine_minutes(make(START_NS + 7 * DAY_NS, END_NS))
    longer = aligned(late, len(whole.running))
    week = 7 * 1440
    assert (longer.running[week:] == whole.running[week:]).all()
    assert not longer.running[:week].any()
    assert longer.stop_at.tolist() == [at for at in whole.stop_at.tolist() if at >= week]
    shorter = aligned(whole, len(late.running))
    assert (shorter.began == late.began).all()
    assert shorter.stop_at.tolist() == late.stop_at.tolist()
