"""Every claim of the README is a test: here stands which one, in the words of both languages."""

import re
import tomllib
from itertools import pairwise

import pytest
from click.testing import CliRunner
from test_readme import PAGES, ROOT, text

import nhip
from center.console.draw.kpis import FULLY_COVERED, uncertain
from center.stores.fact_tables.schema import SUMMED, column_definitions
from oee.kpi.kpi import KPIS
from oee.model.facts import FACT_COLUMNS
from words import LANGUAGES

CLAIMS = (
    ("losing nothing", "không mất gì", "faults/test_kills.py::test_kills_at_random_moments faults/test_links.py::test_cut"),
    (
        "prints the address of the console; Ctrl-C ends everything",
        "in ra địa chỉ của bảng theo dõi; Ctrl-C dừng tất cả",
        "demo/test_demo_history.py::test_the_demo_makes_history_that_can_be_corrected_and_ends_cleanly_on_ctrl_c",
    ),
    ("speaks real Modbus TCP and OPC UA", "nói Modbus TCP và OPC UA thật", "simulator/test_sim_serve.py::"),
    (
        "goes through the same pipeline as live data",
        "đi qua đúng đường tính của dữ liệu trực tiếp",
        "agent/test_run.py::test_history_first_then_live_through_kills demo/test_demo_truth.py::test_the_center_tells_the_simulators_truth",
    ),
    (
        "exit 1 if any figure is out of tolerance",
        "trả về 1 nếu có số nào lệch",
        "demo/test_proof.py::test_one_piece_too_many_is_a_complaint demo/test_proof.py::test_a_tolerance_under_which_nothing_could_fail_is_none",
    ),
    (
        "with the agent killed on the way",
        "thiết bị biên bị tắt đột ngột",
        "demo/test_demo_killed.py::test_a_killed_agent_leaves_an_unknown_gap_and_everything_else_is_true",
    ),
    (
        "Facts add up; every ratio is computed last",
        "mọi tỷ lệ chỉ được tính sau cùng",
        "oee/test_rollup.py::test_the_sum_of_parts_is_the_kpi_of_the_sum oee/test_engine_laws.py::test_however_the_input_is_cut_the_sums_are_equal",
    ),
    (
        "Order and repetition cannot spoil a sum",
        "sai thứ tự hay lặp lại cũng không làm sai tổng",
        "center/test_store_conformance.py::test_order_repetition_and_grouping_change_nothing oee/test_correction_laws.py::test_late_edits_in_any_order_come_to_the_fresh_sums",
    ),
    (
        "a broker's acknowledgement frees nothing",
        "Chỉ **biên nhận** của trung tâm",
        "agent/test_uplink.py::test_a_puback_without_a_center_frees_nothing agent/test_outbox.py::test_receipts_free_and_a_new_generation_takes_back",
    ),
    (
        "Silence is **unknown**",
        "Im lặng là **không xác định**",
        "agent/test_freshness.py::test_a_restart_is_unknown_from_the_last_confirmation_on center/test_reading_right.py::test_silence_lowers_coverage_and_the_bounds_hold_what_was_not_heard",
    ),
    (
        "wherever they are wider than 2 points or coverage is below 98%",
        "khi khoảng rộng hơn 2 điểm hoặc độ phủ dưới 98 %",
        "center/test_console_parts.py::test_bounds_stand_beside_a_number_that_does_not_cover_the_time center/test_console_parts.py::test_bounds_stand_beside_a_number_of_which_few_pieces_are_judged",
    ),
    (
        "is a complete one",
        "xem mẫu đầy đủ",
        "test_readme.py::test_the_complete_site_file_is_valid",
    ),
    (
        "refused with all complaints at once, each with its line and its cure",
        "bị từ chối với tất cả lỗi một lần, mỗi lỗi có số dòng và cách sửa",
        "config/test_cases.py::test_complaints config/test_cases.py::test_every_complaint_has_sentences",
    ),
    (
        "leads from an unknown PLC to the first OEE",
        "dẫn từ một PLC lạ đến con số OEE đầu tiên",
        "tools/test_first_number.py::test_who_only_follows_the_guide_has_an_oee_within_five_minutes",
    ),
    ("read-only, gentle", "chỉ đọc, không làm quá tải thiết bị", "adapters/test_read_only.py::test_modbus_tcp tools/test_tools_scan.py::test_it_is_as_slow_as_it_says"),
    ("with ready tag lines", "kèm dòng khai báo sẵn", "tools/test_tools_browse.py::test_a_tree_and_lines_to_paste"),
    ("type and byte order from the value on the display", "kiểu và thứ tự byte từ giá trị trên màn hình", "tools/test_tools_bytes.py::test_the_line_to_paste"),
    ("each used in a line", "mỗi máy một dòng", "tools/test_tools_equipment.py::test_what_is_shown_of_a_profile_can_be_pasted"),
    ("questions and answers to a valid site file", "hỏi và trả lời để có tệp cấu hình hợp lệ", "tools/test_tools_init.py::test_questions_and_answers"),
    ("what this computer lacks for the agent", "máy tính này còn thiếu gì để chạy agent", "tools/test_doctor.py::test_what_is_wrong_is_named"),
    ("a record to print and sign", "biên bản để in và ký", "tools/test_tools_check.py::test_the_record_stands_alone"),
    ("without a center too", "không cần trung tâm", "agent/test_show.py::test_it_tells_what_machines_devices_and_tags_are_doing"),
    ("what waits for the center, and since when", "những gì đang chờ gửi về trung tâm", "agent/test_outbox_summary.py::test_what_waits_since_when_and_how_much"),
    ("declared late; the numbers are recomputed", "khai báo muộn, số liệu tính lại theo", "agent/test_declare_commands.py::test_a_declaration_waits_and_a_changed_ideal_time_is_computed_with_it"),
    ("after a changed ideal time or calendar", "sau khi đổi thời gian lý tưởng hoặc lịch ca", "agent/test_corrections.py::test_a_described_otherwise_machine_is_computed_again"),
    ("The same engine over CSV or Parquet files", "Cùng một bộ tính trên tệp CSV hoặc Parquet", "replay/test_formats.py:: replay/test_recorded_cases.py::"),
    ("on other addresses only with https: or proxy:", "mở ra ngoài thì phải có https: hoặc proxy:", "config/test_center.py::"),
    ("the one file that it needs", "một tệp duy nhất để chép sang", "faults/test_enrolled.py::test_an_account_from_enrolment_to_revocation"),
    ("then people and tokens in the console", "sau đó thêm người ngay trên bảng theo dõi", "center/test_console_accounts.py::test_an_administrator_s_day"),
    (
        "console, API (/api/v1/docs) and ingest in one process",
        "bảng theo dõi, API (/api/v1/docs) và nhận dữ liệu trong một tiến trình",
        "test_readme.py::test_the_center_file_and_its_commands_make_a_center center/test_center_process.py::test_terminated_it_drains_and_goes_on_where_it_was",
    ),
    (
        "as a page, a PDF and by mail",
        "dạng trang, PDF và qua e-mail",
        "center/test_reports.py::test_page_pdf_and_mail_say_the_same_numbers center/test_report_mails.py::test_a_mail_at_the_end_of_each_shift_to_each_once_with_its_pdf",
    ),
    ("Alerts by Zalo, Telegram, webhook and mail", "Cảnh báo qua Zalo, Telegram, webhook và e-mail", "center/test_alert_channels.py::test_a_service_has_the_whole_text center/test_alert_channels.py::test_mail_goes_to_each_address_of_its_own"),
    ("What an action against a loss brought, with its interval", "đã được gì, kèm khoảng tin cậy", "center/test_actions_night.py::test_a_true_gain_is_verified_on_either_store_with_the_same_numbers"),
    ("a factory sees itself", "nhà máy chỉ thấy chính mình", "center/test_tenants.py::test_the_sites_of_others_change_no_answer center/test_console_accounts.py::test_no_page_shows_what_is_another_s"),
    ("each followed by a test", "mỗi bước đều có bài kiểm thử làm theo", "test_recipes.py::test_a_recipe_does_what_it_says"),
    ("lists every KPI with its formula and source", "liệt kê mọi chỉ số với công thức và nguồn", "test_docs.py::test_every_kpi_has_its_row"),
)  # fmt: skip
"""What is claimed in English, in Vietnamese, and the tests that fail where it is not so; `FILE::` is every test of a file."""


