"""Actions over HTTP and by the command: who may do what, what is refused, and that nothing of a file runs in a browser."""

import asyncio
import csv
import io
import json
import re
from dataclasses import replace
from urllib.parse import quote

import httpx
import pytest
from action_plant import LATE, PLANS, at
from advice_plant import SITE, filled
from click.testing import CliRunner
from histories import START_NS
from test_findings_api import VIEWERS, center_file

import nhip
from center.accounts import audit
from center.accounts.texts import detail_text
from center.api.advice.action_plans import linked
from center.database.actions import comment, kept_action
from center.database.declarations import open_declarations
from center.database.findings import open_findings
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.model.kept_action import MOST_COMMENTS, MOST_FILE_BYTES, file_name, media_type_of
from center.run.application import application
from center.runtime.advice.judging import run_actions
from center.runtime.advice.night import run_night
from words.actions import verdict_text
from words.catalogue import catalogue

WEEK_NS = 7 * 86_400 * 10**9
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40
BODY = {
    "what": " Danh mục kiểm tra đầu ca ",
    "owner": "Lan",
    "cost": 1_500_000,
    "site": SITE,
    "plan": {
        "machines": ["m-1"],
        "metric": "edge",
        "part": "shift_start",
        "before_from": "2026-01-19",
        "before_to": "2026-02-14",
        "work_from": "2026-02-16",
        "work_to": "2026-02-17",
        "after_from": "2026-02-21",
        "after_to": "2026-03-21",
        "controls": ["m-2"],
        "expected_min": 70,
    },
}


async def _named(connection):
    return VIEWERS[connection.headers["x-viewer"]]


class Plant:
    """A center whose clock can be moved; `minh` is its engineer, `mai` of the factory."""

    def __init__(self, folder, now_ns=None, **lines):
        self.now_ns = now_ns or at(2026, 2, 15)
        self.center = replace(
            filled("duckdb", folder, self.now_ns, PLANS | {"m-3": (replace(LATE, weeks=2), 4)}, **lines),
            now_ns=lambda: self.now_ns,
        )
        url = f"sqlite:///{folder}/center.sqlite"
        self.engine = open_findings(url)
        ingest = Ingest(self.center, BrokerSettings("127.0.0.1", 9), patient=False)
        declaring = DeclarationSender(open_declarations(url), lambda *_: None, self.center.now_ns)
        self.app = application(self.center, ingest, declaring, identify=_named, findings=self.engine)

    def ask(self, viewer, path, method="GET", json=None, content=None, **headers):
        async def once():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://center") as client:
                sent = {"x-viewer": viewer} | headers
                return await client.request(method, f"/api/v1{path}", headers=sent, json=json, content=content)

        return asyncio.run(once())

    def draft(self, **changes):
        plan = BODY["plan"] | changes.pop("plan", {})
        answer = self.ask("writer", "/actions", "POST", BODY | {"plan": plan} | changes)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def unsaid(self):
        """What of the audit trail a reader would see as a name of ours."""
        entries = audit.entries(self.engine)[0]
        keys = {f"audit.what.{entry.what}" for entry in entries}
        keys |= {f"audit.detail.{name}" for entry in entries for name in entry.detail}
        return sorted(keys - catalogue().keys())

    def steps(self):
        return [entry.what for entry in reversed(audit.entries(self.engine)[0])]


@pytest.fixture
def plant(tmp_path):
    made = Plant(tmp_path)
    yield made
    made.center.store.close()


