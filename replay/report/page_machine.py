"""One machine on the report page: headline, waterfall, Pareto, days, trend."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from html import escape
from typing import Any, Final

import words
from oee.model.states import State
from replay.drive import Period, ReplayResult
from replay.report.drawings import Bar, day_strip, dial, strip, trend
from replay.report.insights import pareto_of, waterfall_of
from replay.report.names import SiteNames
from replay.report.page_insights import insights
from replay.rows import rejects, rows

_DAYS_SHOWN: Final = 31
_SHIFT_BARS: Final = 36
_LOSSES_SHOWN: Final = 10
_TRUSTED: Final = 0.95
_HOUR_US: Final = 3_600_000_000
Row = Mapping[str, Any]


def say(key: str, lang: str) -> str:
    """A sentence, escaped."""
    return escape(words.say(key, lang))


def overview(totals: Mapping[str, Row], names: SiteNames, lang: str) -> str:
    """The site's sum and a line for each machine."""
    lines = []
    for key, row in totals.items():
        if key:
            lines.append(
                f'<div class="row"><span>{escape(names.machine(key))}</span>'
                f'{dial(row["oee"], row["oee_low"], row["oee_high"])}<span class="v">{words.percent(row["oee"], lang)}</span></div>'
            )
    head = _headline(totals[""], lang)
    title = say("replay.all_machines", lang)
    return f'<h2>{title}</h2><div class="card">{head}</div><div class="card stack"><div class="rows">{"".join(lines)}</div></div>'


def machine_section(result: ReplayResult, key: str, row: Row, formula: str, names: SiteNames, lang: str) -> str:
    """Everything about one machine."""
    assert result.window is not None
    flags = "".join(f'<p class="flag">{say("flag." + flag, lang)}</p>' for flag in row["flags"])
    return (
        f'<h2>{escape(names.machine(key))}</h2><div class="card">{_headline(row, lang)}{flags}</div>'
        f'<div class="grid2"><div class="card">{_waterfall(result, key, formula, lang)}</div>'
        f'<div class="card">{_pareto(result, key, names, lang)}</div></div>'
        f"{insights(result, key, formula, names, lang)}"
        f'<div class="stack"><div class="card">{_days(result, result.window, key, names, lang)}</div>'
        f'<div class="card">{_trend(result, key, formula, lang)}</div></div>'
    )


def _headline(row: Row, lang: str) -> str:
    value, low, high = row["oee"], row["oee_low"], row["oee_high"]
    if value is None:
        below = say("why_null." + row["why_null"]["oee"], lang)
    elif low is None:
        below = ""
    else:
        below = escape(
            words.say("replay.lies_between", lang, low=words.percent(low, lang), high=words.percent(high, lang))
        )
    null = " null" if value is None else ""
    factors = "".join(_factor(row, key, lang) for key in ("availability", "performance", "quality", "coverage"))
    made = words.say(
        "replay.made", lang, pieces=words.number(row["pieces_total"], lang), rejects=words.number(rejects(row), lang)
    )
    return (
        f'<div class="head"><div class="big{null}"><small>OEE</small>{words.percent(value, lang)}</div>'
        f'<div>{dial(value, low, high)}<p class="note">{below}</p><p class="note">{escape(made)}</p></div></div>'
        f'<div class="factors">{factors}</div>'
    )


def _factor(row: Row, key: str, lang: str) -> str:
    value = row[key]
    bad = (key == "coverage" and value is not None and value < _TRUSTED) or (
        key == "performance" and value is not None and value > 1
    )
    why = f"<i>{say('why_null.' + row['why_null'][key], lang)}</i>" if value is None else ""
    css = ' class="bad"' if bad else ""
    return f"<div{css}><b>{words.percent(value, lang)}</b><span>{say('kpi.' + key, lang)}</span>{why}</div>"


def _waterfall(result: ReplayResult, key: str, formula: str, lang: str) -> str:
    fall = waterfall_of(result, key, formula)
    base, scheduled = max(fall.rows[0].us, 1), max(fall.row("scheduled").us, 1)
    out, level = [], 0
    for row in fall.rows:
        total = row.group == ""
        if not total and not row.us:
            continue
        share = 100 * row.us / base
        of = "" if row.of == "all_time" or row.key == "all_time" else words.percent(row.us / scheduled, lang)
        if total:
            level, start, length = row.us, 0.0, share
            css = "s-fully_productive" if row.key == "fully_productive" else "t"
        else:
            level -= row.us
            start, length, css = 100 * level / base, abs(share), f"s-{row.key}"
            start = start if row.us >= 0 else start - length
        out.append(
            f'<div class="row {"total" if total else "loss"}"><span>{say("waterfall." + row.key, lang)}</span>'
            f'{strip(max(start, 0), min(length, 100), css)}<span class="v">{words.hours(row.us / 1000, lang)} '
            f"<em>{of}</em></span></div>"
        )
    flags = "".join(f'<p class="flag">{say("flag." + flag, lang)}</p>' for flag in fall.flags)
    return f'<h3>{say("replay.waterfall", lang)}</h3><div class="rows">{"".join(out)}</div>{flags}'


