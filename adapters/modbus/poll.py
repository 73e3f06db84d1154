"""Which request a Modbus device gets next, and which values its responses changed. Pure: a state machine that is given the time.

Every request has a time from which it is due again. Four things can happen to it:

* answered: if the response equals the previous one, nothing changed and nothing is decoded. Otherwise it is decoded, and
  each value that differs is a change.
* refused: if it holds several tags, it is split in two and both halves are due at once; the cut is remembered as a
  hole. An illegal function is cut once, at all gaps, and not further: some devices answer so where a block covers an
  address that they lack. If a request cannot be cut, its tags are BAD, and are requested again rarely (sooner where the
  reason tends to pass). When such a tag is accepted after all, the refusals were temporary (a PLC that was starting),
  and all holes are forgotten.
* busy: not confirmed this time, due again as usual.
* silent: the same; if the device answered something else meanwhile (`proof` is what to ask), a request with gaps is cut
  at them after the second time in a row, and any is due only rarely after the third, one at a time and after another
  request was answered. So one range that a device ignores costs neither the other tags nor the connection, and keeps
  costing little after a reconnect (`SilentRanges`).

After a missing response the next value is reported even if it is equal: the tag may have become stale meanwhile.
"""

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any, Final

from adapters.modbus.block import BlockLayout, Raw, block_of, value_of
from adapters.modbus.bus.faults import (
    ACKNOWLEDGE,
    BUSY,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    SILENT,
)
from adapters.modbus.decode import Decoder
from adapters.modbus.plan import Hole, Place, Request, RequestLimits, gap_cuts, plan, stretch, where_to_cut
from oee.model.states import Quality

REFUSED_RETRY_S = 60.0
"""When a refused tag is requested again [s]: often enough for somebody at the cabinet, too rarely to disturb."""
SILENT_RETRY_S = 10.0
"""When a request that was silent, or refused for a reason that tends to pass, is repeated [s]."""
MOST_SILENCES = 3
"""Missing responses in a row after which a request is set aside."""
CUT_AT = 2
"""Missing responses in a row after which a request is cut at its gaps: one may have been lost."""
_NOTHING: Final = repeat(None)

_LASTING = frozenset({ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE})


Change = tuple[str, Any, Quality]
"""A tag, its new value, and its quality."""


