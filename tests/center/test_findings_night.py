"""A night at the center, on both stores: machine by machine, interrupted and repeated, and what becomes of findings."""

import json
import threading
from dataclasses import replace
from functools import cache, partial

import pytest
from advice_plant import SITE, filled, site_body
from histories import CALENDAR, DAY_NS, NULL, START_NS, history
from hypothesis import given
from hypothesis import strategies as st
from postgres_plant import KINDS, database_url
from servers import eventually

from center.contract.ledger import Changes
from center.contract.streams import StreamKey, StreamRecord
from center.database import findings
from center.database.actions import prepare_actions
from center.database.counter_steps import KeptStep, keep_steps, oddities
from center.database.findings import kept_findings, open_findings
from center.database.sql import open_database
from center.ledger.sql import SqlLedger
from center.model.sites import SiteRow
from center.runtime.advice.advice_job import AdviceJob, is_behind
from center.runtime.advice.night import night_of, nights_until, run_night, run_nights
from center.runtime.advice.stored_beside import NightBeside
from center.runtime.advice.stored_past import StoredPast
from oee.advice.catalogue import rules
from oee.advice.life import FindingRecord, dismissed
from oee.advice.look import look
from oee.advice.measures.repairs import repairs
from oee.advice.window import machine_window
from oee.advice.written import NewerFormat, look_of, plain_look, plain_record, record_of
from oee.model.facts import MINUTE_NS
from wire.bodies import CounterStep, Status
from wire.marks import Marks

WEEKS = 6
END_NS = START_NS + WEEKS * 7 * DAY_NS
LATE = replace(NULL, weeks=WEEKS, late_min=12)
PLAIN = replace(NULL, weeks=WEEKS)
PLANS = {"m-1": (LATE, 1), "m-2": (PLAIN, 2)}
SLOW = ("slow_start", ("shift_start",))
STORES = ("duckdb", "influxdb")


def always(*_):
    return True


@pytest.fixture(scope="module", params=STORES)
def center(request, tmp_path_factory):
    made = filled(request.param, tmp_path_factory.mktemp(request.param), END_NS + 8 * 3600 * 10**9, PLANS)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def two_machines(tmp_path_factory):
    """The same on the embedded store alone."""
    made = filled("duckdb", tmp_path_factory.mktemp("two"), END_NS + 8 * 3600 * 10**9, PLANS)
    yield made
    made.store.close()


@pytest.fixture
def engine(tmp_path):
    made = open_findings(database_url("sqlite", tmp_path))
    yield made
    made.dispose()


def stages(items):
    return {(item.record.finding.machine, item.record.finding.identity): item.record.stage for item in items}


def weekly(center, engine, weeks):
    return [run_night(center, engine, START_NS + week * 7 * DAY_NS, always) for week in weeks][-1]


def test_the_store_gives_the_window_that_was_written(center):
    past = StoredPast(center, SITE, "m-1", END_NS)
    window, whole = past.window(4), history(*PLANS["m-1"])
    direct = machine_window("m-1", CALENDAR, whole.facts, whole.stops, END_NS - 28 * DAY_NS, END_NS)
    assert (window.minutes == direct.minutes).all()
    assert window.products == direct.products
    assert (window.start_ns, window.weeks, window.worked_days) == (direct.start_ns, direct.weeks, direct.worked_days)
    for rule in rules().values():
        assert rule.find(window) == rule.find(direct)
    assert past.window(52).start_ns == START_NS
    assert repairs(past.window(52)).id.tolist() == repairs(whole).id.tolist()


def test_a_planted_cause_is_found_confirmed_and_told_on_its_machine_alone(center, engine):
    assert stages(weekly(center, engine, [4])) == {("m-1", SLOW): "watch"}
    found = weekly(center, engine, [6])
    assert stages(found) == {("m-1", SLOW): "open"}
    (item,) = kept_findings(engine, [SITE])
    assert (item.id, item.record) == (found[0].id, found[0].record)
    assert item.record.told.high_min > item.record.told.low_min > 30
    last = findings.last_night(engine)
    assert (last.night_ns, last.machines) == (END_NS, 2)
    assert last.tests > 10
    assert kept_findings(engine, ["hoa-binh"]) == kept_findings(engine, [SITE], machine="m-2") == []