def _pareto(result: ReplayResult, key: str, names: SiteNames, lang: str) -> str:
    largest = [row for row in pareto_of(result, key).rows if row.us > 0][:_LOSSES_SHOWN]
    title = f"<h3>{say('replay.pareto', lang)}</h3>"
    if not largest:
        return f'{title}<p class="note">{say("replay.no_losses", lang)}</p>'
    longest = largest[0].us
    out = []
    for row in largest:
        kind, reason = row.key
        label = say("waterfall." + kind, lang)
        label += f" – {escape(names.reason(reason))}" if reason else ""
        out.append(
            f'<div class="row"><span>{label}</span>{strip(0, 100 * row.us / longest, "s-" + kind)}'
            f'<span class="v">{words.hours(row.us / 1000, lang)} <em>{words.percent(row.share, lang)}</em></span></div>'
        )
    note = f'<p class="note">{say("replay.pareto_note", lang)}</p>'
    return f'{title}{note}<div class="rows">{"".join(out)}</div>'


def _days(result: ReplayResult, window: Period, key: str, names: SiteNames, lang: str) -> str:
    last = datetime.fromtimestamp((window.end_ns - 1) // 10**9, names.zone).date()
    first = datetime.fromtimestamp(window.start_ns // 10**9, names.zone).date()
    shown = [last - timedelta(days=back) for back in range(min((last - first).days + 1, _DAYS_SHOWN))][::-1]
    lines = "".join(
        f'<time datetime="{day}">{_short_day(day, lang)}</time>{day_strip(result.totals, result.machines[key], day, names.zone)}'
        for day in shown
    )
    hours = "".join(f"<span>{hour}</span>" for hour in (0, 6, 12, 18, 24))
    used = {state for state in State if any(row[state] for row in _sums(result, key))}
    legend = "".join(
        f'<span><i class="s-{state.word}"></i>{say("state." + state.word, lang)}</span>' for state in sorted(used)
    )
    left = say("replay.days_note", lang) if len(shown) < (last - first).days + 1 else say("replay.days_hint", lang)
    return (
        f'<h3>{say("replay.days", lang)}</h3><p class="note">{left}</p>'
        f'<div class="days">{lines}<span></span><div class="hours">{hours}</div></div><div class="legend">{legend}</div>'
    )


def _sums(result: ReplayResult, machine: str) -> list[Any]:
    return [row for key, row in result.totals.facts.items() if key.machine == machine]


def _short_day(day: date, lang: str) -> str:
    name = words.say(f"weekday.{day.weekday()}", lang)
    short = name[:3] if lang == "en" else {"Chủ Nhật": "CN"}.get(name, f"T{day.weekday() + 2}")
    return f"{short} {day:%d/%m}" if lang == "vi" else f"{short} {day:%m-%d}"


def _trend(result: ReplayResult, key: str, formula: str, lang: str) -> str:
    by: Sequence[str] = ("machine", "day", "shift")
    machine_rows = _of(rows(result, by, formula), key)
    if len(machine_rows) > _SHIFT_BARS:
        by = ("machine", "day")
        machine_rows = _of(rows(result, by, formula), key)
    bars = []
    for row in machine_rows:
        day = date.fromisoformat(row["day"])
        label = f"{_short_day(day, lang)[-5:]}{' ' + escape(row['shift']) if 'shift' in row else ''}"
        value = row["oee"]
        tip = f"{label}: OEE {words.percent(value, lang)}"
        weak = row["coverage"] is None or row["coverage"] < _TRUSTED
        bars.append(Bar(label, tip, value, row["oee_low"], row["oee_high"], weak))
    title = "replay.trend_shift" if "shift" in by else "replay.trend_day"
    percents = [words.percent(share, lang, 0) for share in (0, 0.5, 1)]
    note = say("replay.trend_note", lang)
    return f'<h3>{say(title, lang)}</h3><p class="note">{note}</p>{trend(bars, percents)}'


def _of(all_rows: list[dict[str, Any]], machine: str) -> list[dict[str, Any]]:
    return [row for row in all_rows if "total" not in row and row["machine"] == machine]
