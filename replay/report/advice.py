"""Advice in the report: rows for JSON, a table for the terminal, a section of the page."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from rich.table import Table

import words
from replay.drive import ReplayResult
from replay.read.times import iso
from replay.report.names import SiteNames
from words.findings import LISTED, finding_parts, gain_text

Advice = tuple[int | None, Sequence[Any]]
"""What `replay.advise.advise` returns; its module loads SciPy, which is imported only where advice is asked for."""
_SHOWN: Final = ("open", "likely", "watch")


def advice_rows(result: ReplayResult, advice: Advice) -> dict[str, Any]:
    """Findings as plain values, the most to gain first within each stage; machines that cannot be trusted, and why."""
    from oee.advice.catalogue import rules  # noqa: PLC0415  # loads SciPy, which not every computer with nhip has
    from oee.advice.written import plain_finding  # noqa: PLC0415

    night_ns, machines = advice
    names = {lang: SiteNames(result, lang) for lang in words.LANGUAGES}
    rows, untrusted = [], []
    for item in machines:
        if item.trust is not None and item.trust.why_not:
            said = {
                lang: " ".join(words.say(f"advice_trust.{why}", lang) for why in item.trust.why_not) for lang in names
            }
            untrusted.append({"machine": item.machine, "why": list(item.trust.why_not), "says": said})
        for record in item.records:
            if record.stage not in _SHOWN or record.held:
                continue
            found = record.finding
            called = {lang: _called(found.machine, found.key, found.names, names[lang]) for lang in names}
            about_data = rules()[found.rule].about_data
            gain = (
                None
                if about_data or not rules()[found.rule].in_minutes
                else {"low": record.told.low_min, "high": record.told.high_min}
            )
            texts = finding_parts(found.rule, found.key, found.figures, called)
            rows.append(
                plain_finding(found) | texts | {"stage": record.stage, "about_data": about_data, "gain_min": gain}
            )
    rows.sort(
        key=lambda row: (_SHOWN.index(row["stage"]), not row["about_data"], -(row["gain_min"] or {}).get("high", 0))
    )
    night = None if night_ns is None else iso(night_ns, names["vi"].zone)
    return {"night": night, "rows": rows, "untrusted": untrusted}


def _called(machine: str, key: Sequence[str], given: Mapping[str, str], names: SiteNames) -> dict[str, str]:
    out = dict(given)
    if "pair" in given:
        out["pair"] = " → ".join(names.product(part) for part in key) if len(key) == 2 else names.machine(machine)
    for kind in ("product", "from_product", "to_product"):
        if given.get(kind):
            out[kind] = names.product(given[kind])
    for kind, mark in LISTED.items():
        if given.get(kind):
            out[kind] = mark.join(names.machine(name) for name in given[kind].split(mark))
    if given.get("next"):
        out["next"] = names.machine(given["next"])
    if given.get("reason"):
        out["reason"] = names.reason(given["reason"])
    if given.get("part"):
        out["part"] = names.machine(machine) if given["part"] == "machine" else names.reason(given["part"])
    return out


def advice_table(result: ReplayResult, advice: Advice, names: SiteNames, table: Table, lang: str) -> Table:
    """Fills the table; its caption names machines that cannot be trusted."""
    told = advice_rows(result, advice)
    for name in ("machine", "name", "stage", "gain", "says"):
        table.add_column(words.say(f"advice_list.column.{name}", lang))
    for row in told["rows"]:
        table.add_row(
            names.machine(row["machine"]),
            row["name"][lang],
            words.say(f"advice_list.stage.{row['stage']}", lang),
            gain_text(row["gain_min"], lang),
            row["says"][lang],
        )
    notes = [f"{names.machine(item['machine'])}: {item['says'][lang]}" for item in told["untrusted"]]
    if not told["rows"]:
        notes.insert(0, words.say("advice_list.nothing", lang))
    table.caption = "\n".join(notes) or None
    return table


def advice_section(result: ReplayResult, advice: Advice, names: SiteNames, lang: str) -> str:
    """The section of the page."""
    told = advice_rows(result, advice)
    cards = [_card(row, names, lang) for row in told["rows"]]
    if not cards:
        cards = [f'<div class="card">{escape(words.say("advice_list.nothing", lang))}</div>']
    notes = "".join(
        f"<p class='note'>{escape(names.machine(item['machine']))}: {escape(item['says'][lang])}</p>"
        for item in told["untrusted"]
    )
    title = escape(words.say("advice_list.title", lang))
    return f'<h2>{title}</h2><div class="stack">{"".join(cards)}</div>{notes}'


def _card(row: Mapping[str, Any], names: SiteNames, lang: str) -> str:
    head = f"{row['name'][lang]} · {names.machine(row['machine'])}"
    lines = [
        ("gain", gain_text(row["gain_min"], lang) if row["gain_min"] else ""),
        ("countermeasure", row["countermeasure"][lang]),
        ("sure", words.say(f"advice_stage.{row['stage']}", lang)),
        ("doubt", row["doubt"][lang]),
    ]
    body = "".join(
        f'<p><span class="note">{escape(words.say(f"advice_page.{key}", lang))}:</span> {escape(text)}</p>'
        for key, text in lines
        if text
    )
    return f'<div class="card"><h3>{escape(head)}</h3><p>{escape(row["says"][lang])}</p>{body}</div>'