def test_an_interrupted_night_goes_on_where_it_stopped_and_repeats_change_nothing(two_machines, engine):
    center = two_machines
    asked = []

    def until_second(machine, done, of):
        asked.append((machine, done, of))
        return done < 1

    assert run_night(center, engine, END_NS, until_second) is None
    assert asked == [("m-1", 0, 2), ("m-2", 1, 2)]
    assert findings.looked_at(engine, END_NS) == {(SITE, "m-1")}
    assert findings.last_night(engine) is None
    whole = run_night(center, engine, END_NS, always)
    assert findings.look_at(engine, SITE, "m-2").findings
    again = run_night(center, engine, END_NS, always)
    assert again == whole == kept_findings(engine, [SITE])
    assert findings.last_night(engine).machines == 2


def test_a_machine_with_missing_envelopes_gets_no_advice(two_machines, engine):
    center = two_machines
    hole = {StreamKey(SITE, "main", "ab" * 8): StreamRecord("facts", Marks(1, ((3, 3),)))}
    weekly(center, engine, [4, 6])
    center.ledger_cache.adopt(Changes(streams=hole))
    try:
        night_ns = END_NS + DAY_NS
        run_night(center, engine, night_ns, always)
        assert findings.look_at(engine, SITE, "m-1").trust.why_not == ("holes",)
        (item,) = kept_findings(engine, [SITE])
        assert (item.record.stage, item.record.held) == ("open", True)
    finally:
        del center.ledger_cache.streams[next(iter(hole))]


# on the embedded store alone


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    made = filled(
        "duckdb", tmp_path_factory.mktemp("embedded"), END_NS + 8 * 3600 * 10**9, {"m-1": (replace(LATE, weeks=4), 1)}
    )
    yield made
    made.store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_findings_are_kept_in_either_database(embedded, kind, tmp_path):
    engine = open_findings(database_url(kind, tmp_path))
    night_ns = START_NS + 28 * DAY_NS
    (found,) = run_night(embedded, engine, night_ns, always)
    assert kept_findings(engine, [SITE]) == [found]
    assert findings.kept_finding(engine, found.id) == found
    assert kept_findings(engine, [SITE], stages=["open"]) == []
    mute = findings.change(engine, found.id, partial(dismissed, reason="đã biết", by="an", now_ns=1), lambda *_: None)
    assert findings.kept_finding(engine, found.id) == mute
    assert mute.record.reason == "đã biết"
    assert findings.change(engine, "nobody", lambda record: record, lambda *_: None) is None
    with pytest.raises(ZeroDivisionError):  # what goes with the change fails: it is not made
        findings.change(engine, found.id, lambda record: replace(record, reason="x"), lambda *_: 1 / 0)
    assert findings.kept_finding(engine, found.id) == mute
    open_findings(str(engine.url.render_as_string(hide_password=False))).dispose()
    engine.dispose()


def test_the_job_runs_once_a_night(embedded, tmp_path):
    engine = open_findings(database_url("sqlite", tmp_path))
    prepare_actions(engine)
    job = AdviceJob(embedded, engine, idle_s=0.01)
    job.start()
    try:
        eventually(lambda: embedded.health.counts().get("advice_nights"))
        eventually(lambda: embedded.health.condition("advice") == "ok")
    finally:
        job.stop()
    assert findings.last_night(engine).night_ns == END_NS
    assert embedded.health.counts()["advice_nights"] == 1
    assert not any(thread.name == "nhip-advice" for thread in threading.enumerate())
    engine.dispose()


def told(now_ns, **more):
    return Status(online=True, at_ns=now_ns, **more)


