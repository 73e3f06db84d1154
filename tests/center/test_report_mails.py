"""Reports by mail, handed to a real SMTP server: once each, also after a time without a center or without a mail server."""

import io
import json
import ssl
import time
from dataclasses import replace
from datetime import date, datetime
from email import message_from_bytes
from email.policy import default
from zoneinfo import ZoneInfo

import certificates
import console_plant as plant
import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from postgres_plant import KINDS, database_url
from pypdf import PdfReader
from servers import eventually, free_port

import config
import nhip
from center.api.app import create_app
from center.console.delivery import cards as delivery_cards
from center.database import report_mails
from center.database.report_mails import ReportMail, Subscription, prepare_report_mails
from center.database.sql import open_database, reading
from center.model.viewer import EVERYTHING
from center.outgoing.reports.api import add_report_mails
from center.outgoing.reports.asked import ReportQuestion, report
from center.outgoing.reports.due import after_failure, due_mails
from center.outgoing.reports.job import CONDITION, ReportMailJob
from center.outgoing.reports.sheet import sheet
from config.mail import MailModel, ReportMailModel
from oee.model.calendars import to_ns
from words import number, say

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
SITE = "van-long"
HOUR_NS = 3_600_000_000_000
_S_NS = 1_000_000_000


def at(text):
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=ZONE))


class Post:
    """A mail server. refuse: answers to RCPT by recipient."""

    def __init__(self, port=None, **options):
        self.got, self.refuse, self.port, self.logins = [], {}, port or free_port(), []
        self._options = options
        self._controller = None

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # aiosmtpd's name
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, session, envelope):
        self.got.append(
            (envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default), session.ssl is not None)
        )
        return "250 taken"

    def check(self, _server, _session, _envelope, _mechanism, data):
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"dung mat khau", handled=False)

    def __enter__(self):
        post = self

        class Here(Controller):
            def factory(self):
                return SMTP(post, **post._options)

        self._controller = Here(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()
        return self

    def __exit__(self, *_):
        self._controller.stop()

    def mails_to(self, name):
        return [message for to, message, _ in self.got if to == [name]]


@pytest.fixture
def clock():
    return [at("2026-03-05T13:00")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    center = plant.make(tmp_path_factory.mktemp("mails") / "facts.duckdb", 3, at("2026-03-05T19:23"))
    yield center
    center.store.close()


@pytest.fixture
def center(made, clock):
    from center.runtime.health import CenterHealth

    return replace(made, now_ns=lambda: clock[0], health=CenterHealth())


@pytest.fixture
def engine(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / 'mails.sqlite'}")
    prepare_report_mails(opened)
    yield opened
    opened.dispose()


def settings(port, **more):
    return MailModel.model_validate(
        {"server": f"127.0.0.1:{port}", "sender": "nhip@example.vn", "security": "none", **more}
    )


def wanted(*to, **more):
    return ReportMailModel.model_validate({"site": SITE, "to": list(to) or ["lan@example.vn"], **more})


class Running:
    """A job that is stopped at the end of the block."""

    def __init__(self, center, engine, mail, *reports):
        self.job = ReportMailJob(center, engine, mail, reports, idle_s=0.02)

    def __enter__(self):
        self.job.start()

    def __exit__(self, *_):
        self.job.stop()


def begun(engine):
    """Waits for a first round: from then on reports are for the subscribers."""
    from sqlalchemy import select

    with reading(engine) as connection:
        return eventually(lambda: connection.execute(select(report_mails.SUBSCRIPTIONS)).first())


def looked(center):
    """Waits until a whole round has been made since now."""
    for _ in range(2):  # the first may have begun before
        center.health.set_condition(CONDITION, "not looked yet")
        eventually(lambda: center.health.condition(CONDITION) == "ok")


def states(engine):
    return [(row.day.isoformat(), row.shift, row.to.recipient, row.state) for row in report_mails.latest(engine, SITE)]


def test_a_mail_at_the_end_of_each_shift_to_each_once_with_its_pdf(center, engine, clock):
    reports = (wanted("lan@example.vn", "hoa@example.vn"), wanted("bob@example.com", language="en", line="stamping"))
    with Post() as post:
        mail = settings(post.port, console="https://nhip.example.vn/")
        with Running(center, engine, mail, *reports):
            begun(engine)
            clock[0] = at("2026-03-05T14:09")
            looked(center)
            assert post.got == [], "the last minutes may still arrive"
            clock[0] = at("2026-03-05T14:11")
            eventually(lambda: len(post.got) == 3)
        with Running(center, engine, mail, *reports):
            clock[0] = at("2026-03-05T14:30")
            looked(center)
            assert not report_mails.waiting(engine)
        assert len(post.got) == 3, "not again after a restart"
    assert {row[3] for row in states(engine)} == {"sent"}
    (lan,), (bob,) = post.mails_to("lan@example.vn"), post.mails_to("bob@example.com")
    for message, lang, line in ((lan, "vi", ""), (bob, "en", "stamping")):
        told = report(center, ReportQuestion(EVERYTHING, SITE, date(2026, 3, 5), "A", line))
        shown = sheet(told, lang)
        assert str(message["Subject"]) == shown.title
        assert (message["From"].addresses[0].addr_spec, message["Auto-Submitted"]) == (
            "nhip@example.vn",
            "auto-generated",
        )
        html = message.get_body(("html",)).get_content()
        text = message.get_body(("plain",)).get_content()
        (attached,) = message.iter_attachments()
        pdf = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(attached.get_content())).pages)
        for form in (html, text, pdf):
            assert say("report.results", lang) in form
            assert number(told["pieces"]["pieces"], lang) in form
            for row in told["machines"]:
                assert row["machine_name"][lang] in form
        assert "https://nhip.example.vn/report/van-long?date=2026-03-05&amp;shift=A" in html
        assert attached.get_filename() == f"nhip-van-long-{'stamping-' if line else ''}2026-03-05-A.pdf"
    assert lan["Message-ID"] != post.mails_to("hoa@example.vn")[0]["Message-ID"]


