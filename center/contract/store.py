"""What a store owes the center."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from center.contract.streams import StreamKey
from center.model.buckets import Bucket
from oee.model.facts import Facts, Losses, Stop
from wire.marks import Marks
from wire.values import NO_VALUES, Values

HOURS: Final = "hours"
"""The stream of rows that are sums of an hour whose minutes are gone; a gateway's are hexadecimal."""


@dataclass(frozen=True)
class Origin:
    """Who authored rows: the topic's site and gateway, and the envelope's stream."""

    site: str
    gateway: str
    stream: str


@dataclass(frozen=True)
class RowBatch:
    """The content of one envelope, `facts` or `values`, checked."""

    origin: Origin
    seq: int
    facts: Facts
    losses: Losses
    stops: Sequence[Stop]
    values: Values = NO_VALUES


@dataclass(frozen=True)
class Query:
    """Which rows to add up.

    start_ns, end_ns: half-open, on whole minutes [ns UTC]. machines: empty means all of the site.
    zone: IANA name of the site's time zone; buckets of hour are local clock hours; shift, day, week (ISO)
    and month follow the business date that the gateway assigned.
    by: further key columns to keep apart (`machine`, `shift`, `product`, `calendar`; for losses also
    `state`, `reason`). What is not kept apart is '' (text) or 0.
    """

    site: str
    start_ns: int
    end_ns: int
    zone: str = "UTC"
    machines: Sequence[str] = ()
    bucket: Bucket = "all"
    by: Sequence[str] = field(default_factory=lambda: ("machine", "calendar"))


@dataclass(frozen=True)
class ValueQuery:
    """Which process values: of these tags (`device.tag`) in `[start_ns, end_ns)`, the earliest `limit` rows; and each
    tag's last row within `back_ns` before, which held when the window began. gateway: "" means all of the site.
    """

    site: str
    tags: Sequence[str]
    start_ns: int
    end_ns: int
    back_ns: int
    limit: int
    gateway: str = ""


class StoreUnavailable(Exception):
    """The store cannot be reached or refuses to write for now; the message says why. Facts wait at the gateways."""


class StoreRefused(Exception):
    """The store understood the write and refuses its content: trying again cannot help, but a smaller batch may."""


class Store(Protocol):
    """A time-series store of facts, losses and stops.

    Rows are immutable and additive. A fact's identity is (site, stream, machine, minute, n), a loss's the same with
    its own n; writing a row again changes nothing, in any order and after any crash. A key's value is the sum of its
    rows, and the store never computes a ratio. A stop's identity is (site, machine, id); the highest revision wins
    whatever order they came in.

    `write` returns only when everything given would survive a kill of the process and of the store: the receipt that
    frees the gateway's only other copy follows at once. It raises `StoreUnavailable` and may then be called again with the
    same batches.
    """

    def write(self, batches: Iterable[RowBatch]) -> None:
        """Stores the batches, all or (on `StoreUnavailable`) any part of them."""
        ...

    def facts(self, query: Query) -> Facts:
        """Sums by bucket and group, ordered by bucket and then by group; `minute_ns` is the bucket's start (for shift,
        day, week and month: local midnight of the business date, of Monday, of the first, as ns UTC). Of buckets
        without rows nothing is returned: the caller knows the calendar.
        """
        ...

    def losses(self, query: Query) -> Losses:
        """The same for losses."""
        ...

    def stops(self, site: str, machines: Sequence[str], start_ns: int, end_ns: int) -> list[Stop]:
        """The latest revision of every stop that overlaps the window and has not vanished, by machine and start."""
        ...

    def close(self) -> None:
        """Drains and frees what it holds."""
        ...


@runtime_checkable
class RolledUp(Protocol):
    """A store that keeps sums of hours and days beside its minute rows.

    Sums that are not up to date are never used: answers are the same at any moment, before, while and after they are
    added up. `retention_ns`: minute rows that are older are deleted (0: never), sums never; `center.model.retention`
    says from when on rows come too late.
    """

    retention_ns: int

    def roll_up(self, now_ns: int, *, leased: bool, answers: bool = True) -> bool:
        """Does one short step of what is to be done; True if there may be more. leased: of all processes on the store
        this is the one that may write sums into it; others do no more than what is theirs alone. answers: this process
        answers questions. Raises `StoreUnavailable`.
        """
        ...


@runtime_checkable
class Marked(Protocol):
    """A store whose books lie elsewhere: it also keeps how far each stream is settled, so that books and store can be
    compared after either was restored or replaced. What only one of them knows is asked for again.
    """

    def settle(self, marks: Mapping[StreamKey, Marks], writer: str = "") -> None:
        """Keeps the marks of these streams; called after `write` and before the books. writer: of several processes
        the one that says so; what they say is kept apart and told together. Raises `StoreUnavailable`.
        """
        ...

    def marks(self) -> dict[StreamKey, Marks]:
        """The marks of all streams that were ever settled here."""
        ...


@runtime_checkable
class KeepsValues(Protocol):
    """A store that also keeps process values: `write` takes them with the batches. A value's identity is its site,
    gateway, tag and time.
    """

    def values(self, query: ValueQuery) -> dict[str, Values]:
        """By gateway the rows asked for, ordered by tag and time. Raises `StoreUnavailable`."""
        ...

    def forget_values(self, before_ns: int) -> None:
        """Deletes process values older than that. Raises `StoreUnavailable`."""
        ...


@runtime_checkable
class Movable(Protocol):
    """A store that gives its rows out as they were written, so that they can be copied into another."""

    def extent(self) -> dict[str, tuple[int, int]]:
        """By site the time from the first row to the end of the last one's minute [ns UTC]."""
        ...

    def rows(self, site: str, start_ns: int, end_ns: int) -> Iterator[RowBatch]:
        """Facts and losses of the minutes in the window and stops that begin in it, identities and all revisions
        included; a batch for each stream, whose gateway is not known and "". Then process values, a batch for each
        gateway.
        """
        ...
