"""Monthly reports and the maintenance plan at the center: issued once, corrected by revisions, signed, and read by whom they concern."""

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from types import SimpleNamespace

import console_plant as plant
import httpx
import numpy as np
import pytest
from month_plant import month_content
from postgres_plant import KINDS, database_url
from pypdf import PdfReader

from center.accounts import audit
from center.contract.store import Origin, RowBatch
from center.database.declarations import open_declarations
from center.database.maintenance import (
    DoneTask,
    KeptTask,
    done_of,
    end_task,
    mark_done,
    new_task,
    prepare_maintenance,
    tasks_of,
)
from center.database.month_issues import (
    FILES,
    ISSUES,
    ChangedIssue,
    IssuedMeanwhile,
    IssuedMonth,
    MonthSignature,
    SignedAlready,
    add_issue,
    add_signature,
    content_of_issue,
    file_of_issue,
    issues_of,
    prepare_month_issues,
    signatures_of,
)
from center.database.sql import open_database, writing
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.model.viewer import Viewer
from center.outgoing.monthly.archive import ATTACHED
from center.outgoing.monthly.content import canonical, content_of, digest_of
from center.outgoing.monthly.figures import figures_of
from center.run.application import application
from oee.kpi.maintenance import PlannedTask
from oee.model.calendars import to_ns
from oee.model.facts import FACT, FACT_COLUMNS, NO_LOSSES, Facts, make_table
from oee.model.states import CalendarClass

SITE, MONTH = "van-long", "2026-02"


def at(text):
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=plant.ZONE))


# the store


@pytest.fixture(params=KINDS)
def engine(request, tmp_path):
    made = open_database(database_url(request.param, tmp_path))
    prepare_month_issues(made)
    prepare_maintenance(made)
    yield made
    made.dispose()


def issue(engine, revision, *, month=MONTH, entered=None):
    data = canonical(month_content(month, revision=revision))
    item = IssuedMonth(SITE, month, revision, digest_of(data), revision, "hoa", "")
    seen = [] if entered is None else entered
    add_issue(engine, item, data, {"vi": b"%PDF-1", "en": b"%PDF-2"}, lambda _connection, one: seen.append(one))
    return item, data


def test_an_issue_stays_as_it_is_and_the_next_revision_stands_beside_it(engine):
    entered = []
    first, data = issue(engine, 1, entered=entered)
    with pytest.raises(IssuedMeanwhile):
        issue(engine, 1)
    with pytest.raises(IssuedMeanwhile):
        issue(engine, 3)
    second, _ = issue(engine, 2, entered=entered)
    other, _ = issue(engine, 1, month="2026-01", entered=entered)
    assert issues_of(engine, SITE) == [second, first, other]
    assert issues_of(engine, "hoa-binh") == []
    assert entered == [first, second, other]
    assert content_of_issue(engine, first) == data
    assert file_of_issue(engine, first, "en") == b"%PDF-2"
    assert file_of_issue(engine, first, "fr") is None


def test_of_two_who_issue_at_once_one_does(engine):
    def attempt(_number):
        try:
            issue(engine, 1)
        except IssuedMeanwhile:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]


def test_what_fails_to_be_entered_is_not_issued(engine):
    data = canonical(month_content())

    def refuse(*_):
        raise RuntimeError("no trail")

    with pytest.raises(RuntimeError):
        add_issue(engine, IssuedMonth(SITE, MONTH, 1, digest_of(data), 1, "hoa", ""), data, {}, refuse)
    assert issues_of(engine, SITE) == []


def test_whoever_changes_an_issue_in_the_database_is_found_out(engine):
    item, data = issue(engine, 1)
    with writing(engine) as connection:
        changed = data.replace(b'"failures":7', b'"failures":1')
        connection.exec_driver_sql("DELETE FROM month_issues")
        connection.execute(ISSUES.insert().values(**vars(item), content=changed))
        connection.execute(FILES.update().values(content=b"%PDF-x"))
    with pytest.raises(ChangedIssue, match="revision 1"):
        content_of_issue(engine, item)
    with pytest.raises(ChangedIssue, match="PDF en"):
        file_of_issue(engine, item, "en")


def test_each_meaning_is_signed_once(engine):
    item, _ = issue(engine, 1)
    signed = MonthSignature("reviewed", "lan", "Trưởng phòng", 5, item.digest)
    entered = []
    add_signature(engine, item, signed, lambda *row: entered.append(row[1:]))
    with pytest.raises(SignedAlready):
        add_signature(engine, item, replace(signed, who="hung"), lambda *_: None)
    assert signatures_of(engine, item) == [signed]
    assert entered == [(item, signed)]