def plain(page):
    """A page's words, however its lines are broken."""
    return " ".join(text(page).split())


@pytest.mark.parametrize(("english", "vietnamese", "tests"), CLAIMS, ids=[claim[0] for claim in CLAIMS])
def test_a_claim_stands_in_both_languages_and_has_its_tests(english, vietnamese, tests):
    assert " ".join(english.split()) in plain(PAGES["en"])
    assert vietnamese in plain(PAGES["vi"])
    for test in tests.split():
        file, name = test.split("::")
        source = text(ROOT / "tests" / file)
        assert re.search(rf"^(async )?def {name or 'test_'}", source, re.MULTILINE), test


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_point_of_how_a_piece_becomes_a_number_is_without_one(lang):
    (section,) = re.findall(r"^## (?:How a piece becomes|Một sản phẩm trở thành).*?(?=^## |^\| )", text(PAGES[lang]), re.MULTILINE | re.DOTALL)  # fmt: skip
    points = [" ".join(point.split()) for point in re.split(r"^\* ", section, flags=re.MULTILINE)[1:]]
    claimed = [" ".join(claim[0 if lang == "en" else 1].split()) for claim in CLAIMS]
    assert len(points) == 4
    assert [point for point in points if not any(claim in point for claim in claimed)] == []


def test_both_languages_lack_the_same():
    """What is not there yet is a claim too."""
    sections = [text(PAGES[lang]).split("## " + head)[1] for lang, head in (("en", "Where it stands"), ("vi", "Tình trạng"))]  # fmt: skip
    for words in ("PLC", "ARM"):
        assert all(words in section for section in sections)
    gaps = [re.findall(r"(?:Not there yet|Chưa có): (.*?)\.\s", section, re.DOTALL)[0] for section in sections]
    assert {gap.count(",") for gap in gaps} == {0}, gaps


