"""What the nights make of actions, on both stores and in both databases: judged once, when due, by what the store has."""

from dataclasses import replace
from functools import partial

import pytest
from action_plant import END_NS, PLAN, PLANS, TERMS, at
from advice_plant import SITE, filled, opened, site_body
from histories import DAY_NS, START_NS, history
from postgres_plant import KINDS, database_url
from servers import eventually

from center.database import actions, findings
from center.database.actions import TooMuch, prepare_actions
from center.database.findings import open_findings
from center.model.sites import SiteRow
from center.runtime.advice.advice_job import AdviceJob
from center.runtime.advice.judging import run_actions
from center.runtime.advice.measured_past import PlanPast
from center.runtime.advice.night import run_night
from oee.advice.gain import action
from oee.advice.gain.action import ActionRecord
from oee.advice.gain.measured import MeasuredPair, measure, span_ns
from oee.advice.gain.plan import Days
from oee.advice.gain.verdict import judge
from oee.advice.window import part_of

DRAFT = ActionRecord(TERMS, PLAN)
FROZEN = action.registered(DRAFT, None, "minh", at(2026, 2, 15))
JUDGE_NS = at(2026, 3, 25)


def always(*_):
    return True


def silent(*_):
    """No audit trail."""


@pytest.fixture(scope="module", params=["duckdb", "influxdb"])
def center(request, tmp_path_factory):
    made = filled(request.param, tmp_path_factory.mktemp(request.param), JUDGE_NS, PLANS)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    made = filled("duckdb", tmp_path_factory.mktemp("embedded"), JUDGE_NS, PLANS)
    yield made
    made.store.close()


def database(kind, folder):
    engine = open_findings(database_url(kind, folder))
    prepare_actions(engine)
    return engine


@pytest.fixture
def engine(tmp_path):
    made = database("sqlite", tmp_path)
    yield made
    made.dispose()


def kept(engine, record=FROZEN):
    return actions.new_action(engine, SITE, record, "minh", at(2026, 2, 15), silent)


def judged_of(center, engine, record=FROZEN):
    item = kept(engine, record)
    assert run_actions(center, engine, always)
    return actions.kept_action(engine, item.id).record


def test_a_true_gain_is_verified_on_either_store_with_the_same_numbers(center, engine):
    record = judged_of(center, engine)
    verdict = record.verdict
    assert (record.stage, verdict.result, verdict.why) == ("judged", "verified", ())
    assert verdict.days == (24, 25)
    # m-1 lost 12 minutes more at each of 12 starts a week
    assert verdict.effect.change.low < -11 < verdict.effect.change.high + 1
    assert 90 < verdict.minutes.low < 144 < verdict.minutes.high < 190
    assert abs(verdict.effect.controls["m-2"]) < 1
    assert verdict.guards["oee"].high > 0 > verdict.guards["oee"].low, "24 days of OEE would not have shown it"
    sides = []
    for machine in ("m-1", "m-2"):
        whole = history(*PLANS[machine])
        windows = [part_of(whole, *span_ns(center_calendar(center), days)) for days in (PLAN.before, PLAN.after)]
        sides.append([measure(window, "edge", "shift_start") for window in windows])
    direct = judge(PLAN, MeasuredPair(*sides[0], {"m-2": tuple(sides[1])}), verified_ideals=True)
    assert verdict.effect.change.value == pytest.approx(direct.effect.change.value, abs=1e-9)
    assert verdict.minutes.low == pytest.approx(direct.minutes.low, abs=1e-6)


def center_calendar(center):
    return center.ledger_cache.sites.current(SITE).calendar("m-1")


def test_what_changes_nothing_is_not_shown(embedded, engine):
    idle = replace(PLAN, machines=("m-2",), controls=("m-1",))
    record = judged_of(embedded, engine, action.registered(replace(DRAFT, plan=idle), None, "minh", at(2026, 2, 15)))
    assert record.verdict.result in ("not_shown", "worse"), "its control improved, and it did not"
    alone = replace(PLAN, machines=("m-2",), controls=(), metric="oee", part="")
    record = judged_of(embedded, engine, action.registered(replace(DRAFT, plan=alone), None, "minh", at(2026, 2, 15)))
    assert record.verdict.result == "not_shown"
    assert record.verdict.least > 0


