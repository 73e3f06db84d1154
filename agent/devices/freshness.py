"""Freshness: until when each tag is confirmed. Pure: it is given the time.

A tag is in one of three conditions:

* never seen: nothing has been read yet; it is a gap from the start.
* fresh: its last row was still valid at `confirmed_ns`. What happened since is not known yet.
* gap: it was not confirmed for `stale_after`. The GAP row lies at the *last confirmation*, not at the time at
  which that was noticed, so that a value is never extended over silence. If the tag has a row in that millisecond, the
  GAP row lies 1 ms later: the engine floors times to milliseconds and keeps the last row of each, and a value that was
  read must not be lost.

The watermark of a tag is the time before which no more rows will come: the last confirmation while it is fresh, now
while it is a gap. Rows that a device dates before a watermark already given out are moved up to it.

`<device>.online` is a tag too: 1 while any tag of the device is confirmed, else 0, from the last confirmation on, and at
the start. It is never a gap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.contract import Reading, Row
from config.devices.device import STALE_PERIODS
from oee.model.states import Quality

ONLINE = "online"
_MS_NS = 1_000_000


@dataclass(slots=True)
class _Tag:
    """The state of one tag. full: `device.tag`; row_ns: its last row; value, quality: of its adapter's last row."""

    full: str
    stale_after_ns: int
    confirmed_ns: int | None = None
    row_ns: int = -(2**63)
    is_gap: bool = True
    value: Any = None
    quality: Quality = Quality.GAP


@dataclass(frozen=True)
class KnownValue:
    """A tag's last value. quality: `GAP` if it is not confirmed any more; t_ns: its row's time, confirmed_ns: until when
    it was confirmed [ns, of the readings]; None before the first.
    """

    value: Any
    quality: Quality
    t_ns: int | None
    confirmed_ns: int | None


class Freshness:
    """Turns readings into rows to append to the samples; names in and out are `device.tag`.

    A device that confirms its tags less often than was asked (`Reading.granted_s`) has three of its own periods.

    stale_after_s: for each device its tags' limits [s], see `config.devices.kinds.stale_after_s`.
    """

    def __init__(self, stale_after_s: Mapping[str, Mapping[str, float]]) -> None:
        self._promised_ns = -(2**63)
        self._tags: dict[str, dict[str, _Tag]] = {}
        self._granted_ns: dict[str, int] = {}
        for device, limits in stale_after_s.items():
            tags = {name: _Tag(f"{device}.{name}", round(limit_s * 1e9)) for name, limit_s in limits.items()}
            online = _Tag(f"{device}.{ONLINE}", max((tag.stale_after_ns for tag in tags.values()), default=0))
            self._tags[device] = {**tags, ONLINE: online}

    def start(self, now_ns: int, last_ns: Mapping[str, int] | None = None) -> list[Row]:
        """The rows with which a run begins: every tag unknown and every device offline, from its last confirmation in the
        previous run (`last_ns`, by `device.tag`), else from `now_ns` on.
        """
        confirmed_ns = last_ns or {}
        rows = []
        for tags in self._tags.values():
            for name, tag in tags.items():
                t_ns = min(confirmed_ns.get(tag.full, now_ns), now_ns)
                rows.append(self._gap_row(name, tag, t_ns))
        self._promised_ns = max(self._promised_ns, now_ns)
        return rows

    def fed(self, device: str, reading: Reading) -> list[Row]:
        """The rows of a reading, and for each tag that it confirms after a gap the last value again."""
        tags, t_ns = self._tags[device], reading.t_ns
        rows = [self._row(row, tags[row.tag]) for row in reading.rows]
        self._granted_ns[device] = 0 if reading.granted_s is None else round(STALE_PERIODS * reading.granted_s * 1e9)
        for name in reading.confirmed:
            tag = tags[name]
            if tag.is_gap and tag.quality is not Quality.GAP:
                rows.append(self._row(Row(name, t_ns, tag.value, tag.quality), tag))
            if tag.confirmed_ns is None or tag.confirmed_ns < t_ns:
                tag.confirmed_ns = max(t_ns, tag.row_ns)
        if reading.confirmed:
            online = tags[ONLINE]
            if online.is_gap:
                rows.append(self._row(Row(ONLINE, t_ns, 1, Quality.GOOD), online))
            online.confirmed_ns = max(t_ns, online.row_ns, online.confirmed_ns or t_ns)
        return rows

    def tick(self, now_ns: int) -> list[Row]:
        """The rows for tags that have gone stale by `now_ns`."""
        rows = []
        for device, tags in self._tags.items():
            granted_ns = self._granted_ns.get(device, 0)
            for name, tag in tags.items():
                limit_ns = max(tag.stale_after_ns, granted_ns)
                if not tag.is_gap and tag.confirmed_ns is not None and now_ns - tag.confirmed_ns >= limit_ns:
                    rows.append(self._gap_row(name, tag, tag.confirmed_ns))
        return rows

    def watermark_ns(self, tags: Iterable[str], now_ns: int) -> int:
        """The time [ns] up to which each of `tags` (`device.tag`) is confirmed or known to be a gap; no row that
        `fed` or `tick` gives from now on is earlier. Never later than `now_ns`.
        """
        mark_ns = now_ns
        for full in tags:
            device, _, name = full.partition(".")
            tag = self._tags[device][name]
            if not tag.is_gap and tag.confirmed_ns is not None:
                mark_ns = min(mark_ns, tag.confirmed_ns)
        self._promised_ns = max(self._promised_ns, mark_ns)
        return mark_ns

    def confirmed_ns(self) -> dict[str, int]:
        """The last confirmation of every tag that had one: the `last_ns` of `start` after a restart."""
        return {
            tag.full: tag.confirmed_ns
            for tags in self._tags.values()
            for tag in tags.values()
            if tag.confirmed_ns is not None
        }

    def known(self, device: str = "") -> dict[str, KnownValue]:
        """The last value of every tag (of one device), without `online`, by `device.tag`."""
        devices = [self._tags.get(device, {})] if device else self._tags.values()
        return {
            tag.full: KnownValue(
                tag.value,
                Quality.GAP if tag.is_gap else tag.quality,
                None if tag.confirmed_ns is None else tag.row_ns,
                tag.confirmed_ns,
            )
            for tags in devices
            for name, tag in tags.items()
            if name != ONLINE
        }

    def _row(self, row: Row, tag: _Tag) -> Row:
        _, t_ns, value, quality, source_ns = row
        floor_ns = self._promised_ns if tag.is_gap else tag.confirmed_ns
        if floor_ns is not None and t_ns < floor_ns:
            t_ns = floor_ns
        if t_ns <= tag.row_ns:
            t_ns = tag.row_ns + 1
        tag.row_ns, tag.is_gap, tag.value, tag.quality = t_ns, False, value, quality
        if tag.confirmed_ns is None or tag.confirmed_ns < t_ns:
            tag.confirmed_ns = t_ns
        return tuple.__new__(Row, (tag.full, t_ns, value, quality, source_ns))

    def _gap_row(self, name: str, tag: _Tag, t_ns: int) -> Row:
        tag.is_gap = True
        same_ms = t_ns // _MS_NS == tag.row_ns // _MS_NS
        tag.row_ns = max(t_ns + _MS_NS if same_ms else t_ns, tag.row_ns + 1)
        if name == ONLINE:
            return Row(tag.full, tag.row_ns, 0, Quality.GOOD)
        return Row(tag.full, tag.row_ns, None, Quality.GAP)
