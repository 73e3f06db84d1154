"""A Pareto as a list of bars on one scale, the longest first; with a running sum. Bars that lead somewhere are links. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from center.console.draw.markup import el, join, share
from words import hours, percent, say

_US: Final = 1000


@dataclass(frozen=True)
class ParetoBar:
    """One loss. us: its length, or the ideal time of what was lost [us]; state: whose colour it has; href: where it leads,
    "" for nowhere; asked: what a click picks on the page that it is on; tip: its note; below: what stands under its name.
    """

    name: str
    us: int
    state: str
    href: str = ""
    asked: str = ""
    tip: str = ""
    below: Markup | None = None


def pareto(bars: Sequence[ParetoBar], lang: str, total_us: int | None = None) -> Markup:
    """The bars in their order, each with its length, its share and the sum so far as a mark. total_us: what is 100 %; the
    sum of the bars without it.
    """
    whole_us = max(sum(bar.us for bar in bars) if total_us is None else total_us, 1)
    longest_us = max((bar.us for bar in bars), default=1)
    lines, so_far_us = [], 0
    for bar in bars:
        so_far_us += bar.us
        lines.append(_line(bar, so_far_us, whole_us, max(longest_us, 1), lang))
    return el("ol", *lines, cls="fall pareto")


def _line(bar: ParetoBar, so_far_us: int, whole_us: int, longest_us: int, lang: str) -> Markup:
    length, summed = hours(bar.us / _US, lang), percent(so_far_us / whole_us, lang)
    tip = f"{bar.name}\n{length} · {percent(bar.us / whole_us, lang)}\n{say('console.so_far', lang, share=summed)}"
    drawn = join(
        el("i", style=f"left:0;width:{share(bar.us / longest_us)}", cls=f"w-{bar.state}"),
        el("s", style=f"left:{share(so_far_us / whole_us)}"),
    )
    cells = (
        el("span", bar.name, cls="name"),
        el("span", drawn, cls="track"),
        el("span", length, cls="num"),
        el("em", percent(bar.us / whole_us, lang)),
    )
    css, tip = "step loss", f"{tip}\n{bar.tip}" if bar.tip else tip
    if bar.href:
        step = el("a", *cells, cls=css, href=bar.href, data_pick=bar.asked or None, data_tip=tip)
    else:
        step = el("div", *cells, cls=css, data_tip=tip)
    return el("li", step, bar.below)