def test_a_draft_tells_what_its_plan_can_show_and_is_frozen_when_registered(plant):
    draft = plant.draft()
    assert (draft["what"], draft["state"], draft["exploratory"]) == ("Danh mục kiểm tra đầu ca", "draft", False)
    assert (draft["told"]["days_before"], draft["told"]["days_after"]) == (24, 25)
    assert draft["told"]["sees_expected"] is True
    assert draft["plan"]["name"] == {"vi": "Phút mất lúc đầu ca", "en": "Minutes lost at the start of a shift"}
    path = f"/actions/{draft['id']}"
    assert plant.ask("factory", f"{path}/register", "POST").status_code == 403
    frozen = plant.ask("writer", f"{path}/register", "POST").json()
    assert (frozen["state"], frozen["frozen"][0]["by"], len(frozen["frozen"][0]["digest"])) == (
        "registered",
        "Minh",
        64,
    )
    refused = plant.ask("writer", f"{path}/register", "POST")
    assert (refused.status_code, "draft" in refused.json()["detail"]) == (422, True)
    words = {name: BODY[name] for name in ("what", "owner")}
    other = BODY["plan"] | {"after_to": "2026-03-28"}
    assert plant.ask("writer", path, "PUT", words | {"plan": other}).status_code == 422
    edited = plant.ask("writer", path, "PUT", words | {"owner": "Hoa", "plan": BODY["plan"]}).json()
    assert (edited["owner"], edited["frozen"]) == ("Hoa", frozen["frozen"])
    revised = plant.ask("writer", f"{path}/revise", "POST", other).json()
    assert (revised["exploratory"], len(revised["frozen"])) == (True, 2)
    plant.now_ns = at(2026, 4, 2)
    run_actions(plant.center, plant.engine, lambda *_: True)
    judged = plant.ask("reader", path).json()
    assert (judged["state"], judged["verdict"]["result"], judged["exploratory"]) == ("judged", "verified", True)
    assert judged["first_verdict"]["result"] == "verified"
    done = plant.ask("writer", f"{path}/standardise", "POST", {"text": "WI-7 rev. 3"}).json()
    assert (done["state"], done["note"]) == ("standardised", "WI-7 rev. 3")
    steps = ["drafted", "registered", "edited", "revised", "standardised"]
    assert plant.steps() == [f"action.{step}" for step in steps]
    assert plant.unsaid() == []
    assert "Đã thành tiêu chuẩn" in detail_text(audit.entries(plant.engine)[0][0], "vi")
    told = [note["kind"] for note in done["history"]]
    assert told == ["drafted", "registered", "edited", "revised", "judged", "judged_first", "standardised"]


def test_a_verdict_is_said_in_both_languages_with_its_interval(plant):
    number = plant.draft()["id"]
    plant.ask("writer", f"/actions/{number}/register", "POST")
    plant.now_ns = at(2026, 3, 10)
    run_actions(plant.center, plant.engine, lambda *_: True)
    measuring = plant.ask("reader", f"/actions/{number}").json()
    assert (measuring["state"], measuring["verdict"]) == ("measuring", None)
    assert max(measuring["progress"]["day"]) == "2026-03-09"
    plant.now_ns = at(2026, 3, 25)
    run_actions(plant.center, plant.engine, lambda *_: True)
    verdict = plant.ask("reader", f"/actions/{number}").json()["verdict"]
    assert verdict["name"] == {"vi": "Đã chứng minh", "en": "Shown"}
    number_of = r"−?\d+,\d"
    sentence = rf"Phút mất lúc đầu ca từ {number_of} phút thành {number_of} phút; do hành động: {number_of} phút \(từ "
    assert re.match(sentence, verdict["says"]["vi"])
    assert "minutes a week" in verdict["says"]["en"]
    assert "good pieces a week" in verdict["says"]["en"]
    assert verdict["minutes"]["low"] < 144 < verdict["minutes"]["high"]
    assert len(verdict["series"]["day"]) == len(verdict["series"]["control"]) == 49
    whole = plant.ask("reader", "/actions").json()["total"]
    assert whole["counts"]["verified"] == 1
    assert whole["minutes"]["value"] == pytest.approx(verdict["minutes"]["value"], abs=0.1)
    rows = csv.DictReader(io.StringIO(plant.ask("reader", "/actions?format=csv").content.decode("utf-8-sig")))
    (row,) = rows
    assert (row["result"], row["machines"], row["before_from"]) == ("verified", "m-1", "2026-01-19")
    assert float(row["minutes_low"]) == pytest.approx(verdict["minutes"]["low"])
    excel = plant.ask("reader", f"/actions?format=xlsx&site={SITE}")
    assert excel.content.startswith(b"PK")
    assert plant.ask("reader", "/actions?state=measuring").json()["rows"] == []


