"""One history in every way that it can be written comes to the same facts."""

import os
import subprocess
import sys
from datetime import UTC

import numpy as np
import plants
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replay.read import lines as lines_file
from replay.read import table as table_file

SECONDS = 30_000


@pytest.fixture(scope="module")
def recorded():
    return plants.history(SECONDS)


@pytest.fixture(scope="module")
def truth(recorded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth")
    plants.write_csv(folder / "press.csv", *recorded)
    found, outcome = plants.facts(folder)
    assert outcome.conflicts == ()
    assert outcome.rows == SECONDS
    return found


@pytest.mark.parametrize(
    "style",
    [
        {"say": lambda when: str(when.timestamp())},
        {"say": lambda when: str(int(when.timestamp()))},
        {"say": lambda when: when.astimezone(UTC).isoformat().replace("+00:00", "Z")},
        {"say": lambda when: when.isoformat(sep=" ", timespec="milliseconds")},
        {"between": ";"},
        {"between": "\t", "newline": "\r\n"},
        {"hold": True},
    ],
    ids=["epoch-float", "epoch", "utc", "millis", "semicolon", "tab-crlf", "held"],
)
def test_every_way_to_write_it_in_csv(recorded, truth, tmp_path, style):
    plants.write_csv(tmp_path / "press.csv", *recorded, **style)
    found, outcome = plants.facts(tmp_path)
    assert [item for item in outcome.conflicts if item.severity == "conflict"] == []
    assert found == truth


@pytest.mark.parametrize("block", [200, 5_000, 10**6])
def test_however_the_file_falls_into_blocks(recorded, truth, tmp_path, monkeypatch, block):
    monkeypatch.setattr(lines_file, "_BLOCK_BYTES", block)
    times, columns = recorded
    rows = SECONDS if block > 200 else 3000
    plants.write_csv(tmp_path / "press.csv", times[:rows], {tag: values[:rows] for tag, values in columns.items()})
    found, _ = plants.facts(tmp_path)
    if rows == SECONDS:
        assert found == truth
    monkeypatch.setattr(lines_file, "_BLOCK_BYTES", 10**9)
    assert plants.facts(tmp_path)[0] == found


def test_without_pyarrow_csv_is_read_all_the_same(recorded, truth, tmp_path, monkeypatch):
    monkeypatch.setattr(table_file, "pa", None)
    plants.write_csv(tmp_path / "press.csv", *recorded)
    assert plants.facts(tmp_path)[0] == truth


def _table(times, columns, stamps):
    return pa.table({"time": stamps, **{tag: pa.array(values) for tag, values in columns.items()}})


@pytest.mark.parametrize(
    "kind", ["ns", "us-local", "naive", "seconds", "float", "text", "text-columns", "dictionary", "nulls"]
)
def test_every_way_to_write_it_in_parquet(recorded, truth, tmp_path, kind):
    times, columns = recorded
    stamps = pa.array(times, pa.timestamp("ns", "UTC"))
    columns = {tag: values.astype(np.int32) for tag, values in columns.items()}
    match kind:
        case "us-local":
            stamps = stamps.cast(pa.timestamp("us", "Asia/Ho_Chi_Minh"))
        case "naive":
            stamps = pa.array([when.replace(tzinfo=None) for when in times], pa.timestamp("ms"))
        case "seconds":
            stamps = pa.array([int(when.timestamp()) for when in times])
        case "float":
            stamps = pa.array([when.timestamp() for when in times])
        case "text":
            stamps = pa.array([when.isoformat() for when in times])
        case "text-columns":
            columns = {tag: values.astype(str) for tag, values in columns.items()}
        case "dictionary":
            columns["running"] = pa.array(columns["running"] == 1).cast(pa.int8()).dictionary_encode()
        case "nulls":
            same = np.append(False, columns["alarm"][1:] == columns["alarm"][:-1])
            columns["alarm"] = pa.array(columns["alarm"], mask=same)
    pq.write_table(_table(times, columns, stamps), tmp_path / "press.parquet", row_group_size=7_000)
    found, outcome = plants.facts(tmp_path)
    assert [item for item in outcome.conflicts if item.severity == "conflict"] == []
    assert found == truth
    assert any(item.code == "naive_time" for item in outcome.conflicts) == (kind == "naive")


def test_a_summer_time_zone_is_one_clock(tmp_path):
    """Naive times of a zone with summer time, across the change."""
    from zoneinfo import ZoneInfo

    from replay.read.times import from_wall

    zone = ZoneInfo("Europe/Berlin")
    wall = np.array([1_774_746_000, 1_774_749_600, 1_774_756_800]) * 10**9  # 2026-03-29 01:00, 02:00 (left out), 04:00
    assert (from_wall(wall, zone) // 10**9 - wall // 10**9).tolist() == [-3600, -3600, -7200]


@pytest.mark.parametrize("cut", [4, 1000, 60_000])
def test_a_parquet_file_without_its_end_is_told(recorded, tmp_path, cut):
    times, columns = recorded
    path = tmp_path / "press.parquet"
    pq.write_table(_table(times, columns, pa.array(times, pa.timestamp("ns", "UTC"))), path)
    path.write_bytes(path.read_bytes()[:cut])
    _, outcome = plants.facts(tmp_path)
    assert {item.code for item in outcome.conflicts} == {"broken_parquet", "no_rows"}
    assert outcome.window is None


def test_reading_parquet_imports_no_pandas(recorded, tmp_path):
    """It would cost 50 MB and half a second, and nothing of it is used."""
    times, columns = recorded
    pq.write_table(_table(times, columns, pa.array(times, pa.timestamp("ns", "UTC"))), tmp_path / "press.parquet")
    code = (
        "import sys, plants; from pathlib import Path; plants.facts(Path(sys.argv[1])); print('pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"


def test_parquet_without_pyarrow_is_told(recorded, tmp_path, monkeypatch):
    (tmp_path / "press.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "replay.read.parquet", None)
    _, outcome = plants.facts(tmp_path)
    assert {item.code for item in outcome.conflicts} == {"no_pyarrow"}


def test_not_a_number_in_parquet_is_told_with_its_row(recorded, tmp_path):
    times, columns = recorded
    strokes = columns["strokes"].astype(float)
    strokes[500:502] = np.nan
    table = _table(times, columns | {"strokes": strokes}, pa.array(times, pa.timestamp("ns", "UTC")))
    pq.write_table(table, tmp_path / "press.parquet")
    _, outcome = plants.facts(tmp_path)
    (item,) = outcome.conflicts
    assert (item.code, item.line, item.key, item.count) == ("not_a_number", 501, "strokes", 2)


HEAD = "time,running,alarm,strokes,rejects\n"
ROWS = "2026-09-21T07:00:00+07:00,1,0,5,0\n2026-09-21T08:00:00+07:00,1,0,50,0\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", {"empty_file", "no_rows"}),
        (HEAD.encode(), {"no_rows"}),
        ((HEAD + ROWS).encode("utf-16"), set()),
        ((HEAD + ROWS).encode("utf-16-le"), {"not_utf8", "no_rows"}),
        ((HEAD + ROWS).encode("utf-16") + b"x", {"not_utf8", "cut_off"}),
        (bytes(range(256)) * 40, {"not_utf8", "no_rows"}),
        ((HEAD + ROWS).replace("\n", "\r").encode(), {"line_ends", "no_rows"}),
        (b"\xef\xbb\xbf" + (HEAD + "\n\n" + ROWS + "\n").encode(), set()),
        ((HEAD + ROWS).rstrip().encode(), set()),
        ((HEAD + "-5,1,0,1,1\n1e30,1,1,1,1\nnan,1,1,1,1\n" + ROWS).encode(), {"time_out_of_range", "no_time", "mixed_times"}),
        ((HEAD + ROWS.replace(",5,", ",99999999999999999999,")).encode(), {"not_a_number"}),
        ((HEAD + '"2026-09-21T06:00:00+07:00,1,0,5,0\n' + ROWS).encode(), {"no_time"}),
        ((HEAD + ROWS.split("\n", maxsplit=1)[0] + "\n").encode(), {"empty_window"}),
    ],
)  # fmt: skip
def test_whatever_stands_in_the_file_is_told_and_never_a_crash(tmp_path, content, told):
    (tmp_path / "press.csv").write_bytes(content)
    _, outcome = plants.facts(tmp_path)
    assert {item.code for item in outcome.conflicts if item.severity == "conflict"} == told
    if told in (set(), {"not_a_number"}):
        assert outcome.window.end_ns - outcome.window.start_ns == 3600 * 10**9


def test_every_conflict_that_has_sentences_is_told_somewhere():
    from pathlib import Path

    import replay
    from words.catalogue import catalogue

    source = "".join(path.read_text(encoding="utf-8") for path in Path(replay.__file__).parent.rglob("*.py"))
    codes = {key.split(".")[1] for key in catalogue() if key.startswith("conflict.")}
    for code in codes:
        assert f'"{code}"' in source or code.startswith("counter_"), code
        assert f"conflict.{code}.cure" in catalogue()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_spreadsheets_unicode_text(recorded, truth, tmp_path, encoding, monkeypatch):
    monkeypatch.setattr(lines_file, "_BLOCK_BYTES", 50_001)
    plants.write_csv(tmp_path / "press.csv", *recorded, between="\t", newline="\r\n")
    text = (tmp_path / "press.csv").read_bytes().decode()
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "press.csv").write_bytes((mark + text).encode(encoding))
    found, outcome = plants.facts(tmp_path)
    assert [item for item in outcome.conflicts if item.severity == "conflict"] == []
    assert found == truth


@pytest.mark.parametrize("name", ["Time", "timestamp", "TIMESTAMP", " Timestamp "])
def test_the_time_column_by_another_name(recorded, truth, tmp_path, name):
    plants.write_csv(tmp_path / "press.csv", *recorded)
    written = (tmp_path / "press.csv").read_text(encoding="utf-8")
    (tmp_path / "press.csv").write_text(written.replace("time,", f"{name},", 1), encoding="utf-8")
    found, outcome = plants.facts(tmp_path)
    assert outcome.conflicts == ()
    assert found == truth


def test_two_columns_that_could_be_the_time_are_told(recorded, tmp_path):
    times, columns = recorded
    plants.write_csv(tmp_path / "press.csv", times[:10], {tag: values[:10] for tag, values in columns.items()})
    written = (tmp_path / "press.csv").read_text(encoding="utf-8")
    lines = [f"{line.split(',', 1)[0]},{line}" for line in written.splitlines()]
    lines[0] = "Time,Timestamp," + lines[0].split(",", 2)[2]
    (tmp_path / "press.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _, outcome = plants.facts(tmp_path)
    assert "no_time_column" in {item.code for item in outcome.conflicts}
