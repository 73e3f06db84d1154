"""The directory of firms: files read with a complaint for each wrong cell, search without marks, and who sees and changes what."""

import asyncio
import io
import zipfile
from types import SimpleNamespace

import bench_plant as plant
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from center.accounts import audit
from center.console.document import add_error_pages
from center.database.declarations import open_declarations
from center.database.directory import Firm, FirmCertificate
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.model.viewer import Viewer
from center.outgoing.directory.files import UnreadableFile, file_of_firms, table_of_file, written_words
from center.outgoing.directory.page import add_directory_pages
from center.outgoing.directory.rows import COLUMNS, KINDS, TRADES, folded, is_found, read_rows, row_of
from center.run.application import application
from words import LANGUAGES
from words.catalogue import catalogue

SITE = "xuong-lim"
OWNER = Viewer("chu", frozenset({SITE}), frozenset({"read", "write", "own"}))
STAFF = Viewer("tho", frozenset({SITE}), frozenset({"read", "write"}))
ENGINEER = Viewer("hoa", frozenset({"xuong-sen"}), frozenset({"read", "write", "aim"}))
OTHER = Viewer("khac", frozenset({"xuong-sen"}), frozenset({"read", "write", "own"}))
PEOPLE = {item.name: item for item in (OWNER, STAFF, ENGINEER, OTHER)}
WORDS = st.text("abcđưở AB0-", min_size=1, max_size=20).map(lambda text: " ".join(text.split())).filter(bool)
FIRMS = st.builds(
    Firm, st.just(""), st.just(""), st.integers(10**9, 10**10 - 1).map(str), WORDS, st.sampled_from(TRADES), st.just("") | WORDS,
    st.lists(st.sampled_from(KINDS), max_size=3, unique=True).map(tuple), st.lists(WORDS, max_size=3, unique=True).map(tuple),
    st.lists(st.builds(FirmCertificate, WORDS, st.just("") | WORDS, st.sampled_from(("", "2027-01-31"))), max_size=2).map(tuple),
    st.booleans(), st.just("hoa"), st.just(1),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.lists(FIRMS, min_size=1, max_size=4, unique_by=lambda firm: firm.code),
    st.sampled_from(("csv", "xlsx")),
    st.sampled_from(LANGUAGES),
)
def test_what_is_written_reads_back(found, form, lang):
    table = table_of_file(file_of_firms(found, form, lang).content)
    read, bad = read_rows(table, written_words(), "hoa", 1)
    assert (bad, read) == ([], found)


@settings(max_examples=60)
@given(st.lists(st.lists(st.none() | st.text(max_size=12) | st.integers() | st.floats(), max_size=9), max_size=6))
def test_whatever_is_in_a_file_each_complaint_names_its_cell(rows):
    table = [list(COLUMNS), *rows]
    read, bad = read_rows(table, written_words(), "hoa", 1)
    assert len(read) == sum(any(str(cell).strip() for cell in row if cell is not None) for row in rows)
    for item in bad:
        assert 2 <= item.row <= len(table)
        assert item.column in COLUMNS
        assert f"directory.bad.{item.why}" in catalogue()
    complained = {item.row for item in bad}
    assert all(
        firm.name and firm.trade for number, firm in zip(_filled(rows), read, strict=True) if number not in complained
    )


def _filled(rows):
    return [number for number, row in enumerate(rows, 2) if any(str(cell).strip() for cell in row if cell is not None)]


def test_each_kind_of_mistake_is_named():
    def wrong(**cells):
        row = {"code": "0101234567", "name": "Cơ khí A", "trade": "metal"} | cells
        _, bad = read_rows([list(COLUMNS), [row.get(key, "") for key in COLUMNS]], written_words(), "hoa", 1)
        return [(item.row, item.column, item.why, item.near) for item in bad]

    assert wrong() == []
    assert wrong(trade="Nhựa", kinds="Máy dập; press; Máy ép phun") == [], "people write their own language"
    assert wrong(code="") == [(2, "code", "missing", "")]
    assert wrong(code="12") == [(2, "code", "no_code", "")]
    assert wrong(trade="metall") == [(2, "trade", "unknown_word", "metal")]
    assert wrong(kinds="press; pres") == [(2, "kinds", "unknown_word", "press")]
    assert wrong(certificates="ISO 9001, 1, 31/01/2027") == [(2, "certificates", "certificate", "")]
    assert wrong(shown="maybe") == [(2, "shown", "yes_or_no", "")]
    assert wrong(name="x" * 201) == [(2, "name", "too_long", "200")]
    same = ["0101234567", "A", "metal"]
    _, bad = read_rows([list(COLUMNS[:3]), same, same], {}, "hoa", 1)
    assert [(item.row, item.why, item.near) for item in bad] == [(3, "twice", "2")]
    _, bad = read_rows([["code", "price"], same], {}, "hoa", 1)
    assert {item.why for item in bad} == {"missing_column", "unknown_column"}
    assert read_rows([], {}, "hoa", 1)[1][0].why == "empty"