@pytest.mark.parametrize("result", ["likely", "not_shown", "worse", "unknown"])
@pytest.mark.parametrize("metric", ["oee", "failures", "setup"])
def test_each_verdict_has_a_sentence_without_holes(result, metric):
    limits = {"value": 0.5, "low": 0.2, "high": 1.1}
    verdict = {
        "result": result,
        "change": None if result == "unknown" else limits,
        "before": 0.6,
        "after": 0.5,
        "minutes": limits,
        "pieces": None,
        "least": 0.3,
        "days_needed": 40,
        "why": ["few_days"],
    }
    for lang in ("vi", "en"):
        text = verdict_text(metric, "", verdict, lang, {})
        assert "{" not in text
        assert text.endswith(".")
        assert ("40" in text) == (result == "not_shown")


def test_who_may_see_and_who_may_act(plant):
    number = plant.draft()["id"]
    path = f"/actions/{number}"
    assert plant.ask("other", "/actions").json()["rows"] == []
    missing, hidden = plant.ask("other", "/actions/0123456789abcdef"), plant.ask("other", path)
    assert (missing.status_code, hidden.status_code) == (404, 404)
    assert hidden.json()["detail"].replace(number, "0123456789abcdef") == missing.json()["detail"]
    for step in ("comment", "give_up"):
        assert plant.ask("other", f"{path}/{step}", "POST", {"text": "x"}).status_code in (403, 404)
    assert plant.ask("other", f"{path}/files?name=a.png", "POST", content=PNG).status_code == 404
    assert plant.ask("other", f"/actions?site={SITE}").status_code == 404
    assert plant.ask("factory", "/actions", "POST", BODY).status_code == 403
    assert plant.ask("factory", path, "PUT", BODY).status_code == 403
    assert plant.ask("factory", f"{path}/give_up", "POST", {"text": "x"}).status_code == 403
    assert plant.ask("reader", f"{path}/comment", "POST", {"text": "x"}).status_code == 403
    said = plant.ask("factory", f"{path}/comment", "POST", {"text": " Đã đặt hàng cảm biến "}).json()
    assert [(note["who"], note["kind"], note["text"]) for note in said["history"]][-1] == (
        "Mai",
        "comment",
        "Đã đặt hàng cảm biến",
    )
    assert plant.ask("factory", f"{path}/comment", "POST", {"text": "  "}).status_code == 422
    assert plant.ask("writer", f"{path}/give_up", "POST", {"text": "hết tiền"}).json()["state"] == "given_up"
    assert plant.ask("writer", f"{path}/give_up", "POST", {"text": "again"}).status_code == 422
    assert plant.steps() == ["action.drafted", "action.comment", "action.given_up"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"machines": ["nobody"]}, 404),
        ({"controls": ["m-1"]}, 422),
        ({"metric": "luck"}, 422),
        ({"metric": "loss", "part": ""}, 422),
        ({"before_to": "2026-01-20"}, 422),
        ({"after_from": "2026-02-18"}, 422),
        ({"machines": []}, 422),
        ({"settle_days": 99}, 422),
    ],
)
def test_a_plan_that_says_nothing_is_refused(plant, change, status):
    answer = plant.ask("writer", "/actions", "POST", BODY | {"plan": BODY["plan"] | change})
    assert answer.status_code == status
    assert plant.ask("writer", "/actions").json()["rows"] == []


