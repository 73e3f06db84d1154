"""A finding as the center keeps it. Pure."""

from dataclasses import dataclass

from oee.advice.life import FindingRecord


@dataclass(frozen=True)
class KeptFinding:
    """A finding as kept: its id, its site, and its record."""

    id: str
    site: str
    record: FindingRecord


@dataclass(frozen=True)
class MachineTrust:
    """What the last night said of a machine's data. why_not: keys of `advice_trust.<key>`, empty if it can be trusted."""

    site: str
    machine: str
    night_ns: int
    why_not: tuple[str, ...]
    coverage: float | None