def test_it_is_judged_once_and_not_before_it_is_due(embedded, engine, monkeypatch):
    item = kept(engine)
    monkeypatch.setattr(type(embedded), "now_ns", property(lambda _: lambda: at(2026, 3, 10)), raising=False)
    assert run_actions(embedded, engine, always)
    early = actions.kept_action(engine, item.id).record
    assert (early.stage, early.verdict) == ("registered", None)
    assert max(early.progress.day) == at(2026, 3, 10) // DAY_NS - 1, "today is not over"
    assert early.progress.after_from == 20505
    monkeypatch.undo()
    assert run_actions(embedded, engine, always)
    once = actions.kept_action(engine, item.id)
    assert once.record.verdict.result == "verified"
    assert once.record.progress is None
    assert run_actions(embedded, engine, always)
    assert actions.kept_action(engine, item.id) == once
    assert [note.kind for note in actions.notes_of(engine, item.id)] == ["drafted", "judged"]


def test_an_interrupted_run_goes_on_and_one_that_fails_keeps_no_other_from_being_judged(embedded, engine, monkeypatch):
    items = [kept(engine), kept(engine)]
    assert run_actions(embedded, engine, lambda _action, done, _of: done < 1) is False
    assert sum(actions.kept_action(engine, item.id).record.verdict is not None for item in items) == 1
    whole = PlanPast.verdict
    broken = kept(engine, action.registered(replace(DRAFT, plan=replace(PLAN, mix=False)), None, "m", at(2026, 2, 15)))

    def verdict(self):
        if not self._plan.mix:
            raise ValueError("odd rows")
        return whole(self)

    monkeypatch.setattr(PlanPast, "verdict", verdict)
    assert run_actions(embedded, engine, always)
    assert all(actions.kept_action(engine, item.id).record.verdict for item in items)
    assert actions.kept_action(engine, broken.id).record.verdict is None
    assert embedded.health.condition("action") == f"{SITE}/{broken.id}: ValueError: odd rows"
    monkeypatch.undo()
    assert run_actions(embedded, engine, always)
    assert embedded.health.condition("action") == "ok"


def test_windows_that_mean_something_else_are_not_compared(tmp_path, engine):
    center = filled("duckdb", tmp_path / "changed", JUDGE_NS, PLANS)
    body = site_body(PLANS)
    slower = {"A": body["products"]["A"] | {"ideal_s": 11.0}, "B": body["products"]["B"]}
    begun_ns = at(2026, 2, 25)
    content = body | {"products": slower, "valid_from_ns": begun_ns}
    import json

    center.ledger_cache.sites.learn([SiteRow(SITE, "main", "slower", begun_ns, json.dumps(content))], ())
    record = judged_of(center, engine)
    assert (record.verdict.result, record.verdict.why) == ("unknown", ("changed",))
    center.store.close()


def test_a_machine_without_data_cannot_be_judged(embedded, engine):
    early = replace(PLAN, machines=("m-9",), controls=())
    record = judged_of(embedded, engine, action.registered(replace(DRAFT, plan=early), None, "m", at(2026, 2, 15)))
    assert record.verdict.why == ("no_days",)
    assert PlanPast(embedded, engine, early).told() is None


def test_what_can_be_shown_is_told_from_the_last_weeks(embedded, engine, monkeypatch):
    monkeypatch.setattr(type(embedded), "now_ns", property(lambda _: lambda: at(2026, 2, 15)), raising=False)
    told = PlanPast(embedded, engine, PLAN).told()
    assert told.days == (24, 25)
    assert told.controls == 1
    assert 0 < told.effect < 5
    assert told.history == 36, "weeks of six days, and no step in them"


# a finding becomes an action


def test_a_finding_is_in_action_until_its_action_is_judged(tmp_path):
    center = filled("duckdb", tmp_path, at(2026, 2, 15), PLANS)
    engine = database("sqlite", tmp_path)
    for week in (4, 6):
        run_night(center, engine, START_NS + week * 7 * DAY_NS, always)
    (found,) = findings.kept_findings(engine, [SITE], stages=["open"])
    against = replace(FROZEN, finding=found.id)
    item = kept(engine, against)
    assert findings.kept_finding(engine, found.id).record.stage == "in_action"
    assert findings.kept_finding(engine, found.id).record.action == item.id
    with pytest.raises(ValueError, match="in_action"):
        kept(engine, against)
    assert actions.kept_actions(engine, [SITE]) == [item], "what was refused left nothing"
    assert kept(engine, replace(against, finding="0123456789abcdef")) is None
    run_night(center, engine, START_NS + 7 * 7 * DAY_NS, always)
    assert findings.kept_finding(engine, found.id).record.stage == "in_action"
    give_up = partial(action.given_up, note="hết tiền")
    actions.change_action(engine, item.id, give_up, "given_up", "hết tiền", "minh", 1, silent)
    assert findings.kept_finding(engine, found.id).record.stage == "open"
    again = kept(engine, against)
    center.store.close()
    later = opened("duckdb", tmp_path, JUDGE_NS)
    run_actions(later, engine, always)
    assert actions.kept_action(engine, item.id).record.verdict.result == "verified", "given up, and judged all the same"
    assert actions.kept_action(engine, again.id).record.verdict.result == "verified"
    assert findings.kept_finding(engine, found.id).record.stage == "closed"
    run_night(later, engine, END_NS, always)
    assert findings.kept_finding(engine, found.id).record.stage == "closed"
    later.store.close()
    engine.dispose()


