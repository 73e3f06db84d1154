"""Which alerts begin and end, whatever is observed in whatever order, and whom they are owed to."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from center.model.alerts.alert import GONE, OVER, AlertKey, AlertRecord, Gravity, Observed
from center.model.alerts.decide import Timing, decide
from center.model.alerts.owed import Telling, quiet_until
from config.alerts import ALERT_KINDS, AlertRules, AlertsModel
from oee.model.calendars import to_ns

S = 1_000_000_000
MIN = 60 * S
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
SITE = "van-long"


def at(text, zone=ZONE):
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=zone))


def seen(kind, machine="", level=Gravity.BEGINS, *, gateway="", about="", since=0, **more):
    key = AlertKey(SITE if kind != "center" else "", kind, machine, gateway, about)
    return Observed(key, level, since, owner=gateway or "main", **more)


class Book:
    """Alerts as the database keeps them, and the timings of one process."""

    def __init__(self):
        self.alerts, self.timings, self.begun, self.ended = {}, {}, [], []

    def round(self, now_ns, *observed, blind=()):
        changes = decide(observed, self.alerts.values(), self.timings, now_ns, blind)
        self.timings = changes.timings
        for item in changes.begin:
            number = str(len(self.alerts))
            self.alerts[number] = AlertRecord(number, item.key, item.since_ns, now_ns, item.owner, item.lines)
            self.begun.append(item.key)
        for alert, why in changes.end:
            self.alerts[alert.id] = AlertRecord(
                alert.id, alert.key, alert.since_ns, alert.begun_ns, alert.owner, (), now_ns, why
            )
            self.ended.append((alert.key, why))
        for alert, by in changes.answered:
            self.alerts[alert.id] = AlertRecord(
                alert.id, alert.key, alert.since_ns, alert.begun_ns, alert.owner, (), 0, "", now_ns, by
            )
        return changes

    @property
    def open(self):
        return [alert.key for alert in self.alerts.values() if alert.is_open]


def test_what_is_bad_is_told_once_and_is_over_when_it_has_been_calm_for_long_enough():
    book = Book()
    bad = seen("oee", "press-1", settle_ns=2 * MIN, calm_ns=5 * MIN)
    calm = seen("oee", "press-1", Gravity.CALM, settle_ns=2 * MIN, calm_ns=5 * MIN)
    for minute in range(2):
        book.round(minute * MIN, bad)
    assert book.begun == [], "not for a moment"
    book.round(2 * MIN, bad)
    book.round(3 * MIN, bad)
    assert book.begun == [bad.key]
    for minute in range(4, 9):
        book.round(minute * MIN, calm)
    book.round(9 * MIN - 1, seen("oee", "press-1", Gravity.HOLDS))
    book.round(9 * MIN, calm)
    assert book.ended == [], "it was not calm all the time"
    book.round(14 * MIN, calm)
    assert book.ended == [(bad.key, OVER)]
    assert book.begun == [bad.key]


def test_a_gateway_that_is_away_is_one_alert():
    book = Book()
    machines = [f"m-{n}" for n in range(20)]
    gateway = seen("no_data", gateway="main")
    everything = [
        seen(kind, machine) for machine in machines for kind in ("no_data", "stop", "oee", "pieces", "coverage")
    ]
    book.round(0, *everything, gateway)
    assert book.begun == [gateway.key]
    book.round(MIN, *everything, gateway)
    other = seen("stop", "x-1")
    book.round(2 * MIN, gateway, Observed(other.key, Gravity.BEGINS, 0, owner="second"))
    assert book.open == [gateway.key, other.key], "machines of another gateway are another cause"


def test_a_broken_link_of_the_center_is_one_alert():
    book = Book()
    book.round(0, seen("center"), *(seen("no_data", gateway=f"g-{n}") for n in range(9)))
    assert book.begun == [AlertKey("", "center")]


def test_a_machine_that_stands_is_not_told_again_as_a_bad_shift_while_it_stands():
    book = Book()
    behind = [seen("oee", "press-1", about="A"), seen("pieces", "press-1", about="A")]
    book.round(0, seen("stop", "press-1"), *behind)
    assert [key.kind for key in book.begun] == ["stop"]
    book.round(MIN, seen("stop", "press-1", Gravity.CALM), *behind)
    book.round(2 * MIN, *behind)
    assert [key.kind for key in book.begun] == ["stop", "oee"], "missing pieces are a consequence of a low OEE"


def test_data_that_were_lost_while_a_gateway_was_away_are_not_told_again_in_the_same_shift():
    book = Book()
    book.round(10 * MIN, seen("no_data", gateway="main"))
    book.round(20 * MIN, seen("no_data", gateway="main", level=Gravity.CALM))
    thin = seen("coverage", "press-1", about="A", since=0)
    book.round(30 * MIN, thin)
    assert book.open == []
    later = seen("coverage", "press-1", about="B", since=25 * MIN)
    book.round(40 * MIN, later)
    assert book.open == [later.key]


def test_what_cannot_be_told_now_changes_nothing():
    book = Book()
    bad = seen("stop", "press-1")
    book.round(0, bad)
    for minute in range(1, 600):
        book.round(minute * MIN, seen("stop", "press-1", Gravity.UNKNOWN))
    book.round(600 * MIN, blind={(SITE, "stop")})
    assert book.open == [bad.key]
    book.round(601 * MIN)
    assert book.ended == [(bad.key, GONE)]


def test_a_call_that_somebody_answers_at_the_machine_is_acknowledged():
    book = Book()
    book.round(0, seen("call", "press-1", about="c1"))
    book.round(MIN, seen("call", "press-1", Gravity.HOLDS, about="c1", answered_by="andon/t1"))
    (alert,) = book.alerts.values()
    assert (alert.is_open, alert.by, alert.acknowledged_ns) == (True, "andon/t1", MIN)
    book.round(2 * MIN, seen("call", "press-1", Gravity.CALM, about="c1"))
    assert book.ended == [(alert.key, OVER)]


_observed = st.builds(
    lambda kind, machine, level, settle, calm: seen(
        kind,
        "" if kind == "center" or (kind == "no_data" and machine == "") else machine or "m-0",
        level,
        gateway="main" if kind == "no_data" and machine == "" else "",
        settle_ns=settle * S,
        calm_ns=calm * S,
    ),
    st.sampled_from(ALERT_KINDS),
    st.sampled_from(["", "m-1", "m-2"]),
    st.sampled_from(Gravity),
    st.sampled_from([0, 90]),
    st.sampled_from([0, 90]),
)
_rounds = st.lists(st.tuples(st.integers(1, 120), st.lists(_observed, max_size=8), st.booleans()), max_size=25)


@settings(max_examples=300)
@given(_rounds, st.randoms(use_true_random=False))
def test_whatever_is_observed_nothing_is_told_twice_or_out_of_nothing(rounds, random):
    book, now_ns, level_of, bad_since, calm_since = Book(), 0, {}, {}, {}
    for seconds, observed, restarts in rounds:
        now_ns += seconds * S
        if restarts:  # what a process remembers of the past is lost with it; alerts are not
            book.timings, bad_since, calm_since = {}, {}, {}
        before = list(book.open)
        last = {item.key: item for item in observed}
        shuffled = list(last.values())
        random.shuffle(shuffled)
        again = decide(shuffled, list(book.alerts.values()), book.timings, now_ns)
        changes = book.round(now_ns, *observed)
        assert [item.key for item in again.begin] == [item.key for item in changes.begin], "the order does not matter"
        assert len(set(book.open)) == len(book.open), "one alert about one thing"
        level_of = {key: item.level for key, item in last.items()}
        for since, wanted in ((bad_since, Gravity.BEGINS), (calm_since, Gravity.CALM)):
            for key in {*since, *level_of}:
                if level_of.get(key) is wanted:
                    since.setdefault(key, now_ns)
                else:
                    since.pop(key, None)
        for item in changes.begin:
            assert item.level is Gravity.BEGINS
            assert item.key not in before
            assert now_ns - bad_since[item.key] >= item.settle_ns
        for alert, why in changes.end:
            assert alert.key in before
            assert (why == GONE) == (alert.key not in level_of)
            if why == OVER:
                assert now_ns - calm_since[alert.key] >= last[alert.key].calm_ns
        kinds = {key.kind for key in book.open if key.site == ""}
        assert not (kinds and any(item.key.kind in ("stop", "no_data") for item in changes.begin))


@settings(max_examples=100)
@given(_rounds)
def test_what_is_seen_again_after_a_restart_is_told_no_second_time(rounds):
    book, now_ns = Book(), 0
    for seconds, observed, _ in rounds:
        now_ns += seconds * S
        book.round(now_ns, *observed)
        count, book.timings = len(book.begun), {}
        book.round(now_ns, *(item for item in observed if item.key in book.open))
        assert len(book.begun) == count


# who is told


def telling(**more):
    return Telling(
        AlertsModel.model_validate(
            {
                "channels": {"bao-tri": {"address_file": "x"}, "lan": {"mail": ["a@example.vn", "b@example.vn"]}},
                "send": [
                    {"to": ["bao-tri"], "kinds": ["stop", "call"], "calls": ["maintenance"], "quiet": "ignore"},
                    {"to": ["lan"], "sites": [SITE], "after": "30min"},
                ],
            }
            | more
        )
    )


def alert(kind="stop", machine="press-1", begun=0, **more):
    return AlertRecord("1", AlertKey(SITE, kind, machine), begun, begun, "main", ("stamping",), **more)


def test_who_is_told_at_once_and_who_when_nobody_acknowledges():
    told, begun = telling(), at("2026-03-02T08:00")
    assert [item[1:] for item in told.owed(alert(begun=begun), ZONE, begun)] == [("begun", "bao-tri")]
    later = begun + 30 * MIN
    assert [item[1:] for item in told.owed(alert(begun=begun), ZONE, later)] == [
        ("begun", "bao-tri"), ("escalated", "lan/a@example.vn"), ("escalated", "lan/b@example.vn"),
    ]  # fmt: skip
    assert told.owed(alert(begun=begun, acknowledged_ns=begun + MIN), ZONE, later) == []
    assert told.owed(alert(begun=begun, ended_ns=begun + MIN), ZONE, later) == []
    assert told.owed(alert("oee", begun=begun), ZONE, begun) == [], "the first route is about other kinds"
    quality = alert("call", begun=begun, detail={"call": "quality"})
    assert told.owed(quality, ZONE, begun) == []
    assert told.owed(alert("call", begun=begun, detail={"call": "maintenance"}), ZONE, begun)


def test_quiet_hours_keep_messages_back_unless_a_route_ignores_them():
    told, night = telling(quiet=["22:00-06:00"]), at("2026-03-02T23:00")
    assert [item.outlet for item in told.owed(alert(begun=night), ZONE, night + 31 * MIN)] == ["bao-tri"]
    morning = at("2026-03-03T06:00")
    assert len(told.owed(alert(begun=night), ZONE, morning)) == 3
    assert told.end_due_ns(alert(begun=night), "lan/a@example.vn", ZONE, night) == morning
    assert told.end_due_ns(alert(begun=night), "bao-tri", ZONE, night) == night
    other = telling(quiet=["22:00-06:00"], sites={SITE: {"quiet": []}})
    assert len(other.owed(alert(begun=night), ZONE, night + 31 * MIN)) == 3, "this site has none"


def test_lines_and_outlets_by_site():
    told = telling(send=[{"to": ["bao-tri"], "lines": ["moulding"]}, {"to": ["lan"], "sites": ["hoa-binh"]}])
    assert told.owed(alert(), ZONE, 0) == []
    assert told.sees_outlet("bao-tri", [SITE])
    assert not told.sees_outlet("lan/a@example.vn", [SITE])
    assert told.sees_outlet("lan/a@example.vn", ["hoa-binh"])


_clock = st.integers(0, 24 * 60 - 1)
_hours = st.tuples(_clock, _clock).filter(lambda hours: hours[0] != hours[1])


@given(
    st.lists(_hours, max_size=3),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001  # wall clock
    st.sampled_from(["Asia/Ho_Chi_Minh", "Europe/Berlin", "America/New_York"]),
)
def test_quiet_hours_end_at_a_time_that_is_not_quiet(hours, when, zone):
    place = ZoneInfo(zone)
    rules = AlertRules.model_validate({"quiet": [tuple(minute * 60 for minute in pair) for pair in hours]})
    now_ns = to_ns(when.replace(tzinfo=place))
    until_ns = quiet_until(rules, place, now_ns)
    minute = when.hour * 60 + when.minute
    expected = any(low <= minute < high if low < high else minute >= low or minute < high for low, high in hours)
    assert (until_ns is not None) == expected or zone != "Asia/Ho_Chi_Minh"
    if until_ns is not None:
        assert now_ns < until_ns <= now_ns + 3 * int(timedelta(days=1, hours=1) / timedelta(microseconds=1)) * 1000


def test_the_night_of_a_changed_clock_ends_when_the_clock_says_so():
    berlin = ZoneInfo("Europe/Berlin")
    rules = AlertRules.model_validate({"quiet": ["22:00-06:00"]})
    assert quiet_until(rules, berlin, at("2026-03-28T23:00", berlin)) == at("2026-03-29T06:00", berlin)


@pytest.mark.parametrize("kind", ALERT_KINDS)
def test_timings_forget_what_is_asked_no_more(kind):
    changes = decide([seen(kind, "m")], [], {AlertKey(SITE, "stop", "old"): Timing(1, None)}, 5)
    assert list(changes.timings) == [seen(kind, "m").key]
