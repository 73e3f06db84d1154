"""The greatest losses of machines, lines and sites: stops by reason, and what is no stop, by whatever one asks.

What is lost of a machine is the same however it is grouped: scheduled time less fully productive time, to the microsecond.
Stops come from the store's losses; unknown time, slow running and rejects from the waterfall, which alone knows them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, NotRequired, cast
from zoneinfo import ZoneInfo

from pydantic import Field
from typing_extensions import TypedDict

from center.model.sites import site_machine
from center.model.times import BadQuestion, iso
from center.queries.across.compare import Machines, site_name
from center.queries.losses import losses
from center.queries.question import Ends, Name, NextPage, Question, check
from center.queries.trend import line_parts
from center.queries.waterfall import waterfall_steps
from center.runtime.state import CenterState
from oee.model.states import State

GROUPS: Final = ("site", "line", "machine", "shift", "product", "state", "reason")
_UNKNOWN: Final = State.UNKNOWN.word
NO_STOPS: Final = frozenset(
    {"slow_cycles", "without_ideal", "startup_reject", "process_reject", "rework", "not_judged"}
)
"""Losses that no stop accounts for, as the waterfall names them."""
_OF_FACTS: Final = ("machine", "shift", "product")


class TopLossRow(TypedDict):
    """What was lost in one group. us: time, or the ideal time of pieces [us]; negative where pieces came faster than their
    ideal time.
    """

    site: NotRequired[str]
    site_name: NotRequired[Name]
    line: NotRequired[str]
    machine: NotRequired[str]
    machine_name: NotRequired[Name]
    shift: NotRequired[str]
    product: NotRequired[Annotated[str, Field(description="Empty for time of which the product is not known.")]]
    state: NotRequired[Annotated[str, Field(description="A state, or a step of the waterfall that is no stop.")]]
    reason: NotRequired[str]
    us: int
    pieces: int


class TopLossesAnswer(Ends):
    """total_us: all that was lost, of what was asked for."""

    by: list[str]
    total_us: int
    rows: list[TopLossRow]
    next: NotRequired[NextPage]


@dataclass(frozen=True)
class LossFilter:
    """Which losses; what is empty excludes none. Hashable."""

    lines: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    shifts: tuple[str, ...] = ()

    @property
    def dimensions(self) -> set[str]:
        """Groups without which it cannot be told which losses are wanted."""
        of = {"line": self.lines, "state": self.states, "reason": self.reasons, "product": self.products}
        return {name for name, words in (of | {"shift": self.shifts}).items() if words}

    def wants(self, cell: Mapping[str, str]) -> bool:
        """Whether a loss is wanted."""
        asked = {
            "line": self.lines,
            "state": self.states,
            "reason": self.reasons,
            "product": self.products,
            "shift": self.shifts,
        }
        return all(cell[name] in words for name, words in asked.items() if words)


def top_losses(
    center: CenterState,
    question: Question,
    machines: Machines,
    zone: ZoneInfo,
    by: Sequence[str] = ("state", "reason"),
    wanted: LossFilter = LossFilter(),
) -> TopLossesAnswer:
    """A row for each group, the greatest loss first. question: with a settled window; its site and machines are replaced by
    each of `machines` in turn; zone: of the window's ends in the answer.

    Shifts, products, reasons and lines of different sites that have the same key are one group unless `site` is among
    `by`. Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`.
    """
    for name in by:
        if name not in GROUPS:
            raise BadQuestion(f"by: {name[:40]!r}; there are {', '.join(GROUPS)}")
    totals: dict[tuple[str, ...], list[int]] = {}
    for site, chosen in machines.items():
        if not center.ledger_cache.sites.machines(site):
            continue
        of_site = replace(question, site=site, machines=chosen, bucket="all")
        for cell, us, pieces in _of_site(center, of_site, {*by} | wanted.dimensions):
            if wanted.wants(cell):
                total = totals.setdefault(tuple(cell[name] for name in by), [0, 0])
                total[0] += us
                total[1] += pieces
    ordered = sorted(totals.items(), key=lambda item: (-item[1][0], item[0]))
    rows = [_row(center, dict(zip(by, key, strict=True)), us, pieces) for key, (us, pieces) in ordered if us or pieces]
    ends: Ends = {"from": iso(question.start_ns or 0, zone), "to": iso(question.end_ns or 0, zone)}
    return {**ends, "by": [*by], "total_us": sum(us for us, _ in totals.values()), "rows": rows, "next": None}


_Lost = tuple[Mapping[str, str], int, int]
"""What a loss is about, by the names of `GROUPS`; its length [us]; its pieces."""


def _of_site(center: CenterState, question: Question, dimensions: set[str]) -> Iterator[_Lost]:
    if "line" not in dimensions:
        yield from _of_part(center, question, dimensions)
        return
    for line, part in line_parts(check(center, question)):
        asked = replace(question, machines=part.machines, start_ns=part.start_ns, end_ns=part.end_ns)
        for cell, us, pieces in _of_part(center, asked, dimensions):
            yield {**cell, "line": line}, us, pieces


def _of_part(center: CenterState, question: Question, dimensions: set[str]) -> Iterator[_Lost]:
    by = tuple(name for name in _OF_FACTS if name in dimensions)
    head = dict.fromkeys(GROUPS, "") | {"site": question.site}
    for row in losses(center, replace(question, by=(*by, "state", "reason")))["rows"]:
        if row["state"] != _UNKNOWN:
            yield (
                _cell(head, row, by, state=row["state"] or "", reason=row["reason"] or ""),
                row["ms"] * 1000,
                row["pieces"],
            )
    for step in waterfall_steps(center, replace(question, by=by))["rows"]:
        if step["step"] in NO_STOPS or step["step"] == _UNKNOWN:
            yield _cell(head, step, by, state=step["step"], reason=""), step["us"], step["pieces"] or 0
    if "product" in by:  # a calendar plans no products, so that unknown time is of none
        others = tuple(name for name in by if name != "product")
        for step in waterfall_steps(center, replace(question, by=others))["rows"]:
            if step["step"] == _UNKNOWN:
                yield _cell(head, step, others, state=_UNKNOWN, reason=""), step["us"], step["pieces"] or 0


def _cell(head: Mapping[str, str], row: Mapping[str, Any], by: Sequence[str], **more: str) -> Mapping[str, str]:
    return {**head, **{name: str(row[name]) for name in by}, **more}


def _row(center: CenterState, cell: Mapping[str, str], us: int, pieces: int) -> TopLossRow:
    sites, site, machine = center.ledger_cache.sites, cell.get("site", ""), cell.get("machine", "")
    row: dict[str, Any] = {}
    for name, text in cell.items():
        row[name] = text
        if name == "site":
            row["site_name"] = site_name(sites, site)
        elif name == "machine" and site:
            named = site_machine(sites, site, machine)
            row["machine_name"] = named.name if named else {"vi": machine, "en": machine}
    return cast("TopLossRow", row | {"us": us, "pieces": pieces})
