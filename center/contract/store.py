"""Contract of a store: rows of facts, losses, stops and process values.

`Store` is what every store does. The other protocols are optional capabilities: whoever needs one checks for it with
`isinstance`. `tests/center/test_store_conformance.py` runs one suite over all stores.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from center.contract.streams import StreamKey
from center.model.buckets import Bucket
from oee.model.facts import NO_BINS, CycleBins, Facts, Int64, Losses, Stop
from oee.model.states import State
from wire.marks import Marks
from wire.values import NO_VALUES, Values

HOURS: Final = "hours"
"""Stream id of hourly sums whose minute rows have been deleted. Gateways use hexadecimal ids, so it cannot collide."""
MAX_ROWS_PER_MINUTE: Final = 60_000
"""Rows of one machine and minute. A store whose identity is series and time puts row n at minute + n ms."""


class StoreUnavailable(Exception):
    """The store or the ledger cannot be reached or refuses writes for now; the message says why. A retry helps, and
    gateways keep their envelopes meanwhile.
    """


class StoreRefused(Exception):
    """The store understood the write and refuses its content. A retry cannot help, a smaller batch may."""


@dataclass(frozen=True)
class Origin:
    """Who authored rows: site and gateway of the topic, stream of the envelope."""

    site: str
    gateway: str
    stream: str


@dataclass(frozen=True)
class RowBatch:
    """Validated rows of one envelope of kind `facts` or `values`."""

    origin: Origin
    seq: int
    facts: Facts
    losses: Losses
    stops: Sequence[Stop]
    values: Values = NO_VALUES
    cycles: CycleBins = NO_BINS


@dataclass(frozen=True)
class Query:
    """Which rows to sum.

    start_ns, end_ns: half-open, on whole minutes [ns UTC]. machines: empty for all of the site.
    zone: IANA name of the site's time zone. Buckets of hour are local clock hours; shift, day, week (ISO) and month
    follow the business date that the gateway assigned.
    by: key columns to group by (`machine`, `shift`, `product`, `calendar`; for losses also `state`, `reason`). Key
    columns that are not grouped by are '' (text) or 0 in the answer.
    """

    site: str
    start_ns: int
    end_ns: int
    zone: str = "UTC"
    machines: Sequence[str] = ()
    bucket: Bucket = "all"
    by: Sequence[str] = field(default_factory=lambda: ("machine", "calendar"))


@dataclass(frozen=True)
class BeginSpans:
    """Times in which stops of these machines may begin: half-open spans [ns UTC], disjoint, in order."""

    machines: Sequence[str]
    start_ns: Int64
    end_ns: Int64


@dataclass(frozen=True)
class StopQuery:
    """Which stops, in which order, and which part of them.

    start_ns, end_ns: a stop is wanted if its latest revision overlaps this half-open window [ns UTC] and was not deleted
    (a stop of no length). machines: empty for all of the site. states, reasons, products: one of each; empty excludes
    none, and the reason "" is none at all. shortest_ns: of the whole stop; one that goes on is as long as until now_ns.
    began_in: only stops that began within these spans; with others_last the rest comes too, after all of these; None:
    whenever they began. order: by machine and start, the latest or the longest first. first, most: so many are skipped,
    and at most so many returned.
    """

    site: str
    start_ns: int
    end_ns: int
    machines: Sequence[str] = ()
    states: Sequence[State] = ()
    reasons: Sequence[str] = ()
    products: Sequence[str] = ()
    shortest_ns: int = 0
    now_ns: int = 0
    began_in: Sequence[BeginSpans] | None = None
    others_last: bool = False
    order: Literal["machine", "latest", "longest"] = "machine"
    first: int = 0
    most: int | None = None

    def part(self, first: int, most: int | None) -> "StopQuery":
        """The same question about another part of its answer."""
        return replace(self, first=first, most=most)


@dataclass(frozen=True)
class StopPage:
    """The part that was asked for, and how many stops there are without `first` and `most`."""

    stops: list[Stop]
    total: int


@dataclass(frozen=True)
class ValueQuery:
    """Which process values: of these tags (`device.tag`) the first `limit` rows in `[start_ns, end_ns)`, and each tag's
    last row within `back_ns` before the window, which still held when it began. gateway: "" for all of the site.
    """

    site: str
    tags: Sequence[str]
    start_ns: int
    end_ns: int
    back_ns: int
    limit: int
    gateway: str = ""


@dataclass(frozen=True)
class BinsQuery:
    """Process values in `count` bins of `width_s` from `start_ns` (on a whole second) on; and each tag's last row within
    `back_ns` before them. gateway: "" for all of the site.
    """

    site: str
    tags: Sequence[str]
    start_ns: int
    width_s: int
    count: int
    back_ns: int
    gateway: str = ""

    @property
    def end_ns(self) -> int:
        """The end of the last bin."""
        return self.start_ns + self.width_s * self.count * 1_000_000_000


@dataclass(frozen=True)
class ValueBins:
    """Bins that have rows, by tag and bin. tag: object[n]; bin: int64[n], -1 for the row before the first bin; low, high,
    last: float64[n], lowest, highest and last number of the bin's rows, `last` NaN where the last row has none; lost: bool[n],
    whether any row has no number: bad, a gap, or a text.
    """

    tag: NDArray[Any]
    bin: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    last: NDArray[np.float64]
    lost: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.bin)

    def of(self, tag: str) -> "ValueBins":
        """The bins of one tag."""
        rows = self.tag == tag
        return ValueBins(*(column[rows] for column in (self.tag, self.bin, self.low, self.high, self.last, self.lost)))


class Store(Protocol):
    """A time-series store of facts, losses and stops.

    Rows are immutable and additive. A fact's identity is (site, stream, machine, minute, n); losses have the same
    identity with an n of their own. Writing a row again changes nothing, in any order and after any crash. A key's
    value is the sum of its rows, and the store never computes a ratio. A stop's identity is (site, machine, id); its
    highest revision wins, in whatever order revisions arrive.

    `write` returns only when everything given would survive a kill of this process and of the store: it is followed by
    the receipt that lets a gateway delete the only other copy. After `StoreUnavailable` it may be called again with
    the same batches.
    """

    def write(self, batches: Iterable[RowBatch]) -> None:
        """Stores the batches: all of them, or any part of them if `StoreUnavailable` is raised."""
        ...

    def facts(self, query: Query) -> Facts:
        """Sums ordered by bucket, then by group. `minute_ns` is the start of the bucket (for shift, day, week and
        month: local midnight of the business date, of Monday, of the first of the month, as ns UTC). Buckets without
        rows are left out: only the caller knows the calendar.
        """
        ...

    def losses(self, query: Query) -> Losses:
        """The same for losses."""
        ...

    def stops(self, query: StopQuery) -> StopPage:
        """The wanted stops as of their latest revisions. Only what is asked for becomes objects: a month of one machine
        may have 25,000 stops, of which a page shows twelve.
        """
        ...

    def close(self) -> None:
        """Flushes and frees resources."""
        ...


@runtime_checkable
class RolledUp(Protocol):
    """A store that keeps hourly and daily sums beside its minute rows.

    Outdated sums are never read, so answers are the same before, during and after a roll-up. `retention_ns`: minute
    rows older than this are deleted (0: never), sums never; `center.model.retention` says from when on rows are late.
    `aside`: by site and start [ns UTC] the hours that could not be added up, and why. They are tried again when their rows
    change and after a restart, are read row by row meanwhile, and keep no other hour from being added up.
    """

    retention_ns: int
    aside: Mapping[tuple[str, int], str]

    def roll_up(self, now_ns: int, *, leased: bool, answers: bool = True) -> bool:
        """Does one short step of the pending work; True if there may be more.

        leased: of all processes on the store this one may write shared sums; the others maintain only what is theirs
        alone. answers: this process answers queries. Raises `StoreUnavailable`.
        """
        ...


class HourlySums(Protocol):
    """The sums of hours and days that a store keeps beside its rows."""

    def recount(self, site: str, start_ns: int, end_ns: int) -> int:
        """Outdates the sums of a window's hours, because somebody changed rows in the store by hand: they are added up
        again from what is there now. Hours whose rows are deleted by age stay as they are. Returns how many hours.
        Raises `StoreUnavailable`.
        """
        ...


@runtime_checkable
class Recountable(Protocol):
    """A store whose sums can be outdated by hand."""

    hours: HourlySums


class MarkStore(Protocol):
    """How far each stream is settled, kept beside the rows."""

    def save(self, marks: Mapping[StreamKey, Marks], writer: str = "") -> None:
        """Keeps the marks of these streams; called after `write` and before the ledger commits. writer: which of
        several processes saves; each writer's marks are kept apart, and `load` returns their union. Raises
        `StoreUnavailable`.
        """
        ...

    def load(self) -> dict[StreamKey, Marks]:
        """The marks of all streams ever saved. Raises `StoreUnavailable`."""
        ...


@runtime_checkable
class KeepsMarks(Protocol):
    """A store whose ledger lies elsewhere. It keeps a copy of the marks, so that after a restore of either one the two
    can be compared; what only one of them knows is requested from the gateways again.
    """

    marks: MarkStore


@runtime_checkable
class KeepsValues(Protocol):
    """A store that also keeps process values; `write` takes them with the batches. A value's identity is site, gateway,
    tag and time.
    """

    def values(self, query: ValueQuery) -> dict[str, Values]:
        """By gateway the rows found, ordered by tag and time. Raises `StoreUnavailable`."""
        ...

    def forget_values(self, before_ns: int) -> None:
        """Deletes process values older than that. Raises `StoreUnavailable`."""
        ...


@runtime_checkable
class KeepsCycles(Protocol):
    """A store that also keeps histograms of cycle times; `write` takes them with the batches. A bin's identity is (site, stream,
    machine, hour, n, bin); it is kept as long as minute rows are.
    """

    def cycles(self, site: str, start_ns: int, end_ns: int, machines: Sequence[str] = ()) -> CycleBins:
        """CycleTimes of the hours that begin in `[start_ns, end_ns)`, added up by machine, business date, shift, product and bin, in
        that order; bins of zero are left out. `minute_ns`, `calendar` and `n` are 0. machines: empty for all of the site.
        Raises `StoreUnavailable`.
        """
        ...


@runtime_checkable
class BinsValues(Protocol):
    """A store that finds the extremes of process values itself, so that a month of seconds is a thousand bins."""

    def value_bins(self, query: BinsQuery) -> dict[str, ValueBins]:
        """By gateway the bins that have rows. Raises `StoreUnavailable`."""
        ...


class SeriesCount(Protocol):
    """Of a store in which each combination of names costs memory and time for ever, whatever it holds."""

    def read(self, sites: Collection[str]) -> None:
        """Prepares `part` for rows of these sites. Raises `StoreUnavailable`."""
        ...

    def part(self, batch: RowBatch, most_a_day: int, planned: set[int]) -> tuple[RowBatch, int]:
        """The batch without rows that would bring more new series than its gateway may, and how many rows are left out.
        most_a_day: new series; those of five days at once. planned: new ones of batches that are not written yet, to which
        those of this one are added. Asks no server.
        """
        ...


@runtime_checkable
class CountsSeries(Protocol):
    """A store that knows which series are new, and who brings them."""

    series: SeriesCount


@runtime_checkable
class ForgetsMachines(Protocol):
    """A store that can delete all rows of a machine."""

    def forget_machine(self, site: str, machine: str) -> None:
        """Deletes facts, losses, stops and cycles of the machine, and all sums of them. Returns when no answer contains them any
        more; after `StoreUnavailable` some may be left, and it may be called again.
        """
        ...


@runtime_checkable
class Exportable(Protocol):
    """A store that can return its rows as they were written, so that they can be copied into another store."""

    def extent(self) -> dict[str, tuple[int, int]]:
        """By site the time from its first row to the end of the last one's minute [ns UTC]."""
        ...

    def rows(self, site: str, start_ns: int, end_ns: int) -> Iterator[RowBatch]:
        """Facts, losses and cycles of the minutes in the window and all revisions of stops that begin in it, with their
        identities: one batch for each stream (its gateway is unknown: ""). Then process values, one batch for each
        gateway.
        """
        ...