def test_a_machine_that_is_changed_or_linked_is_no_control(tmp_path):
    lines = {"stamping": {"flow": "serial", "constraint": "m-2", "name": {"vi": "Dập", "en": "Stamping"}}}
    serial = Plant(tmp_path / "serial", lines=lines)
    assert linked(serial.center, SITE, "m-1", "m-2")
    assert serial.ask("writer", "/actions", "POST", BODY).status_code == 422
    proposal = serial.ask("writer", f"/actions/proposal?site={SITE}&machine=m-1").json()
    assert proposal["controls"] == []
    serial.center.store.close()
    plant = Plant(tmp_path / "parallel")
    plant.ask("writer", f"/actions/{plant.draft()['id']}/register", "POST")
    mirrored = {"machines": ["m-2"], "controls": ["m-1"]}
    answer = plant.ask("writer", "/actions", "POST", BODY | {"plan": BODY["plan"] | mirrored})
    assert (answer.status_code, "acted" in answer.json()["detail"]) == (422, True)
    assert plant.ask("writer", f"/actions/proposal?site={SITE}&machine=m-2").json()["controls"] == ["m-3"]
    plant.center.store.close()


def test_a_finding_leads_to_a_plan_that_can_be_registered_as_it_is(plant):
    for week in (4, 6):
        run_night(plant.center, plant.engine, START_NS + week * WEEK_NS, lambda *_: True)
    found = next(row for row in plant.ask("writer", "/findings").json()["rows"] if row["machine"] == "m-1")
    plan = plant.ask("writer", f"/actions/proposal?finding={found['id']}").json()
    assert (plan["machines"], plan["metric"], plan["part"]) == (["m-1"], "edge", "shift_start")
    assert plan["before_from"] == "2026-02-16", "the day after those by which it was chosen"
    assert plan["expected_min"] == found["gain_min"]["low"]
    body = {"what": "x", "owner": "Lan", "site": SITE, "finding": found["id"], "plan": plan}
    draft = plant.ask("writer", "/actions", "POST", body).json()
    assert draft["plan"]["fresh"] is True
    after = plant.ask("reader", f"/findings/{found['id']}").json()
    assert (after["stage"], after["action"], after["by"]) == ("in_action", draft["id"], "Minh")
    again = plant.ask("writer", "/actions", "POST", body)
    assert (again.status_code, "action already" in again.json()["detail"]) == (422, True)
    assert plant.ask("writer", f"/findings/{found['id']}/dismiss", "POST", {"reason": "x"}).status_code == 422
    plant.ask("writer", f"/actions/{draft['id']}/give_up", "POST", {"text": "x"})
    assert plant.ask("reader", f"/findings/{found['id']}").json()["stage"] == "open"
    stale = plan | {"before_from": "2026-01-19", "before_to": "2026-02-14"}
    assert plant.ask("writer", "/actions", "POST", body | {"plan": stale}).json()["plan"]["fresh"] is False
    assert plant.ask("writer", "/actions", "POST", body | {"finding": "0123456789abcdef"}).status_code == 404


def test_files_are_bounded_known_by_their_content_and_never_run(plant):
    path = f"/actions/{plant.draft()['id']}/files"
    evil = "../../a<b>.svg\r\nX: y"
    filed = plant.ask("factory", f"{path}?name={quote(evil)}", "POST", content=PNG)
    assert filed.status_code == 200, filed.text
    file = filed.json()
    assert (file["media_type"], file["size"]) == ("image/png", len(PNG))
    got = plant.ask("reader", f"{path}/{file['id']}")
    assert got.content == PNG
    assert got.headers["content-type"] == "image/png"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    assert got.headers["content-disposition"].startswith("inline; filename=")
    assert "\n" not in got.headers["content-disposition"]
    pdf = plant.ask("factory", f"{path}?name=phiếu.pdf", "POST", content=b"%PDF-1.7 ...").json()
    assert plant.ask("reader", f"{path}/{pdf['id']}").headers["content-disposition"].startswith("attachment")
    for content in (b"<svg onload=alert(1)>", b"<html>", b"", b"PK\x03\x04", b"RIFF\x00\x00\x00\x00WAVE"):
        assert plant.ask("factory", f"{path}?name=a.png", "POST", content=content).status_code == 422
    large = plant.ask("factory", f"{path}?name=a.png", "POST", content=PNG + bytes(MOST_FILE_BYTES))
    assert (large.status_code, "8 MB" in large.json()["detail"]) == (422, True)
    whole = plant.ask("factory", f"{path}?name=c.png", "POST", content=PNG + bytes(300_000))
    assert whole.json()["size"] == len(PNG) + 300_000
    assert plant.ask("reader", f"{path}?name=a.png", "POST", content=PNG).status_code == 403
    assert plant.ask("other", f"{path}/{file['id']}").status_code == 404
    assert plant.ask("reader", f"{path}/nothing").status_code == 404
    for _ in range(9):
        assert plant.ask("factory", f"{path}?name=b.png", "POST", content=PNG).status_code == 200
    full = plant.ask("factory", f"{path}?name=b.png", "POST", content=PNG)
    assert (full.status_code, "12 files" in full.json()["detail"]) == (422, True)
    assert plant.unsaid() == []