def test_tasks_begin_end_and_are_done(engine):
    changes = []

    def record(_connection, what, task, detail):
        changes.append((what, task.title, detail.get("before")))

    plan = PlannedTask(10, date(2026, 2, 2))
    task = new_task(engine, KeptTask("", SITE, "press-1", "Thay dầu", "preventive", plan, "hoa", 1), record)
    due = DoneTask(task.id, date(2026, 2, 2), date(2026, 2, 3), "lan", "", 2)
    mark_done(engine, due, record)
    mark_done(engine, replace(due, done=date(2026, 2, 5), note="sửa ngày"), record)
    assert end_task(engine, task.id, date(2026, 2, 28), record).plan.last == date(2026, 2, 28)
    assert end_task(engine, "none", date(2026, 2, 28), record) is None
    assert mark_done(engine, replace(due, task="none"), record) is None
    (kept,) = tasks_of(engine, SITE)
    assert kept == replace(task, plan=replace(plan, last=date(2026, 2, 28)))
    assert done_of(engine, [kept])[task.id][date(2026, 2, 2)].done == date(2026, 2, 5)
    assert changes == [
        ("added", "Thay dầu", None), ("done", "Thay dầu", ""), ("done", "Thay dầu", "2026-02-03"), ("ended", "Thay dầu", None),
    ]  # fmt: skip


# a month from the store to the file

ENGINEER = Viewer("hoa", None, frozenset({"read", "write", "aim"}))
OWNER = Viewer("lan", frozenset({SITE}), frozenset({"read", "write"}))
OTHER = Viewer("hung", frozenset({"hoa-binh"}), frozenset({"read", "write"}))
PEOPLE = {item.name: item for item in (ENGINEER, OWNER, OTHER)}


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    folder = tmp_path_factory.mktemp("months")
    state = plant.make(folder / "facts.duckdb", 40, at("2026-03-05T19:23"))
    said = open_declarations(f"sqlite:///{folder}/a.sqlite")
    sender = DeclarationSender(said, lambda *_: None, state.now_ns)

    async def identify(connection):
        return PEOPLE.get(connection.headers.get("x-who", ""))

    app = application(state, Ingest(state, BrokerSettings("127.0.0.1", 9), patient=False), sender, identify=identify)
    yield SimpleNamespace(app=app, state=state, engine=said)
    said.dispose()
    state.store.close()


def ask(center, who, method, path, **more):
    async def go():
        transport = httpx.ASGITransport(center.app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=200) as client:
            return await client.request(method, f"/api/v1/{path}", headers={"x-who": who}, **more)

    return asyncio.run(go())


def correct(state):
    """Half an hour of a Monday was a breakdown, not running: a declaration that came late."""
    key = (
        "press-2",
        at("2026-02-02T09:00"),
        int(CalendarClass.SCHEDULED),
        (date(2026, 2, 2) - date(1970, 1, 1)).days,
        "A",
        "1",
    )
    row = np.zeros(len(FACT_COLUMNS), np.int64)
    for name, value in (("running_ms", -1), ("running_ideal_known_ms", -1), ("breakdown_ms", 1), ("failures_ms", 1)):
        row[FACT[name]] = value * 1_800_000
    row[FACT["failures"]] = 1
    facts = make_table(Facts, [key], np.array([row]), np.zeros(1, np.int64))
    state.store.write([RowBatch(Origin(SITE, "main", "c" * 32), 1, facts, NO_LOSSES, ())])


ASKED = {"site": SITE, "month": MONTH}


@pytest.fixture(scope="module")
def task(center):
    """A task of the plan, done once in time, once late, once not."""
    new = {"site": SITE, "machine": "press-1", "title": " Thay  dầu ", "every_days": 10, "first": "2026-02-02"}
    assert ask(center, "lan", "POST", "maintenance", json=new).status_code == 403
    assert ask(center, "hoa", "POST", "maintenance", json=new | {"machine": "sew-3"}).status_code == 404
    (made,) = ask(center, "hoa", "POST", "maintenance", json=new).json()
    assert (made["title"], made["by"], len(made["dues"])) == ("Thay dầu", "hoa", 7)
    assert [due["state"] for due in made["dues"]] == ["overdue"] * 3 + ["open"] * 4
    done = {"due": "2026-02-12", "done": "2026-02-13", "note": "lọc mới"}
    path = f"maintenance/{made['id']}/done"
    assert ask(center, "hung", "POST", path, json=done).status_code == 404
    for wrong in ({"due": "2026-02-13"}, {"done": "2026-03-20"}, {"done": "2026-01-20"}):
        assert ask(center, "lan", "POST", path, json=done | wrong).status_code == 422, wrong
    assert ask(center, "lan", "POST", path, json=done).status_code == 200
    assert ask(center, "lan", "POST", path, json=done | {"due": "2026-02-02", "done": "2026-02-06"}).status_code == 200
    return made


