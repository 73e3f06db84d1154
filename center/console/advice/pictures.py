"""The picture of each finding, from the series of its evidence and nothing else. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from center.console.draw import time_labels
from center.console.draw.plot import PlotLevel, PlotMark, plot
from words import number, percent, say
from words.findings import LISTED

Row = Mapping[str, Any]
Series = Mapping[str, Sequence[float]]
_EPOCH: Final = date(1970, 1, 1)
_TICKS: Final = 5


def picture(finding: Row, zone: tzinfo, lang: str) -> Markup | None:
    """The diagram of a finding as the API gives it; None for a rule that has none."""
    draw = _BY_RULE.get(finding["rule"])
    return draw(finding, finding["evidence"]["series"], zone, lang) if draw else None


def _say(key: str, lang: str, **values: Any) -> str:
    return say(f"advice_picture.{key}", lang, **values)


def _minutes(value: float, lang: str) -> str:
    return say("duration.min", lang, n=number(value, lang, 0 if value >= 10 else 1))


def _time_ticks(at_s: Sequence[float], zone: tzinfo, lang: str) -> list[tuple[float, str]]:
    chosen: list[float] = np.linspace(min(at_s), max(at_s), _TICKS).tolist() if len(at_s) else []
    return [(t, time_labels.day(datetime.fromtimestamp(t, UTC).astimezone(zone), lang)) for t in chosen]


def _column_ticks(at_s: Sequence[float], zone: tzinfo, lang: str) -> list[tuple[float, str]]:
    """Days under columns that stand side by side; at_s: when what each column shows began."""
    chosen = np.unique(np.linspace(0, len(at_s) - 1, min(_TICKS, len(at_s))).astype(int)).tolist()
    return [(k, time_labels.day(datetime.fromtimestamp(at_s[k], UTC).astimezone(zone), lang)) for k in chosen]


def _y_ticks(most: float, text: Callable[[float], str], least: float = 0.0) -> list[tuple[float, str]]:
    step = _nice((most - least) / 4)
    first = int(np.ceil(least / step)) if step else 0
    return [(k * step, text(k * step)) for k in range(first, int(most / step) + 1)] if step else []


def _nice(value: float) -> float:
    if value <= 0:
        return 0.0
    size = 10.0 ** np.floor(np.log10(value))
    return float(next(size * k for k in (1, 2, 2.5, 5, 10) if size * k >= value))


def _edges(finding: Row, series: Series, zone: tzinfo, lang: str) -> Markup:
    """Minutes lost at each edge, and their mean."""
    at_s, lost = series["at_s"], series["lost_min"]
    marks = [PlotMark(t, y, strong=y > 0, tip=_tip(t, y, zone, lang)) for t, y in zip(at_s, lost, strict=True)]
    mean = finding["figures"]["lost_min"]
    levels = [PlotLevel(mean, _say("mean", lang, value=_minutes(mean, lang)), strong=True)]
    ticks = _y_ticks(max(lost), lambda y: number(y, lang), min(lost))
    return plot(marks, levels, _time_ticks(at_s, zone, lang), ticks, alt=_say("edges", lang))


def _tip(t: float, minutes: float, zone: tzinfo, lang: str) -> str:
    when = datetime.fromtimestamp(t, UTC).astimezone(zone)
    return f"{time_labels.weekday(when, lang)} {when:%H:%M}: {_minutes(minutes, lang)}"


def _changeovers(finding: Row, series: Series, zone: tzinfo, lang: str) -> Markup:
    """A dot for each changeover, with the median and the best fifth."""
    at_s, minutes, figures = series["at_s"], series["setup_min"], finding["figures"]
    pairs = zip(at_s, minutes, strict=True)
    marks = [PlotMark(t, y, strong=y > 1.5 * figures["median_min"], tip=_tip(t, y, zone, lang)) for t, y in pairs]
    levels = [
        PlotLevel(
            figures["median_min"], _say("median", lang, value=_minutes(figures["median_min"], lang)), strong=True
        ),
        PlotLevel(figures["p20_min"], _say("done_already", lang, value=_minutes(figures["p20_min"], lang))),
    ]
    ticks = _y_ticks(max(minutes), lambda y: number(y, lang))
    return plot(marks, levels, _time_ticks(at_s, zone, lang), ticks, alt=_say("changeovers", lang))


def _cumulative(_finding: Row, series: Series, _zone: tzinfo, lang: str) -> Markup:
    """Failures counted over operating hours: straight where they come at random, bending up where it wears out."""
    at_h, total_h = series["at_h"], series["total_h"][0]
    again = series.get("repeated", ())
    marks = [PlotMark(0.0, 0.0)]
    for k, hours in enumerate(at_h):
        repeats = k > 0 and k - 1 < len(again) and bool(again[k - 1])
        note = _say("failure", lang, n=number(k + 1, lang), hours=number(hours, lang))
        marks.append(PlotMark(hours, k + 1, strong=repeats, tip=note))
    chosen = np.linspace(0, total_h, _TICKS - 1)  # hours are longer than dates
    ticks = [(float(h), say("duration.h", lang, n=number(float(h), lang))) for h in chosen]
    return plot(
        marks, (), ticks, _y_ticks(len(at_h), lambda y: number(y, lang)), steps=True, alt=_say("cumulative", lang)
    )


def _repairs(finding: Row, series: Series, _zone: tzinfo, lang: str) -> Markup:
    """Repairs by length, the longest fifth marked."""
    ordered = sorted(series["repair_min"], reverse=True)
    longest = finding["figures"]["longest"]
    marks = [PlotMark(k, y, strong=k < longest, tip=_minutes(y, lang)) for k, y in enumerate(ordered)]
    median = finding["figures"]["median_min"]
    levels = [PlotLevel(median, _say("median", lang, value=_minutes(median, lang)))]
    ticks = _y_ticks(max(ordered), lambda y: number(y, lang))
    return plot(marks, levels, (), ticks, columns=True, alt=_say("repairs", lang))


def _drift(_finding: Row, series: Series, _zone: tzinfo, lang: str) -> Markup:
    """The daily index of the cycle time, and the means of the first and the last third."""
    days, weight = np.array(series["day"]), np.array(series["running_ms"])
    slower = np.expm1(np.array(series["index"]))
    third = len(days) // 3
    means = [float(np.average(slower[part], weights=weight[part])) for part in (slice(0, third), slice(-third, None))]
    marks = [
        PlotMark(float(day), float(y), tip=f"{time_labels.weekday(_date(day), lang)}: {percent(float(y), lang)}")
        for day, y in zip(days, slower, strict=True)
    ]
    levels = [
        PlotLevel(means[0], percent(means[0], lang), from_x=float(days[0]), to_x=float(days[third - 1])),
        PlotLevel(means[1], percent(means[1], lang), strong=True, from_x=float(days[-third]), to_x=float(days[-1])),
    ]
    chosen = np.linspace(days[0], days[-1], _TICKS)
    ticks = [(float(day), time_labels.day(_date(day), lang)) for day in chosen]
    y_ticks = _y_ticks(float(slower.max()), lambda y: percent(y, lang), float(slower.min()))
    return plot(marks, levels, ticks, y_ticks, alt=_say("drift", lang))


def _date(day: float) -> date:
    return _EPOCH + timedelta(days=int(day))


def _slot(finding: Row, series: Series, _zone: tzinfo, lang: str) -> Markup:
    """Stops per running hour in the slot and in the rest of the same shifts, a pair of columns for each sixth of them."""
    hits, hours, rest, rest_hours = (np.array(series[name]) for name in ("hits", "hours", "rest_hits", "rest_hours"))
    parts = np.array_split(np.arange(len(hits)), min(6, len(hits)))
    marks = []
    for k, part in enumerate(parts):
        for offset, (count, exposure) in enumerate(((hits, hours), (rest, rest_hours))):
            time = float(exposure[part].sum())
            rate = float(count[part].sum()) / time if time else 0.0
            note = _say("slot" if offset == 0 else "rest", lang, rate=number(rate, lang, 1))
            marks.append(PlotMark(3 * k + offset, rate, strong=offset == 0, tip=note))
    figures = finding["figures"]
    levels = [PlotLevel(figures["rest_per_h"], _say("rest", lang, rate=number(figures["rest_per_h"], lang, 1)))]
    most = max(mark.y for mark in marks)
    return plot(
        marks,
        levels,
        (),
        _y_ticks(most, lambda y: number(y, lang, 0 if most >= 4 else 1)),
        columns=True,
        alt=_say("slots", lang),
    )


def _by_week(
    name: str, text: Callable[[float, str], str], starts: str = "week_s"
) -> Callable[[Row, Series, tzinfo, str], Markup | None]:
    """A column for each week of this series. starts: the series that says when each week began; findings of earlier versions have
    none.
    """

    def draw(_finding: Row, series: Series, zone: tzinfo, lang: str) -> Markup | None:
        values = series.get(name, ())
        if not len(values):
            return None
        marks = [PlotMark(k, max(y, 0.0), strong=True, tip=text(y, lang)) for k, y in enumerate(values)]
        ticks = _column_ticks(series.get(starts, ()), zone, lang)
        y_ticks = _y_ticks(max(values), lambda y: text(y, lang))
        return plot(marks, (), ticks, y_ticks, columns=True, alt=_say("weeks", lang))

    return draw


def _gaps(finding: Row, series: Series, _zone: tzinfo, lang: str) -> Markup:
    """A dot for each day, and the mean gap."""
    days, gaps, mean = series["day"], series["gap"], finding["figures"]["gap"]
    marks = [
        PlotMark(day, y, strong=y > 0, tip=f"{time_labels.weekday(_date(day), lang)}: {percent(y, lang)}")
        for day, y in zip(days, gaps, strict=True)
    ]
    chosen = np.linspace(min(days), max(days), _TICKS)
    ticks = [(float(day), time_labels.day(_date(day), lang)) for day in chosen]
    levels = [PlotLevel(mean, _say("mean", lang, value=percent(mean, lang)), strong=True)]
    y_ticks = _y_ticks(max(gaps), lambda y: percent(y, lang, 0), min(gaps))
    return plot(marks, levels, ticks, y_ticks, alt=_say("gaps", lang))


def _rates(_finding: Row, series: Series, _zone: tzinfo, lang: str) -> Markup:
    """A dot for each shift, and the ideal time."""
    days, rates = series["day"], series["rate"]
    marks = [
        PlotMark(day, y, strong=y > 1, tip=f"{time_labels.weekday(_date(day), lang)}: {percent(y, lang)}")
        for day, y in zip(days, rates, strict=True)
    ]
    chosen = np.linspace(min(days), max(days), _TICKS)
    ticks = [(float(day), time_labels.day(_date(day), lang)) for day in chosen]
    levels = [PlotLevel(1.0, _say("ideal", lang), strong=True)]
    return plot(marks, levels, ticks, _y_ticks(max(rates), lambda y: percent(y, lang, 0)), alt=_say("rate", lang))


def _reject_rates(_finding: Row, series: Series, _zone: tzinfo, lang: str) -> Markup:
    """Shares of rejects in the slot and in the rest of the same shifts, a pair of columns for each sixth of them."""
    hits, pieces, rest, rest_pieces = (
        np.array(series[name]) for name in ("hits", "pieces", "rest_hits", "rest_pieces")
    )
    marks = []
    for k, part in enumerate(np.array_split(np.arange(len(hits)), min(6, len(hits)))):
        for offset, (count, of) in enumerate(((hits, pieces), (rest, rest_pieces))):
            judged = float(of[part].sum())
            share = float(count[part].sum()) / judged if judged else 0.0
            marks.append(PlotMark(3 * k + offset, share, strong=offset == 0, tip=percent(share, lang, 1)))
    ticks = _y_ticks(max(mark.y for mark in marks), lambda y: percent(y, lang, 1))
    return plot(marks, (), (), ticks, columns=True, alt=_say("rejects", lang))


def _waiting(finding: Row, series: Series, _zone: tzinfo, lang: str) -> Markup:
    """What share of its time each station of the line is starved and blocked, a pair of columns each."""
    marks = []
    for k, (starved, blocked) in enumerate(zip(series["starved"], series["blocked"], strict=True)):
        for offset, (name, share) in enumerate((("starved", starved), ("blocked", blocked))):
            note = _say(name, lang, value=percent(share, lang, 1))
            marks.append(PlotMark(3 * k + offset, share, strong=offset == 0, tip=note))
    stations = finding["names"]["stations"].split(LISTED["stations"])
    ticks = [(3 * k + 0.5, name) for k, name in enumerate(stations)]
    y_ticks = _y_ticks(max(mark.y for mark in marks), lambda y: percent(y, lang, 0))
    return plot(marks, (), ticks, y_ticks, columns=True, alt=_say("waiting", lang))


def _lags(finding: Row, series: Series, _zone: tzinfo, lang: str) -> Markup:
    """How many pairs of stops lie how far from each other, up to three intervals."""
    position, interval = np.sort(np.array(series["position"])), finding["figures"]["interval"]
    lags = np.concatenate([position[k:] - position[:-k] for k in range(1, min(13, len(position)))])
    counts, edges = np.histogram(lags, bins=36, range=(0, 3 * interval))
    middles = (edges[:-1] + edges[1:]) / 2
    marks = [
        PlotMark(
            k,
            float(count),
            strong=bool(abs(middle / interval - round(middle / interval)) < 0.06 and middle > interval / 2),
            tip=f"{number(float(middle), lang, 0)}: {count}",
        )
        for k, (count, middle) in enumerate(zip(counts.tolist(), middles.tolist(), strict=True))
    ]
    ticks = [(12 * k - 0.5, number(k * interval, lang, 0)) for k in range(4)]
    return plot(
        marks,
        (),
        ticks,
        _y_ticks(float(counts.max()), lambda y: number(y, lang)),
        columns=True,
        alt=_say("lags", lang),
    )


def _energy(_finding: Row, series: Series, _zone: tzinfo, lang: str) -> Markup:
    """Idle kWh of each day, and their mean."""
    days, kwh = series["day"], series["kwh"]
    mean = float(np.mean(kwh))
    marks = [
        PlotMark(day, y, strong=y > mean, tip=f"{time_labels.weekday(_date(day), lang)}: {number(y, lang, 1)} kWh")
        for day, y in zip(days, kwh, strict=True)
    ]
    chosen = np.linspace(min(days), max(days), _TICKS)
    ticks = [(float(day), time_labels.day(_date(day), lang)) for day in chosen]
    levels = [PlotLevel(mean, _say("mean", lang, value=f"{number(mean, lang, 1)} kWh"), strong=True)]
    return plot(marks, levels, ticks, _y_ticks(max(kwh), lambda y: number(y, lang)), alt=_say("energy", lang))


def _counter(finding: Row, series: Series, zone: tzinfo, lang: str) -> Markup | None:
    """The sign by week; of jumps, how often by day."""
    if "share" in series:
        return _by_week("share", lambda y, lang: percent(y, lang, 1))(finding, series, zone, lang)
    marks = [
        PlotMark(day, y, strong=True, tip=number(y, lang))
        for day, y in zip(series["day"], series["times"], strict=True)
    ]
    ticks = [(day, time_labels.day(_date(day), lang)) for day in series["day"][:_TICKS]]
    y_ticks = _y_ticks(max(series["times"]), lambda y: number(y, lang))
    return plot(marks, (), ticks, y_ticks, columns=True, alt=_say("weeks", lang))


def _common(_finding: Row, series: Series, zone: tzinfo, lang: str) -> Markup | None:
    """A column for each common stop: how many machines."""
    at_s, stopped = series["at_s"], series["stopped"]
    if not len(at_s):
        return None
    marks = []
    for k, (t, count) in enumerate(zip(at_s, stopped, strict=True)):
        when = datetime.fromtimestamp(t, UTC).astimezone(zone)
        note = f"{time_labels.weekday(when, lang)} {when:%H:%M}: {_say('at_once', lang, n=number(count, lang))}"
        marks.append(PlotMark(k, count, strong=True, tip=note))
    y_ticks = _y_ticks(max(stopped), lambda y: number(y, lang))
    return plot(marks, (), _column_ticks(at_s, zone, lang), y_ticks, columns=True, alt=_say("common", lang))


_BY_RULE: Final[Mapping[str, Callable[[Row, Series, tzinfo, str], Markup | None]]] = {
    "best_practice": _gaps,
    "changeover_sequence": _by_week("saving_min", _minutes),
    "ideal_wrong": _rates,
    "no_reason": _by_week("share", lambda y, lang: percent(y, lang, 0)),
    "unscheduled": _by_week("hours", lambda y, lang: say("duration.h", lang, n=number(y, lang, 1)), "at_s"),
    "micro_cluster": _slot,
    "slow_start": _edges,
    "early_end": _edges,
    "changeover_tail": _changeovers,
    "wear_out": _cumulative,
    "repeat_failure": _cumulative,
    "long_repair": _repairs,
    "speed_drift": _drift,
    "startup_reject": _reject_rates,
    "reject_spread": _gaps,
    "bottleneck": _waiting,
    "cyclic_stop": _lags,
    "idle_energy": _energy,
    "counter_suspect": _counter,
    "common_stop": _common,
}
