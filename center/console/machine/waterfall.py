"""Where the time went: from all time to fully productive time, and the six big losses. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from center.console.draw.markup import el, join, share
from center.console.draw.waterfall_bars import WaterfallBar, waterfall_bars
from center.console.machine.stop_filter import STATES, Address, pick
from oee.kpi.losses import BIG_LOSSES
from words import hours, number, percent, say

Row = Mapping[str, Any]
_PARTS: Final = dict(BIG_LOSSES)
_BUSY_LOSSES: Final = frozenset(
    {"slow_cycles", "without_ideal", "startup_reject", "process_reject", "rework", "not_judged"}
)
"""Losses that no stop accounts for."""


def draw(steps: Sequence[Row], lang: str, address: Address | None = None) -> Markup:
    """One line a step: totals as whole bars, each loss where it is cut off; steps as the API has them. address: of the page
    with these words of a filter, to which losses of stops lead.
    """
    if not steps:
        return el("div", say("console.no_losses", lang), cls="empty")
    flags = [el("p", say(f"flag.{flag}", lang), cls="flag") for flag in steps[-1]["flags"]]
    return join(el("div", *(_line(bar, lang, address) for bar in waterfall_bars(steps, lang)), cls="fall"), *flags)


def _line(bar: WaterfallBar, lang: str, address: Address | None) -> Markup:
    step, kind = bar.step, "total" if bar.is_total else "loss"
    drawn = el("i", style=f"left:{share(bar.begin)};width:{share(bar.end - bar.begin)}", cls=f"w-{step['step']}")
    pieces = None if step["pieces"] is None else say("console.pieces_of", lang, count=number(step["pieces"], lang))
    cells = (
        el("span", say(f"waterfall.{step['step']}", lang), cls="name"),
        el("span", drawn, cls="track"),
        el("span", hours(step["us"] / 1000, lang), cls="num"),
        el("em", bar.share),
    )
    return _step(cells, f"step {kind} g-{step['group'] or 'total'}", [step["step"]], address, pieces)


def _step(
    cells: Sequence[Markup], css: str, parts: Sequence[str], address: Address | None, tip: str | None = None
) -> Markup:
    """A line, which leads to the stops of its parts where these are states."""
    states = [part for part in parts if part in STATES]
    if address is None or not states:
        return el("div", *cells, cls=css, data_tip=tip)
    words = {"stops": "longest", "states": ",".join(states)}
    return el("a", *cells, cls=css, href=address(words), data_pick=pick(**words), data_tip=tip)


def six(steps: Sequence[Row], lang: str, address: Address | None = None) -> Markup:
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
        _big_loss(key, number_of, (us, most_us, whole_us), lang, address)
        for number_of, (key, us) in enumerate(lost_us.items(), 1)
    ]
    return el("div", *lines, cls="fall six")


def _big_loss(key: str, number_of: int, lengths_us: tuple[int, int, int], lang: str, address: Address | None) -> Markup:
    us, most_us, whole_us = lengths_us
    bar = el("i", style=f"left:0;width:{share(max(us, 0) / most_us)}", cls=f"w-{key}")
    cells = (
        el("span", f"{number_of}. {say(f'loss.{key}', lang)}", cls="name"),
        el("span", bar, cls="track"),
        el("span", hours(us / 1000, lang), cls="num"),
        el("em", percent(us / whole_us, lang) if whole_us else ""),
    )
    return _step(cells, "step loss", _PARTS[key], address)


def beside_stops(steps: Sequence[Row]) -> list[Row]:
    """Lost time that is no stop, as rows of losses: slow running, rejects, what is not known of pieces.

    With the stops and the unknown time they add up to scheduled less fully productive time, unless one is negative.
    """
    return [
        {"state": step["step"], "reason": "", "us": step["us"], "pieces": step["pieces"] or 0}
        for step in steps
        if step["step"] in _BUSY_LOSSES and step["us"] > 0
    ]
