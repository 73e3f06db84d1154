"""Selects the process values for the center: marked tags, thinned as the site file says. Pure: it is given the time.

Every row of a marked tag is one of these:

    sent    it goes into the next commit
    within  closer to the last value sent than the deadband; discarded
    held    it came sooner than `at_most_every` after the last one sent; the latest held row is sent once that time is
            over, so that the last of a burst is never lost

A change of quality is always sent, and so is the end of a gap, so that charts show where values are unknown. A value that
stays the same is sent again, with the time of its latest confirmation, after `at_least_every`.

Times are cut to microseconds and made to increase within a tag, so that a row's identity is its tag and its time.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from adapters.contract import Reading, Row
from config.site.values import ValueModel
from wire.value_buffer import ValueBuffer

MOST_ROWS: Final = 500_000
"""Rows that may wait while the disk refuses to store them: about 12 MB."""
_NEVER: Final = 2**63 - 1
_AT_ONCE: Final = -(2**62)


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """deadband: smaller changes are not sent, None: every change is; at_most_every_ns, at_least_every_ns: the shortest
    and the longest time between two rows of a tag [ns].
    """

    deadband: float | None = None
    at_most_every_ns: int = 0
    at_least_every_ns: int = _NEVER

    @property
    def thins(self) -> bool:
        """Whether some rows are not sent."""
        return self.deadband is not None or self.at_most_every_ns > 0


def rules(values: Mapping[str, ValueModel]) -> dict[str, RecordingRule]:
    """The rules of a site file's tags (`config.values_of`); tags with equal settings share one."""

    @cache
    def rule(model: ValueModel) -> RecordingRule:
        return RecordingRule(
            model.deadband, round((model.at_most_every or 0.0) * 1e9), round(model.at_least_every * 1e9)
        )

    return {name: rule(model) for name, model in values.items()}


@dataclass(slots=True)
class _Tag:
    """place: index among all marked tags; latest: the latest row; held: the row that waits for `at_most_every`; sent_ns,
    sent_us, sent, quality: time, rounded time, value and quality of the last row sent.
    """

    place: int
    rule: RecordingRule
    thins: bool
    latest: Row | None = None
    held: Row | None = None
    sent_ns: int = _AT_ONCE
    sent_us: int = -1
    sent: Any = None
    quality: int = -1


