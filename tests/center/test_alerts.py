"""Alerts of a center in operation: raised, told once, acknowledged, escalated, ended; channels that break."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import console_plant as plant
import pytest
from alert_plant import Receiver, Sending
from postgres_plant import KINDS, database_url
from servers import eventually, free_port
from test_report_mails import Post as MailPost

from center.accounts.audit import record_taken
from center.accounts.schema import prepare_accounts
from center.contract.store import StoreUnavailable
from center.database import alert_messages
from center.database.alerts import begin_alert, open_alerts, past_alerts, prepare_alerts
from center.database.notices import open_notices, store_notices
from center.database.sql import open_database
from center.ledger.sql import SqlLedger
from center.model.alerts.alert import AlertKey, AlertRecord
from center.model.alerts.owed import Owed
from center.model.targets import SaidTarget
from center.model.viewer import EVERYTHING, Viewer
from center.outgoing.alerts import job as alert_job
from center.outgoing.alerts import sender as alert_sender
from center.outgoing.alerts.api import AlertDesk
from center.queries.question import Question
from center.queries.trend import trend
from center.runtime.health import CenterHealth
from center.runtime.live import Pictures
from config.alerts import AlertsModel
from config.mail import MailModel
from oee.model.calendars import to_ns
from wire.bodies import Live, LiveMachine, Notice, Status
from words import percent

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
SITE = "van-long"
S = 1_000_000_000
MIN = 60 * S
MACHINES = [made.id for made in plant.MACHINES if made.site == SITE]
LIVE_ONLY = ["oee", "pieces", "coverage"]


def at(text):
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=ZONE))


class Hall:
    """A center with a clock, and the gateway of one of its factories, which says what its machines do."""

    def __init__(self, center, engine):
        self.now_ns, self.engine, self.states = at("2026-03-05T19:23"), engine, {}
        self.center = replace(center, now_ns=lambda: self.now_ns, health=CenterHealth(), pictures=Pictures())
        self.center.health.set_condition("broker", "ok")
        for machine in MACHINES:
            self.states[machine] = LiveMachine(state="running", since_ns=at("2026-03-05T18:00"), shift="B")
        self.speak()

    def speak(self, at_ns=None, **status):
        """Both gateways say what their machines do."""
        heard_ns = at_ns or self.now_ns
        others = {made.id: LiveMachine(state="running", since_ns=1) for made in plant.MACHINES if made.site != SITE}
        for site, machines in ((SITE, self.states), ("hoa-binh", others)):
            self.center.pictures.record_live(site, "main", Live(at_ns=heard_ns, machines=machines), heard_ns)
        self.center.pictures.record_status(SITE, "main", Status(online=True, at_ns=heard_ns, **status), heard_ns)

    def does(self, machine, state, since="19:00", **more):
        self.states[machine] = LiveMachine(state=state, since_ns=at(f"2026-03-05T{since}"), shift="B", **more)
        self.speak()

    def later(self, minutes, *, speaks=True):
        """The clock goes on. The gateways speak first: nobody is to find them silent in between."""
        target_ns = self.now_ns + round(minutes * MIN)
        if speaks:
            self.speak(target_ns)
        self.now_ns = target_ns

    def looked(self):
        """Waits until both jobs have made a whole round since now."""
        for _ in range(2):
            for condition in (alert_job.CONDITION, alert_sender.CONDITION):
                self.center.health.set_condition(condition, "not looked yet")
            for condition in (alert_job.CONDITION, alert_sender.CONDITION):
                eventually(lambda name=condition: self.center.health.condition(name) != "not looked yet")

    @property
    def kinds(self):
        return sorted((alert.key.kind, alert.key.machine or alert.key.gateway) for alert in open_alerts(self.engine))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    center = plant.make(tmp_path_factory.mktemp("alerts") / "facts.duckdb", 2, at("2026-03-05T19:23"))
    yield center
    center.store.close()


@pytest.fixture(params=KINDS)
def engine(request, tmp_path):
    url = database_url(request.param, tmp_path)
    opened = open_database(url)
    prepare_alerts(opened)
    prepare_accounts(opened)
    open_notices(url).dispose()
    yield opened
    opened.dispose()


@pytest.fixture
def hall(made, engine):
    return Hall(made, engine)


@pytest.fixture
def receiver():
    with Receiver() as opened:
        yield opened


def settings(tmp_path, *receivers, **more):
    """Channels c0, c1, … of these receivers, each told of everything."""
    channels = {}
    for number, item in enumerate(receivers):
        file = tmp_path / f"address-{number}"
        file.write_text(item.webhook() if isinstance(item, Receiver) else item)
        channels[f"c{number}"] = {"address_file": str(file)}
    given = {"channels": channels, "send": [{"to": list(channels)}] if channels else [], "off": LIVE_ONLY}
    return AlertsModel.model_validate(given | more)


def desk_of(hall, model):
    def record(connection, who, address, alert):
        record_taken(connection, who, address, alert)

    return AlertDesk(hall.center, hall.engine, model, record)


def test_a_machine_that_stands_is_told_once_acknowledged_and_told_when_it_runs_again(hall, receiver, tmp_path):
    send = [{"to": ["c0"]}, {"to": ["c1"], "after": "30min"}]
    with Receiver() as boss:
        model = settings(tmp_path, receiver, boss, send=send)
        desk = desk_of(hall, model)
        with Sending(hall.center, hall.engine, model):
            hall.does("press-1", "breakdown", "19:09", reason="die-jam")
            hall.looked()
            assert hall.kinds == [], "not yet"
            hall.later(2)
            eventually(lambda: receiver.got)
            hall.looked()
            (alert,) = desk.open(EVERYTHING, SITE)
            assert (alert["kind"], alert["machine"], alert["told"]) == ("stop", "press-1", 1)
            taken = desk.acknowledge(
                Viewer("lan", frozenset({SITE}), frozenset({"read", "write"})), "10.0.0.1", alert["id"]
            )
            assert (taken["by"], taken["acknowledged"][:16]) == ("lan", "2026-03-05T19:25")
            hall.later(31)
            hall.looked()
        with Sending(hall.center, hall.engine, model):  # after a restart
            hall.looked()
            assert len(receiver.got) == 1
            hall.does("press-1", "running", "19:56")
            hall.looked()
            hall.later(1.1)
            eventually(lambda: len(receiver.got) == 2)
            hall.later(5)
            hall.looked()
        with Sending(hall.center, hall.engine, model):
            hall.looked()
        assert boss.got == [], "somebody had taken it on"
    begun, ended = (body for _, body in receiver.got)
    assert begun["title"] == f"Máy dập 1 dừng đã 16 phút – {plant.SITES[SITE]['vi']}"
    assert "Kẹt khuôn" in begun["message"]
    assert "19:09 05/03/2026" in begun["message"]
    assert ended["title"].startswith("Máy dập 1 đã chạy lại sau ")
    assert " sau 47 phút – " in ended["title"], (
        "from 19:09 to 19:56, without the minute in which it proved that it runs"
    )
    (over,) = desk.past(EVERYTHING, SITE)
    assert (over["over"], over["by"], over["waiting"]) == (True, "lan", 0)
    assert desk.open(EVERYTHING) == []


def test_what_nobody_takes_on_goes_further_once(hall, receiver, tmp_path):
    with Receiver() as boss:
        model = settings(tmp_path, receiver, boss, send=[{"to": ["c0"]}, {"to": ["c1"], "after": "30min"}])
        with Sending(hall.center, hall.engine, model):
            hall.does("press-1", "unplanned_stop")
            eventually(lambda: receiver.got)
            hall.later(29)
            hall.looked()
            assert boss.got == []
            hall.later(2)
            eventually(lambda: boss.got)
            hall.later(30)
            hall.looked()
            hall.does("press-1", "running", "20:20")
            hall.looked()
            hall.later(1.1)
            eventually(lambda: len(boss.got) == 2 and len(receiver.got) == 2)
        assert boss.titles[0].startswith("Chưa ai nhận: Máy dập 1 dừng")
        assert "đã chạy lại" in boss.titles[1]


def test_a_gateway_that_goes_away_is_one_message_and_what_it_had_told_stays(hall, receiver, tmp_path):
    model = settings(tmp_path, receiver)
    with Sending(hall.center, hall.engine, model):
        hall.does("press-1", "breakdown")
        eventually(lambda: receiver.got)
        hall.later(2, speaks=False)  # it falls silent
        hall.looked()
        hall.later(11, speaks=False)
        eventually(lambda: len(receiver.got) == 3)  # both factories
        hall.later(60, speaks=False)
        hall.looked()
        assert hall.kinds == [("no_data", "main"), ("no_data", "main"), ("stop", "press-1")]
        assert len(receiver.got) == 3
        hall.speak()
        hall.looked()
        hall.later(1.1)
        eventually(lambda: len(receiver.got) == 5)
        hall.looked()
        assert hall.kinds == [("stop", "press-1")]
    assert sum("Mất liên lạc với gateway main" in title for title in receiver.titles) == 2
    assert sum("đã kết nối lại" in title for title in receiver.titles) == 2


def test_a_center_that_does_not_hear_its_broker_accuses_no_gateway(hall, receiver, tmp_path):
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver)):
        hall.looked()
        hall.center.health.set_condition("broker", "lost: keep-alive")
        hall.looked()
        hall.later(30, speaks=False)
        eventually(lambda: receiver.got)
        hall.looked()
        assert hall.kinds == [("center", "")]
        hall.center.health.set_condition("broker", "ok")
        hall.looked()
        hall.later(1.1, speaks=False)
        eventually(lambda: len(receiver.got) == 2)
        hall.looked()
        assert hall.kinds == [], "the gateways have ten minutes to be heard again"
    assert receiver.titles[0].startswith("Trung tâm mất kết nối với broker")


def test_a_machine_of_which_its_gateway_knows_nothing(hall, receiver, tmp_path):
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver)):
        hall.does("inj-7", "unknown", "19:10")
        eventually(lambda: receiver.got)
        hall.looked()
        assert hall.kinds == [("no_data", "inj-7")]


def test_several_alerts_of_one_round_are_one_message(hall, receiver, tmp_path):
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver)) as sending:
        sending.sender.stop()
        for machine in MACHINES:
            hall.does(machine, "starved")
        eventually(lambda: len(open_alerts(hall.engine)) == len(MACHINES))
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver)):
        eventually(lambda: receiver.got)
        hall.looked()
    ((_, body),) = receiver.got
    assert body["title"].startswith(f"{len(MACHINES)} cảnh báo – ")
    assert body["message"].count("•") == len(MACHINES)


def test_outside_of_shifts_nothing_is_expected_and_a_stop_counts_from_the_start_of_the_shift(hall, receiver, tmp_path):
    hall.now_ns = at("2026-03-05T05:50")
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver)):
        hall.states = {
            machine: LiveMachine(state="unplanned_stop", since_ns=at("2026-03-04T22:00")) for machine in MACHINES
        }
        hall.speak()
        hall.looked()
        hall.later(24)
        hall.looked()
        assert hall.kinds == [], "the shift began 14 minutes ago"
        hall.later(2)
        eventually(lambda: receiver.got)
        assert open_alerts(hall.engine)[0].since_ns == at("2026-03-05T06:00")
        hall.later(16 * 60)
        hall.looked()
        assert hall.kinds == []
        told = len(receiver.got)
        hall.looked()
    assert told == len(receiver.got), "the end of the shift is no news"
    assert {alert.why for alert in past_alerts(hall.engine, None, 10)} == {"gone"}


# calls


CALL = Notice(
    id="c1", at_ns=at("2026-03-05T19:20"), machine="press-1", kind="call", about="maintenance", by="andon/tablet-1"
)


def step(number, name, when):
    return Notice(
        id=number,
        at_ns=at(f"2026-03-05T{when}"),
        machine="press-1",
        kind="step",
        about=name,
        of="c1",
        by="andon/tablet-2",
    )


def test_a_call_reaches_the_channel_and_is_taken_on_at_the_machine(hall, receiver, tmp_path):
    send = [{"to": ["c0"], "kinds": ["call"], "calls": ["maintenance"]}, {"to": ["c1"], "after": "10min"}]
    with Receiver() as boss:
        model = settings(tmp_path, receiver, boss, send=send)
        with Sending(hall.center, hall.engine, model):
            store_notices(hall.engine, SITE, "main", [CALL])
            eventually(lambda: receiver.got)
            store_notices(hall.engine, SITE, "main", [step("s1", "on_the_way", "19:22")])
            eventually(lambda: open_alerts(hall.engine)[0].acknowledged)
            assert open_alerts(hall.engine)[0].by == "andon/tablet-2", "who said so, not who called"
            hall.later(30)
            hall.looked()
            store_notices(hall.engine, SITE, "main", [step("s2", "solved", "19:40")])
            eventually(lambda: len(receiver.got) == 2)
            hall.looked()
        assert boss.got == []
    assert receiver.titles[0].startswith("Máy dập 1 gọi bảo trì")
    assert "cuộc gọi bảo trì đã xong" in receiver.titles[1]


def test_calls_that_come_late_and_are_over_are_no_alerts(hall, receiver, tmp_path):
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver)):
        store_notices(hall.engine, SITE, "main", [CALL, step("s2", "solved", "19:21")])
        old = CALL.model_copy(update={"id": "c0", "at_ns": at("2026-03-03T08:00")})
        store_notices(hall.engine, SITE, "main", [old])
        hall.looked()
        assert hall.kinds == []


# of the shift


def _aim(hall, **values):
    told = [SaidTarget(SITE, "", "", "", None, kind, value, "hoa", 1) for kind, value in values.items()]
    hall.center.said_targets.connect(lambda site: told if site == SITE else ())


def _row(hall, machine):
    question = Question(EVERYTHING, SITE, (machine,), at("2026-03-05T14:00"), bucket="shift")
    return next(row for row in trend(hall.center, question)["rows"] if row.get("shift") == "B")


@pytest.fixture
def aimed(hall):
    _aim(hall, oee=0.99)
    yield hall
    hall.center.said_targets.connect(lambda _site: ())


def test_an_oee_below_its_target_from_half_shift_on(aimed, receiver, tmp_path):
    hall = aimed
    row = _row(hall, "press-1")
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver, off=["pieces", "coverage"])):
        hall.looked()
        assert hall.kinds == [], "not for a moment"
        hall.later(2.1)
        eventually(lambda: ("oee", "press-1") in hall.kinds)
        eventually(lambda: any("Máy dập 1" in body["title"] + body["message"] for _, body in receiver.got))
        found = next(alert for alert in open_alerts(hall.engine) if alert.key.machine == "press-1")
        assert found.detail["oee"] == pytest.approx(row["kpis"]["oee"])
        assert found.key.about == "2026-03-05 B"
    said = next(body for _, body in receiver.got if "Máy dập 1" in body["title"] + body["message"])
    assert percent(row["kpis"]["oee"], "vi") in said["title"] + said["message"]


def test_before_half_of_the_shift_and_within_the_bounds_oee_is_no_alert(aimed, receiver, tmp_path):
    hall = aimed
    late = {"oee": {"from": "90%"}}
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver, off=["pieces", "coverage"], **late)):
        hall.looked()
        hall.later(3)
        hall.looked()
        assert hall.kinds == []


def test_pieces_behind_and_coverage_whose_gateway_is_sending_what_it_held_up(hall, receiver, tmp_path):
    _aim(hall, pieces=1_000_000)
    model = settings(tmp_path, receiver, off=["oee"], coverage={"below": "100%"})
    with Sending(hall.center, hall.engine, model):
        hall.speak(waiting=30, oldest_ns=hall.now_ns - 10 * MIN)
        hall.looked()
        hall.now_ns += 3 * MIN
        hall.speak(waiting=20, oldest_ns=hall.now_ns - 13 * MIN)
        hall.looked()
        assert not any(alert.key.site == SITE for alert in open_alerts(hall.engine)), "they are on their way"
        hall.later(1.1)
        hall.looked()
        hall.later(2.1)
        eventually(lambda: ("pieces", "press-1") in hall.kinds)
    hall.center.said_targets.connect(lambda _site: ())
    row = _row(hall, "press-1")
    found = next(a for a in open_alerts(hall.engine) if a.key.kind == "pieces" and a.key.machine == "press-1")
    assert found.detail["made"] == row["sums"]["pieces_total"]
    assert found.detail["missing"] == pytest.approx(found.detail["due"] - found.detail["made"])


def test_a_store_that_is_away_ends_no_alert_and_hides_none(aimed, receiver, tmp_path):
    class Away:
        def __init__(self, store):
            self._store, self.away = store, False

        def __getattr__(self, name):
            if self.away and name == "facts":
                raise StoreUnavailable("the test took it away")
            return getattr(self._store, name)

    hall = aimed
    store = Away(hall.center.store)
    hall.center = replace(hall.center, store=store)
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver, off=["pieces", "coverage"])):
        hall.looked()
        hall.later(2.1)
        eventually(lambda: ("oee", "press-1") in hall.kinds)
        hall.looked()  # the round that raises it raises more
        before = hall.kinds
        store.away = True
        hall.later(30)
        eventually(lambda: "took it away" in hall.center.health.condition(alert_job.CONDITION))
        assert hall.kinds == before
        hall.does("inj-7", "breakdown")
        eventually(lambda: ("stop", "inj-7") in hall.kinds)


# channels that break


def test_a_broken_channel_is_said_tried_later_and_later_and_told_once_it_works(hall, receiver, tmp_path):
    port = free_port()
    model = settings(tmp_path, f"json://127.0.0.1:{port}/secret-hook", receiver)
    desk = desk_of(hall, model)
    with Sending(hall.center, hall.engine, model):
        hall.does("press-1", "breakdown")
        eventually(lambda: "c0" in hall.center.health.condition(alert_sender.CONDITION))
        eventually(lambda: receiver.got, what="the other channel")
        hall.looked()
        rows = {row["outlet"]: row for row in desk.outlets(EVERYTHING)}
        assert (rows["c0"]["works"], rows["c0"]["tries"], rows["c1"]["works"]) == (False, 1, True)
        assert "127.0.0.1" in rows["c0"]["why"]["vi"]
        assert "secret-hook" not in str(rows)
        known = alert_messages.outlets(hall.engine)["c0"]
        assert known.next_ns == hall.now_ns + 15 * S
        hall.later(0.3)
        eventually(lambda: alert_messages.outlets(hall.engine)["c0"].tries == 2)
        assert alert_messages.outlets(hall.engine)["c0"].next_ns == hall.now_ns + 30 * S
        with Receiver(port) as mended:
            hall.later(0.6)
            eventually(lambda: mended.got)
            eventually(lambda: hall.center.health.condition(alert_sender.CONDITION) == "ok")
            hall.looked()
            assert len(mended.got) == 1
    assert hall.center.health.counts()["alert_messages_failed"] == 2
    assert len(receiver.got) == 1


def test_a_channel_that_does_not_answer_holds_up_nobody_and_gets_nothing_twice(hall, receiver, tmp_path, monkeypatch):
    with Receiver() as slow:
        slow.free.clear()
        model = settings(tmp_path, slow, receiver)
        monkeypatch.setattr("apprise.url.URLBase.socket_read_timeout", 120.0)
        with Sending(hall.center, hall.engine, model):
            hall.does("press-1", "breakdown")
            eventually(lambda: receiver.got and slow.got)
            hall.later(0.6)
            eventually(lambda: "c0: no answer" in hall.center.health.condition(alert_sender.CONDITION))
            hall.later(5)
            hall.looked()
            assert len(slow.got) == 1, "it may have the message"
            slow.free.set()
            eventually(lambda: hall.center.health.condition(alert_sender.CONDITION) == "ok")
            hall.looked()
            assert len(slow.got) == 1


def test_what_ended_while_its_channel_was_broken_is_not_told_any_more(hall, tmp_path):
    port = free_port()
    model = settings(tmp_path, f"json://127.0.0.1:{port}/hook")
    with Sending(hall.center, hall.engine, model) as sending:
        hall.does("press-1", "breakdown")
        eventually(lambda: "c0" in hall.center.health.condition(alert_sender.CONDITION))
        hall.does("press-1", "running", "19:23")
        hall.looked()
        hall.later(1.1)
        eventually(lambda: hall.kinds == [])
        eventually(lambda: not sending.sender._tries, what="a try that is on its way when the receiver opens arrives")
        with Receiver(port) as mended:
            hall.later(20)
            hall.looked()
            hall.does("inj-7", "breakdown")
            eventually(lambda: mended.got)
            hall.looked()
        assert ["Máy ép nhựa 7" in title for title in mended.titles] == [True]


def test_mail_in_each_ones_language(hall, tmp_path):
    channels = {"vi": {"mail": ["lan@example.vn"]}, "en": {"mail": ["bob@example.com"], "language": "en"}}
    with MailPost() as post:
        mail = MailModel.model_validate(
            {
                "server": f"127.0.0.1:{post.port}",
                "security": "none",
                "sender": "nhip@example.vn",
                "console": "https://nhip.example.vn/",
            }
        )
        model = AlertsModel.model_validate({"channels": channels, "send": [{"to": ["vi", "en"]}], "off": LIVE_ONLY})
        with Sending(hall.center, hall.engine, model, mail):
            hall.does("press-1", "breakdown", reason="die-jam")
            eventually(lambda: len(post.got) == 2)
            hall.looked()
    (lan,), (bob,) = post.mails_to("lan@example.vn"), post.mails_to("bob@example.com")
    assert str(lan["Subject"]).startswith("Máy dập 1 dừng đã")
    assert str(bob["Subject"]).startswith("Press 1 has been standing for")
    assert "Die jam" in bob.get_content()
    assert "https://nhip.example.vn/alerts" in lan.get_content()


def test_a_site_that_has_sent_nothing_yet_is_said(hall, receiver, tmp_path):
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver, sites={"van-lomg": {}})):
        eventually(lambda: "van-lomg" in hall.center.health.condition(alert_job.CONDITION))


def test_a_site_that_makes_the_job_stumble_holds_up_no_other(hall, receiver, tmp_path, monkeypatch):
    """Whatever its gateways say: it is told which one, and the others' alerts come."""
    machines_now = alert_job.machines_now

    def stumbling(center, site, now_ns):
        if site == "hoa-binh":
            raise ZeroDivisionError("a body that nobody foresaw")
        return machines_now(center, site, now_ns)

    monkeypatch.setattr(alert_job, "machines_now", stumbling)
    hall.does("press-1", "breakdown", "19:00")
    with Sending(hall.center, hall.engine, settings(tmp_path, receiver)):
        hall.looked()
        assert hall.kinds == [("stop", "press-1")]
        assert hall.center.health.condition(alert_job.CONDITION).startswith("hoa-binh: ZeroDivisionError")


