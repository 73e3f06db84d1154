"""Findings as plain values, as they are kept and sent, and back. Pure.

Formats are only ever added to: what an older program wrote is read, and one of a newer number is refused.
"""

from collections.abc import Mapping
from typing import Any, Final

from oee.advice.finding import Finding, FindingEvidence, Gain
from oee.advice.life import FindingRecord
from oee.advice.look import MachineLook
from oee.advice.trust import Trust

FORMAT: Final = 2
_READ: Final = (1, 2)
"""2: `action`, and the stages `in_action` and `closed`."""


class NewerFormat(ValueError):
    """Written by a newer program."""


def plain_finding(finding: Finding) -> dict[str, Any]:
    """A finding with all of its evidence."""
    proof = finding.evidence
    return {
        "rule": finding.rule,
        "version": finding.version,
        "machine": finding.machine,
        "key": list(finding.key),
        "passes": bool(finding.passes),
        "p": None if finding.p is None else float(finding.p),
        "figures": {name: _number(value) for name, value in finding.figures.items()},
        "names": dict(finding.names),
        "gain": _plain_gain(finding.gain),
        "claims": sorted(finding.claims),
        "evidence": {
            "start_ns": int(proof.start_ns),
            "end_ns": int(proof.end_ns),
            "dropped": list(proof.dropped),
            "n": int(proof.n),
            "series": {name: list(values) for name, values in proof.series.items()},
            "stops": list(proof.stops),
        },
    }


def _number(value: Any) -> float | int:
    return value if isinstance(value, int) else float(value)


def _plain_gain(gain: Gain) -> list[float]:
    return [float(gain.low_min), float(gain.high_min)]


def finding_of(plain: Mapping[str, Any]) -> Finding:
    """The finding that was written."""
    proof = plain["evidence"]
    return Finding(
        plain["rule"],
        plain["version"],
        plain["machine"],
        tuple(plain["key"]),
        plain["passes"],
        plain["p"],
        plain["figures"],
        Gain(*plain["gain"]),
        frozenset(plain["claims"]),
        FindingEvidence(
            proof["start_ns"],
            proof["end_ns"],
            tuple(proof["dropped"]),
            proof["n"],
            {name: tuple(values) for name, values in proof["series"].items()},
            tuple(proof["stops"]),
        ),
        plain["names"],
    )


def plain_record(record: FindingRecord) -> dict[str, Any]:
    """A record, with the number of its format."""
    return {
        "format": FORMAT,
        "finding": plain_finding(record.finding),
        "stage": record.stage,
        "since_ns": record.since_ns,
        "stage_ns": record.stage_ns,
        "passed_ns": record.passed_ns,
        "then": _plain_gain(record.then),
        "told": _plain_gain(record.told),
        "held": record.held,
        "reason": record.reason,
        "by": record.by,
        "action": record.action,
    }


def record_of(plain: Mapping[str, Any]) -> FindingRecord:
    """The record that was written. Raises `NewerFormat`."""
    _check(plain)
    return FindingRecord(
        finding_of(plain["finding"]),
        plain["stage"],
        plain["since_ns"],
        plain["stage_ns"],
        plain["passed_ns"],
        Gain(*plain["then"]),
        Gain(*plain["told"]),
        plain["held"],
        plain["reason"],
        plain["by"],
        plain.get("action", ""),
    )


def plain_look(look: MachineLook) -> dict[str, Any]:
    """A look, with the number of its format."""
    return {
        "format": FORMAT,
        "machine": look.machine,
        "end_ns": look.end_ns,
        "findings": [plain_finding(item) for item in look.findings],
        "fresh": [plain_finding(item) for item in look.fresh.values()],
        "recent": [plain_finding(item) for item in look.recent.values()],
        "trust": [list(look.trust.why_not), look.trust.coverage, look.trust.without_reason],
        "lost_min": {name: float(value) for name, value in look.lost_min.items()},
        "busy_min": float(look.busy_min),
    }


def look_of(plain: Mapping[str, Any]) -> MachineLook:
    """The look that was written. Raises `NewerFormat`."""
    _check(plain)
    findings, fresh, recent = ([finding_of(item) for item in plain[name]] for name in ("findings", "fresh", "recent"))
    why_not, coverage, without_reason = plain["trust"]
    return MachineLook(
        plain["machine"],
        plain["end_ns"],
        tuple(findings),
        {item.identity: item for item in fresh},
        {item.identity: item for item in recent},
        Trust(tuple(why_not), coverage, without_reason),
        plain["lost_min"],
        plain["busy_min"],
    )


def _check(plain: Mapping[str, Any]) -> None:
    if plain.get("format") not in _READ:
        raise NewerFormat(f"a finding in format {plain.get('format')!r}; this program knows {FORMAT}: update it")
