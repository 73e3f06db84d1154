"""The picture of an action: the measured series with both windows, their means, and the controls. Pure."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from center.console.draw import time_labels
from center.console.draw.plot import PlotBand, PlotLevel, PlotMark, plot
from words import number, percent, say
from words.actions import value_text

Row = Mapping[str, Any]
_TICKS: Final = 5
_SHARES: Final = ("oee", "operating", "loss", "minor", "speed", "reject")


def action_picture(row: Row, lang: str) -> Markup | None:
    """The diagram of an action as the API gives it; None before there is anything to show."""
    verdict = row["verdict"]
    series = verdict["series"] if verdict else row["progress"]
    if not series or not series["day"]:
        return None
    metric, plan = row["plan"]["metric"], row["plan"]
    days = [_number(text) for text in series["day"]]
    begin = _number(plan["after_from"])
    marks = [
        PlotMark(x, y, strong=x >= begin, tip=_tip(x, metric, y, lang))
        for x, y in zip(days, series["value"], strict=True)
    ]
    beside = zip(days, series["control"], strict=True)
    marks += [
        PlotMark(x, y, beside=True, tip=_tip(x, metric, y, lang, "action_picture.control"))
        for x, y in beside
        if y is not None
    ]
    bands = [
        PlotBand(_number(plan["before_from"]), _number(plan["before_to"]) + 1, say("action_picture.before", lang)),
        PlotBand(
            _number(plan["after_from"]), _number(plan["after_to"]) + 1, say("action_picture.after", lang), strong=True
        ),
    ]
    levels = []
    if verdict and verdict["change"]:
        for part, key, strong in (("before", "before", False), ("after", "after", True)):
            low, high = (float(_number(plan[f"{part}_{end}"])) for end in ("from", "to"))
            levels.append(PlotLevel(verdict[key], value_text(metric, verdict[key], lang), strong, low, high + 1))
    chosen = np.linspace(_number(plan["before_from"]), _number(plan["after_to"]), _TICKS)
    ticks = [(float(x), time_labels.day(_date(x), lang)) for x in chosen]
    every = [mark.y for mark in marks]
    return plot(marks, levels, ticks, _y_ticks(every, metric, lang), bands=bands, alt=say("action_picture.alt", lang))


def _tip(x: float, metric: str, value: float, lang: str, key: str = "") -> str:
    text = f"{time_labels.weekday(_date(x), lang)}: {value_text(metric, value, lang)}"
    return f"{text} ({say(key, lang)})" if key else text


def _y_ticks(values: list[float], metric: str, lang: str) -> list[tuple[float, str]]:
    low, high = min(0.0, *values), max(values)
    span = high - low
    if span <= 0:
        return []
    size = 10.0 ** np.floor(np.log10(span / 4))
    step = float(next(size * k for k in (1, 2, 2.5, 5, 10) if size * k >= span / 4))
    digits = max(0, 1 - int(np.floor(np.log10(step)))) if step < 1 else 0

    def text(y: float) -> str:
        return percent(y, lang, 0) if metric in _SHARES else number(y, lang, digits)

    first = int(np.ceil(low / step))
    return [(k * step, text(k * step)) for k in range(first, int(high / step) + 1)]


def _number(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def _date(number_of: float) -> date:
    return date(1970, 1, 1) + timedelta(days=int(number_of))