# several processes, and the tables


def test_two_processes_send_once(made, receiver, tmp_path):
    if "postgresql" not in KINDS:
        pytest.skip("one process owns a SQLite file")
    url = database_url("postgresql", tmp_path)
    engine = open_database(url)
    prepare_alerts(engine)
    open_notices(url).dispose()
    hall = Hall(made, engine)
    model = settings(tmp_path, receiver)
    ledgers = [SqlLedger(open_database(url)) for _ in range(2)]
    try:
        first = Sending(replace(hall.center, ledger=ledgers[0]), engine, model)
        second = Sending(replace(hall.center, ledger=ledgers[1]), engine, model)
        with first, second:
            hall.does("press-1", "breakdown")
            eventually(lambda: receiver.got)
            for number in range(3):
                hall.does(MACHINES[number], "breakdown")
                hall.looked()
            ledgers[0].close()  # as at the end of its process
            first.job.stop()
            first.sender.stop()
            hall.later(5)
            hall.does("inj-8", "breakdown")
            eventually(lambda: any("Máy ép nhựa 8" in str(body) for _, body in receiver.got))
            hall.looked()
    finally:
        for ledger in ledgers:
            ledger.close()
        engine.dispose()
    said = "".join(f"{body['title']} {body['message']}" for _, body in receiver.got)
    for name in ("Máy dập 1", "Máy dập 2", "Máy ép nhựa 7", "Máy ép nhựa 8"):
        assert said.count(f"{name} dừng") >= 1
    assert len(open_alerts(engine)) == 4
    engine.dispose()


