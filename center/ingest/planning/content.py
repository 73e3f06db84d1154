"""Plans what the content of a new envelope changes: rows, owners, site bodies, seqs given up by the gateway.

Each function raises `Unsound` for content that is not accepted; the envelope is then quarantined.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from center.contract.store import Origin, RowBatch
from center.contract.streams import StreamKey, StreamRecord, drop
from center.ingest.planning.plan import IngestPlan
from center.ingest.planning.validate import (
    HELD,
    counting_part,
    is_text,
    machines_of,
    open_part,
    own_part,
    plausible,
    plausible_values,
)
from center.ledger.cache import LedgerCache
from center.model.site_revisions import compile_site, standing
from center.model.sites import FORGOTTEN_NS, Owner, SiteRow
from oee.model.facts import MINUTE_NS, NO_FACTS, NO_LOSSES
from oee.model.limits import MOST_MACHINES
from wire.bodies import DIVIDED, Dropped, read_rows
from wire.envelope import MAX_BODY_BYTES, Envelope, Unsound, read_body, unpack_body
from wire.marks import MAX_RANGES
from wire.topics import Topic
from wire.values import read_values_body


def plan_content(
    cache: LedgerCache, plan: IngestPlan, where: Topic, envelope: Envelope, record: StreamRecord
) -> StreamRecord:
    """Adds the content to the plan; returns the stream's record, whose marks include this seq already.

    Of facts, rows that are accepted stay in the plan even if `Unsound` is raised for the others.
    """
    plan.unpacked[where.site, where.gateway] += MAX_BODY_BYTES  # also if it turns out to be more than that
    text = unpack_body(envelope)
    plan.unpacked[where.site, where.gateway] += len(text) - MAX_BODY_BYTES
    body = read_body(text)
    if isinstance(body, dict) and "dropped" in body:
        return _plan_dropped(plan, body, envelope.seq, record)
    if where.kind == "values" and not cache.keeps_values:
        plan.counts["discarded"] += 1
        return replace(record, discarded=record.discarded + 1)
    if record.held_from and where.kind != "facts":
        raise Unsound(HELD)
    if where.kind == "values":
        _plan_values(plan, where, envelope, body)
    elif where.kind == "site":
        _plan_site(cache, plan, where, body)
    else:
        _plan_facts(cache, plan, where, envelope, body, record)
    plan.counts["stored"] += 1
    return replace(record, stored=record.stored + 1)


def _plan_dropped(plan: IngestPlan, body: Any, seq: int, record: StreamRecord) -> StreamRecord:
    """The gateway gives up earlier seqs. The envelope that says so counts as stored, and so do those whose rows are in
    other envelopes.
    """
    try:
        given_up = Dropped.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise Unsound(f"dropped: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    for first_seq, last_seq in given_up.dropped:
        if not 1 <= first_seq <= last_seq < seq:
            raise Unsound(f"dropped: range {first_seq} to {last_seq} is not below its own seq {seq}")
    after = drop(record, given_up.dropped)
    if len(after.marks.beyond) > MAX_RANGES:
        raise Unsound(f"dropped: more than {MAX_RANGES} ranges")
    if given_up.why == DIVIDED:
        after = replace(after, dropped=record.dropped, stored=record.stored + after.dropped - record.dropped)
    plan.counts["divided" if given_up.why == DIVIDED else "dropped"] += 1
    return replace(after, stored=after.stored + 1)


def _plan_values(plan: IngestPlan, where: Topic, envelope: Envelope, body: Any) -> None:
    values = read_values_body(body)
    plausible_values(values, plan.times)
    batch, beyond = _within_series(
        plan, RowBatch(_origin(where, envelope), envelope.seq, NO_FACTS, NO_LOSSES, (), values)
    )
    plan.batches.append(batch)
    if beyond:
        raise Unsound(beyond)


def _within_series(plan: IngestPlan, batch: RowBatch) -> tuple[RowBatch, str]:
    """The batch without rows that would bring more new series than the gateway may, and why, "" if there are none."""
    if plan.room is None:
        return batch, ""
    whose = (batch.origin.site, batch.origin.gateway)
    most = plan.room.most_a_day
    part, left_out = plan.room.counted.part(batch, most, plan.new_series.setdefault(whose, set()))
    if not left_out:
        return batch, ""
    plan.counts["rows_beyond_series"] += left_out
    plan.beyond_series.add(whose)
    rows = len(batch.facts) + len(batch.losses) + len(batch.stops) + len(batch.values) + len(batch.cycles)
    return part, (
        f"series: {left_out} of {rows} rows have names or combinations of names that are new, beyond the {most} a day that a "
        "gateway may bring (budget.series_per_day); stop what makes ever new products, reasons or tags, and replay them"
    )


def _origin(where: Topic, envelope: Envelope) -> Origin:
    return Origin(where.site, where.gateway, envelope.stream)


def _plan_facts(
    cache: LedgerCache, plan: IngestPlan, where: Topic, envelope: Envelope, body: Any, record: StreamRecord
) -> None:
    """Plans rows of this gateway's own machines, of open minutes, and of minutes that count from this stream. Then raises
    `Unsound` if there are others.
    """
    facts, losses, stops, cycles = read_rows(body)
    batch = RowBatch(_origin(where, envelope), envelope.seq, facts, losses, stops, cycles=cycles)
    plausible(batch)
    foreign = _claim(cache, plan, where, sorted(machines_of(batch)))
    if foreign:
        batch = own_part(batch, foreign)
    batch, late = open_part(batch, plan.times)
    key = StreamKey(where.site, where.gateway, envelope.stream)
    batch, waits = counting_part(batch, record, _beside(cache, plan, key))
    batch, beyond = _within_series(plan, batch)
    plan.covered.setdefault(key, set()).update((batch.facts.minute_ns // MINUTE_NS).tolist())
    _note_first_minutes(cache, plan, where, batch)
    plan.batches.append(batch)
    reasons = []
    if foreign:
        named = ", ".join(f"machine {machine!r} belongs to gateway {gateway!r}" for machine, gateway in foreign.items())
        reasons.append(f"{named}; hand it over first")
    reasons += [reason for reason in (late, waits, beyond) if reason]
    if reasons:
        raise Unsound("; ".join(reasons))


def _beside(cache: LedgerCache, plan: IngestPlan, key: StreamKey) -> list[StreamRecord]:
    """The gateway's other streams of facts."""
    known = cache.of_gateway(key.site, key.gateway)
    known |= {
        other: record
        for other, record in plan.streams.items()
        if (other.site, other.gateway) == (key.site, key.gateway)
    }
    return [record for other, record in known.items() if other != key and record.kind == "facts"]