def test_a_night_waits_for_a_gateway_that_sends_what_it_has_kept(embedded, tmp_path):
    engine = open_findings(database_url("sqlite", tmp_path))
    prepare_actions(engine)
    now_ns, pictures = embedded.now_ns(), embedded.pictures
    pictures.record_status(SITE, "main", told(now_ns, closed_ns=END_NS - DAY_NS, waiting=3), now_ns)
    job = AdviceJob(embedded, engine, idle_s=0.01)
    nights = embedded.health.counts().get("advice_nights", 0)
    looks = []
    job._waits_for_gateways, waits = (
        lambda night_ns: looks.append(waits(night_ns)) or looks[-1],
        job._waits_for_gateways,
    )
    job.start()
    try:
        eventually(lambda: len(looks) > 3)
        assert all(looks)
        assert findings.last_night(engine) is None
        pictures.record_status(SITE, "main", told(now_ns, closed_ns=END_NS, waiting=0), now_ns)
        eventually(lambda: embedded.health.counts().get("advice_nights", 0) > nights)
    finally:
        job.stop()
        pictures.record_status(SITE, "main", told(now_ns), now_ns)
    assert findings.last_night(engine).night_ns == END_NS
    engine.dispose()


@pytest.mark.parametrize(
    ("status", "behind"),
    [
        (None, False),
        (told(END_NS), False),
        (told(END_NS, closed_ns=END_NS), False),
        (told(END_NS, closed_ns=END_NS - 1), True),
        (told(END_NS, closed_ns=END_NS, waiting=21), True),
        (told(END_NS, closed_ns=END_NS, waiting=20), False),
    ],
)
def test_who_is_behind(status, behind):
    assert is_behind(status, END_NS) is behind


