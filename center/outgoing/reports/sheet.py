"""The report as people read it: titles, figures and tables in one language, the same for page, PDF and mail. Pure.

Every text that holds a number is made here, so that no two forms of the report can disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal

from center.console.draw.goals import missed_at_best
from center.console.draw.waterfall_bars import waterfall_bars
from center.outgoing.reports.answer import ReportAnswer, ReportMachine, ReportStop
from oee.model.states import NEEDS_REASON
from words import day_text, duration, hours, moment, number, percent, say
from words.catalogue import catalogue

Tone = Literal["", "good", "bad", "faint", "strong"]
_NEEDS_REASON: Final = frozenset(state.word for state in NEEDS_REASON)
_FACTORS: Final = ("availability", "performance", "quality")


@dataclass(frozen=True)
class SheetCell:
    """One cell of a table. below: a second line, smaller."""

    text: str
    below: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class SheetRow:
    """A row of a table. bar: where a bar begins and ends, 0 to 1, None without one; kind: of a bar: total or loss."""

    cells: Sequence[SheetCell]
    bar: tuple[float, float] | None = None
    kind: str = ""


@dataclass(frozen=True)
class SheetTable:
    """heads: of the columns, as many as each row has cells; numeric: columns that are aligned to the right; bars: each row
    has a bar after its first cell; tall: rows leave room to write by hand.
    """

    heads: Sequence[str]
    rows: Sequence[SheetRow]
    numeric: frozenset[int] = frozenset()
    bars: bool = False
    tall: bool = False


@dataclass(frozen=True)
class SheetLine:
    """A small diagram: a ratio by month, and what was aimed at. values, aims: 0 to 1, None where there is none; low, high: texts at
    the ends of the axis of months; marks: months in which something changed, with a text.
    """

    title: str
    values: Sequence[float | None]
    aims: Sequence[float | None]
    low: str
    high: str
    alt: str
    marks: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SheetSection:
    """A part of the report. notes: sentences before the table, or instead of it; lines: diagrams between them."""

    key: str
    title: str
    notes: Sequence[SheetCell] = ()
    table: SheetTable | None = None
    lines: Sequence[SheetLine] = ()


def stretches(points: Sequence[float | None]) -> list[tuple[int, int]]:
    """Where values follow each other without a gap: `[start, end)`."""
    out: list[tuple[int, int]] = []
    for index, value in enumerate(points):
        if value is None:
            continue
        if out and out[-1][1] == index:
            out[-1] = out[-1][0], index + 1
        else:
            out.append((index, index + 1))
    return out


@dataclass(frozen=True)
class SheetTile:
    """A figure at the top."""

    label: str
    value: str
    below: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class ReportSheet:
    """The whole report in one language."""

    lang: str
    title: str
    subtitle: str
    tiles: Sequence[SheetTile]
    sections: Sequence[SheetSection] = field(default_factory=tuple)


def sheet(report: ReportAnswer, lang: str) -> ReportSheet:
    """The report in a language."""
    words = _Words(report, lang)
    sections = [
        _results(words),
        _where_time_went(words),
        _longest(words),
        _unexplained(words),
        _pieces(words),
        _trust(words),
        _calls(words),
    ]
    return ReportSheet(lang, words.title(), words.subtitle(), _tiles(words), [item for item in sections if item])


def named(names: Mapping[str, str], lang: str, otherwise: str) -> str:
    """A name in the language; else in the other one, else the id."""
    return names.get(lang) or next((text for text in names.values() if text), otherwise)


@dataclass(frozen=True)
class _Words:
    """The report and how it is said."""

    report: ReportAnswer
    lang: str

    def tell(self, key: str, **values: object) -> str:
        return say(f"report.{key}", self.lang, **values)

    def period(self) -> str:
        """The day and the shift."""
        day = date.fromisoformat(self.report["date"])
        when = f"{say(f'console.weekday.{day.weekday()}', self.lang)} {day_text(day, self.lang)}"
        shift = self.report["shift"]
        return self.tell("shift_of", shift=shift, day=when) if shift else self.tell("whole_day", day=when)

    def title(self) -> str:
        """Site, line and period."""
        site = named(self.report["site_name"], self.lang, self.report["site"])
        line = self.report["line"]
        place = f"{site} · {named(self.report['line_name'], self.lang, line)}" if line else site
        return f"{place} – {self.period()}"

    def subtitle(self) -> str:
        """The window, and whether it is over."""
        begin, end = (moment(datetime.fromisoformat(self.report[key]), self.lang) for key in ("from", "to"))
        text = self.tell("window", begin=begin, end=end)
        return f"{text} {self.tell('running')}" if self.report["running"] else text

    def machine(self, row: Any) -> str:
        return named(row["machine_name"], self.lang, row["machine"])

    def gap(self, row: ReportMachine, kind: str) -> Any:
        return next((gap for gap in row["targets"] if gap["kind"] == kind), None)


def _signed(value: float, lang: str, digits: int = 0) -> str:
    text = number(value, lang, digits)
    return f"+{text}" if value > 0 and text.strip("0.,") else text


def _tone(value: float | None) -> Tone:
    return "" if value is None else "good" if value >= 0 else "bad"


def _tiles(words: _Words) -> list[SheetTile]:
    report, lang = words.report, words.lang
    aimed = [gap for row in report["machines"] if (gap := words.gap(row, "oee")) is not None]
    out = []
    if aimed:
        met = sum(gap["points"] is not None and gap["points"] >= 0 for gap in aimed)
        tone: Tone = "good" if met == len(aimed) else "bad"
        out.append(SheetTile(words.tell("tile.met"), words.tell("of", n=met, all=len(aimed)), "", tone))
    made, due = report["pieces"]["pieces"], report["pieces"]["due"]
    if due is None:
        out.append(SheetTile(words.tell("tile.pieces"), number(made, lang)))
    else:
        below = words.tell("against", due=number(due, lang), gap=_signed(made - due, lang))
        out.append(SheetTile(words.tell("tile.pieces"), number(made, lang), below, _tone(made - due)))
    judged, rejects = report["pieces"]["judged"], report["pieces"]["rejects"]
    share = words.tell("of_judged", share=percent(rejects / judged, lang)) if judged else words.tell("none_judged")
    out.append(SheetTile(words.tell("tile.rejects"), number(rejects, lang) if judged else "–", share))
    told = report["unexplained"]
    out.append(
        SheetTile(
            words.tell("tile.unexplained"),
            duration(told["ms"], lang),
            words.tell("stops", n=number(told["count"], lang)),
            "bad" if told["count"] else "good",
        )
    )
    calls = len(report["calls"])
    out.append(SheetTile(words.tell("tile.calls"), number(calls, lang), "", "bad" if calls else ""))
    return out


def _results(words: _Words) -> SheetSection:
    heads = ["machine", "oee", "target", "a", "p", "q", "pieces", "rejects"]
    rows = [SheetRow(_result(words, row)) for row in words.report["machines"]]
    table = SheetTable([words.tell(f"head.{key}") for key in heads], rows, frozenset(range(1, 8))) if rows else None
    notes = [] if rows else [SheetCell(words.tell("no_machines"))]
    return SheetSection("results", words.tell("results"), notes, table)


def _result(words: _Words, row: ReportMachine) -> list[SheetCell]:
    lang, kpis = words.lang, row["kpis"]
    oee = kpis["oee"]
    below = ""
    if row["uncertain"] and kpis["oee_low"] is not None:
        low, high = percent(kpis["oee_low"], lang, 0), percent(kpis["oee_high"], lang, 0)
        below = words.tell("bounds", low=low, high=high, coverage=percent(kpis["coverage"], lang, 0))
    gap, pieces = words.gap(row, "oee"), words.gap(row, "pieces") or words.gap(row, "takt_s")
    target = SheetCell("–", "", "faint")
    if gap is not None:
        missed = missed_at_best(kpis, gap)
        points = "" if gap["points"] is None else say("console.points", lang, points=_signed(gap["points"], lang, 1))
        if missed is not None:
            points = say("target.at_best", lang, points=_signed(missed, lang, 1))
        target = SheetCell(percent(gap["target"], lang), points, _tone(gap["points"] if missed is None else missed))
    made = SheetCell(number(row["pieces"], lang))
    if pieces is not None and pieces["pieces"] is not None:
        made = SheetCell(number(row["pieces"], lang), _signed(pieces["pieces"], lang), _tone(pieces["pieces"]))
    rejects = SheetCell(number(row["rejects"], lang) if row["judged"] else "–")
    factors = [SheetCell("–" if kpis[key] is None else percent(kpis[key], lang, 1)) for key in _FACTORS]
    why = row["why_null"].get("oee")
    remarks = [say(f"flag.{flag}", lang) for flag in row["flags"]] + ([say(f"why_null.{why}", lang)] if why else [])
    head = SheetCell(words.machine(row), " ".join(remarks), "strong")
    shown = SheetCell("–" if oee is None else percent(oee, lang), below, "strong")
    return [head, shown, target, *factors, made, rejects]


def _where_time_went(words: _Words) -> SheetSection | None:
    lang, bars = words.lang, waterfall_bars(words.report["steps"], words.lang)
    if not bars:
        return None
    rows = []
    for bar in bars:
        name = bar.step["step"]
        cells = [
            SheetCell(say(f"waterfall.{name}", lang), "", "strong" if bar.is_total else ""),
            SheetCell(hours(bar.step["us"] / 1000, lang)),
            SheetCell(bar.share, "", "faint"),
        ]
        rows.append(SheetRow(cells, (bar.begin, bar.end), "total" if bar.is_total else name))
    heads = [words.tell("head.step"), words.tell("head.time"), words.tell("head.share")]
    return SheetSection("waterfall", words.tell("waterfall"), (), SheetTable(heads, rows, frozenset({1, 2}), bars=True))


def _stops_table(words: _Words, stops: Sequence[ReportStop], *, reasons: bool) -> SheetTable:
    lang = words.lang
    heads = ["machine", "start", "length", "state", *(["reason"] if reasons else [])]
    rows = []
    for row in stops:
        begin = datetime.fromisoformat(row["start"])
        goes_on = words.tell("goes_on") if row["end"] is None else ""
        cells = [
            SheetCell(words.machine(row), "", "strong"),
            SheetCell(f"{begin:%H:%M} {begin:%d/%m}" if lang == "vi" else f"{begin:%m-%d} {begin:%H:%M}"),
            SheetCell(duration(row["ms"], lang), goes_on),
            SheetCell(say(f"state.{row['state']}", lang)),
        ]
        if reasons:
            reason = named(row["reason_name"], lang, row["reason"])
            missing = not reason and row["state"] in _NEEDS_REASON
            cells.append(SheetCell(words.tell("no_reason") if missing else reason, "", "bad" if missing else ""))
        rows.append(SheetRow(cells))
    return SheetTable([words.tell(f"head.{key}") for key in heads], rows, frozenset({2}))


def _longest(words: _Words) -> SheetSection:
    stops = words.report["longest"]
    if not stops:
        return SheetSection("longest", words.tell("longest"), [SheetCell(words.tell("no_stops"))])
    return SheetSection("longest", words.tell("longest"), (), _stops_table(words, stops, reasons=True))


def _unexplained(words: _Words) -> SheetSection:
    found, title = words.report["unexplained"], words.tell("unexplained")
    if not found["count"]:
        return SheetSection("unexplained", title, [SheetCell(words.tell("all_explained"), "", "good")])
    whole = words.tell(
        "unexplained_sum", n=number(found["count"], words.lang), length=duration(found["ms"], words.lang)
    )
    return SheetSection("unexplained", title, [SheetCell(whole)], _stops_table(words, found["rows"], reasons=False))


def _pieces(words: _Words) -> SheetSection:
    products, lang = words.report["products"], words.lang
    if not products:
        return SheetSection("pieces", words.tell("pieces"), [SheetCell(words.tell("no_pieces"))])
    rows = []
    for row in products:
        name = (
            named(row["product_name"], lang, row["product"])
            if row["product"] not in ("", "?")
            else say("product.unknown", lang)
        )
        judged = row["judged"]
        cells = [
            SheetCell(name, "" if row["verified"] else words.tell("unverified_short"), "strong"),
            SheetCell(number(row["pieces"], lang)),
        ]
        cells += [SheetCell(number(row[key], lang) if judged else "–") for key in ("good", "rejects")]
        cells.append(SheetCell(percent(row["rejects"] / judged, lang) if judged else "–", "", "faint"))
        rows.append(SheetRow(cells))
    heads = [words.tell(f"head.{key}") for key in ("product", "pieces", "good", "rejects", "reject_share")]
    return SheetSection("pieces", words.tell("pieces"), (), SheetTable(heads, rows, frozenset(range(1, 5))))


def _trust(words: _Words) -> SheetSection:
    trust, lang = words.report["trust"], words.lang
    names = {row["machine"]: words.machine(row) for row in words.report["machines"]}
    products = {row["product"]: row for row in words.report["products"]}
    notes = []
    if trust["low_coverage"]:
        listed = ", ".join(names.get(key, key) for key in trust["low_coverage"])
        notes.append(SheetCell(words.tell("low_coverage", machines=listed), "", "bad"))
    if trust["missing_ms"]:
        notes.append(SheetCell(words.tell("missing", length=duration(trust["missing_ms"], lang)), "", "bad"))
    if trust["missing_envelopes"]:
        notes.append(SheetCell(words.tell("envelopes", n=number(trust["missing_envelopes"], lang)), "", "bad"))
    if trust["unknown_ms"]:
        notes.append(SheetCell(words.tell("unknown", length=duration(trust["unknown_ms"], lang)), "", "bad"))
    if trust["unverified"]:
        listed = ", ".join(
            named(products[key]["product_name"], lang, key) if key not in ("", "?") else say("product.unknown", lang)
            for key in trust["unverified"]
        )
        notes.append(SheetCell(words.tell("unverified", products=listed), "", "bad"))
    if trust["without_calendar"]:
        notes.append(SheetCell(words.tell("without_calendar", n=number(trust["without_calendar"], lang)), "", "bad"))
    return SheetSection("trust", words.tell("trust"), notes or [SheetCell(words.tell("trusted"), "", "good")])


def _calls(words: _Words) -> SheetSection:
    calls, lang = words.report["calls"], words.lang
    if not calls:
        return SheetSection("calls", words.tell("calls"), [SheetCell(words.tell("no_calls"))])
    rows = []
    for row in calls:
        key, step = f"andon.call.{row['kind']}", f"andon.step.{row['step']}"
        rows.append(
            SheetRow(
                [
                    SheetCell(words.machine(row), "", "strong"),
                    SheetCell(say(key, lang) if key in catalogue() else row["kind"]),
                    SheetCell(say(step, lang) if step in catalogue() else row["step"]),
                    SheetCell(moment(datetime.fromisoformat(row["since"]), lang)),
                ]
            )
        )
    heads = [words.tell(f"head.{key}") for key in ("machine", "call", "call_step", "since")]
    return SheetSection("calls", words.tell("calls"), (), SheetTable(heads, rows))