def test_a_search_needs_no_marks():
    firm = Firm("", "", "0101234567", "Cơ khí Đại Phát", "metal", "Bắc Ninh", ("press",), ("Ốp nhựa",), (), True, "", 1)
    assert folded("Đại  PHÁT") == "dai phat"
    for asked in ("dai phat", "Đại", "op nhua bac", "0101", ""):
        assert is_found(firm, asked, "", ""), asked
    assert not is_found(firm, "dai long", "", "")
    assert is_found(firm, "", "metal", "press")
    assert not is_found(firm, "", "metal", "sewing")


def test_a_file_that_is_no_table_is_refused_within_bounds():
    for content in (b"PK\x03\x04 broken", b"\xff\xfe\x00", b"x" * 2_000_001, b'a,"b\nc'):
        with pytest.raises(UnreadableFile):
            table_of_file(content)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("xl/worksheets/sheet1.xml", b"0" * 50_000_000)
    with pytest.raises(UnreadableFile, match="unpacks"):
        table_of_file(bomb.getvalue())
    assert table_of_file("code;name\n1;ốp\n".encode()) == [["code", "name"], ["1", "ốp"]]


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    folder = tmp_path_factory.mktemp("directory")
    made, _ = plant.make(folder, {})
    for number, site in enumerate((SITE, "xuong-sen")):
        plant.fill(made, site, "metal", number, last=plant.FIRST)
    said = open_declarations(f"sqlite:///{folder}/a.sqlite")
    sender = DeclarationSender(said, lambda *_: None, made.now_ns)

    async def identify(connection):
        return PEOPLE.get(connection.headers.get("x-who", ""))

    app = application(made, Ingest(made, BrokerSettings("127.0.0.1", 9), patient=False), sender, identify=identify)
    add_directory_pages(app, app.state.directory)
    add_error_pages(app, made)
    yield SimpleNamespace(app=app, engine=said)
    said.dispose()
    made.store.close()


def ask(center, who, method="GET", path="", **more):
    async def go():
        transport = httpx.ASGITransport(center.app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=200) as client:
            url = path if path.startswith("/") else f"/api/v1/directory{'/' if path else ''}{path}"
            return await client.request(method, url, headers={"x-who": who}, **more)

    return asyncio.run(go())


def names(center, who, **query):
    return [row["name"] for row in ask(center, who, params=query).json()["rows"]]


def sheet(*rows):
    book, out = Workbook(), io.BytesIO()
    for row in (list(COLUMNS), *rows):
        book.active.append(row)
    book.save(out)
    return out.getvalue()


OWN = {
    "site": SITE,
    "code": "0109999999",
    "name": "Xưởng Lim",
    "trade": "metal",
    "products": "Bản lề",
    "certificates": "ISO 9001, VN-1",
}


def test_who_sees_and_changes_what(center):
    assert ask(center, "hoa", "PUT", json=OWN).status_code == 404, "an engineer of another site"
    assert ask(center, "tho", "PUT", json=OWN).status_code == 403
    assert ask(center, "khac", "PUT", json=OWN).status_code == 404
    assert ask(center, "chu", "PUT", json=OWN | {"site": ""}).status_code == 403
    assert ask(center, "chu", "PUT", json=OWN | {"trade": "gold"}).status_code == 422
    assert ask(center, "chu", "PUT", json=OWN).status_code == 200
    assert [names(center, who) for who in ("chu", "tho", "khac", "hoa")] == [["Xưởng Lim"], ["Xưởng Lim"], [], []]
    assert ask(center, "chu", "PUT", json=OWN | {"shown": True}).status_code == 200
    assert [names(center, who) for who in ("khac", "hoa")] == [["Xưởng Lim"], ["Xưởng Lim"]]
    (row,) = ask(center, "khac").json()["rows"]
    assert ask(center, "khac", "DELETE", row["id"]).status_code == 403
    assert ask(center, "hoa", "DELETE", row["id"]).status_code == 403
    assert ask(center, "chu", "DELETE", "0" * 16).status_code == 404