def test_what_ended_while_the_center_was_down_is_sent_when_it_is_up_and_nothing_older(center, engine, clock):
    with Post() as post:
        mail = settings(post.port)
        clock[0] = at("2026-03-04T13:00")
        with Running(center, engine, mail, wanted()):
            begun(engine)
        clock[0] = at("2026-03-05T19:00")
        with Running(center, engine, mail, wanted()):
            eventually(lambda: len(post.got) == 3)
            looked(center)
    days = [(row[0], row[1]) for row in reversed(states(engine))]
    assert days == [("2026-03-04", "A"), ("2026-03-04", "B"), ("2026-03-05", "A")]
    assert str(post.got[0][1]["Subject"]).endswith("04/03/2026")


def test_one_mail_a_day_after_its_last_shift(center, engine, clock):
    with Post() as post, Running(center, engine, settings(post.port), wanted(each="day", after="30min")):
        begun(engine)
        clock[0] = at("2026-03-05T22:29")
        eventually(lambda: center.health.condition(CONDITION) == "ok")
        assert states(engine) == []
        clock[0] = at("2026-03-05T22:31")
        eventually(lambda: post.got)
    assert say("report.whole_day", "vi", day="T5 05/03/2026") in str(post.got[0][1]["Subject"])
    assert states(engine) == [("2026-03-05", "", "lan@example.vn", "sent")]


def test_a_mail_server_that_is_away_is_said_and_tried_again_later_and_later(center, engine, clock):
    port = free_port()
    with Running(center, engine, settings(port), wanted("lan@example.vn", "zoe@example.vn")):
        begun(engine)
        clock[0] = at("2026-03-05T14:11")
        eventually(lambda: f"127.0.0.1:{port}" in center.health.condition(CONDITION))
        first = eventually(lambda: next((row for row in report_mails.waiting(engine) if row.tries), None))
        assert (first.tries, first.next_ns) == (1, clock[0] + 30 * _S_NS)
        clock[0] += 31 * _S_NS
        eventually(lambda: report_mails.waiting(engine)[0].tries == 2)
        assert report_mails.waiting(engine)[0].next_ns == clock[0] + 60 * _S_NS
        with Post(port) as post:
            assert [row.tries for row in report_mails.waiting(engine)] == [2, 0], "one is enough to find out"
            clock[0] += 61 * _S_NS
            eventually(lambda: len(post.got) == 2)
            eventually(lambda: center.health.condition(CONDITION) == "ok")
    assert {row[3] for row in states(engine)} == {"sent"}


def test_an_address_that_the_server_cannot_write_holds_up_nobody(center, engine, clock):
    both = wanted("an-lân@example.vn", "minh@example.vn")
    with Post(enable_SMTPUTF8=False) as post, Running(center, engine, settings(post.port), both):
        begun(engine)
        clock[0] = at("2026-03-05T14:11")
        eventually(lambda: len(states(engine)) == 2 and not report_mails.waiting(engine))
    assert {row[2]: row[3] for row in states(engine)} == {"an-lân@example.vn": "refused", "minh@example.vn": "sent"}
    assert len(post.mails_to("minh@example.vn")) == 1


