"""Answers as files, read back by programs that did not write them."""

import csv
import io
from datetime import datetime

import openpyxl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from center.api.exports import FORMATS, export, table_of
from center.api.exports.csv import write as write_csv
from center.api.exports.xlsx import heading
from oee.kpi.kpi import KPI_KEYS
from oee.model.facts import FACT_COLUMNS
from words import LANGUAGES

ANSWER = {
    "site": "van-long",
    "from": "2026-03-02T06:00:00+07:00",
    "to": "2026-03-02T14:00:00+07:00",
    "timezone": "Asia/Ho_Chi_Minh",
    "bucket": "hour",
    "formula": "nakajima",
    "rows": [
        {
            "start": "2026-03-02T06:00:00+07:00",
            "machine": "press-1",
            "product": "=HYPERLINK(1)",
            "sums": {"running_ms": 90_000, "pieces_total": 30},
            "scheduled_ms": 3_600_000,
            "kpis": {"oee": 0.625, "mtbf_s": None},
            "why_null": {"mtbf_s": "no_failure"},
            "flags": ["performance_above_1"],
        },
        {
            "start": "2026-03-02T07:00:00+07:00",
            "machine": "press-1",
            "product": "Ốp nhựa, A",
            "sums": {"running_ms": 0, "pieces_total": 0},
            "scheduled_ms": None,
            "kpis": {"oee": None, "mtbf_s": None},
            "why_null": {},
            "flags": [],
        },
    ],
}


def _csv(content):
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_csv_says_what_the_answer_says():
    made = export("csv", "trend", ANSWER, "vi")
    assert made.name == "nhip-van-long-trend-20260302T0600-to-20260302T1400.csv"
    assert made.content.startswith(b"\xef\xbb\xbf")  # Excel reads Vietnamese only so
    first, second = _csv(made.content)
    assert first["start"] == "2026-03-02T06:00:00+07:00"
    assert (first["running_ms"], first["oee"], first["mtbf_s"]) == ("90000", "0.625", "")
    assert (first["why_null"], first["flags"]) == ("mtbf_s=no_failure", "performance_above_1")
    assert (second["product"], second["scheduled_ms"], second["pieces_total"]) == ("Ốp nhựa, A", "", "0")


def test_a_cell_never_becomes_a_formula():
    assert _csv(export("csv", "trend", ANSWER, "en").content)[0]["product"] == "'=HYPERLINK(1)"
    book = openpyxl.load_workbook(io.BytesIO(export("xlsx", "trend", ANSWER, "en").content))
    cell = book.worksheets[0].cell(2, 3)
    assert (cell.value, cell.data_type) == ("=HYPERLINK(1)", "s")


def test_parquet_has_types_and_the_question():
    table = pq.read_table(io.BytesIO(export("parquet", "trend", ANSWER, "en").content))
    assert str(table.schema.field("start").type) == "timestamp[ms, tz=UTC]"
    assert str(table.schema.field("running_ms").type) == "int64"
    assert str(table.schema.field("mtbf_s").type) == "double"  # of a column that nobody knows too
    assert table.column("oee").to_pylist() == [0.625, None]
    assert table.column("start")[0].as_py() == datetime.fromisoformat("2026-03-01T23:00:00+00:00")
    assert table.schema.metadata[b"nhip.formula"] == b"nakajima"


@pytest.mark.parametrize(
    ("lang", "running", "title"), [("vi", "Đang chạy [phút]", "Số liệu"), ("en", "Running [min]", "Data")]
)
def test_excel_is_for_people(lang, running, title):
    book = openpyxl.load_workbook(io.BytesIO(export("xlsx", "trend", ANSWER, lang).content))
    sheet = book.worksheets[0]
    assert sheet.title == title
    names = [cell.value for cell in sheet[1]]
    row = dict(zip(names, [cell.value for cell in sheet[2]], strict=True))
    assert row[running] == 1.5
    assert sheet.cell(2, 1).value.isoformat() == "2026-03-02T06:00:00"  # the site's wall clock
    oee = names.index(next(name for name in names if name and name.startswith("OEE")))
    assert (sheet[2][oee].value, sheet[2][oee].number_format, sheet[3][oee].value) == (0.625, "0.0%", None)
    assert ("Asia/Ho_Chi_Minh",) in [row[1:] for row in book.worksheets[1].iter_rows(values_only=True)]


def test_the_waterfall_in_excel_is_in_words():
    step = {"step": "slow_cycles", "group": "performance", "of": "operating", "big_loss": "reduced_speed", "us": 5}
    rows = [step | {"start": "2026-03-02T06:00:00Z", "machine": "press-1"}, {"step": "busy", "group": "", "us": 7}]
    book = openpyxl.load_workbook(io.BytesIO(export("xlsx", "waterfall", ANSWER | {"rows": rows}, "vi").content))
    head, first, second = book.worksheets[0].iter_rows(values_only=True)
    named = dict(zip(head, first, strict=True))
    assert (named["Bước"], named["Thuộc"]) == ("Chạy chậm", "Thời gian vận hành thực tế")
    assert (named["Nhóm"], named["Tổn thất lớn"]) == ("Tổn thất hiệu suất", "Giảm tốc độ")
    assert named["Thời gian [µs]"] == 5
    assert "Thời gian vận hành được ghi nhận" in second


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_column_of_facts_and_kpis_has_a_heading(lang):
    row = {
        "sums": dict.fromkeys(FACT_COLUMNS, 0),
        "kpis": dict.fromkeys(KPI_KEYS, 0.5),
        "start": "2026-03-02T06:00:00Z",
    }
    columns = table_of("trend", {"rows": [row]}, lang).columns
    bare = [
        column.key
        for column in columns
        if heading(column, lang).removesuffix(" [min]") in (column.key, column.key[:-3])
    ]
    assert bare == []


@pytest.mark.parametrize("form", FORMATS)
def test_an_answer_without_rows_is_an_empty_file_and_no_error(form):
    assert export(form, "stops", ANSWER | {"rows": []}, "vi").name.endswith(form)


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"machine": TEXT, "ms": st.integers(-(2**62), 2**62), "oee": st.none() | st.floats(0, 2)}
        ),
        min_size=1,
    )
)
def test_csv_loses_nothing_but_takes_no_formula(rows):
    found = _csv(write_csv(table_of("losses", {"rows": rows}, "vi"), "vi"))
    assert [int(item["ms"]) for item in found] == [row["ms"] for row in rows]
    assert [item["oee"] for item in found] == ["" if row["oee"] is None else str(row["oee"]) for row in rows]
    for item, row in zip(found, rows, strict=True):
        assert item["machine"] in (row["machine"], f"'{row['machine']}")
        assert len(item["machine"]) < 2 or not item["machine"].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize("before", ["", " ", "\u3000", "\t", "\r", "\n", "\n ", "\ufeff", "\u200b \u200b"])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
def test_whatever_stands_before_a_formula_it_is_a_text(before, sign):
    made = write_csv(table_of("losses", {"rows": [{"machine": f"{before}{sign}1+1"}]}, "vi"), "vi")
    assert _csv(made)[0]["machine"] == f"'{before}{sign}1+1"


@pytest.mark.parametrize("text", ["press-1", "a=b", "-", "=", "Ốp nhựa, A", "'=1"])
def test_other_texts_are_as_they_were(text):
    made = write_csv(table_of("losses", {"rows": [{"machine": text}]}, "vi"), "vi")
    assert _csv(made)[0]["machine"] == text
