"""The verdict on each tag after a few seconds of reading. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import gcd
from typing import Any, Final

from adapters.contract import Fault, Row
from config.devices.device import STALE_PERIODS
from oee.engine.counters import CounterState, count
from oee.engine.counting.limits import RUNS
from oee.model.machine import Counter
from oee.model.samples import Series, series
from oee.model.states import Quality
from tools.check.uses import Counting, Use

TINY: Final = 1e-30
HUGE: Final = 1e30
"""A float beyond these is no measurement, but two integers or a float in another byte order."""
BYTE: Final = 256
WORD: Final = 65536
UNREADABLE: Final = "\ufffd"
"""Stands in a text for bytes that could not be decoded."""
FAR_OFF_S: Final = 60.0
STILL_CYCLES: Final = 3


@dataclass
class DeviceObservation:
    """A device as it was read for a while. rows, confirmed_ns: by tag; read_s: how long each read took;
    fault: why it could not be read (at the end); lost: how often the connection was lost; notes: by tag, what
    `DeviceKind.diagnose` found.
    """

    name: str
    fault: Fault | None = None
    connect_s: float | None = None
    read_s: list[float] = field(default_factory=list)
    lost: int = 0
    rows: dict[str, list[Row]] = field(default_factory=dict)
    confirmed_ns: dict[str, int] = field(default_factory=dict)
    from_ns: int = 0
    until_ns: int = 0
    notes: dict[str, Fault] = field(default_factory=dict)
    latency_s: float | None = None
    granted_s: float | None = None

    @property
    def warnings(self) -> list[Fault]:
        """What is wrong with the device although it is read."""
        slow = []
        if self.granted_s is not None and self.fault is None:
            slow = [Fault("slow_publishing", "warn", {"seconds": f"{self.granted_s:g}"})]
        if not self.lost or self.fault is not None:
            return slow
        values = {"times": str(self.lost), "seconds": f"{(self.until_ns - self.from_ns) / 1e9:.0f}"}
        return [*slow, Fault("connection_lost", "warn", values)]

    def column(self, tag: str) -> Series:
        """A tag's rows as a series."""
        return series((row.t_ns, row.value, row.quality) for row in self.rows.get(tag, ()))


@dataclass(frozen=True)
class TagReport:
    """The verdict on one tag. address: as people find it at the device; changes: how often its value changed."""

    name: str
    address: str
    unit: str
    value: Any
    quality: str
    age_s: float | None
    source_age_s: float | None
    latency_s: float | None
    changes: int
    use: Use
    faults: tuple[Fault, ...]

    @property
    def failed(self) -> bool:
        """Whether it cannot be used as it is."""
        return any(fault.severity == "fail" for fault in self.faults)

    @property
    def read(self) -> bool:
        """Whether a value was read."""
        return self.quality in {"good", "uncertain"}

    @property
    def plausible(self) -> bool | None:
        """Whether the value is plausible; None without a value."""
        return not self.failed if self.read else None

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "tag": self.name, "address": self.address, "value": self.value, "unit": self.unit,
            "quality": self.quality, "age_s": self.age_s, "source_age_s": self.source_age_s,
            "latency_s": self.latency_s, "changes": self.changes, "moving": self.changes > 0,
            "plausible": self.plausible, "machines": list(self.use.machines),
            "faults": [fault.as_json() for fault in self.faults], "ok": not self.failed,
        }  # fmt: skip


@dataclass(frozen=True)
class TagDescription:
    """What the site file says about a tag."""

    address: str
    unit: str
    period_s: float
    stale_after_s: float
    word_order: bool
    """Whether words could be swapped: two registers or more."""
    byte_order: bool = False
    """Whether the bytes of an integer could be swapped."""
    gives_times: bool = False
    """Whether values of this kind carry the device's own time."""


def tag_report(device: DeviceObservation, tag: str, facts: TagDescription, use: Use) -> TagReport:
    """One tag's report, without the fault that needs its machine's state (`with_still_counter`)."""
    rows = device.rows.get(tag, [])
    last = rows[-1] if rows else None
    good = [row for row in rows if row.quality <= Quality.UNCERTAIN]
    value = last.value if last is not None and last.quality <= Quality.UNCERTAIN else None
    quality = last.quality.name.lower() if last is not None else "none"
    confirmed_ns = device.confirmed_ns.get(tag)
    age_s = None if confirmed_ns is None else max(0.0, (device.until_ns - confirmed_ns) / 1e9)
    source_age_s = None
    if last is not None and last.source_ns is not None:
        source_age_s = (device.until_ns - last.source_ns) / 1e9
    changes = sum(1 for one, other in pairwise(good) if one.value != other.value)
    faults: list[Fault] = []
    if device.fault is not None:
        faults.append(device.fault)
    elif last is None or age_s is None:
        faults.append(device.notes.get(tag, Fault("never_seen")))
    elif quality in {"bad", "gap"}:
        faults.append(device.notes.get(tag, Fault("bad_quality")))
    else:
        faults += _implausible(value, good, facts, use)
        faults += _counting(device, tag, use, changes)
        limit_s = max(facts.stale_after_s, STALE_PERIODS * (device.granted_s or 0.0))
        if age_s > limit_s:
            faults.append(Fault("stale", values={"age": f"{age_s:.1f}", "limit": f"{limit_s:g}"}))
        if changes and source_age_s is None and facts.gives_times:
            faults.append(Fault("no_source_time", "warn"))
        if changes and source_age_s is not None and abs(source_age_s) > FAR_OFF_S:
            faults.append(Fault("clock_off", "warn", {"seconds": f"{source_age_s:.0f}"}))
    return TagReport(
        f"{device.name}.{tag}", facts.address, facts.unit, value, quality, age_s, source_age_s,
        device.latency_s, changes, use, tuple(faults),
    )  # fmt: skip