def test_of_one_thing_one_alert_is_open_whoever_raises_it(engine):
    alert = AlertRecord(
        "a", AlertKey(SITE, "stop", "press-1"), 1, 2, "main", ("stamping",), detail={"machine": {"vi": "Máy"}}
    )
    assert begin_alert(engine, alert)
    assert not begin_alert(engine, replace(alert, id="b"))
    assert open_alerts(engine) == [alert]
    owed = [Owed("a", "begun", "c0"), Owed("a", "escalated", "c1")]
    assert alert_messages.enqueue(engine, [*owed, *owed], 5) == 2
    assert alert_messages.enqueue(engine, owed, 6) == 0

    def due(_alert, _outlet):
        return 9

    alert_messages.mark_sent(engine, owed[:1], 7, due, {"a": alert})
    assert [item.owed for item in alert_messages.waiting(engine, 8)] == owed[1:]
    assert alert_messages.end_alert(engine, alert, "over", 8, due)
    assert not alert_messages.end_alert(engine, alert, "over", 8, due)
    assert alert_messages.waiting(engine, 8) == []
    assert [item.owed for item in alert_messages.waiting(engine, 9)] == [Owed("a", "ended", "c0")]
    alert_messages.mark_sent(engine, owed[1:], 10, due, {"a": alert})  # it was on its way
    assert [item.owed.outlet for item in alert_messages.waiting(engine, 10)] == ["c0", "c1"]
    assert begin_alert(engine, replace(alert, id="b")), "the next time it is another one"