def test_what_counters_did_on_many_days_is_kept_and_told(two_machines, engine):
    """Each status has the last day's only, and says it again and again."""
    pictures, now_ns = two_machines.pictures, two_machines.now_ns()
    job = AdviceJob(two_machines, engine)
    for day in (20, 10, 5, 5, 1):
        at_ns = END_NS - day * DAY_NS
        steps = [
            CounterStep(machine="m-1", role="total", at_ns=at_ns + k, kind=kind, old=12, new=40_000)
            for k, kind in enumerate(("jump", "reset_to_zero"))
        ]
        pictures.record_status(SITE, "main", told(now_ns, counters=steps), now_ns)
        job._keep_counter_steps()
        job._keep_counter_steps()
    window = StoredPast(two_machines, SITE, "m-1", END_NS, NightBeside(two_machines, engine)).window(8)
    days = [(END_NS - day * DAY_NS) // DAY_NS for day in (20, 10, 5, 1)]
    assert [item for item in window.beside.oddities if item[0] == "jump"] == [("jump", day, 1) for day in days]
    jumps = next(item for item in rules()["counter_suspect"].find(window) if item.key == ("jumps",))
    assert jumps.passes
    assert jumps.evidence.series["day"] == tuple(map(float, days))
    other = StoredPast(two_machines, SITE, "m-2", END_NS, NightBeside(two_machines, engine)).window(8)
    assert other.beside.oddities == ()
    late = [KeptStep("m-1", "total", END_NS + 90 * DAY_NS, "jump")]
    assert keep_steps(engine, SITE, "main", late, END_NS + 100 * DAY_NS) == 1
    assert oddities(engine, SITE, "m-1", 0, END_NS) == (), "what is older than a hundred days is gone"


def test_a_center_that_begins_with_history_confirms_by_what_it_has(two_machines, engine):
    nights = nights_until(two_machines, engine, END_NS)
    assert nights == [END_NS - k * 7 * DAY_NS for k in (3, 2, 1, 0)]
    assert run_nights(two_machines, engine, END_NS, lambda _machine, done, _of: done < 1) is None
    assert nights_until(two_machines, engine, END_NS) == nights, "an interrupted one is taken up again"
    found = run_nights(two_machines, engine, END_NS, always)
    assert stages(found) == {("m-1", SLOW): "open"}
    assert nights_until(two_machines, engine, END_NS) == [END_NS]
    assert nights_until(two_machines, engine, END_NS + 15 * DAY_NS) == [END_NS + k * DAY_NS for k in (1, 8, 15)]
    assert run_nights(two_machines, engine, END_NS, always, SITE) == found


def test_a_history_that_a_new_gateway_brings_along_is_older_than_its_description(engine, tmp_path):
    center = filled("duckdb", tmp_path, END_NS + DAY_NS, {"m-1": PLANS["m-1"]}, valid_from_ns=END_NS + DAY_NS // 2)
    assert stages(run_nights(center, engine, END_NS, always)) == {("m-1", SLOW): "open"}
    center.store.close()


def test_a_machine_that_cannot_be_looked_at_does_not_keep_the_others_from_it(two_machines, engine, monkeypatch):
    whole = StoredPast.window

    def broken(self, weeks):
        if self._machine == "m-1":
            raise ValueError("odd rows")
        return whole(self, weeks)

    monkeypatch.setattr(StoredPast, "window", broken)
    before = two_machines.health.counts().get("advice_errors", 0)
    run_night(two_machines, engine, END_NS, always)
    assert findings.looked_at(engine, END_NS) == {(SITE, "m-2")}
    assert two_machines.health.counts()["advice_errors"] == before + 1
    assert two_machines.health.condition("advice_machine") == f"{SITE}/m-1: ValueError: odd rows"
    monkeypatch.undo()
    run_night(two_machines, engine, END_NS, always)
    assert two_machines.health.condition("advice_machine") == "ok"


def test_one_process_of_several_looks(tmp_path):
    url = database_url("postgresql", tmp_path)
    one, other = (SqlLedger(open_database(url)) for _ in range(2))
    assert [one.processes.lease("advice"), other.processes.lease("advice"), one.processes.lease("advice")] == [
        True,
        False,
        True,
    ]
    one.close()
    eventually(lambda: other.processes.lease("advice"))
    other.close()


def test_a_night_begins_at_half_past_one():
    zone = CALENDAR.zone
    assert night_of(END_NS + 89 * MINUTE_NS, zone) == END_NS - DAY_NS
    assert night_of(END_NS + 90 * MINUTE_NS, zone) == END_NS
    assert night_of(END_NS + DAY_NS, zone) == END_NS


def test_a_changed_calendar_limit_or_ideal_time_begins_a_new_window(tmp_path):
    center = filled("duckdb", tmp_path, END_NS, {"m-1": (replace(PLAIN, weeks=1), 1)})
    machines, at = ["m-1"], START_NS + 3 * DAY_NS
    body = site_body(machines)
    shifts = body["calendars"][""]["shifts"]
    holiday = {"": {"shifts": shifts, "exceptions": {"2026-04-30": []}}}
    past_holiday = {"": {"shifts": shifts, "exceptions": {"2026-01-06": []}}}
    slower = {"A": body["products"]["A"] | {"ideal_s": 11.0}, "B": body["products"]["B"]}
    limit = {"m-1": body["machines"]["m-1"] | {"minor_stop_at_most_s": 120.0}}
    renamed = {"m-1": body["machines"]["m-1"] | {"name": {"vi": "Máy mới"}}}
    cases = [
        ({}, START_NS),
        ({"machines": renamed}, START_NS),
        ({"calendars": holiday}, START_NS),
        ({"calendars": past_holiday}, None),
        ({"products": slower}, None),
        ({"machines": limit}, None),
    ]
    for number, (change, expected) in enumerate(cases):
        content = json.dumps(body | change | {"valid_from_ns": at + number * MINUTE_NS})
        center.ledger_cache.sites.learn([SiteRow(SITE, "main", str(number), at + number * MINUTE_NS, content)], ())
        begun = StoredPast(center, SITE, "m-1", START_NS + 6 * DAY_NS).start_ns(8)
        assert begun == (at + number * MINUTE_NS if expected is None else expected), change
    center.store.close()


@given(st.floats(0, 1e9), st.booleans())
def test_what_is_written_is_read_again(value, flag):
    seen = _seen()
    assert look_of(plain_look(seen)) == seen
    record = FindingRecord(seen.findings[0], "watch", 1, 2, 3, held=flag, reason="r", by="b")
    record = replace(record, told=replace(record.told, high_min=value))
    plain = plain_record(record)
    assert record_of(plain) == record
    with pytest.raises(NewerFormat, match="update"):
        record_of(plain | {"format": 3})
    older = {name: item for name, item in plain.items() if name != "action"} | {"format": 1}
    assert record_of(older) == record


@cache
def _seen():
    whole = history(replace(NULL, weeks=4, late_min=12), 4)
    return look(lambda _weeks: whole, {SLOW: START_NS + 14 * DAY_NS})
