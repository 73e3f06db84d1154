"""Decides what an arriving message does to ledger and store, without network, disk or clock.

    payload ── open header ── identify stream ── classify seq ┬─ new ────── read content ┬─ stored, dropped, discarded
                    │                │                        ├─ repeated ─ counted      └─ quarantined, settled
                    │                │                        └─ conflict ─ quarantined
                    └─ unsound ──────┴─ another kind: quarantined, not settled

An envelope with a sound header is settled whatever its content: it is stored, durably quarantined, dropped or
discarded. An unsound header names no seq that could be settled: the payload is quarantined for people to see, and the
gateway sends it again.

Nothing is changed here. The caller commits the plan's batches and changes, then has the cache adopt the result, so a
store that is unavailable leaves no trace.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from center.contract.ledger import QuarantinedPayload
from center.contract.streams import SeqStatus, StreamKey, StreamRecord, classify, cover
from center.ingest.planning.content import plan_content
from center.ingest.planning.plan import EnvelopeMessage, IngestPlan, SeriesRoom
from center.ledger.cache import LedgerCache
from center.model.retention import ALWAYS, OpenTimes
from wire.envelope import Envelope, NewerVersion, Unsound, open_envelope
from wire.marks import MAX_RANGES, MAX_SEQ, is_settled, settle
from wire.topics import parse

_CONFLICT: Final = "conflict:"
MAX_STREAMS: Final = 1000
"""Streams of one gateway, which starts a new one only with a new outbox."""


class _Rejected(Exception):
    """The message settles nothing. count: the counter that it adds to; reason: why it is quarantined, "" if it is not."""

    def __init__(self, count: str, reason: str = "") -> None:
        super().__init__(reason)
        self.count, self.reason = count, reason


@dataclass(frozen=True)
class _Arrival:
    """A message with a sound header, and the record of its stream as planned so far."""

    message: EnvelopeMessage
    envelope: Envelope
    key: StreamKey
    record: StreamRecord


def plan_messages(
    cache: LedgerCache,
    messages: Iterable[EnvelopeMessage],
    now_ns: int,
    times: OpenTimes = ALWAYS,
    *,
    refused: str = "",
    room: SeriesRoom | None = None,
) -> IngestPlan:
    """The plan for these messages, in order of arrival. refused: why the store refuses their content, which is then
    quarantined unread; room: for new series.
    """
    plan = IngestPlan(times, room)
    for message in messages:
        _plan_message(cache, plan, message, now_ns, refused)
    return plan


def _plan_message(cache: LedgerCache, plan: IngestPlan, message: EnvelopeMessage, now_ns: int, refused: str) -> None:
    try:
        arrival = _identify(cache, plan, message, now_ns)
    except _Rejected as rejection:
        plan.counts[rejection.count] += 1
        if rejection.reason:
            plan.add_to_quarantine(message, now_ns, rejection.reason)
        return
    plan.heard.add((arrival.key.site, arrival.key.gateway))
    digests = _known_digests(cache, plan, arrival)
    status = classify(arrival.record.marks, digests, arrival.envelope.seq, arrival.envelope.digest)
    if status is SeqStatus.NEW:
        _settle(cache, plan, arrival, now_ns, refused)
    elif status is SeqStatus.REPEATED:
        _count_repeated(plan, arrival, is_known=arrival.envelope.seq in digests)
    else:
        _quarantine_conflict(plan, arrival, now_ns, digests[arrival.envelope.seq])


def _identify(cache: LedgerCache, plan: IngestPlan, message: EnvelopeMessage, now_ns: int) -> _Arrival:
    """Opens the header and finds the stream. Raises `_Rejected`."""
    site, gateway, kind = message.topic
    try:
        envelope = _open(message.payload)
    except NewerVersion as error:
        plan.newer.add((site, gateway))
        raise _Rejected("unsound", str(error)) from error
    except Unsound as error:
        raise _Rejected("unsound", str(error)) from error
    key = StreamKey(site, gateway, envelope.stream)
    record = plan.streams.get(key) or cache.streams.get(key)
    if record is None and len(cache.of_gateway(site, gateway)) >= MAX_STREAMS:
        raise _Rejected("too_many_streams")
    plan.before.setdefault(key, record or StreamRecord(kind))
    record = record or StreamRecord(kind, first_ns=now_ns, held_from=int(key in cache.younger))
    if record.kind != kind:
        raise _Rejected("wrong_kind", f"stream {key.stream} carries {record.kind}, not {kind}")
    return _Arrival(message, envelope, key, replace(record, seen_ns=now_ns))


def _open(payload: bytes) -> Envelope:
    envelope = open_envelope(payload)
    if not 1 <= envelope.seq <= MAX_SEQ:
        raise Unsound(f"seq {envelope.seq}; the first is 1 and the last {MAX_SEQ}")
    return envelope


def _known_digests(cache: LedgerCache, plan: IngestPlan, arrival: _Arrival) -> dict[int, bytes]:
    """The stream's known digests; a digest planned in this run counts before the cache's."""
    planned = plan.digests.get((arrival.key, arrival.envelope.seq))
    return cache.digests.get(arrival.key, {}) if planned is None else {arrival.envelope.seq: planned}


def _count_repeated(plan: IngestPlan, arrival: _Arrival, *, is_known: bool) -> None:
    if not is_known:
        plan.unsure[arrival.key, arrival.envelope.seq] = arrival.envelope.digest
    plan.counts["duplicates"] += 1
    plan.streams[arrival.key] = replace(arrival.record, duplicates=arrival.record.duplicates + 1)


def _quarantine_conflict(plan: IngestPlan, arrival: _Arrival, now_ns: int, settled_digest: bytes) -> None:
    key, seq = arrival.key, arrival.envelope.seq
    plan.counts["conflicts"] += 1
    plan.disputed[key] = (seq, settled_digest)
    plan.streams[key] = replace(arrival.record, conflicts=arrival.record.conflicts + 1)
    reason = f"{_CONFLICT} stream {key.stream} seq {seq} was settled with another content"
    plan.add_to_quarantine(arrival.message, now_ns, reason, key.stream)


def _settle(cache: LedgerCache, plan: IngestPlan, arrival: _Arrival, now_ns: int, refused: str) -> None:
    seq = arrival.envelope.seq
    marks = settle(arrival.record.marks, [(seq, seq)])
    if len(marks.beyond) > MAX_RANGES:
        plan.counts["too_many_holes"] += 1
        return
    settled = replace(arrival.record, marks=marks)
    try:
        if refused:
            raise Unsound(f"refused by the store: {refused}")  # noqa: TRY301  # as for content that is not accepted
        record = plan_content(cache, plan, arrival.message.topic, arrival.envelope, settled)
    except (Unsound, RecursionError) as error:
        plan.counts["quarantined"] += 1
        plan.add_to_quarantine(arrival.message, now_ns, str(error), arrival.key.stream)
        record = replace(settled, quarantined=settled.quarantined + 1)
    plan.streams[arrival.key] = cover(record, plan.covered.get(arrival.key, ()))
    plan.digests[arrival.key, seq] = arrival.envelope.digest


def plan_replay(
    cache: LedgerCache,
    number: int,
    entry: QuarantinedPayload,
    now_ns: int,
    times: OpenTimes = ALWAYS,
    *,
    partly: bool = False,
    room: SeriesRoom | None = None,
) -> tuple[IngestPlan, Unsound | None]:
    """The plan for a quarantined payload that may be accepted by now: by a newer program, or because a machine was
    handed over. The entry leaves the quarantine in the step that stores its content. partly: if only some of its rows are
    accepted, these are planned, the entry stays, and why is returned.

    Raises `Unsound` with the reason if it is still not accepted; then nothing changes.
    """
    where = parse(entry.topic)
    if where is None:
        raise Unsound(f"topic {entry.topic!r} is not a topic of this system")
    message, envelope = EnvelopeMessage(where, entry.payload), _open(entry.payload)
    key = StreamKey(where.site, where.gateway, envelope.stream)
    record = cache.streams.get(key)
    if record is None or not is_settled(record.marks, envelope.seq):
        plan = _plan_unsettled(cache, message, key, now_ns, times, room)
    else:
        _check_same_content(cache, entry, key, envelope)
        plan = IngestPlan(times, room, before={key: record}, heard={(where.site, where.gateway)})
        released = replace(record, quarantined=max(record.quarantined - 1, 0), seen_ns=now_ns)
        try:
            released = plan_content(cache, plan, where, envelope, released)
        except Unsound as error:
            if not partly or not any(map(len, plan.covered.values())):
                raise
            plan.streams[key] = cover(record, plan.covered[key])
            return plan, error
        plan.streams[key] = cover(released, plan.covered.get(key, ()))
    plan.released.append(number)
    return plan, None


def _plan_unsettled(
    cache: LedgerCache, message: EnvelopeMessage, key: StreamKey, now_ns: int, times: OpenTimes, room: SeriesRoom | None
) -> IngestPlan:
    """As if the message arrived now. Raises `Unsound` if it would be quarantined or not settled again."""
    plan = plan_messages(cache, [message], now_ns, times, room=room)
    if plan.quarantine:
        raise Unsound(plan.quarantine[0].reason)
    if key not in plan.streams:
        raise Unsound("the ledger has no room for it")
    return plan


def _check_same_content(cache: LedgerCache, entry: QuarantinedPayload, key: StreamKey, envelope: Envelope) -> None:
    """Raises `Unsound` if the seq was settled by another envelope than this one."""
    settled_digest = cache.digests.get(key, {}).get(envelope.seq, envelope.digest)
    if not entry.settled or entry.reason.startswith(_CONFLICT) or settled_digest != envelope.digest:
        raise Unsound(f"{_CONFLICT} stream {key.stream} seq {envelope.seq} is settled with another content, or was")
