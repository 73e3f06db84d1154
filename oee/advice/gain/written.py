"""Actions as plain values, as they are kept, and back. Pure.

Formats are only ever added to: what an older program wrote is read, and one of a newer number is refused.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from oee.advice.gain.action import ActionRecord, ActionTerms, Later, Registered
from oee.advice.gain.detectable import Detectable
from oee.advice.gain.effect import ChangeDate, Effect, Interval
from oee.advice.gain.plan import plain_plan, plan_of
from oee.advice.gain.verdict import DaySeries, GainVerdict
from oee.advice.written import NewerFormat

FORMAT: Final = 1


def plain_action(record: ActionRecord) -> dict[str, Any]:
    """An action, with the number of its format."""
    return {
        "format": FORMAT,
        "terms": asdict(record.terms),
        "plan": plain_plan(record.plan),
        "stage": record.stage,
        "finding": record.finding,
        "registered": [
            {
                "plan": plain_plan(item.plan),
                "at_ns": item.at_ns,
                "by": item.by,
                "digest": item.digest,
                "told": _plain_told(item.told),
            }
            for item in record.registered
        ],
        "verdict": _plain_verdict(record.verdict),
        "judged_ns": record.judged_ns,
        "first": _plain_verdict(record.first),
        "later": [
            {"months": item.months, "held": item.held, "verdict": _plain_verdict(item.verdict)} for item in record.later
        ],
        "progress": None if record.progress is None else asdict(record.progress),
        "note": record.note,
        "told": _plain_told(record.told),
    }


def action_of(plain: Mapping[str, Any]) -> ActionRecord:
    """The action that was written. Raises `NewerFormat`."""
    if plain.get("format") != FORMAT:
        raise NewerFormat(f"an action in format {plain.get('format')!r}; this program knows {FORMAT}: update it")
    return ActionRecord(
        ActionTerms(**plain["terms"]),
        plan_of(plain["plan"]),
        plain["stage"],
        plain["finding"],
        tuple(
            Registered(plan_of(item["plan"]), item["at_ns"], item["by"], item["digest"], _told_of(item["told"]))
            for item in plain["registered"]
        ),
        _verdict_of(plain["verdict"]),
        plain["judged_ns"],
        _verdict_of(plain["first"]),
        tuple(Later(item["months"], item["held"], _sure(_verdict_of(item["verdict"]))) for item in plain["later"]),
        _series_of(plain["progress"]),
        plain["note"],
        _told_of(plain["told"]),
    )


def _plain_told(told: Detectable | None) -> dict[str, Any] | None:
    if told is None:
        return None
    plain = asdict(told)
    return plain | {name: plain[name] if math.isfinite(plain[name]) else None for name in ("effect", "minutes")}


def _told_of(plain: dict[str, Any] | None) -> Detectable | None:
    if plain is None:
        return None
    whole = {name: math.inf if plain[name] is None else plain[name] for name in ("effect", "minutes")}
    return Detectable(**plain | whole | {"days": tuple(plain["days"])})


def _plain_verdict(verdict: GainVerdict | None) -> dict[str, Any] | None:
    return None if verdict is None else asdict(verdict)


def _verdict_of(plain: Mapping[str, Any] | None) -> GainVerdict | None:
    if plain is None:
        return None
    effect = plain["effect"]
    limits = {name: _limits_of(plain.get(name)) for name in ("minutes", "pieces", "kwh", "season")}
    pairs = {name: tuple(plain[name]) for name in ("why", "setups", "days", "dropped")}
    return GainVerdict(
        **{
            **plain,
            **limits,
            **pairs,
            "effect": effect
            and Effect(
                **{
                    **effect,
                    "change": _limits_of(effect["change"]),
                    "change_90": _limits_of(effect["change_90"]),
                    "left_out": tuple(effect["left_out"]),
                }
            ),
            "guards": {name: _limits_of(item) for name, item in plain["guards"].items()},
            "timing": plain["timing"] and ChangeDate(**plain["timing"]),
            "series": _series_of(plain["series"]),
        }
    )


def _sure(verdict: GainVerdict | None) -> GainVerdict:
    assert verdict is not None
    return verdict


def _limits_of(plain: Mapping[str, float] | None) -> Interval | None:
    return None if plain is None else Interval(**plain)


def _series_of(plain: Mapping[str, Any] | None) -> DaySeries | None:
    if plain is None:
        return None
    columns = {name: tuple(plain[name]) for name in ("day", "value", "control")}
    return DaySeries(**columns, after_from=plain["after_from"])
