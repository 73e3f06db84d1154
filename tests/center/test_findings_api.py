"""Findings over HTTP and by the command: each sees those of their own sites, a dismissal has a reason and an entry."""

import asyncio
import json
from dataclasses import replace

import httpx
import pytest
from advice_plant import SITE, filled, site_body
from click.testing import CliRunner
from histories import NULL, START_NS
from tenants import found_at

import nhip
from center.accounts import audit
from center.api.advice.finding_answers import at_constraint, findings
from center.contract.ledger import Changes
from center.database.declarations import open_declarations
from center.database.findings import advance, kept_findings, open_findings
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.model.kept_finding import KeptFinding
from center.model.sites import SiteRow
from center.model.viewer import EVERYTHING, Viewer
from center.run.application import application
from center.runtime.advice.night import run_night
from oee.advice.finding import Gain

WEEK_NS = 7 * 86_400 * 10**9
WEEKS = 6
END_NS = START_NS + WEEKS * WEEK_NS
LATE = replace(NULL, weeks=WEEKS, late_min=12)
VIEWERS = {
    "reader": Viewer("Lan", frozenset({SITE}), frozenset({"read"})),
    "writer": Viewer("Minh", frozenset({SITE}), frozenset({"read", "write", "aim"})),
    "factory": Viewer("Mai", frozenset({SITE}), frozenset({"read", "write"})),
    "other": Viewer("Hoa", frozenset({"hoa-binh"}), frozenset({"read", "write"})),
}


async def _named(connection):
    return VIEWERS[connection.headers["x-viewer"]]


class Plant:
    """A center in its seventh week, whose machine m-1 starts late."""

    def __init__(self, folder):
        self.center = filled("duckdb", folder, END_NS + 8 * 3600 * 10**9, {"m-1": (LATE, 1)})
        url = f"sqlite:///{folder}/center.sqlite"
        self.engine = open_findings(url)
        ingest = Ingest(self.center, BrokerSettings("127.0.0.1", 9), patient=False)
        declaring = DeclarationSender(open_declarations(url), lambda *_: None, self.center.now_ns)
        self.app = application(self.center, ingest, declaring, identify=_named, findings=self.engine)

    def nights(self, *weeks):
        for week in weeks:
            run_night(self.center, self.engine, START_NS + week * WEEK_NS, lambda *_: True)

    def ask(self, viewer, path, method="GET", **body):
        async def once():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://center") as client:
                return await client.request(
                    method, f"/api/v1{path}", headers={"x-viewer": viewer}, json=body if method == "POST" else None
                )

        return asyncio.run(once())


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    made = Plant(tmp_path_factory.mktemp("findings"))
    assert made.ask("reader", "/findings").json() == {"night": None, "rows": [], "untrusted": []}
    made.nights(4, 6)
    yield made
    made.center.store.close()


def test_a_confirmed_finding_is_said_in_both_languages(plant):
    answer = plant.ask("reader", "/findings").json()
    (row,) = answer["rows"]
    assert (row["rule"], row["key"], row["stage"], row["machine"]) == ("slow_start", ["shift_start"], "open", "m-1")
    assert answer["night"] == "2026-02-16T00:00:00+07:00"
    assert row["says"]["vi"].startswith("Đầu ca: 30 phút đầu mất thêm ")
    assert row["says"]["en"].startswith("At the start of a shift: the first 30 minutes lose ")
    assert "," in row["says"]["vi"]
    assert "{" not in row["says"]["vi"] + row["says"]["en"]
    assert all(row[part][lang] for part in ("name", "question", "doubt", "countermeasure") for lang in ("vi", "en"))
    assert 0 < row["gain_min"]["low"] < row["gain_min"]["high"]
    assert row["at_constraint"] is None
    detail = plant.ask("reader", f"/findings/{row['id']}").json()
    assert {key: detail[key] for key in row} == row
    assert len(detail["evidence"]["series"]["lost_min"]) == detail["evidence"]["n"] >= 60
    assert plant.ask("reader", f"/findings?site={SITE}&machine=m-9").json()["rows"] == []


def test_who_may_not_see_the_site_sees_no_finding(plant):
    (item,) = kept_findings(plant.engine, [SITE])
    assert plant.ask("other", "/findings").json()["rows"] == []
    missing = plant.ask("other", "/findings/0123456789abcdef")
    hidden = plant.ask("other", f"/findings/{item.id}")
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.json()["detail"].replace(item.id, "0123456789abcdef") == missing.json()["detail"]
    assert plant.ask("other", f"/findings/{item.id}/dismiss", "POST", reason="x").status_code == 404
    assert plant.ask("other", f"/findings?site={SITE}").status_code == 404


def test_what_waits_is_seen_by_engineers_alone(tmp_path):
    fresh = Plant(tmp_path)
    fresh.nights(4)
    assert [row["stage"] for row in fresh.ask("writer", "/findings").json()["rows"]] == ["watch"]
    (item,) = kept_findings(fresh.engine, [SITE])
    for who in ("reader", "factory"):
        assert fresh.ask(who, "/findings").json()["rows"] == []
        assert fresh.ask(who, f"/findings/{item.id}").status_code == 404
    refused = fresh.ask("writer", f"/findings/{item.id}/dismiss", "POST", reason="biết rồi")
    assert (refused.status_code, "watch" in refused.json()["detail"]) == (422, True)
    fresh.center.store.close()