class Recorder:
    """Collects rows of the marked tags for the next commit."""

    def __init__(self, rules: Mapping[str, RecordingRule], *, most_rows: int = MOST_ROWS) -> None:
        """rules: by `device.tag`."""
        self._names = tuple(sorted(rules))
        self._tags = {name: _Tag(place, rules[name], rules[name].thins) for place, name in enumerate(self._names)}
        self._devices: dict[str, list[str]] = {}
        for name in self._names:
            self._devices.setdefault(name.partition(".")[0], []).append(name)
        self._repeat_ns = dict.fromkeys(self._devices, _AT_ONCE)
        self._holding: dict[str, _Tag] = {}
        self._rows = ValueBuffer(self._names)
        self._returned: deque[ValueBuffer] = deque()
        self._most_rows = most_rows
        self.paused = False
        """Nothing is recorded: the month's data budget is used up."""
        self.recorded = self.lost = 0
        """How many rows were sent, and how many dropped because the disk refused for too long."""

    def __bool__(self) -> bool:
        return bool(self._tags)

    @property
    def waiting(self) -> int:
        """Rows for the next commit."""
        return len(self._rows)

    def feed(self, rows: Iterable[Row]) -> None:
        """Takes rows named `device.tag`, each tag's in time order; those of tags that are not marked are ignored."""
        tags, send = self._tags, self._send
        for row in rows:
            tag = tags.get(row.tag)
            if tag is None:
                continue
            tag.latest = row
            if not tag.thins and tag.held is None and row.t_ns >= tag.sent_ns:
                send(tag, row, row.t_ns)
            elif self._differs(tag, row):
                self._send_or_hold(tag, row)

    def confirmed(self, device: str, reading: Reading) -> None:
        """Sends values again that a reading confirms and that have not been sent for `at_least_every`."""
        if reading.t_ns < self._repeat_ns.get(device, _NEVER):
            return
        confirmed_names, next_ns = set(reading.confirmed), _NEVER
        for name in self._devices[device]:
            tag, tag_name = self._tags[name], name.partition(".")[2]
            due_ns = tag.sent_ns + tag.rule.at_least_every_ns
            if due_ns <= reading.t_ns and tag_name in confirmed_names and tag.latest is not None and tag.held is None:
                self._send(tag, tag.latest, reading.t_ns)
                due_ns = reading.t_ns + tag.rule.at_least_every_ns
            next_ns = min(next_ns, max(due_ns, reading.t_ns + 1))
        self._repeat_ns[device] = next_ns

    def tick(self, now_ns: int) -> None:
        """Sends rows that were held for `at_most_every`."""
        for name, tag in list(self._holding.items()):
            if tag.held is None:
                del self._holding[name]
            elif now_ns - tag.sent_ns >= tag.rule.at_most_every_ns:
                self._send(tag, tag.held, tag.held.t_ns)
                del self._holding[name]

    def take(self) -> list[ValueBuffer]:
        """Removes and returns the rows to store now, oldest first."""
        out = [*self._returned, self._rows] if self._rows else [*self._returned]
        self._returned.clear()
        self._rows = ValueBuffer(self._names)
        return out

    def put_back(self, taken: Iterable[ValueBuffer]) -> None:
        """Puts back rows that could not be stored; the oldest are dropped if there are too many."""
        self._returned.extendleft(reversed(list(taken)))
        total = sum(map(len, self._returned))
        while total > self._most_rows and self._returned:
            dropped = len(self._returned.popleft())
            self.lost += dropped
            total -= dropped

    def shift(self, by_ns: int) -> None:
        """Gateway time was corrected: moves the times of rows that wait, and of those last sent."""
        by_us = by_ns // 1000
        for rows in (*self._returned, self._rows):
            rows.shift(by_us)
        for tag in self._tags.values():
            tag.held = tag.held and tag.held._replace(t_ns=tag.held.t_ns + by_ns)
            if tag.sent_us >= 0:
                tag.sent_us, tag.sent_ns = tag.sent_us + by_us, tag.sent_ns + by_ns
        self._repeat_ns = {
            name: t_ns if t_ns in (_NEVER, _AT_ONCE) else t_ns + by_ns for name, t_ns in self._repeat_ns.items()
        }

    def _differs(self, tag: _Tag, row: Row) -> bool:
        """Whether the row differs enough from the last one sent; if not, a held row is discarded too."""
        band = tag.rule.deadband
        if band is None or row.quality != tag.quality or _not_number(row.value) or _not_number(tag.sent):
            return True
        if abs(row.value - tag.sent) >= band:
            return True
        tag.held = None
        return False

    def _send_or_hold(self, tag: _Tag, row: Row) -> None:
        """Sends a row, or holds it back for `at_most_every`."""
        if row.quality == tag.quality:
            if row.t_ns - tag.sent_ns < tag.rule.at_most_every_ns:
                tag.held = row
                self._holding[row.tag] = tag
                return
        elif tag.held is not None:
            self._send(tag, tag.held, tag.held.t_ns)  # the last value before the quality changed
        self._send(tag, row, row.t_ns)

    def _send(self, tag: _Tag, row: Row, t_ns: int) -> None:
        _, _, value, quality, _ = row
        tag.held, tag.sent_ns, tag.sent, tag.quality = None, t_ns, value, quality
        if self.paused:
            return
        t_us = t_ns // 1000
        if t_us <= tag.sent_us:
            t_us = tag.sent_us + 1
        tag.sent_us = t_us
        self._rows.add(tag.place, t_us, value, quality)
        self.recorded += 1


def _not_number(value: Any) -> bool:
    return not isinstance(value, (int, float))
