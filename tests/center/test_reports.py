"""The shift report: every number of its JSON, page, PDF and text is one that the API gives too."""

import io
import json
import re
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import console_plant as plant
import httpx
import pytest
from click.testing import CliRunner
from pypdf import PdfReader
from servers import free_port

import nhip
from center.api.app import create_app
from center.console.draw.goals import goals
from center.model.targets import SaidTarget
from center.model.viewer import EVERYTHING
from center.outgoing.reports.api import add_report, file_name
from center.outgoing.reports.asked import ReportQuestion, planned_shifts, report
from center.outgoing.reports.html import mail_html, mail_text, page_content
from center.outgoing.reports.sheet import sheet
from center.queries.targets import targets
from oee.model.calendars import to_ns
from words import duration, number, percent, say

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
SITE = "van-long"
NIGHT = {"name": "C", "weekdays": [0, 1, 2, 3, 4, 5, 6], "start_s": 79_200, "end_s": 108_000, "breaks": []}


def at(text):
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=ZONE))


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    made = plant.make(tmp_path_factory.mktemp("reports") / "facts.duckdb", 3, at("2026-03-05T19:23"))
    aims = [
        SaidTarget(SITE, "", "", "", None, "oee", 0.65, "lan", 1),
        SaidTarget(SITE, "", "", "", None, "pieces", 9000, "lan", 1),
        SaidTarget(SITE, "", "press-2", "", date(2026, 3, 4), "oee", 0.4, "lan", 1),
    ]
    made.said_targets.connect(lambda site: [item for item in aims if item.site == site])
    assert targets(made, EVERYTHING, SITE)["rows"]
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def app(center):
    made = create_app(center)
    add_report(made, center)
    return made