class Poll:
    """The requests of one device. Times are monotonic [s]."""

    def __init__(self, places: Iterable[Place], limits: RequestLimits, decoders: Mapping[str, Decoder | None]) -> None:
        self._places, self._limits, self._decoders = tuple(places), limits, decoders
        self.period_s = min(place.period_s for place in self._places)
        self.refused_tags: dict[str, int] = {}
        self._holes: set[Hole] = set()
        self._last: dict[str, tuple[Any, Quality]] = {}
        self._answers: dict[Request, tuple[bytes, Raw]] = {}
        self._due_s: dict[Request, float] = {}
        self._silent = SilentRanges()
        self._turn = 0
        self._blocks: dict[Request, BlockLayout] = {}
        self._replan()

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requests as planned now."""
        return tuple(self._blocks)

    def lost(self) -> dict[str, int]:
        """The tags that cannot be read although the device answers: by tag its exception code, `SILENT` for those of
        requests that are set aside.
        """
        if not self.refused_tags and not self._silent:
            return {}
        aside = self._silent.set_aside()
        silent = {tag: SILENT for request in aside for tag in request.tags} if len(aside) < len(self._blocks) else {}
        return self.refused_tags | silent

    def restart(self) -> None:
        """A new connection: everything is due but what is set aside, and every value is reported again."""
        self._last.clear()
        self._answers.clear()
        rarely = {request: self._due_s[request] for request in self._silent.set_aside()}
        self._due_s = dict.fromkeys(self._blocks, float("-inf")) | rarely
        self.refused_tags.clear()

    def next_due(self, now_s: float, *, answered: bool) -> Request | None:
        """The next request of a round that began at `now_s`; None at its end. answered: a request of this round was answered."""
        suspects = []
        for request, due_s in self._due_s.items():
            if due_s > now_s:
                continue
            if request not in self._silent:
                return request
            suspects.append(request)
        anything = answered or len(self._silent) == len(self._blocks)
        return self._silent.first_of(suspects, set_aside=anything) if suspects else None

    def proof(self, request: Request) -> Request | None:
        """What to ask to see whether the device is there though `request` was not answered: what was answered before,
        else one stretch of it that covers no gap (whose response is of no other use).
        """
        known = next((other for other in self._answers if other != request), None)
        self._turn += 1
        return known or stretch(request, self._turn)

    def answered(self, request: Request, data: bytes, now_s: float) -> list[Change]:
        """The values in a response that differ from what was reported last."""
        self._due_again(request, now_s)
        self._silent.answered(request)
        before = self._answers.get(request)
        if before is not None and data == before[0]:
            return []
        block = self._blocks[request]
        raw = block.raw(data)
        self._answers[request] = (data, raw)
        changes = _changes(self._last, block, raw, before[1] if before else None)
        accepted = self.refused_tags.keys() & set(block.tags) if self.refused_tags else ()
        if accepted:
            for tag in accepted:
                del self.refused_tags[tag]
            self._holes.clear()
            self._replan()
        return changes

    def refused(self, request: Request, code: int, now_s: float) -> list[Change]:
        """The device refused the request: the tags that become BAD. Halves of a request that was split are due at once."""
        if code in {BUSY, ACKNOWLEDGE}:
            self.missed(request, now_s)
            return []
        self._silent.answered(request)
        if code == ILLEGAL_FUNCTION:
            cuts = gap_cuts(request)
        else:
            cuts = frozenset({hole}) if (hole := where_to_cut(request)) else frozenset()
        if cuts:
            self._holes |= cuts
            self._replan()
            return []
        self._answers.pop(request, None)
        self._due_s[request] = now_s + max(REFUSED_RETRY_S if code in _LASTING else SILENT_RETRY_S, request.period_s)
        self.refused_tags |= dict.fromkeys(request.tags, code)
        bad = (None, Quality.BAD)
        changes = [(tag, *bad) for tag in request.tags if self._last.get(tag) != bad]
        self._last |= dict.fromkeys(request.tags, bad)
        return changes

    def silent(self, request: Request, now_s: float, *, proven: bool = True) -> None:
        """No response came. proven: though the device was there."""
        self.missed(request, now_s)
        count = self._silent.silent(request, proven=proven)
        cuts = gap_cuts(request) if count >= CUT_AT else frozenset()
        if proven and cuts:
            self._holes |= cuts
            self._replan()
        elif count >= MOST_SILENCES:
            others = [self._due_s[other] for other in self._silent.set_aside() if other != request]
            self._due_s[request] = max([now_s, *others]) + max(SILENT_RETRY_S, request.period_s)

    def missed(self, request: Request, now_s: float) -> None:
        """Nothing is known about these tags this time; their next values are reported even if they are equal."""
        self._due_again(request, now_s)
        self._answers.pop(request, None)
        for tag in request.tags:
            self._last.pop(tag, None)

    def _due_again(self, request: Request, now_s: float) -> None:
        # Half a round early, so that a round that starts a little early does not skip a request.
        self._due_s[request] = now_s + request.period_s - self.period_s / 2

    def _replan(self) -> None:
        requests = plan(self._places, self._limits, frozenset(self._holes))
        self._blocks = {request: self._blocks.get(request) or block_of(request, self._decoders) for request in requests}
        self._due_s = {request: self._due_s.get(request, float("-inf")) for request in requests}
        self._answers = {request: reported for request, reported in self._answers.items() if request in self._blocks}
        self._silent.keep(self._blocks)


def _changes(last: dict[str, tuple[Any, Quality]], block: BlockLayout, raw: Raw, before: Raw | None) -> list[Change]:
    """What differs from `last`, which is brought up to date."""
    changes = []
    good, bad = Quality.GOOD, Quality.BAD
    for tag, meaning, new, old in zip(block.tags, block.meanings, raw, before or _NOTHING):  # noqa: B905
        if before is not None and new == old:
            continue
        value = new if meaning is None else value_of(meaning, new)
        reported = (value, bad if value is None else good)
        if last.get(tag) != reported:
            last[tag] = reported
            changes.append((tag, *reported))
    return changes


class SilentRanges:
    """Missing responses in a row by request, the request that was silent longest ago first.

    Some devices stay silent where they should refuse. A missing response counts against its request only if the device
    answered something else meanwhile; otherwise it says nothing, but the request is tried after the others next time. After
    the third in a row a request is *set aside*: sent rarely, across reconnects.
    """

    def __init__(self) -> None:
        self._counts: dict[Request, int] = {}

    def __contains__(self, request: Request) -> bool:
        return request in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def answered(self, request: Request) -> None:
        """It was answered, or refused."""
        self._counts.pop(request, None)

    def silent(self, request: Request, *, proven: bool) -> int:
        """It was not answered. proven: but the device was there. How often in a row that was so."""
        self._counts[request] = count = self._counts.pop(request, 0) + proven
        return count

    def set_aside(self) -> list[Request]:
        """Those to be sent rarely."""
        return [request for request, count in self._counts.items() if count >= MOST_SILENCES]

    def first_of(self, requests: Iterable[Request], *, set_aside: bool) -> Request | None:
        """Of these, the one that was silent longest ago. set_aside: whether it may be one that is set aside."""
        wanted = set(requests)
        found = (one for one, count in self._counts.items() if one in wanted and (set_aside or count < MOST_SILENCES))
        return next(found, None)

    def keep(self, requests: Iterable[Request]) -> None:
        """Forgets the requests that are not among these."""
        wanted = set(requests)
        self._counts = {request: count for request, count in self._counts.items() if request in wanted}
