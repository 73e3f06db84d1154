"""A finding is watched, confirmed by later data, told, and gone when its cause is; a night that is repeated changes nothing."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from histories import CALENDAR, DAY_NS, NULL, PLANTED, START_NS, history
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oee.advice.catalogue import lost_minutes, rules, watched
from oee.advice.finding import NO_GAIN, Finding, FindingEvidence, Gain
from oee.advice.life import (
    CONFIRM_NS,
    LIMIT_NS,
    MUTE_NS,
    REST_NS,
    FindingRecord,
    dismissed,
    fresh_events,
    next_records,
    open_rules,
    since,
)
from oee.advice.look import MachineLook, look
from oee.advice.rules import speed_drift
from oee.advice.trust import Trust
from oee.advice.window import machine_window, part_of

NOW_NS = START_NS + 60 * DAY_NS
TRUSTED = Trust((), 1.0, 0.0)
MICRO = ("micro_cluster", ("shift_start",))


@cache
def past(plan, seed):
    return history(plan, seed)


def window_until(whole, end_ns, weeks):
    """As the center makes it from its store."""
    start_ns = max(whole.start_ns, end_ns - weeks * 7 * DAY_NS)
    return machine_window("m-1", CALENDAR, whole.facts, whole.stops, start_ns, end_ns)


def night(whole, records, end_ns, **known):
    seen = look(partial(window_until, whole, end_ns), since(records), open_findings=open_rules(records), **known)
    kept = {finding.identity for finding in watched(seen.findings)}
    return next_records(records, seen, kept), seen


def weekly(whole, first_week, last_week):
    """Records after each weekly night."""
    return nights(whole, range(first_week, last_week + 1))


def nights(whole, weeks):
    """Records after nights at the end of these weeks."""
    records = []
    for week in weeks:
        records, _ = night(whole, records, START_NS + week * 7 * DAY_NS)
        yield week, records


def test_a_cause_is_watched_confirmed_told_and_gone_when_it_ends():
    whole = past(replace(NULL, weeks=24, late_min=12, late_weeks=14), 1)
    stages = {}
    for week, records in nights(whole, (6, 7, 8, 11, 14, 16, 18, 20, 22, 24)):
        record = next(item for item in records if item.finding.identity == ("slow_start", ("shift_start",)))
        stages[week] = record.stage
        if record.stage == "open" and week <= 14:
            lost = lost_minutes(window_until(whole, START_NS + week * 7 * DAY_NS, 8))
            assert 0 < record.told.low_min < record.told.high_min < sum(lost.values())
            assert record.told.low_min <= 0.65 * 12 * 12 <= record.told.high_min  # 12 starts a week of 12 min each
        assert not any(item.growing for item in records if week <= 14)
    assert [stages[week] for week in (6, 7, 8)] == ["watch", "watch", "open"]
    assert {stages[week] for week in (8, 11, 14)} == {"open"}
    gone = min(week for week, stage in stages.items() if stage == "gone")
    assert 16 <= gone <= 22
    assert stages[24] == "gone"


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_opened_where_nothing_is(seed):
    for _, records in nights(past(replace(NULL, weeks=16), seed), (8, 10, 12, 14, 16)):
        assert [item.finding.identity for item in records if item.stage in ("open", "likely")] == []


def test_what_later_data_do_not_confirm_lapses():
    whole = past(replace(NULL, weeks=10, late_min=12, late_weeks=8), 3)
    stages = [
        {item.finding.identity: item.stage for item in records}[("slow_start", ("shift_start",))]
        for _, records in weekly(whole, 8, 10)
    ]
    assert stages == ["watch", "watch", "lapsed"]


def test_drift_is_confirmed_against_the_first_third():
    whole = past(replace(PLANTED["speed_drift"], weeks=16), 1)
    stages = [
        {item.finding.rule: item.stage for item in records if item.finding.rule == "speed_drift"}
        for _, records in weekly(whole, 10, 13)
    ]
    assert [item.get("speed_drift") for item in stages] == ["watch", "watch", "open", "open"]
    flat = past(replace(NULL, weeks=12), 2)
    again = speed_drift.confirm(flat, START_NS + 9 * 7 * DAY_NS)
    assert again is not None
    assert again.p > 0.01
    assert speed_drift.confirm(flat, START_NS + 11 * 7 * DAY_NS) is None  # six days


def test_rare_events_need_three_that_are_new():
    whole = past(replace(PLANTED["repeat_failure"], weeks=20, failures_per_h=1 / 50), 1)
    looked = dict(weekly(whole, 16, 20))
    found = [next(item for item in records if item.finding.rule == "repeat_failure") for records in looked.values()]
    assert [item.stage for item in found[:2]] == ["watch", "watch"]
    assert found[-1].stage == "open"
    assert fresh_events(found[-1]) >= 3


def test_a_part_of_a_window_is_the_window_of_that_part():
    whole = past(replace(NULL, weeks=8, minor_start_factor=2.5, late_min=12), 5)
    start_ns, end_ns = START_NS + 33 * DAY_NS, whole.end_ns
    direct = replace(machine_window("m-1", CALENDAR, whole.facts, whole.stops, start_ns, end_ns), confirming=True)
    part = part_of(whole, start_ns, end_ns)
    assert (part.start_ns, part.end_ns, part.weeks) == (start_ns, end_ns, direct.weeks)
    assert np.array_equal(part.stretch >= 0, direct.stretch >= 0)
    assert np.array_equal(part.minutes, direct.minutes)
    for key in ("slow_start", "early_end", "micro_cluster"):
        assert rules()[key].find(part) == rules()[key].find(direct) != []
    assert part_of(whole, end_ns, end_ns).weeks == 0


def test_a_part_that_begins_within_a_shift_does_not_open_it():
    whole = past(replace(NULL, weeks=8), 5)
    noon = part_of(whole, START_NS + DAY_NS + 12 * 3600 * 10**9, START_NS + DAY_NS + 20 * 3600 * 10**9)
    assert noon.stretches.opens.tolist() == [False, True, False]
    assert noon.stretches.closes.tolist() == [True, False, False]


def test_a_machine_that_is_not_trusted_is_told_nothing_but_data():
    whole = past(replace(NULL, weeks=14, late_min=12), 1)
    records = list(weekly(whole, 8, 12))[-1][1]
    assert [item.finding.rule for item in records if item.stage == "open" and not item.held] == ["slow_start"]
    after, seen = night(whole, records, START_NS + 13 * 7 * DAY_NS, holes=1)
    assert all(rules()[item.rule].about_data for item in seen.findings)
    assert [(item.stage, item.held) for item in after if item.stage == "open"] == [("open", True)]
    again, _ = night(whole, after, START_NS + 14 * 7 * DAY_NS)
    assert [(item.stage, item.held) for item in again if item.stage == "open"] == [("open", False)]


# synthetic nights


def finding(rule="micro_cluster", key=("shift_start",), *, passes=True, p=0.001, high=100.0, at_s=()):
    evidence = FindingEvidence(0, 0, (), 1, {"at_s": tuple(at_s)})
    claims = frozenset({"minor_stop"})
    return Finding(rule, 1, "m-1", key, passes, p, {}, Gain(high / 2, high), claims, evidence)


def seen_at(now_ns, *findings, fresh=None, trust=TRUSTED):
    again = {} if fresh is None else {item.identity: replace(item, p=fresh) for item in findings}
    return MachineLook("m-1", now_ns, findings, again, again, trust, {"minor_stop": 1000.0}, 5000.0)


def after(record, now_ns, item, fresh=None, *, significant=True):
    kept = {item.identity} if significant and item.passes else set()
    (out,) = next_records([record] if record else [], seen_at(now_ns, item, fresh=fresh), kept)
    return out


def watching(**changes):
    return after(None, NOW_NS, finding(**changes))


def test_what_fresh_data_say_decides():
    record = watching()
    assert (record.stage, record.since_ns) == ("watch", NOW_NS)
    assert after(record, NOW_NS + 7 * DAY_NS, finding(), 0.001).stage == "watch"
    then = NOW_NS + CONFIRM_NS
    assert [after(record, then, finding(), p).stage for p in (0.009, 0.011, 0.06, None)] == [
        "open",
        "likely",
        "lapsed",
        "watch",
    ]
    likely = after(record, then, finding(), 0.03)
    assert [after(likely, NOW_NS + LIMIT_NS, finding(), p).stage for p in (0.009, 0.03)] == ["open", "lapsed"]
    assert after(record, NOW_NS + LIMIT_NS, finding(), None).stage == "lapsed"


def test_what_lapsed_rests_before_it_is_watched_again():
    lapsed = after(watching(), NOW_NS + CONFIRM_NS, finding(), 0.9)
    assert after(lapsed, NOW_NS + CONFIRM_NS + REST_NS - 1, finding()).stage == "lapsed"
    again = after(lapsed, NOW_NS + CONFIRM_NS + REST_NS, finding())
    assert (again.stage, again.since_ns) == ("watch", NOW_NS + CONFIRM_NS + REST_NS)


def test_what_is_not_significant_among_all_tests_is_not_watched():
    assert next_records([], seen_at(NOW_NS, finding()), set()) == []
    small = finding(high=20)
    assert next_records([], seen_at(NOW_NS, small), {small.identity}) == []


def test_an_open_finding_grows_and_goes():
    opened = after(watching(), NOW_NS + CONFIRM_NS, finding(), 0.001)
    assert (opened.then, opened.growing) == (Gain(50, 100), False)
    assert after(opened, NOW_NS + 21 * DAY_NS, finding(high=149), 0.001).growing is False
    assert after(opened, NOW_NS + 21 * DAY_NS, finding(high=150), 0.001).growing is True
    quiet = after(opened, NOW_NS + 21 * DAY_NS, finding(), 0.5)
    assert quiet.stage == "open"
    assert after(quiet, NOW_NS + 28 * DAY_NS, finding(), 0.5).stage == "gone"
    assert after(quiet, NOW_NS + 28 * DAY_NS, finding(), 0.001).stage == "open"


def test_a_dismissed_finding_is_mute_for_eight_weeks_unless_it_doubles():
    opened = after(watching(), NOW_NS + CONFIRM_NS, finding(), 0.001)
    at_ns = NOW_NS + 20 * DAY_NS
    mute = dismissed(opened, " đã biết ", "an", at_ns)
    assert (mute.stage, mute.reason, mute.by, mute.then) == ("dismissed", "đã biết", "an", opened.told)
    assert after(mute, at_ns + MUTE_NS - 1, finding(high=199), 0.001).stage == "dismissed"
    assert after(mute, at_ns + DAY_NS, finding(high=200), 0.001).stage == "open"
    assert after(mute, at_ns + MUTE_NS, finding(), 0.001).stage == "open"
    assert after(mute, at_ns + MUTE_NS, finding(passes=False), 0.9).stage == "gone"
    with pytest.raises(ValueError, match="reason"):
        dismissed(opened, "  ", "an", at_ns)


def test_rare_findings_wait_eight_weeks_for_three_that_are_new():
    """Also over nights in which the rule does not pass; what has not come by then lapses."""
    old = [(NOW_NS - DAY_NS * day) / 1e9 for day in (50, 30, 10)]
    new = [(NOW_NS + DAY_NS * day) / 1e9 for day in (12, 30, 48)]
    record = watching(rule="common_stop", key=("machine",), p=None, at_s=old)
    for week in (2, 4, 6):
        seen = [at_s for at_s in new if at_s * 1e9 < NOW_NS + week * 7 * DAY_NS]
        night = finding("common_stop", ("machine",), p=None, at_s=[*old, *seen], passes=week != 4)
        record = after(record, NOW_NS + week * 7 * DAY_NS, night)
        assert record.stage == "watch", week
    all_three = finding("common_stop", ("machine",), p=None, at_s=[*old, *new])
    assert after(record, NOW_NS + 49 * DAY_NS, all_three).stage == "open"
    two = finding("common_stop", ("machine",), p=None, at_s=[*old, *new[:2]])
    assert after(record, NOW_NS + 55 * DAY_NS, two).stage == "watch"
    assert after(record, NOW_NS + 56 * DAY_NS, two).stage == "lapsed"
    fails = finding("common_stop", ("machine",), p=None, at_s=[*old, *new], passes=False)
    assert after(record, NOW_NS + 49 * DAY_NS, fails).stage == "watch"


def test_rare_findings_go_when_nothing_happens():
    at_s = [(NOW_NS - DAY_NS * day) / 1e9 for day in (30, 20, 10)]
    record = watching(rule="long_repair", key=("machine",), p=None, at_s=at_s)
    assert after(record, NOW_NS + CONFIRM_NS, record.finding).stage == "watch"
    more = finding("long_repair", ("machine",), p=None, at_s=[*at_s, *((NOW_NS + DAY_NS * d) / 1e9 for d in (1, 2, 3))])
    opened = after(record, NOW_NS + CONFIRM_NS, more)
    assert opened.stage == "open"
    late = NOW_NS + 80 * DAY_NS
    assert after(opened, late, more).stage == "gone"


def test_open_findings_of_a_machine_promise_no_more_than_was_lost():
    items = [finding(key=(name,), high=700) for name in ("shift_start", "after_break")]
    records = [FindingRecord(item, "open", NOW_NS, NOW_NS, NOW_NS, item.gain) for item in items]
    out = next_records(records, seen_at(NOW_NS + DAY_NS, *items), set())
    assert sum(item.told.high_min for item in out) == pytest.approx(800)
    assert [item.finding.gain.high_min for item in out] == [700, 700]


STAGES = ("watch", "likely", "open", "dismissed", "lapsed", "gone")


@settings(max_examples=150, deadline=None)
@given(
    stage=st.sampled_from([None, *STAGES]),
    ages=st.tuples(st.integers(0, 70), st.integers(0, 70), st.integers(0, 70)),
    passes=st.booleans(),
    significant=st.booleans(),
    fresh=st.sampled_from([None, 0.001, 0.03, 0.3, 0.9]),
    highs=st.tuples(st.integers(0, 400), st.integers(0, 400)),
    rule=st.sampled_from(["micro_cluster", "long_repair"]),
    trusted=st.booleans(),
)
@example(
    stage="watch",
    ages=(14, 14, 14),
    passes=False,
    significant=False,
    fresh=0.001,
    highs=(0, 0),
    rule="micro_cluster",
    trusted=True,
)
def test_a_repeated_night_changes_nothing(stage, ages, passes, significant, fresh, highs, rule, trusted):
    at_s = [(NOW_NS - day * DAY_NS) / 1e9 for day in range(0, 60, 7)]
    item = finding(rule, passes=passes, p=None if rule == "long_repair" else 0.01, high=float(highs[0]), at_s=at_s)
    begun, passed, first = (NOW_NS - age * DAY_NS for age in ages)
    first, begun = min(first, begun), max(first, begun)
    records = []
    if stage is not None:
        then = Gain(highs[1] / 2, float(highs[1])) if stage in ("open", "dismissed") else NO_GAIN
        records = [FindingRecord(item, stage, first, begun, passed, then)]
    trust = TRUSTED if trusted else Trust(("coverage",), 0.5, 0.0)
    looked = seen_at(NOW_NS, *([item] if trusted else []), fresh=fresh if trusted else None, trust=trust)
    kept = {item.identity} if significant and passes else set()
    once = next_records(records, looked, kept)
    assert next_records(once, looked, kept) == once
    assert all(record.held for record in once if not trusted)
