"""Learned ideal times beside those in force: proposals, never applied."""

from dataclasses import asdict
from typing import Any, Final

import words
from oee.kpi.learn import QUANTILES, Proposal, learn
from oee.model.calendars import local_date
from replay.drive import ReplayResult

_NS: Final = 1_000_000_000
_FAR_OFF: Final = 0.05


def ideal_times(result: ReplayResult) -> list[dict[str, Any]]:
    """For each machine and product the ideal time in force and the proposal from the fastest repeatable cycles."""
    best: dict[tuple[str, str], Proposal] = {}
    for (machine, product, per_count), runs in sorted(result.totals.observations.runs.items()):
        proposal = learn(runs.split(), per_count=per_count, poll_ns=poll_ns(result, machine))
        key = (machine, product)
        if key not in best or proposal.evidence.cycles > best[key].evidence.cycles:
            best[key] = proposal
    return [_ideal(result, machine, product, proposal) for (machine, product), proposal in best.items()]


def _ideal(result: ReplayResult, machine: str, product: str, proposal: Proposal) -> dict[str, Any]:
    described = result.machines[machine].products.get(product)
    in_force = described.ideals[-1] if described and described.ideals else None
    evidence = asdict(proposal.evidence) | {"quantiles": list(QUANTILES)}
    zone = result.machines[machine].calendar.zone
    since = None if in_force is None or not in_force.since_ns else local_date(zone, in_force.since_ns).isoformat()
    return {
        "machine": machine,
        "product": product,
        "set_us": in_force.us if in_force else None,
        "set_source": in_force.source if in_force else None,
        "set_since": since,
        "proposed_us": proposal.ideal_us,
        "cycle_us": proposal.cycle_us,
        "per_count": proposal.per_count,
        "why_null": proposal.why_null,
        "evidence": evidence,
    }


def poll_ns(result: ReplayResult, machine: str) -> int:
    """The polling period of the counter: as the recording shows, else as the site file says [ns]."""
    if machine in result.totals.observations.poll_ns:
        return result.totals.observations.poll_ns[machine]
    counter = next(iter(result.machines[machine].pieces.needed()), None)
    device, _, tag = counter.tag.rpartition(".") if counter else ("", "", "")
    return round(result.site.devices[device].period_s(tag) * _NS) if counter else 0


def seconds(us: int | None, lang: str) -> str:
    """An ideal time; None is a dash."""
    if us is None:
        return words.number(None, lang)
    return words.say("duration.s", lang, n=words.number(us / 1_000_000, lang, 2))


def ideal_in_force(row: dict[str, Any], lang: str) -> str:
    """The ideal time in force and where it comes from."""
    if row["set_us"] is None:
        return seconds(None, lang)
    return f"{seconds(row['set_us'], lang)} ({words.say('ideal_source.' + row['set_source'], lang)})"


def differs(row: dict[str, Any]) -> bool:
    """Whether the proposal is far from the ideal time in force."""
    if row["proposed_us"] is None or row["set_us"] is None:
        return False
    proposed, in_force = int(row["proposed_us"]), int(row["set_us"])
    return abs(proposed / in_force - 1) > _FAR_OFF
