"""Where the time went: from all time to fully productive time, and the six big losses. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from center.console.draw.markup import el, join, share
from oee.kpi.losses import BIG_LOSSES
from words import duration, number, percent, say

Row = Mapping[str, Any]
_LONG_US: Final = 24 * 3_600_000_000
_BUSY_LOSSES: Final = frozenset(
    {"slow_cycles", "without_ideal", "startup_reject", "process_reject", "rework", "not_judged"}
)
"""Losses that no stop accounts for."""


def draw(steps: Sequence[Row], lang: str) -> Markup:
    """One line a step: totals as whole bars, each loss where it is cut off; steps as the API has them. Losses of nothing
    are left out; a negative one, of an ideal time that is too long, is drawn to the other side.
    """
    if not steps:
        return el("div", say("console.no_losses", lang), cls="empty")
    base_us = max(steps[0]["us"], 1)
    scheduled_us = next((step["us"] for step in steps if step["step"] == "scheduled"), 0)
    lines, level_us = [], 0
    for step in steps:
        is_total = not step["group"]
        if not is_total and not step["us"]:
            continue
        if is_total:
            level_us, begin_us = step["us"], 0
        else:
            level_us -= step["us"]
            begin_us = level_us if step["us"] > 0 else level_us + step["us"]
        lines.append(_line(step, begin_us / base_us, abs(step["us"]) / base_us, scheduled_us, lang))
    flags = [el("p", say(f"flag.{flag}", lang), cls="flag") for flag in steps[-1]["flags"]]
    return join(el("div", *lines, cls="fall"), *flags)


def _line(step: Row, left: float, width: float, scheduled_us: int, lang: str) -> Markup:
    kind = "total" if not step["group"] else "loss"
    beyond_schedule = step["step"] in ("all_time", "outside", "break", "not_scheduled")
    of = percent(step["us"] / scheduled_us, lang) if scheduled_us and not beyond_schedule else ""
    bar = el("i", style=f"left:{share(left)};width:{share(width)}", cls=f"w-{step['step']}")
    pieces = None if step["pieces"] is None else say("console.pieces_of", lang, count=number(step["pieces"], lang))
    return el(
        "div",
        el("span", say(f"waterfall.{step['step']}", lang), cls="name"),
        el("div", bar, cls="track"),
        el("span", length(step["us"], lang), cls="num"),
        el("em", of),
        cls=f"step {kind} g-{step['group'] or 'total'}",
        data_tip=pieces,
    )


def length(us: int, lang: str) -> str:
    """A length of time; long ones in hours, since days of a calendar with shifts mislead."""
    if abs(us) < _LONG_US:
        return duration(us / 1000, lang)
    return say("duration.h", lang, n=number(us / 3_600_000_000, lang, 0))


def six(steps: Sequence[Row], lang: str) -> Markup:
    """The six big losses in Nakajima's order, each with its share of the scheduled time."""
    if not steps:
        return Markup("")
    lost_us = dict.fromkeys((key for key, _ in BIG_LOSSES), 0)
    for step in steps:
        if step["big_loss"]:
            lost_us[step["big_loss"]] += step["us"]
    most_us = max(1, *lost_us.values())
    whole_us = next((step["us"] for step in steps if step["step"] in ("scheduled", "busy")), 0)
    lines = [
        _big_loss(key, number_of, us, most_us, whole_us, lang) for number_of, (key, us) in enumerate(lost_us.items(), 1)
    ]
    return el("div", *lines, cls="fall six")


def _big_loss(key: str, number_of: int, us: int, most_us: int, whole_us: int, lang: str) -> Markup:
    bar = el("i", style=f"left:0;width:{share(max(us, 0) / most_us)}", cls=f"w-{key}")
    return el(
        "div",
        el("span", f"{number_of}. {say(f'loss.{key}', lang)}", cls="name"),
        el("div", bar, cls="track"),
        el("span", length(us, lang), cls="num"),
        el("em", percent(us / whole_us, lang) if whole_us else ""),
        cls="step loss",
    )


def beside_stops(steps: Sequence[Row]) -> list[Row]:
    """Lost time that is no stop, as rows of losses: slow running, rejects, what is not known of pieces.

    With the stops and the unknown time they add up to scheduled less fully productive time, unless one is negative.
    """
    return [
        {"state": step["step"], "reason": "", "ms": step["us"] / 1000, "pieces": step["pieces"] or 0}
        for step in steps
        if step["step"] in _BUSY_LOSSES and step["us"] > 0
    ]