def test_comments_are_bounded_and_no_step_of_the_action_is_among_them(plant):
    """A factory's account may write them, and all stand on the page of everybody."""
    draft = plant.draft()["id"]
    path = f"/actions/{draft}/comment"
    item = kept_action(plant.engine, draft)
    for number in range(MOST_COMMENTS):
        comment(plant.engine, item, f"c{number}", "Mai", number, lambda *_: None)
    full = plant.ask("factory", path, "POST", {"text": "one more"})
    assert (full.status_code, "300 comments" in full.json()["detail"]) == (422, True)
    assert plant.ask("writer", f"/actions/{draft}/register", "POST").status_code == 200
    assert plant.ask("writer", f"/actions/{draft}/give_up", "POST", {"text": "enough"}).status_code == 200
    assert plant.unsaid() == []


def test_names_and_types_of_files():
    assert file_name("..\\..\\x/ảnh máy.png") == "ảnh máy.png"
    assert file_name('a"b;c\r\n%00.png') == "abc00.png"
    assert file_name("...") == "file"
    assert len(file_name("x" * 500)) == 100
    assert media_type_of(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert media_type_of(b"RIFF\x00\x00\x00\x00WEBPVP8 ") == "image/webp"
    assert media_type_of(b"GIF89a") is None


# the command


def test_the_command_judges_what_is_due_where_no_center_runs(tmp_path):
    plant = Plant(tmp_path)
    number = plant.draft()["id"]
    plant.ask("writer", f"/actions/{number}/register", "POST")
    plant.center.store.close()
    file = center_file(tmp_path)
    found = CliRunner().invoke(nhip.main, ["actions", str(file), SITE, "--json", "--lang", "en"])
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    assert [row["verdict"]["result"] for row in answer["rows"]] == ["verified"], "the clock is past its window"
    for lang, words in (("vi", ("Đã chứng minh", "kể cả thất bại")), ("en", ("Shown", "failures included"))):
        shown = CliRunner().invoke(nhip.main, ["actions", str(file), "--lang", lang], terminal_width=200)
        assert shown.exit_code == 0, shown.output
        assert all(word in " ".join(shown.output.split()) for word in words), shown.output
    unknown = CliRunner().invoke(nhip.main, ["actions", str(file), "nowhere", "--lang", "en"])
    assert (unknown.exit_code, "nowhere" in unknown.output) == (1, True)


def test_the_command_shows_what_a_running_center_has(plant, monkeypatch):
    from center.commands.connect import RunningCenter

    monkeypatch.setattr(RunningCenter, "request", lambda _self, path: plant.ask("writer", path).json())
    none = CliRunner().invoke(nhip.main, ["actions", "http://127.0.0.1:9", "--lang", "vi"])
    assert "Chưa có hành động nào" in none.output
    plant.draft()
    shown = CliRunner().invoke(nhip.main, ["actions", "http://127.0.0.1:9", SITE, "--lang", "vi"])
    assert shown.exit_code == 0, shown.output
    assert "Bản nháp" in shown.output
