"""Payloads that the center could not accept: the list, and each decoded as far as possible."""

import base64
from typing import Any, Final, NotRequired
from zoneinfo import ZoneInfo

from typing_extensions import TypedDict

from center.contract.ledger import QuarantinedPayload
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.question import NextPage, unknown
from center.runtime.state import CenterState
from wire.envelope import Envelope, Unsound, decode_content, open_envelope
from wire.topics import parse

_UTC: Final = ZoneInfo("UTC")


class QuarantinedRow(TypedDict):
    id: int
    at: str
    topic: str
    reason: str
    bytes: int
    settled: bool


class QuarantineAnswer(TypedDict):
    rows: list[QuarantinedRow]
    next: NotRequired[NextPage]
    count: int


class QuarantinedEnvelopeAnswer(TypedDict):
    stream: str
    seq: int
    sealed: str | None
    codec: int


class QuarantinedPayloadAnswer(TypedDict):
    """An entry with its content. payload: Base64; envelope: null where the header is not sound; content: decoded, null
    where it cannot be read, and then `unreadable` says why.
    """

    id: int
    at: str
    topic: str
    reason: str
    settled: bool
    bytes: int
    payload: str
    envelope: QuarantinedEnvelopeAnswer | None
    content: Any
    unreadable: str


def quarantine(center: CenterState, viewer: Viewer, site: str = "", *, limit: int = 1000) -> QuarantineAnswer:
    """Quarantined payloads of the viewer's sites, the newest first; `count` is of all of them.

    A payload belongs to the site in its topic; one on a foreign topic is shown to those who may see every site.
    Raises `UnknownSite` or `StoreUnavailable`.
    """
    if site and not viewer.sees(site):
        raise unknown(site)
    names = [site] if site or viewer.sites is None else sorted(viewer.sites)
    parts = [center.ledger.quarantined(name, limit) for name in names]
    newest = sorted((row for rows, _ in parts for row in rows), key=lambda row: -row.id)[:limit]
    rows: list[QuarantinedRow] = [
        {
            "id": row.id,
            "at": iso(row.at_ns, _UTC),
            "topic": row.topic,
            "reason": row.reason,
            "bytes": row.size,
            "settled": row.settled,
        }
        for row in newest
    ]
    return {"rows": rows, "count": sum(number for _, number in parts), "next": None}


def quarantined_payload(center: CenterState, viewer: Viewer, number: int) -> QuarantinedPayloadAnswer:
    """One quarantined payload of the viewer's sites, decoded as far as possible. Raises `LookupError` or
    `StoreUnavailable`.
    """
    entry = center.ledger.payload(number)
    if entry is None or not _sees(viewer, entry):
        raise LookupError(f"there is no quarantined payload {number}; GET /api/v1/quarantine lists them")
    header, content, unreadable = _decoded(entry)
    return {
        "id": number,
        "at": iso(entry.at_ns, _UTC),
        "topic": entry.topic,
        "reason": entry.reason,
        "settled": entry.settled,
        "bytes": len(entry.payload),
        "payload": base64.b64encode(entry.payload).decode(),
        "envelope": header,
        "content": content,
        "unreadable": unreadable,
    }


def _sees(viewer: Viewer, entry: QuarantinedPayload) -> bool:
    """A payload on a foreign topic belongs to no site: only viewers of all sites see it."""
    topic = parse(entry.topic)
    return viewer.sees(topic.site) if topic else viewer.sites is None


def _decoded(entry: QuarantinedPayload) -> tuple[QuarantinedEnvelopeAnswer | None, Any, str]:
    """The envelope's header, its content, and why either cannot be read."""
    try:
        envelope = open_envelope(entry.payload)
    except Unsound as error:
        return None, None, str(error)
    header: QuarantinedEnvelopeAnswer = {
        "stream": envelope.stream,
        "seq": envelope.seq,
        "sealed": _sealed(envelope),
        "codec": envelope.codec,
    }
    try:
        return header, decode_content(envelope), ""
    except (Unsound, RecursionError) as error:
        return header, None, str(error)


def _sealed(envelope: Envelope) -> str | None:
    try:
        return iso(envelope.sealed_ns, _UTC)
    except (ValueError, OverflowError, OSError):
        return None
