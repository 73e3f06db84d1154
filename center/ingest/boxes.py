"""Two boxes with one bundle: the younger one's streams are held, and what somebody decides about them is carried out.

What a held stream sends waits in quarantine, but for minutes that it has counted before. `accept` makes it count from now
on and holds the other instead; `discard` deletes what waits and leaves it held, in case the box is switched on again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from center.contract.ledger import Changes
from center.contract.streams import StreamKey, StreamRecord, age
from center.ingest.planning.validate import COUNTED, HELD
from center.ingest.settle import Settler
from center.ledger.cache import LedgerCache
from center.runtime.state import CenterState
from oee.model.facts import MINUTE_NS
from wire.envelope import Unsound
from wire.topics import topics_of

_ORDER: Final = {"site": 0, "facts": 1, "values": 2}
_ALL: Final = 2**31 - 1
Entry = Callable[[], None]
FROM_THE_BEGINNING: Final = 1
"""The minute from which a box that came later is held."""


@dataclass(frozen=True)
class Decision:
    """What became of the payloads that waited. envelopes: stored, or deleted; kept: still in quarantine; streams: that it was
    about.
    """

    envelopes: int = 0
    kept: int = 0
    streams: tuple[str, ...] = ()


def hold_younger(center: CenterState, site: str, gateway: str, commit: Callable[[Changes], bool]) -> None:
    """Of several boxes that run as this gateway at the same time, holds all but the oldest of those that count."""
    cache = center.ledger_cache
    rivals = center.pictures.get(site, gateway).boxes.rivals(center.now_ns())
    counting = [
        keys
        for box in rivals
        if not any(map(_held(cache), keys := [StreamKey(site, gateway, stream) for stream in sorted(box.streams)]))
    ]
    if len(counting) < 2:
        return
    counting.sort(key=lambda keys: min(age(cache.streams.get(key)) for key in keys))
    younger = [key for keys in counting[1:] for key in keys]
    cache.younger.update(younger)
    before = {key: record for key in younger if (record := cache.streams.get(key))}
    commit(
        Changes({key: replace(record, held_from=FROM_THE_BEGINNING) for key, record in before.items()}, before=before)
    )
    center.health.count("boxes_held", len(counting) - 1)
    center.health.set_condition(
        "boxes",
        f"several boxes run as gateway {gateway} of {site}: what the younger sends waits for a decision; switch off the one "
        f"that is not meant, then: nhip quarantine accept or discard CENTER.yaml {site}/{gateway}",
    )


def _held(cache: LedgerCache) -> Callable[[StreamKey], bool]:
    def held(key: StreamKey) -> bool:
        record = cache.streams.get(key)
        return bool(record.held_from) if record else key in cache.younger

    return held


def held_streams(cache: LedgerCache, site: str, gateway: str) -> dict[StreamKey, StreamRecord]:
    """The gateway's streams that are held, in the order in which what waits is stored: those of boxes that came later, or
    else those that an earlier decision holds.
    """
    held = {key: record for key, record in cache.of_gateway(site, gateway).items() if record.held_from}
    found = {key: record for key, record in held.items() if record.held_from == FROM_THE_BEGINNING} or held
    return dict(sorted(found.items(), key=lambda item: _ORDER.get(item[1].kind, 9)))


def accept(
    center: CenterState, settler: Settler, site: str, gateway: str, stream: str = "", record: Entry = lambda: None
) -> Decision:
    """The held box is the right one: what waits of it is stored, and what older ones send from now on waits instead.
    Minutes that another stream has counted stay as they are. stream: of this stream only; record: enters the decision into
    the audit trail, before anything is changed.

    Raises `LookupError` if nothing is held, or `StoreUnavailable`. On the worker's thread, or where none runs.
    """
    cache, now_minute = center.ledger_cache, center.now_ns() // MINUTE_NS
    accepted = _chosen(held_streams(cache, site, gateway), site, gateway, stream)
    since_ns = min(item.first_ns for item in accepted.values())
    older = {
        key: item
        for key, item in cache.of_gateway(site, gateway).items()
        if key not in accepted and not item.held_from and item.first_ns < since_ns
    }
    runs = any(item.kind == "facts" and item.seen_ns >= since_ns for item in older.values())
    beside = older if runs else {}
    changed = {key: replace(item, held_from=0) for key, item in accepted.items()}
    changed |= {key: replace(item, held_from=now_minute) for key, item in beside.items()}
    record()
    settler.commit((), Changes(changed, before={**accepted, **beside}))
    cache.younger.difference_update(accepted)
    released = kept = 0
    for key in accepted:
        for number in center.ledger.waiting(site, gateway, key.stream):
            try:
                settler.replay(number, partly=True)
                released += 1
            except Unsound:
                kept += 1
    return Decision(released, kept, tuple(key.stream for key in accepted))


def discard(
    center: CenterState, settler: Settler, site: str, gateway: str, stream: str = "", record: Entry = lambda: None
) -> Decision:
    """The held box is the wrong one: what waits of it is deleted, and so is what any box of this gateway sent for minutes
    that another had counted. Raises as `accept`.
    """
    waiting = {
        key: numbers
        for key, numbers in _undecided(center, site, gateway).items()
        if key in center.ledger_cache.streams and stream in ("", key.stream)
    }
    if not waiting and not held_streams(center.ledger_cache, site, gateway):
        raise LookupError(_NOTHING.format(site=site, gateway=gateway))
    records = {key: center.ledger_cache.streams[key] for key in waiting}
    changed = {
        key: replace(
            item,
            quarantined=max(item.quarantined - len(waiting[key]), 0),
            discarded=item.discarded + min(len(waiting[key]), item.quarantined),
        )
        for key, item in records.items()
    }
    numbers = [number for key in records for number in waiting[key]]
    record()
    settler.commit((), Changes(changed, released=numbers, before=records))
    return Decision(len(numbers), 0, tuple(key.stream for key in waiting))


_NOTHING: Final = "no stream of gateway {gateway} of {site} waits for a decision"


def _chosen(
    held: Mapping[StreamKey, StreamRecord], site: str, gateway: str, stream: str
) -> dict[StreamKey, StreamRecord]:
    chosen = {key: record for key, record in held.items() if stream in ("", key.stream)}
    if not chosen:
        raise LookupError(_NOTHING.format(site=site, gateway=gateway))
    return chosen


def _undecided(center: CenterState, site: str, gateway: str) -> dict[StreamKey, list[int]]:
    """The ids of payloads that are quarantined because another box runs beside theirs, by stream."""
    rows, _ = center.ledger.quarantined(site, _ALL)
    found: dict[StreamKey, list[int]] = {}
    for row in rows:
        if row.settled and row.reason.startswith((HELD, COUNTED)) and row.topic.startswith(topics_of(site, gateway)):
            found.setdefault(StreamKey(site, gateway, row.stream), []).append(row.id)
    return found


DECISIONS: Final = {"accept": accept, "discard": discard}