@pytest.fixture(scope="module")
def first(center, task):
    """The first issue, with its sums and its files."""
    aim = {"site": SITE, "machine": "press-2", "kind": "oee", "value": 0.85}
    assert ask(center, "hoa", "PUT", "targets", json=aim).status_code == 200
    head = audit.head(center.engine)
    told = ask(center, "hoa", "POST", "months", json=ASKED)
    assert told.status_code == 200, told.text
    sums = ask(center, "lan", "GET", "months/sums", params=ASKED).content
    files = {
        lang: ask(center, "lan", "GET", "months/pdf", params=ASKED | {"lang": lang}).content
        for lang in ("vi", "en", "both")
    }
    return SimpleNamespace(told=told.json(), head=head, sums=sums, files=files)


def test_who_may_issue_what(center, first):
    assert ask(center, "lan", "POST", "months", json=ASKED).status_code == 403
    for path in ("months", "months/draft", "months/sums", "months/pdf", "maintenance"):
        assert ask(center, "hung", "GET", path, params=ASKED).status_code == 404, path
        assert ask(center, "lan", "GET", path, params=ASKED).status_code == 200, path
    for month in ("2026-03", "2027-01", "2026-13"):
        assert ask(center, "hoa", "POST", "months", json=ASKED | {"month": month}).status_code == 422, month
    assert ask(center, "hoa", "POST", "months", json=ASKED).status_code == 422, "a revision says why"


def test_what_is_issued(first):
    assert (first.told["revision"], first.told["made_by"], first.told["signatures"]) == (1, "hoa", [])
    assert digest_of(first.sums) == first.told["digest"]
    assert PdfReader(io.BytesIO(first.files["both"])).attachments[ATTACHED] == [first.sums]
    content = content_of(first.sums)
    assert content.audit_head == first.head
    found = figures_of(content)
    assert (found.compliance.in_time, found.compliance.late, found.compliance.overdue) == (1, 1, 1)
    assert {(gap.machine, gap.kind) for gap in found.gaps} == {("press-2", "oee"), ("press-1", "overdue")}


def test_the_figures_are_those_of_the_api(center, first):
    content = content_of(first.sums)
    found = figures_of(content).machines
    window = {"site": SITE, "from": "2026-02-01", "to": "2026-03-01"}
    rows = ask(center, "lan", "GET", "trend", params=window | {"bucket": "month"}).json()["rows"]
    assert sorted(row["machine"] for row in rows) == sorted(found)
    for row in rows:
        for key in ("oee", "availability", "performance", "quality", "mtbf_s", "mttr_s", "coverage"):
            assert found[row["machine"]].values[key] == row["kpis"][key], (row["machine"], key)
    top = ask(center, "lan", "GET", "top-losses", params=window).json()
    lost = {(row["state"], row["reason"]): row["us"] for row in top["rows"]}
    assert lost == {(row.state, row.reason): row.us for row in content.losses if row.us}


def test_a_signature_binds_account_and_digest(center, first):
    desk = center.app.state.months
    item = desk.one(OWNER, SITE, MONTH, 1)
    desk.sign(OWNER, "192.0.2.1", item, "approved", "Giám đốc")
    entry = audit.entries(center.engine)[0][0]
    assert (entry.what, entry.who, entry.address) == ("month.signed", "lan", "192.0.2.1")
    assert (entry.detail["digest"], entry.detail["meaning"]) == (first.told["digest"], "approved")
    with pytest.raises(SignedAlready):
        desk.sign(ENGINEER, "192.0.2.1", item, "approved", "")
    listed = ask(center, "lan", "GET", "months", params={"site": SITE}).json()
    assert listed[-1]["signatures"][0]["position"] == "Giám đốc"


