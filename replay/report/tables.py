"""Coloured tables in the terminal."""

from collections.abc import Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import words
from replay.drive import ReplayResult
from replay.report.advice import Advice, advice_table
from replay.report.ideals import differs, ideal_in_force, ideal_times, seconds
from replay.report.insights import changeover_pairs, orders, six_losses
from replay.report.names import SiteNames, named
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
_PAIRS_SHOWN: Final = 10
_WIDE: Final = 1.5
"""p90 over median above which a changeover follows no standard."""


def show(
    result: ReplayResult, by: Sequence[str], formula: str, lang: str, console: Console, advice: Advice | None = None
) -> None:
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
        *_insights(result, chosen, names, lang),
        _stops(result, names, lang),
    ]
    if advice is not None:
        tables.append(advice_table(result, advice, names, _table("advice", lang), lang))
    for table in tables:
        if table.row_count or (table.caption and advice is not None):
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


def _insights(result: ReplayResult, formula: str, names: SiteNames, lang: str) -> list[Table]:
    """The six big losses, orders, changeovers and learned ideal times: the tables that are not empty."""
    tables = [
        _orders(result, formula, names, lang),
        _six(result, formula, lang),
        _changeovers(result, names, lang),
        _ideals(result, names, lang),
    ]
    return [table for table in tables if table.row_count]


def _heads(table: Table, lang: str, left: Sequence[str], right: Sequence[str]) -> None:
    for name in left:
        table.add_column(words.say(f"replay.{name}", lang))
    for name in right:
        table.add_column(words.say(f"replay.{name}", lang), justify="right", no_wrap=True)


def _orders(result: ReplayResult, formula: str, names: SiteNames, lang: str) -> Table:
    table = _table("orders", lang)
    _heads(table, lang, ("order", "machine"), ("time", "pieces", "rejects", "per_hour", "allocated", "oee"))
    for row in orders(result, formula):
        length = words.duration(row["order_ms"], lang)
        table.add_row(
            escape(row["order"]),
            escape(names.machine(row["machine"])),
            length if row["end"] else f"{length} …",
            words.number(row["pieces_total"], lang),
            words.number(rejects(row), lang),
            words.number(row["throughput_per_hour"], lang, 1),
            words.percent(row["allocation_ratio"], lang),
            words.percent(row["oee"], lang),
        )
    return table


def _six(result: ReplayResult, formula: str, lang: str) -> Table:
    """The site as a whole; single machines are in the JSON and on the page."""
    table = _table("six_losses", lang)
    _heads(table, lang, ("loss", "factor"), ("time", "pieces", "share"))
    rows = [row for row in six_losses(result, formula) if row["machine"] is None]
    total_us = sum(max(row["us"], 0) for row in rows)
    for row in rows if total_us else []:
        table.add_row(
            f"{row['number']} {words.say('loss.' + row['loss'], lang)}",
            words.say(f"loss_group.{row['group']}", lang),
            words.duration(row["us"] / 1000, lang),
            words.number(row["pieces"], lang),
            words.percent(row["us"] / total_us, lang, 0),
        )
    return table


def _changeovers(result: ReplayResult, names: SiteNames, lang: str) -> Table:
    table = _table("changeovers", lang)
    _heads(table, lang, ("machine", "from_product", "to_product"), ("count", "time", "best", "median", "p90"))
    pairs = changeover_pairs(result)
    for row in pairs[:_PAIRS_SHOWN]:
        p90 = words.duration(row["p90_ms"], lang)
        table.add_row(
            escape(names.machine(row["machine"])),
            escape(names.product(row["product"])),
            escape(names.product(row["to_product"])),
            words.number(row["count"], lang),
            *(words.duration(row[name], lang) for name in ("total_ms", "best_ms", "median_ms")),
            f"[yellow]{p90} ![/]" if row["spread"] is not None and row["spread"] > _WIDE else p90,
        )
    if len(pairs) > _PAIRS_SHOWN:
        table.caption = words.say("replay.pairs_shown", lang, shown=_PAIRS_SHOWN, all=len(pairs))
    return table


def _ideals(result: ReplayResult, names: SiteNames, lang: str) -> Table:
    table = _table("ideals_learned", lang)
    _heads(table, lang, ("machine", "product"), ("ideal_set", "ideal_shown", "cycles", "alike"))
    table.caption = words.say("replay.ideals_note", lang)
    for row in ideal_times(result):
        learned = seconds(row["proposed_us"], lang)
        table.add_row(
            escape(names.machine(row["machine"])),
            escape(names.product(row["product"])),
            ideal_in_force(row, lang),
            f"[yellow]{learned} ![/]" if differs(row) else learned,
            words.number(row["evidence"]["cycles"], lang),
            words.say("why_null." + row["why_null"], lang)
            if row["why_null"]
            else words.percent(row["evidence"]["alike"], lang, 0),
        )
    return table
