"""Capability statements: made by a factory's owner, opened by a link, revoked, and saying nothing that they must not say."""

import asyncio
import io
import re
from datetime import date
from types import SimpleNamespace

import bench_plant as plant
import httpx
import pytest
from center_plant import ns
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from center.accounts import audit
from center.console.document import add_error_pages
from center.database.declarations import open_declarations
from center.database.sql import writing
from center.database.statements import STATEMENTS
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.model.viewer import Viewer
from center.outgoing.statement.content import LINES, certificates_of, statement_digest, statement_of
from center.outgoing.statement.page import add_statement_pages
from center.outgoing.statement.public import add_public_statements
from center.run.application import application
from words import LANGUAGES, say

SITE = "xuong-lim"
OWNER = Viewer("chu", frozenset({SITE}), frozenset({"read", "write", "own"}))
STAFF = Viewer("tho", frozenset({SITE}), frozenset({"read", "write"}))
ADMIN = Viewer("admin", None, frozenset({"read", "write", "aim", "watch", "admin"}))
OTHER = Viewer("khac", frozenset({"xuong-sen"}), frozenset({"read", "write", "own"}))
PEOPLE = {item.name: item for item in (OWNER, STAFF, ADMIN, OTHER)}
ASKED = {
    "site": SITE, "recipient": "Toàn Cầu Electronics", "purpose": "Đánh giá nhà cung cấp 2026", "ends": "2026-05-30",
    "lines": list(LINES), "certificates": [{"name": "ISO 9001", "number": "VN-123", "until": "2027-01-31"}],
}  # fmt: skip


def test_certificates_are_read_line_by_line():
    found = certificates_of("ISO 9001; VN-1 ; 2027-01-31\n\n  IATF 16949\n")
    assert [(item.name, item.number, item.until) for item in found] == [
        ("ISO 9001", "VN-1", date(2027, 1, 31)), ("IATF 16949", "", None),
    ]  # fmt: skip
    for wrong, where in (("a\nb; c; d", "line 2"), ("; x", "line 1"), ("a; b; 2027-01-31; c", "line 1")):
        with pytest.raises(ValueError, match=where):
            certificates_of(wrong)


@given(st.text(max_size=300))
def test_whatever_is_typed_is_certificates_or_an_error_that_names_the_line(text):
    try:
        assert all(item.name for item in certificates_of(text))
    except ValueError as error:
        assert re.match(r"line \d+|\d+ certificates", str(error))


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    folder = tmp_path_factory.mktemp("statements")
    made, clock = plant.make(folder, {SITE: "metal", "xuong-sen": "metal"})
    clock[0] = ns("2026-04-01T09:00:00")
    said = open_declarations(f"sqlite:///{folder}/a.sqlite")
    sender = DeclarationSender(said, lambda *_: None, made.now_ns)

    async def identify(connection):
        return PEOPLE.get(connection.headers.get("x-who", ""))

    app = application(made, Ingest(made, BrokerSettings("127.0.0.1", 9), patient=False), sender, identify=identify)
    add_statement_pages(app, app.state.statements)
    add_public_statements(app, app.state.statements)
    add_error_pages(app, made)
    yield SimpleNamespace(app=app, center=made, clock=clock, engine=said)
    said.dispose()
    made.store.close()


