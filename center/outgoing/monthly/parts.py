"""The month in a language: words and units for all of its sections, and those of objectives and of twelve months. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Final

from center.outgoing.monthly.content import PPM, MonthContent
from center.outgoing.monthly.figures import MonthFigures, figures_of
from center.outgoing.reports.sheet import SheetCell, SheetLine, SheetRow, SheetSection, SheetTable, named
from oee.advice.statistics.failures import BetweenFailures
from words import day_text, moment, number, percent, say

SECONDS: Final = {"mtbf_s": (3600, "hours"), "mttr_s": (60, "minutes")}
"""Figures that are times: seconds of their unit, and its word."""
_MOST_LINES: Final = 60


@dataclass(frozen=True)
class MonthWords:
    """A month's content in a language: names, units and figures as people read them."""

    content: MonthContent
    lang: str

    @cached_property
    def figures(self) -> MonthFigures:
        return figures_of(self.content)

    @cached_property
    def names(self) -> Mapping[str, str]:
        names = {item.id: named(item.name, self.lang, item.id) for item in self.content.machines}
        return names | {"": self.tell("all")}

    def tell(self, key: str, **values: object) -> str:
        return say(f"monthly.{key}", self.lang, **values)

    def heads(self, *keys: str) -> list[str]:
        return [self.tell(f"head.{key}") for key in keys]

    def machine(self, name: str) -> str:
        return self.names.get(name, name)

    def month(self, text: str) -> str:
        return self.tell("month", year=text[:4], month=text[5:])

    def day(self, day: date | None) -> str:
        return "–" if day is None else day_text(day, self.lang)

    def share(self, ratio: float | None) -> str:
        return "–" if ratio is None else percent(ratio, self.lang)

    def moment(self, text: str) -> str:
        return moment(datetime.fromisoformat(text), self.lang)

    def kpi(self, key: str) -> str:
        return self.tell(f"figure.{key}")

    def figure(self, key: str, value: float | None) -> str:
        """A figure with its unit."""
        if value is None:
            return "–"
        if key == "failures":
            return number(value, self.lang)
        if key in SECONDS:
            divisor, unit = SECONDS[key]
            return self.tell(unit, n=number(value / divisor, self.lang, 1))
        return percent(value, self.lang)

    def limits(self, found: BetweenFailures | None, divisor: int) -> str:
        if found is None:
            return ""
        low = number(found.low / divisor, self.lang, 1)
        if found.high is None:
            return self.tell("longer", low=low)
        return self.tell("range", low=low, high=number(found.high / divisor, self.lang, 1))


def objectives_section(words: MonthWords) -> SheetSection:
    found, title = words.figures.objectives, words.tell("objectives")
    if not found:
        return SheetSection("objectives", title, [SheetCell(words.tell("objectives.none"), "", "bad")])
    rows = []
    for item in found:
        verdict = "unsure" if item.met is None else "met" if item.met else "missed"
        gap = _gap(words, item.kind, item.actual, item.target)
        cells = [
            SheetCell(words.machine(item.machine), "", "strong"),
            SheetCell(words.kpi(item.kind)),
            SheetCell(words.figure(item.kind, item.target)),
            SheetCell(words.figure(item.kind, item.actual)),
            SheetCell(gap),
            SheetCell(words.tell(verdict), "", "" if item.met is None else "good" if item.met else "bad"),
        ]
        rows.append(SheetRow(cells))
    heads = words.heads("machine", "objective", "target", "actual", "gap", "verdict")
    return SheetSection("objectives", title, (), SheetTable(heads, rows, frozenset({2, 3, 4})))


def _gap(words: MonthWords, kind: str, actual: float | None, target: float) -> str:
    if actual is None:
        return "–"
    if kind not in SECONDS:
        return _points(words, actual - target)
    divisor, unit = SECONDS[kind]
    text = words.tell(unit, n=number((actual - target) / divisor, words.lang, 1))
    return f"+{text}" if actual > target else text


def _points(words: MonthWords, gap: float) -> str:
    text = number(gap * 100, words.lang, 1)
    return f"+{text}" if gap > 0 and text.strip("0.,") else text


def history_section(words: MonthWords) -> SheetSection:
    content, figures = words.content, words.figures
    months = [month.month for month in content.machines[0].months] if content.machines else []
    heads = [words.tell("head.machine"), *(f"{text[5:]}/{text[2:4]}" for text in months)]
    rows = []
    for item in content.machines:
        found = figures.history[item.id]
        cells = [
            SheetCell(_tenths(words, one.values["oee"]), _whole(words, month.targets.get("oee")))
            for one, month in zip(found, item.months, strict=True)
        ]
        rows.append(SheetRow([SheetCell(words.machine(item.id), "", "strong"), *cells]))
    cells = [SheetCell(_tenths(words, one.values["oee"])) for one in figures.history[""]]
    rows.append(SheetRow([SheetCell(words.tell("all"), "", "strong"), *cells], kind="total"))
    table = SheetTable(heads, rows, frozenset(range(1, len(heads))))
    notes = [SheetCell(words.tell("history.note"))]
    notes += [
        SheetCell(words.tell("change", month=words.month(item.month), gateway=item.gateway, what=_changed(words, item.what)), "", "faint")
        for item in content.changes
    ]  # fmt: skip
    return SheetSection("history", words.tell("history"), notes, table, _lines(words, months))


def _changed(words: MonthWords, what: Sequence[str]) -> str:
    return ", ".join(words.tell(f"change.{key}") for key in what)


def _lines(words: MonthWords, months: Sequence[str]) -> list[SheetLine]:
    """OEE of each machine and of all together over twelve months, with its target of each month."""
    if not months:
        return []
    marks: dict[int, str] = {}
    for item in words.content.changes:
        if item.month in months:
            index, text = months.index(item.month), _changed(words, item.what)
            marks[index] = f"{marks[index]}, {text}" if index in marks else text
    aims = {item.id: [month.targets.get("oee") for month in item.months] for item in words.content.machines}
    ends = [f"{text[5:]}/{text[2:4]}" for text in (months[0], months[-1])]
    return [
        SheetLine(
            words.machine(name),
            [one.values["oee"] for one in words.figures.history[name]],
            [None if ppm is None else ppm / PPM for ppm in aims.get(name, [])],
            ends[0],
            ends[1],
            f"{words.tell('history')}: {words.machine(name)}",
            marks,
        )
        for name in [*list(aims)[:_MOST_LINES], ""]
    ]


def _tenths(words: MonthWords, ratio: float | None) -> str:
    return "–" if ratio is None else number(ratio * 100, words.lang, 1)


def _whole(words: MonthWords, ppm: int | None) -> str:
    return "" if ppm is None else number(ppm / PPM * 100, words.lang, 1)
