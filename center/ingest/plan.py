"""What an arriving message does to the books: decided without a network, a disk or a clock.

A sound header is settled whatever is inside: stored, quarantined durably, dropped or discarded. An unsound one names
no seq that could be settled; it is quarantined for people to see and the gateway sends again. `plan_messages` only
plans: the caller commits the plan's batches and changes and then has the memory adopt it, so a store that is away
leaves no trace.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import ValidationError

from center.contract.ledger import Changes, QuarantinedPayload
from center.contract.store import Origin, RowBatch
from center.contract.streams import SeqStatus, StreamKey, StreamRecord, classify, drop
from center.ingest.validate import is_text, machines_of, open_part, own_part, plausible, plausible_values
from center.ledger.cache import LedgerCache
from center.model.sites import Owner, Revision, SiteRow, revision
from oee.model.facts import NO_FACTS, NO_LOSSES
from wire.bodies import Dropped, read_facts_body
from wire.envelope import Envelope, Unsound, content, open_envelope
from wire.marks import MAX_RANGES, MAX_SEQ, is_settled, settle
from wire.topics import Topic, parse, topic
from wire.values import read_values_body

KEEP_UNSOUND_BYTES: Final = 65_536
_CONFLICT: Final = "conflict:"
MAX_STREAMS: Final = 1000
"""Streams of one gateway, which makes a new one only when its outbox is new."""


@dataclass(frozen=True)
class EnvelopeMessage:
    """An enveloped message as it arrived."""

    topic: Topic
    payload: bytes


@dataclass(frozen=True)
class _Arrival:
    """An envelope with a sound header. refused: the store's reason to refuse its content."""

    message: EnvelopeMessage
    envelope: Envelope
    key: StreamKey
    now_ns: int
    refused: str


@dataclass
class IngestPlan:
    """What a run of messages would change, and which gateways are owed a receipt. disputed: of streams with a conflict
    the seq and the digest of what was settled first. open_from_ns: rows of earlier minutes come too late; before: the
    states that it was made on; unsure: digests of what was taken as repeated though this process does not know what
    was settled.
    """

    open_from_ns: int = 0
    before: dict[StreamKey, StreamRecord] = field(default_factory=dict)
    batches: list[RowBatch] = field(default_factory=list)
    streams: dict[StreamKey, StreamRecord] = field(default_factory=dict)
    digests: dict[tuple[StreamKey, int], bytes] = field(default_factory=dict)
    owners: dict[tuple[str, str], Owner] = field(default_factory=dict)
    sites: list[SiteRow] = field(default_factory=list)
    quarantine: list[QuarantinedPayload] = field(default_factory=list)
    heard: set[tuple[str, str]] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    released: list[int] = field(default_factory=list)
    disputed: dict[StreamKey, tuple[int, bytes]] = field(default_factory=dict)
    unsure: dict[tuple[StreamKey, int], bytes] = field(default_factory=dict)

    def changes(self) -> Changes:
        """The part that goes into the books."""
        return Changes(
            self.streams,
            self.digests,
            list(self.owners.values()),
            self.sites,
            self.quarantine,
            released=self.released,
            before=self.before,
        )


def plan_messages(
    memory: LedgerCache, messages: Iterable[EnvelopeMessage], now_ns: int, *, refused: str = "", open_from_ns: int = 0
) -> IngestPlan:
    """The plan for these messages, in the order of their arrival. refused: the store's reason to refuse their
    content, which is then quarantined unread. open_from_ns: minutes before it are closed, 0 if none are.
    """
    plan = IngestPlan(open_from_ns)
    for message in messages:
        _take(memory, plan, message, now_ns, refused)
    return plan


def plan_replay(
    memory: LedgerCache, number: int, entry: QuarantinedPayload, now_ns: int, open_from_ns: int = 0
) -> IngestPlan:
    """The plan for a quarantined payload that may be understood by now: by a newer program, or because a machine was
    handed over. The entry leaves the quarantine with the step that stores its content.

    Raises `Unsound` with the reason if it is still not understood, or not to be believed: then nothing changes.
    """
    where = parse(entry.topic)
    if where is None:
        raise Unsound(f"topic {entry.topic!r} is none of ours")
    envelope, message = _open(entry.payload), EnvelopeMessage(where, entry.payload)
    key = StreamKey(where.site, where.gateway, envelope.stream)
    state = memory.streams.get(key)
    if state is None or not is_settled(state.marks, envelope.seq):
        plan = plan_messages(memory, [message], now_ns, open_from_ns=open_from_ns)
        if plan.quarantine or key not in plan.streams:
            raise Unsound(plan.quarantine[0].reason if plan.quarantine else "the ledger has no room for it")
    else:
        known = memory.digests.get(key, {}).get(envelope.seq)
        if not entry.settled or entry.reason.startswith(_CONFLICT) or (known or envelope.digest) != envelope.digest:
            raise Unsound(f"{_CONFLICT} stream {key.stream} seq {envelope.seq} is settled with another content, or was")
        plan = IngestPlan(open_from_ns, heard={(where.site, where.gateway)})
        arrival = _Arrival(message, envelope, key, now_ns, "")
        plan.before[key] = state
        before = replace(state, quarantined=max(state.quarantined - 1, 0), seen_ns=now_ns)
        plan.streams[key] = _content(memory, plan, arrival, before)
    plan.released.append(number)
    return plan


