"""Which process values go to the center: marked tags, thinned as the site file says. Pure, told the time.

Every row of a marked tag is one of these:

    sent    it goes into the next commit
    within  closer to the last value sent than the deadband; forgotten
    held    it came sooner than `at_most_every` after the last one sent; the latest held row is sent once that time is
            over, so that the last of a burst is never lost

A change of quality is always sent, and so is the end of a gap: whoever draws the rows sees where nothing is known. A
value that stays the same is said again, with the time of its latest confirmation, after `at_least_every`.

Times are cut to microseconds and made to increase within a tag, so that a row's identity is its tag and its time.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from adapters.contract import Reading, Row
from config.values import ValueModel
from oee.states import Quality

MOST_ROWS: Final = 500_000
"""Rows that may wait for a disk that refuses to take them: some 100 MB."""
_NEVER: Final = 2**63 - 1
_AT_ONCE: Final = -(2**62)


@dataclass(frozen=True)
class Rule:
    """deadband: smaller changes are not sent, None: every change is; at_most_every_ns, at_least_every_ns [ns]."""

    deadband: float | None = None
    at_most_every_ns: int = 0
    at_least_every_ns: int = _NEVER


def rules(values: Mapping[str, ValueModel]) -> dict[str, Rule]:
    """The rules of a site file's tags (`config.values_of`)."""
    return {
        name: Rule(model.deadband, round((model.at_most_every or 0.0) * 1e9), round(model.at_least_every * 1e9))
        for name, model in values.items()
    }


class Kept(NamedTuple):
    """A row to be sent. t_us: time [us UTC]."""

    t_us: int
    value: Any
    quality: int


Recorded = Mapping[str, Sequence[Kept]]
"""`device.tag` to its rows, oldest first."""


@dataclass(slots=True)
class _Tag:
    rule: Rule
    every: bool  # every row is sent
    rows: list[Kept] = field(default_factory=list)
    now: Row | None = None
    held: Row | None = None
    sent_ns: int = _AT_ONCE
    sent_us: int = -1
    sent: Any = None
    quality: int = -1


class Recorder:
    """The marked tags' rows on their way to the next commit."""

    def __init__(self, rules: Mapping[str, Rule], *, most_rows: int = MOST_ROWS) -> None:
        """rules: by `device.tag`."""
        self._tags = {
            name: _Tag(rule, rule.deadband is None and not rule.at_most_every_ns) for name, rule in rules.items()
        }
        self._devices: dict[str, list[tuple[str, _Tag]]] = {}
        for name, tag in self._tags.items():
            device, _, short = name.partition(".")
            self._devices.setdefault(device, []).append((short, tag))
        self._repeat_ns = dict.fromkeys(self._devices, _AT_ONCE)
        self._holding: dict[str, _Tag] = {}
        self._back: deque[Recorded] = deque()
        self._most_rows = most_rows
        self.paused = False
        """Nothing is recorded: the month's data are used up."""
        self.recorded = self.lost = 0
        """Rows sent, and rows given up because the disk refused for too long."""
        self.waiting = 0
        """Rows for the next commit."""

    def __bool__(self) -> bool:
        return bool(self._tags)

    def feed(self, rows: Iterable[Row]) -> None:
        """Takes rows named `device.tag`, each tag's in time order; those of other tags are left alone."""
        if not self._tags:
            return
        for row in rows:
            tag = self._tags.get(row.tag)
            if tag is None:
                continue
            tag.now = row
            if tag.every or self._is_news(tag, row):
                if row.t_ns - tag.sent_ns < tag.rule.at_most_every_ns and row.quality == tag.quality:
                    tag.held = row
                    self._holding[row.tag] = tag
                else:
                    self._send(tag, row, row.t_ns)

    def confirmed(self, device: str, reading: Reading) -> None:
        """What a reading confirmed: values that have stayed the same for long are said again."""
        if reading.t_ns < self._repeat_ns.get(device, _NEVER):
            return
        seen, next_ns = set(reading.confirmed), _NEVER
        for short, tag in self._devices[device]:
            due_ns = tag.sent_ns + tag.rule.at_least_every_ns
            if due_ns <= reading.t_ns and short in seen and tag.now is not None and tag.held is None:
                self._send(tag, tag.now, reading.t_ns)
                due_ns = reading.t_ns + tag.rule.at_least_every_ns
            next_ns = min(next_ns, max(due_ns, reading.t_ns + 1))
        self._repeat_ns[device] = next_ns

    def tick(self, now_ns: int) -> None:
        """Sends what was held long enough."""
        for name, tag in list(self._holding.items()):
            if tag.held is None:
                del self._holding[name]
            elif now_ns - tag.sent_ns >= tag.rule.at_most_every_ns:
                self._send(tag, tag.held, tag.held.t_ns)
                del self._holding[name]

    def take(self) -> list[Recorded]:
        """What is to be stored now, oldest first."""
        rows: dict[str, list[Kept]] = {}
        for name, tag in self._tags.items():
            if tag.rows:
                rows[name], tag.rows = tag.rows, []
        out = [*self._back, rows] if rows else [*self._back]
        self._back.clear()
        self.waiting = 0
        return out

    def put_back(self, taken: Iterable[Recorded]) -> None:
        """What could not be stored; the oldest is given up if there is too much of it."""
        self._back.extendleft(reversed(list(taken)))
        total = sum(map(_rows, self._back))
        while total > self._most_rows and self._back:
            gone = _rows(self._back.popleft())
            self.lost += gone
            total -= gone

    def shift(self, by_ns: int) -> None:
        """Gateway time was wrong: what waits has other times now, and so has what was sent."""
        by_us = by_ns // 1000
        for tag in self._tags.values():
            tag.rows = [kept._replace(t_us=kept.t_us + by_us) for kept in tag.rows]
            tag.held = tag.held and tag.held._replace(t_ns=tag.held.t_ns + by_ns)
            if tag.sent_us >= 0:
                tag.sent_us, tag.sent_ns = tag.sent_us + by_us, tag.sent_ns + by_ns
        self._repeat_ns = {
            name: t_ns if t_ns in (_NEVER, _AT_ONCE) else t_ns + by_ns for name, t_ns in self._repeat_ns.items()
        }

    def _is_news(self, tag: _Tag, row: Row) -> bool:
        """Whether the row differs enough from what was sent; if not, nothing that was held is worth sending either."""
        band = tag.rule.deadband
        if band is None or row.quality != tag.quality or _not_number(row.value) or _not_number(tag.sent):
            return True
        if abs(row.value - tag.sent) >= band:
            return True
        tag.held = None
        return False

    def _send(self, tag: _Tag, row: Row, t_ns: int) -> None:
        held, tag.held = tag.held, None
        if held is not None and held is not row and row.quality != tag.quality:
            self._send(tag, held, held.t_ns)  # the last that was known before it changed
        tag.sent_ns, tag.sent, tag.quality = t_ns, row.value, row.quality
        if self.paused:
            return
        tag.sent_us = max(t_ns // 1000, tag.sent_us + 1)
        tag.rows.append(Kept(tag.sent_us, row.value if row.quality < Quality.BAD else None, int(row.quality)))
        self.recorded += 1
        self.waiting += 1


def _rows(recorded: Recorded) -> int:
    return sum(map(len, recorded.values()))


def _not_number(value: Any) -> bool:
    return not isinstance(value, (int, float))
