"""Recordings as people have them: what the site file says about a file is followed, what it does not say is told."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import plants
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import config
from oee.model.facts import FACT_COLUMNS
from replay import replay
from replay.read import lines as lines_file
from replay.read import table as table_file
from replay.read.cells import CellFormat, MaybeThousands
from replay.read.times import TimeFormat, iso

SECONDS = 6_000
TIMES, COLUMNS = plants.history(SECONDS, seed=5)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth")
    plants.write_csv(folder / "press.csv", TIMES, COLUMNS)
    found, outcome = plants.facts(folder)
    assert outcome.conflicts == ()
    return found


def rows(say=datetime.isoformat, cell=str):
    return [[say(when), *map(cell, row)] for when, *row in zip(TIMES, *COLUMNS.values(), strict=True)]


def text(lines, between=",", head=("time", *plants.TAGS)):
    return "".join(between.join(line) + "\n" for line in ([head] if head else []) + list(lines))


def said(outcome):
    return {item.code for item in outcome.conflicts if item.severity == "conflict"}


def dmy(when):
    return when.strftime("%d/%m/%Y %H:%M:%S")


def excel(when):
    days = (when.replace(tzinfo=None) - datetime.fromisoformat("1899-12-30")) / timedelta(days=1)
    return f"{days:.9f}".replace(".", ",")


def half_day(when):
    return f"{when:%Y-%m-%d} {when.hour % 12 or 12}:{when:%M:%S} {'SA' if when.hour < 12 else 'CH'}"


def changes(name_of=str):
    """A row for each change of each tag, as a panel logs them, and its last value again at the end."""
    out = []
    for second, when in enumerate(TIMES):
        for tag, values in COLUMNS.items():
            if second in (0, SECONDS - 1) or values[second] != values[second - 1] or tag in ("strokes", "rejects"):
                out.append([when.isoformat(), name_of(tag), str(values[second])])
    return out


WORD = {0: "Off", 1: "ON"}
VIET = ("Ngày giờ", "Trạng thái", "Lỗi", "Sản lượng [cái]", "Phế phẩm [cái]")
VIET_NAMES = (
    '{"ngày  giờ": time, Trạng thái: running, Lỗi: alarm, "Sản lượng [cái]": strokes, "Phế phẩm [cái]": rejects}'
)
PREAMBLE = "Máy dập 1; xuất ngày 30/09/2026\n\nĐơn vị: cái\n"
WINCC = (
    "{names: {VarName: tag, VarValue: value, TimeString: time, Validity: quality, DB1.RUNNING: running, "
    "DB1.ALARM: alarm, DB1.STROKES: strokes, DB1.REJECTS: rejects}}"
)
AS_WRITTEN = {
    "no header": lambda: (text(rows(), head=None), "{columns: [time, running, alarm, strokes, rejects]}"),
    "no header, more columns": lambda: (
        text([[str(n), *row, "x"] for n, row in enumerate(rows())], ";", head=None),
        '{columns: ["-", time, running, alarm, strokes, rejects, "-"]}',
    ),
    "names": lambda: (text(rows(), ";", VIET), f"{{names: {VIET_NAMES}}}"),
    "names in one line": lambda: (text(rows(), ",", [VIET[0], '"Trạng\nthái"', *VIET[2:]]), f"{{names: {VIET_NAMES}}}"),
    "units and capitals": lambda: (text(rows(), ",", ("Time", "RUNNING", "press.alarm (code)", "strokes [pcs]", "Rejects")), ""),
    "words": lambda: (
        text([[at, WORD[int(on)], *rest] for at, on, *rest in rows()]),
        "{words: {on: 1, OFF: 0}}",
    ),
    "day first": lambda: (text(rows(dmy), ";"), "{dates: dd/mm/yyyy}"),
    "day first, short": lambda: (text(rows(lambda when: f"{when.day}.{when.month}.{when:%y} {when.hour}:{when:%M:%S}")), "{dates: dd.mm.yy}"),
    "month first": lambda: (text(rows(lambda when: when.strftime("%m-%d-%Y %H:%M:%S"))), "{dates: mm-dd-yyyy}"),
    "year first": lambda: (text(rows(lambda when: when.strftime("%Y/%m/%d %H:%M:%S"))), ""),
    "twelve hours": lambda: (text(rows(half_day)), ""),
    "day first, twelve hours": lambda: (text(rows(lambda when: when.strftime("%d/%m/%Y %I:%M:%S %p"))), "{dates: dd/mm/yyyy}"),
    "excel": lambda: (text(rows(excel), ";"), "{dates: excel}"),
    "date and time": lambda: (
        text([[f"{when:%d/%m/%Y}", *row] for when, row in zip(TIMES, rows(lambda when: f"{when:%H:%M:%S}"), strict=True)],
             head=("Date", "Time", *plants.TAGS)),
        "{dates: dd/mm/yyyy}",
    ),
    "date and time of excel": lambda: (
        text([[str((when.date() - date(1899, 12, 30)).days), f"{(when.hour * 3600 + when.minute * 60 + when.second) / 86400:.9f}", *row[1:]]
              for when, row in zip(TIMES, rows(), strict=True)], ";", ("Ngày", "Giờ", *plants.TAGS)),
        "{dates: excel, names: {Ngày: date, Giờ: time}}",
    ),
    "offset": lambda: (
        text([[f"{when.astimezone(timezone(timedelta(hours=9, minutes=30))):%Y-%m-%d %H:%M:%S}", "UTC+9:30", *row[1:]]
              for when, row in zip(TIMES, rows(), strict=True)], head=("time", "tz", *plants.TAGS)),
        "{names: {tz: offset}}",
    ),
    "zone": lambda: (text(rows(lambda when: f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}")), "{timezone: UTC}"),
    "zone, day first": lambda: (
        text(rows(lambda when: f"{when.astimezone(UTC):%d/%m/%Y %H:%M:%S}")), "{timezone: UTC, dates: dd/mm/yyyy}",
    ),
    "newest first": lambda: (text(rows()[::-1]), "{order: newest_first}"),
    "newest first, day first": lambda: (text(rows(dmy)[::-1], ";"), "{order: newest_first, dates: dd/mm/yyyy}"),
    "no order": lambda: (text(rows()[3000:] + rows()[:3000]), "{order: any}"),
    "thousands": lambda: (text(rows(cell=lambda n: f"{n:,}".replace(",", ".")), ";"), "{decimal: comma}"),
    "thousands with a point": lambda: (text(rows(cell=lambda n: f"{n:,}.0"), ";"), "{decimal: point}"),
    "thousands with spaces": lambda: (text(rows(cell=lambda n: f"{n:,}".replace(",", "\u00a0")), ";"), "{decimal: comma}"),
    "decimal comma": lambda: (text(rows(cell=lambda n: f"{n},0"), ";"), ""),
    "decimal comma, tabs": lambda: (text(rows(cell=lambda n: f"{n},00"), "\t"), ""),
    "quoted": lambda: (text([[f'"{cell}"' for cell in row] for row in rows()]), ""),
    "quoted decimal comma": lambda: (text([[f'"{cell},0"' if n else cell for n, cell in enumerate(row)] for row in rows()]), "{decimal: comma}"),
    "sep": lambda: ("sep=;\n" + text(rows(), ";"), ""),
    "preamble": lambda: (PREAMBLE + text(rows(), ";"), "{skip_lines: 3}"),
    "blank lines": lambda: ("\n" + text([*rows(), [""] * 5, [" ", "", "", "", ""]]).replace("\n", "\n\n"), ""),
    "long": lambda: (text(changes(), ";", ("time", "tag", "value")), ""),
    "long, named": lambda: (
        text([[tag, value, at, "1"] for at, tag, value in changes(lambda tag: f"DB1.{tag.upper()}")], ";",
             ('"VarName"', "VarValue", "TimeString", "Validity")),
        WINCC,
    ),
    "long, no header, newest first": lambda: (
        text([[at, tag, value] for at, tag, value in reversed(changes())], head=None),
        "{columns: [time, tag, value], order: newest_first}",
    ),
    "long, tag by tag": lambda: (
        text(sorted(changes(), key=lambda row: row[1]), head=("Time", "Tag", "Value")),
        "{order: any}",
    ),
}  # fmt: skip
"""Made where they are read: each process that runs tests loads this file."""


@pytest.mark.parametrize("reader", ["columns", "rows"])
@pytest.mark.parametrize("case", AS_WRITTEN)
def test_every_way_to_write_it_comes_to_the_same_facts(truth, tmp_path, monkeypatch, case, reader):
    if reader == "rows":
        monkeypatch.setattr(table_file, "pa", None)
    content, recording = AS_WRITTEN[case]()
    (tmp_path / "press.csv").write_text(content, encoding="utf-8")
    found, outcome = plants.facts(tmp_path, recording)
    assert said(outcome) == set()
    assert found == truth


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("block", [90, 64_000])
@pytest.mark.parametrize("end", ["\n", ""], ids=["ended", "cut"])
@pytest.mark.parametrize("case", ["newest first", "no header", "long", "long, no header, newest first", "no order"])
def test_however_the_file_falls_into_blocks(tmp_path, monkeypatch, case, block, end, encoding):
    content, recording = AS_WRITTEN[case]()
    few = content.splitlines()[: 400 if block < 1_000 else SECONDS]
    (tmp_path / "press.csv").write_text("\n".join(few) + end, encoding=encoding)
    monkeypatch.setattr(lines_file, "_BLOCK_BYTES", 10**9)
    whole, outcome = plants.facts(tmp_path, recording)
    assert said(outcome) == set()
    monkeypatch.setattr(lines_file, "_BLOCK_BYTES", block)
    found, in_parts = plants.facts(tmp_path, recording)
    assert found == whole
    assert (in_parts.rows, in_parts.window, in_parts.conflicts) == (outcome.rows, outcome.window, outcome.conflicts)


def test_a_line_is_told_with_its_number_also_from_the_end(tmp_path, monkeypatch):
    lines = rows()[:500][::-1]
    lines[123][1] = "on"
    for block in (200, 10**7):
        monkeypatch.setattr(lines_file, "_BLOCK_BYTES", block)
        (tmp_path / "press.csv").write_text("\n\n" + text(lines), encoding="utf-8")
        _, outcome = plants.facts(tmp_path, "{order: newest_first}")
        (item,) = outcome.conflicts
        assert (item.code, item.line, item.value) == ("text_in_number", 3 + 1 + 123, "on")


@pytest.mark.parametrize("kind", ["newest first", "long", "words", "date and time", "excel", "no order"])
def test_parquet_follows_the_same_words(truth, tmp_path, kind):
    stamps = pa.array(TIMES, pa.timestamp("us", "UTC"))
    columns = {"time": stamps, **{tag: pa.array(values) for tag, values in COLUMNS.items()}}
    recording = ""
    match kind:
        case "newest first":
            columns = {name: pa.array(values.to_pylist()[::-1], values.type) for name, values in columns.items()}
            recording = "{order: newest_first}"
        case "long":
            at, tag, value = zip(*changes(), strict=True)
            columns = {"time": list(at), "tag": list(tag), "value": pa.array([float(item) for item in value])}
        case "words":
            columns["running"] = pa.array([WORD[on] for on in COLUMNS["running"].tolist()])
            recording = "{words: {ON: 1, OFF: 0}}"
        case "date and time":
            columns = {"Date": pa.array([when.date() for when in TIMES]), **columns}
            columns["time"] = pa.array([f"{when:%H:%M:%S}" for when in TIMES])
        case "excel":
            columns["time"] = pa.array([float(excel(when).replace(",", ".")) for when in TIMES])
            recording = "{dates: excel}"
        case "no order":
            moved = np.roll(np.arange(SECONDS), 2_500)
            columns = {name: values.take(pa.array(moved)) for name, values in columns.items()}
            recording = "{order: any}"
    pq.write_table(pa.table(columns), tmp_path / "press.parquet", row_group_size=1_700)
    found, outcome = plants.facts(tmp_path, recording)
    assert said(outcome) == set()
    assert found == truth


MADE = COLUMNS["strokes"] - COLUMNS["strokes"][0]


def test_pieces_are_counted_from_the_edges_of_a_state(truth, tmp_path):
    """The press closes once for each stroke, and no counter was recorded."""
    closed = np.append(0, (np.diff(COLUMNS["strokes"]) > 0).astype(int))
    lines, steps = [], (timedelta(0), timedelta(milliseconds=500))
    for second, when in enumerate(TIMES):
        for step, on in zip(steps, ("START" if closed[second] else "STOP", "STOP"), strict=True):
            if step and second == SECONDS - 1:
                continue
            row = [COLUMNS[tag][second] for tag in ("running", "alarm", "rejects")]
            lines.append([(when + step).isoformat(), *map(str, row), on])
    (tmp_path / "press.csv").write_text(
        text(lines, head=("time", "running", "alarm", "rejects", "oil")), encoding="utf-8"
    )
    found, outcome = plants.facts(tmp_path, "{counts: {strokes: oil}, words: {START: 1, STOP: 0}}")
    assert said(outcome) == set()
    assert total(outcome, "pieces_total") == int(MADE[-1])
    assert found == truth


def total(outcome, name):
    return sum(int(row[FACT_COLUMNS.index(name)]) for row in outcome.totals.facts.values())


@pytest.mark.parametrize("block", [150, 10**7])
def test_edges_across_blocks_and_bad_values(tmp_path, monkeypatch, block):
    monkeypatch.setattr(lines_file, "_BLOCK_BYTES", block)
    states = ["1", "1", "0", "1", "?", "1", "0", "?", "1", "0", "0", "2", "0"]
    lines = [[f"2026-09-21T07:{n:02}:00+07:00", "1", "0", "0", on] for n, on in enumerate(states)]
    (tmp_path / "press.csv").write_text(
        text(lines, head=("time", "running", "alarm", "rejects", "oil")), encoding="utf-8"
    )
    _, outcome = plants.facts(tmp_path, "{counts: {strokes: oil}}")
    assert (total(outcome, "pieces_total"), total(outcome, "pieces_unwatched")) == (2, 1)
    assert said(outcome) == set()


def test_a_counter_that_is_there_and_counted_anyway_is_told(tmp_path):
    (tmp_path / "press.csv").write_text(text(rows()[:50]), encoding="utf-8")
    _, outcome = plants.facts(tmp_path, "{counts: {strokes: running}}")
    assert ("counted_anyway", "strokes") in {(item.code, item.key) for item in outcome.conflicts}


TELL = {
    "day or month first": (text(rows(dmy)), "", {"date_order", "no_rows"}),
    "day beyond its month": (text(rows(dmy)), "{dates: mm/dd/yyyy}", {"no_time", "no_rows"}),
    "excel": (text(rows(excel), ";"), "", {"excel_date", "no_rows"}),
    "words": (text([[at, "RUN", *rest] for at, _, *rest in rows()]), "{words: {ON: 1}}", {"text_in_number"}),
    "newest first": (text(rows()[::-1]), "", {"clock_ahead", "clock_back", "empty_window"}),
    "newest first, said of one that is not": (text(rows()), "{order: newest_first}", {"clock_ahead", "clock_back", "empty_window"}),
    "thirteen o'clock": (text(rows(lambda when: f"{when:%Y-%m-%d} 13:00 PM")), "", {"no_time", "no_rows"}),
    "offset": (text([[at, "25:99", *rest] for at, *rest in rows()], head=("time", "tz", *plants.TAGS)), "{names: {tz: offset}}", {"no_time", "no_rows"}),
    "title above the header": (PREAMBLE + text(rows(), ";"), "", {"unknown_column", "no_time_column", "no_rows"}),
    "a sum below": (text([*rows(), ["Tổng", "", "", "4595", "180"]]), "", {"no_time"}),
    "a sum below, without a word": (text([*rows(), ["", "", "", "4595", "180"]]), "", {"no_time"}),
    "no such tag": (text([row for row in changes() if row[1] != "alarm"], ";", ("time", "tag", "value")), "", {"missing_column"}),
    "value without tag": (text([row[:2] for row in rows()], head=("time", "value")), "", {"unknown_column", "missing_column"}),
    "narrower than said": (text(rows(), head=None), "{columns: [time, running, alarm, strokes]}", {"wrong_width", "missing_column", "no_rows"}),
    "twice": (text([*changes()[:9], *changes()[8:]], ";", ("time", "tag", "value")), "", {"duplicate_time"}),
}  # fmt: skip


@pytest.mark.parametrize("case", TELL)
def test_what_nobody_said_is_told_and_never_guessed(tmp_path, case):
    content, recording, codes = TELL[case]
    (tmp_path / "press.csv").write_text(content, encoding="utf-8")
    _, outcome = plants.facts(tmp_path, recording)
    assert said(outcome) == codes


THOUSANDS = {
    "beside decimal commas": ([["1.024", "12,5"], ["1.025", "12,75"]], ";"),
    "nothing shows the mark": ([["1.024", "7"], ["1.025", "7"]], ";"),
    "both marks": ([["1.024,5", "7"], ["1.025,5", "7"]], ";"),
    "commas beside points": ([["1,024", "12.5"], ["1,025", "12.75"]], ";"),
    "a counter between commas": ([["1.024", "7"], ["1.025", "7"]], ","),
    "quoted": ([['"1,024"', "7.25"], ['"1,025"', "7.5"]], ","),
    "spaces": ([["1 024", "7"], ["1 025", "7"]], ";"),
}


@pytest.mark.parametrize("reader", ["columns", "rows"])
@pytest.mark.parametrize("case", THOUSANDS)
def test_thousands_are_told_and_never_read_as_fractions(tmp_path, monkeypatch, case, reader):
    if reader == "rows":
        monkeypatch.setattr(table_file, "pa", None)
    cells, between = THOUSANDS[case]
    lines = [[f"2026-09-21T07:{n:02}:00+07:00", "1", "0", *row, "0"] for n, row in enumerate(cells)]
    head = ("time", "running", "alarm", "strokes", "oil", "rejects")
    (tmp_path / "press.csv").write_text(text(lines, between, head), encoding="utf-8")
    _, outcome = plants.facts(tmp_path)
    (item,) = [item for item in outcome.conflicts if item.severity == "conflict"]
    assert (item.code, item.key, item.value, item.count) == ("maybe_thousands", "strokes", cells[0][0].strip('"'), 2)


def grouped(number, places, thousands, mark):
    return f"{number:,.{places}f}".replace(",", "T").replace(".", mark).replace("T", thousands)


@given(
    st.integers(-(10**9), 10**9),
    st.integers(0, 6),
    st.sampled_from([("", "."), ("", ","), (",", "."), (".", ","), (" ", ","), ("'", "."), ("\u00a0", ",")]),
    st.sampled_from(["", "said", "shown"]),
)
def test_a_number_is_read_right_or_not_at_all(number, places, marks, known):
    thousands, mark = marks
    value = number / 10**places
    form = CellFormat("number", mark if known else "", is_said=known == "said")
    try:
        read = form.number(grouped(value, places, thousands, mark))
    except MaybeThousands:
        assert known != "said"
        return
    assert read == pytest.approx(value, abs=10.0**-places / 2)


@pytest.mark.parametrize(
    ("cell", "mark"), [("12.5", ","), ("12,5", "."), ("1.23.4", ","), ("1,2,3", "."), ("1.234,5,6", ","), ("1 2", ",")]
)
def test_what_does_not_fit_the_mark_is_no_number(cell, mark):
    for is_said in (False, True):
        with pytest.raises(ValueError, match=r"."):
            CellFormat("number", mark, is_said).number(cell)


@pytest.mark.parametrize("quality", ["Good", "good, local override", "192", "216", "1", "OK"])
def test_a_good_quality(truth, tmp_path, quality):
    content = text([[*row, f'"{quality}"'] for row in changes()], ",", ("time", "tag", "value", "quality"))
    (tmp_path / "press.csv").write_text(content, encoding="utf-8")
    found, outcome = plants.facts(tmp_path)
    assert outcome.conflicts == ()
    assert found == truth


def test_a_bad_quality_makes_a_value_unknown_and_is_told(tmp_path):
    lines = [[*row, "0" if at >= 100 else "1"] for at, row in enumerate(changes())]
    (tmp_path / "press.csv").write_text(text(lines, ",", ("time", "tag", "value", "quality")), encoding="utf-8")
    found, outcome = plants.facts(tmp_path)
    assert [(item.code, item.value, item.count) for item in outcome.conflicts] == [
        ("bad_quality", "0", len(lines) - 100)
    ]
    assert total(outcome, "unknown_ms") > 1_000_000
    as_good, told = plants.facts(tmp_path, '{words: {"0": 1, "1": 1}}')
    assert told.conflicts == ()
    assert as_good != found


def test_other_tags_of_a_long_file_are_a_note(truth, tmp_path):
    lines = [row for at, tag, value in changes() for row in ([at, tag, value], [at, "press.strokse", "7"])]
    (tmp_path / "press.csv").write_text(text(lines, ",", ("time", "tag", "value")), encoding="utf-8")
    found, outcome = plants.facts(tmp_path)
    assert [(item.code, item.value, item.severity) for item in outcome.conflicts] == [
        ("unknown_tag", "press.strokse", "note")
    ]
    assert found == truth


@pytest.mark.parametrize("name", ["press.CSV", "press.txt", "press.tsv", "press.Txt"])
def test_a_files_name_may_end_otherwise(truth, tmp_path, name):
    plants.write_csv(tmp_path / name, TIMES, COLUMNS, between="\t")
    found, outcome = plants.facts(tmp_path)
    assert outcome.conflicts == ()
    assert found == truth


def test_a_workbook_is_told_with_what_to_do(tmp_path):
    (tmp_path / "press.xlsx").write_bytes(b"PK\x03\x04")
    _, outcome = plants.facts(tmp_path)
    (item,) = outcome.conflicts
    assert (item.file, item.code, item.value) == ("press.xlsx", "unread_format", ".xlsx")


def test_how_a_file_is_written_changes_no_result_of_the_gateway():
    assert config.config_hash(plants.site("{dates: dd/mm/yyyy}")) == config.config_hash(plants.site())


def test_a_template_may_say_how_files_are_written():
    text = (
        plants.SITE
        + """