def test_a_file_is_taken_whole_or_not_at_all(center):
    good = [
        "0101234567",
        "Cơ khí Đại Phát",
        "Gia công kim loại",
        "Bắc Ninh",
        "Máy dập; laser",
        "Ốp nhựa; Bản lề",
        "ISO 9001, A-1, 2027-01-31 | IATF 16949",
        "x",
    ]
    bad = ["12", "", "gold", "", "pres", "", "", ""]
    hidden = ["0101234568", "May Sông Hồng", "garment", "Nam Định", "sewing", "Áo sơ mi", "", ""]
    assert ask(center, "chu", "POST", "import", content=sheet(good)).status_code == 403
    answer = ask(center, "hoa", "POST", "import", content=sheet(good, bad))
    assert answer.status_code == 422
    told = answer.json()
    assert [(item["row"], item["column"]) for item in told["complaints"]] == [
        (3, "name"),
        (3, "code"),
        (3, "trade"),
        (3, "kinds"),
    ]
    assert "press" in told["complaints"][3]["says"]["vi"]
    assert names(center, "hoa", q="dai phat") == []
    told = ask(center, "hoa", "POST", "import", content=sheet(good, hidden)).json()
    assert (told["new"], told["changed"], told["complaints"]) == (2, 0, [])
    assert names(center, "chu") == ["Cơ khí Đại Phát", "Xưởng Lim"], "what is not shown is the center's"
    assert names(center, "hoa", trade="garment") == ["May Sông Hồng"]
    assert names(center, "hoa", q="ban le", kind="laser") == ["Cơ khí Đại Phát"]
    again = ask(center, "hoa", params={"format": "xlsx"}).content
    book = load_workbook(io.BytesIO(again))
    assert book.worksheets[0].max_row == 4
    told = ask(
        center,
        "hoa",
        "POST",
        "import",
        content=ask(center, "hoa", params={"format": "csv", "trade": "garment"}).content,
    )
    assert (told.json()["new"], told.json()["changed"]) == (0, 1), "what was downloaded is taken again"
    what = [row.what for row in audit.entries(center.engine)[0]]
    assert (what.count("directory.imported"), what.count("directory.set")) == (2, 2)


def test_the_page_takes_a_file_and_names_each_wrong_cell(center):
    answer = ask(
        center,
        "hoa",
        "POST",
        "/directory",
        data={"act": "import"},
        files={"file": ("a.xlsx", sheet(["12", "A", "metal"]))},
    )
    assert answer.status_code == 422
    assert "0101234567" in answer.text, "an example of what to write"
    answer = ask(center, "hoa", "POST", "/directory", data={"act": "import"}, files={"file": ("a.xlsx", b"PKx")})
    assert answer.status_code == 422
    assert (
        ask(center, "chu", "POST", "/directory", data={"act": "import"}, files={"file": ("a.csv", b"x")}).status_code
        == 403
    )
    assert ask(center, "chu", "GET", "/directory", params={"q": "dai phat"}).status_code == 200
    (row,) = ask(center, "hoa", params={"q": "song hong"}).json()["rows"]
    assert ask(center, "hoa", "POST", "/directory", data={"act": "remove", "firm": row["id"]}).status_code == 200
    assert names(center, "hoa", q="song hong") == []


def test_a_row_reads_back_as_it_was():
    firm = Firm(
        "", "", "0101234567", "A", "metal", "", (), (), (FirmCertificate("ISO", "", "2027-01-31"),), False, "hoa", 1
    )
    cells = row_of(firm)
    assert cells["certificates"] == "ISO, , 2027-01-31"
    read, bad = read_rows([list(cells), list(cells.values())], {}, "hoa", 1)
    assert (read, bad) == ([firm], [])
