"""Findings of advice in words: their sentence with its numbers as people expect them."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from words.catalogue import NOTHING, catalogue, say
from words.formats import day_text, number, percent
from words.languages import LANGUAGES

_EPOCH: Final = date(1970, 1, 1)
_PERCENT: Final = {
    "long_repair": {"share": 0},
    "speed_drift": {"slower": 1, "low": 1, "high": 1, "a_day": 2},
    "no_reason": {"share": 0},
    "best_practice": {"gap": 1, "low": 1, "high": 1},
    "ideal_wrong": {"beaten": 0, "best": 0},
    "startup_reject": {"share": 1, "rest_share": 1},
    "reject_spread": {"gap": 1, "low": 1, "high": 1, "share": 1, "rest_share": 1},
    "bottleneck": {"lead": 1, "low": 1, "high": 1, "waits": 1, "next_waits": 1},
    "cyclic_stop": {"share": 0},
    "idle_energy": {"share": 0},
    "counter_suspect": {"share": 1},
}
"""By rule the figures that are ratios, with their decimals."""
_DIGITS: Final = {
    "n": 0,
    "a_week": 0,
    "within_h": 0,
    "operating_h": 0,
    "repeats": 0,
    "longest": 0,
    "days": 0,
    "week_min": 0,
    "beta": 2,
    "ideal_s": 2,
    "fastest_s": 2,
    "proposed_s": 2,
    "oee_times": 2,
    "pieces_a_week": 0,
    "interval": 0,
    "kwh_a_week": 0,
    "low_kwh": 0,
    "high_kwh": 0,
    "idle_h": 0,
    "vnd_a_week": 0,
    "site_min": 0,
    "expected": 2,
}
LISTED: Final = {"stations": " → ", "machines_named": ", "}
"""Names that are several machines, and what stands between them."""
PARTS: Final = ("name", "question", "says", "doubt", "countermeasure")


def finding_part(
    part: str, rule: str, key: Sequence[str], figures: Mapping[str, float], names: Mapping[str, str], lang: str
) -> str:
    """One of `PARTS` of a finding in a language.

    key, figures, names: of the finding; names of products, reasons and machines already as people call them. A rule that
    this program does not know is named by its key alone.
    """
    if f"advice.{rule}.{part}" not in catalogue():
        return rule if part == "name" else ""
    if part != "says":
        return say(f"advice.{rule}.{part}", lang)
    values = {name: _figure(rule, name, value, lang) for name, value in figures.items()}
    values |= {name: _name(name, value, lang, values) for name, value in names.items()}
    text = say(f"advice.{rule}.says", lang, **values, key=" ".join(key))
    return " ".join(text.split()).replace(" :", ":").replace(" ;", ";").replace(" .", ".").replace(" ,", ",")


def finding_parts(
    rule: str, key: Sequence[str], figures: Mapping[str, float], names: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """All parts in all languages: part to language to text. names: by language."""
    return {
        part: {lang: finding_part(part, rule, key, figures, names[lang], lang) for lang in LANGUAGES} for part in PARTS
    }


def gain_text(gain: Mapping[str, float] | None, lang: str) -> str:
    """A range of minutes a week; a dash for findings that promise nothing."""
    if gain is None:
        return NOTHING
    return say("advice_list.gain", lang, low=number(gain["low"], lang), high=number(gain["high"], lang))


def _figure(rule: str, name: str, value: float, lang: str) -> str:
    if name == "step_day":
        day = _EPOCH + timedelta(days=int(value))
        return "" if value < 0 else day_text(day, lang)
    if name in _PERCENT.get(rule, {}):
        return percent(value, lang, _PERCENT[rule][name])
    if isinstance(value, int):
        return number(value, lang)
    return number(value, lang, _DIGITS.get(name, 1))


def _name(name: str, value: str, lang: str, values: Mapping[str, str]) -> str:
    if name in ("slot", "answer", "shape", "verdict", "clock") and f"advice_{name}.{value}" in catalogue():
        return say(f"advice_{name}.{value}", lang, **values)
    if name == "state" and f"state.{value}" in catalogue():
        return say(f"state.{value}", lang)
    return value
