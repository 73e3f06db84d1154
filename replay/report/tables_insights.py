"""The six big losses, changeovers and learned ideal times as coloured tables."""

from collections.abc import Callable, Sequence
from typing import Final

from rich.markup import escape
from rich.table import Table

import words
from replay.drive import ReplayResult
from replay.report.ideals import differs, ideal_in_force, ideal_times, seconds
from replay.report.insights import changeover_pairs, orders, six_losses
from replay.report.names import SiteNames
from replay.rows import rejects

_PAIRS_SHOWN: Final = 10
_WIDE: Final = 1.5
"""p90 over median above which a changeover follows no standard."""
NewTable = Callable[[str, str], Table]


def insights(result: ReplayResult, formula: str, names: SiteNames, lang: str, new: NewTable) -> list[Table]:
    """The tables that are not empty. new: makes an empty table with the title of that key."""
    tables = [
        _orders(result, formula, names, lang, new),
        _six(result, formula, lang, new),
        _changeovers(result, names, lang, new),
        _ideals(result, names, lang, new),
    ]
    return [table for table in tables if table.row_count]


def _heads(table: Table, lang: str, left: Sequence[str], right: Sequence[str]) -> None:
    for name in left:
        table.add_column(words.say(f"replay.{name}", lang))
    for name in right:
        table.add_column(words.say(f"replay.{name}", lang), justify="right", no_wrap=True)


def _orders(result: ReplayResult, formula: str, names: SiteNames, lang: str, new: NewTable) -> Table:
    table = new("orders", lang)
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


def _six(result: ReplayResult, formula: str, lang: str, new: NewTable) -> Table:
    """The site as a whole; single machines are in the JSON and on the page."""
    table = new("six_losses", lang)
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


def _changeovers(result: ReplayResult, names: SiteNames, lang: str, new: NewTable) -> Table:
    table = new("changeovers", lang)
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


def _ideals(result: ReplayResult, names: SiteNames, lang: str, new: NewTable) -> Table:
    table = new("ideals_learned", lang)
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