def test_no_ratio_is_stored():
    """Facts and losses are whole numbers of the store, and none of them is a KPI of another unit than theirs."""
    for keys, sums in SUMMED.values():
        kinds = {column.split()[1] for column in column_definitions(keys, sums).split(", ")}
        assert kinds <= {"BIGINT", "INTEGER", "UTINYINT", "VARCHAR"}
    ratios = {kpi.key for kpi in KPIS if kpi.unit == "1"}
    assert ratios
    assert not ratios.intersection(FACT_COLUMNS)


def test_bounds_are_shown_from_the_width_that_is_said():
    assert FULLY_COVERED == 0.98
    told = [
        uncertain({"oee_low": 0.5, "oee_high": high, "coverage": covered})
        for high, covered in ((0.5199, 0.98), (0.5201, 1.0), (0.5, 0.979))
    ]
    assert told == [False, True, True]


def test_the_python_that_is_needed_and_the_days_of_the_demo(monkeypatch):
    begun = []
    monkeypatch.setattr("demo.command.run", lambda settings, _folder: begun.append(settings.days) or 0)
    assert CliRunner().invoke(nhip.main, ["demo"]).exit_code == 0
    assert begun == [56]
    needed = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["requires-python"].removeprefix(">=")
    for lang, days in (("en", "eight weeks of history"), ("vi", "tám tuần lịch sử")):
        assert f"Python {needed}" in plain(PAGES[lang])
        assert days in plain(PAGES[lang])
    lines = text(ROOT / "Makefile").splitlines()
    assert [after for line, after in pairwise(lines) if line.startswith("demo:")] == ["\t$(BIN)/nhip demo"]
