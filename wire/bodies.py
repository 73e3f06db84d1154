"""Bodies of enveloped kinds and of the plain ones (`live`, `status`).

Tables travel as columns; additive columns that are zero throughout are left out,
minutes and hours are counted from 1970 and dates are days since 1970-01-01.
"""

from typing import Annotated, Any, Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oee.model import limits
from oee.model.facts import (
    CYCLE_BINS,
    FACT_COLUMNS,
    HOUR_NS,
    LOSS_COLUMNS,
    MINUTE_NS,
    NO_BINS,
    NO_CYCLES,
    NO_FACTS,
    NO_LOSSES,
    CycleBins,
    CycleTimes,
    Facts,
    Losses,
    Stop,
    make_table,
    sparse,
    text_column,
)
from oee.model.states import CLASS_BY_WORD, STATE_BY_WORD, CalendarClass, State
from wire.bounds import Count, Moment, Number, Seconds, ShownText, Text, Whole, first
from wire.envelope import Unsound

MOST_ROWS: Final = 20_000
"""Rows of facts, of losses, or stops of one envelope: ten times what an agent puts into one (`agent.compute.delta`)."""
MOST_BINS: Final = 100_000
"""Bins of histograms of one envelope."""
CYCLES: Final = "cycles"
"""What a center's receipt says (`Receipt.knows`) when it keeps histograms of cycle times."""
_MOST_RANGES: Final = 20_000
_MOST_WHY: Final = 1_000
_CUT: Final = first(1_000)
_Mark = Annotated[int, Field(ge=0, lt=2**63)]
_Counter = Annotated[int, Field(ge=-(2**64), le=2**64)]
"""What a counter of up to 64 bits shows."""
_Column = Annotated[list[int], Field(max_length=MOST_ROWS)]
_Texts = Annotated[list[Text], Field(max_length=MOST_ROWS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class _Lenient(BaseModel):
    """For messages that are only displayed: an older center ignores fields that a newer gateway adds. What is counted is
    strict: a body with unknown fields stays in quarantine until the center is upgraded.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class _Table(_Strict):
    machine: _Texts
    minute: _Column
    n: _Column
    calendar: _Texts
    date: _Column
    shift: _Texts
    product: _Texts
    sums: dict[str, _Column] = {}


class _LossTable(_Table):
    state: _Texts
    reason: _Texts


_Lists = Annotated[list[list[int]], Field(max_length=MOST_ROWS)]


class _CycleTable(_Strict):
    """bins: of each row the first bin and then the steps to the next ones; cycles: how many are in each of them."""

    machine: _Texts
    hour: _Column
    n: _Column
    calendar: _Texts
    date: _Column
    shift: _Texts
    product: _Texts
    bins: _Lists
    cycles: _Lists


class _StopRow(_Strict):
    machine: str
    id: str
    start_ns: int
    end_ns: int | None = None
    state: str
    reason: str = ""
    by: str = ""
    product: str = ""
    to_product: str = ""
    revision: int = 0


class _FactsBody(_Strict):
    facts: _Table | None = None
    losses: _LossTable | None = None
    stops: list[_StopRow] = Field([], max_length=MOST_ROWS)
    cycles: _CycleTable | None = None


class Rows(NamedTuple):
    """The content of a `facts` envelope."""

    facts: Facts
    losses: Losses
    stops: list[Stop]
    cycles: CycleBins


def _table(table: Facts | Losses, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "machine": table.machine.tolist(),
        "minute": (table.minute_ns // MINUTE_NS).tolist(),
        "n": table.n.tolist(),
        "calendar": [CalendarClass(code).word for code in table.calendar.tolist()],
        "date": table.business_date.tolist(),
        "shift": table.shift.tolist(),
        "product": table.product.tolist(),
        "sums": {name: table.sums[:, index].tolist() for index, name in enumerate(names) if table.sums[:, index].any()},
    }


def _histograms(table: CycleTimes) -> dict[str, Any]:
    rows = [sparse(row) for row in table.sums]
    return {
        "machine": table.machine.tolist(),
        "hour": (table.minute_ns // HOUR_NS).tolist(),
        "n": table.n.tolist(),
        "calendar": [CalendarClass(code).word for code in table.calendar.tolist()],
        "date": table.business_date.tolist(),
        "shift": table.shift.tolist(),
        "product": table.product.tolist(),
        "bins": [np.diff(places, prepend=0).tolist() for places, _ in rows],
        "cycles": [values for _, values in rows],
    }


def facts_body(facts: Facts, losses: Losses, stops: list[Stop], cycles: CycleTimes = NO_CYCLES) -> dict[str, Any]:
    """The content of a `facts` envelope."""
    body: dict[str, Any] = {}
    if len(facts):
        body["facts"] = _table(facts, FACT_COLUMNS)
    if len(losses):
        body["losses"] = _table(losses, LOSS_COLUMNS) | {
            "state": [State(code).word for code in losses.state.tolist()],
            "reason": losses.reason.tolist(),
        }
    if stops:
        body["stops"] = [
            {
                key: value
                for key, value in {
                    "machine": stop.machine,
                    "id": stop.id,
                    "start_ns": stop.start_ns,
                    "end_ns": stop.end_ns,
                    "state": stop.state.word,
                    "reason": stop.reason,
                    "by": stop.by,
                    "product": stop.product,
                    "to_product": stop.to_product,
                    "revision": stop.revision,
                }.items()
                if value not in (None, "")
            }
            for stop in stops
        ]
    if len(cycles):
        body["cycles"] = _histograms(cycles)
    return body


def _sums(table: _Table, names: tuple[str, ...]) -> "np.ndarray[Any, np.dtype[np.int64]]":
    rows = len(table.minute)
    for name in ("machine", "n", "calendar", "date", "shift", "product"):
        if len(getattr(table, name)) != rows:
            raise Unsound(f"column {name} has {len(getattr(table, name))} rows, minute has {rows}")
    sums = np.zeros((rows, len(names)), np.int64)
    for name, values in table.sums.items():
        if name not in names:
            raise Unsound(f"unknown column {name!r}")
        if len(values) != rows:
            raise Unsound(f"column {name} has {len(values)} rows, minute has {rows}")
        sums[:, names.index(name)] = values
    return sums


def read_facts_body(body: Any) -> tuple[Facts, Losses, list[Stop]]:
    """The same as `read_rows` without histograms."""
    return read_rows(body)[:3]


def read_rows(body: Any) -> Rows:
    """The tables in the content of a `facts` envelope.

    Raises `Unsound` if it is not of that shape, a column is unknown or too short, or a state or calendar class is unknown.
    """
    try:
        checked = _FactsBody.model_validate(body)
        facts, losses = NO_FACTS, NO_LOSSES
        if checked.facts:
            sums = _sums(checked.facts, FACT_COLUMNS)
            facts = make_table(Facts, _keys(checked.facts), sums, np.array(checked.facts.n, np.int64))
        if checked.losses:
            table = checked.losses
            sums = _sums(table, LOSS_COLUMNS)
            states = (int(STATE_BY_WORD[word]) for word in table.state)
            keys = [(*key, state, why) for key, state, why in zip(_keys(table), states, table.reason, strict=True)]
            losses = make_table(Losses, keys, sums, np.array(table.n, np.int64))
        stops = [Stop(**(row.model_dump() | {"state": STATE_BY_WORD[row.state]})) for row in checked.stops]
        cycles = _bins(checked.cycles) if checked.cycles else NO_BINS
    except ValidationError as error:
        first = error.errors()[0]
        raise Unsound(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (KeyError, ValueError, OverflowError) as error:
        raise Unsound(f"unreadable facts: {error}") from error
    return Rows(facts, losses, stops, cycles)


def _keys(table: _Table) -> list[tuple[str, int, int, int, str, str]]:
    return list(
        zip(
            table.machine,
            (minute * MINUTE_NS for minute in table.minute),
            (int(CLASS_BY_WORD[word]) for word in table.calendar),
            table.date,
            table.shift,
            table.product,
            strict=True,
        )
    )


def _bins(table: _CycleTable) -> CycleBins:
    rows = len(table.hour)
    for name in ("machine", "n", "calendar", "date", "shift", "product", "bins", "cycles"):
        if len(getattr(table, name)) != rows:
            raise Unsound(f"cycles: column {name} has {len(getattr(table, name))} rows, hour has {rows}")
    lengths = [len(row) for row in table.bins]
    if lengths != [len(row) for row in table.cycles]:
        raise Unsound("cycles: a row has more or fewer bins than cycles")
    if (total := sum(lengths)) > MOST_BINS:
        raise Unsound(f"cycles: {total} bins; at most {MOST_BINS} are read")
    bins = [np.cumsum(np.array(row, np.int64)) for row in table.bins]
    for steps, row in zip(table.bins, bins, strict=True):
        if any(step < 1 for step in steps[1:]) or not all(0 <= place < CYCLE_BINS for place in row.tolist()):
            raise Unsound(f"cycles: bins that do not ascend within 0 to {CYCLE_BINS - 1}")
    at = np.repeat(np.arange(rows), lengths)
    return CycleBins(
        text_column(table.machine)[at],
        np.array([hour * HOUR_NS for hour in table.hour], np.int64)[at],
        np.array([CLASS_BY_WORD[word] for word in table.calendar], np.uint8)[at],
        np.array(table.date, np.int32)[at],
        text_column(table.shift)[at],
        text_column(table.product)[at],
        np.concatenate([np.zeros(0, np.int64), *bins]),
        np.array([value for row in table.cycles for value in row], np.int64),
        np.array(table.n, np.int64)[at],
    )


class LiveCall(_Lenient):
    """A call for help that is open. kind: what help; step: how far it has come (`oee.model.calls`); since_ns: when it was made."""

    kind: ShownText
    step: ShownText
    since_ns: Moment


class LiveMachine(_Lenient):
    """What one machine is doing at this moment, for a screen; never counted."""

    state: ShownText
    since_ns: Moment
    reason: ShownText = ""
    product: ShownText = ""
    shift: ShownText = ""
    calendar: ShownText = "scheduled"
    pieces: Whole | None = None
    """Pieces in this shift so far; None without a counter."""
    calls: Annotated[list[LiveCall], _CUT] = []


class Live(_Lenient):
    """`live`: one message per gateway, QoS 0."""

    at_ns: Moment
    machines: Annotated[dict[ShownText, LiveMachine], first(limits.MOST_MACHINES)]


class Clock(_Lenient):
    """A gateway's clock. by: the source that it is trusted by (nobody, hardware, person, center, ntp); error_s: gateway time
    minus the latest evidence of any source [s]; wall_error_s: the system's clock minus gateway time [s]; moves: how often
    gateway time was stepped, last_move_s: by how much the last time [s]; wall_steps: how often the system's clock was set;
    held_since_ns: since when rows wait for a trusted clock [ns, the gateway's estimate]; held_rows: how many.
    """

    by: ShownText
    error_s: Seconds = 0.0
    wall_error_s: Seconds = 0.0
    moves: Count = 0
    last_move_s: Seconds = 0.0
    wall_steps: Count = 0
    held_since_ns: Moment | None = None
    held_rows: Count = 0


MOST_TROUBLE: Final = 500


class LinkTrouble(_Lenient):
    """Something that is wrong with a gateway's link. code: which (`link.*` in words/link.yaml, where `values` are filled in)."""

    code: ShownText
    values: Annotated[dict[ShownText, ShownText], _CUT] = {}


MOST_FAULTS: Final = 50
MOST_FAULT_TAGS: Final = 6


class DeviceFault(_Lenient):
    """Why a device cannot be read, or some of its tags. code: which (`fault.*` in words/fault.yaml, where `values` are filled
    in); extent: how much is lost (range, unit, device, line); tags: which of a device that answers, at most
    `MOST_FAULT_TAGS`, count: how many they are.
    """

    device: ShownText
    code: ShownText
    values: Annotated[dict[ShownText, ShownText], _CUT] = {}
    extent: ShownText = "device"
    tags: Annotated[list[ShownText], first(MOST_FAULT_TAGS)] = []
    count: Count = 0


MOST_COUNTER_STEPS: Final = 20


class CounterStep(_Lenient):
    """Something that a counter did besides counting, and what was decided. kind: which (`counter.*` in words/counters.yaml);
    role: which counter of the machine; old, new: what it showed before and after.
    """

    machine: ShownText
    role: ShownText
    at_ns: Moment
    kind: ShownText
    old: _Counter
    new: _Counter


MOST_NOTICES: Final = 20


class Notice(_Lenient):
    """What people at a machine said beside numbers: one immutable row, numbered by its id, so that neither order nor
    repetition matters.

    kind: `call` (about: what help), `step` (about: the step, of: the call's id), `note` (text), `rejects` or `rework` (about: the
    cause, count: pieces, negative where an entry was taken back), `take_back` (of: the id of a note that was wrong). by: where
    it was entered.
    """

    id: ShownText
    at_ns: Moment
    machine: ShownText
    kind: ShownText
    about: ShownText = ""
    text: ShownText = ""
    count: Whole = 0
    of: ShownText = ""
    by: ShownText = ""


class WentBack(_Lenient):
    """A version of the program that did not start, so that the one before is used again. unit: the service whose start failed."""

    from_version: ShownText
    to_version: ShownText
    unit: ShownText = ""
    at_ns: Moment | None = None


class Status(_Lenient):
    """`status`: retained; the last will has `online` false."""

    online: bool
    at_ns: Moment
    generation: ShownText = ""
    """The center's generation that this gateway knows, echoed."""
    marks: Annotated[dict[ShownText, _Mark], _CUT] = {}
    """By stream the highest mark that this gateway has received."""
    config_hash: ShownText = ""
    waiting: Count = 0
    """Envelopes in the outbox without a receipt."""
    oldest_ns: Moment | None = None
    """When the oldest of them was sealed [ns UTC]."""
    version: ShownText = ""
    went_back: WentBack | None = None
    """None: the version is the one that was installed last, or somebody chose it."""
    devices: Annotated[dict[ShownText, bool], first(limits.MOST_DEVICES)] = {}
    """By device whether it answers."""
    faults: Annotated[list[DeviceFault], first(MOST_FAULTS)] = []
    """Why devices do not answer, and why tags of those that do cannot be read, at most `MOST_FAULTS`."""
    health: Annotated[dict[ShownText, Number], _CUT] = {}
    trouble: ShownText = ""
    """Why the gateway cannot store at the moment, "" if it can; at most `MOST_TROUBLE` characters."""
    link: Annotated[list[LinkTrouble], _CUT] = []
    """What is wrong with the link: what the broker does not take, sessions that another client has taken over."""
    closed_ns: Moment | None = None
    """Facts of all machines before this time are in envelopes [ns UTC]; what is later is not closed yet. None: unknown."""
    ask: ShownText = ""
    """A question that the next receipt is to echo; "" for none."""
    clock: Clock | None = None
    declared: Annotated[dict[ShownText, ShownText], _CUT] = {}
    """Outcomes of the declarations in the center's latest message: by id "" or why it was refused."""
    counters: Annotated[list[CounterStep], first(MOST_COUNTER_STEPS)] = []
    """What counters did besides counting in the last day, the latest `MOST_COUNTER_STEPS`."""
    notices: Annotated[list[Notice], first(MOST_NOTICES)] = []
    """The oldest that the center has not confirmed (`Receipt.noted`), at most `MOST_NOTICES`; none to a center that never
    confirms any."""


DIVIDED: Final = "sent again in smaller envelopes"
"""The `why` of a `dropped` envelope whose rows are in later envelopes, since the broker does not take larger ones."""


class Dropped(_Strict):
    """Content of an envelope that lists others (ranges of seqs) that will never be sent. why: the reason, for people, or
    `DIVIDED`.
    """

    dropped: list[tuple[int, int]] = Field(max_length=_MOST_RANGES)
    why: str = Field(max_length=_MOST_WHY)