def ask(center, who, path, method="GET", **more):
    async def go():
        transport = httpx.ASGITransport(center.app, client=("192.0.2.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=200) as client:
            return await client.request(method, path, headers={"x-who": who} if who else {}, **more)

    return asyncio.run(go())


@pytest.fixture(scope="module")
def statement(center):
    told = ask(center, "chu", "/api/v1/statements", "POST", json=ASKED)
    assert told.status_code == 200, told.text
    return told.json()


def test_only_the_owner_makes_one_and_nobody_else_sees_it(center, statement):
    number = statement["number"]
    for who in ("tho", "admin"):
        assert ask(center, who, "/api/v1/statements", "POST", json=ASKED).status_code == 403
        assert ask(center, who, "/api/v1/statements", params={"site": SITE}).status_code == 403
    assert ask(center, "khac", "/api/v1/statements", params={"site": SITE}).status_code == 404
    for path in ("openings", "pdf"):
        assert ask(center, "khac", f"/api/v1/statements/{number}/{path}").status_code == 404
    assert ask(center, "khac", f"/api/v1/statements/{number}/revoke", "POST").status_code == 404
    assert ask(center, "", "/api/v1/statements", params={"site": SITE}).status_code == 401
    for wrong in (
        {"ends": "2026-07-20"}, {"ends": "2026-03-31"}, {"lines": []}, {"lines": ["products"]}, {"recipient": "  "},
        {"lines": ["oee"]},
    ):  # fmt: skip
        assert ask(center, "chu", "/api/v1/statements", "POST", json=ASKED | wrong).status_code == 422, wrong
    (listed,) = ask(center, "chu", "/api/v1/statements", params={"site": SITE}).json()
    assert "link" not in listed, "it is told once"
    entry = next(row for row in audit.entries(center.engine)[0] if row.what == "statement.made")
    assert (entry.who, entry.about, entry.detail["digest"]) == ("chu", SITE, statement["digest"])


def test_what_it_says_is_measured_verified_and_declared_apart(center, statement):
    desk = center.app.state.statements
    content = desk.content(desk.one(OWNER, statement["number"]))
    lines = {line.key: line for line in content.lines}
    assert {line.mark for line in content.lines} == {"measured", "verified"}
    assert lines["machines"].values_u == (1_000_000,)
    low, high = lines["oee"].values_u
    assert (low, high) == (450_000, 500_000), "48 %, outward to five points"
    assert lines["oee"].coverage_u == pytest.approx(1_000_000, abs=20_000)
    assert 168 * 1_000_000 > lines["hours_free"].values_u[0] > 100 * 1_000_000
    assert lines["mtbf"].values_u == (pytest.approx(lines["mtbf"].values_u[0]),), "longer than, without a failure"
    assert "changeover" not in lines
    assert content.certificates[0].number == "VN-123"


def test_it_never_names_products_machines_or_persons_nor_volumes(center, statement):
    path = statement["link"]
    page = ask(center, "", path).text
    files = [ask(center, "", f"{path}/pdf", params={"lang": lang}).content for lang in LANGUAGES]
    texts = [page, *("".join(one.extract_text() for one in PdfReader(io.BytesIO(file)).pages) for file in files)]
    texts += [PdfReader(io.BytesIO(file)).attachments["nhip-statement.json"][0].decode() for file in files]
    pieces = ask(
        center, "chu", "/api/v1/trend", params={"site": SITE, "from": "2026-01-01", "to": "2026-04-01", "bucket": "all"}
    ).json()
    made = str(pieces["rows"][0]["sums"]["pieces_total"])
    for name in (f"{SITE}-may", f"{SITE}-hang", f"{SITE}-chu", f"Máy {SITE}", f"Hàng {SITE}", made, SITE + "/"):
        assert not [text for text in texts if name in text], name
    assert all(f"Công ty {SITE}" in text or f"Company {SITE}" in text for text in texts), "the firm itself is named"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_pdf_prints_its_digest_and_for_whom_it_is_on_every_page(center, statement, lang):
    file = ask(center, "chu", f"/api/v1/statements/{statement['number']}/pdf", params={"lang": lang}).content
    reader = PdfReader(io.BytesIO(file))
    (attached,) = reader.attachments["nhip-statement.json"]
    assert statement_digest(attached) == statement["digest"]
    assert statement_of(attached).recipient == ASKED["recipient"]
    mark = say("statement.watermark", lang, recipient=ASKED["recipient"], number=statement["number"])
    for page in reader.pages:
        assert "".join(mark.split()) in "".join(page.extract_text().split())
    whole = "".join("".join(page.extract_text() for page in reader.pages).split())
    assert statement["digest"] in whole
    for key in ("measured", "verified", "declared"):
        assert "".join(say(f"statement.{key}", lang).split()) in whole


def test_openings_are_told_to_the_owner(center, statement):
    before = ask(center, "chu", f"/api/v1/statements/{statement['number']}/openings").json()
    assert ask(center, "", statement["link"]).status_code == 200
    assert ask(center, "", f"{statement['link']}/pdf").status_code == 200
    assert (
        say("statement.check.valid", "vi")
        in ask(center, "", "/statement/check", params={"digest": statement["digest"]}).text
    )
    after = ask(center, "chu", f"/api/v1/statements/{statement['number']}/openings").json()
    assert [row["what"] for row in after[: len(after) - len(before)]] == ["check", "pdf", "page"]
    assert after[0]["address"] == "192.0.2.7"
    page = ask(center, "chu", f"/statements/{SITE}").text
    assert "192.0.2.7" in page
    assert statement["link"].split("/")[-1] not in page


def test_the_public_page_says_whether_it_counts_and_nothing_else(center, statement):
    for digest, state in ((statement["digest"], "valid"), ("0" * 64, "unknown"), ("' OR 1=1", "unknown")):
        page = ask(center, "", "/statement/check", params={"digest": digest}).text
        assert say(f"statement.check.{state}", "vi") in page
        for name in (*plant.names_of(SITE), ASKED["recipient"], ASKED["purpose"], statement["number"]):
            assert name not in page, name
    assert ask(center, "", "/statement/check").status_code == 200
    assert ask(center, "", "/statement/none").status_code == 404
    assert ask(center, "", "/statement/none/pdf").status_code == 404
    assert ask(center, "", "/statements/xuong-lim").status_code == 401


def test_whoever_changes_one_in_the_database_is_found_out(center, statement):
    at = STATEMENTS.c.id == statement["number"]
    with writing(center.engine) as connection:
        kept = connection.scalar(STATEMENTS.select().with_only_columns(STATEMENTS.c.content).where(at))
        connection.execute(STATEMENTS.update().where(at).values(content=kept.replace(b"450000", b"850000")))
    assert ask(center, "", statement["link"]).status_code == 500
    with writing(center.engine) as connection:
        connection.execute(STATEMENTS.update().where(at).values(content=kept))
    assert ask(center, "", statement["link"]).status_code == 200


def test_revoked_and_expired_ones_show_nothing(center, statement):
    other = ask(center, "chu", "/api/v1/statements", "POST", json=ASKED | {"lines": ["oee"], "certificates": []}).json()
    revoke = f"/api/v1/statements/{statement['number']}/revoke"
    assert ask(center, "chu", revoke, "POST").json()["state"] == "revoked"
    assert ask(center, "chu", revoke, "POST").status_code == 422
    center.clock[0] = ns("2026-05-31T00:00:00") - 1
    assert ask(center, "", other["link"]).status_code == 200
    center.clock[0] = ns("2026-05-31T00:00:00")
    for link, digest, state in (
        (statement["link"], statement["digest"], "revoked"),
        (other["link"], other["digest"], "expired"),
    ):
        for path in (link, f"{link}/pdf"):
            answer = ask(center, "", path)
            assert (answer.status_code, say(f"statement.check.{state}", "vi") in answer.text) == (410, True)
            assert ASKED["recipient"] not in answer.text
        assert (
            say(f"statement.check.{state}", "vi") in ask(center, "", "/statement/check", params={"digest": digest}).text
        )
    states = {
        row["number"]: row["state"] for row in ask(center, "chu", "/api/v1/statements", params={"site": SITE}).json()
    }
    assert states == {statement["number"]: "revoked", other["number"]: "expired"}
    what = [row.what for row in audit.entries(center.engine)[0]]
    assert (what.count("statement.made"), what.count("statement.revoked")) == (2, 1)