def _owner_of(cache: LedgerCache, plan: IngestPlan, site: str, machine: str) -> Owner | None:
    return plan.owners.get((site, machine)) or cache.sites.owner(site, machine)


def _claim(cache: LedgerCache, plan: IngestPlan, where: Topic, machines: Iterable[str]) -> dict[str, str]:
    """Gives machines without an owner to this gateway; returns the machines of other gateways with their owners. Raises
    `Unsound` if it would have more than a gateway may have.
    """
    owners = {machine: _owner_of(cache, plan, where.site, machine) for machine in machines}
    new = [machine for machine, owner in owners.items() if owner is None]
    if new and len(new) + _owned(cache, plan, where) > MOST_MACHINES:
        raise Unsound(
            f"{len(new)} more machines: a gateway has at most {MOST_MACHINES}; delete those that are gone with "
            "nhip machine delete"
        )
    plan.owners.update({(where.site, machine): Owner(where.site, machine, where.gateway) for machine in new})
    return {machine: owner.gateway for machine, owner in owners.items() if owner and owner.gateway != where.gateway}


def _owned(cache: LedgerCache, plan: IngestPlan, where: Topic) -> int:
    """How many machines the gateway has, without those that were deleted."""
    known = {owner.machine: owner for owner in cache.sites.owners(where.site)}
    known |= {machine: owner for (site, machine), owner in plan.owners.items() if site == where.site}
    return sum(owner.gateway == where.gateway and owner.first_ns != FORGOTTEN_NS for owner in known.values())


def _note_first_minutes(cache: LedgerCache, plan: IngestPlan, where: Topic, batch: RowBatch) -> None:
    """Keeps with each machine's owner the earliest minute of which there is a fact."""
    for machine, first_ns in _first_minutes(batch).items():
        owner = _owner_of(cache, plan, where.site, machine)
        if owner and (owner.first_ns <= 0 or first_ns < owner.first_ns):
            plan.owners[where.site, machine] = replace(owner, first_ns=first_ns)


def _first_minutes(batch: RowBatch) -> Mapping[str, int]:
    first: dict[str, int] = {}
    for machine, minute_ns in zip(batch.facts.machine.tolist(), batch.facts.minute_ns.tolist(), strict=True):
        first[machine] = min(minute_ns, first.get(machine, minute_ns))
    return first


def _plan_site(cache: LedgerCache, plan: IngestPlan, where: Topic, body: Any) -> None:
    """A site body, unless it repeats the one in force, as gateways do after each restart."""
    new = compile_site(body)
    for what, t_ns in (("valid_from_ns", new.valid_from_ns), ("made_ns", new.body.made_ns)):
        if t_ns >= plan.times.until_ns:
            raise Unsound(
                f"site: {what} {t_ns} is in the future: the gateway's clock is wrong, or the center's; replay it when that "
                "time has come"
            )
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    if not is_text(text):
        raise Unsound("site: a text holds half a character")
    _claim(cache, plan, where, new.body.machines)
    earlier = plan.revisions.get((where.site, where.gateway)) or cache.sites.revisions(where.site, where.gateway)
    in_force = next((item for item in reversed(earlier) if item.valid_from_ns <= new.valid_from_ns), None)
    if in_force and in_force.body.model_copy(update={"valid_from_ns": new.valid_from_ns}) == new.body:
        return
    if any(item.key == new.key for item in earlier):
        return
    after = standing((*earlier, new))
    plan.revisions[where.site, where.gateway] = after
    plan.sites[where.site, where.gateway, new.key] = SiteRow(
        where.site, where.gateway, new.key.config_hash, new.valid_from_ns, text
    )
    left = {item.key for item in after}
    for item in (*earlier, new):
        if item.key not in left:
            plan.outdate(where, item.key)
