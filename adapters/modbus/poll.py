"""Which request a Modbus device gets next, and which values its responses changed. Pure: a state machine that is given the time.

Every request has a time from which it is due again. Four things can happen to it:

* answered: if the response equals the previous one, nothing changed and nothing is decoded. Otherwise it is decoded, and
  each value that differs is a change.
* refused (illegal address or value, device failure, wrong length): if it holds several tags, it is split in two and
  both halves are due at once; the cut is remembered as a hole. If all its tags have one address, they are BAD, and
  are requested again rarely (sooner where the reason tends to pass). When such a tag is accepted after all, the
  refusals were temporary (a PLC that was starting), and all holes are forgotten.
* busy: not confirmed this time, due again as usual.
* silent: the same; after the third time in a row it is due only rarely, and only after another request was answered, so
  that one range that a device ignores costs neither the other tags nor the connection.

After a missing response the next value is reported even if it is equal: the tag may have become stale meanwhile.
"""

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any, Final

from adapters.modbus.block import BlockLayout, Raw, block_of, value_of
from adapters.modbus.bus.frames_tcp import (
    ACKNOWLEDGE,
    BUSY,
    DEVICE_FAILURE,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    WRONG_LENGTH,
)
from adapters.modbus.decode import Decoder
from adapters.modbus.plan import Hole, Place, Request, RequestLimits, plan, where_to_cut
from oee.model.states import Quality

REFUSED_RETRY_S = 60.0
"""When a refused tag is requested again [s]: often enough for somebody at the cabinet, too rarely to disturb."""
SILENT_RETRY_S = 10.0
"""When a request that was silent, or refused for a reason that tends to pass, is repeated [s]."""
MOST_SILENCES = 3
"""Missing responses in a row after which a request is sent rarely."""
_NOTHING: Final = repeat(None)

_SPLITTING = frozenset({ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, WRONG_LENGTH})
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
        self._silences: dict[Request, int] = {}
        self._blocks: dict[Request, BlockLayout] = {}
        self._replan()

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requests as planned now."""
        return tuple(self._blocks)

    def restart(self) -> None:
        """A new connection: everything is due, and every value is reported again."""
        self._last.clear()
        self._answers.clear()
        self._silences.clear()
        self._due_s = dict.fromkeys(self._blocks, float("-inf"))
        self.refused_tags.clear()

    def next_due(self, now_s: float, *, answered: bool) -> Request | None:
        """The next request of a round that began at `now_s`; None at its end. answered: a request of this round was answered."""
        suspects = []
        for request, due_s in self._due_s.items():
            if due_s > now_s:
                continue
            if not self._silences.get(request):
                return request
            suspects.append(request)
        if answered or len(self._silences) == len(self._blocks):
            return suspects[0] if suspects else None
        return next((request for request in suspects if self._silences[request] < MOST_SILENCES), None)

    def answered(self, request: Request, data: bytes, now_s: float) -> list[Change]:
        """The values in a response that differ from what was reported last."""
        self._due_again(request, now_s)
        self._silences.pop(request, None)
        before = self._answers.get(request)
        if before is not None and data == before[0]:
            return []
        block = self._blocks[request]
        raw = block.raw(data)
        self._answers[request] = (data, raw)
        changes = self._changes(block, raw, before[1] if before else None)
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
        self._silences.pop(request, None)
        hole = where_to_cut(request) if code in _SPLITTING else None
        if hole:
            self._holes.add(hole)
            self._replan()
            return []
        self._answers.pop(request, None)
        self._due_s[request] = now_s + max(REFUSED_RETRY_S if code in _LASTING else SILENT_RETRY_S, request.period_s)
        self.refused_tags |= dict.fromkeys(request.tags, code)
        return [change for tag in request.tags for change in self._report(tag, None, Quality.BAD)]

    def silent(self, request: Request, now_s: float) -> None:
        """No response came."""
        self.missed(request, now_s)
        self._silences[request] = self._silences.get(request, 0) + 1
        if self._silences[request] >= MOST_SILENCES:
            self._due_s[request] = now_s + max(SILENT_RETRY_S, request.period_s)

    def missed(self, request: Request, now_s: float) -> None:
        """Nothing is known about these tags this time; their next values are reported even if they are equal."""
        self._due_again(request, now_s)
        self._answers.pop(request, None)
        for tag in request.tags:
            self._last.pop(tag, None)

    def _due_again(self, request: Request, now_s: float) -> None:
        # Half a round early, so that a round that starts a little early does not skip a request.
        self._due_s[request] = now_s + request.period_s - self.period_s / 2

    def _changes(self, block: BlockLayout, raw: Raw, before: Raw | None) -> list[Change]:
        last, changes = self._last, []
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

    def _report(self, tag: str, value: Any, quality: Quality) -> list[Change]:
        if self._last.get(tag) == (value, quality):
            return []
        self._last[tag] = (value, quality)
        return [(tag, value, quality)]

    def _replan(self) -> None:
        requests = plan(self._places, self._limits, frozenset(self._holes))
        self._blocks = {request: self._blocks.get(request) or block_of(request, self._decoders) for request in requests}
        self._due_s = {request: self._due_s.get(request, float("-inf")) for request in requests}
        self._answers = {request: reported for request, reported in self._answers.items() if request in self._blocks}
        self._silences = {request: count for request, count in self._silences.items() if request in self._blocks}
