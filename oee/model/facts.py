"""Facts, losses and stops: what can be added up.

A fact row belongs to a key: machine, UTC minute, calendar class, business date,
shift and product. Its columns are int64 and additive: a key's value is the sum
of its rows, and a correction is one more row holding a difference. The stream
that authored a row and the row's number within machine and minute (`n`) make it
unique; both belong to the row's identity, not to what it says.
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

KEY_COLUMNS: Final = ("machine", "minute_ns", "calendar", "business_date", "shift", "product")
LOSS_KEY_COLUMNS: Final = (*KEY_COLUMNS, "state", "reason")
LOSS_COLUMNS: Final = ("ms", "pieces")


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
    """Loss rows: the fact's key, a state other than running and a reason (`""` = none given).

    sums: int64[n, 2], time [ms] and pieces counted while in that state. Over the reasons of
    a state the milliseconds sum to the fact's state column.
    """

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
class Stop:
    """One stretch in which a machine did not run, told whole.

    id: unique within the machine: `<start in ms since 1970>`.
    end_ns: None while it lasts. A stop that a correction made vanish has `end_ns == start_ns`.
    state: any but running; `unknown` too, so that stops and coverage give the whole timeline.
    by: who said so: `plc`, `count` (a gap between pieces), `product` (a product change),
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


Table = TypeVar("Table", Facts, Losses)


def _text(values: Sequence[str] | Text) -> Text:
    out = np.empty(len(values), object)
    out[:] = values
    return out


def make_facts(keys: Sequence[tuple[str, int, int, int, str, str]], sums: Int64, n: Int64 | None = None) -> Facts:
    """Facts from key tuples in the order of `KEY_COLUMNS` and their sums."""
    columns = list(zip(*keys, strict=True)) if keys else [()] * len(KEY_COLUMNS)
    return Facts(
        _text(columns[0]),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.uint8),
        np.array(columns[3], np.int32),
        _text(columns[4]),
        _text(columns[5]),
        sums.reshape(len(keys), len(FACT_COLUMNS)),
        np.zeros(len(keys), np.int64) if n is None else n,
    )


def make_losses(
    keys: Sequence[tuple[str, int, int, int, str, str, int, str]], sums: Int64, n: Int64 | None = None
) -> Losses:
    """Losses from key tuples in the order of `LOSS_KEY_COLUMNS` and their sums."""
    columns = list(zip(*keys, strict=True)) if keys else [()] * len(LOSS_KEY_COLUMNS)
    return Losses(
        _text(columns[0]),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.uint8),
        np.array(columns[3], np.int32),
        _text(columns[4]),
        _text(columns[5]),
        np.array(columns[6], np.uint8),
        _text(columns[7]),
        sums.reshape(len(keys), len(LOSS_COLUMNS)),
        np.zeros(len(keys), np.int64) if n is None else n,
    )


NO_FACTS: Final = make_facts([], np.zeros((0, len(FACT_COLUMNS)), np.int64))
NO_LOSSES: Final = make_losses([], np.zeros((0, len(LOSS_COLUMNS)), np.int64))


def fact_keys(facts: Facts) -> list[tuple[str, int, int, int, str, str]]:
    """Each row's key as a tuple, in the order of `KEY_COLUMNS`."""
    return list(
        zip(
            facts.machine.tolist(),
            facts.minute_ns.tolist(),
            facts.calendar.tolist(),
            facts.business_date.tolist(),
            facts.shift.tolist(),
            facts.product.tolist(),
            strict=True,
        )
    )


def loss_keys(losses: Losses) -> list[tuple[str, int, int, int, str, str, int, str]]:
    """Each row's key as a tuple, in the order of `LOSS_KEY_COLUMNS`."""
    return list(
        zip(
            losses.machine.tolist(),
            losses.minute_ns.tolist(),
            losses.calendar.tolist(),
            losses.business_date.tolist(),
            losses.shift.tolist(),
            losses.product.tolist(),
            losses.state.tolist(),
            losses.reason.tolist(),
            strict=True,
        )
    )


def select(table: Table, rows: Any) -> Table:
    """The rows that an index array, slice or boolean mask names."""
    return replace(table, **{name: getattr(table, name)[rows] for name in table.__dataclass_fields__})


def join(tables: Sequence[Table]) -> Table:
    """The rows of all tables, one after another; there must be at least one table."""
    names = list(tables[0].__dataclass_fields__)
    return replace(tables[0], **{name: np.concatenate([getattr(table, name) for table in tables]) for name in names})


def add_up(tables: Iterable[Facts]) -> Facts:
    """Rows of equal key added together, in order of first appearance; `n` is dropped."""
    total: dict[tuple[str, int, int, int, str, str], Int64] = {}
    for table in tables:
        for key, row in zip(fact_keys(table), table.sums, strict=True):
            total[key] = total[key] + row if key in total else row
    return make_facts(list(total), np.array(list(total.values()), np.int64))


def add_up_losses(tables: Iterable[Losses]) -> Losses:
    """Loss rows of equal key added together, in order of first appearance; `n` is dropped."""
    total: dict[tuple[str, int, int, int, str, str, int, str], Int64] = {}
    for table in tables:
        for key, row in zip(loss_keys(table), table.sums, strict=True):
            total[key] = total[key] + row if key in total else row
    return make_losses(list(total), np.array(list(total.values()), np.int64))
