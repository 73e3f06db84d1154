"""Options, durations, times and signals that the commands of several rooms share."""

import signal
import subprocess
import sys
from datetime import datetime
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

import nhip
from cli.options import Duration, json_option, lang_option
from cli.terminal import bars, progress, show_json, show_table
from cli.times import parse_past_time, parse_time, time_text
from words.languages import LANGUAGES, accepted_language, language_of

ROOT = Path(__file__).resolve().parents[2]
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("1.5", 1.5), ("500ms", 0.5), ("2min", 120.0), ("1h30min", 5400.0), ("30d", 2592e3)],
)
def test_a_duration_is_a_number_of_seconds_or_has_a_unit(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "-5s", "nan", "inf", "1e3", "5x", "5 s 3"])
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match="is no duration; write a number with its unit: 500ms"):
        Duration().convert(text, None, None)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "vi_VN.UTF-8"}, "vi"),
        ({"LANG": "vi_VN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "NHIP_LANG": "vi"}, "vi"),
        ({"LANG": "vi_VN.UTF-8", "NHIP_LANG": "en"}, "en"),
    ],
)
def test_the_language_is_what_the_environment_asks_for(environment, language):
    assert language_of(environment) == language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", ""),
        ("vi-VN,vi;q=0.9,en-US;q=0.8,en;q=0.7", "vi"),
        ("de-DE,de;q=0.9,en;q=0.8,vi;q=0.7", "en"),
        ("en;q=0.2, VI;q=0.9", "vi"),
        ("vi;q=0, en;q=0.1", "en"),
        ("de, *;q=0.5", ""),
        ("en;q=often, vi;q=0.1;x=y", "vi"),
        (",;q=,;;", ""),
    ],
)
def test_the_language_that_a_browser_asks_for(header, language):
    assert accepted_language(header) == language


def test_language_and_json_reach_the_command(monkeypatch):
    @click.command()
    @lang_option
    @json_option
    def command(lang, as_json):
        click.echo(f"{lang} {as_json}")

    monkeypatch.setenv("NHIP_LANG", "vi")
    assert CliRunner().invoke(command).output == "vi False\n"
    assert CliRunner().invoke(command, ["--lang", "en", "--json"]).output == "en True\n"


def test_a_time_without_an_offset_is_in_the_zone_of_the_site():
    assert parse_time("2026-03-02", HANOI) == datetime(2026, 3, 2, tzinfo=HANOI)
    assert parse_time("2026-03-02T08:10", HANOI) == datetime(2026, 3, 2, 8, 10, tzinfo=HANOI)
    assert parse_time("2026-03-02T08:10+00:00", HANOI) == datetime(2026, 3, 2, 15, 10, tzinfo=HANOI)
    with pytest.raises(ValueError, match="yesterday"):
        parse_time("yesterday", HANOI)


def test_a_time_of_day_is_the_last_one_that_has_passed():
    now = datetime(2026, 3, 2, 9, 0, tzinfo=HANOI)
    assert parse_past_time("8:10", HANOI, now) == datetime(2026, 3, 2, 8, 10, tzinfo=HANOI)
    assert parse_past_time("09:00", HANOI, now) == now
    assert parse_past_time("8:10:30", HANOI, now) == datetime(2026, 3, 2, 8, 10, 30, tzinfo=HANOI)
    assert parse_past_time("22:00", HANOI, now) == datetime(2026, 3, 1, 22, 0, tzinfo=HANOI)
    assert parse_past_time("2026-03-05", HANOI, now) == datetime(2026, 3, 5, tzinfo=HANOI)
    for text in ("", "25:00", "8h10"):
        with pytest.raises(ValueError):
            parse_past_time(text, HANOI, now)


def test_a_time_is_shown_in_a_zone():
    t_ns = 1_772_413_800_000_000_000
    assert time_text(t_ns, HANOI, "vi") == "08:10 02/03/2026"
    assert time_text(t_ns, HANOI, "en") == "2026-03-02 08:10"


def test_progress_is_drawn_on_a_terminal_only(capfd):
    with progress() as report:
        report("reading", 1, 2)
    assert capfd.readouterr() == ("", "")
    drawn = StringIO()
    with bars(Console(file=drawn, force_terminal=True, width=80), keep=True) as shown:
        shown.add_task("reading", total=2, completed=1)
    assert "reading" in drawn.getvalue()
    assert "50 %" in drawn.getvalue()


def test_json_is_whole_and_readable(capsys):
    show_json({"name": "Ép nhựa", "at": datetime(2026, 3, 2, tzinfo=HANOI)})
    assert capsys.readouterr().out == '{\n  "name": "Ép nhựa",\n  "at": "2026-03-02 00:00:00+07:00"\n}\n'


SERVICE = """
import asyncio, sys
from cli.signals import run_until_signal

async def service(stop):
    print("ready", flush=True)
    await stop.wait()
    print("stopping", flush=True)
    await asyncio.sleep(float(sys.argv[2]))
    print("stopped", flush=True)

run_until_signal(service, second_signal_kills=sys.argv[1] == "kills")
"""


def _service(second, lasts_s):
    command = [sys.executable, "-c", SERVICE, second, str(lasts_s)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_a_service_stop_in_order(number):
    with _service("kills", 0) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.communicate()[0] == "stopping\nstopped\n"
    assert process.returncode == 0


@pytest.mark.parametrize(("second", "output", "status"), [("ignored", "stopped\n", 0), ("kills", "", -signal.SIGTERM)])
def test_a_second_signal_is_ignored_or_ends_the_process(second, output, status):
    with _service(second, 1 if second == "ignored" else 100) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate()[0] == output
    assert process.returncode == status


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_command_says_which_part_is_not_installed(lang, monkeypatch):
    """As in a gateway's package, which has nothing of the center but the commands' names."""
    monkeypatch.setitem(sys.modules, "center.run", None)
    monkeypatch.delattr("center.run", raising=False)
    found = CliRunner().invoke(nhip.main, ["center", "x.yaml", "--lang", lang])
    assert (found.exit_code, "nhip-center" in found.output) == (2, True)
    assert "Traceback" not in found.output


@pytest.mark.parametrize("width", [60, 80, 160])
def test_names_in_a_table_are_not_folded_however_narrow_it_is(width, monkeypatch, capsys):
    monkeypatch.setattr("cli.terminal.PIPE_WIDTH", width)
    show_table(["Tag", "What is wrong with it"], [["pack-1-opc.processed", "it stands still " * 8]])
    lines = capsys.readouterr().out.splitlines()
    assert sum("pack-1-opc.processed" in line for line in lines) == 1
    assert all(len(line) <= width for line in lines)
