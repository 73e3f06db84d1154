"""A machine's KPIs as tiles: value, with a tooltip for the formula or the reason why it is null. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from markupsafe import Markup

from center.console.draw.goals import goals, mark
from center.console.draw.kpis import at_most, big, bounds, headline, lies_between, why_null
from center.console.draw.markup import el, join, share
from words import duration, number, percent, say

Row = Mapping[str, Any]
_FACTORS: Final = ("availability", "performance", "quality")
_MINIS: Final = ("pieces_total", "pieces_good", "rejects", "stops", "mean_stop_s", "pieces_per_hour")


def tiles(row: Row, before: Row, lang: str, declare: Callable[[str], str] | None = None) -> Markup:
    """Tiles of OEE with its bounds and its change, the three factors, coverage, MTBF and MTTR.

    declare: address of the page on which a field is declared, for what a missing value needs; None where the viewer may not.
    """
    small = [_ratio(row, kpi, lang) for kpi in _FACTORS]
    small += [_ratio(row, "coverage", lang), _time(row, "mtbf_s", lang), _time(row, "mttr_s", lang)]
    return join(_lead(row, before, lang, declare), *small)


def _explain(row: Row, kpi: str, lang: str) -> str:
    parts = [say(f"kpi.{kpi}", lang), say(f"console.formula.{kpi}", lang)]
    if kpi in row["why_null"]:
        parts.append(why_null(row, kpi, lang))
    return "\n".join(parts)


def _tile(row: Row, kpi: str, value: Markup | str | None, lang: str, further: Markup | None = None) -> Markup:
    """value: None shows a dash and the reason."""
    why = el("div", why_null(row, kpi, lang), cls="why") if value is None else None
    return el(
        "div",
        el(
            "div",
            el("i", cls=f"f-{kpi}") if kpi in _FACTORS else None,
            say(f"console.kpi.{kpi}", lang),
            el("em", "i"),
            cls="label",
        ),
        el("div", "–" if value is None else value, cls="value", id=f"kpi-{kpi}"),
        why,
        further,
        cls=f"tile f-{kpi}",
        tabindex="0",
        data_tip=_explain(row, kpi, lang),
    )


def _ratio(row: Row, kpi: str, lang: str) -> Markup:
    value = row["kpis"][kpi]
    aim, aimed = mark(row, kpi, lang)
    bar = el("div", el("i", style=f"width:{share(value)}"), aim, cls="bar") if value is not None else None
    below = join(bar, el("div", aimed, cls="aimed")) if aimed else bar
    return _tile(row, kpi, None if value is None else big(value, lang), lang, below)


def _time(row: Row, kpi: str, lang: str) -> Markup:
    value_s = row["kpis"][kpi]
    return _tile(row, kpi, None if value_s is None else duration(value_s * 1000, lang), lang)


_CURES: Final = {"quality_not_known": "rejects", "no_ideal_time": "product"}
"""What can be declared where a KPI has no value, by the reason why."""


def _missing(row: Row, lang: str, declare: Callable[[str], str] | None) -> Markup | None:
    """Why there is no OEE, how large it can be, and the act that makes it known."""
    why = row["why_null"].get("oee")
    if why is None:
        return None
    field = _CURES.get(why)
    link = el("a", say(f"console.cure.{why}", lang), href=declare(field), cls="cure") if field and declare else None
    best = at_most(row, lang)
    return el("div", why_null(row, "oee", lang), f" {best}" if best else None, " " if link else None, link, cls="why")


def _lead(row: Row, before: Row, lang: str, declare: Callable[[str], str] | None) -> Markup:
    kpis, shown = row["kpis"], headline(row)
    flags = [el("div", say(f"flag.{flag}", lang), cls="flag") for flag in row["flags"]]
    return el(
        "div",
        el("div", say(f"console.kpi.{shown}", lang), el("em", "i"), cls="label"),
        el(
            "div",
            el("div", big(kpis[shown], lang), cls="value", id=f"kpi-{shown}"),
            _change(row, before, lang),
            cls="beside",
        ),
        goals(row, lang),
        _missing(row, lang, declare),
        el(
            "div",
            bounds(kpis, lang),
            el(
                "div",
                el("span", "0"),
                el("span", lies_between(kpis, lang)),
                el("span", percent(1, lang, 0)),
                cls="ends",
            ),
        ),
        el("div", *flags, cls="flags") if flags else None,
        cls="tile lead",
        tabindex="0",
        data_tip=_explain(row, "oee", lang),
    )


def _change(row: Row, before: Row, lang: str) -> Markup | None:
    """Change of OEE in percentage points against the window before; only where both are known and the earlier one has at
    least half of the scheduled time.
    """
    now, then = row["kpis"]["oee"], before["kpis"]["oee"]
    are_scheduled = before["scheduled_ms"] is not None and row["scheduled_ms"] is not None
    if now is None or then is None or not are_scheduled or before["scheduled_ms"] * 2 < row["scheduled_ms"]:
        return None
    points = (now - then) * 100
    sign, css = ("▲", "up") if points >= 0.05 else ("▼", "down") if points <= -0.05 else ("=", "")
    difference = say("console.points", lang, points=number(abs(points), lang, 1))
    return el(
        "div",
        el("span", f"{sign} {difference}", cls=css),
        el("span", say("console.before", lang, oee=percent(then, lang)), cls="faint"),
        cls="change",
    )


def minis(row: Row, lang: str) -> Markup:
    """Small tiles: counts and secondary KPIs."""
    return join(*(_mini(row, name, lang) for name in _MINIS))


def _mini(row: Row, name: str, lang: str) -> Markup:
    if name in row["kpis"]:
        value = row["kpis"][name]
        why = why_null(row, name, lang) if value is None else None
        shown = duration(value * 1000, lang) if name.endswith("_s") and value is not None else number(value, lang, 0)
        return _small(name, "–" if value is None else shown, why or say(f"console.formula.{name}", lang), lang)
    sums = row["sums"]
    if name in ("pieces_good", "rejects") and not sums["pieces_judged"]:
        return _small(name, "–", say("why_null.quality_not_known", lang), lang)
    rejects = sums["pieces_startup_reject"] + sums["pieces_process_reject"]
    count = rejects if name == "rejects" else sums[name]
    return _small(name, number(count, lang), None, lang)


def _small(name: str, value: str, tip: str | None, lang: str) -> Markup:
    return el(
        "div",
        el("div", say(f"console.kpi.{name}", lang), cls="label"),
        el("div", value, cls="value", id=f"kpi-{name}"),
        cls="tile",
        data_tip=tip,
    )
