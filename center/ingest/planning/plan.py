"""What a run of messages would change: collected by the planner, committed by the worker."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from center.contract.ledger import Changes, QuarantinedPayload
from center.contract.store import RowBatch, SeriesCount
from center.contract.streams import StreamKey, StreamRecord
from center.model.retention import ALWAYS, OpenTimes
from center.model.site_revisions import Revision, RevisionKey
from center.model.sites import Owner, SiteRow
from wire.topics import Topic, topic

KEEP_UNSOUND_BYTES: Final = 65_536


@dataclass(frozen=True)
class EnvelopeMessage:
    """A message with an envelope, as received."""

    topic: Topic
    payload: bytes


@dataclass(frozen=True)
class SeriesRoom:
    """How many new series each gateway may bring to the store. most_a_day: as `SeriesCount.part` has it."""

    counted: SeriesCount
    most_a_day: int


@dataclass
class IngestPlan:
    """Rows, ledger changes and receipts that follow from a run of messages.

    times: of which rows are accepted; room: for new series, None where the store counts none; before: the records on which the plan is
    based; heard: gateways that are owed a receipt; newer: gateways that sent an envelope of a later version; disputed: for each stream with a conflict the seq and the digest that
    was settled first; outdated: site bodies that count no more, without their text; revisions: by site and gateway those that
    count then; new_series: by site and gateway what its rows bring; beyond_series: gateways that would bring more than they may;
    unpacked: by site and gateway the bytes of their bodies; unsure: digests of envelopes taken as repeated although this process does not know the digest
    that was settled.
    """

    times: OpenTimes = ALWAYS
    room: SeriesRoom | None = None
    before: dict[StreamKey, StreamRecord] = field(default_factory=dict)
    batches: list[RowBatch] = field(default_factory=list)
    streams: dict[StreamKey, StreamRecord] = field(default_factory=dict)
    digests: dict[tuple[StreamKey, int], bytes] = field(default_factory=dict)
    owners: dict[tuple[str, str], Owner] = field(default_factory=dict)
    sites: dict[tuple[str, str, RevisionKey], SiteRow] = field(default_factory=dict)
    outdated: list[SiteRow] = field(default_factory=list)
    revisions: dict[tuple[str, str], list[Revision]] = field(default_factory=dict)
    quarantine: list[QuarantinedPayload] = field(default_factory=list)
    heard: set[tuple[str, str]] = field(default_factory=set)
    newer: set[tuple[str, str]] = field(default_factory=set)
    covered: dict[StreamKey, set[int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    new_series: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    beyond_series: set[tuple[str, str]] = field(default_factory=set)
    unpacked: Counter[tuple[str, str]] = field(default_factory=Counter)
    released: list[int] = field(default_factory=list)
    disputed: dict[StreamKey, tuple[int, bytes]] = field(default_factory=dict)
    unsure: dict[tuple[StreamKey, int], bytes] = field(default_factory=dict)

    def changes(self) -> Changes:
        """The part that goes into the ledger."""
        return Changes(
            self.streams,
            self.digests,
            list(self.owners.values()),
            list(self.sites.values()),
            self.quarantine,
            outdated=self.outdated,
            released=self.released,
            before=self.before,
        )

    def outdate(self, where: Topic, key: RevisionKey) -> None:
        """A site body counts no more: planned in this run it is not stored, stored earlier it is removed."""
        if self.sites.pop((where.site, where.gateway, key), None) is None:
            self.outdated.append(SiteRow(where.site, where.gateway, key.config_hash, key.valid_from_ns, ""))

    def add_to_quarantine(self, message: EnvelopeMessage, now_ns: int, reason: str, stream: str = "") -> None:
        """Quarantines a message: completely if its seq in this stream is settled, else its first `KEEP_UNSOUND_BYTES`."""
        settled = bool(stream)
        payload = message.payload if settled else message.payload[:KEEP_UNSOUND_BYTES]
        printable = reason[:1000].encode("utf-8", "backslashreplace").decode()
        self.quarantine.append(QuarantinedPayload(now_ns, topic(*message.topic), printable, payload, settled, stream))