def test_what_is_refused_for_ever_is_kept_with_the_reason_and_holds_up_nobody(center, engine, clock):
    with Post() as post:
        post.refuse = {"gone@example.vn": "550 no such mailbox", "full@example.vn": "452 mailbox full"}
        with Running(
            center, engine, settings(post.port), wanted("gone@example.vn", "full@example.vn", "lan@example.vn")
        ):
            begun(engine)
            clock[0] = at("2026-03-05T14:11")
            eventually(lambda: post.got)
            eventually(lambda: "452 mailbox full" in center.health.condition(CONDITION))
            found = {row.to.recipient: row for row in report_mails.latest(engine, SITE)}
            assert {name: row.state for name, row in found.items()} == {
                "gone@example.vn": "refused", "full@example.vn": "waiting", "lan@example.vn": "sent",
            }  # fmt: skip
            assert found["gone@example.vn"].why == "550 no such mailbox"
            post.refuse = {}
            clock[0] += 31 * _S_NS
            eventually(lambda: len(post.got) == 2)
    assert [to for to, _, _ in post.got] == [["lan@example.vn"], ["full@example.vn"]]


def test_a_report_that_cannot_be_made_holds_up_no_other(center, engine, clock):
    class Broken:
        """A store that fails in a way that nobody foresaw, for the facts of one site."""

        def __init__(self, store):
            self._store = store

        def __getattr__(self, name):
            return getattr(self._store, name)

        def facts(self, query):
            if query.site == "hoa-binh":
                raise RuntimeError("nobody foresaw this")
            return self._store.facts(query)

    center = replace(center, store=Broken(center.store))
    broken = replace_site(wanted("a@example.vn"), "hoa-binh")
    with Post() as post, Running(center, engine, settings(post.port), broken, wanted()):
        begun(engine)
        clock[0] = at("2026-03-05T14:11")
        eventually(lambda: post.got)
        eventually(lambda: "nobody foresaw this" in center.health.condition(CONDITION))
    assert center.health.counts()["mail_errors"] >= 1


def test_starttls_and_login_and_what_is_wrong_with_them(center, engine, clock, tmp_path):
    authority = certificates.Authority(tmp_path)
    certificate, key = authority.issue("mail")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    password = tmp_path / "password"
    password.write_text("sai")
    clock[0] = at("2026-03-05T13:00")
    post = Post(tls_context=context, require_starttls=True, auth_required=True)
    post._options["authenticator"] = post.check
    with post:
        secure = {"security": "starttls", "username": "nhip", "password_file": str(password)}
        with Running(center, engine, settings(post.port, **secure), wanted()):
            begun(engine)
            clock[0] = at("2026-03-05T14:11")
            eventually(lambda: "certificate verify failed" in center.health.condition(CONDITION).lower())
        assert post.logins == [], "no password to a server that is not the one"
        with Running(center, engine, settings(post.port, **secure, ca_file=str(authority.file)), wanted()):
            clock[0] += 31 * _S_NS
            eventually(lambda: "535" in center.health.condition(CONDITION))
            password.write_text("dung mat khau\n")
            clock[0] += 3600 * _S_NS
            eventually(lambda: post.got)
    assert post.logins[-1] == ("nhip", "dung mat khau")
    assert post.got[0][2], "encrypted"


def test_a_site_that_nobody_knows_is_said(center, engine, clock):
    with Post() as post, Running(center, engine, settings(post.port), replace_site(wanted(), "nowhere")):
        eventually(lambda: "nowhere" in center.health.condition(CONDITION))


def replace_site(model, site):
    return model.model_copy(update={"site": site})


@given(st.integers(0, 40), st.floats(60, 1e6))
def test_the_pauses_grow_and_have_an_end(count, give_up_s):
    mail, now_ns = ReportMail(Subscription(SITE, "", "shift", "a@b"), date(2026, 3, 5), "A"), 0
    pauses = []
    for _ in range(count):
        mail = after_failure(mail, "away", now_ns, give_up_s)
        if mail.state != "waiting":
            assert now_ns > give_up_s * _S_NS
            break
        pauses.append(mail.next_ns - now_ns)
        now_ns = mail.next_ns
    assert pauses == sorted(pauses)
    assert all(30 * _S_NS <= pause <= 1800 * _S_NS for pause in pauses)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_is_written_down_once(kind, tmp_path):
    engine = open_database(database_url(kind, tmp_path))
    prepare_report_mails(engine)
    to = Subscription(SITE, "", "shift", "lan@example.vn")
    mail = ReportMail(to, date(2026, 3, 5), "A", due_ns=5, next_ns=5, at_ns=6)
    assert report_mails.since_of(engine, [to, to], 7) == {to: 7}
    assert report_mails.since_of(engine, [to], 99) == {to: 7}
    assert report_mails.enqueue(engine, [mail, mail]) == 1
    sent = replace(mail, state="sent", tries=2, why="")
    report_mails.save(engine, sent)
    assert report_mails.enqueue(engine, [mail]) == 0
    assert report_mails.waiting(engine) == []
    assert report_mails.latest(engine, SITE) == [sent]
    assert report_mails.latest(engine, "hoa-binh") == []
    engine.dispose()


