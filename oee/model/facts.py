"""Facts, losses and cycles: additive tables. Stops: intervals. Pure.

Facts, losses and cycles are kinds of one additive table: key columns (`KEYS`) and int64 sums (`COLUMNS`). A key's value is
the sum of its rows, and a correction is one more row that holds a difference. The stream that authored a row and the
row's number within its machine and minute (`n`) identify the row; they are not part of its key.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from oee.model.states import State

Int64 = NDArray[np.int64]
Text = NDArray[Any]  # object dtype, str

MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS
MS_NS: Final = 1_000_000
UNKNOWN_PRODUCT: Final = "?"
NO_SHIFT: Final = "-"

STATE_COLUMNS: Final = tuple(f"{state.word}_ms" for state in State)

FACT_COLUMNS: Final[tuple[str, ...]] = (
    # time in each state [ms]; unknown is a diagnostic, readers compute it from the calendar
    *STATE_COLUMNS,
    # the part of running and minor stops during which the ideal time was known [ms]
    "running_ideal_known_ms",
    "minor_stop_ideal_known_ms",
    # watched pieces; judged = good + rework + startup_reject + process_reject
    "pieces_total",
    "pieces_judged",
    "pieces_good",
    "pieces_rework",
    "pieces_startup_reject",
    "pieces_process_reject",
    "pieces_without_ideal",
    # made across an outage
    "pieces_unwatched",
    "pieces_unwatched_good",
    # ideal time x pieces [us]
    "ideal_total_us",
    "ideal_judged_us",
    "ideal_good_us",
    "ideal_rework_us",
    "ideal_startup_reject_us",
    "ideal_process_reject_us",
    "ideal_unwatched_us",
    "ideal_unwatched_good_us",
    "cycles",
    # closed stops and failures, booked where they started
    "stops",
    "stops_ms",
    "failures",
    "failures_ms",
)
FACT: Final = {name: index for index, name in enumerate(FACT_COLUMNS)}

BINS_PER_OCTAVE: Final = 32
CYCLE_BINS: Final = 24 * BINS_PER_OCTAVE
"""From 1 ms to 4.7 h. Faster and slower cycles are in the first and in the last."""
CYCLE_COLUMNS: Final = tuple(f"b{number}" for number in range(CYCLE_BINS))
"""CycleTimes by bin. Bin b holds those whose time of one count is from 2^(b/32) to 2^((b+1)/32) ms: 2.2 % wide, and the same
whatever the ideal time is."""

KEY_COLUMNS: Final = ("machine", "minute_ns", "calendar", "business_date", "shift", "product")
LOSS_KEY_COLUMNS: Final = (*KEY_COLUMNS, "state", "reason")
LOSS_COLUMNS: Final = ("ms", "pieces")
_DTYPES: Final = {"minute_ns": np.int64, "calendar": np.uint8, "business_date": np.int32, "state": np.uint8}
"""Types of the key columns that are not text."""

RowKey = tuple[str, int, int, int, str, str, *tuple[Any, ...]]
"""A row's key in the order of its table's `KEYS`: that of a fact, and for losses the state and the reason after it."""


@dataclass(frozen=True)
class Facts:
    """Fact rows as columns of equal length n.

    machine, shift, product: object[n] of str; shift `-` outside shifts, product `?` unknown.
    minute_ns: int64[n], start of the minute (or of the bucket, after a roll-up) [ns UTC].
    calendar: uint8[n], `CalendarClass`.
    business_date: int32[n], days since 1970-01-01.
    sums: int64[n, len(FACT_COLUMNS)].
    n: int64[n], the row's number within machine and minute; zeros where it has none yet.
    """

    KEYS = KEY_COLUMNS
    COLUMNS = FACT_COLUMNS
    WIDTH_NS = MINUTE_NS
    machine: Text
    minute_ns: Int64
    calendar: NDArray[np.uint8]
    business_date: NDArray[np.int32]
    shift: Text
    product: Text
    sums: Int64
    n: Int64

    def __len__(self) -> int:
        return len(self.minute_ns)

    def column(self, name: str) -> Int64:
        """One additive column, int64[n]."""
        out: Int64 = self.sums[:, FACT[name]]
        return out


@dataclass(frozen=True)
class Losses:
    """Loss rows: the key of a fact, a state other than running and a reason (`""` where none was given).

    sums: int64[n, 2], time [ms] and pieces counted while in that state. Over the reasons of
    a state the milliseconds sum to the fact's state column.
    """

    KEYS = LOSS_KEY_COLUMNS
    COLUMNS = LOSS_COLUMNS
    WIDTH_NS = MINUTE_NS
    machine: Text
    minute_ns: Int64
    calendar: NDArray[np.uint8]
    business_date: NDArray[np.int32]
    shift: Text
    product: Text
    state: NDArray[np.uint8]
    reason: Text
    sums: Int64
    n: Int64

    def __len__(self) -> int:
        return len(self.minute_ns)


@dataclass(frozen=True)
class CycleTimes:
    """Histograms of cycle times: the key of a fact, but of an hour.

    minute_ns: int64[n], start of the hour [ns UTC]. sums: int64[n, CYCLE_BINS], cycles by bin (`CYCLE_COLUMNS`); a cycle
    belongs to where its last count was seen.
    """

    KEYS = KEY_COLUMNS
    COLUMNS = CYCLE_COLUMNS
    WIDTH_NS = HOUR_NS
    machine: Text
    minute_ns: Int64
    calendar: NDArray[np.uint8]
    business_date: NDArray[np.int32]
    shift: Text
    product: Text
    sums: Int64
    n: Int64

    def __len__(self) -> int:
        return len(self.minute_ns)


@dataclass(frozen=True)
class CycleBins:
    """The same row by row, as it is sent and stored: a row for each bin that is not zero. Rows of one histogram share its
    key and its `n`; bin: int64[n], of `CYCLE_BINS`; cycles: int64[n].
    """

    machine: Text
    minute_ns: Int64
    calendar: NDArray[np.uint8]
    business_date: NDArray[np.int32]
    shift: Text
    product: Text
    bin: Int64
    cycles: Int64
    n: Int64

    def __len__(self) -> int:
        return len(self.minute_ns)


AnyTable = Facts | Losses | CycleTimes
Table = TypeVar("Table", Facts, Losses, CycleTimes)
Rows = TypeVar("Rows", Facts, Losses, CycleTimes, CycleBins)


def text_column(values: Sequence[str] | str, length: int | None = None) -> Text:
    """An object column of strings, from a list or of one value repeated."""
    out = np.empty((length or 0) if isinstance(values, str) else len(values), object)
    out[:] = values
    return out


def numbered(column: Text) -> tuple[list[str], Int64]:
    """The different texts of a column in order, and the number of each row's among them, int64[n]."""
    values = column.tolist()
    names = sorted(set(values))
    number = {name: index for index, name in enumerate(names)}
    return names, np.fromiter(map(number.__getitem__, values), np.int64, len(values))