def test_a_dismissal_has_a_reason_and_an_entry_in_the_audit_trail(tmp_path):
    mine = Plant(tmp_path)
    mine.nights(4, 6)
    (item,) = kept_findings(mine.engine, [SITE])
    path = f"/findings/{item.id}/dismiss"
    assert mine.ask("reader", path, "POST", reason="họp").status_code == 403
    assert [mine.ask("writer", path, "POST", reason=text).status_code for text in ("", "  ")] == [422, 422]
    assert audit.entries(mine.engine)[0] == []
    answer = mine.ask("writer", path, "POST", reason=" Họp giao ca  đầu giờ, đã tính ").json()
    assert (answer["stage"], answer["reason"], answer["by"]) == ("dismissed", "Họp giao ca đầu giờ, đã tính", "Minh")
    (entry,), _ = audit.entries(mine.engine)
    assert (entry.who, entry.what, entry.about) == ("Minh", "finding.dismissed", f"{SITE}/m-1/slow_start")
    assert entry.detail == {"finding": item.id, "key": ["shift_start"], "reason": "Họp giao ca đầu giờ, đã tính"}
    assert mine.ask("writer", path, "POST", reason="again").status_code == 422
    assert mine.ask("reader", "/findings").json()["rows"] == []
    mine.nights(6)
    assert [row["stage"] for row in mine.ask("writer", "/findings").json()["rows"]] == ["dismissed"]
    mine.center.store.close()


def test_a_machine_that_cannot_be_trusted_is_named_with_the_reason(tmp_path):
    short = Plant(tmp_path)
    short.nights(2)
    answer = short.ask("reader", "/findings").json()
    assert answer["rows"] == []
    (machine,) = answer["untrusted"]
    assert (machine["machine"], machine["why"]) == ("m-1", ["too_short"])
    assert machine["says"]["vi"].startswith("Chưa đủ 3 tuần")
    short.center.store.close()


def test_constraints_come_before_what_brings_more_elsewhere(plant):
    center = plant.center
    lines = {"stamping": {"flow": "serial", "constraint": "m-1"}}
    body = json.dumps(site_body(["m-1", "m-2"], lines=lines))
    changed = SiteRow(SITE, "main", "lines", END_NS, body)
    before = center.ledger_cache.sites
    center.ledger_cache.adopt(Changes(sites=[changed], owners=[replace(before.owner(SITE, "m-1"), machine="m-2")]))
    assert [at_constraint(center, SITE, name) for name in ("m-1", "m-2")] == [True, False]
    (item,) = kept_findings(plant.engine, [SITE])
    more = replace(item.record, finding=replace(item.record.finding, machine="m-2"), told=Gain(500.0, 900.0))
    data = replace(more, finding=replace(more.finding, rule="unknown_rule"), stage="gone")
    rows = [KeptFinding("b", SITE, more), KeptFinding("c", SITE, data), KeptFinding("a", SITE, item.record)]
    answer = findings(center, EVERYTHING, rows, [], None)
    assert [row["id"] for row in answer["rows"]] == ["a", "b", "c"]
    assert answer["rows"][2]["name"]["vi"] == "unknown_rule"


# the command


def center_file(folder):
    file = folder / "center.yaml"
    file.write_text(
        f"broker: mqtt://127.0.0.1:9\nstore: {{kind: duckdb, file: {folder}/facts.duckdb}}\naccounts: 'off'\n"
        f"database: sqlite:///{folder}/center.sqlite\nlisten: 127.0.0.1:9\n"
    )
    return file


def test_the_command_looks_by_hand_where_no_center_runs(tmp_path, monkeypatch):
    plant = Plant(tmp_path)
    plant.center.store.close()
    file = center_file(tmp_path)
    monkeypatch.setattr("center.runtime.advice.night.night_of", lambda *_: END_NS)
    found = CliRunner().invoke(nhip.main, ["advice", str(file), SITE, "--json", "--lang", "en"])
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    assert [row["rule"] for row in answer["rows"]] == ["slow_start"]
    for lang, words in (("vi", ("Khởi động chậm", "Đã xác nhận", "phút")), ("en", ("Slow start", "Confirmed", "min"))):
        shown = CliRunner().invoke(nhip.main, ["advice", str(file), "--lang", lang])
        assert shown.exit_code == 0, shown.output
        assert all(word in shown.output for word in words)
    unknown = CliRunner().invoke(nhip.main, ["advice", str(file), "nowhere", "--lang", "en"])
    assert (unknown.exit_code, "nowhere" in unknown.output) == (1, True)


def test_the_command_shows_what_a_running_center_found(plant, monkeypatch):
    from center.commands.connect import RunningCenter

    asked = []

    def request(_self, path):
        asked.append(path)
        answer = plant.ask("writer", path)
        if answer.status_code == 404:
            raise LookupError(answer.text)
        return answer.json()

    monkeypatch.setattr(RunningCenter, "request", request)
    shown = CliRunner().invoke(nhip.main, ["advice", "http://127.0.0.1:9", SITE, "--lang", "vi"])
    assert shown.exit_code == 0, shown.output
    assert asked == [f"/findings?site={SITE}"]
    assert "Đã xác nhận" in shown.output
    assert CliRunner().invoke(nhip.main, ["advice", "http://127.0.0.1:9", "x", "--lang", "vi"]).exit_code == 1


def test_a_finding_of_a_machine_that_is_retired_is_not_told(tmp_path):
    plant = Plant(tmp_path)
    found_at(plant.engine, SITE)  # of a machine `press` that this site does not have
    assert plant.ask("writer", "/findings").json()["rows"] == []
    advance(plant.engine, 0, SITE, "press", lambda _: [])
    assert kept_findings(plant.engine, [SITE]) == []
    plant.center.store.close()