async def ask(app, path, **params):
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get(f"/api/v1/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer if params.get("format") == "pdf" else answer.json()


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_a_day_whose_times_cannot_be_told_is_refused(app, day):
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/api/v1/report", params={"site": SITE, "date": day})
    assert (answer.status_code, answer.json()["error"]) == (422, "bad_question")
    assert "between 1970 and 2200" in answer.json()["detail"]


CASES = [
    {"site": SITE},
    {"site": SITE, "which": "this"},
    {"site": SITE, "date": "2026-03-04"},
    {"site": SITE, "date": "2026-03-04", "shift": "B", "line": "stamping"},
    {"site": "hoa-binh", "which": "today"},
]


@pytest.mark.parametrize("asked", CASES, ids=lambda case: "-".join(case.values()))
async def test_every_number_is_the_api_s(app, asked):
    told = await ask(app, "report", **asked)
    window = {"site": asked["site"], "from": told["from"], "to": told["to"]}
    bucket = "shift" if told["shift"] else "day"
    ids = [
        row["id"]
        for row in await ask(app, "machines", site=asked["site"])
        if asked.get("line", row["line"]) == row["line"]
    ]
    assert sorted(row["machine"] for row in told["machines"]) == sorted(ids)

    def mine(rows):
        return [
            row
            for row in rows
            if row["start"][:10] == told["date"] and row.get("shift", told["shift"]) == told["shift"]
        ]

    by_machine = mine((await ask(app, "trend", bucket=bucket, machine=ids, **window))["rows"])
    for row in told["machines"]:
        (same,) = (item for item in by_machine if item["machine"] == row["machine"])
        sums = same["sums"]
        assert row["kpis"] == {key: same["kpis"][key] for key in row["kpis"]}
        assert row["targets"] == same.get("targets", [])
        assert (row["pieces"], row["good"], row["judged"]) == (
            sums["pieces_total"] + sums["pieces_unwatched"], sums["pieces_good"], sums["pieces_judged"],
        )  # fmt: skip
        assert row["rejects"] == sums["pieces_startup_reject"] + sums["pieces_process_reject"]
        wide = row["kpis"]["oee_high"] - row["kpis"]["oee_low"] > 0.02
        assert row["uncertain"] == (wide or row["kpis"]["coverage"] < 0.98)
    assert told["pieces"]["pieces"] == sum(row["pieces"] for row in told["machines"])
    if told["pieces"]["due"] is not None:
        due = [gap["target"] for row in told["machines"] for gap in row["targets"] if gap["kind"] == "pieces"]
        assert told["pieces"]["due"] == pytest.approx(sum(due))
    steps = (await ask(app, "waterfall", bucket=bucket, by="", machine=ids, **window))["rows"]
    assert told["steps"] == mine(steps)
    assert told["steps"][0]["us"] > 0
    ends = (datetime.fromisoformat(told["from"]), datetime.fromisoformat(told["to"]))

    def cut_ms(row):
        until = ends[1] if row["end"] is None else min(datetime.fromisoformat(row["end"]), ends[1])
        return round((until - max(datetime.fromisoformat(row["start"]), ends[0])).total_seconds() * 1000)

    stops = (await ask(app, "stops", machine=ids, scheduled="true", limit=100_000, **window))["rows"]
    talked_about = [cut_ms(row) for row in stops if row["state"] not in ("minor_stop", "planned_stop", "unknown")]
    assert [row["ms"] for row in told["longest"]] == sorted(talked_about, reverse=True)[:5]
    unexplained = (await ask(app, "stops", machine=ids, unexplained="true", limit=100_000, **window))["rows"]
    assert told["unexplained"]["count"] == len(unexplained)
    assert told["unexplained"]["ms"] == sum(map(cut_ms, unexplained))
    made = mine((await ask(app, "trend", bucket=bucket, by="product", machine=ids, **window))["rows"])
    assert sum(row["pieces"] for row in told["products"]) == sum(row["sums"]["pieces_total"] for row in made) > 0
    holes = await ask(app, "holes", **window)
    if "line" not in asked:
        assert told["trust"]["missing_ms"] == sum(row["missing_ms"] for row in holes["rows"])
        assert told["trust"]["unknown_ms"] == sum(row["unknown_ms"] for row in holes["rows"])


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("asked", CASES[:4], ids=lambda case: "-".join(case.values()))
async def test_page_pdf_and_mail_say_the_same_numbers(app, asked, lang):
    told = await ask(app, "report", **asked)
    answer = await ask(app, "report", format="pdf", lang=lang, **asked)
    assert answer.headers["content-type"] == "application/pdf"
    assert file_name(told) in answer.headers["content-disposition"]
    reader = PdfReader(io.BytesIO(answer.content))
    forms = {
        "pdf": " ".join(page.extract_text() for page in reader.pages),
        "page": re.sub(
            r"<[^>]+>", " ", str(page_content(sheet(told, lang))).replace("&lt;", "<").replace("&amp;", "&")
        ),
        "mail": re.sub(r"<[^>]+>", " ", mail_html(sheet(told, lang))),
        "text": mail_text(sheet(told, lang)),
    }
    expected = [number(told["pieces"]["pieces"], lang), duration(told["unexplained"]["ms"], lang)]
    for row in told["machines"]:
        expected += [percent(row["kpis"][key], lang) for key in ("oee", "availability", "performance", "quality")]
        expected += [number(row["pieces"], lang), number(row["rejects"], lang), row["machine_name"][lang]]
        for gap in row["targets"]:
            expected += [percent(gap["target"], lang)] if gap["kind"] == "oee" else []
        if row["uncertain"]:
            expected.append(percent(row["kpis"]["oee_low"], lang, 0))
    expected += [duration(row["ms"], lang) for row in (*told["longest"], *told["unexplained"]["rows"])]
    expected += [number(row["pieces"], lang) for row in told["products"]]
    (scheduled_us,) = (step["us"] for step in told["steps"] if step["step"] == "scheduled")
    expected += [percent(told["steps"][-1]["us"] / scheduled_us, lang)]
    for name, text in forms.items():
        flat = re.sub(r"\s+", " ", text)
        missing = [item for item in expected if re.sub(r"\s+", " ", item) not in flat]
        assert missing == [], name
    assert sheet(told, lang).title in re.sub(r"\s+", " ", forms["pdf"])


def test_the_pdf_brings_its_font_and_can_be_read(center):
    from center.outgoing.reports.pdf import report_pdf

    told = report(center, ReportQuestion(EVERYTHING, SITE))
    reader = PdfReader(io.BytesIO(report_pdf(sheet(told, "vi"), "nay")))
    assert 1 <= len(reader.pages) <= 3
    fonts = {
        str(font["/BaseFont"])
        for page in reader.pages
        for font in (item.get_object() for item in page["/Resources"]["/Font"].values())
        if "Roboto" in str(font["/BaseFont"])
    }
    assert fonts, "embedded, not taken from the reader's system"
    text = re.sub(r"\s+", " ", " ".join(page.extract_text() for page in reader.pages))
    for words in ("Kết quả so với mục tiêu", "Máy ép nhựa 8", "Thời gian hữu ích hoàn toàn", "Dừng chưa rõ lý do"):
        assert words in text


def test_a_target_that_is_out_of_reach_is_missed_though_oee_is_not_known(center):
    """sew-3 judges no piece: its OEE is unknown, but cannot be as high as its target."""
    told = report(center, ReportQuestion(EVERYTHING, "hoa-binh", which="today"))
    (row,) = (row for row in told["machines"] if row["machine"] == "sew-3")
    high = row["kpis"]["oee_high"]
    assert (row["kpis"]["oee"], high < 0.99) == (None, True)
    for aim, shown in ((0.99, True), (high / 2, False)):
        gap = {
            "kind": "oee",
            "target": aim,
            "actual": None,
            "source": "center",
            "points": None,
            "minutes": None,
            "pieces": None,
        }
        text = mail_text(sheet(told | {"machines": [row | {"targets": [gap]}]}, "en"))
        best = say("target.at_best", "en", points=number((high - aim) * 100, "en", 1))
        assert (best in text) == shown
        assert (best in str(goals(row | {"targets": [gap]}, "en"))) == shown


def test_only_what_somebody_has_to_explain_lacks_a_reason(center):
    """A set-up is explained by its product: it is not among the stops without a reason either."""
    told = report(center, ReportQuestion(EVERYTHING, SITE))
    longest = [
        told["longest"][0] | {"reason": "", "reason_name": {}, "state": state} for state in ("setup", "breakdown")
    ]
    (section,) = (part for part in sheet(told | {"longest": longest}, "en").sections if part.key == "longest")
    assert [(row.cells[-1].text, row.cells[-1].tone) for row in section.table.rows] == [("", ""), ("no reason", "bad")]


def test_names_are_text_and_no_markup(center):
    told = report(center, ReportQuestion(EVERYTHING, "hoa-binh", which="today"))
    for content in (str(page_content(sheet(told, "vi"))), mail_html(sheet(told, "vi"))):
        assert "<script>" not in content
        assert "&lt;script&gt;" in content


def test_the_last_shift_is_the_one_that_ended(center):
    told = report(center, ReportQuestion(EVERYTHING, SITE))
    assert (told["date"], told["shift"], told["running"]) == ("2026-03-05", "A", False)
    assert (told["from"][11:16], told["to"][11:16]) == ("06:00", "14:00")
    now = report(center, ReportQuestion(EVERYTHING, SITE, which="this"))
    assert (now["shift"], now["running"], now["to"][11:16]) == ("B", True, "19:22")
    assert say("report.running", "vi") in sheet(now, "vi").subtitle
    early = replace(center, now_ns=lambda: at("2026-03-05T05:00"))
    assert (
        report(early, ReportQuestion(EVERYTHING, SITE))["date"],
        report(early, ReportQuestion(EVERYTHING, SITE))["shift"],
    ) == ("2026-03-04", "B")
    yesterday = report(center, ReportQuestion(EVERYTHING, SITE, which="yesterday"))
    assert (yesterday["date"], yesterday["shift"]) == ("2026-03-04", "")


def test_a_shift_past_midnight_is_whole(center, tmp_path):
    """Shift C from 22:00 to 6:00 belongs to the date on which it began."""
    from api_plant import deliver
    from center_plant import batch, running, site_body

    from center.runtime.state import center_state
    from center.stores.duckdb.store import open_store
    from wire.bodies import facts_body
    from wire.envelope import seal

    store = open_store({"file": str(tmp_path / "nights.duckdb")})
    nights = center_state(store, now_ns=lambda: at("2026-03-03T12:00"))
    body = site_body(valid_from=at("2026-03-01"), calendars={"": {"shifts": [NIGHT]}})
    deliver(nights, SITE, "site", [seal("bb" * 8, 1, 1, body).data])
    rows = [row | {"shift": "C"} for row in running(at("2026-03-02T22:00"), 480)]
    made = batch(rows)
    deliver(nights, SITE, "facts", [seal("aa" * 8, 1, 1, facts_body(made.facts, made.losses, [])).data])
    told = report(nights, ReportQuestion(EVERYTHING, SITE))
    assert (told["date"], told["shift"], told["from"][:16], told["to"][:16]) == (
        "2026-03-02", "C", "2026-03-02T22:00", "2026-03-03T06:00",
    )  # fmt: skip
    assert told["machines"][0]["pieces"] == 4800
    assert told["machines"][0]["kpis"]["coverage"] == 1
    day = report(nights, ReportQuestion(EVERYTHING, SITE, date(2026, 3, 2)))
    assert day["machines"][0]["pieces"] == 4800
    shifts = planned_shifts(nights, SITE, ["press-1"], date(2026, 3, 2), date(2026, 3, 2), ZONE)
    assert [(item.name, item.start_ns) for item in shifts] == [("C", at("2026-03-02T22:00"))]
    store.close()


def test_the_command_reports_from_the_store_of_a_center_that_does_not_run(tmp_path):
    plant.make(tmp_path / "nhip.duckdb", 3, at("2026-03-05T19:23")).store.close()
    file = tmp_path / "center.yaml"
    file.write_text(
        f"broker: mqtt://127.0.0.1:9\naccounts: 'off'\nlisten: 127.0.0.1:{free_port()}\nstore: {{kind: duckdb, file: nhip.duckdb}}\n"
    )

    def run(*words, code=0):
        found = CliRunner().invoke(nhip.main, ["report", str(file), *words], env={"NHIP_LANG": "en"})
        assert found.exit_code == code, found.output
        return found.output

    day = ("--date", "2026-03-04", "--shift", "B")
    told = json.loads(run(SITE, *day, "--json"))
    assert (told["date"], told["shift"]) == ("2026-03-04", "B")
    assert sheet(told, "en").title in run(SITE, *day)
    saved = tmp_path / "b.pdf"
    assert str(saved) in run(SITE, *day, "--pdf", str(saved), "--lang", "vi").replace("\n", "")
    assert "Máy ép nhựa 8" in " ".join(page.extract_text() for page in PdfReader(saved).pages)
    assert "nowhere" in run("nowhere", code=1)
    assert "A, B" in run(SITE, "--date", "2026-03-04", "--shift", "Z", code=1)


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"site": "nowhere"}, 404, "unknown"),
        ({"site": SITE, "line": "nowhere"}, 404, "moulding"),
        ({"site": SITE, "date": "2026-03-05", "shift": "Z"}, 422, "A, B"),
        ({"site": SITE, "date": "2027-03-05"}, 422, "not begun"),
        ({"site": SITE, "which": "tomorrow"}, 422, ""),
        ({"site": SITE, "date": "yesterday"}, 422, ""),
    ],
)
async def test_what_cannot_be_reported_is_said(app, asked, status, words):
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/api/v1/report", params=asked)
    assert answer.status_code == status
    assert words in answer.text
    assert json.loads(answer.text)["error"]


def test_a_day_without_shifts_is_a_report_without_results(center):
    before = report(center, ReportQuestion(EVERYTHING, SITE, date(2026, 2, 1)))
    assert before["machines"] == []
    assert say("report.no_machines", "en") in mail_text(sheet(before, "en"))
