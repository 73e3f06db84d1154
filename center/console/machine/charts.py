"""Options of the two ECharts charts: OEE over time, and the Pareto of losses. Pure.

Colours are CSS variables, so one chart serves both themes (the SVG renderer passes them through; emphasis must be off,
since it would compute with them). Tooltips are rendered here, escaped; the browser only selects one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from center.console.draw import time_labels
from center.console.draw.goals import gap_of, goal_line
from center.console.draw.kpis import lies_between
from center.console.draw.markup import el, join
from center.console.draw.names import reason_name
from center.console.draw.pareto import ParetoBar
from center.console.machine.stop_filter import STATES, pick
from words import percent, say
from words.catalogue import catalogue

Row = Mapping[str, Any]
_INK, _FAINT, _LINE = "var(--ink-2)", "var(--ink-3)", "var(--line)"
_FONT: Final = 'Roboto, system-ui, "Segoe UI", "Noto Sans", sans-serif'
_FACTORS: Final = ("availability", "performance", "quality")
MOST_LOSSES: Final = 14
_MANY_POINTS: Final = 60
_PICK: Final = (
    "params => { const row = params.find(item => item.data && item.data.tip); return row ? row.data.tip : '' }"
)
_TIP: Final = {
    "backgroundColor": "var(--tip-bg)",
    "borderWidth": 0,
    "padding": [9, 13],
    "textStyle": {"color": "var(--tip-ink)", "fontSize": 12.5, "fontFamily": _FONT},
    "extraCssText": "border-radius:9px; box-shadow:0 6px 24px rgb(0 0 0 / 22%)",
    "confine": True,
}


def trend(rows: Sequence[Row | None], labels: Sequence[tuple[str, str]], lang: str) -> dict[str, Any]:
    """OEE with its bounds as a band, and the three factors. rows: one for each bucket, None where nothing was planned."""
    series = [_band("oee_low", rows), _band("width", rows)]
    series += [_line(kpi, rows, lang) for kpi in (*_FACTORS, "oee")]
    aims = [gap_of(row, "oee") if row else None for row in rows]
    aimed = [say("target.line", lang)] if any(aims) else []
    series += [_target(name, aims) for name in aimed]
    tips = [{"value": 0, "tip": _note(row, name, lang)} for row, (_, name) in zip(rows, labels, strict=True)]
    series.append(
        {"type": "line", "name": "", "data": tips, "symbol": "none", "lineStyle": {"opacity": 0}, "silent": True}
    )
    highest = max((_value(row, kpi) or 0 for row in rows for kpi in (*_FACTORS, "oee")), default=1)
    return {
        "animation": False,
        "textStyle": {"fontFamily": _FONT},
        "grid": {"left": 46, "right": 12, "top": 40, "bottom": 26},
        "legend": {
            "top": 0, "left": 0, "itemWidth": 16, "itemHeight": 8, "itemGap": 16, "type": "scroll",
            "textStyle": {"color": _INK, "fontSize": 12.5}, "inactiveColor": _FAINT,
            "data": [{"name": name, "icon": "roundRect"} for name in (*(_name(kpi, lang) for kpi in ("oee", *_FACTORS)), *aimed)],
        },
        "tooltip": {"trigger": "axis", ":formatter": _PICK, "axisPointer": {"lineStyle": {"color": _FAINT}}, **_TIP},
        "xAxis": {
            "type": "category", "data": [label for label, _ in labels], "boundaryGap": True,
            "axisLine": {"lineStyle": {"color": _LINE}}, "axisTick": {"show": False},
            "axisLabel": {"color": _FAINT, "fontSize": 11.5, "hideOverlap": True},
        },
        "yAxis": {
            "type": "value", "min": 0, "max": 1 if highest <= 1 else None, "interval": 0.25,
            "splitLine": {"lineStyle": {"color": _LINE}},
            "axisLabel": {"color": _FAINT, "fontSize": 11.5, ":formatter": _percent_axis(lang)},
        },
        "series": series,
    }  # fmt: skip


def _percent_axis(lang: str) -> str:
    space = "\\u00a0" if lang == "vi" else ""
    return f"value => Math.round(value * 100) + '{space}%'"


def _value(row: Row | None, kpi: str) -> float | None:
    value: float | None = row["kpis"].get(kpi) if row else None
    return value


def _name(kpi: str, lang: str) -> str:
    return "OEE" if kpi == "oee" else say(f"console.kpi.{kpi}", lang)


def _band(part: str, rows: Sequence[Row | None]) -> dict[str, Any]:
    """The band is two stacked invisible lines: the lower bound, and the filled distance to the upper one."""
    data: list[float | str] = []
    for row in rows:
        low, high = _value(row, "oee_low"), _value(row, "oee_high")
        data.append((low if part == "oee_low" else high - low) if low is not None and high is not None else "-")
    area = {"color": "var(--accent)", "opacity": 0 if part == "oee_low" else 0.17}
    return {
        "type": "line", "name": part, "stack": "bounds", "data": data, "symbol": "none", "silent": True,
        "lineStyle": {"opacity": 0}, "areaStyle": area, "z": 1, "emphasis": {"disabled": True},
    }  # fmt: skip


def _line(kpi: str, rows: Sequence[Row | None], lang: str) -> dict[str, Any]:
    colour, main = ("var(--accent)", True) if kpi == "oee" else (f"var(--{kpi})", False)
    values = [_value(row, kpi) for row in rows]
    return {
        "type": "line", "name": _name(kpi, lang), "data": ["-" if value is None else value for value in values],
        "itemStyle": {"color": colour}, "lineStyle": {"color": colour, "width": 2.6 if main else 1.4},
        "symbol": "circle", "symbolSize": 6 if main else 3.5, "showSymbol": len(rows) <= _MANY_POINTS,
        "z": 5 if main else 3, "emphasis": {"disabled": True},
    }  # fmt: skip


def _target(name: str, aims: Sequence[Row | None]) -> dict[str, Any]:
    """The target of OEE: level within a bucket, so that a change is a step."""
    return {
        "type": "line", "name": name, "data": [aim["target"] if aim else "-" for aim in aims], "step": "middle",
        "itemStyle": {"color": _INK}, "lineStyle": {"color": _INK, "width": 1.6, "type": [6, 4]},
        "symbol": "circle", "symbolSize": 3, "showSymbol": len(aims) == 1, "silent": True, "z": 4, "emphasis": {"disabled": True},
    }  # fmt: skip


def _note(row: Row | None, name: str, lang: str) -> Markup:
    if row is None:
        return join(el("b", name), el("br"), say("console.not_planned", lang))
    kpis = row["kpis"]
    lines: list[Markup | str] = [el("b", name)]
    lines.append(join("OEE ", el("b", _percent(kpis["oee"], lang))))
    lines += [range_text] if (range_text := lies_between(kpis, lang)) else []
    lines += [f"{goal_line(gap, lang)}" for kind in ("oee", "pieces") if (gap := gap_of(row, kind))]
    lines += [f"{_name(kpi, lang)} {_percent(kpis[kpi], lang)}" for kpi in _FACTORS]
    lines.append(say("console.coverage_short", lang, coverage=_percent(kpis["coverage"], lang)))
    if kpis["oee"] is None:
        lines.append(say(f"why_null.{row['why_null']['oee']}", lang))
    return el("br").join(line if isinstance(line, Markup) else el("span", line) for line in lines)


def _percent(value: float | None, lang: str) -> str:
    return "–" if value is None else percent(value, lang)


def pareto_bars(
    losses: Sequence[Row], reasons: Mapping[str, Row], lang: str, address: Callable[[Mapping[str, str]], str]
) -> list[ParetoBar]:
    """Lost time by state and reason, the longest first, each with the stops that it consists of. address: of the page with
    these words of a filter; losses that no stop accounts for lead nowhere.
    """
    shown, others = list(losses[:MOST_LOSSES]), losses[MOST_LOSSES:]
    bars = [_pareto_bar(row, reasons, lang, address) for row in shown]
    if others:
        name = say("console.other_losses", lang, count=len(others))
        bars.append(ParetoBar(name, sum(row["us"] for row in others), "planned_stop"))
    return bars


def _pareto_bar(
    row: Row, reasons: Mapping[str, Row], lang: str, address: Callable[[Mapping[str, str]], str]
) -> ParetoBar:
    name, state = loss_name(row, reasons, lang), str(row["state"])
    if state not in STATES:
        return ParetoBar(name, row["us"], state, tip=say("console.no_stop_of", lang))
    words = {"stops": "longest", "states": state, "reason": row["reason"]}
    return ParetoBar(name, row["us"], state, address(words), pick(**words))


def loss_name(row: Row, reasons: Mapping[str, Row], lang: str) -> str:
    """A loss's reason, or its state where none was given; lost time that is no stop has its step of the waterfall."""
    if row["reason"]:
        return reason_name(row["reason"], reasons, lang)
    state = f"state.{row['state']}"
    return say(state if state in catalogue() else f"waterfall.{row['state']}", lang)


def label_of(row: Row, size: str, lang: str) -> tuple[str, str]:
    """A bucket's label on the axis, and its full name."""
    return time_labels.bucket(row["start"], size, row.get("shift", ""), lang)
