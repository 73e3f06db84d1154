"""A capability statement as people read it, in one language: what is measured, verified and declared in sections of their own. Pure."""

from datetime import datetime
from typing import Final

from center.outgoing.reports.sheet import ReportSheet, SheetCell, SheetRow, SheetSection, SheetTable, SheetTile, named
from center.outgoing.statement.content import MEASURED, MILLION, VERIFIED, CapabilityLine, StatementContent
from words import day_text, moment, number, percent, say

_UNITS: Final = {"hours_free": "hours_week", "mtbf": "hours", "changeover": "minutes"}


def statement_sheet(content: StatementContent, lang: str, digest: str) -> ReportSheet:
    """The statement in a language. digest: of its content."""

    def tell(key: str, **values: object) -> str:
        return say(f"statement.{key}", lang, **values)

    firm = named(content.firm, lang, content.number)
    tiles = [
        SheetTile(tell("for"), content.recipient, content.purpose),
        SheetTile(tell("until"), day_text(content.ends, lang), tell("made", when=moment(datetime.fromisoformat(content.made), lang))),
        SheetTile(tell("number"), content.number, content.center),
    ]  # fmt: skip
    period = tell("period", first=day_text(content.first, lang), last=day_text(content.last, lang))
    measured = [_row(line, lang) for line in content.lines if line.key in MEASURED]
    sections = []
    if measured:
        heads = [tell(f"head.{key}") for key in ("line", "kind", "value", "rests")]
        notes = [SheetCell(tell("measured.note"), "", "faint"), SheetCell(period)]
        sections.append(SheetSection("measured", tell("measured"), notes, SheetTable(heads, measured)))
    verified = [
        SheetRow([SheetCell(tell(f"line.{line.key}"), "", "strong"), SheetCell(value_text(line, lang))])
        for line in content.lines
        if line.key in VERIFIED
    ]
    if verified:
        notes = [SheetCell(tell("verified.note"), "", "faint")]
        if content.months:
            notes.append(SheetCell(tell("months", months=", ".join(content.months))))
        heads = [tell(f"head.{key}") for key in ("line", "value")]
        sections.append(SheetSection("verified", tell("verified"), notes, SheetTable(heads, verified)))
    if content.certificates:
        rows = [
            SheetRow(
                [
                    SheetCell(item.name, "", "strong"),
                    SheetCell(item.number or "–"),
                    SheetCell(day_text(item.until, lang) if item.until else tell("no_end")),
                ]
            )
            for item in content.certificates
        ]
        heads = [tell(f"head.{key}") for key in ("certificate", "certificate_number", "valid_until")]
        notes = [SheetCell(tell("declared.note"), "", "bad")]
        sections.append(SheetSection("declared", tell("declared"), notes, SheetTable(heads, rows)))
    about = [SheetCell(tell(key)) for key in ("about.lines", "about.never", "about.copies")]
    about.append(SheetCell(tell("digest", digest=digest)))
    sections.append(SheetSection("about", tell("about"), about))
    trade = say(f"trade.{content.trade}", lang) if content.trade else ""
    return ReportSheet(lang, tell("title"), " · ".join(part for part in (firm, trade) if part), tiles, sections)


def _row(line: CapabilityLine, lang: str) -> SheetRow:
    rests = (
        ""
        if line.coverage_u is None
        else say("statement.coverage", lang, share=percent(line.coverage_u / MILLION, lang))
    )
    if line.key in ("mtbf", "changeover"):
        rests = f"{say(f'statement.rests.{line.key}', lang, n=number(line.count, lang))} {rests}".strip()
    kind = say(f"machine_kind.{line.kind}", lang) if line.kind else "–" if line.mark == "measured" else ""
    cells = [SheetCell(say(f"statement.line.{line.key}", lang), "", "strong"), SheetCell(kind)]
    return SheetRow([*cells, SheetCell(value_text(line, lang)), SheetCell(rests)])


def value_text(line: CapabilityLine, lang: str) -> str:
    """A line's value with its unit and interval."""
    values = [part / MILLION for part in line.values_u]

    def tell(key: str, **more: object) -> str:
        return say(f"statement.{key}", lang, **more)

    if line.key == "oee":
        return tell("range", low=percent(values[0], lang, 0), high=percent(values[1], lang, 0))
    unit = _UNITS.get(line.key)
    shown = [number(value, lang, 1 if unit in ("hours", "minutes") else 0) for value in values]
    if line.key == "changeover":
        return tell("unit.minutes_p90", median=shown[0], p90=shown[1])
    if line.key == "mtbf":
        if len(shown) == 1:
            return tell("longer", low=tell("unit.hours", n=shown[0]))
        whole = tell("range", low=shown[0], high=shown[-1])
        return tell("unit.hours", n=f"{shown[1]} ({whole})" if len(shown) == 3 else whole)
    if line.key == "reject_ppm":
        return tell("unit.ppm", n=shown[0])
    return tell(f"unit.{unit}", n=shown[0]) if unit else shown[0]


def foot_of_statement(content: StatementContent, lang: str, digest: str) -> str:
    """The line at the end of each page."""
    return say("statement.foot", lang, number=content.number, recipient=content.recipient, digest=digest[:16])


def watermark_of(content: StatementContent, lang: str) -> str:
    """What stands across each page: for whom it is."""
    return say("statement.watermark", lang, recipient=content.recipient, number=content.number)