def same_text(value: str, length: int) -> Text:
    """One text in every row, held once; not to be written to."""
    return np.broadcast_to(text_column([value]), length)


def make_table(kind: type[Table], keys: Sequence[RowKey], sums: Int64, n: Int64 | None = None) -> Table:
    """A table from key tuples in the order of its `KEYS`, their sums, and row numbers (zeros where not given)."""
    values = zip(*keys, strict=True) if keys else ((),) * len(kind.KEYS)
    columns: dict[str, Any] = {name: _key_column(name, column) for name, column in zip(kind.KEYS, values, strict=True)}
    return kind(
        **columns,
        sums=sums.reshape(len(keys), len(kind.COLUMNS)),
        n=np.zeros(len(keys), np.int64) if n is None else n,
    )


def _key_column(name: str, values: tuple[Any, ...]) -> NDArray[Any]:
    return np.array(values, _DTYPES[name]) if name in _DTYPES else text_column(values)


NO_FACTS: Final = make_table(Facts, [], np.zeros((0, len(FACT_COLUMNS)), np.int64))
NO_LOSSES: Final = make_table(Losses, [], np.zeros((0, len(LOSS_COLUMNS)), np.int64))
NO_CYCLES: Final = make_table(CycleTimes, [], np.zeros((0, CYCLE_BINS), np.int64))
NO_BINS: Final = CycleBins(
    **{name: getattr(NO_CYCLES, name) for name in (*KEY_COLUMNS, "n")},
    bin=np.zeros(0, np.int64),
    cycles=np.zeros(0, np.int64),
)


def row_keys(table: AnyTable) -> list[RowKey]:
    """Each row's key as a tuple, in the order of the table's `KEYS`."""
    return list(zip(*(getattr(table, name).tolist() for name in table.KEYS), strict=True))


def sparse(row: Int64) -> tuple[list[int], list[int]]:
    """Where a row of sums is not zero, and what it is there."""
    places = np.flatnonzero(row)
    return places.tolist(), row[places].tolist()


def dense(places: Sequence[int], values: Sequence[int], width: int) -> Int64:
    """The row of sums that `sparse` took apart. Raises `ValueError` or `IndexError` for what it cannot have made."""
    out = np.zeros(width, np.int64)
    where = np.array(places, np.int64)
    if len(where) != len(values) or (where < 0).any():
        raise ValueError("no sums by place")
    out[where] = values
    return out


def select(table: Rows, rows: Any) -> Rows:
    """The rows that an index array, slice or boolean mask names."""
    return replace(table, **{name: getattr(table, name)[rows] for name in table.__dataclass_fields__})


def join(tables: Sequence[Table]) -> Table:
    """The rows of all tables, one after another; there must be at least one table."""
    names = [name for name in tables[0].__dataclass_fields__ if name != "sums"]
    columns = {name: np.concatenate([getattr(table, name) for table in tables]) for name in names}
    # the engine's sums lie column by column, since most columns are empty; they are copied as they lie
    sums = np.concatenate([table.sums.T for table in tables], axis=1).T
    return replace(tables[0], sums=sums, **columns)


def add_up(tables: Sequence[Table]) -> Table:
    """Rows of equal key added together, in order of first appearance, `n` zero; there must be at least one table."""
    total: dict[RowKey, Int64] = {}
    for table in tables:
        add_rows(total, zip(row_keys(table), table.sums, strict=True))
    return make_table(type(tables[0]), list(total), np.array(list(total.values()), np.int64))


def add_rows(total: dict[RowKey, Int64], rows: Iterable[tuple[RowKey, Int64]], sign: int = 1) -> None:
    """Adds the sums of these rows to `total`; sign -1 takes them away."""
    for key, row in rows:
        signed = row if sign == 1 else -row
        total[key] = total[key] + signed if key in total else signed


@dataclass(frozen=True)
class Stop:
    """One interval in which a machine did not run, not cut by minutes or shifts.

    id: unique within the machine: `<start in ms since 1970>`.
    end_ns: None while it lasts. A stop that a correction made vanish has `end_ns == start_ns`.
    state: any but running; `unknown` too, so that stops and coverage give the whole timeline.
    by: the source: `plc`, `count` (a gap between pieces), `product` (a product change),
      `calendar`, or the person who declared it.
    product, to_product: the product when it began, and for a changeover the one after it.
    revision: readers take the highest.
    """

    machine: str
    id: str
    start_ns: int
    end_ns: int | None
    state: State
    reason: str
    by: str
    product: str
    to_product: str
    revision: int