def _implausible(value: Any, good: Sequence[Row], facts: TagDescription, use: Use) -> list[Fault]:
    if isinstance(value, str):
        unreadable = [Fault("unreadable_text", "warn", {"value": value})] if UNREADABLE in value else []
        if use.is_number:
            return [Fault("text_for_number", values={"value": value})]
        return [Fault("text_counter")] if use.counts else unreadable
    if use.is_text and value is not None:
        return [Fault("number_for_text", values={"value": str(value)})]
    if isinstance(value, float) and value != 0 and not TINY < abs(value) < HUGE:
        return [Fault("odd_float", values={"value": f"{value:.3g}"})]
    return [] if isinstance(value, bool | float) else _swapped(value, good, facts, use)


def _swapped(value: Any, good: Sequence[Row], facts: TagDescription, use: Use) -> list[Fault]:
    """What the steps of an integer say about the order of its bytes: a count moves by little."""
    if not (facts.word_order or facts.byte_order):
        return []
    steps = [other.value - one.value for one, other in pairwise(good) if other.value != one.value]
    smallest = gcd(*steps)
    if facts.word_order and steps:
        for step, code in ((BYTE * WORD, "bytes_reversed"), (WORD, "words_swapped")):
            if smallest % step == 0:
                return [Fault(code, values={"value": str(value)})]
    if facts.word_order and use.counts and not steps and value and value % WORD == 0:
        return [Fault("words_maybe_swapped", "warn", {"value": str(value), "swapped": str(value // WORD)})]
    if facts.byte_order and use.counts and steps and smallest % BYTE == 0 and value % BYTE == 0:
        return [Fault("bytes_swapped", "warn", {"value": str(value)})]
    return []


def _counting(device: DeviceObservation, tag: str, use: Use, changes: int) -> list[Fault]:
    faults: list[Fault] = []
    for item in use.counts:
        if item.pulse:
            reads = len(device.read_s)
            if changes >= 4 and changes > 0.4 * reads:
                values = {"changes": str(changes), "reads": str(reads)}
                faults.append(Fault("pulse_at_limit", values=values))
            continue
        column = device.column(tag)
        if column.value.dtype.kind not in "iuf":
            continue
        counter = Counter(tag, item.bits, max_per_s=item.max_per_s)
        counted, _ = count(counter, CounterState(), column, item.limits, RUNS)
        faults += [
            Fault("counter_odd", "warn", {"kind": kind, "old": str(old), "new": str(new)})
            for _, kind, old, new in counted.oddities[:1]
        ]
        faults += _too_fast(item, int(counted.count.sum()), (device.until_ns - device.from_ns) / 1e9)
    return [fault for place, fault in enumerate(faults) if fault not in faults[:place]]


def _too_fast(item: Counting, pieces: int, for_s: float) -> list[Fault]:
    """A warning if there were clearly more counts than the shortest ideal time allows: over 50 % more, and more than two."""
    if item.fastest_per_s is None or pieces <= 1.5 * item.fastest_per_s * for_s + 2:
        return []
    values = {"rate": f"{pieces / for_s:.2f}", "ideal": f"{item.fastest_per_s:.2f}", "machine": item.machine}
    return [Fault("faster_than_ideal", "warn", values)]


def with_still_counter(report: TagReport, running: Mapping[str, "RunningMachine"]) -> TagReport:
    """The report, with a warning if a machine ran for several cycles and its counter did not move."""
    for item in report.use.counts:
        run = running.get(item.machine)
        if run is None or item.role not in {"total", "good"} or not report.read or report.changes:
            continue
        if run.for_s * run.counts_per_s > STILL_CYCLES:
            values = {"machine": item.machine, "seconds": f"{run.for_s:.0f}"}
            fault = Fault("counter_still", "warn", values)
            return replace(report, faults=(*report.faults, fault))
    return report


@dataclass(frozen=True)
class RunningMachine:
    """A machine that ran until the end. for_s: how long it was observed running [s]; counts_per_s: by the ideal time of
    its product, 0 if unknown.
    """

    for_s: float
    counts_per_s: float