templates:
  logger: {variables: [device], recordings: {"${device}": {dates: dd/mm/yyyy, words: {ON: 1, OFF: 0}}}}
use: [{template: logger, with: [{device: press}]}]
"""
    )
    assert config.parse_site(text)[0].recordings["press"].dates == "dd/mm/yyyy"


SEVEN = "2026-09-21T07:00:00+07:00"


@pytest.mark.parametrize(
    ("written", "dates", "meant"),
    [
        ("2026-09-21 7:00", "", SEVEN),
        ("2026-09-21T07", "", SEVEN),
        ("2026/9/21 07:00:00", "", SEVEN),
        ("2026.09.21 07:00:00.25", "", "2026-09-21T07:00:00.250+07:00"),
        ("21/09/2026 07:00", "dd/mm/yyyy", SEVEN),
        ("21/9/2026  7:00:00", "dd/mm/yyyy", SEVEN),
        ("9/21/26 7:00 AM", "mm/dd/yy", SEVEN),
        ("21-09-2026T07:00:00,5", "dd-mm-yyyy", "2026-09-21T07:00:00.500+07:00"),
        ("21/09/2026 07:00:00:123", "dd/mm/yyyy", "2026-09-21T07:00:00.123+07:00"),
        ("21/09/2026 00:00:00Z", "dd/mm/yyyy", SEVEN),
        ("21/09/2026 09:00 +0900", "dd/mm/yyyy", SEVEN),
        ("2026-09-21 07:00:00", "dd/mm/yyyy", SEVEN),
        ("1789948800", "dd/mm/yyyy", SEVEN),
        ("46286", "excel", "2026-09-21T00:00:00+07:00"),
        ("46286.29166666667", "excel", SEVEN),
        ("21/09/2026", "dd/mm/yyyy", "2026-09-21T00:00:00+07:00"),
        ("2026-09-21 12:00:00 AM", "", "2026-09-21T00:00:00+07:00"),
        ("2026-09-21 12:30 p.m.", "", "2026-09-21T12:30:00+07:00"),
        ("2026-09-21 12:30:00 CH", "", "2026-09-21T12:30:00+07:00"),
        ("2026-09-21 7:00 SA", "", SEVEN),
    ],
)
def test_times_as_they_are_written(written, dates, meant):
    zone = ZoneInfo("Asia/Ho_Chi_Minh")
    assert iso(TimeFormat(zone, dates).parse(written).t_ns, zone) == meant


@pytest.mark.parametrize(
    ("written", "dates", "code"),
    [
        ("21/09/2026 07:00", "", "date_order"),
        ("9-21-26", "", "date_order"),
        ("46286.29", "", "excel_date"),
        ("46286,29", "", "excel_date"),
        ("31/02/2026 07:00", "dd/mm/yyyy", "no_time"),
        ("21/09/26 07:00", "dd/mm/yyyy", "no_time"),
        ("21-09-2026 07:00", "dd/mm/yyyy", "no_time"),
        ("2026-09-21 0:30 AM", "", "no_time"),
        ("2026-09-21 25:00", "", "no_time"),
        ("2026-09-21 07:60", "", "no_time"),
        ("2026-09-21 07:00:60", "", "no_time"),
        ("07:00:00", "", "no_time"),
        ("Tổng", "", "no_time"),
        ("", "", "no_time"),
        ("2026-09-21 07:00:00 +25:00", "", "no_time"),
    ],
)
def test_times_that_cannot_be_known(written, dates, code):
    form = TimeFormat(ZoneInfo("Asia/Ho_Chi_Minh"), dates)
    with pytest.raises(ValueError, match=r"|."):
        form.parse(written)
    assert form.why_unreadable(written) == code


SHOP = """
site: docs
timezone: Asia/Ho_Chi_Minh
devices:
  press: {kind: modbus_tcp, host: 192.0.2.1, tags: {running: {coil: 0}, strokes: {holding: 1, type: uint32}}}
  saw: {kind: modbus_tcp, host: 192.0.2.2, tags: {running: {coil: 0}, blade_down: {coil: 1}, strokes: {holding: 1}}}
  mixer: {kind: modbus_tcp, host: 192.0.2.3, tags: {running: {coil: 0}, batches: {holding: 1}}}
