"""Targets: which there are, which count on a day, and how far a row of a trend is from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from center.model.sites import LineSpan, lines_of, retired_since
from center.model.targets import PlannedPart, SaidTarget, all_targets, planned_parts, site_targets, slices_of
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.question import CheckedQuestion, zone_of
from center.runtime.state import CenterState
from oee.kpi.kpi import Terms
from oee.kpi.targets import KINDS, RATIOS, PeriodTarget, Slice, Target, counting, over_period
from oee.model.facts import FACT, STATE_COLUMNS
from oee.model.states import CalendarClass

Kind = Annotated[str, Field(description="oee, availability, performance, quality, pieces (in a shift) or takt_s.")]
SetBy = Annotated[
    str, Field(description="`site`: the site file; `center`: somebody at the center; `both`: one and the other.")
]
_TIMES: Final = np.array([FACT[name] for name in STATE_COLUMNS])


class TargetRow(TypedDict):
    """A target as somebody set it."""

    site: str
    line: Annotated[str, Field(description="The line that it is for; empty: any.")]
    machine: Annotated[str, Field(description="The machine that it is for; empty: any.")]
    product: Annotated[str, Field(description="The product that it is for; empty: any.")]
    since: Annotated[str | None, Field(description="The first day on which it holds; null: always.")]
    kind: Kind
    value: Annotated[float, Field(description="A ratio, pieces, or seconds.")]
    source: SetBy
    by: Annotated[str, Field(description="The account that set it; empty for the site file.")]
    at: Annotated[str | None, Field(description="When it was set; null for the site file.")]


class CountingTarget(TypedDict):
    """The target that counts for a machine on the day asked for, and which one it is."""

    machine: str
    product: Annotated[str, Field(description="Empty: any product that has no target of its own.")]
    kind: Kind
    value: float
    source: SetBy
    of_line: str
    of_machine: str
    of_product: str
    since: str | None


class TargetsAnswer(TypedDict):
    """The targets of a site."""

    site: str
    day: str
    rows: list[TargetRow]
    counting: list[CountingTarget]


class AimedCell(NamedTuple):
    """What a row is about; "" where it is not grouped by it."""

    start_ns: int
    machine: str
    shift: str
    product: str


class TargetGap(TypedDict):
    """How far a row is from what is aimed at. Positive: better than the target."""

    kind: Kind
    target: Annotated[
        float, Field(description="A ratio; pieces that should have been made in the row's window; or the takt [s].")
    ]
    actual: Annotated[float | None, Field(description="The same of what happened; null where it is not known.")]
    source: SetBy
    points: Annotated[float | None, Field(description="Gap of a ratio in percentage points.")]
    minutes: Annotated[float | None, Field(description="Gap of OEE in minutes of watched busy time.")]
    pieces: Annotated[float | None, Field(description="Gap in pieces; of OEE at the mean ideal time of what was made.")]


def targets(center: CenterState, viewer: Viewer, site: str, day: date | None = None) -> TargetsAnswer:
    """Every target of a site, and for each machine those that count on a day, today without one.

    Raises `UnknownSite` or `StoreUnavailable`.
    """
    zone = zone_of(center, viewer, site)
    on = day or date.fromisoformat(iso(center.now_ns(), zone)[:10])
    sites, said = center.ledger_cache.sites, center.said_targets(site)
    written = dict.fromkeys(
        (target.line, target.machine, target.product, target.since, kind, value)
        for machine in sites.machines(site)
        for target in site_targets(sites, site, machine)
        for kind, value in target.values.items()
    )
    rows = [_row(SaidTarget(site, *item, "", 0), None) for item in written]
    rows += [_row(item, iso(item.at_ns, zone)) for item in said]
    rows.sort(
        key=lambda row: (row["machine"], row["line"], row["product"], KINDS.index(row["kind"]), row["since"] or "")
    )
    found = [
        item
        for machine in sites.machines(site)
        if retired_since(sites, site, machine) is None
        for item in _counting(all_targets(sites, site, machine, said), _line_of(center, site, machine), machine, on)
    ]
    return {"site": site, "day": on.isoformat(), "rows": rows, "counting": found}


def _row(item: SaidTarget, at: str | None) -> TargetRow:
    """at: when it was set at the center; None for the site file's."""
    return {
        "site": item.site,
        "line": item.line,
        "machine": item.machine,
        "product": item.product,
        "since": item.since.isoformat() if item.since else None,
        "kind": item.kind,
        "value": item.value,
        "source": "center" if at else "site",
        "by": item.by,
        "at": at,
    }


def _counting(found: Sequence[Target], line: str, machine: str, day: date) -> list[CountingTarget]:
    products = ["", *sorted({item.product for item in found if item.product})]
    out: list[CountingTarget] = []
    for kind in KINDS:
        for product in products:
            best = counting(found, kind, line=line, machine=machine, product=product, day=day)
            if best is None or (product and best.product != product):
                continue
            out.append(
                {
                    "machine": machine,
                    "product": product,
                    "kind": kind,
                    "value": best.values[kind],
                    "source": best.source,
                    "of_line": best.line,
                    "of_machine": best.machine,
                    "of_product": best.product,
                    "since": best.since.isoformat() if best.since else None,
                }
            )
    return out


def _line_of(center: CenterState, site: str, machine: str) -> str:
    spans = lines_of(center.ledger_cache.sites, site, machine)
    return spans[-1].line if spans else ""


