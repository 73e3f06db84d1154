"""Targets beside what was reached: OEE, pieces, takt. Pure."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from center.console.draw.kpis import uncertain
from center.console.draw.markup import el
from center.console.draw.names import Row
from words import duration, number, percent, say


def gap_of(row: Row, kind: str) -> Row | None:
    """How far a row is from the target of this kind; None without one."""
    return next((gap for gap in row.get("targets", ()) if gap["kind"] == kind), None)


def kind_name(kind: str, lang: str) -> str:
    """What is aimed at."""
    return say(f"target.kind.{kind}", lang)


def source_name(source: str, lang: str) -> str:
    """Who set a target."""
    return say(f"target.source.{source}", lang)


def value_text(kind: str, value: float | None, lang: str) -> str:
    """A target, or what was reached, with its unit."""
    if value is None:
        return "–"
    if kind == "pieces":
        return say("console.pieces_of", lang, count=number(value, lang))
    return say("target.takt", lang, s=number(value, lang, 1)) if kind == "takt_s" else percent(value, lang)


def gap_text(gap: Row, lang: str) -> str:
    """The gap with its sign: in points, or in pieces; a dash where it is not known."""
    if gap["points"] is not None:
        return say("console.points", lang, points=signed(gap["points"], lang, 1))
    if gap["pieces"] is not None and gap["kind"] in ("pieces", "takt_s"):
        return say("console.pieces_of", lang, count=signed(gap["pieces"], lang))
    return "–"


def signed(value: float, lang: str, digits: int = 0) -> str:
    """A number with its sign, also where it is positive."""
    text = number(value, lang, digits)
    return f"+{text}" if value > 0 and text.strip("0.,") else text


def better(gap: Row) -> int:
    """1 at or above the target, −1 below it, 0 where it is not known."""
    value = gap["points"] if gap["points"] is not None else gap["pieces"]
    return 0 if value is None else 1 if value >= 0 else -1


def goals(row: Row, lang: str, kinds: Sequence[str] = ("oee", "pieces", "takt_s")) -> Markup | None:
    """A line for each target that counts: the target, and the gap to it; None without any.

    Pieces by takt are left out where a target of pieces counts. A gap of OEE that its bounds do not decide is said so.
    """
    found = [gap for kind in kinds if (gap := gap_of(row, kind)) is not None]
    if any(gap["kind"] == "pieces" for gap in found):
        found = [gap for gap in found if gap["kind"] != "takt_s"]
    return el("div", *(_goal(row, gap, lang) for gap in found), cls="goals") if found else None


def _goal(row: Row, gap: Row, lang: str) -> Markup:
    kind, kpis = gap["kind"], row["kpis"]
    missed = missed_at_best(kpis, gap)
    css = {1: "up", -1: "down", 0: ""}[better(gap)] if missed is None else "down"
    text = gap_text(gap, lang) if missed is None else say("target.at_best", lang, points=signed(missed, lang, 1))
    undecided = kind == "oee" and "coverage" in kpis and uncertain(kpis)
    undecided = undecided and kpis["oee_low"] is not None and kpis["oee_low"] <= gap["target"] <= kpis["oee_high"]
    return el(
        "div",
        el("span", _reached(gap, lang)),
        el("b", text, cls="" if undecided else css),
        cls="goal",
        data_tip=goal_tip(gap, lang, undecided=undecided),
        data_kind=kind,
    )


def missed_at_best(kpis: Row, gap: Row) -> float | None:
    """By how many points the target of OEE is missed at best, where OEE is not known but its upper bound decides; None
    otherwise.
    """
    high = kpis.get("oee_high")
    if gap["kind"] != "oee" or gap["points"] is not None or high is None or high >= gap["target"]:
        return None
    return float(high - gap["target"]) * 100 if kpis.get("coverage") else None


def _reached(gap: Row, lang: str) -> str:
    if gap["kind"] == "pieces":
        made, due = number(gap["actual"], lang), number(gap["target"], lang)
        return say("target.pieces_by_now", lang, made=made, due=due)
    return say("target.beside", lang, target=value_text(gap["kind"], gap["target"], lang))


def goal_line(gap: Row, lang: str) -> str:
    """The target and the gap in one line of text."""
    return f"{_reached(gap, lang)} ({gap_text(gap, lang)})"


def goal_tip(gap: Row, lang: str, *, undecided: bool = False) -> str:
    """What the gap comes to, and who set the target."""
    lines = [kind_name(gap["kind"], lang)]
    if gap["minutes"] is not None:
        length = ("+" if gap["minutes"] > 0 else "") + duration(gap["minutes"] * 60_000, lang)
        lines.append(say("target.gap_time", lang, length=length))
    if gap["kind"] == "oee" and gap["pieces"] is not None:
        lines.append(say("target.gap_pieces", lang, count=signed(gap["pieces"], lang)))
    if undecided:
        lines.append(say("target.undecided", lang))
    lines.append(source_name(gap["source"], lang))
    return "\n".join(lines)


def mark(row: Row, kind: str, lang: str) -> tuple[Markup | None, str]:
    """A mark at the target on a bar from 0 to 100 %, and its line for the tooltip; None and "" without a target."""
    gap = gap_of(row, kind)
    if gap is None:
        return None, ""
    at: Any = f"left:{100 * min(gap['target'], 1):.2f}%"
    return el("s", style=at), goal_line(gap, lang)
