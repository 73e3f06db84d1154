"""The catalogue is complete, both languages agree, and numbers and times are written as people expect."""

import re
from datetime import datetime
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

import pytest
from ruamel.yaml import YAML

import words
from oee.kpi.kpi import KPI_KEYS, ORDER_KPIS
from oee.model.states import CalendarClass, State
from words.catalogue import catalogue, read_catalogue

ROOT = Path(words.__file__).parent.parent
ROOMS = sorted(path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
SOURCES = [path for room in ROOMS for kind in ("*.py", "*.js") for path in sorted(room.rglob(kind))] + [
    ROOT / "nhip.py",
    ROOT / "scripts" / "command_pages.py",
]
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
LITERAL = re.compile(r"""\bsay\(\s*["']([a-z0-9_]+\.[a-z0-9_.]+)["']""")  # other rooms may have a say() of their own
COMPOSED = re.compile(r"""(?:f["']|`)([a-z_]+(?:\.[a-z_]+)*\.)\$?\{""")
SUBJECT = re.compile(r"""\bWORDS = "([a-z_]+\.)\"""")  # of a page's class: `center.outgoing.page_request`
QUOTED = set(re.findall(r"""["']([a-z0-9_.]+)["']""", TEXT))
ADDRESSED = {
    "state": [state.word for state in State],
    "calendar": [item.word for item in CalendarClass],
    "kpi": [*KPI_KEYS, *(kpi.key for kpi in ORDER_KPIS)],
}


def placeholders(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_say_something_with_the_same_placeholders():
    """One test for all keys: 1,700 tests would take longer to begin and end than to run."""
    entries = catalogue().items()
    assert [key for key, entry in entries if set(entry) != set(words.LANGUAGES)] == []
    assert [key for key, entry in entries if not all(text.strip() for text in entry.values())] == []
    assert [key for key, entry in entries if len({frozenset(placeholders(text)) for text in entry.values()}) != 1] == []


@pytest.mark.parametrize(("subject", "members"), ADDRESSED.items())
def test_every_state_class_and_kpi_has_its_name_and_no_other(subject, members):
    assert {key for key in catalogue() if key.startswith(f"{subject}.")} == {f"{subject}.{name}" for name in members}


def test_every_key_that_sources_say_exists():
    missing = sorted(set(LITERAL.findall(TEXT)) - set(catalogue()))
    assert missing == []


VOCABULARY = ("state.", "calendar.", "kpi.", "why_null.", "flag.", "loss.", "loss_group.", "waterfall.", "bucket.", "weekday.",
              "language.", "ideal_source.", "formula.", "flow.", "reason.", "shift.", "product.", "duration.",
              "complaint.", "advice.", "advice_slot.", "advice_answer.", "advice_shape.", "advice_clock.", "advice_trust.",
              "advice_verdict.", "help.", "click.", "system.")  # fmt: skip
"""Names of things: complete by their subject, whether or not a screen shows each of them. `tests/cli/test_help.py` has its
own law for the help of commands and for what click says.
"""


def test_every_sentence_is_said_somewhere():
    composed = (*COMPOSED.findall(TEXT), *SUBJECT.findall(TEXT))
    unused = [
        key
        for key in catalogue()
        if not key.startswith(VOCABULARY) and key not in QUOTED and not (composed and key.startswith(composed))
    ]
    assert unused == []


def test_complaints_are_exactly_those_that_config_and_center_make():
    files = [path for room in ("adapters", "config", "center", "simulator") for path in (ROOT / room).rglob("*.py")]
    made = "\n".join(path.read_text(encoding="utf-8") for path in files)
    codes = re.findall(r"(?:InvalidValue|complain)\(\s*\"(\w+)\"", made)
    codes += re.findall(r"raise _?wrong\([^\n]*?, \"(\w+)\"[,)]", made)
    for code in codes:
        assert f"complaint.{code}" in catalogue()
    for key in catalogue():
        if key.startswith("complaint.") and not key.endswith(".cure") and key != "complaint.did_you_mean":
            assert f'"{key.removeprefix("complaint.")}"' in made, key
            assert f"{key}.cure" in catalogue()


def test_why_a_kpi_is_null_has_a_sentence():
    reasons = re.findall(r"_Undefined\(\"(\w+)\"\)", (ROOT / "oee" / "kpi" / "kpi.py").read_text(encoding="utf-8"))
    assert reasons
    assert all(f"why_null.{reason}" in catalogue() for reason in reasons)


@pytest.mark.parametrize(
    ("n", "says"), [(1, "1 alert"), ("1", "1 alert"), (0, "0 alerts"), (2, "2 alerts"), ("21", "21 alerts")]
)
def test_one_is_one_and_not_several(n, says):
    assert words.say("alert.banner", "en", n=n) == says
    assert words.say("alert.banner", "vi", n=n) == f"{n} cảnh báo"


def test_the_page_at_the_machine_counts_without_plurals():
    """Its script fills in numbers and knows no forms: "1 more stops" would be read on every tablet."""
    english = {key: entry["en"] for key, entry in catalogue().items() if key.startswith("andon.")}
    counted = re.compile(r"\{(?:n|count|made|pieces|due)\} (?:more )?[a-z]+s\b|\[[^\]]*\|")
    assert {key: text for key, text in english.items() if counted.search(text)} == {}


def test_forms_are_in_pairs_and_follow_a_number():
    """`{n} [stop|stops]`: what is between brackets has exactly two forms, and a placeholder before it decides."""
    texts = [
        (key, text) for key, entry in catalogue().items() for text in entry.values() if re.search(r"\[[^\]]*\|", text)
    ]
    assert len(texts) > 50
    for key, text in texts:
        for found in re.finditer(r"\[([^\]]*)\]", text):
            if "|" in found[1]:
                assert found[1].count("|") == 1, key
                assert re.search(r"\{\w+\}", text[: found.start()]), key


def test_what_is_missing_is_named():
    with pytest.raises(KeyError, match=r"no\.such\.key"):
        words.say("no.such.key", "vi")
    with pytest.raises(KeyError, match="fr"):
        words.say("state.running", "fr")
    with pytest.raises(KeyError, match="n"):
        words.say("duration.s", "vi")


def test_files_are_merged_and_repeated_keys_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("x.one: {vi: một, en: one}\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("x.two: {vi: hai, en: two}\n", encoding="utf-8")
    (tmp_path / "note.txt").write_text("not a catalogue")
    assert set(read_catalogue(tmp_path)) == {"x.one", "x.two"}
    (tmp_path / "b.yaml").write_text("x.one: {vi: hai, en: two}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"b\.yaml: x\.one already stands in words/a\.yaml"):
        read_catalogue(tmp_path)
    (tmp_path / "b.yaml").write_text("x.two: {vi: hai}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.two needs exactly"):
        read_catalogue(tmp_path)


@pytest.mark.parametrize("file", sorted((ROOT / "words").glob("*.yaml")), ids=lambda file: file.name)
def test_a_strict_reader_finds_the_same(file):
    """libyaml takes the last of two equal keys without a word; ruamel.yaml refuses them."""
    strict = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    assert {key: {lang: str(text) for lang, text in entry.items()} for key, entry in strict.items()} == {
        key: catalogue()[key] for key in strict
    }


@pytest.mark.parametrize(
    ("value", "digits", "vi", "en"),
    [
        (1234567.891, 2, "1.234.567,89", "1,234,567.89"),
        (-0.001, 1, "0,0", "0.0"),
        (-5, 0, "−5", "−5"),
        (None, 0, "—", "—"),
    ],
)
def test_numbers(value, digits, vi, en):
    assert words.number(value, "vi", digits) == vi
    assert words.number(value, "en", digits) == en


def test_percent():
    assert words.percent(0.7479, "vi") == "74,8\u00a0%"
    assert words.percent(0.7479, "en") == "74.8%"
    assert words.percent(None, "vi") == "—"


@pytest.mark.parametrize(
    ("ms", "vi", "en"),
    [
        (0, "0 giây", "0 s"),
        (500, "0,5 giây", "0.5 s"),
        (12_345, "12 giây", "12 s"),
        (59_990, "1 phút", "1 min"),
        (3_725_000, "1 giờ 2 phút", "1 h 2 min"),
        (3_599_900, "1 giờ", "1 h"),
        (90_000_000, "1 ngày 1 giờ", "1 d 1 h"),
        (-61_000, "−1 phút 1 giây", "−1 min 1 s"),
        (None, "—", "—"),
    ],
)
def test_durations(ms, vi, en):
    assert words.duration(ms, "vi") == vi
    assert words.duration(ms, "en") == en


@pytest.mark.parametrize(
    ("ms", "vi", "en"),
    [
        (84_599_000, "23 giờ 30 phút", "23 h 30 min"),
        (84_600_000, "24 giờ", "24 h"),
        (86_400_000, "24 giờ", "24 h"),
        (-324_000_000, "−90 giờ", "−90 h"),
    ],
)
def test_hours_never_become_days(ms, vi, en):
    assert (words.hours(ms, "vi"), words.hours(ms, "en")) == (vi, en)


def test_moments():
    when = datetime(2026, 9, 2, 14, 5)  # noqa: DTZ001  # shown as it is
    assert words.moment(when, "vi") == "14:05 02/09/2026"
    assert words.moment(when, "en") == "2026-09-02 14:05"
    assert words.moment(None, "en") == "—"


def test_a_refusal_tells_its_time_as_the_site_has_it():
    zone = ZoneInfo("Asia/Ho_Chi_Minh")
    said = words.refusal("too_old 2026-11-25T15:15:42+00:00", zone, "vi")
    assert "22:15 25/11/2026" in said
    assert "T15" not in said
    assert "press-9" in words.refusal("unknown_machine press-9", zone, "en")
    assert words.refusal("too_old", zone, "en") == words.refusal("too_old yesterday", zone, "en") != ""
    assert words.refusal("from_a_newer_gateway x", zone, "vi") == "from_a_newer_gateway x"
    assert words.refusal("", zone, "vi") == ""
