"""Coloured tables in the terminal."""

from collections.abc import Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import words
from replay.drive import ReplayResult
from replay.report.names import SiteNames, named
from replay.report.tables_insights import insights
from replay.rows import losses, rejects, rows

_STOPS_SHOWN: Final = 10
_LOSSES_SHOWN: Final = 15
_COLOURS: Final = {
    "minor_stop": "yellow",
    "unplanned_stop": "dark_orange",
    "breakdown": "red",
    "setup": "medium_purple",
    "starved": "deep_sky_blue1",
    "blocked": "orchid",
    "planned_stop": "grey58",
    "unknown": "grey42",
}
_GOOD, _FAIR = 0.75, 0.5


def show(result: ReplayResult, by: Sequence[str], formula: str, lang: str, console: Console) -> None:
    """Prints the whole report."""
    names = SiteNames(result, lang)
    window = result.window
    if window is None:
        console.print(words.say("replay.nothing", lang))
        return
    chosen = formula or result.site.formula
    line = words.say(
        "replay.window",
        lang,
        start=names.moment(window.start_ns),
        end=names.moment(window.end_ns),
        n=words.number(result.rows, lang),
        formula=words.say(f"formula.{chosen}", lang),
    )
    console.print(f"[bold]{escape(named(result.site.name, result.site.site, lang))}[/]  {escape(line)}\n")
    console.print(_kpis(result, by, chosen, names, lang))
    tables = [
        _losses(result, names, lang),
        *insights(result, chosen, names, lang, _table),
        _stops(result, names, lang),
    ]
    for table in tables:
        if table.row_count:
            console.print(table, *([""] if table.caption else []), sep="\n")


def _table(key: str, lang: str) -> Table:
    title = words.say(f"replay.{key}", lang)
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=SIMPLE_HEAD,
        caption_justify="left",
    )


def _kpis(result: ReplayResult, by: Sequence[str], formula: str, names: SiteNames, lang: str) -> Table:
    table = _table("kpis", lang)
    for name in by or ("machine",):
        table.add_column(words.say(f"replay.{name}", lang))
    shown = ("oee", "availability", "performance", "quality", "coverage")
    heads = ["OEE", words.say("replay.bounds", lang), "A", "P", "Q"]
    heads += [words.say(f"replay.{name}", lang) for name in ("coverage", "pieces", "rejects")]
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    table.caption = " · ".join(f"{key[0].upper()}: {words.say('kpi.' + key, lang)}" for key in shown[1:4])
    total = False
    kpi_rows = rows(result, by, formula)
    if set(by) == {"machine"}:
        kpi_rows = [row for row in kpi_rows if "total" in row]  # the totals say the same
    for row in kpi_rows:
        if "total" in row and not total:
            table.add_section()
            total = True
        table.add_row(*_group(row, by, names, lang), *_ratios(row, shown, lang), *_pieces(row, lang))
    return table


def _group(row: dict[str, Any], by: Sequence[str], names: SiteNames, lang: str) -> list[str]:
    columns = list(by) or ["machine"]
    if "total" not in row:
        return [escape(getattr(names, name)(row[name]) if name != "day" else row[name]) for name in columns]
    machine = row.get("machine")
    label = words.say("replay.all_machines", lang) if machine is None else names.machine(machine)
    first = [f"[bold]{escape(label)}[/]"]
    return first + [words.say("replay.total", lang) if index == 0 else "" for index in range(len(columns) - 1)]


_ODD: Final = {"performance": "performance_above_1", "quality": "rejects_above_pieces"}
"""The flag that says that this ratio cannot be right."""


def _ratios(row: dict[str, Any], shown: Sequence[str], lang: str) -> list[str]:
    out = []
    for name in shown:
        value = row[name]
        text = words.percent(value, lang)
        if name == "oee":
            colour = "dim" if value is None else "green" if value >= _GOOD else "yellow" if value >= _FAIR else "red"
            out.append(f"[bold {colour}]{text}[/]")
            low, high = row["oee_low"], row["oee_high"]
            out.append("" if low is None else f"{words.percent(low, lang, 0)}–{words.percent(high, lang, 0)}")
        else:
            odd = _ODD.get(name) in row["flags"]
            out.append(f"[red]{text} ![/]" if odd else text)
    return out


def _pieces(row: dict[str, Any], lang: str) -> list[str]:
    return [words.number(row["pieces_total"], lang), words.number(rejects(row), lang)]


def _losses(result: ReplayResult, names: SiteNames, lang: str) -> Table:
    table = _table("losses", lang)
    for name in ("machine", "state", "reason"):
        table.add_column(words.say(f"replay.{name}", lang))
    table.add_column(words.say("replay.time", lang), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    largest = losses(result)
    longest = max((row["ms"] for row in largest), default=0) or 1
    for row in largest[:_LOSSES_SHOWN]:
        colour = _COLOURS[row["state"]]
        table.add_row(
            escape(names.machine(row["machine"])),
            f"[{colour}]●[/] {words.say('state.' + row['state'], lang)}",
            escape(names.reason(row["reason"])),
            words.duration(row["ms"], lang),
            f"[{colour}]{'█' * max(round(24 * row['ms'] / longest), 1)}[/]",
        )
    return table


def _stops(result: ReplayResult, names: SiteNames, lang: str) -> Table:
    table = _table("stops", lang)
    for name in ("machine", "start", "length", "state", "reason", "said_by"):
        table.add_column(
            words.say(f"replay.{name}", lang),
            justify="right" if name == "length" else "left",
            no_wrap=name in ("start", "length"),
        )
    stops = [kept for kept in result.totals.stops() if kept.scheduled_ms]
    longest = sorted(stops, key=lambda kept: kept.scheduled_ms, reverse=True)[:_STOPS_SHOWN]
    for kept in sorted(longest, key=lambda kept: kept.stop.start_ns):
        stop = kept.stop
        length = words.duration(kept.scheduled_ms, lang)
        table.add_row(
            escape(names.machine(stop.machine)),
            names.moment(stop.start_ns),
            length if stop.end_ns is not None else f"{length} …",
            f"[{_COLOURS[stop.state.word]}]●[/] {words.say('state.' + stop.state.word, lang)}",
            escape(names.reason(stop.reason)),
            escape(names.by(stop.by)),
        )
    total = len(stops) + result.totals.stops_left_out
    if total > len(longest):
        table.caption = words.say("replay.stops_shown", lang, shown=len(longest), all=words.number(total, lang))
    return table