# kept in either database


@pytest.mark.parametrize("kind", KINDS)
def test_actions_are_kept_in_either_database(kind, tmp_path):
    engine = database(kind, tmp_path)
    steps = []
    item = actions.new_action(
        engine, SITE, DRAFT, "minh", 5, lambda _c, step, now, text: steps.append((step, now.id, text))
    )
    assert actions.kept_action(engine, item.id) == item
    assert actions.kept_actions(engine, [SITE]) == [item]
    assert actions.kept_actions(engine, ["hoa-binh"]) == actions.kept_actions(engine, [SITE], stages=["judged"]) == []
    changed = actions.change_action(engine, item.id, lambda _: FROZEN, "registered", "x", "minh", 6, silent)
    assert actions.kept_action(engine, item.id) == changed
    assert (changed.changed_ns, changed.created_ns) == (6, 5)
    assert actions.change_action(engine, item.id, lambda record: record, "edited", "", "minh", 7, silent) == changed
    assert actions.change_action(engine, "nobody", lambda record: record, "edited", "", "minh", 7, silent) is None
    with pytest.raises(ZeroDivisionError):  # what goes with the change fails: it is not made
        actions.change_action(engine, item.id, lambda _: DRAFT, "edited", "", "m", 8, lambda *_: 1 / 0)
    assert actions.kept_action(engine, item.id) == changed
    actions.comment(engine, item, "Đã đặt hàng", "mai", 9, silent)
    assert [(note.kind, note.who, note.text) for note in actions.notes_of(engine, item.id)] == [
        ("drafted", "minh", ""),
        ("registered", "minh", "x"),
        ("comment", "mai", "Đã đặt hàng"),
    ]
    content = b"%PDF-1.7 \x00\xff"
    file = actions.new_file("phiếu.pdf", "application/pdf", content, "mai", 10)
    bounds = {"most": 2, "most_site_bytes": 30}
    actions.add_file(engine, item, file, content, silent, **bounds)
    assert actions.files_of(engine, item.id) == [file]
    assert actions.file_of(engine, item.id, file.id) == (file, content)
    assert actions.file_of(engine, "another", file.id) is None
    more = replace(file, id="b", size=25)
    with pytest.raises(TooMuch, match="site_full"):
        actions.add_file(engine, item, more, content, silent, **bounds)
    actions.add_file(engine, item, replace(more, size=5), content, silent, **bounds)
    with pytest.raises(TooMuch, match="too_many_files"):
        actions.add_file(engine, item, replace(more, id="c", size=1), content, silent, **bounds)
    assert steps == [("drafted", item.id, "")]
    prepare_actions(engine)
    engine.dispose()


def test_the_job_judges_before_its_night_ends(embedded, engine):
    item = kept(engine)
    job = AdviceJob(embedded, engine, idle_s=0.01)
    job.start()
    try:
        eventually(lambda: embedded.health.counts().get("advice_nights"))
    finally:
        job.stop()
    assert actions.kept_action(engine, item.id).record.verdict.result == "verified"


def test_a_check_after_three_months_is_told_as_held(tmp_path):
    """By a window as long as the one after, against the same before."""
    weeks = 28
    plans = {name: (replace(plan, weeks=weeks), seed) for name, (plan, seed) in PLANS.items()}
    center = filled("duckdb", tmp_path, at(2026, 6, 30), plans)
    engine = database("sqlite", tmp_path)
    item = kept(engine)
    run_actions(center, engine, always)
    record = actions.kept_action(engine, item.id).record
    assert [(later.months, later.held) for later in record.later] == [(3, "held")]
    assert PLAN.check_window(3) == Days(PLAN.check_due(3) - (PLAN.after.last - PLAN.after.first), PLAN.check_due(3))
    assert [note.kind for note in actions.notes_of(engine, item.id)] == ["drafted", "judged", "checked"]
    center.store.close()
    engine.dispose()
