"""A machine's cards on the report page about improvement: six big losses, changeovers, learned ideal times; and orders."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final

import words
from replay.drive import ReplayResult
from replay.report.drawings import strip
from replay.report.ideals import differs, ideal_in_force, ideal_times, seconds
from replay.report.insights import changeover_pairs, orders, six_losses
from replay.report.names import SiteNames
from replay.rows import rejects

_PAIRS_SHOWN: Final = 10
_COLOURS: Final = {"reduced_speed": "slow_cycles"}


def insights(result: ReplayResult, key: str, formula: str, names: SiteNames, lang: str) -> str:
    """The cards of one machine."""
    cards = [
        _six(result, key, formula, lang),
        _changeovers(result, key, names, lang),
        _ideals(result, key, names, lang),
    ]
    return f'<div class="stack">{"".join(f"""<div class="card">{card}</div>""" for card in cards if card)}</div>'


def orders_section(result: ReplayResult, formula: str, names: SiteNames, lang: str) -> str:
    """Orders of all machines; nothing where none was declared."""
    order_rows = orders(result, formula)
    if not order_rows:
        return ""
    heads = ("order", "machine", "time", "pieces", "rejects", "per_hour", "allocated", "oee")
    rows = [
        [
            escape(row["order"]),
            escape(names.machine(row["machine"])),
            words.duration(row["order_ms"], lang) + ("" if row["end"] else f" – {_say('replay.not_ended', lang)}"),
            words.number(row["pieces_total"], lang),
            words.number(rejects(row), lang),
            words.number(row["throughput_per_hour"], lang, 1),
            words.percent(row["allocation_ratio"], lang),
            words.percent(row["oee"], lang),
        ]
        for row in order_rows
    ]
    note = f'<p class="note">{_say("replay.orders_note", lang)}</p>'
    return f'<h2>{_say("replay.orders", lang)}</h2><div class="card">{note}{_table(heads, 2, rows, lang)}</div>'


def _six(result: ReplayResult, key: str, formula: str, lang: str) -> str:
    rows = [row for row in six_losses(result, formula) if row["machine"] == key]
    total_us = sum(max(row["us"], 0) for row in rows)
    if not total_us:
        return ""
    longest = max(row["us"] for row in rows)
    lines = "".join(
        f'<div class="row"><span>{row["number"]} {_say("loss." + row["loss"], lang)}</span>'
        f"{strip(0, max(100 * row['us'] / longest, 0), 's-' + _COLOURS.get(row['loss'], row['loss']))}"
        f'<span class="v">{words.duration(row["us"] / 1000, lang)} <em>{words.percent(row["us"] / total_us, lang)}</em></span></div>'
        for row in rows
    )
    return f'<h3>{_say("replay.six_losses", lang)}</h3><div class="rows">{lines}</div>'


def _changeovers(result: ReplayResult, key: str, names: SiteNames, lang: str) -> str:
    pairs = [row for row in changeover_pairs(result) if row["machine"] == key]
    if not pairs:
        return ""
    heads = ("from_product", "to_product", "count", "time", "best", "median", "p90")
    rows = [
        [
            escape(names.product(row["product"])),
            escape(names.product(row["to_product"])),
            words.number(row["count"], lang),
            *(words.duration(row[name], lang) for name in ("total_ms", "best_ms", "median_ms", "p90_ms")),
        ]
        for row in pairs[:_PAIRS_SHOWN]
    ]
    more = (
        words.say("replay.pairs_shown", lang, shown=_PAIRS_SHOWN, all=len(pairs)) if len(pairs) > _PAIRS_SHOWN else ""
    )
    note = f"{words.say('replay.changeovers_note', lang)} {more}"
    return (
        f'<h3>{_say("replay.changeovers", lang)}</h3><p class="note">{escape(note)}</p>{_table(heads, 2, rows, lang)}'
    )


def _ideals(result: ReplayResult, key: str, names: SiteNames, lang: str) -> str:
    ideals = [row for row in ideal_times(result) if row["machine"] == key]
    if not ideals:
        return ""
    heads = ("product", "ideal_set", "ideal_shown", "cycles", "alike")
    rows = [
        [
            escape(names.product(row["product"])),
            escape(ideal_in_force(row, lang)),
            f"<b>{seconds(row['proposed_us'], lang)}</b>" if differs(row) else seconds(row["proposed_us"], lang),
            words.number(row["evidence"]["cycles"], lang),
            _evidence(row, lang),
        ]
        for row in ideals
    ]
    note = _say("replay.ideals_note", lang)
    return f'<h3>{_say("replay.ideals_learned", lang)}</h3><p class="note">{note}</p>{_table(heads, 1, rows, lang)}'


def _evidence(row: dict[str, Any], lang: str) -> str:
    if row["why_null"]:
        return _say("why_null." + row["why_null"], lang)
    return words.percent(row["evidence"]["alike"], lang, 0)


def _table(heads: Sequence[str], left: int, rows: Sequence[Sequence[str]], lang: str) -> str:
    """The first `left` columns are text, the others numbers. Each cell repeats its heading, for narrow screens."""
    names = [_say(f"replay.{name}", lang) for name in heads]
    css = ["" if index < left else " class=n" for index in range(len(heads))]
    head = "".join(f"<th{kind}>{name}</th>" for kind, name in zip(css, names, strict=True))
    body = "".join(f"<tr>{_cells(names, css, row)}</tr>" for row in rows)
    return f'<div class="wide"><table class="few"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cells(names: Sequence[str], css: Sequence[str], row: Sequence[str]) -> str:
    cells = zip(css, names, row, strict=True)
    return "".join(f'<td{kind} data-head="{name}">{cell}</td>' for kind, name, cell in cells)


def _say(key: str, lang: str) -> str:
    return escape(words.say(key, lang))
