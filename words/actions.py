"""Actions and their verdicts in words: numbers in the unit of what was measured, as people expect them."""

from collections.abc import Mapping
from typing import Any, Final

from words.catalogue import catalogue, say
from words.formats import number, percent

_POINTS: Final = ("oee", "operating", "loss", "minor", "speed", "reject")
_UNITS: Final = {"failures": "percent", "energy": "kwh_piece"}


def metric_text(metric: str, part: str, lang: str, names: Mapping[str, str] | None = None) -> str:
    """What is measured. part: as the plan has it; names: of products and reasons by key."""
    called = names or {}
    if metric == "loss":
        state, _, reason = part.partition("/")
        what = say(f"state.{state}", lang) + (f" · {called.get(reason, reason)}" if reason else "")
    elif metric == "edge":
        what = say(f"action_edge.{part}", lang)
    elif part:
        what = " → ".join(called.get(name, name) for name in part.split("→"))
    else:
        return say(f"action_metric.{metric}", lang)
    return say(f"action_metric.{metric}.of", lang, part=what)


def value_text(metric: str, value: float | None, lang: str) -> str:
    """A value of what is measured: percent, minutes, failures per 100 h or kWh a piece."""
    if metric in _POINTS:
        return percent(value, lang)
    if metric == "energy":
        return say("action_unit.kwh_piece", lang, n=number(value, lang, 3))
    return say("action_unit.per_100h" if metric == "failures" else "action_unit.min", lang, n=number(value, lang, 1))


def change_text(metric: str, limits: Mapping[str, float], lang: str) -> str:
    """A change with its interval: percentage points, minutes, percent of a rate, or kWh a piece."""
    values = {name: limits[name] for name in ("value", "low", "high")}
    if metric == "failures":
        values = {name: 100 * (value - 1) for name, value in values.items()}
    elif metric in _POINTS:
        values = {name: 100 * value for name, value in values.items()}
    texts = {name: signed(value, lang, 3 if metric == "energy" else 1) for name, value in values.items()}
    return say(f"action_change.{_UNITS.get(metric, 'points' if metric in _POINTS else 'min')}", lang, **texts)


def least_text(metric: str, effect: float | None, lang: str) -> str:
    """The least effect that can be seen."""
    if effect is None:
        return say("action_least.nothing", lang)
    if metric == "failures":
        return percent(effect, lang, 0)
    if metric in _POINTS:
        return say("action_unit.points", lang, n=number(100 * effect, lang, 1))
    if metric == "energy":
        return value_text(metric, effect, lang)
    return say("action_unit.min", lang, n=number(effect, lang, 1))


def signed(value: float, lang: str, digits: int = 1) -> str:
    """A number that always bears its sign."""
    text = number(value, lang, digits)
    return text if text.startswith("−") or not value else f"+{text}"


def range_text(limits: Mapping[str, float], lang: str, unit: str) -> str:
    """A value with its interval, a week. unit: `minutes`, `pieces` or `kwh`."""
    texts = {name: signed(limits[name], lang, 0) for name in ("value", "low", "high")}
    return say(f"action_range.{unit}", lang, **texts)


def verdict_text(metric: str, part: str, verdict: Mapping[str, Any], lang: str, names: Mapping[str, str]) -> str:
    """One sentence with the numbers: what was measured, from what to what, the change with its interval, what it is worth a
    week, and where nothing is shown how small an effect could have been seen and when more can be said.
    """
    if verdict["change"] is None:
        return " ".join([say("action_says.unknown", lang), *(why_text(key, lang) for key in verdict["why"])])
    parts = [
        say(
            f"action_says.{verdict['result']}",
            lang,
            what=metric_text(metric, part, lang, names),
            before=value_text(metric, verdict["before"], lang),
            after=value_text(metric, verdict["after"], lang),
            change=change_text(metric, verdict["change"], lang),
        )
    ]
    if verdict["minutes"]:
        parts.append(say("action_says.minutes", lang, minutes=range_text(verdict["minutes"], lang, "minutes")))
    if verdict.get("kwh"):
        parts.append(say("action_says.minutes", lang, minutes=range_text(verdict["kwh"], lang, "kwh")))
    if verdict["pieces"] and any(verdict["pieces"].values()):
        parts.append(say("action_says.pieces", lang, pieces=range_text(verdict["pieces"], lang, "pieces")))
    if verdict["result"] == "not_shown":
        parts.append(say("action_says.least", lang, least=least_text(metric, verdict["least"], lang)))
        days = verdict["days_needed"]
        if days:
            parts.append(say("action_says.when", lang, days=number(days, lang)))
    return " ".join(parts)


def why_text(key: str, lang: str) -> str:
    """Why there is no verdict, or no better one; what a newer program says in another way is returned unchanged."""
    for name in (f"action_why.{key}", f"advice_trust.{key}"):
        if name in catalogue():
            return say(name, lang)
    return key