def test_a_late_declaration_makes_a_revision_and_changes_nothing_of_the_old_file(center, first):
    correct(center.state)
    second = ask(center, "hoa", "POST", "months", json=ASKED | {"why": "Khai báo muộn"}).json()
    assert second["revision"] == 2
    newer = content_of(ask(center, "lan", "GET", "months/sums", params=ASKED).content)
    assert (newer.prior, newer.why) == (first.told["digest"], "Khai báo muộn")
    moved = figures_of(newer).moved
    assert {(row.month, row.revision, row.machine) for row in moved} == {(MONTH, 1, "press-2")}
    failures = next(row for row in moved if row.figure == "failures")
    assert failures.now == failures.issued + 1
    assert {row.figure for row in moved} >= {"availability", "performance", "mtbf_s", "mttr_s"}
    assert ask(center, "lan", "GET", "months/sums", params=ASKED | {"revision": 1}).content == first.sums
    for lang, file in first.files.items():
        assert ask(center, "lan", "GET", "months/pdf", params=ASKED | {"lang": lang, "revision": 1}).content == file
    assert [row["revision"] for row in ask(center, "lan", "GET", "months", params={"site": SITE}).json()] == [2, 1]


def test_what_a_report_aims_at_and_refers_to(center, first):
    aim = {"site": SITE, "kind": "mttr_s", "since": "2026-01", "value": 1800, "machine": "press-2"}
    paper = {"site": SITE, "topic": "parts", "title": " Danh mục  phụ tùng ", "place": "Kho A", "edition": "3"}
    assert ask(center, "lan", "PUT", "months/objectives", json=aim).status_code == 403
    assert ask(center, "lan", "PUT", "months/references", json=paper).status_code == 403
    for wrong in ({"value": -1}, {"value": 1e9}, {"since": "2026-13"}, {"kind": "planned_share", "value": 0.5}):
        assert ask(center, "hoa", "PUT", "months/objectives", json=aim | wrong).status_code == 422, wrong
    assert ask(center, "hoa", "PUT", "months/objectives", json=aim | {"machine": "sew-3"}).status_code == 404
    assert ask(center, "hoa", "PUT", "months/references", json=paper | {"title": "  "}).status_code == 422
    assert ask(center, "hoa", "PUT", "months/objectives", json=aim).status_code == 200
    later = aim | {"since": "2026-03", "value": 1200}
    told = ask(center, "hoa", "PUT", "months/objectives", json=later).json()
    assert [(item["value"], item["since"]) for item in told["objectives"]] == [(1200.0, "2026-03")]
    told = ask(center, "hoa", "PUT", "months/references", json=paper).json()
    assert told["references"][0]["title"] == "Danh mục phụ tùng"
    assert ask(center, "hung", "GET", "months/papers", params={"site": SITE}).status_code == 404
    draft = content_of(ask(center, "lan", "GET", "months/draft", params=ASKED).content)
    assert [(item.kind, item.value_u) for item in draft.objectives] == [("mttr_s", 1_800_000_000)]
    assert [item.title for item in draft.references] == ["Danh mục phụ tùng"]
    gone = {key: paper[key] for key in ("site", "topic")} | {"title": "Danh mục phụ tùng"}
    assert ask(center, "hoa", "PUT", "months/references", json=gone).json()["references"] == []
    told = ask(center, "hoa", "PUT", "months/objectives", json=later | {"value": None}).json()
    assert told["objectives"] == []
    draft = content_of(ask(center, "lan", "GET", "months/draft", params=ASKED).content)
    assert [item.value_u for item in draft.objectives] == [1_800_000_000], "what held in a month stays"
    what = [row.what for row in audit.entries(center.engine)[0]]
    assert (what.count("month.aimed"), what.count("month.referred")) == (3, 2)


def test_every_change_is_in_the_audit_trail(center, first, task):
    assert ask(center, "lan", "POST", f"maintenance/{task['id']}/end", json={"last": "2026-03-05"}).status_code == 403
    assert ask(center, "hoa", "POST", f"maintenance/{task['id']}/end", json={"last": "2026-03-05"}).status_code == 200
    what = [row.what for row in audit.entries(center.engine)[0]]
    assert {"month.issued", "month.signed", "maintenance.added", "maintenance.done", "maintenance.ended"} <= set(what)
    issued = next(row for row in reversed(audit.entries(center.engine)[0]) if row.what == "month.issued")
    assert (issued.who, issued.about, issued.detail["digest"]) == ("hoa", SITE, first.told["digest"])
    assert audit.verify(center.engine).broken is None


def test_a_draft_reads_the_issues_of_its_twelve_months_and_no_older_one(center, first):
    """What was changed in the database is found where it is read."""
    for month, status in (("2025-02", 200), ("2025-03", 500)):
        issue(center.engine, 1, month=month)
        with writing(center.engine) as connection:
            connection.execute(ISSUES.update().where(ISSUES.c.month == month).values(content=b"{}"))
        assert ask(center, "lan", "GET", "months/draft", params=ASKED).status_code == status, month