def _take(memory: LedgerCache, plan: IngestPlan, message: EnvelopeMessage, now_ns: int, refused: str) -> None:
    site, gateway, kind = message.topic
    try:
        envelope = _open(message.payload)
    except Unsound as error:
        plan.counts["unsound"] += 1
        _quarantine(plan, message, now_ns, str(error), settled=False)
        return
    key = StreamKey(site, gateway, envelope.stream)
    state = plan.streams.get(key) or memory.streams.get(key)
    plan.before.setdefault(key, state or StreamRecord(kind))
    if state is None:
        if len(memory.of_gateway(site, gateway)) >= MAX_STREAMS:
            plan.counts["too_many_streams"] += 1
            return
        state = StreamRecord(kind)
    if state.kind != kind:
        plan.counts["wrong_kind"] += 1
        _quarantine(plan, message, now_ns, f"stream {key.stream} carries {state.kind}, not {kind}", settled=False)
        return
    plan.heard.add((site, gateway))
    _take_sound(memory, plan, _Arrival(message, envelope, key, now_ns, refused), replace(state, seen_ns=now_ns))


def _open(payload: bytes) -> Envelope:
    envelope = open_envelope(payload)
    if not 1 <= envelope.seq <= MAX_SEQ:
        raise Unsound(f"seq {envelope.seq}; the first is 1 and the last {MAX_SEQ}")
    return envelope


def _take_sound(memory: LedgerCache, plan: IngestPlan, arrival: _Arrival, state: StreamRecord) -> None:
    key, seq, digest = arrival.key, arrival.envelope.seq, arrival.envelope.digest
    earlier = plan.digests.get((key, seq))
    known = memory.digests.get(key, {}) if earlier is None else {seq: earlier}
    verdict = classify(state.marks, known, seq, digest)
    if verdict is SeqStatus.REPEATED:
        if seq not in known:
            plan.unsure[key, seq] = digest
        plan.counts["duplicates"] += 1
        plan.streams[key] = replace(state, duplicates=state.duplicates + 1)
    elif verdict is SeqStatus.CONFLICT:
        plan.counts["conflicts"] += 1
        plan.disputed[key] = (seq, known[seq])
        plan.streams[key] = replace(state, conflicts=state.conflicts + 1)
        reason = f"{_CONFLICT} stream {key.stream} seq {seq} was settled with another content"
        _quarantine(plan, arrival.message, arrival.now_ns, reason, settled=True)
    else:
        _settle_new(memory, plan, arrival, state)


def _settle_new(memory: LedgerCache, plan: IngestPlan, arrival: _Arrival, state: StreamRecord) -> None:
    seq = arrival.envelope.seq
    marks = settle(state.marks, [(seq, seq)])
    if len(marks.beyond) > MAX_RANGES:
        plan.counts["too_many_holes"] += 1
        return
    reason = f"refused by the store: {arrival.refused}" if arrival.refused else ""
    if not reason:
        try:
            state = _content(memory, plan, arrival, replace(state, marks=marks))
        except (Unsound, RecursionError) as error:
            reason = str(error)
    if reason:
        plan.counts["quarantined"] += 1
        _quarantine(plan, arrival.message, arrival.now_ns, reason, settled=True)
        state = replace(state, marks=marks, quarantined=state.quarantined + 1)
    plan.streams[arrival.key] = state
    plan.digests[arrival.key, seq] = arrival.envelope.digest


def _content(memory: LedgerCache, plan: IngestPlan, arrival: _Arrival, state: StreamRecord) -> StreamRecord:
    """The stream's state after the content was taken up into the plan; the seq itself is settled already.

    Process values are settled and thrown away where this center keeps none, and counted as `discarded`, apart from
    what is stored. Raises `Unsound` for content that is not believed as a whole.
    """
    envelope, where = arrival.envelope, arrival.message.topic
    inside = content(envelope)
    if isinstance(inside, dict) and "dropped" in inside:
        plan.counts["dropped"] += 1
        dropped = drop(state, _dropped_ranges(inside, envelope.seq))
        if len(dropped.marks.beyond) > MAX_RANGES:
            raise Unsound(f"dropped: more than {MAX_RANGES} ranges")
        return replace(dropped, stored=dropped.stored + 1)
    if where.kind == "values" and not memory.keeps_values:
        plan.counts["discarded"] += 1
        return replace(state, discarded=state.discarded + 1)
    if where.kind == "values":
        values = read_values_body(inside)
        plausible_values(values)
        plan.batches.append(RowBatch(_origin(where, envelope), envelope.seq, NO_FACTS, NO_LOSSES, (), values))
    elif where.kind == "site":
        _take_site(memory, plan, where, inside)
    elif left_out := _take_facts(memory, plan, where, envelope, inside):
        raise Unsound(left_out)
    plan.counts["stored"] += 1
    return replace(state, stored=state.stored + 1)


