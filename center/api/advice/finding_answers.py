"""Findings of advice as API, console and command show them: sentences in both languages, the gain, and what they rest on."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from center.model.kept_finding import KeptFinding, MachineTrust
from center.model.sites import retired_since, site_machine
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.question import Name, zone_of
from center.runtime.state import CenterState
from oee.advice.catalogue import rules
from oee.advice.life import FindingRecord
from words import LANGUAGES, say
from words.findings import LISTED, finding_parts

TOLD: Final = ("open", "in_action", "closed")
"""Stages that everybody sees."""
ENGINEERS: Final = ("open", "likely", "in_action", "watch", "closed", "dismissed", "gone")
"""Stages that engineers and administrators see: who may set targets."""
_ORDER: Final = {stage: place for place, stage in enumerate(ENGINEERS)}


class GainAnswer(TypedDict):
    """What acting could bring [scheduled minutes a week]."""

    low: float
    high: float


class FindingAnswer(TypedDict):
    """A finding. Texts are by language."""

    id: str
    site: str
    machine: str
    machine_name: Name
    rule: str
    version: int
    key: list[str]
    about_data: Annotated[bool, Field(description="It says that data are wrong, and promises nothing.")]
    stage: Annotated[
        str,
        Field(
            description="open, in_action, closed; engineers and administrators also see watch, likely, dismissed and gone."
        ),
    ]
    growing: Annotated[bool, Field(description="It costs half as much again as when it was opened.")]
    since: Annotated[str, Field(description="When it first passed; what came later confirmed it.")]
    stage_since: str
    seen: Annotated[str, Field(description="When it passed last.")]
    gain_min: Annotated[GainAnswer | None, Field(description="Minutes a week; null for findings about data.")]
    at_constraint: Annotated[
        bool | None,
        Field(description="Whether its machine is the constraint of its serial line; null in no serial line."),
    ]
    name: Name
    question: Name
    says: Name
    doubt: Name
    countermeasure: Name
    p: float | None
    figures: dict[str, float]
    names: dict[str, str]
    reason: Annotated[str, Field(description="Why it was dismissed.")]
    by: Annotated[str, Field(description="Who dismissed it, or began the action against it.")]
    action: Annotated[str, Field(description="Id of the action against it; empty without one.")]


Evidence = TypedDict(
    "Evidence",
    {
        "from": str,
        "to": str,
        "dropped": Annotated[list[str], Field(description="Odd business dates, left out.")],
        "n": int,
        "series": dict[str, list[float]],
        "stops": Annotated[list[str], Field(description="Ids of typical stops.")],
    },
)


class FindingDetailAnswer(FindingAnswer):
    """A finding with what it was computed from."""

    evidence: Evidence


class UntrustedAnswer(TypedDict):
    """A machine of which nothing but findings about data is said."""

    site: str
    machine: str
    machine_name: Name
    why: list[str]
    says: Name


class FindingsAnswer(TypedDict):
    """Findings, at constraints first and then by gain; machines that cannot be trusted. night: up to when the last nightly
    run looked, null before the first.
    """

    night: str | None
    rows: list[FindingAnswer]
    untrusted: list[UntrustedAnswer]


def stages_for(viewer: Viewer) -> tuple[str, ...]:
    """The stages that the viewer may see."""
    return ENGINEERS if viewer.may("aim") else TOLD


def findings(
    center: CenterState,
    viewer: Viewer,
    kept: Iterable[KeptFinding],
    trusts: Iterable[MachineTrust],
    night_ns: int | None,
) -> FindingsAnswer:
    """The answer. kept, trusts: of the viewer's sites. Machines that are retired, and findings that are held because their
    machine cannot be trusted, are left out.
    """
    stages = stages_for(viewer)
    rows = [
        finding(center, viewer, item)
        for item in kept
        if item.record.stage in stages
        and not item.record.held
        and _is_there(center, item.site, item.record.finding.machine)
    ]
    rows.sort(key=_place)
    untrusted = [
        _untrusted(center, item) for item in trusts if item.why_not and _is_there(center, item.site, item.machine)
    ]
    night = None if night_ns is None else iso(night_ns, center.zone)
    return {"night": night, "rows": rows, "untrusted": untrusted}


def _is_there(center: CenterState, site: str, machine: str) -> bool:
    sites = center.ledger_cache.sites
    return sites.owner(site, machine) is not None and retired_since(sites, site, machine) is None


def _place(row: FindingAnswer) -> tuple[int, bool, bool, float, str]:
    """By stage; findings about data, then constraints, then the most to gain."""
    high = row["gain_min"]["high"] if row["gain_min"] else 0.0
    return _ORDER[row["stage"]], not row["about_data"], row["at_constraint"] is False, -high, row["id"]


def finding(center: CenterState, viewer: Viewer, item: KeptFinding) -> FindingAnswer:
    """One finding. Raises `UnknownSite` for a site that the viewer may not see."""
    zone, record = zone_of(center, viewer, item.site), item.record
    found = record.finding
    rule = rules().get(found.rule)
    about_data = rule is not None and rule.about_data
    names = {lang: _names(center, item.site, found.machine, found.key, found.names, lang) for lang in LANGUAGES}
    texts = finding_parts(found.rule, found.key, found.figures, names)
    return {
        "id": item.id,
        "site": item.site,
        "machine": found.machine,
        "machine_name": _machine_name(center, item.site, found.machine),
        "rule": found.rule,
        "version": found.version,
        "key": list(found.key),
        "about_data": about_data,
        "stage": record.stage,
        "growing": record.growing,
        "since": iso(record.since_ns, zone),
        "stage_since": iso(record.stage_ns, zone),
        "seen": iso(record.passed_ns, zone),
        "gain_min": None if about_data or (rule is not None and not rule.in_minutes) else _gain(record),
        "at_constraint": at_constraint(center, item.site, found.machine),
        "name": texts["name"],
        "question": texts["question"],
        "says": texts["says"],
        "doubt": texts["doubt"],
        "countermeasure": texts["countermeasure"],
        "p": found.p,
        "figures": {name: value for name, value in found.figures.items() if math.isfinite(value)},
        "names": dict(found.names),
        "reason": record.reason,
        "by": record.by,
        "action": record.action,
    }


def detail(center: CenterState, viewer: Viewer, item: KeptFinding) -> FindingDetailAnswer:
    """One finding with its evidence. Raises `UnknownSite`."""
    zone, proof = zone_of(center, viewer, item.site), item.record.finding.evidence
    return {
        **finding(center, viewer, item),
        "evidence": {
            "from": iso(proof.start_ns, zone),
            "to": iso(proof.end_ns, zone),
            "dropped": [(date(1970, 1, 1) + timedelta(days=day)).isoformat() for day in proof.dropped],
            "n": proof.n,
            "series": {name: [v for v in values if math.isfinite(v)] for name, values in proof.series.items()},
            "stops": list(proof.stops),
        },
    }


def _gain(record: FindingRecord) -> GainAnswer:
    low, high = record.told.low_min, record.told.high_min
    return {"low": round(low, 1), "high": round(high if math.isfinite(high) else low, 1)}


def at_constraint(center: CenterState, site: str, machine: str) -> bool | None:
    """Whether the machine is the constraint of its serial line; None where it is in no serial line, or none is named."""
    body = center.ledger_cache.sites.body_of(site, machine)
    line = body.lines.get(body.machines[machine].line) if body else None
    if line is None or line.flow != "serial" or not line.constraint:
        return None
    return line.constraint == machine


def _machine_name(center: CenterState, site: str, machine: str) -> Name:
    described = site_machine(center.ledger_cache.sites, site, machine)
    return dict(described.name) if described else {}


def _names(
    center: CenterState, site: str, machine: str, key: Sequence[str], names: Mapping[str, str], lang: str
) -> dict[str, str]:
    """The names of a finding as people call them: products, reasons and the machine by their names in the site file."""
    body = center.ledger_cache.sites.body_of(site, machine)
    known: dict[str, Mapping[str, str]] = {machine: _machine_name(center, site, machine), "machine": {}}
    if body:
        known |= {name: item.name for name, item in body.products.items()}
        known |= {name: item.name for name, item in body.reasons.items()}
        known |= {name: item.name for name, item in body.machines.items()}
        known |= {name: item.name for name, item in body.lines.items()}
    known["machine"] = known[machine]

    def called(name: str) -> str:
        text: Any = known.get(name, {}).get(lang)
        return str(text or name)

    out = dict(names)
    if "pair" in names:
        out["pair"] = " → ".join(called(part) for part in key)
    for kind in ("product", "from_product", "to_product", "part", "reason", "line", "next"):
        if names.get(kind):
            out[kind] = called(names[kind])
    for kind, mark in LISTED.items():
        if names.get(kind):
            out[kind] = mark.join(called(name) for name in names[kind].split(mark))
    return out


def _untrusted(center: CenterState, item: MachineTrust) -> UntrustedAnswer:
    return {
        "site": item.site,
        "machine": item.machine,
        "machine_name": _machine_name(center, item.site, item.machine),
        "why": list(item.why_not),
        "says": {lang: " ".join(say(f"advice_trust.{why}", lang) for why in item.why_not) for lang in LANGUAGES},
    }