machines:
  press: {state: [{when: press.running, is: running}, {is: unplanned_stop}], pieces: {total: press.strokes}, product: "1"}
  saw: {state: [{when: saw.running, is: running}, {is: unplanned_stop}], pieces: {total: saw.strokes}, product: "1"}
  mixer: {state: [{when: mixer.running, is: running}, {is: unplanned_stop}], pieces: {total: mixer.batches}, product: "1"}
products: {"1": {ideal: 1s}}
shifts: [{name: A, from: "06:00", to: "14:00"}]
"""


def test_the_examples_of_the_page_are_read_as_it_says(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "replay.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\nrecordings:\n(.*?)```.*?```\n(.*?)```", page, re.DOTALL)
    site = "".join(recording for recording, _ in examples)
    for recording, table in examples:
        device = recording.strip().partition(":")[0]
        (tmp_path / f"{device}.csv").write_text(table, encoding="utf-8")
    outcome = replay(config.parse_site(f"{SHOP}recordings:\n{site}")[0], tmp_path)
    assert said(outcome) == set()
    made = {
        key.machine: row[FACT_COLUMNS.index("pieces_total")] for key, row in outcome.totals.facts.items() if row.any()
    }
    assert made == {"press": 1101 - 1024, "saw": 1, "mixer": 1}