@dataclass(frozen=True)
class Aims:
    """What is aimed at in the cells of one question. targets: by machine; parts: each machine's planned time by bucket;
    products_ms: known time by bucket, machine and product [ms], empty where no target is about a product.
    """

    targets: Mapping[str, Sequence[Target]]
    parts: Mapping[str, Mapping[int, Sequence[PlannedPart]]]
    lines: Mapping[str, Sequence[LineSpan]]
    zone: ZoneInfo
    products_ms: Mapping[tuple[int, str], Mapping[str, float]]

    def gaps(self, cell: AimedCell, terms: Terms, ratios: Mapping[str, float | None]) -> list[TargetGap]:
        """How far a cell is from each target that counts; [] without any. ratios: by kind of `RATIOS`."""
        return gaps_of(self.targets, self.slices(cell), terms, ratios, by_product=bool(cell.product))

    def slices(self, cell: AimedCell) -> list[Slice]:
        """The planned time of a cell, with what decides which target counts in it."""
        machines = [cell.machine] if cell.machine else list(self.targets)
        return [item for machine in machines for item in self._slices(cell, machine)]

    def _slices(self, cell: AimedCell, machine: str) -> list[Slice]:
        parts = self.parts[machine].get(cell.start_ns, ())
        if cell.shift:
            parts = [part for part in parts if part.shift == cell.shift]
        known = {cell.product: 1.0} if cell.product else self.products_ms.get((cell.start_ns, machine), {})
        return slices_of(machine, parts, self.lines[machine], self.zone, known)


NO_AIMS: Final = Aims({}, {}, {}, ZoneInfo("UTC"), {})


def gaps_of(
    targets: Mapping[str, Sequence[Target]],
    slices: Sequence[Slice],
    terms: Terms,
    ratios: Mapping[str, float | None],
    *,
    by_product: bool = False,
) -> list[TargetGap]:
    """How far this planned time is from each target that counts in it; [] without any. ratios: by kind of `RATIOS`;
    by_product: it is one product's, so that which part of a shift was planned for it is not known.
    """
    kinds = {kind for machine in {item.machine for item in slices} for item in targets[machine] for kind in item.values}
    out = []
    for kind in (kind for kind in KINDS if kind in kinds and (kind in RATIOS or not by_product)):
        found = over_period(targets, kind, slices)
        if found is not None:
            out.append(_gap(kind, found, terms, ratios))
    return out


def aims(checked: CheckedQuestion) -> Aims:
    """What is aimed at in the question's cells; `NO_AIMS` where nobody aims at anything. May raise `StoreUnavailable`."""
    center, site = checked.center, checked.question.site
    sites, said = center.ledger_cache.sites, center.said_targets(site)
    targets = {machine: all_targets(sites, site, machine, said) for machine in checked.machines}
    if not any(targets.values()):
        return NO_AIMS
    parts: dict[str, dict[int, list[PlannedPart]]] = {}
    for machine in checked.machines:
        parts[machine] = {}
        segments = sites.segments(site, machine, checked.start_ns, checked.end_ns) if targets[machine] else None
        for part in planned_parts(checked.bucket, segments or [], (checked.start_ns, checked.end_ns)):
            parts[machine].setdefault(part.start_ns, []).append(part)
    lines = {machine: lines_of(sites, site, machine) for machine in checked.machines}
    about_products = "product" not in checked.by and any(item.product for found in targets.values() for item in found)
    products = _products_ms(checked) if about_products else {}
    return Aims(targets, parts, lines, checked.zone, products)


def _products_ms(checked: CheckedQuestion) -> dict[tuple[int, str], dict[str, float]]:
    """Known scheduled time by bucket, machine and product [ms]."""
    facts = checked.center.store.facts(checked.query("machine", "product", "calendar"))
    out: dict[tuple[int, str], dict[str, float]] = {}
    columns = (facts.minute_ns, facts.machine, facts.product, facts.calendar)
    times = facts.sums[:, _TIMES].sum(axis=1).tolist()
    for start_ns, machine, product, code, ms in zip(*(column.tolist() for column in columns), times, strict=True):
        if code == CalendarClass.SCHEDULED:
            of_cell = out.setdefault((start_ns, machine), {})
            of_cell[product] = of_cell.get(product, 0.0) + ms
    return out


def _gap(kind: str, found: PeriodTarget, terms: Terms, ratios: Mapping[str, float | None]) -> TargetGap:
    gap: TargetGap = {
        "kind": kind,
        "target": found.value,
        "actual": None,
        "source": "both" if len(found.sources) > 1 else next(iter(found.sources)),
        "points": None,
        "minutes": None,
        "pieces": None,
    }
    if kind in RATIOS:
        actual = gap["actual"] = ratios[kind]
        if actual is not None:
            gap["points"] = (actual - found.value) * 100
            if kind == "oee":
                minutes = gap["minutes"] = (actual - found.value) * terms.busy_ms / 60_000
                with_ideal = terms["pieces_total"] - terms["pieces_without_ideal"]
                mean_ms = terms["ideal_total_us"] / with_ideal / 1000 if with_ideal > 0 else 0
                gap["pieces"] = minutes * 60_000 / mean_ms if mean_ms > 0 else None
        return gap
    made, due = terms["pieces_total"] + terms["pieces_unwatched"], found.due or 0.0
    if kind == "takt_s":  # a planned stop asks for no pieces
        planned_ms = (terms.scheduled_ms or 0) - terms["planned_stop_ms"]
        due *= planned_ms / terms.scheduled_ms if terms.scheduled_ms else 0.0
        gap["actual"] = planned_ms / 1000 / made if made > 0 else None
    else:
        gap["actual"] = float(made)
    gap["pieces"] = made - due
    return gap
