"""Where the time went: from all time to fully productive time, and the six big losses. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from center.console.draw.markup import el, join, share
from center.console.draw.waterfall_bars import WaterfallBar, waterfall_bars
from oee.kpi.losses import BIG_LOSSES
from words import hours, number, percent, say

Row = Mapping[str, Any]
_BUSY_LOSSES: Final = frozenset(
    {"slow_cycles", "without_ideal", "startup_reject", "process_reject", "rework", "not_judged"}
)
"""Losses that no stop accounts for."""


def draw(steps: Sequence[Row], lang: str) -> Markup:
    """One line a step: totals as whole bars, each loss where it is cut off; steps as the API has them."""
    if not steps:
        return el("div", say("console.no_losses", lang), cls="empty")
    flags = [el("p", say(f"flag.{flag}", lang), cls="flag") for flag in steps[-1]["flags"]]
    return join(el("div", *(_line(bar, lang) for bar in waterfall_bars(steps, lang)), cls="fall"), *flags)


def _line(bar: WaterfallBar, lang: str) -> Markup:
    step, kind = bar.step, "total" if bar.is_total else "loss"
    drawn = el("i", style=f"left:{share(bar.begin)};width:{share(bar.end - bar.begin)}", cls=f"w-{step['step']}")
    pieces = None if step["pieces"] is None else say("console.pieces_of", lang, count=number(step["pieces"], lang))
    return el(
        "div",
        el("span", say(f"waterfall.{step['step']}", lang), cls="name"),
        el("div", drawn, cls="track"),
        el("span", hours(step["us"] / 1000, lang), cls="num"),
        el("em", bar.share),
        cls=f"step {kind} g-{step['group'] or 'total'}",
        data_tip=pieces,
    )


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
        el("span", hours(us / 1000, lang), cls="num"),
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