def test_only_reports_that_are_not_too_old_are_due(center, clock):
    model = wanted(give_up="1h")
    to = Subscription(SITE, "", "shift", "lan@example.vn")
    for text, count in (("14:09", 0), ("14:10", 1), ("15:10", 1), ("15:11", 0)):
        clock[0] = at(f"2026-03-05T{text}")
        assert len(due_mails(center, model, {to: 0})) == count, text
    assert due_mails(center, model, {to: at("2026-03-05T14:00")}) == []


def test_the_center_sends_what_its_file_says(tmp_path):
    """The whole process: its file, its store, its database; the shift ended a minute ago."""
    import subprocess
    import sys

    from center_plant import mosquitto

    now_s = time.time_ns() // _S_NS // 60 * 60
    made = plant.make(tmp_path / "nhip.duckdb", 1, (now_s - 60) * _S_NS)
    made.store.close()
    local = datetime.fromtimestamp(now_s, ZONE)
    ended = [hour for hour in (14, 22) if hour <= local.hour] or [22]
    after_s = (local.hour * 3600 + local.minute * 60 - ended[-1] * 3600) % 86_400 - 60
    with Post() as post, mosquitto(tmp_path) as broker:
        (tmp_path / "center.yaml").write_text(f"""
broker: mqtt://127.0.0.1:{broker}
accounts: 'off'
listen: 127.0.0.1:{free_port()}
store: {{kind: duckdb, file: nhip.duckdb}}
mail: {{server: "127.0.0.1:{post.port}", security: none, sender: nhip@example.vn}}
reports: [{{site: {SITE}, to: [lan@example.vn], after: {max(after_s, 0)}s}}]
""")
        settings_ = config.load_center(tmp_path / "center.yaml")
        engine = open_database(settings_.database_url)
        prepare_report_mails(engine)
        report_mails.since_of(engine, [Subscription(SITE, "", "shift", "lan@example.vn")], 1)
        engine.dispose()
        command = [sys.executable, "-m", "nhip", "center", str(tmp_path / "center.yaml")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: post.got or process.poll() is not None)
            told = CliRunner().invoke(nhip.main, ["report", str(tmp_path / "center.yaml"), SITE, "--json"])
            assert told.exit_code == 0, told.output
            title = sheet(json.loads(told.output), "vi").title  # the running center answers for the command too
            eventually(lambda: title in [str(message["Subject"]) for _, message, _ in post.got])
        finally:
            process.terminate()
            process.wait()
    assert "Nhựa Vân Long" in title


@pytest.mark.parametrize("lang", ["vi", "en"])
async def test_the_delivery_page_and_the_api_say_what_became_of_each(center, engine, clock, lang):
    to = Subscription(SITE, "", "shift", "lan@example.vn")
    mails = [
        ReportMail(to, date(2026, 3, 5), "A", "waiting", 9, 3, 10, clock[0], "127.0.0.1:25: <b>away</b>"),
        ReportMail(to, date(2026, 3, 4), "B", "sent", 8, 0, 8, clock[0]),
        ReportMail(to, date(2026, 3, 4), "A", "refused", 7, 1, 7, clock[0], "550 no such mailbox"),
    ]
    report_mails.enqueue(engine, mails)
    app = create_app(center)
    add_report_mails(app, center, engine)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        rows = (await client.get("/api/v1/report-mails", params={"site": SITE})).json()
        assert (await client.get("/api/v1/report-mails", params={"site": "nowhere"})).status_code == 404
    assert [(row["date"], row["shift"], row["state"], row["tries"]) for row in rows] == [
        ("2026-03-05", "A", "waiting", 3), ("2026-03-04", "B", "sent", 0), ("2026-03-04", "A", "refused", 1),
    ]  # fmt: skip
    drawn = str(delivery_cards.mails(rows, lang))
    assert "&lt;b&gt;away&lt;/b&gt;" in drawn
    for state in ("waiting", "sent", "refused"):
        assert say(f"delivery.mail.{state}", lang, at="@").split("@")[0].strip() in drawn
    assert delivery_cards.mails([], lang) == ""