def _dropped_ranges(inside: Any, seq: int) -> list[tuple[int, int]]:
    try:
        dropped = Dropped.model_validate(inside)
    except ValidationError as error:
        first = error.errors()[0]
        raise Unsound(f"dropped: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    for first_seq, last_seq in dropped.dropped:
        if not 1 <= first_seq <= last_seq < seq:
            raise Unsound(f"dropped: range {first_seq} to {last_seq} is not below its own seq {seq}")
    return dropped.dropped


def _owner_of(memory: LedgerCache, plan: IngestPlan, site: str, machine: str) -> Owner | None:
    return plan.owners.get((site, machine)) or memory.sites.owner(site, machine)


def _claim(memory: LedgerCache, plan: IngestPlan, where: Topic, machines: Iterable[str]) -> dict[str, str]:
    """Gives unowned machines to this gateway; returns those of others with their owners."""
    foreign = {}
    for machine in machines:
        owner = _owner_of(memory, plan, where.site, machine)
        if owner is None:
            plan.owners[where.site, machine] = Owner(where.site, machine, where.gateway)
        elif owner.gateway != where.gateway:
            foreign[machine] = owner.gateway
    return foreign


def _origin(where: Topic, envelope: Envelope) -> Origin:
    return Origin(where.site, where.gateway, envelope.stream)


def _take_facts(memory: LedgerCache, plan: IngestPlan, where: Topic, envelope: Envelope, inside: Any) -> str:
    """Plans the rows of this gateway's machines and of minutes that are open; returns why the others are quarantined,
    "" if there are none.
    """
    facts, losses, stops = read_facts_body(inside)
    batch = RowBatch(_origin(where, envelope), envelope.seq, facts, losses, stops)
    plausible(batch)
    foreign = _claim(memory, plan, where, sorted(machines_of(batch)))
    if foreign:
        batch = own_part(batch, foreign)
    batch, closed = open_part(batch, plan.open_from_ns)
    for machine, first_ns in _first_minutes(batch).items():
        owner = _owner_of(memory, plan, where.site, machine)
        if owner and (not owner.first_ns or first_ns < owner.first_ns):
            plan.owners[where.site, machine] = replace(owner, first_ns=first_ns)
    plan.batches.append(batch)
    named = ", ".join(f"machine {machine!r} belongs to gateway {gateway!r}" for machine, gateway in foreign.items())
    reasons = [f"{named}; hand it over first"] if foreign else []
    return "; ".join([*reasons, *([closed] if closed else [])])


def _first_minutes(batch: RowBatch) -> Mapping[str, int]:
    first: dict[str, int] = {}
    for machine, minute_ns in zip(batch.facts.machine.tolist(), batch.facts.minute_ns.tolist(), strict=True):
        first[machine] = min(minute_ns, first.get(machine, minute_ns))
    return first


def _take_site(memory: LedgerCache, plan: IngestPlan, where: Topic, inside: Any) -> None:
    new = revision(inside)
    body = json.dumps(inside, ensure_ascii=False, separators=(",", ":"))
    if not is_text(body):
        raise Unsound("site: a text holds half a character")
    _claim(memory, plan, where, new.body.machines)
    earlier = [item for item in _planned(memory, plan, where) if item.valid_from_ns <= new.valid_from_ns]
    if earlier and earlier[-1].body.model_copy(update={"valid_from_ns": new.valid_from_ns}) == new.body:
        return  # the same site file again, as after each restart
    made = f"@{new.body.made_ns}" if new.body.made_ns else ""  # the same file may come to hold a second time
    plan.sites.append(SiteRow(where.site, where.gateway, new.body.config_hash + made, new.valid_from_ns, body))


def _planned(memory: LedgerCache, plan: IngestPlan, where: Topic) -> Sequence[Revision]:
    mine = [row for row in plan.sites if (row.site, row.gateway) == (where.site, where.gateway)]
    known = [*memory.sites.revisions(where.site, where.gateway), *(revision(json.loads(row.body)) for row in mine)]
    return sorted(known, key=lambda item: item.valid_from_ns)


def _quarantine(plan: IngestPlan, message: EnvelopeMessage, now_ns: int, reason: str, *, settled: bool) -> None:
    payload = message.payload if settled else message.payload[:KEEP_UNSOUND_BYTES]
    printable = reason[:1000].encode("utf-8", "backslashreplace").decode()
    plan.quarantine.append(QuarantinedPayload(now_ns, topic(*message.topic), printable, payload, settled))
